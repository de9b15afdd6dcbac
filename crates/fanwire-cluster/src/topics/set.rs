//! A set of subjects with wildcards, and whether one of them matches a subject.

use std::collections::HashMap;

/// Subjects that may have NATS's wildcards, such as what a peer has said it has interest in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SubjectSet {
    root: Node,
    len: usize,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Node {
    children: HashMap<Box<str>, Node>,
    /// A subject ends here.
    ends: bool,
}

// === impl SubjectSet ===

impl SubjectSet {
    /// An empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds a subject. Says whether it was not there.
    pub fn insert(&mut self, subject: &str) -> bool {
        let mut node = &mut self.root;
        for token in subject.split('.') {
            node = node.children.entry(token.into()).or_default();
        }
        let is_new = !std::mem::replace(&mut node.ends, true);
        self.len += usize::from(is_new);
        is_new
    }

    /// Takes a subject out. Says whether it was there.
    pub fn remove(&mut self, subject: &str) -> bool {
        let tokens: Vec<_> = subject.split('.').collect();
        let was_there = self.root.remove(&tokens);
        self.len -= usize::from(was_there);
        was_there
    }

    /// Takes all out.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Whether one of them matches a subject, which has no wildcards itself.
    pub fn matches(&self, subject: &str) -> bool {
        let tokens: Vec<_> = subject.split('.').collect();
        self.root.matches(&tokens)
    }
}

impl Node {
    fn remove(&mut self, tokens: &[&str]) -> bool {
        let Some((token, rest)) = tokens.split_first() else {
            return std::mem::take(&mut self.ends);
        };
        let Some(child) = self.children.get_mut(*token) else { return false };
        let removed = child.remove(rest);
        if child.children.is_empty() && !child.ends {
            self.children.remove(*token);
        }
        removed
    }

    /// Goes down two ways at the most for each level that has both, and none is longer than
    /// what was inserted: the sets are bounded by what [`super::Interest`] makes.
    fn matches(&self, tokens: &[&str]) -> bool {
        let Some((token, rest)) = tokens.split_first() else { return self.ends };
        self.children.get(">").is_some_and(|child| child.ends)
            || self.children.get(*token).is_some_and(|child| child.matches(rest))
            || self.children.get("*").is_some_and(|child| child.matches(rest))
    }
}
