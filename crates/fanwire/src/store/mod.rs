//! Where apps keep what has to outlive an event: one table of items, each with an expiry.
//!
//! The model is DynamoDB's single table, as far as realtime apps need it: a partition key,
//! a sort key, fields, and a time at which the item is gone.
//!
//! | store | for |
//! |---|---|
//! | [`Memory`] | tests, and servers whose connections end with them |
#![cfg_attr(feature = "server", doc = "| [`Embedded`] | one server, in a folder |")]
#![cfg_attr(
    feature = "dynamodb",
    doc = "| [`DynamoDb`] | functions, and whatever else shares a table |"
)]
//!
//! [`from_env`] finds the one that the home of an app has.
//!
//! Keys and items are held to DynamoDB's limits in all of them: a partition key of 2,048
//! bytes, a sort key of 1,024, an item of 400 KB.

#[cfg(feature = "dynamodb")]
mod dynamodb;
#[cfg(feature = "server")]
mod embedded;
mod environment;
mod index;
mod limits;
mod memory;

use std::fmt::Debug;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use futures_util::future::BoxFuture;
use serde_json::{Map, Value};

#[cfg(feature = "dynamodb")]
pub use self::dynamodb::{Attributes, DynamoDb};
#[cfg(feature = "server")]
pub use self::embedded::Embedded;
pub use self::environment::from_env;
pub use self::memory::Memory;

/// A table. The implementations differ in where the items are; one test suite holds for
/// them all.
///
/// What has expired is as if it were not there, whether or not it is removed yet.
pub trait Store: Debug + Send + Sync + 'static {
    /// Writes items, each whole: what was there before is replaced. Not one transaction:
    /// where it fails, some may be written.
    fn put(&self, items: Vec<Item>) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Writes an item only if what is there is as `condition` says. Says whether it was
    /// written.
    fn put_if(&self, item: Item, condition: Condition) -> BoxFuture<'_, Result<bool, StoreError>>;

    /// Reads an item.
    fn get<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Item>, StoreError>>;

    /// Removes items; those that are not there do not matter.
    fn delete(&self, keys: Vec<Key>) -> BoxFuture<'_, Result<(), StoreError>>;

    /// A page of the items of a partition whose sort keys begin with `prefix`, in the order
    /// of their sort keys' bytes, from behind `after`.
    fn query<'a>(
        &'a self,
        partition: &'a str,
        prefix: &'a str,
        after: Option<Cursor>,
    ) -> BoxFuture<'a, Result<Page, StoreError>>;
}

/// A store that is shared is one.
impl<S: Store + ?Sized> Store for Arc<S> {
    fn put(&self, items: Vec<Item>) -> BoxFuture<'_, Result<(), StoreError>> {
        (**self).put(items)
    }

    fn put_if(&self, item: Item, condition: Condition) -> BoxFuture<'_, Result<bool, StoreError>> {
        (**self).put_if(item, condition)
    }

    fn get<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Item>, StoreError>> {
        (**self).get(key)
    }

    fn delete(&self, keys: Vec<Key>) -> BoxFuture<'_, Result<(), StoreError>> {
        (**self).delete(keys)
    }

    fn query<'a>(
        &'a self,
        partition: &'a str,
        prefix: &'a str,
        after: Option<Cursor>,
    ) -> BoxFuture<'a, Result<Page, StoreError>> {
        (**self).query(partition, prefix, after)
    }
}

/// Which item.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The partition key; not empty.
    pub partition: String,
    /// The sort key; empty in tables that have none.
    pub sort: String,
}

/// An item.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// Which it is.
    pub key: Key,
    /// What it holds, besides its key and its expiry.
    pub fields: Map<String, Value>,
    /// When it is gone, in seconds since the epoch; `None`: never.
    pub expires_at: Option<f64>,
}

/// What has to be there for a conditional write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Nothing with that key.
    Absent,
    /// An item with that key.
    Present,
}

/// Some of the items that a query found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// The items.
    pub items: Vec<Item>,
    /// Where the next page begins; `None` after the last.
    pub next: Option<Cursor>,
}

/// Where the next page of a query begins: behind this key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor(pub Key);

/// Why a store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// It has no room for more, or no time. Try again later.
    #[error("the store is busy: {0}")]
    Busy(String),
    /// What was to be written cannot be. Fault of the caller.
    #[error("the store cannot take this: {0}")]
    Refused(String),
    /// It could not be reached, or failed.
    #[error("the store failed: {0}")]
    Failed(String),
}

// === impl Key ===

impl Key {
    /// A key of these parts.
    pub fn new(partition: impl Into<String>, sort: impl Into<String>) -> Self {
        Self { partition: partition.into(), sort: sort.into() }
    }
}

// === impl Item ===

impl Item {
    /// An item that holds the fields of a JSON object, and does not expire. What is no
    /// object is no field.
    pub fn new(key: Key, fields: Value) -> Self {
        let fields = match fields {
            Value::Object(fields) => fields,
            _ => Map::new(),
        };
        Self { key, fields, expires_at: None }
    }

    /// Has it expire in so many seconds from now.
    #[must_use]
    pub fn lasting(mut self, seconds: f64) -> Self {
        self.expires_at = Some(now() + seconds);
        self
    }
}

/// The time, in seconds since the epoch: what expiry is compared with.
pub(crate) fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}
