//! The DynamoDB tables among the resources.

use indexmap::IndexMap;

use crate::decode::check;
use crate::diagnostic::{Issue, Issues};
use crate::model::{AttributeType, Projection, StreamView, Table};
use crate::node::{Entry, Map, Node, Value};
use crate::rules::table::{IndexDraft, IndexKeyDraft, KeyDraft, Placed, TableDraft};
use crate::source::Span;

use super::{Stack, is_table, keys};

/// The tables of the App, by logical id.
pub(crate) fn build(
    resources: &Map,
    stack: &Stack,
    issues: &mut Issues,
) -> IndexMap<String, Table> {
    let mut tables = IndexMap::new();
    for (id, entry) in resources.iter().filter(|(_, entry)| is_table(&entry.node)) {
        if let Some(draft) = draft(id, entry, stack, issues) {
            let table = draft.check(id, &tables, issues);
            tables.insert(id.clone(), table);
        }
    }
    tables
}

/// The table as the file describes it. `None` where a fault was reported.
fn draft(id: &str, entry: &Entry, stack: &Stack, issues: &mut Issues) -> Option<TableDraft> {
    let Some(properties) = entry.node.entry("Properties") else {
        let issue = Issue::error(entry.key, format!("the table `{id}` has no Properties"));
        issues.push(issue.expected("AttributeDefinitions and a KeySchema"));
        return None;
    };
    let place = properties.key;
    let properties = stack.resolved(&properties.node);
    let mut faults = Issues::default();
    check(&properties, &keys::TABLE, &mut faults);
    let is_sound = !faults.has_errors();
    issues.append(faults);
    if !is_sound {
        return None;
    }
    let attributes = list(&properties, "AttributeDefinitions").iter().filter_map(|node| {
        let name = Placed::of(node.get("AttributeName")?)?;
        Some((name, AttributeType::named(node.get("AttributeType")?.as_str()?)?))
    });
    let name = name(id, &properties, entry.key, stack, issues);
    let key = key_schema(&properties, place, false, issues);
    let indexes = |key: &str, is_global: bool, issues: &mut Issues| {
        let described = list(&properties, key).iter();
        let drafts: Vec<_> = described.map(|node| index(node, is_global, issues)).collect();
        drafts.into_iter().collect::<Option<Vec<_>>>()
    };
    let global_indexes = indexes("GlobalSecondaryIndexes", true, issues);
    let local_indexes = indexes("LocalSecondaryIndexes", false, issues);
    let view = properties.at(&["StreamSpecification", "StreamViewType"]).and_then(Node::as_str);
    Some(TableDraft {
        name,
        attributes: attributes.collect(),
        key: key.and_then(|key| {
            let mut hash = key.hash.into_iter();
            Some(KeyDraft { hash: hash.next()?, range: key.range.into_iter().next() })
        })?,
        global_indexes: global_indexes?,
        local_indexes: local_indexes?,
        ttl_attribute: ttl_attribute(&properties, issues),
        stream: view.and_then(StreamView::named),
    })
}

/// The name that references to the table give. One that cannot be evaluated does not
/// keep the App from running, because handlers are told the name by reference.
fn name(id: &str, properties: &Node, place: Span, stack: &Stack, issues: &mut Issues) -> Placed {
    let node = properties.get("TableName");
    let text = stack.resources.get(id).map(|table| table.reference.clone()).unwrap_or_default();
    if let Some(Node { value: Value::Unresolved(issue), span, .. }) = node {
        let message = format!("{}; the table is called `{text}` here", issue.message);
        let warning = Issue::warning(*span, message);
        issues.push(Issue { help: issue.help.clone(), ..warning });
    }
    Placed { text, span: node.map_or(place, |node| node.span) }
}

/// The attributes of a `KeySchema`; those of a global index may have several for each
/// part.
fn key_schema(
    node: &Node,
    place: Span,
    is_global: bool,
    issues: &mut Issues,
) -> Option<IndexKeyDraft> {
    let schema = node.get("KeySchema")?.as_list()?;
    let mut kinds = Vec::new();
    let (mut hash, mut range) = (Vec::new(), Vec::new());
    for part in schema {
        let kind = part.get("KeyType").and_then(Node::as_str)?;
        let parts = if kind == "HASH" { &mut hash } else { &mut range };
        parts.push(Placed::of(part.get("AttributeName")?)?);
        kinds.push(kind);
    }
    // HASH comes before RANGE, in the alphabet as in a schema.
    let is_single = hash.len() == 1 && range.len() <= 1;
    if hash.is_empty() || !kinds.is_sorted() || !(is_single || is_global) {
        let span = schema.first().map_or(place, |part| part.span);
        let found = if kinds.is_empty() { "empty".to_owned() } else { kinds.join(", then ") };
        let issue = Issue::error(span, format!("the key schema is {found}"));
        issues.push(issue.expected("HASH, or HASH and then RANGE"));
        return None;
    }
    Some(IndexKeyDraft { hash, range })
}

fn index(node: &Node, is_global: bool, issues: &mut Issues) -> Option<IndexDraft> {
    let key = key_schema(node, node.span, is_global, issues);
    let name = Placed::of(node.get("IndexName")?)?;
    let described = node.get("Projection")?;
    let kind = described.get("ProjectionType")?;
    let included = described.get("NonKeyAttributes");
    let projection = match kind.as_str()? {
        "INCLUDE" => {
            let items = included.and_then(Node::as_list).unwrap_or_default();
            Projection::Include(items.iter().filter_map(Node::scalar_text).collect())
        }
        kind => {
            if let Some(included) = included {
                let message = format!("NonKeyAttributes have no meaning beside {kind}");
                let issue = Issue::error(included.span, message);
                issues.push(issue.expected("ProjectionType: INCLUDE"));
            }
            if kind == "ALL" { Projection::All } else { Projection::KeysOnly }
        }
    };
    Some(IndexDraft { name, key: key?, projection, projection_span: kind.span })
}

fn ttl_attribute(properties: &Node, issues: &mut Issues) -> Option<String> {
    let node = properties.get("TimeToLiveSpecification")?;
    if node.get("Enabled")?.boolean() != Some(true) {
        return None;
    }
    let attribute = node.get("AttributeName").and_then(Node::scalar_text);
    if attribute.is_none() {
        let issue = Issue::error(node.span, "the TimeToLiveSpecification has no attribute");
        issues.push(issue.expected("AttributeName, beside Enabled: true"));
    }
    attribute
}

fn list<'n>(node: &'n Node, key: &str) -> &'n [Node] {
    node.get(key).and_then(Node::as_list).unwrap_or_default()
}
