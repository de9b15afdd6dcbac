//! When certificates are ordered: at two thirds of their lives, and after failures in the
//! way that authorities put up with.

use std::time::Duration;

use jiff::Timestamp;

use super::super::validity::Period;

/// The wait after the first order that came to nothing. It is followed by three times as
/// much each time, so that the first hour has the five attempts that Let's Encrypt allows
/// for a name (<https://letsencrypt.org/docs/rate-limits/>).
const FIRST_BACK_OFF: Duration = Duration::from_secs(60);
const BACK_OFF_FACTOR: u32 = 3;

/// The longest wait.
const MAX_BACK_OFF: Duration = Duration::from_secs(6 * 60 * 60);

/// When a certificate is to be renewed: at two thirds of its life, or up to a sixtieth of
/// it earlier, by `chance` in 0 to 1, so that not all servers come at once.
pub(super) fn renew_at(period: Period, chance: f64) -> Timestamp {
    let life = period.end.duration_since(period.begin);
    let early = (life / 60).mul_f64(chance);
    period.begin + life * 2 / 3 - early
}

/// How long to wait after so many failures in a row, at least one: up to a fifth longer, by
/// `chance` in 0 to 1.
pub(super) fn back_off(failures: u32, chance: f64) -> Duration {
    let factor = BACK_OFF_FACTOR.saturating_pow(failures.saturating_sub(1));
    let wait = FIRST_BACK_OFF.saturating_mul(factor).min(MAX_BACK_OFF);
    wait + (wait / 5).mul_f64(chance)
}

/// A number from 0 to 1. A system without random numbers has no jitter.
pub(super) fn chance() -> f64 {
    let mut bytes = [0; 4];
    match getrandom::fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX),
        Err(_) => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_of_ninety_days_is_renewed_after_sixty_at_the_latest() {
        let begin: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let end: Timestamp = "2026-04-01T00:00:00Z".parse().unwrap();
        let period = Period { begin, end };
        assert_eq!(renew_at(period, 0.0).to_string(), "2026-03-02T00:00:00Z");
        assert_eq!(renew_at(period, 1.0).to_string(), "2026-02-28T12:00:00Z");
    }

    #[test]
    fn failures_wait_longer_each_time_and_never_for_ever() {
        let waits: Vec<u64> = (1..=9).map(|failures| back_off(failures, 0.0).as_secs()).collect();
        assert_eq!(waits, [60, 180, 540, 1620, 4860, 14580, 21600, 21600, 21600]);
        let within_an_hour = waits.iter().scan(0, |sum, wait| {
            *sum += wait;
            (*sum < 3600).then_some(())
        });
        assert_eq!(within_an_hour.count() + 1, 5, "with the first, which did not wait");
        assert_eq!(back_off(u32::MAX, 1.0).as_secs(), 21600 + 4320);
    }
}
