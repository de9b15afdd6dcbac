//! A DynamoDB table: what `CreateTable` needs to know, and what keeps it tidy.
//!
//! The terms and the rules are those of CloudFormation's reference of
//! `AWS::DynamoDB::Table`. What only matters for AWS's bill or its machines, such as
//! capacity, encryption, backups and tags, is not here.

use indexmap::IndexMap;
use serde::Serialize;

/// A table of the App. Its keys and those of its indexes name attributes that
/// [`attributes`](Self::attributes) has, and it has no others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Table {
    /// The name that SDKs are given (`TableName`), of 3 to 255 characters.
    pub name: String,
    /// The types of the attributes that keys are made of. Items may have others.
    pub attributes: IndexMap<String, AttributeType>,
    /// What identifies an item.
    pub key: TableKey,
    /// Global secondary indexes.
    pub global_indexes: Vec<Index>,
    /// Local secondary indexes: each has the table's hash key and a range key.
    pub local_indexes: Vec<Index>,
    /// The attribute that holds the time at which an item expires, in seconds since
    /// 1970 (`TimeToLiveSpecification`).
    pub ttl_attribute: Option<String>,
    /// What the table's stream records of a changed item.
    pub stream: Option<StreamView>,
}

/// The key of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TableKey {
    /// The partition key's attribute (`HASH`).
    pub hash: String,
    /// The sort key's attribute (`RANGE`).
    pub range: Option<String>,
}

/// The key of an index. A global index may have up to four attributes for each part;
/// a local one has one for each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct IndexKey {
    /// The partition key's attributes (`HASH`): at least one.
    pub hash: Vec<String>,
    /// The sort key's attributes (`RANGE`), if any.
    pub range: Vec<String>,
}

/// A secondary index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Index {
    /// Its name, which no other index of the table has.
    pub name: String,
    /// What it is ordered by.
    pub key: IndexKey,
    /// What can be read from it.
    pub projection: Projection,
}

/// Which attributes an index has besides its own key and the table's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Projection {
    /// All of them.
    All,
    /// None.
    KeysOnly,
    /// These.
    Include(Vec<String>),
}

/// The type of a key's attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum AttributeType {
    /// Text.
    S,
    /// A number.
    N,
    /// Bytes.
    B,
}

/// What a table's stream records of a changed item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum StreamView {
    /// Its key.
    KeysOnly,
    /// The item after the change.
    NewImage,
    /// The item before the change.
    OldImage,
    /// Both.
    NewAndOldImages,
}

// === impl TableKey ===

impl TableKey {
    /// Its attributes: the hash key's, then the range key's.
    pub fn attributes(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.hash.as_str()).chain(self.range.as_deref())
    }
}

// === impl IndexKey ===

impl IndexKey {
    /// Its attributes: those of the hash key, then those of the range key.
    pub fn attributes(&self) -> impl Iterator<Item = &str> {
        self.hash.iter().chain(&self.range).map(String::as_str)
    }
}

// === impl Projection ===

impl Projection {
    /// What DynamoDB calls it (`ProjectionType`).
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::All => "ALL",
            Self::KeysOnly => "KEYS_ONLY",
            Self::Include(_) => "INCLUDE",
        }
    }
}

// === impl AttributeType ===

impl AttributeType {
    /// What DynamoDB calls the types.
    pub(crate) const NAMES: [&str; 3] = ["S", "N", "B"];

    /// What DynamoDB calls it (`AttributeType`).
    pub fn as_str(self) -> &'static str {
        match self {
            Self::S => "S",
            Self::N => "N",
            Self::B => "B",
        }
    }

    /// The type of one of [`Self::NAMES`].
    pub(crate) fn named(name: &str) -> Option<Self> {
        [Self::S, Self::N, Self::B].into_iter().find(|kind| kind.as_str() == name)
    }
}

// === impl StreamView ===

impl StreamView {
    /// What DynamoDB calls the views.
    pub(crate) const NAMES: [&str; 4] =
        ["KEYS_ONLY", "NEW_IMAGE", "OLD_IMAGE", "NEW_AND_OLD_IMAGES"];

    /// What DynamoDB calls it (`StreamViewType`).
    pub fn as_str(self) -> &'static str {
        match self {
            Self::KeysOnly => "KEYS_ONLY",
            Self::NewImage => "NEW_IMAGE",
            Self::OldImage => "OLD_IMAGE",
            Self::NewAndOldImages => "NEW_AND_OLD_IMAGES",
        }
    }

    /// The view of one of [`Self::NAMES`].
    pub(crate) fn named(name: &str) -> Option<Self> {
        [Self::KeysOnly, Self::NewImage, Self::OldImage, Self::NewAndOldImages]
            .into_iter()
            .find(|view| view.as_str() == name)
    }
}
