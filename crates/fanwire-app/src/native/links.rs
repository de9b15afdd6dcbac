//! `[links.NAME]`, and which of them functions and sites name.

use indexmap::IndexMap;
use serde_json::Value;

use crate::diagnostic::{Issue, Issues};
use crate::model::{Links, Realtime};
use crate::node::{Entry, Node};
use crate::rules;

use super::{Project, keys, texts};

/// The name that SST itself gives the app's name and stage.
const APP: &str = "App";

/// The links of the App.
pub(super) fn build(
    project: &Project<'_>,
    realtime: Option<&Realtime>,
    issues: &mut Issues,
) -> IndexMap<String, Value> {
    let described = project.tree.get("links").and_then(Node::as_map);
    let mut links = IndexMap::new();
    for (name, entry) in described.into_iter().flatten() {
        check(name, entry, realtime, issues);
        links.insert(name.clone(), entry.node.to_json());
    }
    links
}

/// The links that a function or a site is given: every one where it names none.
pub(super) fn given(node: &Node) -> Links {
    match node.get("links") {
        Some(names) => Links::Only(texts(Some(names))),
        None => Links::All,
    }
}

/// The names that links have.
pub(super) struct Named<'a>(Vec<&'a str>);

impl<'a> Named<'a> {
    /// Those of an App's links.
    pub(super) fn of(links: &'a IndexMap<String, Value>, realtime: Option<&'a Realtime>) -> Self {
        let realtime = realtime.map(|realtime| realtime.name.as_str());
        Self(links.keys().map(String::as_str).chain(realtime).collect())
    }

    /// Reports names, in the entries of one of the file's tables, that no link has.
    pub(super) fn check(&self, project: &Project<'_>, table: &str, issues: &mut Issues) {
        let entries = project.tree.get(table).and_then(Node::as_map);
        for entry in entries.into_iter().flatten().map(|(_, entry)| entry) {
            let names = entry.node.get("links").and_then(Node::as_list);
            for node in names.unwrap_or_default() {
                let Some(name) = node.scalar_text() else { continue };
                let message = format!("`{name}` is not a link of this file");
                rules::check_name_exists("link", &name, &self.0, message, node.span, issues);
            }
        }
    }
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
