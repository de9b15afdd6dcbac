//! `[access]`: who may call the APIs of management, of data and of functions.

use serde::Serialize;

use crate::decode::{Key, Kind, Others, Table};
use crate::diagnostic::Issue;
use crate::native::texts;
use crate::node::Node;
use crate::reading::Reading;

/// The APIs that can be opened to everybody, by the names that the file has for them.
pub(crate) const OPENABLE: [&str; 5] = ["connections", "data", "invoke", "dynamodb", "control"];

pub(crate) static ACCESS: Table = Table {
    name: "access",
    doc: "Who may call the APIs of management, of data and of functions.",
    others: Others::Refused,
    keys: &[Key::new(
        "allow_anonymous",
        Kind::TextList,
        "APIs that everybody may call who reaches the server: \"connections\", \"data\", \"invoke\", \"dynamodb\", \"control\"; default: none",
    )],
};

/// Who may call what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct Access {
    /// APIs that everybody may call.
    pub allow_anonymous: Vec<String>,
}

/// What the table says.
pub(super) fn build(node: &Node, reading: &mut Reading<'_>) -> Access {
    for item in node.get("allow_anonymous").and_then(Node::as_list).unwrap_or_default() {
        let name = item.scalar_text().unwrap_or_default();
        if !OPENABLE.contains(&name.as_str()) {
            let issue = Issue::error(item.span, format!("there is no API `{name}` to open"));
            let issue = issue.expected(OPENABLE.map(|name| format!("`{name}`")).join(", "));
            reading.issues.push(issue.nearest(&name, OPENABLE));
        }
    }
    Access { allow_anonymous: texts(node.get("allow_anonymous")) }
}
