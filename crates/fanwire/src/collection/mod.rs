//! Collections of documents, as Nitric has them, with types: on any [`Store`].
//!
//! ```
//! use fanwire::collection::{Collection, Operator};
//! use fanwire::store::Memory;
//!
//! #[derive(serde::Serialize, serde::Deserialize)]
//! struct Player { name: String, score: u32 }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> fanwire::Result {
//! let players = Collection::<Player>::new("players", Memory::new());
//! players.doc("ali").set(&Player { name: "Ali".into(), score: 41 }).await?;
//!
//! let ali = players.doc("ali").get().await?;
//! assert_eq!(ali.unwrap().name, "Ali");
//!
//! let mut best = players.query().r#where("score", Operator::Greater, 40).limit(10).stream();
//! while let Some(player) = best.try_next().await? {
//!     println!("{}: {}", player.id, player.content.score);
//! }
//! players.doc("ali").delete().await?;
//! # Ok(())
//! # }
//! ```
//!
//! Nitric's chat, whole. Its tutorial sends each message back to who has sent it, once for
//! every other client; this one sends it to the others:
//!
//! ```no_run
//! use fanwire::collection::Collection;
//! use fanwire::store::Memory;
//! use fanwire::websocket::{Body, Connection, State, WebSocket};
//! use fanwire::Result;
//!
//! type Connections = State<Collection<()>>;
//!
//! async fn connect(connection: Connection, connections: Connections) -> Result {
//!     Ok(connections.doc(connection.id()).set(&()).await?)
//! }
//!
//! async fn disconnect(connection: Connection, connections: Connections) -> Result {
//!     Ok(connections.doc(connection.id()).delete().await?)
//! }
//!
//! async fn message(connection: Connection, message: Body, connections: Connections) -> Result {
//!     let mut others = connections.query().ids().await?;
//!     others.retain(|id| id != connection.id());
//!     connection.to_many(others).send(message).await?;
//!     Ok(())
//! }
//!
//! fn main() -> Result {
//!     let connections = Collection::new("connections", Memory::new());
//!     let socket = WebSocket::with_state(connections);
//!     fanwire::run(socket.connect(connect).disconnect(disconnect).message(message))
//! }
//! ```

mod query;
#[cfg(test)]
mod tests;

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

pub use self::query::{Documents, Operator, Page, Query};
use crate::store::{Condition, Item, Key, Store, StoreError};

/// Documents of one type, each with an id. Cheap to clone.
///
/// A document is a struct or a map; `()` is one without fields. In the store, a collection
/// is a partition of its name, and the ids are the sort keys.
pub struct Collection<T> {
    store: Arc<dyn Store>,
    name: Arc<str>,
    expires_after: Option<Duration>,
    content: PhantomData<fn() -> T>,
}

/// One document, whether there or not.
pub struct DocumentRef<T> {
    collection: Collection<T>,
    id: String,
}

/// A document that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document<T> {
    /// Its id.
    pub id: String,
    /// What it holds.
    pub content: T,
}

/// Why a collection did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CollectionError {
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What the store has is not of the collection's type.
    #[error("document `{id}` of `{collection}` is not what it should be: {source}")]
    Content {
        /// The collection.
        collection: String,
        /// The document's id.
        id: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// What was to be written has no fields, as a number or a list has none.
    #[error("a document of `{collection}` has to be a struct or a map: {why}")]
    NotDocument {
        /// The collection.
        collection: String,
        /// What it is instead.
        why: String,
    },
}

// === impl Collection ===

impl<T> Collection<T> {
    /// The collection of this name in a store. Its documents are kept until they are
    /// deleted.
    pub fn new(name: impl Into<Arc<str>>, store: impl Store) -> Self {
        let (store, name) = (Arc::new(store), name.into());
        Self { store, name, expires_after: None, content: PhantomData }
    }

    /// Keeps documents for no longer than `time` after they were set.
    #[must_use]
    pub fn expires_after(mut self, time: Duration) -> Self {
        self.expires_after = Some(time);
        self
    }

    /// The document of an id, which is not empty.
    pub fn doc(&self, id: impl Into<String>) -> DocumentRef<T> {
        DocumentRef { collection: self.clone(), id: id.into() }
    }

    /// All documents, until the query is made narrower.
    pub fn query(&self) -> Query<T> {
        Query::new(self.clone())
    }

    fn key(&self, id: &str) -> Key {
        Key::new(&*self.name, id)
    }
}

impl<T> Clone for Collection<T> {
    fn clone(&self) -> Self {
        let (store, name) = (Arc::clone(&self.store), Arc::clone(&self.name));
        Self { store, name, expires_after: self.expires_after, content: PhantomData }
    }
}

impl<T> fmt::Debug for Collection<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collection").field("name", &self.name).field("store", &self.store).finish()
    }
}

impl<T: DeserializeOwned> Collection<T> {
    /// What an item holds. One without fields may be a `()`.
    fn document(&self, item: Item) -> Result<Document<T>, CollectionError> {
        let id = item.key.sort;
        let empty = item.fields.is_empty();
        let content = serde_json::from_value(Value::Object(item.fields));
        let content = match content {
            Err(_) if empty => serde_json::from_value(Value::Null),
            read => read,
        };
        match content {
            Ok(content) => Ok(Document { id, content }),
            Err(source) => {
                Err(CollectionError::Content { collection: self.name.to_string(), id, source })
            }
        }
    }
}

// === impl DocumentRef ===

impl<T> DocumentRef<T> {
    /// The document's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Removes it, if it is there.
    pub async fn delete(&self) -> Result<(), CollectionError> {
        Ok(self.collection.store.delete(vec![self.collection.key(&self.id)]).await?)
    }
}

impl<T: Serialize> DocumentRef<T> {
    /// Writes it: what was there before is replaced.
    pub async fn set(&self, content: &T) -> Result<(), CollectionError> {
        let item = self.item(content)?;
        Ok(self.collection.store.put(vec![item]).await?)
    }

    /// Writes it if there is none of this id yet. Says whether it has.
    pub async fn create(&self, content: &T) -> Result<bool, CollectionError> {
        let item = self.item(content)?;
        Ok(self.collection.store.put_if(item, Condition::Absent).await?)
    }

    fn item(&self, content: &T) -> Result<Item, CollectionError> {
        let refused = |why: String| CollectionError::NotDocument {
            collection: self.collection.name.to_string(),
            why,
        };
        let fields = match serde_json::to_value(content) {
            Ok(Value::Object(fields)) => fields,
            Ok(Value::Null) => Map::new(),
            Ok(other) => return Err(refused(format!("it is `{other}`"))),
            Err(error) => return Err(refused(error.to_string())),
        };
        let item = Item { key: self.collection.key(&self.id), fields, expires_at: None };
        Ok(match self.collection.expires_after {
            Some(time) => item.lasting(time.as_secs_f64()),
            None => item,
        })
    }
}

impl<T: DeserializeOwned> DocumentRef<T> {
    /// Reads it.
    pub async fn get(&self) -> Result<Option<T>, CollectionError> {
        let item = self.collection.store.get(&self.collection.key(&self.id)).await?;
        let document = item.map(|item| self.collection.document(item)).transpose()?;
        Ok(document.map(|document| document.content))
    }
}

impl<T> fmt::Debug for DocumentRef<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DocumentRef")
            .field("collection", &self.collection.name)
            .field("id", &self.id)
            .finish()
    }
}
