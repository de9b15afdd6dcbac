//! When which connection wants to be woken, at four bytes a connection.
//!
//! Deadlines move with every message, so keeping them sorted would cost more than
//! they are worth. An entry is filed under the second in which it may be due; when
//! that second comes the shard asks the session, and files it anew if its deadline
//! has moved on.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Entries filed by the second, counted from the shard's start.
#[derive(Debug)]
pub(crate) struct Deadlines {
    start: Instant,
    by_second: BTreeMap<u32, Vec<u32>>,
}

impl Deadlines {
    pub(crate) fn new(start: Instant) -> Self {
        Self { start, by_second: BTreeMap::new() }
    }

    /// Files `slot` under the first whole second that is not before `deadline`, and
    /// says which that is.
    pub(crate) fn file(&mut self, slot: u32, deadline: Instant) -> u32 {
        let second = self.second_of(deadline);
        self.by_second.entry(second).or_default().push(slot);
        second
    }

    /// The second that `file` would choose.
    pub(crate) fn second_of(&self, deadline: Instant) -> u32 {
        let after = deadline.saturating_duration_since(self.start);
        let whole = after.as_secs() + u64::from(after.subsec_nanos() > 0);
        // A deadline in 136 years is never asked for again.
        u32::try_from(whole).unwrap_or(u32::MAX)
    }

    /// The slots of a second that has come, if one has.
    pub(crate) fn take_due(&mut self, now: Instant) -> Option<(u32, Vec<u32>)> {
        let first = self.by_second.first_entry()?;
        let due = self.start + Duration::from_secs(u64::from(*first.key()));
        (due <= now).then(|| first.remove_entry())
    }

    /// When `take_due` has something next.
    pub(crate) fn next(&self) -> Option<Instant> {
        let (second, _) = self.by_second.first_key_value()?;
        Some(self.start + Duration::from_secs(u64::from(*second)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_comes_due_never_before_its_deadline_and_within_a_second_after() {
        let start = Instant::now();
        let mut deadlines = Deadlines::new(start);
        let at = |millis| start + Duration::from_millis(millis);
        deadlines.file(1, at(1500));
        deadlines.file(2, at(2000));
        deadlines.file(3, at(9000));
        assert_eq!(deadlines.next(), Some(at(2000)));
        assert_eq!(deadlines.take_due(at(1999)), None);
        assert_eq!(deadlines.take_due(at(2000)), Some((2, vec![1, 2])));
        assert_eq!(deadlines.take_due(at(2000)), None);
        assert_eq!(deadlines.next(), Some(at(9000)));
    }
}
