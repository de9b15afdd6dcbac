//! JSON as a tree. Only files that a variable includes are JSON, so each value
//! has the place of the whole file.

use crate::diagnostic::Issue;
use crate::source::{FileId, Span};

use super::{Entry, Node, Value};

/// Reads a JSON text.
///
/// # Errors
///
/// Where the text is not JSON, with the place. `serde_json` itself limits the
/// depth.
pub(crate) fn parse(file: FileId, text: &str) -> Result<Node, Issue> {
    let value = serde_json::from_str(text).map_err(|error: serde_json::Error| {
        let line_start: usize =
            text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
        let at = (line_start + error.column().saturating_sub(1)).min(text.len());
        Issue::error(Span { file, start: at, end: at }, format!("this is not JSON: {error}"))
    })?;
    Ok(tree(value, Span::whole(file)))
}

fn tree(value: serde_json::Value, span: Span) -> Node {
    let value = match value {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(value) => Value::Bool(value),
        serde_json::Value::Number(number) => match number.as_i64() {
            Some(integer) => Value::Int(integer),
            None => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        serde_json::Value::String(text) => Value::Text(text),
        serde_json::Value::Array(items) => {
            Value::List(items.into_iter().map(|item| tree(item, span)).collect())
        }
        serde_json::Value::Object(fields) => Value::Map(
            fields
                .into_iter()
                .map(|(key, value)| (key, Entry { key: span, node: tree(value, span) }))
                .collect(),
        ),
    };
    Node::new(value, span)
}
