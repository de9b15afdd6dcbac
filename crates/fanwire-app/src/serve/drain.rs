//! `[drain]`: how clients are sent away when the server stops.

use std::time::Duration;

use serde::Serialize;

use crate::decode::units::duration;
use crate::decode::{Key, Kind, Others, Table};
use crate::node::Node;

pub(crate) static DRAIN: Table = Table {
    name: "drain",
    doc: "How clients are sent away when the server stops.",
    others: Others::Refused,
    keys: &[
        Key::new(
            "window",
            Kind::Duration,
            "over how long goodbyes are spread, so that not all clients return at once; default \"10s\"",
        ),
        Key::new(
            "grace",
            Kind::Duration,
            "how long events in flight have after that; default \"30s\"",
        ),
    ],
};

/// How clients are sent away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Drain {
    /// Over how long goodbyes are spread.
    pub window: Duration,
    /// How long what is in flight has after that.
    pub grace: Duration,
}

impl Default for Drain {
    fn default() -> Self {
        Self { window: Duration::from_secs(10), grace: Duration::from_secs(30) }
    }
}

/// What the table says.
pub(super) fn build(node: &Node) -> Drain {
    let defaults = Drain::default();
    let time = |key: &str, default| node.get(key).and_then(duration).unwrap_or(default);
    Drain { window: time("window", defaults.window), grace: time("grace", defaults.grace) }
}
