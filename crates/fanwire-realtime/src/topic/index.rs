//! Values under topic filters.

use std::fmt;
use std::hash::BuildHasher as _;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use super::trie::Trie;
use super::{ALL, ANY, Parent};

/// Topic filters with a value each, matched against topic names.
///
/// A filter without wildcards is found by one look-up, whatever their number; those with
/// wildcards by a walk that takes one look-up for each level of the name and each filter
/// that begins as the name does.
pub struct TopicIndex<V> {
    exact: HashTable<Box<Exact<V>>>,
    wild: Trie<V>,
    hasher: RandomState,
}

/// A filter that matches itself only. In a box of its own, so that a growing table moves
/// eight bytes for each.
struct Exact<V> {
    filter: Box<str>,
    value: V,
}

// === impl TopicIndex ===

impl<V> TopicIndex<V> {
    /// An index without filters. It allocates nothing yet.
    pub fn new() -> Self {
        Self { exact: HashTable::new(), wild: Trie::new(), hasher: RandomState::default() }
    }

    /// How many filters have a value.
    pub fn len(&self) -> usize {
        self.exact.len() + self.wild.len()
    }

    /// Whether no filter has a value.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value of exactly this filter.
    pub fn get(&self, filter: &str) -> Option<&V> {
        if has_wildcard(filter) {
            return self.wild.get(filter);
        }
        self.find_exact(filter).map(|entry| &entry.value)
    }

    /// The value of exactly this filter, to be changed.
    pub fn get_mut(&mut self, filter: &str) -> Option<&mut V> {
        if has_wildcard(filter) {
            return self.wild.get_mut(filter);
        }
        let hash = self.hasher.hash_one(filter);
        let entry = self.exact.find_mut(hash, |entry| *entry.filter == *filter)?;
        Some(&mut entry.value)
    }

    /// Takes a filter out, and what only it needed with it.
    pub fn remove(&mut self, filter: &str) -> Option<V> {
        if has_wildcard(filter) {
            return self.wild.remove(filter);
        }
        let hash = self.hasher.hash_one(filter);
        let entry = self.exact.find_entry(hash, |entry| *entry.filter == *filter).ok()?;
        let (removed, _) = entry.remove();
        if self.exact.len() < self.exact.capacity() / 8 {
            let hasher = &self.hasher;
            self.exact
                .shrink_to(self.exact.capacity() / 4, |entry| hasher.hash_one(&*entry.filter));
        }
        Some(removed.value)
    }

    /// Hands the values of all filters that match a topic name to `found`, in no particular
    /// order, each once.
    pub fn matches<'v>(&'v self, name: &str, parent: Parent, mut found: impl FnMut(&'v V)) {
        if let Some(entry) = self.find_exact(name) {
            found(&entry.value);
        }
        self.wild.matches(name, parent, found);
    }

    /// The nodes of filters with wildcards.
    #[cfg(test)]
    pub(super) fn nodes(&self) -> usize {
        self.wild.nodes()
    }

    fn find_exact(&self, filter: &str) -> Option<&Exact<V>> {
        // Also where there are no filters: nothing is hashed then.
        if self.exact.is_empty() {
            return None;
        }
        let hash = self.hasher.hash_one(filter);
        self.exact.find(hash, |entry| *entry.filter == *filter).map(|entry| &**entry)
    }
}

impl<V: Default> TopicIndex<V> {
    /// The value of exactly this filter, which is the default one if it had none.
    pub fn get_or_default(&mut self, filter: &str) -> &mut V {
        if has_wildcard(filter) {
            return self.wild.get_or_default(filter);
        }
        let hasher = &self.hasher;
        let entry = self.exact.entry(
            hasher.hash_one(filter),
            |entry| *entry.filter == *filter,
            |entry| hasher.hash_one(&*entry.filter),
        );
        let fresh = || Box::new(Exact { filter: filter.into(), value: V::default() });
        &mut entry.or_insert_with(fresh).into_mut().value
    }
}

impl<V> Default for TopicIndex<V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<V> fmt::Debug for TopicIndex<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TopicIndex").field("len", &self.len()).finish_non_exhaustive()
    }
}

/// Whether any level is a wildcard. Wildcards are levels of their own in a valid filter; in
/// others they stand for themselves.
fn has_wildcard(filter: &str) -> bool {
    // Most filters have neither character, which is told faster than by their levels.
    filter.contains(['+', '#']) && filter.split('/').any(|level| level == ANY || level == ALL)
}
