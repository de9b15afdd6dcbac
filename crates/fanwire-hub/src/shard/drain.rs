//! Goodbyes, spread over a while: clients that are all sent away at once all come back at
//! once, and whoever is left has to let them in.

use std::time::{Duration, Instant};

use super::Shard;
use crate::Session;

/// The shortest time between two lots of goodbyes.
const TICK: Duration = Duration::from_millis(20);

/// How far goodbyes are.
#[derive(Debug)]
pub(super) struct Drain {
    began: Instant,
    window: Duration,
    /// Slots there were when it began.
    slots: u32,
    /// The first slot whose session has not been asked.
    next: u32,
    /// When the next lot is due.
    due: Instant,
}

// === impl Drain ===

impl Drain {
    fn new(now: Instant, window: Duration, slots: u32) -> Self {
        Self { began: now, window, slots, next: 0, due: now }
    }

    /// When the next lot is due, unless all have been asked.
    pub(super) fn next(&self) -> Option<Instant> {
        (self.next < self.slots).then_some(self.due)
    }

    /// The slots whose turn has come by `now`: evenly many for the time that has passed.
    fn take_due(&mut self, now: Instant) -> std::ops::Range<u32> {
        let passed = now.saturating_duration_since(self.began);
        let until = if passed >= self.window {
            self.slots
        } else {
            let share = passed.as_secs_f64() / self.window.as_secs_f64();
            (f64::from(self.slots) * share) as u32
        };
        let due = self.next..until.max(self.next);
        self.next = due.end;
        let each = self.window.div_f64(f64::from(self.slots.max(1)));
        self.due = now + each.max(TICK);
        due
    }
}

// === impl Shard ===

impl<S: Session> Shard<S> {
    /// Begins to say goodbye. Those that are told to already go on as they do.
    pub(super) fn begin_drain(&mut self, window: Duration) {
        // Slots have 24 bits.
        let slots = self.slots.len() as u32;
        self.drain.get_or_insert_with(|| Drain::new(self.now, window, slots));
    }

    /// Sends those away whose turn has come.
    pub(super) fn drain_due(&mut self) {
        let Some(drain) = &mut self.drain else { return };
        for slot in drain.take_due(self.now) {
            self.call(slot, |session, cx| session.draining(cx));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goodbyes_are_spread_evenly_and_all_said_by_the_end() {
        let start = Instant::now();
        let mut drain = Drain::new(start, Duration::from_secs(10), 1000);
        assert_eq!(drain.take_due(start), 0..0);
        assert_eq!(drain.next(), Some(start + TICK));
        assert_eq!(drain.take_due(start + Duration::from_secs(1)), 0..100);
        assert_eq!(drain.take_due(start + Duration::from_secs(5)), 100..500);
        assert_eq!(drain.take_due(start + Duration::from_secs(12)), 500..1000);
        assert_eq!(drain.next(), None);
    }

    #[test]
    fn without_a_window_all_are_told_at_once() {
        let start = Instant::now();
        let mut drain = Drain::new(start, Duration::ZERO, 3);
        assert_eq!(drain.take_due(start), 0..3);
        assert_eq!(Drain::new(start, Duration::ZERO, 0).next(), None);
    }
}
