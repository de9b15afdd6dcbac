//! Topic filters with wildcards, as a trie of levels.
//!
//! A node's label is a run of levels, so a filter of any depth adds two nodes at the most:
//! its own, and the one where it parts from another. The edges of all nodes are in one
//! table, found by the parent and the first level of the label: a node with one child and a
//! node with a million have what they need. Nodes point at each other by number, so nothing
//! here recurses, not even the end of the trie.

use std::hash::BuildHasher as _;
use std::num::NonZeroU32;

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use slab::Slab;

use super::{ALL, ANY, Parent, is_hidden, split_level};

/// The node that all filters begin at. It has no label and is nobody's child.
const ROOT: u32 = 0;

pub(super) struct Trie<V> {
    /// In boxes, so that growing moves eight bytes for each and their memory returns when
    /// they go. Empty, or with the root at [`ROOT`].
    nodes: Slab<Box<Node<V>>>,
    /// The children whose label begins with neither wildcard.
    edges: HashTable<u32>,
    hasher: RandomState,
    filters: usize,
}

struct Node<V> {
    /// The levels between the parent and this node, as in a filter.
    label: Box<str>,
    parent: u32,
    /// The child whose label begins with `+`.
    any: Option<NonZeroU32>,
    /// The child whose label is `#`.
    all: Option<NonZeroU32>,
    /// How many other children there are,
    literals: u32,
    /// and their numbers, combined by XOR: if there is one, this is its number. A table
    /// cannot be asked for the children of a node, and only an only child is ever wanted.
    literals_xor: u32,
    /// What the filter that ends here has.
    value: Option<V>,
}

// === impl Trie ===

impl<V> Trie<V> {
    pub(super) fn new() -> Self {
        Self {
            nodes: Slab::new(),
            edges: HashTable::new(),
            hasher: RandomState::default(),
            filters: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.filters
    }

    #[cfg(test)]
    pub(super) fn nodes(&self) -> usize {
        self.nodes.len()
    }

    pub(super) fn get(&self, filter: &str) -> Option<&V> {
        self.node(self.locate(filter)?).value.as_ref()
    }

    pub(super) fn get_mut(&mut self, filter: &str) -> Option<&mut V> {
        let id = self.locate(filter)?;
        self.node_mut(id).value.as_mut()
    }

    pub(super) fn get_or_default(&mut self, filter: &str) -> &mut V
    where
        V: Default,
    {
        let id = self.make(filter);
        if self.node(id).value.is_none() {
            self.filters += 1;
        }
        self.node_mut(id).value.get_or_insert_default()
    }

    pub(super) fn remove(&mut self, filter: &str) -> Option<V> {
        let id = self.locate(filter)?;
        let value = self.node_mut(id).value.take()?;
        self.filters -= 1;
        if self.filters == 0 {
            *self = Self::new();
        } else {
            self.prune(id);
        }
        Some(value)
    }

    /// Visits each node at the most once: there is one way to it, and it takes a fixed
    /// number of levels.
    pub(super) fn matches<'v>(&'v self, name: &str, parent: Parent, mut found: impl FnMut(&'v V)) {
        if self.filters == 0 {
            return;
        }
        // Where both a wildcard and the level itself lead on, one waits here: at the most
        // one for each level.
        let mut waiting = Vec::new();
        let mut place = Some((ROOT, Some(name)));
        while let Some((id, rest)) = place.take().or_else(|| waiting.pop()) {
            let node = self.node(id);
            let Some(rest) = rest else {
                node.value.iter().for_each(&mut found);
                if parent == Parent::Matches {
                    self.value_of(node.all).into_iter().for_each(&mut found);
                }
                continue;
            };
            if id != ROOT || !is_hidden(name) {
                self.value_of(node.all).into_iter().for_each(&mut found);
                if let Some(any) = node.any {
                    place = self.advance(any.get(), rest, parent, &mut found);
                }
            }
            if let Some(literal) = self.literal_child(id, split_level(rest).0)
                && let Some(next) = self.advance(literal, rest, parent, &mut found)
            {
                waiting.extend(place.replace(next));
            }
        }
    }

    /// Follows a node's label through the levels of a name. Tells what is left of the name
    /// at the node; if the label ends with `#`, there is nothing to do after it.
    fn advance<'v, 'n>(
        &'v self,
        id: u32,
        name: &'n str,
        parent: Parent,
        found: &mut impl FnMut(&'v V),
    ) -> Option<(u32, Option<&'n str>)> {
        let node = self.node(id);
        let mut rest = Some(name);
        for wanted in node.label.split('/') {
            if wanted == ALL {
                if rest.is_some() || parent == Parent::Matches {
                    node.value.iter().for_each(found);
                }
                return None;
            }
            let (level, more) = split_level(rest?);
            if wanted != ANY && wanted != level {
                return None;
            }
            rest = more;
        }
        Some((id, rest))
    }

    /// The node at which a filter ends, if there is one.
    fn locate(&self, filter: &str) -> Option<u32> {
        let mut at = ROOT;
        let mut rest = (!self.nodes.is_empty()).then_some(filter);
        while let Some(text) = rest {
            at = self.child(at, split_level(text).0)?;
            let label = &*self.node(at).label;
            rest = match text.strip_prefix(label)? {
                "" => None,
                more => Some(more.strip_prefix('/')?),
            };
        }
        (at != ROOT).then_some(at)
    }

    /// The same, made if there is none.
    fn make(&mut self, filter: &str) -> u32 {
        if self.nodes.is_empty() {
            self.add_node("");
        }
        let (mut at, mut rest) = (ROOT, filter);
        loop {
            let Some(child) = self.child(at, split_level(rest).0) else {
                let leaf = self.add_node(rest);
                self.attach(leaf, at);
                return leaf;
            };
            let shared = shared_levels(&self.node(child).label, rest);
            at = if shared == self.node(child).label.len() {
                child
            } else {
                self.split(child, shared)
            };
            match rest.get(shared + 1..) {
                Some(more) => rest = more,
                None => return at,
            }
        }
    }

    /// Puts a node between a node and its parent, which takes the first `at` bytes of its
    /// label, and tells its number.
    fn split(&mut self, lower: u32, at: usize) -> u32 {
        let parent = self.node(lower).parent;
        self.detach(lower);
        let label = std::mem::take(&mut self.node_mut(lower).label);
        let upper = self.add_node(&label[..at]);
        self.node_mut(lower).label = label[at + 1..].into();
        self.attach(upper, parent);
        self.attach(lower, upper);
        upper
    }

    /// Frees what is not needed without the value that a node had.
    fn prune(&mut self, id: u32) {
        let Node { parent, .. } = *self.node(id);
        match self.node(id).children() {
            0 => {
                self.detach(id);
                self.nodes.remove(id as usize);
                self.join(parent);
            }
            _ => self.join(id),
        }
        if self.edges.len() < self.edges.capacity() / 8 {
            let (nodes, hasher) = (&self.nodes, &self.hasher);
            let target = self.edges.capacity() / 4;
            self.edges.shrink_to(target, |&id| nodes[id as usize].edge_hash(hasher));
        }
    }

    /// Makes one node of a node that nothing ends at and its only child, if it is such.
    fn join(&mut self, upper: u32) {
        let node = self.node(upper);
        if upper == ROOT || node.value.is_some() || node.children() != 1 {
            return;
        }
        let parent = node.parent;
        let lower = node.any.or(node.all).map_or(node.literals_xor, NonZeroU32::get);
        self.detach(lower);
        self.detach(upper);
        let upper = self.nodes.remove(upper as usize);
        let label = [&*upper.label, "/", &*self.node(lower).label].concat();
        self.node_mut(lower).label = label.into();
        self.attach(lower, parent);
    }

    fn attach(&mut self, child: u32, parent: u32) {
        self.node_mut(child).parent = parent;
        let kind = Kind::of(&self.node(child).label);
        let node = self.node_mut(parent);
        match kind {
            Kind::Any => node.any = NonZeroU32::new(child),
            Kind::All => node.all = NonZeroU32::new(child),
            Kind::Literal => {
                node.literals += 1;
                node.literals_xor ^= child;
                let (nodes, hasher) = (&self.nodes, &self.hasher);
                let hash = nodes[child as usize].edge_hash(hasher);
                self.edges.insert_unique(hash, child, |&id| nodes[id as usize].edge_hash(hasher));
            }
        }
    }

    fn detach(&mut self, child: u32) {
        let node = self.node(child);
        let (kind, parent) = (Kind::of(&node.label), node.parent);
        let hash = node.edge_hash(&self.hasher);
        let node = self.node_mut(parent);
        match kind {
            Kind::Any => node.any = None,
            Kind::All => node.all = None,
            Kind::Literal => {
                node.literals -= 1;
                node.literals_xor ^= child;
                if let Ok(edge) = self.edges.find_entry(hash, |&id| id == child) {
                    edge.remove();
                }
            }
        }
    }

    /// The child of a node whose label begins with this level of a filter.
    fn child(&self, parent: u32, level: &str) -> Option<u32> {
        match Kind::of(level) {
            Kind::Any => self.node(parent).any.map(NonZeroU32::get),
            Kind::All => self.node(parent).all.map(NonZeroU32::get),
            Kind::Literal => self.literal_child(parent, level),
        }
    }

    fn literal_child(&self, parent: u32, level: &str) -> Option<u32> {
        if self.node(parent).literals == 0 {
            return None;
        }
        let is_it = |&id: &u32| {
            let node = self.node(id);
            node.parent == parent && split_level(&node.label).0 == level
        };
        self.edges.find(edge_hash(&self.hasher, parent, level), is_it).copied()
    }

    fn value_of(&self, child: Option<NonZeroU32>) -> Option<&V> {
        self.node(child?.get()).value.as_ref()
    }

    /// A node with neither parent nor children.
    fn add_node(&mut self, label: &str) -> u32 {
        let (label, value) = (label.into(), None);
        let node =
            Node { label, parent: ROOT, any: None, all: None, literals: 0, literals_xor: 0, value };
        // Four billion nodes would take more than 200 GB.
        self.nodes.insert(Box::new(node)) as u32
    }

    fn node(&self, id: u32) -> &Node<V> {
        &self.nodes[id as usize]
    }

    fn node_mut(&mut self, id: u32) -> &mut Node<V> {
        &mut self.nodes[id as usize]
    }
}

// === impl Node ===

impl<V> Node<V> {
    fn children(&self) -> u32 {
        self.literals + u32::from(self.any.is_some()) + u32::from(self.all.is_some())
    }

    fn edge_hash(&self, hasher: &RandomState) -> u64 {
        edge_hash(hasher, self.parent, split_level(&self.label).0)
    }
}

/// Where a parent has a child, by the first level of its label.
enum Kind {
    Any,
    All,
    Literal,
}

// === impl Kind ===

impl Kind {
    fn of(label: &str) -> Self {
        match split_level(label).0 {
            ANY => Self::Any,
            ALL => Self::All,
            _ => Self::Literal,
        }
    }
}

fn edge_hash(hasher: &RandomState, parent: u32, level: &str) -> u64 {
    hasher.hash_one((parent, level))
}

/// The bytes of the longest run of whole levels with which both texts begin; their first
/// levels are the same.
fn shared_levels(one: &str, other: &str) -> usize {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let same = one.iter().zip(other).take_while(|(one, other)| one == other).count();
    let is_end = |text: &[u8]| matches!(text.get(same), None | Some(b'/'));
    if is_end(one) && is_end(other) {
        return same;
    }
    one[..same].iter().rposition(|&byte| byte == b'/').unwrap_or(same)
}
