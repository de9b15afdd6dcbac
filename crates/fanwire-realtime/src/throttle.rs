//! How much one client may send: messages and bytes a second (reference: iot.md, section
//! 4). A client that sends more is read later, so that it slows down and loses nothing.

use std::time::{Duration, Instant};

use fanwire_app::model::RealtimeLimits;

/// What one connection may send.
#[derive(Debug)]
pub(crate) struct Throttle {
    messages: Option<Bucket>,
    bytes: Option<Bucket>,
}

/// What may be taken at a rate, a second's worth of it in advance.
#[derive(Debug)]
struct Bucket {
    per_second: u64,
    /// What is left, in thousandths. Below zero for what was taken too early.
    level: i64,
    at: Instant,
}

// === impl Throttle ===

impl Throttle {
    /// The throttle of a new connection; `None` where it may send what it likes.
    pub(crate) fn new(limits: &RealtimeLimits, now: Instant) -> Option<Box<Self>> {
        let messages = limits.publishes_per_second.map(|rate| Bucket::new(u64::from(rate), now));
        let bytes = limits.bytes_per_second.map(|rate| Bucket::new(rate as u64, now));
        let limited = messages.is_some() || bytes.is_some();
        limited.then(|| Box::new(Self { messages, bytes }))
    }

    /// Counts what has come. Says how long to wait before more is read.
    pub(crate) fn count(&mut self, messages: u64, bytes: u64, now: Instant) -> Option<Duration> {
        let messages = self.messages.as_mut().and_then(|bucket| bucket.take(messages, now));
        let bytes = self.bytes.as_mut().and_then(|bucket| bucket.take(bytes, now));
        messages.max(bytes)
    }
}

// === impl Bucket ===

impl Bucket {
    fn new(per_second: u64, now: Instant) -> Self {
        let per_second = per_second.clamp(1, u64::from(u32::MAX));
        Self { per_second, level: thousandths(per_second), at: now }
    }

    fn take(&mut self, count: u64, now: Instant) -> Option<Duration> {
        let passed = now.saturating_duration_since(self.at).as_millis();
        // Thousandths a millisecond are units a second.
        let earned = u64::try_from(passed).unwrap_or(u64::MAX).saturating_mul(self.per_second);
        let full = thousandths(self.per_second);
        let earned = i64::try_from(earned).unwrap_or(i64::MAX);
        self.level = self.level.saturating_add(earned).min(full);
        self.level = self.level.saturating_sub(thousandths(count));
        self.at = now;
        let debt = u64::try_from(self.level.saturating_neg()).ok().filter(|debt| *debt > 0)?;
        Some(Duration::from_millis(debt.div_ceil(self.per_second)))
    }
}

fn thousandths(count: u64) -> i64 {
    i64::try_from(count.saturating_mul(1000)).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_may_be_spent_at_once_and_what_is_more_is_waited_for() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut bucket = Bucket::new(100, start);
        assert_eq!(bucket.take(100, start), None);
        assert_eq!(bucket.take(50, start), Some(Duration::from_millis(500)));
        assert_eq!(bucket.take(0, at(500)), None);
        assert_eq!(bucket.take(1, at(500)), Some(Duration::from_millis(10)));
        // Time that is not used is not saved up beyond a second.
        assert_eq!(bucket.take(100, at(60_000)), None);
        assert_eq!(bucket.take(1, at(60_000)), Some(Duration::from_millis(10)));
    }
}
