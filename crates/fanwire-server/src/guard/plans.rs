//! Usage plans: how often API keys may connect, as API Gateway has it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use arc_swap::ArcSwap;
use fanwire_access::{Buckets, Rate};
use fanwire_app::serve::limits::{Period, UsagePlan};
use indexmap::IndexMap;

/// API keys whose use is remembered: as many as a file may have, and those of the settings.
const MAX_KEYS: usize = 20_000;

/// The usage plans, and what has been used of them. It is counted from 0 again when the server
/// starts.
#[derive(Debug)]
pub(super) struct Plans {
    plans: ArcSwap<IndexMap<String, UsagePlan>>,
    began: Instant,
    rates: Buckets<String>,
    /// How much of its quota each key has used in which period.
    used: Mutex<HashMap<String, (i64, u32)>>,
}

/// Why an API key may not connect now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Spent {
    #[error("Too Many Requests")]
    Rate,
    #[error("Limit Exceeded")]
    Quota,
}

// === impl Plans ===

impl Plans {
    pub(super) fn new(plans: IndexMap<String, UsagePlan>, now: Instant) -> Self {
        Self {
            plans: ArcSwap::from_pointee(plans),
            began: now,
            rates: Buckets::new(MAX_KEYS),
            used: Mutex::default(),
        }
    }

    /// Has other plans hold from now on. What keys have used of theirs stays used.
    pub(super) fn set(&self, plans: IndexMap<String, UsagePlan>) {
        self.plans.store(Arc::new(plans));
    }

    /// Counts a handshake with a key. `day` is in days since 1970.
    pub(super) fn spend(
        &self,
        key: &str,
        plan: Option<&str>,
        now: Instant,
        day: i64,
    ) -> Result<(), Spent> {
        let plans = self.plans.load();
        let Some(plan) = plan.and_then(|plan| plans.get(plan)) else { return Ok(()) };
        if let Some(rate) = plan.rate {
            let passed = now.saturating_duration_since(self.began).as_millis();
            let passed = u64::try_from(passed).unwrap_or(u64::MAX);
            let rate = Rate { per_second: rate.per_second.into(), burst: rate.burst.into() };
            if !self.rates.take(&key.to_owned(), rate, passed) {
                return Err(Spent::Rate);
            }
        }
        let Some(quota) = plan.quota else { return Ok(()) };
        let period = period_of(day, plan.period);
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        if used.len() >= MAX_KEYS && !used.contains_key(key) {
            used.retain(|_, (then, _)| *then == period);
        }
        let (then, count) = used.entry(key.to_owned()).or_insert((period, 0));
        if *then != period {
            (*then, *count) = (period, 0);
        }
        if *count >= quota {
            return Err(Spent::Quota);
        }
        *count += 1;
        Ok(())
    }
}

/// The number of the period that a day is in.
fn period_of(day: i64, period: Period) -> i64 {
    match period {
        Period::Day => day,
        // The first of January of 1970 was a Thursday.
        Period::Week => (day + 3).div_euclid(7),
        Period::Month => {
            let date = jiff::Timestamp::from_second(day.saturating_mul(86_400)).ok();
            let date = date.map(|at| at.to_zoned(jiff::tz::TimeZone::UTC));
            date.map_or(0, |date| i64::from(date.year()) * 12 + i64::from(date.month()))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use fanwire_app::serve::limits::Rate as RateSetting;

    use super::*;

    fn plans(plan: UsagePlan) -> (Plans, Instant) {
        let now = Instant::now();
        (Plans::new([("p".to_owned(), plan)].into_iter().collect(), now), now)
    }

    #[test]
    fn a_key_connects_at_the_rate_of_its_plan() {
        let rate = Some(RateSetting { per_second: 1, burst: 2 });
        let (plans, now) = plans(UsagePlan { rate, quota: None, period: Period::Day });
        let spend = |key, now| plans.spend(key, Some("p"), now, 0);
        assert_eq!([spend("a", now), spend("a", now)], [Ok(()), Ok(())]);
        assert_eq!(spend("a", now), Err(Spent::Rate));
        assert_eq!(spend("b", now), Ok(()));
        assert_eq!(spend("a", now + Duration::from_secs(1)), Ok(()));
        assert_eq!(plans.spend("a", None, now, 0), Ok(()));
    }

    #[test]
    fn a_quota_is_for_a_day_a_week_or_a_month() {
        for (period, last, next) in [
            (Period::Day, 0, 1),
            // The 4th of January of 1970 was a Sunday.
            (Period::Week, 3, 4),
            (Period::Month, 30, 31),
        ] {
            let (plans, now) = plans(UsagePlan { rate: None, quota: Some(1), period });
            let spend = |day| plans.spend("a", Some("p"), now, day);
            assert_eq!([spend(0), spend(last)], [Ok(()), Err(Spent::Quota)], "{period:?}");
            assert_eq!(spend(next), Ok(()), "{period:?}");
        }
    }
}
