//! `[cluster]`: the nodes that serve the app together.

use serde::Serialize;

use crate::decode::{Key, Kind, Others, Table};
use crate::native::texts;
use crate::node::Node;
use crate::reading::Reading;

pub(crate) static CLUSTER: Table = Table {
    name: "cluster",
    doc: "The nodes that serve the app together, linked by NATS.",
    others: Others::Refused,
    keys: &[
        Key::required(
            "nats",
            Kind::OneOrMoreTexts,
            "the NATS servers, such as \"nats://10.0.0.5:4222\" or \"tls://…\"",
        ),
        Key::new(
            "name",
            Kind::Text,
            "the cluster's name: nodes that share it, and an app, work together; default: the app's name and stage",
        ),
    ],
};

/// The nodes that serve the app together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cluster {
    /// The NATS servers' URLs.
    pub nats: Vec<String>,
    /// The cluster's name. `None`: the App's service and stage.
    pub name: Option<String>,
}

/// What the table says.
pub(super) fn build(node: &Node, _reading: &mut Reading<'_>) -> Cluster {
    let nats = match node.get("nats") {
        Some(node) if node.as_list().is_some() => texts(Some(node)),
        Some(node) => node.scalar_text().into_iter().collect(),
        None => Vec::new(),
    };
    Cluster { nats, name: node.get("name").and_then(Node::scalar_text) }
}
