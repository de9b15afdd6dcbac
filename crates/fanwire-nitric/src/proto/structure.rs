//! `google.protobuf.Struct`: what documents and values are made of.

use std::collections::BTreeMap;

/// An object.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Struct {
    #[prost(btree_map = "string, message", tag = "1")]
    pub(crate) fields: BTreeMap<String, Value>,
}

/// Anything that JSON can say.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Value {
    #[prost(oneof = "Kind", tags = "1, 2, 3, 4, 5, 6")]
    pub(crate) kind: Option<Kind>,
}

/// What a value is.
#[derive(Clone, PartialEq, prost::Oneof)]
pub(crate) enum Kind {
    #[prost(int32, tag = "1")]
    Null(i32),
    #[prost(double, tag = "2")]
    Number(f64),
    #[prost(string, tag = "3")]
    Text(String),
    #[prost(bool, tag = "4")]
    Bool(bool),
    #[prost(message, tag = "5")]
    Struct(Struct),
    #[prost(message, tag = "6")]
    List(List),
}

/// An array.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct List {
    #[prost(message, repeated, tag = "1")]
    pub(crate) values: Vec<Value>,
}

// === impl Struct ===

impl Struct {
    /// The value at a path whose parts are parted by dots. A member whose name has the
    /// dots in it comes first.
    pub(crate) fn at(&self, path: &str) -> Option<&Kind> {
        if let Some(value) = self.fields.get(path) {
            return value.kind.as_ref();
        }
        let (first, rest) = path.split_once('.')?;
        match self.fields.get(first)?.kind.as_ref()? {
            Kind::Struct(inner) => inner.at(rest),
            _ => None,
        }
    }
}
