//! A store for tests: a map, in pages of two.

use std::collections::BTreeMap;
use std::sync::Mutex;

use futures_util::future::{BoxFuture, ready};

use crate::store::{Condition, Cursor, Item, Key, Page, Store, StoreError};

const PAGE: usize = 2;

#[derive(Debug, Default)]
pub(crate) struct Map(pub(crate) Mutex<BTreeMap<Key, Item>>);

impl Map {
    pub(crate) fn keys(&self) -> Vec<(String, String)> {
        let items = self.0.lock().unwrap();
        items.keys().map(|key| (key.partition.clone(), key.sort.clone())).collect()
    }
}

impl Store for Map {
    fn put(&self, items: Vec<Item>) -> BoxFuture<'_, Result<(), StoreError>> {
        self.0.lock().unwrap().extend(items.into_iter().map(|item| (item.key.clone(), item)));
        Box::pin(ready(Ok(())))
    }

    fn put_if(&self, item: Item, condition: Condition) -> BoxFuture<'_, Result<bool, StoreError>> {
        let mut items = self.0.lock().unwrap();
        let written = items.contains_key(&item.key) == (condition == Condition::Present);
        if written {
            items.insert(item.key.clone(), item);
        }
        Box::pin(ready(Ok(written)))
    }

    fn get<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Item>, StoreError>> {
        Box::pin(ready(Ok(self.0.lock().unwrap().get(key).cloned())))
    }

    fn delete(&self, keys: Vec<Key>) -> BoxFuture<'_, Result<(), StoreError>> {
        self.0.lock().unwrap().retain(|key, _| !keys.contains(key));
        Box::pin(ready(Ok(())))
    }

    fn query<'a>(
        &'a self,
        partition: &'a str,
        prefix: &'a str,
        after: Option<Cursor>,
    ) -> BoxFuture<'a, Result<Page, StoreError>> {
        let items = self.0.lock().unwrap();
        let wanted = |item: &&Item| {
            item.key.partition == partition
                && item.key.sort.starts_with(prefix)
                && after.as_ref().is_none_or(|after| item.key > after.0)
        };
        let items: Vec<Item> = items.values().filter(wanted).take(PAGE).cloned().collect();
        let last = items.get(PAGE - 1).map(|item| Cursor(item.key.clone()));
        Box::pin(ready(Ok(Page { items, next: last })))
    }
}
