//! Values under topic names.

use std::collections::BTreeMap;
use std::collections::btree_map::Range;
use std::fmt;
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use super::{ALL, ANY, Parent, is_hidden, split_level};

/// The byte after `/`: in the place of the separator, it comes after all that is below a
/// level.
const PAST_BELOW: &str = "0";

/// The byte after `$`: it comes after all names that wildcards do not see.
const PAST_HIDDEN: &str = "%";

/// Topic names with a value each, found by a topic filter.
///
/// The names are kept in the order of their bytes. A filter is answered by a walk in that
/// order which leaps over what cannot match: `a/+/c` looks at two names for each level
/// under `a`, whatever is below those. A filter without wildcards is one look-up.
pub struct TopicMap<V> {
    /// Names are shared, so that the messages can have theirs from here.
    entries: BTreeMap<Arc<str>, V>,
}

// === impl TopicMap ===

impl<V> TopicMap<V> {
    /// A map without names.
    pub fn new() -> Self {
        Self { entries: BTreeMap::new() }
    }

    /// How many names have a value.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no name has a value.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Puts a value under a name, and gives back the one that was there. An `Arc<str>` is
    /// shared rather than copied.
    pub fn insert(&mut self, name: impl Into<Arc<str>>, value: V) -> Option<V> {
        self.entries.insert(name.into(), value)
    }

    /// Takes a name out.
    pub fn remove(&mut self, name: &str) -> Option<V> {
        self.entries.remove(name)
    }

    /// The value of a name.
    pub fn get(&self, name: &str) -> Option<&V> {
        self.entries.get(name)
    }

    /// Hands all names that match a filter to `found`, with their values, in the order of
    /// their bytes, until it breaks off.
    pub fn find<'v>(
        &'v self,
        filter: &str,
        parent: Parent,
        found: impl FnMut(&'v Arc<str>, &'v V) -> ControlFlow<()>,
    ) {
        self.walk(filter, parent, None, usize::MAX, found);
    }

    /// As [`find`](Self::find), from behind the name `after`, and looks at no more than `most`
    /// names, be they found or passed over. Says behind which of them to go on, where there may
    /// be more.
    pub fn find_after<'v>(
        &'v self,
        filter: &str,
        parent: Parent,
        after: Option<&str>,
        most: usize,
        mut found: impl FnMut(&'v Arc<str>, &'v V),
    ) -> Option<&'v Arc<str>> {
        self.walk(filter, parent, after, most, |name, value| {
            found(name, value);
            ControlFlow::Continue(())
        })
    }

    fn walk<'v>(
        &'v self,
        filter: &str,
        parent: Parent,
        after: Option<&str>,
        most: usize,
        mut found: impl FnMut(&'v Arc<str>, &'v V) -> ControlFlow<()>,
    ) -> Option<&'v Arc<str>> {
        let mut leap = String::new();
        let start = literal_start(filter);
        let mut entries = match after.filter(|after| *after >= start) {
            Some(after) => self.entries.range::<str, _>((Bound::Excluded(after), Bound::Unbounded)),
            None => self.from(start),
        };
        let mut looked_at = 0;
        while let Some((name, value)) = entries.next() {
            match fit(filter, parent, name, &mut leap) {
                Fit::Matches => {
                    if found(name, value).is_break() {
                        return None;
                    }
                }
                Fit::Next => {}
                Fit::Leap => entries = self.from(&leap),
                Fit::Over => return None,
            }
            looked_at += 1;
            if looked_at >= most {
                return Some(name);
            }
        }
        None
    }

    /// The names behind `after` in the order of their bytes, with their values: the next page
    /// begins after the last that is taken of these.
    pub fn list_after(&self, after: Option<&str>) -> impl Iterator<Item = (&str, &V)> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let range = self.entries.range::<str, _>((start, Bound::Unbounded));
        range.map(|(name, value)| (&**name, value))
    }

    fn from(&self, name: &str) -> Range<'_, Arc<str>, V> {
        self.entries.range::<str, _>((Bound::Included(name), Bound::Unbounded))
    }
}

impl<V> Default for TopicMap<V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<V> fmt::Debug for TopicMap<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TopicMap").field("len", &self.len()).finish_non_exhaustive()
    }
}

/// How a name stands to a filter, and where to go on from there.
enum Fit {
    Matches,
    /// It does not match; the one after it may.
    Next,
    /// Nothing matches before what has been written to `leap`, which comes after the name.
    Leap,
    /// Neither it nor anything after it matches.
    Over,
}

/// Compares a name with a filter level by level.
///
/// The names below `a/b` are those that begin with `a/b/`: together in the order of bytes,
/// but not next to `a/b` itself, since `a/b-c` is between.
fn fit(filter: &str, parent: Parent, name: &str, leap: &mut String) -> Fit {
    let (mut wanted, mut at) = (filter, 0);
    // Where the last level ends that stands under a `+` and has levels below it: beside
    // them another level may do.
    let mut last_any = None;
    if is_hidden(name) && matches!(split_level(filter).0, ANY | ALL) {
        return leap_to(leap, &[PAST_HIDDEN]);
    }
    loop {
        let (level, more) = split_level(wanted);
        let (own, below) = split_level(&name[at..]);
        let end = at + own.len();
        if level == ALL {
            return Fit::Matches;
        }
        if level != ANY && level != own {
            return leap_to_level(leap, name, at, level, more.is_some(), last_any);
        }
        match (more, below) {
            (None, None) => return Fit::Matches,
            (Some(ALL), None) if parent == Parent::Matches => return Fit::Matches,
            // Too short: what is below it begins later.
            (Some(_), None) if level == ANY => return Fit::Next,
            (Some(_), None) => return leap_to(leap, &[name, "/"]),
            // Too long.
            (None, Some(_)) if level == ANY => return leap_to(leap, &[&name[..end], PAST_BELOW]),
            (None, Some(_)) => return leap_past_any(leap, name, last_any),
            (Some(more), Some(_)) => {
                if level == ANY {
                    last_any = Some(end);
                }
                (wanted, at) = (more, end + 1);
            }
        }
    }
}

/// The level of a name that begins at `at` is not the one that is wanted there. That stands
/// alone first, and later with levels below it, if there are to be any.
fn leap_to_level(
    leap: &mut String,
    name: &str,
    at: usize,
    level: &str,
    has_more: bool,
    last_any: Option<usize>,
) -> Fit {
    if name[at..] < *level {
        return leap_to(leap, &[&name[..at], level]);
    }
    if has_more {
        leap_to(leap, &[&name[..at], level, "/"]);
        if *name < **leap {
            return Fit::Leap;
        }
    }
    leap_past_any(leap, name, last_any)
}

/// Nothing more matches below the level that ends at `last_any`; another one in its place
/// may.
fn leap_past_any(leap: &mut String, name: &str, last_any: Option<usize>) -> Fit {
    match last_any {
        Some(end) => leap_to(leap, &[&name[..end], PAST_BELOW]),
        None => Fit::Over,
    }
}

fn leap_to(leap: &mut String, parts: &[&str]) -> Fit {
    leap.clear();
    parts.iter().for_each(|part| leap.push_str(part));
    Fit::Leap
}

/// What all matches begin with, without the separator before a wildcard: the parent's name
/// has none.
fn literal_start(filter: &str) -> &str {
    let mut end = 0;
    let mut rest = Some(filter);
    while let Some(text) = rest {
        let (level, more) = split_level(text);
        if level == ANY || level == ALL {
            return &filter[..end];
        }
        end = filter.len() - more.map_or(0, |more| more.len() + 1);
        rest = more;
    }
    filter
}
