//! `[telemetry]`: metrics, traces, logs and the audit log.

use std::net::SocketAddr;

use serde::Serialize;

use crate::decode::{Key, Kind, Others, Table};
use crate::node::Node;
use crate::reading::Reading;

pub(crate) static TELEMETRY: Table = Table {
    name: "telemetry",
    doc: "What the server tells of itself.",
    others: Others::Refused,
    keys: &[Key::new(
        "address",
        Kind::Checked(address),
        "where /metrics, /healthz and /readyz are answered without a key; default \"127.0.0.1:9464\"",
    )],
};

/// What the server tells of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct Telemetry {
    /// Where metrics and health are told without a key. `None`: the default.
    pub address: Option<SocketAddr>,
}

fn address(text: &str) -> Result<(), String> {
    text.parse::<SocketAddr>()
        .map(drop)
        .map_err(|_| "an address and a port, such as \"127.0.0.1:9464\"".to_owned())
}

/// What the table says.
pub(super) fn build(node: &Node, _reading: &mut Reading<'_>) -> Telemetry {
    let address = node.get("address").and_then(Node::scalar_text);
    Telemetry { address: address.and_then(|text| text.parse().ok()) }
}
