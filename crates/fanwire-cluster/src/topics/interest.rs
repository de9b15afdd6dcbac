//! What a node has interest in: a few subjects for however many filters.
//!
//! A million subscriptions must not become a million subscriptions of NATS. So filters are
//! counted in a tree of their tokens, and the subjects are read off it: each filter's own
//! where there are few, what many have in common where there are not. No two of the subjects
//! match the same topic, so that nothing comes twice. Each change of the filters changes as
//! little of the subjects as it can.

use std::collections::{BTreeSet, HashMap};

use super::{DOLLAR, END, LONG, TOPIC, subjects_of};
use crate::limits;

/// How many subjects those that begin alike may be: three quarters for topics, the rest for
/// those with `$` in front and for long ones.
const SHARES: [(&str, usize); 3] = [
    (TOPIC, limits::INTEREST_SUBJECTS / 4 * 3),
    (DOLLAR, limits::INTEREST_SUBJECTS / 8),
    (LONG, limits::INTEREST_SUBJECTS / 8),
];

/// Filters that somebody here is subscribed to, and the subjects that stand for them.
#[derive(Debug, Default)]
pub struct Interest {
    filters: HashMap<Box<str>, usize>,
    root: Node,
    subjects: BTreeSet<String>,
}

/// What has changed of the subjects.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// Subjects that are new.
    pub added: Vec<String>,
    /// Subjects that are no more.
    pub removed: Vec<String>,
}

/// A token of subjects, and those that follow it.
#[derive(Debug, Default)]
struct Node {
    literals: HashMap<Box<str>, Node>,
    /// What follows `*`.
    any: Option<Box<Node>>,
    /// How many end with `>` here.
    rest: usize,
    /// How many end here.
    ends: usize,
    /// The subjects of all literals together.
    sum: usize,
    /// The literals that have more below than an end.
    deep: usize,
    shown: Shown,
}

/// How much of a node's literals is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Shown {
    /// Each subject.
    #[default]
    All,
    /// One subject for each literal.
    OneEach,
    /// One subject for all.
    One,
}

/// What others see of a node; while it stays, only what is below may have changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Face {
    is_there: bool,
    ends: bool,
    rest: bool,
    any: bool,
    literals: bool,
    deep: bool,
    shown: Shown,
    several: bool,
}

// === impl Changes ===

impl Changes {
    /// Whether nothing has changed.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty()
    }
}

// === impl Interest ===

impl Interest {
    /// No interest in anything.
    pub fn new() -> Self {
        Self::default()
    }

    /// The subjects: at most [`limits::INTEREST_SUBJECTS`], of which no two match the same
    /// topic.
    pub fn subjects(&self) -> impl Iterator<Item = &str> {
        self.subjects.iter().map(String::as_str)
    }

    /// One more here is subscribed to a filter.
    pub fn add(&mut self, filter: &str) -> Changes {
        if let Some(count) = self.filters.get_mut(filter) {
            *count += 1;
            return Changes::default();
        }
        self.filters.insert(filter.into(), 1);
        self.update(filter, true)
    }

    /// One less here is subscribed to a filter.
    pub fn remove(&mut self, filter: &str) -> Changes {
        let Some(count) = self.filters.get_mut(filter) else { return Changes::default() };
        *count -= 1;
        if *count > 0 {
            return Changes::default();
        }
        self.filters.remove(filter);
        self.update(filter, false)
    }

    fn update(&mut self, filter: &str, more: bool) -> Changes {
        let mut changes = Changes::default();
        for subject in subjects_of(filter) {
            let tokens: Vec<&str> = subject.split('.').collect();
            let share = SHARES.iter().find(|(first, _)| *first == tokens[0]);
            let limit = share.map_or(1, |(_, limit)| *limit);
            if let Some(depth) = self.root.update(&tokens, more, limit, 0) {
                self.show(&tokens[..depth], &mut changes);
            }
        }
        changes
    }

    /// Brings the subjects below a place up to date.
    fn show(&mut self, path: &[&str], changes: &mut Changes) {
        let prefix = path.join(".");
        let mut now = BTreeSet::new();
        match self.root.look_up(path) {
            Look::Hidden => return,
            Look::Gone => {}
            Look::Seen(node, one) => node.show_as(one, &prefix, &mut now),
        }
        let below = format!("{prefix}.");
        let is_below = |subject: &&String| **subject == prefix || subject.starts_with(&below);
        let from = self.subjects.range(prefix.clone()..);
        // What sorts between a prefix and what is below it is neither.
        let near = from.take_while(|subject| subject.starts_with(&prefix));
        let before: Vec<_> = near.filter(is_below).cloned().collect();
        for subject in before {
            if !now.remove(&subject) {
                self.subjects.remove(&subject);
                changes.removed.push(subject);
            }
        }
        self.subjects.extend(now.iter().cloned());
        changes.added.extend(now);
    }
}

/// What is to be seen of a place.
enum Look<'a> {
    /// A subject above stands for all of it.
    Hidden,
    /// Nothing is there any more.
    Gone,
    /// This; as one subject, or as it is.
    Seen(&'a Node, bool),
}

// === impl Node ===

impl Node {
    /// Counts a subject below this node in or out. Says how deep the first node is whose
    /// face has changed, counted from the root.
    fn update(&mut self, tokens: &[&str], more: bool, limit: usize, depth: usize) -> Option<usize> {
        let before = self.face();
        let below = match tokens.split_first() {
            None => {
                step(&mut self.ends, more);
                None
            }
            Some((&">", _)) => {
                step(&mut self.rest, more);
                None
            }
            Some((&"*", rest)) => {
                let any = self.any.get_or_insert_default();
                let below = any.update(rest, more, limit, depth + 1);
                if any.is_empty() {
                    self.any = None;
                }
                below
            }
            Some((token, rest)) => self.update_literal(token, rest, more, limit, depth),
        };
        // The root shows what is below it, whatever the number: the shares bound that.
        if depth > 0 {
            self.shown = self.shown_within(limit);
        }
        if depth > 0 && before != self.face() { Some(depth) } else { below }
    }

    fn update_literal(
        &mut self,
        token: &str,
        rest: &[&str],
        more: bool,
        limit: usize,
        depth: usize,
    ) -> Option<usize> {
        let child = self.literals.entry(token.into()).or_default();
        let (size, deep) = (child.size(), child.is_deep());
        let below = child.update(rest, more, limit, depth + 1);
        let (new_size, new_deep) = (child.size(), child.is_deep());
        if child.is_empty() {
            self.literals.remove(token);
        }
        self.sum = self.sum - size + new_size;
        self.deep = self.deep - usize::from(deep) + usize::from(new_deep);
        below
    }

    /// Once collapsed, a node stays so until it has shrunk by half: at a limit, each change
    /// would otherwise change everything.
    fn shown_within(&self, limit: usize) -> Shown {
        let all = if self.shown == Shown::All { limit } else { limit / 2 };
        let each = if self.shown == Shown::One { limit / 2 } else { limit };
        if self.sum <= all {
            Shown::All
        } else if self.literals.len() <= each {
            Shown::OneEach
        } else {
            Shown::One
        }
    }

    fn is_empty(&self) -> bool {
        self.literals.is_empty() && self.any.is_none() && self.rest == 0 && self.ends == 0
    }

    /// Whether there is more below than an end.
    fn is_deep(&self) -> bool {
        self.any.is_some() || self.rest > 0 || self.other_literals() > 0
    }

    fn has_end(&self) -> bool {
        self.literals.contains_key(END)
    }

    /// The literals that are no end.
    fn other_literals(&self) -> usize {
        self.literals.len() - usize::from(self.has_end())
    }

    /// How many subjects are shown.
    fn size(&self) -> usize {
        if self.rest > 0 {
            return 1;
        }
        match &self.any {
            Some(_) if self.other_literals() > 0 => 1 + usize::from(self.has_end()),
            Some(any) => any.size() + usize::from(self.has_end()),
            None => match self.shown {
                Shown::All => self.sum + usize::from(self.ends > 0),
                Shown::OneEach => self.literals.len(),
                Shown::One => 1,
            },
        }
    }

    fn face(&self) -> Face {
        Face {
            is_there: !self.is_empty(),
            ends: self.ends > 0,
            rest: self.rest > 0,
            any: self.any.is_some(),
            literals: self.other_literals() > 0,
            deep: self.deep > 0 || self.any.as_ref().is_some_and(|any| any.is_deep()),
            shown: self.shown,
            several: self.size() > 1,
        }
    }

    fn look_up(&self, path: &[&str]) -> Look<'_> {
        let mut node = self;
        let mut one = false;
        for (depth, token) in path.iter().enumerate() {
            let mixed = node.any.is_some() && node.other_literals() > 0 && *token != END;
            let collapsed = depth > 0 && node.any.is_none() && node.shown == Shown::One;
            if node.rest > 0 || mixed || collapsed || one {
                return Look::Hidden;
            }
            let each = depth > 0 && node.any.is_none() && node.shown == Shown::OneEach;
            let child = match *token {
                "*" => node.any.as_deref(),
                token => node.literals.get(token),
            };
            let Some(child) = child else { return Look::Gone };
            one = each && child.size() > 1;
            node = child;
        }
        Look::Seen(node, one)
    }

    fn show_as(&self, one: bool, prefix: &str, out: &mut BTreeSet<String>) {
        if one {
            out.insert(format!("{prefix}.>"));
        } else {
            self.show(prefix, out);
        }
    }

    /// The subjects that are below `prefix`.
    fn show(&self, prefix: &str, out: &mut BTreeSet<String>) {
        if self.rest > 0 {
            out.insert(format!("{prefix}.>"));
            return;
        }
        if self.ends > 0 {
            out.insert(prefix.to_owned());
        }
        if let Some(any) = &self.any {
            if self.has_end() {
                out.insert(format!("{prefix}.{END}"));
            }
            if self.other_literals() == 0 {
                any.show(&format!("{prefix}.*"), out);
            } else {
                let last = if self.face().deep { ">" } else { END };
                out.insert(format!("{prefix}.*.{last}"));
            }
            return;
        }
        if self.shown == Shown::One {
            out.insert(format!("{prefix}.>"));
            return;
        }
        for (token, child) in &self.literals {
            let one = self.shown == Shown::OneEach && child.size() > 1;
            child.show_as(one, &format!("{prefix}.{token}"), out);
        }
    }
}

fn step(count: &mut usize, more: bool) {
    *count = if more { *count + 1 } else { count.saturating_sub(1) };
}
