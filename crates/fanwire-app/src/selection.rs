//! Route selection expressions: which route key a message has.
//!
//! An expression is parsed once, when the App is loaded, and evaluated for every
//! message. The grammar is API Gateway's: one bare variable
//! (`$request.body.action`), or braced variables with text between
//! (`${request.body.service}/${request.body.action}`), or plain text, which every
//! message then has as its key. `\$default` stands for the text `$default`.

use std::fmt;
use std::str::FromStr;

use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::value::RawValue;

/// A parsed route selection expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteSelection {
    /// The expression as it was written.
    text: String,
    parts: Vec<Part>,
}

/// One piece of an expression; the route key is their values, joined.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    /// A path into the message's body.
    Body(Vec<Step>),
}

/// One step of a path into JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
}

/// An expression outside the grammar.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{expression}` is not a route selection expression: {fault}; \
     expected a form such as $request.body.action or ${{request.body.a}}/${{request.body.b}}"
)]
pub struct RouteSelectionError {
    /// The expression as it was written.
    pub expression: String,
    /// What is wrong with it.
    pub fault: &'static str,
}

// === impl RouteSelection ===

impl RouteSelection {
    /// What API Gateway and the Serverless Framework use where nothing is said.
    pub const DEFAULT: &str = "$request.body.action";

    /// The route key that `body` selects, or `None` where the expression looks into
    /// the body and the body is not JSON. A path that leads nowhere is empty text.
    pub fn evaluate(&self, body: &str) -> Option<String> {
        if let [Part::Body(path)] = self.parts.as_slice() {
            return value_at(path, body);
        }
        let mut key = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => key.push_str(text),
                Part::Body(path) => key.push_str(&value_at(path, body)?),
            }
        }
        Some(key)
    }

    /// The expression as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl Default for RouteSelection {
    fn default() -> Self {
        let action = Part::Body(vec![Step::Key("action".to_owned())]);
        Self { text: Self::DEFAULT.to_owned(), parts: vec![action] }
    }
}

impl FromStr for RouteSelection {
    type Err = RouteSelectionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fail = |fault| RouteSelectionError { expression: text.to_owned(), fault };
        if text.is_empty() {
            return Err(fail("it is empty"));
        }
        let mut parts = Vec::new();
        if let Some(variable) = text.strip_prefix('$').filter(|rest| !rest.starts_with('{')) {
            parts.push(Part::Body(body_path(variable).map_err(fail)?));
        } else {
            let mut rest = text;
            let mut literal = String::new();
            while let Some(at) = rest.find('$') {
                let (before, from) = rest.split_at(at);
                if let Some(before) = before.strip_suffix('\\') {
                    literal.push_str(before);
                    literal.push('$');
                    rest = &from[1..];
                } else if let Some(inner) = from.strip_prefix("${") {
                    let (variable, after) =
                        inner.split_once('}').ok_or_else(|| fail("a `${` is not closed"))?;
                    literal.push_str(before);
                    if !literal.is_empty() {
                        parts.push(Part::Text(std::mem::take(&mut literal)));
                    }
                    parts.push(Part::Body(body_path(variable).map_err(fail)?));
                    rest = after;
                } else {
                    return Err(fail("a `$` inside the text is neither `${` nor `\\$`"));
                }
            }
            literal.push_str(rest);
            if !literal.is_empty() {
                parts.push(Part::Text(literal));
            }
        }
        Ok(Self { text: text.to_owned(), parts })
    }
}

impl fmt::Display for RouteSelection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl serde::Serialize for RouteSelection {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

/// Parses `request.body.a.b[0]['c d']`.
fn body_path(variable: &str) -> Result<Vec<Step>, &'static str> {
    let mut rest = variable
        .strip_prefix("request.body")
        .ok_or("only variables that start with request.body are available to messages")?;
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if let Some(inner) = rest.strip_prefix('[') {
            let (index, after) = inner.split_once(']').ok_or("a `[` is not closed")?;
            let quoted = index
                .strip_prefix('\'')
                .and_then(|index| index.strip_suffix('\''))
                .or_else(|| index.strip_prefix('"').and_then(|index| index.strip_suffix('"')));
            steps.push(match quoted {
                Some(key) => Step::Key(key.to_owned()),
                None => Step::Index(index.parse().map_err(|_| "an index is not a number")?),
            });
            rest = after;
        } else {
            let name = rest.strip_prefix('.').ok_or("a `.` is missing after request.body")?;
            let end = name.find(['.', '[']).unwrap_or(name.len());
            if end == 0 {
                return Err("a name between two dots is empty");
            }
            steps.push(Step::Key(name[..end].to_owned()));
            rest = &name[end..];
        }
    }
    Ok(steps)
}

/// The value at `path` in the JSON text `body`, as API Gateway turns it into text.
/// `None` where `body` is not JSON; empty where the path leads nowhere.
fn value_at(path: &[Step], body: &str) -> Option<String> {
    let mut json = serde_json::Deserializer::from_str(body);
    let found = PathSeed(path).deserialize(&mut json).ok()?;
    json.end().ok()?;
    Some(found.unwrap_or_default())
}

/// Walks into the value along a path and skips all else without building it.
struct PathSeed<'p>(&'p [Step]);

impl<'de> DeserializeSeed<'de> for PathSeed<'_> {
    type Value = Option<String>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        if self.0.is_empty() {
            let raw = <&RawValue as serde::Deserialize>::deserialize(deserializer)?;
            text_of(raw.get()).map(Some).map_err(D::Error::custom)
        } else {
            deserializer.deserialize_any(self)
        }
    }
}

impl<'de> Visitor<'de> for PathSeed<'_> {
    type Value = Option<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(key) = map.next_key::<std::borrow::Cow<'_, str>>()? {
            match self.0 {
                [Step::Key(wanted), rest @ ..] if *wanted == key => {
                    found = map.next_value_seed(PathSeed(rest))?;
                }
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let (wanted, rest) = match self.0 {
            [Step::Index(index), rest @ ..] => (Some(*index), rest),
            _ => (None, self.0),
        };
        let mut found = None;
        for at in 0.. {
            if Some(at) == wanted {
                match seq.next_element_seed(PathSeed(rest))? {
                    Some(value) => found = value,
                    None => break,
                }
            } else if seq.next_element::<IgnoredAny>()?.is_none() {
                break;
            }
        }
        Ok(found)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(None)
    }
    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }
    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }
    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }
    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }
    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

/// A JSON value as text: a string without its quotes, a number or boolean as it is
/// written, an array as `[item1, item2]`, `null` as nothing.
fn text_of(json: &str) -> Result<String, serde_json::Error> {
    match json.as_bytes().first() {
        Some(b'"') => serde_json::from_str(json),
        Some(b'n') => Ok(String::new()),
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(json)?;
            let items: Result<Vec<_>, _> = items.iter().map(|item| text_of(item.get())).collect();
            Ok(format!("[{}]", items?.join(", ")))
        }
        _ => Ok(json.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn select(expression: &str, body: &str) -> Option<String> {
        expression.parse::<RouteSelection>().unwrap().evaluate(body)
    }

    #[test]
    fn a_bare_variable_may_be_nested_and_indexed() {
        let body = r#"{"x":[1,{"y":2}],"a":{"b":[{"c":"deep"}]},"action":"join","k k":"spaced"}"#;
        assert_eq!(select("$request.body.action", body).as_deref(), Some("join"));
        assert_eq!(select("$request.body.a.b[0].c", body).as_deref(), Some("deep"));
        assert_eq!(select("$request.body.a.b[1].c", body).as_deref(), Some(""));
        assert_eq!(select("$request.body['k k']", body).as_deref(), Some("spaced"));
    }

    #[test]
    fn braced_variables_join_with_the_text_between() {
        let body = r#"{"service":"chat","action":"send"}"#;
        let key = select("${request.body.service}/${request.body.action}", body);
        assert_eq!(key.as_deref(), Some("chat/send"));
        assert_eq!(select("join-${request.body.x}", body).as_deref(), Some("join-"));
        assert_eq!(select("always", "not json").as_deref(), Some("always"));
        assert_eq!(select(r"\$default", body).as_deref(), Some("$default"));
    }

    #[test]
    fn values_that_are_not_strings_become_text() {
        let expression = "$request.body.action";
        for (value, text) in [
            ("1", "1"),
            ("1.50", "1.50"),
            ("true", "true"),
            ("null", ""),
            (r#"["a",1]"#, "[a, 1]"),
            (r#""\u00e9\n""#, "é\n"),
        ] {
            let body = format!(r#"{{"action":{value}}}"#);
            assert_eq!(select(expression, &body).as_deref(), Some(text), "{value}");
        }
    }

    #[test]
    fn a_body_that_is_not_json_selects_nothing_and_a_scalar_selects_empty_text() {
        let expression = "$request.body.action";
        for body in ["", "hello", "{", r#"{"action":"a"} x"#, "{'action':'a'}"] {
            assert_eq!(select(expression, body), None, "{body}");
        }
        for body in ["1", r#""action""#, "[]", "null", "{}", r#"["action"]"#] {
            assert_eq!(select(expression, body).as_deref(), Some(""), "{body}");
        }
    }

    #[test]
    fn an_expression_outside_the_grammar_is_refused() {
        for text in [
            "",
            "$request.header.x",
            "${request.body.a",
            "$request.body..a",
            "a$b",
            "$request.bodyx",
        ] {
            assert!(text.parse::<RouteSelection>().is_err(), "{text}");
        }
    }
}
