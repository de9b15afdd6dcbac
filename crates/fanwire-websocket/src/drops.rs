//! Messages that are dropped: all of them are counted, and told of once a second.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often drops are told of.
const EVERY: Duration = Duration::from_secs(1);

/// How many messages were dropped.
#[derive(Debug, Default)]
pub(crate) struct Drops {
    total: AtomicU64,
    // A std lock: held to look at two numbers.
    untold: Mutex<Untold>,
}

/// What nobody was told yet.
#[derive(Debug, Default)]
struct Untold {
    messages: u64,
    told_at: Option<Instant>,
}

// === impl Drops ===

impl Drops {
    /// One more. Says how many are to be told of now, if any.
    pub(crate) fn count(&self, now: Instant) -> Option<u64> {
        self.total.fetch_add(1, Ordering::Relaxed);
        let mut untold = self.untold.lock().unwrap_or_else(PoisonError::into_inner);
        untold.messages += 1;
        if untold.told_at.is_some_and(|at| now.saturating_duration_since(at) < EVERY) {
            return None;
        }
        untold.told_at = Some(now);
        Some(std::mem::take(&mut untold.messages))
    }

    /// All of them, told or not.
    pub(crate) fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drops_are_told_of_once_a_second_and_none_is_left_out() {
        let (drops, start) = (Drops::default(), Instant::now());
        assert_eq!(drops.count(start), Some(1));
        for _ in 0..1000 {
            assert_eq!(drops.count(start + EVERY / 2), None);
        }
        assert_eq!(drops.count(start + EVERY), Some(1001));
        assert_eq!(drops.total(), 1002);
    }
}
