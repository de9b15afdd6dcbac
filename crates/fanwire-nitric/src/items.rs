//! What collections and key-value stores are kept in: an ordered map in memory, and under
//! it, where there is one, an embedded store. A write is acknowledged when the store has it.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use fanwire_store::{Batch, Refused, Store, StoreError, Table, WriteError};
use tokio::sync::oneshot;

/// The table of the embedded store.
const TABLE: &str = "items";

/// How many items there may be: they are in memory.
const MAX_ITEMS: usize = 1_000_000;

/// How many bytes all of them may have, keys included.
const MAX_BYTES: usize = 512 * 1024 * 1024;

/// How many bytes one may have: as many as in DynamoDB, where AWS has them.
const MAX_ITEM_BYTES: usize = 400 * 1024;

/// The longest part of a key, in bytes.
const MAX_PART_BYTES: usize = 2048;

/// Where an item is. Items of one space and group stand beside each other, by their ids.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ItemKey {
    /// A collection, a sub-collection or a store.
    pub(crate) space: String,
    /// The document that a sub-collection belongs to; empty elsewhere.
    pub(crate) group: String,
    /// The document's or value's own key.
    pub(crate) id: String,
}

/// The items. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Items {
    index: Arc<Mutex<Index>>,
    durable: Option<(Store, Table)>,
}

#[derive(Default)]
struct Index {
    items: BTreeMap<ItemKey, Bytes>,
    bytes: usize,
}

/// Why items cannot be read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ItemsError {
    /// An item, or its key, is too large.
    #[error("too large: {0}")]
    TooLarge(String),
    /// There is no room for more.
    #[error("there is no room for more: {0}")]
    Full(String),
    /// The store has failed.
    #[error("the store has failed: {0}; restart the server, or begin anew with --fresh")]
    Failed(String),
    /// The store holds something that is no item.
    #[error("the store is damaged; begin anew with --fresh")]
    Damaged,
}

/// When the store has a change.
type Written = Option<oneshot::Receiver<Result<(), WriteError>>>;

// === impl Items ===

impl Items {
    /// Reads all that is kept. Blocks on the disk.
    pub(crate) fn open(store: Option<Store>) -> Result<Self, OpenError> {
        let mut index = Index::default();
        let mut damaged = false;
        let durable = match store {
            None => None,
            Some(store) => {
                let table = store.table(TABLE)?;
                store.for_each(table, b"", |key, value| match ItemKey::decode(key) {
                    Some(key) => index.put(key, Bytes::copy_from_slice(value)),
                    None => damaged = true,
                })?;
                Some((store, table))
            }
        };
        if damaged {
            return Err(OpenError::Items(ItemsError::Damaged));
        }
        Ok(Self { index: Arc::new(Mutex::new(index)), durable })
    }

    /// An item's value.
    pub(crate) fn get(&self, key: &ItemKey) -> Option<Bytes> {
        self.index().items.get(key).cloned()
    }

    /// Sets an item, whether it was there or not.
    pub(crate) async fn put(&self, key: ItemKey, value: Bytes) -> Result<(), ItemsError> {
        wait(self.put_now(key, value)?).await
    }

    /// Takes items out, as far as they are there.
    pub(crate) async fn remove(&self, keys: Vec<ItemKey>) -> Result<(), ItemsError> {
        wait(self.remove_now(&keys)?).await
    }

    /// Calls `each` with the items of a space, or of one group of it, in their order, from
    /// a place on or from the first, until it breaks. Meanwhile nothing is written.
    pub(crate) fn scan(
        &self,
        space: &str,
        group: Option<&str>,
        from: Bound<ItemKey>,
        mut each: impl FnMut(&ItemKey, &Bytes) -> ControlFlow<()>,
    ) {
        let first = ItemKey::new(space, group.unwrap_or_default(), "");
        let from = match from {
            Bound::Included(key) | Bound::Excluded(key) if key < first => Bound::Included(first),
            Bound::Unbounded => Bound::Included(first),
            from => from,
        };
        let index = self.index();
        for (key, value) in index.items.range((from, Bound::Unbounded)) {
            let is_wanted = key.space == space && group.is_none_or(|group| key.group == group);
            if !is_wanted || each(key, value).is_break() {
                return;
            }
        }
    }

    /// The spaces whose names begin with a text, of which there are few.
    pub(crate) fn spaces(&self, beginning: &str) -> Vec<String> {
        let index = self.index();
        let mut spaces = Vec::new();
        let mut from = Bound::Included(ItemKey::new(beginning, "", ""));
        while let Some((key, _)) = index.items.range((from, Bound::Unbounded)).next() {
            if !key.space.starts_with(beginning) {
                break;
            }
            spaces.push(key.space.clone());
            // Nothing stands between a space and the text that is one character longer.
            from = Bound::Included(ItemKey::new(&format!("{}\0", key.space), "", ""));
        }
        spaces
    }

    /// The index is locked until the store has the change in its line, so that both have
    /// the same order.
    fn put_now(&self, key: ItemKey, value: Bytes) -> Result<Written, ItemsError> {
        key.check()?;
        if value.len() > MAX_ITEM_BYTES {
            let (bytes, most) = (value.len(), MAX_ITEM_BYTES);
            let text = format!("a document or value of {bytes} bytes; at most {most}");
            return Err(ItemsError::TooLarge(text));
        }
        if let Some((store, _)) = &self.durable {
            store.room().map_err(|no| ItemsError::Full(no.to_string()))?;
        }
        let mut index = self.index();
        index.room(&key, &value)?;
        let written = self.commit(|batch, table| batch.put(table, &key.encode(), &value))?;
        index.put(key, value);
        Ok(written)
    }

    fn remove_now(&self, keys: &[ItemKey]) -> Result<Written, ItemsError> {
        let mut index = self.index();
        let written = self.commit(|batch, table| {
            for key in keys {
                batch.delete(table, &key.encode());
            }
        })?;
        keys.iter().for_each(|key| index.remove(key));
        Ok(written)
    }

    fn commit(&self, change: impl FnOnce(&mut Batch, Table)) -> Result<Written, ItemsError> {
        let Some((store, table)) = &self.durable else { return Ok(None) };
        let mut batch = Batch::new();
        change(&mut batch, *table);
        let (done, written) = oneshot::channel();
        let committed = store.commit(batch, |result| {
            // Who asked may have gone away since: the write holds all the same.
            let _ = done.send(result);
        });
        committed.map(|()| Some(written)).map_err(|refused| match refused {
            Refused::Full(_) => ItemsError::Full(refused.to_string()),
            Refused::Size { .. } => ItemsError::TooLarge(refused.to_string()),
        })
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        // No change is half done, even where a thread has panicked.
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn wait(written: Written) -> Result<(), ItemsError> {
    let Some(written) = written else { return Ok(()) };
    match written.await {
        Ok(result) => result.map_err(|error| ItemsError::Failed(error.to_string())),
        Err(_) => Err(ItemsError::Failed("it was closed".to_owned())),
    }
}

/// Why items cannot be had at the start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Items(ItemsError),
}

// === impl Index ===

impl Index {
    /// Whether an item fits in, in the place of the one that is there.
    fn room(&self, key: &ItemKey, value: &Bytes) -> Result<(), ItemsError> {
        let old = self.items.get(key);
        if old.is_none() && self.items.len() >= MAX_ITEMS {
            return Err(ItemsError::Full(format!("there are {MAX_ITEMS} items")));
        }
        let freed = old.map_or(0, |old| key.len() + old.len());
        if self.bytes - freed + key.len() + value.len() > MAX_BYTES {
            return Err(ItemsError::Full(format!("the items have {MAX_BYTES} bytes")));
        }
        Ok(())
    }

    fn put(&mut self, key: ItemKey, value: Bytes) {
        self.remove(&key);
        self.bytes += key.len() + value.len();
        self.items.insert(key, value);
    }

    fn remove(&mut self, key: &ItemKey) {
        if let Some(value) = self.items.remove(key) {
            self.bytes -= key.len() + value.len();
        }
    }
}

// === impl ItemKey ===

impl ItemKey {
    pub(crate) fn new(space: &str, group: &str, id: &str) -> Self {
        Self { space: space.to_owned(), group: group.to_owned(), id: id.to_owned() }
    }

    fn len(&self) -> usize {
        self.space.len() + self.group.len() + self.id.len()
    }

    fn check(&self) -> Result<(), ItemsError> {
        if [&self.space, &self.group, &self.id].iter().all(|part| part.len() <= MAX_PART_BYTES) {
            return Ok(());
        }
        Err(ItemsError::TooLarge(format!("a key of over {MAX_PART_BYTES} bytes")))
    }

    /// The lengths of the first two parts in two bytes each, before all three. Their order
    /// in the store does not matter, since it is read as a whole.
    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(4 + self.len());
        for part in [&self.space, &self.group] {
            // It fits: parts are checked against a limit below it.
            let length = u16::try_from(part.len()).unwrap_or(u16::MAX);
            bytes.extend_from_slice(&length.to_be_bytes());
        }
        for part in [&self.space, &self.group, &self.id] {
            bytes.extend_from_slice(part.as_bytes());
        }
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (lengths, parts) = bytes.split_first_chunk::<4>()?;
        let [a, b, c, d] = *lengths;
        let (space, rest) = parts.split_at_checked(u16::from_be_bytes([a, b]).into())?;
        let (group, id) = rest.split_at_checked(u16::from_be_bytes([c, d]).into())?;
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
        Some(Self { space: text(space)?, group: text(group)?, id: text(id)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fanwire_store::StoreOptions;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_key_survives_its_bytes(space in ".{0,20}", group in ".{0,20}", id in ".{0,20}") {
            let key = ItemKey { space, group, id };
            prop_assert_eq!(ItemKey::decode(&key.encode()), Some(key));
        }

        #[test]
        fn arbitrary_bytes_are_a_key_or_none(bytes: Vec<u8>) {
            if let Some(key) = ItemKey::decode(&bytes) {
                prop_assert_eq!(key.encode(), bytes);
            }
        }
    }

    fn ids(items: &Items, space: &str, group: Option<&str>, from: Bound<ItemKey>) -> String {
        let mut ids = Vec::new();
        items.scan(space, group, from, |key, _| {
            ids.push(key.id.clone());
            ControlFlow::Continue(())
        });
        ids.join(" ")
    }

    async fn put(items: &Items, space: &str, group: &str, id: &str) {
        items.put(ItemKey::new(space, group, id), Bytes::from_static(b"x")).await.unwrap();
    }

    #[tokio::test]
    async fn a_scan_has_one_space_or_group_in_order_and_can_go_on() {
        let items = Items::open(None).unwrap();
        for (space, group, id) in
            [("a", "", "2"), ("a", "", "1"), ("b", "p", "3"), ("b", "q", "4"), ("c", "", "5")]
        {
            put(&items, space, group, id).await;
        }
        assert_eq!(ids(&items, "a", None, Bound::Unbounded), "1 2");
        assert_eq!(ids(&items, "a", None, Bound::Excluded(ItemKey::new("a", "", "1"))), "2");
        assert_eq!(ids(&items, "b", None, Bound::Unbounded), "3 4");
        assert_eq!(ids(&items, "b", Some("q"), Bound::Unbounded), "4");
        assert_eq!(items.spaces(""), ["a", "b", "c"]);
        assert_eq!(items.spaces("b"), ["b"]);
        items.remove(vec![ItemKey::new("a", "", "1")]).await.unwrap();
        assert_eq!(ids(&items, "a", None, Bound::Unbounded), "2");
    }

    #[tokio::test]
    async fn what_is_acknowledged_is_there_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let open = || {
            let store = Store::open(folder.path(), StoreOptions::default()).unwrap();
            Items::open(Some(store)).unwrap()
        };
        let items = open();
        put(&items, "a", "", "1").await;
        put(&items, "a", "", "2").await;
        items.remove(vec![ItemKey::new("a", "", "1")]).await.unwrap();
        drop(items);
        assert_eq!(ids(&open(), "a", None, Bound::Unbounded), "2");
    }

    #[tokio::test]
    async fn what_is_too_large_is_refused() {
        let items = Items::open(None).unwrap();
        let large = Bytes::from(vec![0; MAX_ITEM_BYTES + 1]);
        let refused = items.put(ItemKey::new("a", "", "1"), large).await;
        assert!(matches!(refused, Err(ItemsError::TooLarge(_))), "{refused:?}");
        let key = ItemKey::new("a", "", &"k".repeat(MAX_PART_BYTES + 1));
        let refused = items.put(key, Bytes::new()).await;
        assert!(matches!(refused, Err(ItemsError::TooLarge(_))), "{refused:?}");
    }
}
