//! `[sites.NAME]`

use indexmap::IndexMap;

use crate::model::Site;
use crate::node::Node;
use crate::reading::{Reading, join};

use super::{Project, links, text_map};

/// What a site is called that says nothing of its kind.
const DEFAULT_KIND: &str = "site";

/// The sites of the App.
pub(super) fn build(project: &Project<'_>, reading: &mut Reading<'_>) -> IndexMap<String, Site> {
    let described = project.tree.get("sites").and_then(Node::as_map);
    let described = described.into_iter().flatten();
    let site = |node: &Node| {
        let text = |key: &str| node.get(key).and_then(Node::scalar_text);
        Site {
            kind: text("kind").unwrap_or_else(|| DEFAULT_KIND.to_owned()),
            path: match text("path") {
                Some(path) => join(&reading.folder, &path),
                None => reading.folder.clone(),
            },
            command: text("command"),
            environment: text_map(node.get("environment")),
            links: links::given(node),
        }
    };
    described.map(|(name, entry)| (name.clone(), site(&entry.node))).collect()
}
