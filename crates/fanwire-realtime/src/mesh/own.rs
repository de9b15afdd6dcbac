//! What this node listens to, as the others are told: filter by filter, until there are so
//! many that what they begin with has to do.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::frame::Interest;
use crate::directory::Members;

/// Filters that the others are told of, at the most. Beyond, only the first levels of filters
/// are told, fewer and fewer: then messages come that nobody here wants, and are dropped.
const MAX_TOLD: usize = 65_536;

/// Levels that are told where filters have to be cut: at first, then one less each time.
const FIRST_CUT: usize = 3;

/// What this node listens to.
#[derive(Debug, Default)]
pub(super) struct Own {
    /// How many places here listen to each filter.
    filters: HashMap<Box<str>, u32>,
    /// How many of those each filter that the others know of stands for.
    told: HashMap<Box<str>, u32>,
    /// Levels that are told; `None` for all.
    cut: Option<usize>,
    groups: BTreeMap<(Box<str>, Box<str>), Members>,
    /// What the others do not know yet.
    changed: HashSet<Box<str>>,
    changed_groups: HashSet<(Box<str>, Box<str>)>,
    /// They are to be told all anew.
    anew: bool,
    /// Of what they were told last.
    pub(super) version: u64,
}

// === impl Own ===

impl Own {
    /// Somebody has begun to listen, or ended.
    pub(super) fn interested(&mut self, filter: &str, more: bool) {
        let first = more && !self.filters.contains_key(filter);
        if count(&mut self.filters, filter, more) {
            let cut = cut(filter, self.cut);
            if count(&mut self.told, &cut, more) {
                self.changed.insert(cut);
            }
        }
        if first && self.told.len() > MAX_TOLD {
            self.cut_more();
        }
    }

    /// A shared subscription has so many members here.
    pub(super) fn grouped(&mut self, group: &str, filter: &str, members: Members) {
        let key = (Box::from(group), Box::from(filter));
        let before = match members.all {
            0 => self.groups.remove(&key),
            _ => self.groups.insert(key.clone(), members),
        };
        if before.unwrap_or_default() != members {
            self.changed_groups.insert(key);
        }
    }

    /// Tells fewer levels, until there is room.
    fn cut_more(&mut self) {
        let mut levels = self.cut.unwrap_or(FIRST_CUT + 1);
        while levels > 0 && self.told.len() > MAX_TOLD {
            levels -= 1;
            self.told.clear();
            for filter in self.filters.keys() {
                *self.told.entry(cut(filter, Some(levels))).or_default() += 1;
            }
        }
        self.cut = Some(levels);
        self.anew = true;
    }

    /// Whether the others know all.
    pub(super) fn is_told(&self) -> bool {
        self.changed.is_empty() && self.changed_groups.is_empty() && !self.anew
    }

    /// What the others are to be told now.
    pub(super) fn tell(&mut self) -> Interest {
        self.version += 1;
        let (changed, groups) =
            (std::mem::take(&mut self.changed), std::mem::take(&mut self.changed_groups));
        if std::mem::take(&mut self.anew) {
            return self.whole();
        }
        let (more, less) = changed.into_iter().partition(|filter| self.told.contains_key(filter));
        let groups = groups.into_iter().map(|key| {
            let members = self.groups.get(&key).copied().unwrap_or_default();
            (key.0, key.1, members)
        });
        Interest { version: self.version, whole: false, more, less, groups: groups.collect() }
    }

    /// All of it, for a node that knows nothing yet.
    pub(super) fn whole(&self) -> Interest {
        let groups = self
            .groups
            .iter()
            .map(|((group, filter), members)| (group.clone(), filter.clone(), *members));
        Interest {
            version: self.version,
            whole: true,
            more: self.told.keys().cloned().collect(),
            less: Vec::new(),
            groups: groups.collect(),
        }
    }
}

/// Counts up or down. Says whether that was the first, or the last.
fn count(counts: &mut HashMap<Box<str>, u32>, filter: &str, more: bool) -> bool {
    match counts.get_mut(filter) {
        Some(count) if more => {
            *count += 1;
            false
        }
        Some(count) => {
            *count -= 1;
            *count == 0 && counts.remove(filter).is_some()
        }
        None if more => counts.insert(filter.into(), 1).is_none(),
        // Nobody ends who has not begun.
        None => false,
    }
}

/// The first levels of a filter, and all below. Of a topic that wildcards do not see the first
/// level stays.
fn cut(filter: &str, levels: Option<usize>) -> Box<str> {
    let Some(levels) = levels else { return filter.into() };
    let levels = if filter.starts_with('$') { levels.max(1) } else { levels };
    let mut ends = filter.match_indices('/').map(|(at, _)| at);
    if levels == 0 {
        return "#".into();
    }
    match ends.nth(levels - 1) {
        Some(end) => format!("{}/#", &filter[..end]).into(),
        None => filter.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_are_told_of_a_filter_when_the_first_listens_and_when_the_last_has_ended() {
        let mut own = Own::default();
        own.interested("a/b", true);
        own.interested("a/b", true);
        assert_eq!(own.tell().more, ["a/b".into()]);
        own.interested("a/b", false);
        assert!(own.is_told());
        own.interested("a/b", false);
        let told = own.tell();
        assert_eq!((told.more.len(), told.less), (0, vec!["a/b".into()]));
        assert!(own.whole().more.is_empty());
    }

    #[test]
    fn a_filter_is_cut_to_what_it_begins_with() {
        for (filter, levels, expected) in [
            ("a/b/c/d", 3, "a/b/c/#"),
            ("a/b/c", 3, "a/b/c"),
            ("a/+/c/#", 2, "a/+/#"),
            ("a", 1, "a"),
            ("#", 1, "#"),
            ("a/b", 0, "#"),
            ("$aws/events/x", 0, "$aws/#"),
        ] {
            assert_eq!(&*cut(filter, Some(levels)), expected);
        }
    }

    #[test]
    fn more_filters_than_others_take_are_told_by_what_they_begin_with() {
        let mut own = Own::default();
        for n in 0..=MAX_TOLD {
            own.interested(&format!("home/{}/room/{n}/lamp", n % 10), true);
        }
        let told = own.tell();
        assert!(told.whole);
        assert_eq!(told.more.len(), 10);
        for n in 0..=MAX_TOLD {
            own.interested(&format!("home/{}/room/{n}/lamp", n % 10), false);
        }
        assert_eq!(own.tell().less.len(), 10);
        assert!(own.whole().more.is_empty());
    }
}
