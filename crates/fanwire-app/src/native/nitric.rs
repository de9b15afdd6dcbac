//! `[nitric]`

use crate::model::{Nitric, Service};
use crate::node::Node;
use crate::reading::{Reading, join};

use super::{Project, text_map};

/// What the App has of a Nitric project, if anything.
pub(super) fn build(project: &Project<'_>, reading: &Reading<'_>) -> Option<Nitric> {
    let nitric = project.tree.get("nitric")?;
    let entries = |key: &str| nitric.get(key).and_then(Node::as_map).into_iter().flatten();
    let service = |node: &Node| {
        let text = |key: &str| node.get(key).and_then(Node::scalar_text);
        Service {
            command: text("command").unwrap_or_default(),
            folder: match text("path") {
                Some(path) => join(&reading.folder, &path),
                None => reading.folder.clone(),
            },
            environment: text_map(node.get("environment")),
            restart_on_change: node
                .get("restart_on_change")
                .and_then(Node::boolean)
                .unwrap_or(true),
        }
    };
    let port = |node: &Node| node.get("port")?.integer().and_then(|port| port.try_into().ok());
    Some(Nitric {
        services: entries("services").map(|(name, e)| (name.clone(), service(&e.node))).collect(),
        ports: entries("sockets")
            .filter_map(|(name, e)| Some((name.clone(), port(&e.node)?)))
            .collect(),
    })
}
