//! Time as connections live it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The machine's clock, moved ahead by as much as somebody asked for: a developer who
/// wants to see what happens after two hours does not wait for them. Cheap to clone;
/// all clones are one clock. It never goes back, and by default it is the machine's.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    ahead_ms: Arc<AtomicU64>,
}

/// The furthest that a clock can be moved ahead, in all: ten years.
const FURTHEST: Duration = Duration::from_secs(10 * 365 * 86_400);

// === impl Clock ===

impl Clock {
    /// Now, for deadlines.
    pub fn now(&self) -> Instant {
        Instant::now() + self.ahead()
    }

    /// Now, in milliseconds since the epoch.
    pub fn epoch_ms(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from((since + self.ahead()).as_millis()).unwrap_or(u64::MAX)
    }

    /// How far it is ahead of the machine's.
    pub fn ahead(&self) -> Duration {
        Duration::from_millis(self.ahead_ms.load(Ordering::Relaxed))
    }

    /// Moves it ahead, up to ten years in all. Those who wait for a moment have to be
    /// woken: see [`Hub::advance`](crate::Hub::advance).
    pub(crate) fn advance(&self, by: Duration) {
        let add = |ahead: u64| {
            let ahead = Duration::from_millis(ahead).saturating_add(by).min(FURTHEST);
            u64::try_from(ahead.as_millis()).ok()
        };
        // The closure always gives a value.
        let _ = self.ahead_ms.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_moves_ahead_for_all_who_share_it_and_only_so_far() {
        let clock = Clock::default();
        let shared = clock.clone();
        let before = Instant::now();
        clock.advance(Duration::from_secs(600));
        assert!(shared.now() >= before + Duration::from_secs(600));
        assert_eq!(shared.ahead(), Duration::from_secs(600));
        clock.advance(Duration::MAX);
        assert_eq!(shared.ahead(), FURTHEST);
    }
}
