//! `[tables.NAME]`

use indexmap::IndexMap;

use crate::diagnostic::{Issue, Issues};
use crate::model::{AttributeType, Projection, StreamView, Table};
use crate::node::{Entry, Node};
use crate::rules::table::{
    IndexDraft, IndexKeyDraft, KeyDraft, Placed, TableDraft, check_table_key, default_table_name,
};

use super::{Project, keys, texts};

/// The tables of the App.
pub(super) fn build(project: &Project<'_>, issues: &mut Issues) -> IndexMap<String, Table> {
    let described = project.tree.get("tables").and_then(Node::as_map);
    let mut tables = IndexMap::new();
    for (key, entry) in described.into_iter().flatten() {
        check_table_key(key, entry.key, issues);
        if let Some(draft) = draft(project, key, entry, issues) {
            let table = draft.check(key, &tables, issues);
            tables.insert(key.clone(), table);
        }
    }
    tables
}

fn draft(
    project: &Project<'_>,
    key: &str,
    entry: &Entry,
    issues: &mut Issues,
) -> Option<TableDraft> {
    let node = &entry.node;
    let hash = node.get("hash").and_then(Placed::of)?;
    let table_key = KeyDraft { hash, range: node.get("range").and_then(Placed::of) };
    let (mut global_indexes, mut local_indexes) = (Vec::new(), Vec::new());
    let described = node.get("indexes").and_then(Node::as_map);
    for (name, entry) in described.into_iter().flatten() {
        let local = entry.node.get("local").and_then(Node::boolean).unwrap_or(false);
        let Some(index) = index(name, entry, local.then_some(&table_key.hash), issues) else {
            continue;
        };
        if local { local_indexes.push(index) } else { global_indexes.push(index) }
    }
    let name = node.get("name").and_then(Placed::of).unwrap_or_else(|| {
        let text = default_table_name(&project.name, &project.stage, key);
        Placed { text, span: entry.key }
    });
    let indexes = global_indexes.iter().chain(&local_indexes);
    let parts = table_key.parts().chain(indexes.flat_map(|index| index.key.parts()));
    let attributes = attributes(node, parts);
    let stream = node.get("stream").and_then(Node::scalar_text).and_then(|view| {
        let at = keys::STREAM_VIEWS.iter().position(|known| *known == view)?;
        StreamView::named(StreamView::NAMES.get(at)?)
    });
    Some(TableDraft {
        name,
        attributes,
        key: table_key,
        global_indexes,
        local_indexes,
        ttl_attribute: node.get("ttl").and_then(Node::scalar_text),
        stream,
    })
}

/// An index; a local one has `shared_hash` for its hash key.
fn index(
    name: &str,
    entry: &Entry,
    shared_hash: Option<&Placed>,
    issues: &mut Issues,
) -> Option<IndexDraft> {
    let node = &entry.node;
    node.as_map()?;
    let mut hash = several(node.get("hash"));
    if hash.is_empty() {
        hash.extend(shared_hash.cloned());
    }
    if hash.is_empty() {
        let message = format!("the index `{name}` has no hash key");
        let expected = "hash = \"ATTRIBUTE\", or local = true for an index with the table's";
        issues.push(Issue::error(entry.key, message).expected(expected));
        return None;
    }
    let key = IndexKeyDraft { hash, range: several(node.get("range")) };
    let described = node.get("projection");
    let projection = match described {
        Some(node) if node.as_list().is_some() => Projection::Include(texts(Some(node))),
        Some(node) if node.as_str() == Some("keys") => Projection::KeysOnly,
        _ => Projection::All,
    };
    let name = Placed { text: name.to_owned(), span: entry.key };
    let projection_span = described.map_or(entry.key, |node| node.span);
    Some(IndexDraft { name, key, projection, projection_span })
}

/// The attribute, or the attributes, that a part of an index's key is made of.
fn several(node: Option<&Node>) -> Vec<Placed> {
    let Some(node) = node else { return Vec::new() };
    let items = node.as_list().unwrap_or(std::slice::from_ref(node));
    items.iter().filter_map(Placed::of).collect()
}

/// The types that are given, and S for the other attributes of the keys.
fn attributes<'p>(
    node: &Node,
    parts: impl Iterator<Item = &'p Placed>,
) -> Vec<(Placed, AttributeType)> {
    let given = node.get("attributes").and_then(Node::as_map).into_iter().flatten();
    let mut attributes: Vec<(Placed, AttributeType)> = given
        .filter_map(|(name, entry)| {
            let kind = AttributeType::named(&entry.node.scalar_text()?)?;
            Some((Placed { text: name.clone(), span: entry.key }, kind))
        })
        .collect();
    for part in parts {
        if attributes.iter().all(|(name, _)| name.text != part.text) {
            attributes.push((part.clone(), AttributeType::S));
        }
    }
    attributes
}
