//! Filters, found by the topics that they match.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use slab::Slab;

use super::{Parent, is_wildcard};

/// Values by topic filter, found by topic name.
///
/// A filter without wildcards is found by one look-up; the others are in a tree of levels,
/// which is walked with a list of places rather than by recursion, so that no topic is too
/// deep for it.
#[derive(Debug)]
pub struct TopicIndex<V> {
    exact: HashMap<Box<str>, V, RandomState>,
    nodes: Slab<Node<V>>,
    wildcards: usize,
}

/// One level of the filters with wildcards.
#[derive(Debug)]
struct Node<V> {
    parent: usize,
    /// Its own name among its parent's children.
    level: Level,
    /// The filter that ends here.
    value: Option<V>,
    /// The filter that ends here with `/#`.
    rest: Option<V>,
    /// `+`.
    any: Option<usize>,
    named: Children,
}

#[derive(Debug, PartialEq, Eq)]
enum Level {
    Root,
    Any,
    Named(Box<str>),
}

/// Most levels have few children, which are searched one by one.
#[derive(Debug)]
enum Children {
    Few(Vec<(Box<str>, usize)>),
    Many(HashMap<Box<str>, usize, RandomState>),
}

/// Children that are searched one by one.
const FEW: usize = 8;

const ROOT: usize = 0;

impl<V> Default for TopicIndex<V> {
    fn default() -> Self {
        Self { exact: HashMap::default(), nodes: Slab::new(), wildcards: 0 }
    }
}

// === impl TopicIndex ===

impl<V> TopicIndex<V> {
    /// How many filters there are.
    pub fn len(&self) -> usize {
        self.exact.len() + self.wildcards
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value of a filter.
    pub fn get_mut(&mut self, filter: &str) -> Option<&mut V> {
        if !is_wildcard(filter) {
            return self.exact.get_mut(filter);
        }
        let (node, rest) = self.find(filter)?;
        let node = &mut self.nodes[node];
        if rest { node.rest.as_mut() } else { node.value.as_mut() }
    }

    /// The value of a filter, made where there is none.
    pub fn get_or_default(&mut self, filter: &str) -> &mut V
    where
        V: Default,
    {
        if !is_wildcard(filter) {
            if !self.exact.contains_key(filter) {
                self.exact.insert(filter.into(), V::default());
            }
            // It is there now.
            return self.exact.entry(filter.into()).or_default();
        }
        let (node, rest) = self.make(filter);
        let wildcards = &mut self.wildcards;
        let node = &mut self.nodes[node];
        let value = if rest { &mut node.rest } else { &mut node.value };
        value.get_or_insert_with(|| {
            *wildcards += 1;
            V::default()
        })
    }

    /// Removes a filter.
    pub fn remove(&mut self, filter: &str) -> Option<V> {
        if !is_wildcard(filter) {
            let removed = self.exact.remove(filter);
            if self.exact.len() < self.exact.capacity() / 4 {
                self.exact.shrink_to(self.exact.len() * 2);
            }
            return removed;
        }
        let (node, rest) = self.find(filter)?;
        let found = &mut self.nodes[node];
        let removed = if rest { found.rest.take() } else { found.value.take() };
        if removed.is_some() {
            self.wildcards -= 1;
            self.prune(node);
        }
        removed
    }

    /// Calls `f` with the value of each filter that matches a topic name.
    pub fn matches(&self, topic: &str, parent: Parent, mut f: impl FnMut(&V)) {
        if let Some(value) = self.exact.get(topic) {
            f(value);
        }
        if self.wildcards > 0 {
            self.walk(topic, parent, &mut f);
        }
    }

    fn walk(&self, topic: &str, parent: Parent, f: &mut impl FnMut(&V)) {
        // Wildcards at the start do not match what servers keep for themselves (MQTT 5,
        // 4.7.2).
        let reserved = topic.starts_with('$');
        let mut places = vec![(ROOT, Some(topic))];
        while let Some((at, left)) = places.pop() {
            let node = &self.nodes[at];
            let hidden = reserved && at == ROOT;
            let Some(left) = left else {
                node.value.iter().for_each(&mut *f);
                if parent == Parent::Matches {
                    node.rest.iter().for_each(&mut *f);
                }
                continue;
            };
            if !hidden {
                node.rest.iter().for_each(&mut *f);
            }
            let (level, left) = match left.split_once('/') {
                Some((level, left)) => (level, Some(left)),
                None => (left, None),
            };
            if let Some(any) = node.any.filter(|_| !hidden) {
                places.push((any, left));
            }
            if let Some(named) = node.named.get(level) {
                places.push((named, left));
            }
        }
    }

    /// The node that a filter with wildcards ends at, and whether it does so with `#`.
    fn find(&self, filter: &str) -> Option<(usize, bool)> {
        let (levels, rest) = levels(filter);
        let mut at = (self.wildcards > 0).then_some(ROOT)?;
        for level in levels {
            let node = &self.nodes[at];
            at = if level == "+" { node.any } else { node.named.get(level) }?;
        }
        Some((at, rest))
    }

    fn make(&mut self, filter: &str) -> (usize, bool) {
        if self.nodes.is_empty() {
            self.nodes.insert(Node::new(ROOT, Level::Root));
        }
        let (levels, rest) = levels(filter);
        let mut at = ROOT;
        for level in levels {
            let node = &self.nodes[at];
            let known = if level == "+" { node.any } else { node.named.get(level) };
            at = known.unwrap_or_else(|| self.make_child(at, level));
        }
        (at, rest)
    }

    fn make_child(&mut self, parent: usize, level: &str) -> usize {
        let name = if level == "+" { Level::Any } else { Level::Named(level.into()) };
        let child = self.nodes.insert(Node::new(parent, name));
        let node = &mut self.nodes[parent];
        if level == "+" {
            node.any = Some(child);
        } else {
            node.named.insert(level, child);
        }
        child
    }

    /// Removes a node that nothing is at, and those above it that nothing is at then.
    fn prune(&mut self, mut at: usize) {
        while self.nodes[at].is_bare() {
            if at == ROOT {
                self.nodes = Slab::new();
                return;
            }
            let Node { parent, level, .. } = self.nodes.remove(at);
            let above = &mut self.nodes[parent];
            match level {
                Level::Root => {}
                Level::Any => above.any = None,
                Level::Named(name) => above.named.remove(&name),
            }
            at = parent;
        }
    }
}

/// The levels of a filter before its `#`, and whether it has one. There is at least a
/// level, for a filter without any is empty.
fn levels(filter: &str) -> (impl Iterator<Item = &str>, bool) {
    let (before, rest) = match filter {
        "#" => (None, true),
        filter => match filter.strip_suffix("/#") {
            Some(before) => (Some(before), true),
            None => (Some(filter), false),
        },
    };
    (before.into_iter().flat_map(|before| before.split('/')), rest)
}

// === impl Node ===

impl<V> Node<V> {
    fn new(parent: usize, level: Level) -> Self {
        let named = Children::Few(Vec::new());
        Self { parent, level, value: None, rest: None, any: None, named }
    }

    fn is_bare(&self) -> bool {
        self.value.is_none() && self.rest.is_none() && self.any.is_none() && self.named.is_empty()
    }
}

// === impl Children ===

impl Children {
    fn get(&self, level: &str) -> Option<usize> {
        match self {
            Self::Few(few) => {
                few.iter().find(|(name, _)| **name == *level).map(|(_, child)| *child)
            }
            Self::Many(many) => many.get(level).copied(),
        }
    }

    fn insert(&mut self, level: &str, child: usize) {
        if let Self::Few(few) = self
            && few.len() == FEW
        {
            *self = Self::Many(few.drain(..).collect());
        }
        match self {
            Self::Few(few) => few.push((level.into(), child)),
            Self::Many(many) => drop(many.insert(level.into(), child)),
        }
    }

    fn remove(&mut self, level: &str) {
        match self {
            Self::Few(few) => few.retain(|(name, _)| **name != *level),
            Self::Many(many) => {
                many.remove(level);
                if many.is_empty() {
                    *self = Self::Few(Vec::new());
                }
            }
        }
    }

    fn is_empty(&self) -> bool {
        match self {
            Self::Few(few) => few.is_empty(),
            Self::Many(many) => many.is_empty(),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// What the standard says, level by level.
    pub(in crate::topic) fn naive(filter: &str, topic: &str, parent: Parent) -> bool {
        if topic.starts_with('$') && filter.starts_with(['+', '#']) {
            return false;
        }
        let mut filters = filter.split('/');
        let mut topics = topic.split('/');
        loop {
            match (filters.next(), topics.next()) {
                (Some("#"), Some(_)) => return true,
                (Some("#"), None) => return parent == Parent::Matches,
                (Some("+"), Some(_)) => {}
                (Some(filter), Some(topic)) if filter == topic => {}
                (None, None) => return true,
                _ => return false,
            }
        }
    }

    pub(in crate::topic) fn filter() -> impl Strategy<Value = String> {
        let level = prop_oneof![Just("a"), Just("b"), Just(""), Just("+"), Just("$x")];
        (proptest::collection::vec(level, 1..5), any::<bool>()).prop_map(|(levels, rest)| {
            let filter = levels.join("/");
            if rest { format!("{filter}/#") } else { filter }
        })
    }

    pub(in crate::topic) fn topic() -> impl Strategy<Value = String> {
        let level = prop_oneof![Just("a"), Just("b"), Just(""), Just("$x")];
        proptest::collection::vec(level, 1..5).prop_map(|levels| levels.join("/"))
    }

    proptest! {
        #[test]
        fn exactly_the_filters_that_match_are_found(
            steps in proptest::collection::vec((filter(), any::<bool>()), 0..40),
            topics in proptest::collection::vec(topic(), 1..10),
            matches_parent: bool,
        ) {
            let parent = if matches_parent { Parent::Matches } else { Parent::DoesNot };
            let mut index = TopicIndex::<String>::default();
            let mut model = BTreeMap::new();
            for (filter, add) in steps {
                if add {
                    index.get_or_default(&filter).clone_from(&filter);
                    model.insert(filter.clone(), filter);
                } else {
                    prop_assert_eq!(index.remove(&filter), model.remove(&filter));
                }
                prop_assert_eq!(index.len(), model.len());
            }
            for topic in &topics {
                let mut found = Vec::new();
                index.matches(topic, parent, |value| found.push(value.clone()));
                found.sort();
                let expected: Vec<_> =
                    model.keys().filter(|filter| naive(filter, topic, parent)).cloned().collect();
                prop_assert_eq!(&found, &expected, "{}", topic);
            }
            for filter in model.keys() {
                index.remove(filter);
            }
            prop_assert!(index.is_empty() && index.nodes.is_empty());
        }
    }

    #[test]
    fn a_topic_of_sixty_thousand_levels_is_no_deeper_than_any() {
        let deep = "/".repeat(60_000);
        let mut index = TopicIndex::<u8>::default();
        *index.get_or_default(&format!("{deep}/#")) = 1;
        *index.get_or_default("#") = 2;
        let mut found = Vec::new();
        index.matches(&format!("{deep}a/b"), Parent::Matches, |value| found.push(*value));
        found.sort_unstable();
        assert_eq!(found, [2]);
        index.matches(&format!("{deep}/b"), Parent::Matches, |value| found.push(*value));
        assert_eq!(found.len(), 3);
        index.remove(&format!("{deep}/#"));
        index.remove("#");
        assert!(index.nodes.is_empty());
    }
}
