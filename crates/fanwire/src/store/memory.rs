//! A store that ends with the process.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::index::{Index, PAGE_ITEMS};
use super::limits::{check_item, check_key};
use super::{Condition, Cursor, Item, Key, Page, Store, StoreError, now};

/// How many items a [`Memory`] holds unless said otherwise: some hundreds of MB of the usual
/// records.
const MAX_ITEMS: usize = 1_000_000;

/// A store in memory: for tests, and for servers whose connections end with them anyway.
/// Clones are handles to the same items.
///
/// ```
/// use fanwire::store::{Item, Key, Memory, Store};
/// use serde_json::json;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), fanwire::store::StoreError> {
/// let store = Memory::new();
/// let key = Key::new("room#1", "member#ann");
/// store.put(vec![Item::new(key.clone(), json!({ "name": "Ann" })).lasting(3600.0)]).await?;
///
/// let members = store.query("room#1", "member#", None).await?;
/// assert_eq!(members.items[0].fields["name"], "Ann");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Memory {
    items: Arc<Mutex<Index>>,
    page: usize,
}

// === impl Memory ===

impl Memory {
    /// An empty store with room for 1,000,000 items.
    pub fn new() -> Self {
        Self::with_room(MAX_ITEMS)
    }

    /// An empty store with room for so many items; further ones are refused as
    /// [`StoreError::Busy`].
    pub fn with_room(items: usize) -> Self {
        Self { items: Arc::new(Mutex::new(Index::new(items))), page: PAGE_ITEMS }
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

    fn put_now(&self, items: Vec<Item>) -> Result<(), StoreError> {
        for item in &items {
            check_item(item)?;
        }
        let mut index = self.items();
        index.sweep(now());
        index.room(&items)?;
        items.into_iter().for_each(|item| index.put(item));
        Ok(())
    }

    fn put_now_if(&self, item: Item, condition: Condition) -> Result<bool, StoreError> {
        check_item(&item)?;
        let mut index = self.items();
        if !index.is(condition, &item.key, now()) {
            return Ok(false);
        }
        index.sweep(now());
        index.room(std::slice::from_ref(&item))?;
        index.put(item);
        Ok(true)
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

impl Store for Memory {
    fn put(&self, items: Vec<Item>) -> BoxFuture<'_, Result<(), StoreError>> {
        async move { self.put_now(items) }.boxed()
    }

    fn put_if(&self, item: Item, condition: Condition) -> BoxFuture<'_, Result<bool, StoreError>> {
        async move { self.put_now_if(item, condition) }.boxed()
    }

    fn get<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Item>, StoreError>> {
        async move {
            check_key(key)?;
            Ok(self.items().get(key, now()).cloned())
        }
        .boxed()
    }

    fn delete(&self, keys: Vec<Key>) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            keys.iter().try_for_each(check_key)?;
            let mut index = self.items();
            keys.iter().for_each(|key| index.remove(key));
            Ok(())
        }
        .boxed()
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
