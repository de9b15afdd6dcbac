//! The one tree that every file format is read into: values with their places.
//!
//! YAML, TOML and JSON become the same [`Node`]s, so that variables, checks and
//! messages are written once.

pub(crate) mod json;
pub(crate) mod toml;
pub(crate) mod yaml;

use std::rc::Rc;

use indexmap::IndexMap;

use crate::diagnostic::Issue;
use crate::source::Span;

/// How deep a tree may be. Deeper input is refused, so that no input can exhaust
/// the stack of the functions that walk a tree.
pub(crate) const MAX_DEPTH: usize = 64;

/// How many values one tree may have once aliases are expanded and variables are
/// replaced: far above any real project, and small enough that a file which
/// refers to itself again and again fails at once.
pub(crate) const MAX_NODES: usize = 500_000;

/// A value and where it was written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) value: Value,
    /// A local YAML tag without its `!`, such as `GetAtt`.
    pub(crate) tag: Option<Rc<str>>,
    pub(crate) span: Span,
}

/// A value of any format.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Map(Map),
    /// A variable that could not be resolved. It is an error only where the value
    /// is needed.
    Unresolved(Rc<Issue>),
}

/// A mapping in the order of the file.
pub(crate) type Map = IndexMap<String, Entry>;

/// A value of a mapping and the place of its key.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: Span,
    pub(crate) node: Node,
}

impl Node {
    /// A value without a tag.
    pub(crate) fn new(value: Value, span: Span) -> Self {
        Self { value, tag: None, span }
    }

    /// The value of `key`, where this is a mapping that has it with a value other
    /// than null.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.node).filter(|node| node.value != Value::Null)
    }

    /// The entry of `key`, where this is a mapping that has it.
    pub(crate) fn entry(&self, key: &str) -> Option<&Entry> {
        self.as_map()?.get(key)
    }

    /// The value at a path of keys.
    pub(crate) fn at(&self, path: &[&str]) -> Option<&Node> {
        path.iter().try_fold(self, |node, key| node.get(key))
    }

    pub(crate) fn as_map(&self) -> Option<&Map> {
        match &self.value {
            Value::Map(map) => Some(map),
            _ => None,
        }
    }

    pub(crate) fn as_list(&self) -> Option<&[Node]> {
        match &self.value {
            Value::List(list) => Some(list),
            _ => None,
        }
    }

    pub(crate) fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A scalar as text: numbers and booleans as JavaScript prints them. Null,
    /// lists and mappings have none.
    pub(crate) fn scalar_text(&self) -> Option<String> {
        match &self.value {
            Value::Text(text) => Some(text.clone()),
            Value::Bool(value) => Some(value.to_string()),
            Value::Int(value) => Some(value.to_string()),
            Value::Float(value) => Some(value.to_string()),
            _ => None,
        }
    }

    /// The value as JSON. What JSON does not have, such as an infinite number or a
    /// variable without a value, becomes null.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        match &self.value {
            Value::Null | Value::Unresolved(_) => serde_json::Value::Null,
            Value::Bool(value) => (*value).into(),
            Value::Int(value) => (*value).into(),
            Value::Float(value) => (*value).into(),
            Value::Text(text) => text.as_str().into(),
            Value::List(items) => items.iter().map(Self::to_json).collect(),
            Value::Map(map) => {
                map.iter().map(|(key, entry)| (key.clone(), entry.node.to_json())).collect()
            }
        }
    }

    /// An integer, also one that is written as text, as environment variables are.
    pub(crate) fn integer(&self) -> Option<i64> {
        match &self.value {
            Value::Int(value) => Some(*value),
            Value::Text(text) => text.trim().parse().ok(),
            _ => None,
        }
    }

    /// A number, also one that is written as text.
    pub(crate) fn number(&self) -> Option<f64> {
        match &self.value {
            #[expect(clippy::cast_precision_loss, reason = "times and sizes are far below 2^53")]
            Value::Int(value) => Some(*value as f64),
            Value::Float(value) => Some(*value),
            Value::Text(text) => text.trim().parse().ok().filter(|value: &f64| value.is_finite()),
            _ => None,
        }
    }

    /// A boolean, also one that is written as text.
    pub(crate) fn boolean(&self) -> Option<bool> {
        match &self.value {
            Value::Bool(value) => Some(*value),
            Value::Text(text) => text.trim().parse().ok(),
            _ => None,
        }
    }

    /// Whether JavaScript would take the value for false.
    pub(crate) fn is_falsy(&self) -> bool {
        match &self.value {
            Value::Null | Value::Bool(false) | Value::Int(0) => true,
            Value::Float(value) => *value == 0.0,
            Value::Text(text) => text.is_empty(),
            _ => false,
        }
    }

    /// What kind of value this is, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.value {
            Value::Null => "nothing",
            Value::Bool(_) => "a boolean",
            Value::Int(_) => "an integer",
            Value::Float(_) => "a number",
            Value::Text(_) => "text",
            Value::List(_) => "a list",
            Value::Map(_) => "a table",
            Value::Unresolved(_) => "an unresolved variable",
        }
    }

    /// How many values this is, itself included.
    pub(crate) fn count(&self) -> usize {
        1 + match &self.value {
            Value::List(list) => list.iter().map(Self::count).sum(),
            Value::Map(map) => map.values().map(|entry| entry.node.count()).sum(),
            _ => 0,
        }
    }
}
