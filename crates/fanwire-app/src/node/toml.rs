//! TOML as a tree.

use ::toml::Spanned;
use ::toml::de::{DeTable, DeValue};

use crate::diagnostic::{Issue, Issues};
use crate::source::{FileId, Span};

use super::{Entry, Map, Node, Value};

/// Reads a TOML text. Faults of syntax are added to `issues`, all at once, and what
/// could be read is returned. The `toml` crate limits the depth.
pub(crate) fn parse(file: FileId, text: &str, issues: &mut Issues) -> Node {
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let range = error.span().unwrap_or(0..0);
        let span = Span { file, start: range.start, end: range.end };
        issues.push(Issue::error(span, format!("this is not TOML: {}", error.message())));
    }
    let span = Span { file, start: document.span().start, end: document.span().end };
    Node::new(Value::Map(table(file, document.into_inner())), span)
}

/// A table's entries in the order of the file, which the parser does not keep.
fn table(file: FileId, table: DeTable<'_>) -> Map {
    let mut entries: Vec<(String, Entry)> = table
        .into_iter()
        .map(|(key, value)| {
            let range = key.span();
            let key_span = Span { file, start: range.start, end: range.end };
            (key.into_inner().into_owned(), Entry { key: key_span, node: node(file, value) })
        })
        .collect();
    entries.sort_by_key(|(_, entry)| entry.key.start);
    entries.into_iter().collect()
}

fn node(file: FileId, value: Spanned<DeValue<'_>>) -> Node {
    let range = value.span();
    let span = Span { file, start: range.start, end: range.end };
    let value = match value.into_inner() {
        DeValue::String(text) => Value::Text(text.into_owned()),
        DeValue::Integer(number) => {
            match i64::from_str_radix(number.as_str(), number.radix()) {
                Ok(integer) => Value::Int(integer),
                // Beyond 64 bits: not a number that any key takes.
                Err(_) => Value::Text(number.to_string()),
            }
        }
        DeValue::Float(number) => match number.as_str().parse() {
            Ok(float) => Value::Float(float),
            Err(_) => Value::Text(number.to_string()),
        },
        DeValue::Boolean(value) => Value::Bool(value),
        DeValue::Datetime(time) => Value::Text(time.to_string()),
        DeValue::Array(items) => {
            Value::List(items.into_iter().map(|item| node(file, item)).collect())
        }
        DeValue::Table(inner) => Value::Map(table(file, inner)),
    };
    Node::new(value, span)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Sources;

    #[test]
    fn tables_keep_the_order_of_the_file_and_values_their_places() {
        let text = "z = 1\n[b.c]\nx = 0x10\n[a]\ny = [1.5, true, \"t\"]\n";
        let mut sources = Sources::default();
        let file = sources.add("fanwire.toml".into(), text.to_owned());
        let mut issues = Issues::default();
        let root = parse(file, text, &mut issues);
        assert!(!issues.has_errors());
        let keys: Vec<_> = root.as_map().unwrap().keys().collect();
        assert_eq!(keys, ["z", "b", "a"]);
        assert_eq!(root.at(&["b", "c", "x"]).unwrap().value, Value::Int(16));
        let list = root.at(&["a", "y"]).unwrap().as_list().unwrap();
        assert_eq!(sources.place(list[1].span).column, 11);
        assert_eq!(list[2].as_str(), Some("t"));
    }

    #[test]
    fn every_fault_of_syntax_is_told_with_its_place() {
        let text = "a = \nb = 2\nb = 3\n";
        let mut sources = Sources::default();
        let file = sources.add("fanwire.toml".into(), text.to_owned());
        let mut issues = Issues::default();
        parse(file, text, &mut issues);
        let lines: Vec<_> = issues
            .into_diagnostics(&sources)
            .into_iter()
            .map(|fault| fault.place.unwrap().line)
            .collect();
        assert_eq!(lines, [1, 3]);
    }
}
