//! Topics, found by the filters that match them.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::{Parent, TopicIndex, is_wildcard};

/// Values by topic name, found by topic filter: for retained messages.
///
/// The topics are in order, so a filter is looked for only among those that begin as it does
/// before its first wildcard.
#[derive(Debug)]
pub struct TopicMap<V> {
    topics: BTreeMap<Box<str>, V>,
}

impl<V> Default for TopicMap<V> {
    fn default() -> Self {
        Self { topics: BTreeMap::new() }
    }
}

// === impl TopicMap ===

impl<V> TopicMap<V> {
    /// How many topics there are.
    pub fn len(&self) -> usize {
        self.topics.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.topics.is_empty()
    }

    /// The value of a topic.
    pub fn get(&self, topic: &str) -> Option<&V> {
        self.topics.get(topic)
    }

    /// Gives a topic a value; returns the one that it had.
    pub fn insert(&mut self, topic: &str, value: V) -> Option<V> {
        self.topics.insert(topic.into(), value)
    }

    /// Removes a topic.
    pub fn remove(&mut self, topic: &str) -> Option<V> {
        self.topics.remove(topic)
    }

    /// Calls `f` with each topic that a filter matches, and its value, in order of the
    /// topics' bytes.
    pub fn find(&self, filter: &str, parent: Parent, mut f: impl FnMut(&str, &V)) {
        if !is_wildcard(filter) {
            if let Some((topic, value)) = self.topics.get_key_value(filter) {
                f(topic, value);
            }
            return;
        }
        let fixed = filter.find(['+', '#']).map_or(filter, |at| &filter[..at]);
        let mut index = TopicIndex::<()>::default();
        index.get_or_default(filter);
        // `a/#` may match `a`, which comes before `a/`.
        let from = fixed.strip_suffix('/').unwrap_or(fixed);
        let range = self.topics.range::<str, _>((Bound::Included(from), Bound::Unbounded));
        for (topic, value) in range.take_while(|(topic, _)| topic.starts_with(from)) {
            index.matches(topic, parent, |()| f(topic, value));
        }
    }

    /// Topics and their values in order of the topics' bytes, from behind `after`, at most
    /// `limit`.
    pub fn list_after(&self, after: Option<&str>, limit: usize) -> Vec<(&str, &V)> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let range = self.topics.range::<str, _>((from, Bound::Unbounded));
        range.take(limit).map(|(topic, value)| (&**topic, value)).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::index::tests::{filter, naive, topic};
    use super::*;

    proptest! {
        #[test]
        fn exactly_the_topics_that_match_are_found_in_order(
            topics in proptest::collection::vec(topic(), 0..30),
            filter in filter(),
            matches_parent: bool,
        ) {
            let parent = if matches_parent { Parent::Matches } else { Parent::DoesNot };
            let mut map = TopicMap::default();
            for topic in &topics {
                map.insert(topic, topic.clone());
            }
            let mut found = Vec::new();
            map.find(&filter, parent, |_, topic| found.push(topic.clone()));
            let mut expected: Vec<_> =
                topics.iter().filter(|topic| naive(&filter, topic, parent)).cloned().collect();
            expected.sort();
            expected.dedup();
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn pages_follow_each_other() {
        let mut map = TopicMap::default();
        for topic in ["b", "a", "c/d"] {
            map.insert(topic, ());
        }
        let names = |after, limit| {
            map.list_after(after, limit).into_iter().map(|(topic, ())| topic).collect::<Vec<_>>()
        };
        assert_eq!(names(None, 2), ["a", "b"]);
        assert_eq!(names(Some("b"), 2), ["c/d"]);
    }
}
