//! `[links.NAME]`

use indexmap::IndexMap;

use crate::diagnostic::{Issue, Issues};
use crate::model::Realtime;
use crate::node::{Entry, Node};

use super::{Project, keys, text_map};

/// The name that SST itself gives the app's name and stage.
const APP: &str = "App";

/// The links of the App.
pub(super) fn build(
    project: &Project<'_>,
    realtime: Option<&Realtime>,
    issues: &mut Issues,
) -> IndexMap<String, IndexMap<String, String>> {
    let described = project.tree.get("links").and_then(Node::as_map);
    let mut links = IndexMap::new();
    for (name, entry) in described.into_iter().flatten() {
        check(name, entry, realtime, issues);
        links.insert(name.clone(), text_map(Some(&entry.node)));
    }
    links
}

fn check(name: &str, entry: &Entry, realtime: Option<&Realtime>, issues: &mut Issues) {
    if let Err(expected) = keys::link_name(name) {
        let issue = Issue::error(entry.key, format!("`{name}` is not a valid name of a link"));
        issues.push(issue.expected(expected));
    }
    let taken = if name == APP {
        Some("the app's name and stage")
    } else {
        realtime.filter(|realtime| realtime.name == name).map(|_| "the realtime endpoint")
    };
    if let Some(taken) = taken {
        let issue = Issue::error(entry.key, format!("the link `{name}` is that of {taken}"));
        issues.push(issue.expected("another name"));
    }
}
