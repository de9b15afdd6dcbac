//! Who on a shard is subscribed to what.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fanwire_hub::ConnectionId;
use fanwire_wire::trpc::Envelope;
use fanwire_wire::ws::WireForm;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use slab::Slab;

use crate::history::Filter;

/// One subscription that takes what is published.
#[derive(Debug)]
pub(crate) struct Subscriber {
    pub(crate) connection: ConnectionId,
    /// What its events are sent in.
    pub(crate) envelope: Envelope,
    /// How its connection's frames are encoded.
    pub(crate) form: WireForm,
    pub(crate) path: Arc<str>,
    pub(crate) keys: Box<[Filter]>,
    /// The newest event that it has had, or is not to have.
    pub(crate) after: u64,
    /// The round in which it was found last: nobody is found twice in one.
    round: u64,
}

/// The subscriptions of a shard.
#[derive(Debug, Default)]
pub(crate) struct Index {
    subscribers: Slab<Subscriber>,
    paths: HashMap<Arc<str>, ByPath, FixedState>,
    round: u64,
}

/// Those of one path: all, and by their keys for each filter. Sets, because a popular key has
/// very many, and each of them may go at any time.
#[derive(Debug, Default)]
struct ByPath {
    all: BTreeSet<u32>,
    filters: Vec<(u16, ByKey)>,
}

type ByKey = BTreeMap<Box<[u8]>, BTreeSet<u32>>;

// === impl Subscriber ===

impl Subscriber {
    pub(crate) fn new(
        connection: ConnectionId,
        envelope: Envelope,
        form: WireForm,
        path: Arc<str>,
        keys: Box<[Filter]>,
        after: u64,
    ) -> Self {
        Self { connection, envelope, form, path, keys, after, round: 0 }
    }
}

// === impl Index ===

impl Index {
    /// Adds a subscriber; says by which number it goes.
    pub(crate) fn add(&mut self, subscriber: Subscriber) -> u32 {
        let entry = self.subscribers.vacant_entry();
        // A shard has at most 2^24 connections, and each of them a bounded number.
        let number = u32::try_from(entry.key()).unwrap_or(u32::MAX);
        let by_path = self.paths.entry(Arc::clone(&subscriber.path)).or_default();
        by_path.all.insert(number);
        for (filter, key) in &subscriber.keys {
            by_path.of_filter(*filter).entry(key.clone()).or_default().insert(number);
        }
        entry.insert(subscriber);
        number
    }

    pub(crate) fn get(&self, number: u32) -> Option<&Subscriber> {
        self.subscribers.get(number as usize)
    }

    /// Takes a subscriber out.
    pub(crate) fn remove(&mut self, number: u32) -> Option<Subscriber> {
        let subscriber = self.subscribers.try_remove(number as usize)?;
        if let Some(by_path) = self.paths.get_mut(&subscriber.path) {
            by_path.remove(number, &subscriber.keys);
            if by_path.all.is_empty() {
                self.paths.remove(&subscriber.path);
            }
        }
        Some(subscriber)
    }

    /// Finds the subscribers of a path whom a publication is for, each once. `event` is its
    /// number, where it is tracked: who has had it is left out.
    pub(crate) fn find(
        &mut self,
        path: &str,
        filter: Option<&Filter>,
        event: Option<u64>,
        found: &mut Vec<u32>,
    ) {
        let Some(by_path) = self.paths.get(path) else { return };
        self.round += 1;
        let (round, subscribers) = (self.round, &mut self.subscribers);
        let mut take = |number: u32| {
            let Some(subscriber) = subscribers.get_mut(number as usize) else { return };
            let is_new = event.is_none_or(|event| event > subscriber.after);
            if is_new && subscriber.round != round {
                subscriber.round = round;
                found.push(number);
            }
        };
        let Some((filter, start)) = filter else {
            return by_path.all.iter().copied().for_each(take);
        };
        let Some((_, by_key)) = by_path.filters.iter().find(|(of, _)| of == filter) else { return };
        let from_start = by_key
            .range::<[u8], _>((std::ops::Bound::Included(&**start), std::ops::Bound::Unbounded));
        for (_, numbers) in from_start.take_while(|(key, _)| key.starts_with(start)) {
            numbers.iter().copied().for_each(&mut take);
        }
    }
}

// === impl ByPath ===

impl ByPath {
    fn of_filter(&mut self, filter: u16) -> &mut ByKey {
        let position = self.filters.iter().position(|(of, _)| *of == filter);
        let position = position.unwrap_or_else(|| {
            self.filters.push((filter, ByKey::new()));
            self.filters.len() - 1
        });
        &mut self.filters[position].1
    }

    fn remove(&mut self, number: u32, keys: &[Filter]) {
        self.all.remove(&number);
        for (filter, key) in keys {
            let by_key = self.of_filter(*filter);
            if let Some(numbers) = by_key.get_mut(key) {
                numbers.remove(&number);
                if numbers.is_empty() {
                    by_key.remove(key);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn subscriber(path: u8, keys: &[(u16, Vec<u8>)], after: u64) -> Subscriber {
        let connection = "Lx2eVYrXPHcCIhQ=".parse();
        // Which connection it is does not matter here.
        let connection = connection.unwrap_or_else(|_| "AAAAAAAAAAAAAAA=".parse().unwrap());
        let keys = keys.iter().map(|(filter, key)| (*filter, key.clone().into())).collect();
        let (envelope, path) = (Envelope::default(), Arc::from(path.to_string()));
        Subscriber::new(connection, envelope, WireForm::Plain, path, keys, after)
    }

    #[derive(Debug, Clone)]
    enum Step {
        Add(u8, Vec<(u16, Vec<u8>)>, u64),
        Remove(usize),
        Find(u8, Option<(u16, Vec<u8>)>, Option<u64>),
    }

    /// Number, path, keys, and the newest event that it has had.
    type Modelled = (u32, u8, Vec<(u16, Vec<u8>)>, u64);

    fn key() -> impl Strategy<Value = (u16, Vec<u8>)> {
        (0u16..3, prop::collection::vec(prop_oneof![0u8..2, Just(255)], 0..4))
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0u8..2, prop::collection::vec(key(), 0..4), 0u64..4)
                .prop_map(|(path, keys, after)| Step::Add(path, keys, after)),
            (0usize..20).prop_map(Step::Remove),
            (0u8..2, proptest::option::of(key()), proptest::option::of(0u64..6))
                .prop_map(|(path, filter, event)| Step::Find(path, filter, event)),
        ]
    }

    proptest! {
        #[test]
        fn the_index_finds_those_whom_a_search_of_all_would(
            steps in prop::collection::vec(step(), 0..60),
        ) {
            let mut index = Index::default();
            let mut model: Vec<Modelled> = Vec::new();
            for step in steps {
                match step {
                    Step::Add(path, keys, after) => {
                        let number = index.add(subscriber(path, &keys, after));
                        model.push((number, path, keys, after));
                    }
                    Step::Remove(nth) if nth < model.len() => {
                        let (number, ..) = model.swap_remove(nth);
                        prop_assert!(index.remove(number).is_some());
                        prop_assert!(index.remove(number).is_none());
                    }
                    Step::Remove(_) => {}
                    Step::Find(path, filter, event) => {
                        let mut found = Vec::new();
                        let own = filter.clone().map(|(filter, key)| (filter, key.into()));
                        index.find(&path.to_string(), own.as_ref(), event, &mut found);
                        let mut expected: Vec<u32> = model.iter()
                            .filter(|(_, of, keys, after)| *of == path
                                && event.is_none_or(|event| event > *after)
                                && filter.as_ref().is_none_or(|(filter, start)| keys.iter()
                                    .any(|(of, key)| of == filter && key.starts_with(start))))
                            .map(|(number, ..)| *number)
                            .collect();
                        found.sort_unstable();
                        expected.sort_unstable();
                        prop_assert_eq!(found, expected);
                    }
                }
            }
            for (number, ..) in model {
                index.remove(number);
            }
            prop_assert!(index.paths.is_empty() && index.subscribers.is_empty());
        }
    }
}
