//! A store in a folder of this machine.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fanwire_store::{Batch, Refused, StoreOptions, Table};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::sync::oneshot;

use super::index::{Index, PAGE_ITEMS, has_expired};
use super::limits::{check_item, check_key};
use super::{Condition, Cursor, Item, Key, Page, Store, StoreError, now};

/// The table of the embedded engine that items are in.
const TABLE: &str = "items";

/// How many items it holds: they are in memory, too.
const MAX_ITEMS: usize = 1_000_000;

/// A store in a folder: what it has acknowledged is there after the process has ended,
/// however that came, and after a crash of the machine but for the last 100 ms
/// ([`fanwire_store`] has the details). One process has it at a time.
///
/// All items are in memory, too, so reads touch no disk. A write can be read at once, and is
/// acknowledged when it is committed.
///
/// ```
/// use fanwire::store::{Embedded, Item, Key, Store};
/// use serde_json::json;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), fanwire::store::StoreError> {
/// let folder = tempfile::tempdir().unwrap();
/// let key = Key::new("user#1", "profile");
///
/// let store = Embedded::open(folder.path())?;
/// store.put(vec![Item::new(key.clone(), json!({ "name": "Ann" }))]).await?;
/// drop(store);
///
/// let again = Embedded::open(folder.path())?;
/// assert_eq!(again.get(&key).await?.unwrap().fields["name"], "Ann");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Embedded {
    /// What is in the table, and what is about to be.
    items: Arc<Mutex<Index>>,
    store: fanwire_store::Store,
    table: Table,
    page: usize,
}

/// An item's value in the engine.
#[derive(Deserialize, Serialize)]
struct Stored {
    fields: Map<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<f64>,
}

/// When the engine has written a change.
type Written = oneshot::Receiver<Result<(), StoreError>>;

// === impl Embedded ===

impl Embedded {
    /// Opens the store in `folder`, which is made if it does not exist, and reads it. Blocks
    /// on the disk: meant for the start.
    ///
    /// # Errors
    ///
    /// When another process has the folder, or its files make no sense.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::open_with(folder, StoreOptions::default())
    }

    /// As [`open`](Self::open), with what its acknowledgements promise.
    ///
    /// # Errors
    ///
    /// When another process has the folder, or its files make no sense.
    pub fn open_with(folder: impl AsRef<Path>, options: StoreOptions) -> Result<Self, StoreError> {
        let store = fanwire_store::Store::open(folder.as_ref(), options).map_err(failed)?;
        let table = store.table(TABLE).map_err(failed)?;
        let (mut index, now) = (Index::new(MAX_ITEMS), now());
        let mut damaged = None;
        store
            .for_each(table, b"", |key, value| match decode(key, value) {
                Some(item) if has_expired(&item, now) => {}
                Some(item) => index.put(item),
                None => damaged = Some(String::from_utf8_lossy(key).into_owned()),
            })
            .map_err(failed)?;
        match damaged {
            None => Ok(Self { items: Arc::new(Mutex::new(index)), store, table, page: PAGE_ITEMS }),
            Some(key) => Err(StoreError::Failed(format!(
                "{} holds something at `{key}` that is no item: restore it from a copy, or move it away to begin anew",
                folder.as_ref().display()
            ))),
        }
    }

    /// Answers queries in pages of at most so many items, 1,000 unless said otherwise.
    #[must_use]
    pub fn pages_of(mut self, items: usize) -> Self {
        self.page = items.max(1);
        self
    }

    /// The items; whole even when a thread has panicked, since no change is half done.
    fn items(&self) -> MutexGuard<'_, Index> {
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes items if all of them are as `condition` says: `None` if not. The index is
    /// locked until the engine has the change, so that both have the same order.
    fn put_now(
        &self,
        items: Vec<Item>,
        condition: Option<Condition>,
    ) -> Result<Option<Written>, StoreError> {
        let encoded = items
            .iter()
            .map(|item| check_item(item).and_then(|_| encode(item)))
            .collect::<Result<Vec<_>, _>>()?;
        self.store.room().map_err(|no| StoreError::Busy(no.to_string()))?;
        let (mut index, now) = (self.items(), now());
        if let Some(condition) = condition
            && !items.iter().all(|item| index.is(condition, &item.key, now))
        {
            return Ok(None);
        }
        let mut batch = Batch::new();
        for key in index.sweep(now) {
            batch.delete(self.table, &encode_key(&key));
        }
        index.room(&items)?;
        for (key, value) in &encoded {
            batch.put(self.table, key, value);
        }
        let written = self.commit(batch)?;
        items.into_iter().for_each(|item| index.put(item));
        Ok(Some(written))
    }

    fn delete_now(&self, keys: &[Key]) -> Result<Written, StoreError> {
        keys.iter().try_for_each(check_key)?;
        let mut index = self.items();
        let mut batch = Batch::new();
        for key in keys {
            batch.delete(self.table, &encode_key(key));
        }
        let written = self.commit(batch)?;
        keys.iter().for_each(|key| index.remove(key));
        Ok(written)
    }

    fn commit(&self, batch: Batch) -> Result<Written, StoreError> {
        let (done, written) = oneshot::channel();
        let result = self.store.commit(batch, move |result| {
            // Who asked may have gone away since: the write holds all the same.
            let _ = done.send(result.map_err(failed));
        });
        match result {
            Ok(()) => Ok(written),
            Err(refused @ Refused::Full(_)) => Err(StoreError::Busy(refused.to_string())),
            Err(refused @ Refused::Size { .. }) => Err(StoreError::Refused(refused.to_string())),
        }
    }
}

impl Store for Embedded {
    fn put(&self, items: Vec<Item>) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            match self.put_now(items, None)? {
                Some(written) => wait(written).await,
                None => Ok(()),
            }
        }
        .boxed()
    }

    fn put_if(&self, item: Item, condition: Condition) -> BoxFuture<'_, Result<bool, StoreError>> {
        async move {
            match self.put_now(vec![item], Some(condition))? {
                Some(written) => wait(written).await.map(|()| true),
                None => Ok(false),
            }
        }
        .boxed()
    }

    fn get<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Item>, StoreError>> {
        async move {
            check_key(key)?;
            Ok(self.items().get(key, now()).cloned())
        }
        .boxed()
    }

    fn delete(&self, keys: Vec<Key>) -> BoxFuture<'_, Result<(), StoreError>> {
        async move { wait(self.delete_now(&keys)?).await }.boxed()
    }

    fn query<'a>(
        &'a self,
        partition: &'a str,
        prefix: &'a str,
        after: Option<Cursor>,
    ) -> BoxFuture<'a, Result<Page, StoreError>> {
        async move { Ok(self.items().query(partition, prefix, after, self.page, now())) }.boxed()
    }
}

async fn wait(written: Written) -> Result<(), StoreError> {
    written.await.unwrap_or_else(|_| Err(StoreError::Failed("it was closed".to_owned())))
}

fn failed(error: impl std::fmt::Display) -> StoreError {
    StoreError::Failed(error.to_string())
}

/// The length of the partition key in two bytes, that key, and the sort key: the order of
/// the engine does not matter, since it is read only as a whole.
fn encode_key(key: &Key) -> Vec<u8> {
    // It fits: keys are checked against a limit below it.
    let length = u16::try_from(key.partition.len()).unwrap_or(u16::MAX);
    let mut bytes = Vec::with_capacity(2 + key.partition.len() + key.sort.len());
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(key.partition.as_bytes());
    bytes.extend_from_slice(key.sort.as_bytes());
    bytes
}

fn encode(item: &Item) -> Result<(Vec<u8>, Vec<u8>), StoreError> {
    let stored = Stored { fields: item.fields.clone(), expires_at: item.expires_at };
    let value = serde_json::to_vec(&stored).map_err(failed)?;
    Ok((encode_key(&item.key), value))
}

fn decode(key: &[u8], value: &[u8]) -> Option<Item> {
    let (length, key) = key.split_first_chunk::<2>()?;
    let (partition, sort) = key.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    let stored: Stored = serde_json::from_slice(value).ok()?;
    Some(Item {
        key: Key::new(std::str::from_utf8(partition).ok()?, std::str::from_utf8(sort).ok()?),
        fields: stored.fields,
        expires_at: stored.expires_at,
    })
}
