//! `[limits]`: what a client, an address and a principal may ask for.

use serde::Serialize;

use crate::decode::{Key, Kind, Others, Table};
use crate::node::Node;

pub(crate) static LIMITS: Table = Table {
    name: "limits",
    doc: "What a client, an address and a principal may ask for.",
    others: Others::Refused,
    keys: &[Key::new(
        "max_handshakes",
        Kind::Integer(1, 1_000_000),
        "connections that have not said who they are, at once; default 8192",
    )],
};

/// What a client, an address and a principal may ask for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Limits {
    /// Connections that have not said who they are, at once.
    pub max_handshakes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_handshakes: 8192 }
    }
}

/// What the table says.
pub(super) fn build(node: &Node) -> Limits {
    let defaults = Limits::default();
    let count = |key: &str, default: usize| {
        node.get(key)
            .and_then(Node::integer)
            .and_then(|count| usize::try_from(count).ok())
            .unwrap_or(default)
    };
    Limits { max_handshakes: count("max_handshakes", defaults.max_handshakes) }
}
