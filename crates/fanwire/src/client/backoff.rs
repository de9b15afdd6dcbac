//! How long to wait before the next attempt to connect.

use std::time::Duration;

/// The longest time between two attempts.
const LONGEST: Duration = Duration::from_secs(30);

/// By how much a delay may be shorter, as a part of it.
const JITTER: f64 = 0.2;

/// The delays of one client. Its randomness comes from the seed, so that tests know it.
#[derive(Debug)]
pub(super) struct Backoff {
    random: fastrand::Rng,
}

// === impl Backoff ===

impl Backoff {
    pub(super) fn new(seed: u64) -> Self {
        Self { random: fastrand::Rng::with_seed(seed) }
    }

    /// The delay after `failures` attempts in vain: none after none, then twice as long each
    /// time, as `@trpc/client` has it (reference: trpc.md, section 2.3), less some jitter.
    pub(super) fn delay(&mut self, failures: u32) -> Duration {
        if failures == 0 {
            return Duration::ZERO;
        }
        let seconds = 1_u64.checked_shl(failures).unwrap_or(u64::MAX);
        let whole = Duration::from_secs(seconds).min(LONGEST);
        whole.mul_f64(1.0 - JITTER * self.random.f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_longest_and_vary_by_a_fifth() {
        let mut backoff = Backoff::new(7);
        assert_eq!(backoff.delay(0), Duration::ZERO);
        for (failures, seconds) in [(1, 2.0), (2, 4.0), (4, 16.0), (5, 30.0), (99, 30.0)] {
            let delays: Vec<f64> = (0..64).map(|_| backoff.delay(failures).as_secs_f64()).collect();
            assert!(delays.iter().all(|delay| (seconds * 0.8..=seconds).contains(delay)));
            assert!(delays.iter().any(|delay| *delay != delays[0]));
        }
    }
}
