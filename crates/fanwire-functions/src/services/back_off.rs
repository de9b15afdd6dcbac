//! How long a service that has ended waits until it is started again.

use std::time::Duration;

/// The first wait.
const FIRST: Duration = Duration::from_millis(500);
/// The longest one.
const LONGEST: Duration = Duration::from_secs(15);
/// A service that ran for so long is well: what ends it next is a fault of its own.
const WELL_AFTER: Duration = Duration::from_secs(10);

/// Waits that double while a service does not run for long.
#[derive(Debug, Default)]
pub(super) struct BackOff {
    last: Option<Duration>,
}

// === impl BackOff ===

impl BackOff {
    /// The wait after the service ran for `ran`.
    pub(super) fn next(&mut self, ran: Duration) -> Duration {
        let last = self.last.filter(|_| ran < WELL_AFTER);
        let next = last.map_or(FIRST, |last| (last * 2).min(LONGEST));
        self.last = Some(next);
        next
    }

    /// Begins with the first wait again: there is new code.
    pub(super) fn reset(&mut self) {
        self.last = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_bound_and_begin_anew_after_a_good_run() {
        let mut back_off = BackOff::default();
        let mut waits = |ran| (0..7).map(|_| back_off.next(ran).as_millis()).collect::<Vec<_>>();
        let doubled = [500, 1000, 2000, 4000, 8000, 15_000, 15_000];
        assert_eq!(waits(Duration::from_millis(10)), doubled);
        assert_eq!(waits(WELL_AFTER), [500; 7]);
    }
}
