//! What DynamoDB's `CreateTable` accepts, whichever file describes the table.

use std::collections::HashSet;

use indexmap::IndexMap;

use crate::diagnostic::{Issue, Issues};
use crate::model::{AttributeType, Index, IndexKey, Projection, StreamView, Table, TableKey};
use crate::node::Node;
use crate::source::Span;

/// The most local indexes of a table (DynamoDB, "Quotas"). Other quotas can be raised.
const MAX_LOCAL_INDEXES: usize = 5;

/// The most attributes of one part of a global index's key.
const MAX_KEY_ATTRIBUTES: usize = 4;

/// What a name of a table or an index looks like, for messages.
const NAME_FORM: &str = "3 to 255 letters, digits, and any of - _ .";

/// A text and where it is written.
#[derive(Debug, Clone)]
pub(crate) struct Placed {
    pub(crate) text: String,
    pub(crate) span: Span,
}

/// A table as a file describes it. [`TableDraft::check`] makes a [`Table`] of it.
#[derive(Debug)]
pub(crate) struct TableDraft {
    pub(crate) name: Placed,
    pub(crate) attributes: Vec<(Placed, AttributeType)>,
    pub(crate) key: KeyDraft,
    pub(crate) global_indexes: Vec<IndexDraft>,
    pub(crate) local_indexes: Vec<IndexDraft>,
    pub(crate) ttl_attribute: Option<String>,
    pub(crate) stream: Option<StreamView>,
}

/// A table's key as a file describes it.
#[derive(Debug)]
pub(crate) struct KeyDraft {
    pub(crate) hash: Placed,
    pub(crate) range: Option<Placed>,
}

/// An index's key as a file describes it.
#[derive(Debug)]
pub(crate) struct IndexKeyDraft {
    /// Not empty.
    pub(crate) hash: Vec<Placed>,
    pub(crate) range: Vec<Placed>,
}

/// An index as a file describes it.
#[derive(Debug)]
pub(crate) struct IndexDraft {
    pub(crate) name: Placed,
    pub(crate) key: IndexKeyDraft,
    pub(crate) projection: Projection,
    pub(crate) projection_span: Span,
}

/// Reports a table's key that cannot be a part of a table's name and of a variable's
/// address.
pub(crate) fn check_table_key(key: &str, place: Span, issues: &mut Issues) {
    let valid = key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    if !valid || key.is_empty() {
        let message = format!("`{key}` is not a valid name of a table");
        let expected = "letters, digits, hyphens and underscores";
        issues.push(Issue::error(place, message).expected(expected));
    }
}

/// The name of a table that is given none.
pub(crate) fn default_table_name(app: &str, stage: &str, key: &str) -> String {
    format!("{app}-{stage}-{key}")
}

/// Whether DynamoDB takes a text for the name of a table or an index.
fn is_table_name(text: &str) -> bool {
    (3..=255).contains(&text.len())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

// === impl Placed ===

impl Placed {
    /// The text of a scalar.
    pub(crate) fn of(node: &Node) -> Option<Self> {
        Some(Self { text: node.scalar_text()?, span: node.span })
    }
}

// === impl TableDraft ===

impl TableDraft {
    /// The table, once everything that DynamoDB would refuse about it is reported.
    /// `key` is what the file calls it, and `known` are the tables before it.
    pub(crate) fn check(
        self,
        key: &str,
        known: &IndexMap<String, Table>,
        issues: &mut Issues,
    ) -> Table {
        self.check_name(known, issues);
        self.check_keys(issues);
        self.check_attributes(key, issues);
        self.check_indexes(key, issues);
        let attributes = self.attributes.into_iter().map(|(name, kind)| (name.text, kind));
        Table {
            name: self.name.text,
            attributes: attributes.collect(),
            key: self.key.into_key(),
            global_indexes: self.global_indexes.into_iter().map(IndexDraft::into_index).collect(),
            local_indexes: self.local_indexes.into_iter().map(IndexDraft::into_index).collect(),
            ttl_attribute: self.ttl_attribute,
            stream: self.stream,
        }
    }

    fn check_name(&self, known: &IndexMap<String, Table>, issues: &mut Issues) {
        check_name(&self.name, "table", issues);
        let name = &self.name.text;
        if let Some((other, _)) = known.iter().find(|(_, table)| table.name == *name) {
            let message = format!("the table `{other}` has the name `{name}` too");
            let issue = Issue::error(self.name.span, message);
            issues.push(issue.expected("a name of its own for each table"));
        }
    }

    fn indexes(&self) -> impl Iterator<Item = &IndexDraft> {
        self.global_indexes.iter().chain(&self.local_indexes)
    }

    /// The attributes of each key: the table's, then the indexes'.
    fn keys(&self) -> impl Iterator<Item = Vec<&Placed>> {
        let indexes = self.indexes().map(|index| index.key.parts().collect());
        std::iter::once(self.key.parts().collect()).chain(indexes)
    }

    fn check_keys(&self, issues: &mut Issues) {
        for key in self.keys() {
            let mut seen: HashSet<&str> = HashSet::new();
            for part in key {
                if !seen.insert(&part.text) {
                    let message = format!("`{}` is in one key twice", part.text);
                    issues.push(Issue::error(part.span, message).expected("each attribute once"));
                }
            }
        }
    }

    /// Attributes are defined for keys, all of them and nothing else.
    fn check_attributes(&self, key: &str, issues: &mut Issues) {
        let mut defined: HashSet<&str> = HashSet::new();
        for (name, _) in &self.attributes {
            if !defined.insert(&name.text) {
                let message = format!("the attribute `{}` is defined twice", name.text);
                issues.push(Issue::error(name.span, message).expected("one type for each"));
            }
        }
        let used: Vec<&Placed> = self.keys().flatten().collect();
        let mut reported: HashSet<&str> = HashSet::new();
        for part in &used {
            let name = part.text.as_str();
            if !defined.contains(name) && reported.insert(name) {
                let message =
                    format!("the key attribute `{name}` of the table `{key}` has no type");
                let names = self.attributes.iter().map(|(name, _)| name.text.as_str());
                let issue = Issue::error(part.span, message);
                let expected = "an attribute definition: its name, and S, N or B";
                issues.push(issue.expected(expected).nearest(name, names));
            }
        }
        // A misspelt definition is told once, where it is missed.
        if !reported.is_empty() {
            return;
        }
        for (name, _) in &self.attributes {
            if used.iter().all(|part| part.text != name.text) {
                let message = format!("`{}` is not an attribute of a key", name.text);
                let expected = format!(
                    "types of the attributes that keys of the table `{key}` and of its indexes \
                     are made of; others need none"
                );
                let names = used.iter().map(|part| part.text.as_str());
                let issue = Issue::error(name.span, message).expected(expected);
                issues.push(issue.nearest(&name.text, names));
            }
        }
    }

    fn check_indexes(&self, key: &str, issues: &mut Issues) {
        let mut seen: HashSet<&str> = HashSet::new();
        for index in self.indexes() {
            let name = &index.name;
            check_name(name, "index", issues);
            if !seen.insert(&name.text) {
                let message =
                    format!("the table `{key}` has two indexes with the name `{}`", name.text);
                let issue = Issue::error(name.span, message);
                issues.push(issue.expected("a name of its own for each index"));
            }
            for (part, attributes) in [("hash", &index.key.hash), ("range", &index.key.range)] {
                if let Some(beyond) = attributes.get(MAX_KEY_ATTRIBUTES) {
                    let message =
                        format!("the index `{}` has {} {part} keys", name.text, attributes.len());
                    let expected = format!("at most {MAX_KEY_ATTRIBUTES}, as in DynamoDB");
                    issues.push(Issue::error(beyond.span, message).expected(expected));
                }
            }
            if index.projection == Projection::Include(Vec::new()) {
                let message = format!("the index `{}` includes no attributes", name.text);
                let issue = Issue::error(index.projection_span, message);
                issues.push(issue.expected("at least one, or a projection of the keys only"));
            }
        }
        for index in &self.local_indexes {
            self.check_local_index(index, issues);
        }
        if let Some(index) = self.local_indexes.get(MAX_LOCAL_INDEXES) {
            let message =
                format!("the table `{key}` has {} local indexes", self.local_indexes.len());
            let expected = format!("at most {MAX_LOCAL_INDEXES}, as in DynamoDB");
            issues.push(Issue::error(index.name.span, message).expected(expected));
        }
    }

    fn check_local_index(&self, index: &IndexDraft, issues: &mut Issues) {
        let IndexDraft { name, key, .. } = index;
        let hash = &self.key.hash.text;
        if let Some(other) = key.hash.iter().find(|part| part.text != *hash) {
            let message = format!("`{}` is not the hash key of the table", other.text);
            let expected = format!("`{hash}`, which a local index shares with its table");
            issues.push(Issue::error(other.span, message).expected(expected));
        }
        if key.range.len() != 1 {
            let message = match key.range.len() {
                0 => format!("the local index `{}` has no range key", name.text),
                several => format!("the local index `{}` has {several} range keys", name.text),
            };
            issues.push(Issue::error(name.span, message).expected("a hash key and a range key"));
        }
        if self.key.range.is_none() {
            let message = "a table without a range key cannot have a local index";
            let issue = Issue::error(name.span, message);
            issues.push(issue.expected("a global index, or a range key of the table"));
        }
    }
}

fn check_name(name: &Placed, what: &str, issues: &mut Issues) {
    if !is_table_name(&name.text) {
        let article = if what == "index" { "an" } else { "a" };
        let message = format!("`{}` is not a valid name of {article} {what}", name.text);
        issues.push(Issue::error(name.span, message).expected(NAME_FORM));
    }
}

// === impl KeyDraft ===

impl KeyDraft {
    /// Its attributes.
    pub(crate) fn parts(&self) -> impl Iterator<Item = &Placed> {
        std::iter::once(&self.hash).chain(&self.range)
    }

    fn into_key(self) -> TableKey {
        TableKey { hash: self.hash.text, range: self.range.map(|range| range.text) }
    }
}

// === impl IndexKeyDraft ===

impl IndexKeyDraft {
    /// Its attributes.
    pub(crate) fn parts(&self) -> impl Iterator<Item = &Placed> {
        self.hash.iter().chain(&self.range)
    }

    fn into_key(self) -> IndexKey {
        let texts = |parts: Vec<Placed>| parts.into_iter().map(|part| part.text).collect();
        IndexKey { hash: texts(self.hash), range: texts(self.range) }
    }
}

// === impl IndexDraft ===

impl IndexDraft {
    fn into_index(self) -> Index {
        Index { name: self.name.text, key: self.key.into_key(), projection: self.projection }
    }
}
