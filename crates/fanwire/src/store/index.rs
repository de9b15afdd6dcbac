//! Items in the order of their keys, and of their expiry.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use super::{Condition, Cursor, Item, Key, Page, StoreError};

/// How many items a page of a query has, unless said otherwise: some 1,000, as DynamoDB's
/// 1 MB of records of the usual size.
pub(super) const PAGE_ITEMS: usize = 1000;

/// How many expired items one write removes: more than it adds, so that they never pile up,
/// and few, so that no write waits for them.
const SWEPT_BY_ONE_WRITE: usize = 64;

/// The items of a store that has them in memory.
#[derive(Debug)]
pub(super) struct Index {
    items: BTreeMap<Key, Item>,
    /// By when they expire.
    expiring: BTreeSet<(Instant, Key)>,
    limit: usize,
}

/// Seconds since the epoch, ordered as numbers are: no NaN gets in.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Instant(f64);

// === impl Index ===

impl Index {
    /// An empty one with room for so many items.
    pub(super) fn new(limit: usize) -> Self {
        Self { items: BTreeMap::new(), expiring: BTreeSet::new(), limit }
    }

    /// Whether items can be written: those that replace others always can.
    pub(super) fn room(&self, items: &[Item]) -> Result<(), StoreError> {
        let new = items.iter().filter(|item| !self.items.contains_key(&item.key)).count();
        if new > 0 && self.items.len().saturating_add(new) > self.limit {
            return Err(StoreError::Busy(format!(
                "it holds {} of {} items; give it more room, or let items expire sooner",
                self.items.len(),
                self.limit
            )));
        }
        Ok(())
    }

    /// Sets an item.
    pub(super) fn put(&mut self, item: Item) {
        self.remove(&item.key);
        if let Some(at) = item.expires_at {
            self.expiring.insert((Instant(at), item.key.clone()));
        }
        self.items.insert(item.key.clone(), item);
    }

    /// Removes an item.
    pub(super) fn remove(&mut self, key: &Key) {
        if let Some(at) = self.items.remove(key).and_then(|item| item.expires_at) {
            self.expiring.remove(&(Instant(at), key.clone()));
        }
    }

    /// The item, if it has not expired.
    pub(super) fn get(&self, key: &Key, now: f64) -> Option<&Item> {
        self.items.get(key).filter(|item| !has_expired(item, now))
    }

    /// Whether what is there is as `condition` says.
    pub(super) fn is(&self, condition: Condition, key: &Key, now: f64) -> bool {
        self.get(key, now).is_some() == (condition == Condition::Present)
    }

    /// Removes some of what has expired. Gives their keys.
    pub(super) fn sweep(&mut self, now: f64) -> Vec<Key> {
        let expired: Vec<_> = self
            .expiring
            .iter()
            .take_while(|(at, _)| at.0 <= now)
            .take(SWEPT_BY_ONE_WRITE)
            .map(|(_, key)| key.clone())
            .collect();
        for key in &expired {
            self.remove(key);
        }
        expired
    }

    /// A page of at most `size` items.
    pub(super) fn query(
        &self,
        partition: &str,
        prefix: &str,
        after: Option<Cursor>,
        size: usize,
        now: f64,
    ) -> Page {
        let first = Key { partition: partition.to_owned(), sort: prefix.to_owned() };
        let from = match after {
            Some(Cursor(key)) if key >= first => Bound::Excluded(key),
            _ => Bound::Included(first),
        };
        let mut page = Page::default();
        let found = self
            .items
            .range((from, Bound::Unbounded))
            .take_while(|(key, _)| key.partition == partition && key.sort.starts_with(prefix))
            .filter(|(_, item)| !has_expired(item, now));
        for (_, item) in found {
            if page.items.len() == size {
                page.next = page.items.last().map(|item| Cursor(item.key.clone()));
                break;
            }
            page.items.push(item.clone());
        }
        page
    }
}

/// Whether an item is gone.
pub(super) fn has_expired(item: &Item, now: f64) -> bool {
    item.expires_at.is_some_and(|at| at <= now)
}

// === impl Instant ===

impl Eq for Instant {}

impl Ord for Instant {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl PartialOrd for Instant {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
