//! Rates and numbers by address or name, in bounded room.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

/// What may come: so much a second, and at once what has not come for a while.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// How many a second in the long run.
    pub per_second: f64,
    /// How many at once.
    pub burst: f64,
}

/// Token buckets by key. Where there is no room for another, those that are full again go:
/// they are as good as new. Where none is, the keys that have waited longest go; they begin
/// with a full bucket then, so a flood of new keys loosens limits but never takes memory.
#[derive(Debug)]
pub struct Buckets<K> {
    most: usize,
    buckets: Mutex<HashMap<K, Bucket>>,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    /// What is left.
    tokens: f64,
    /// When that was so, in milliseconds.
    at: u64,
    rate: Rate,
}

/// Numbers by key: how many there are of each now.
#[derive(Debug, Clone)]
pub struct Counts<K: Eq + Hash>(Arc<Mutex<HashMap<K, u32>>>);

/// One that counts until it is dropped.
#[derive(Debug)]
pub struct Held<K: Eq + Hash> {
    key: Option<K>,
    counts: Counts<K>,
}

// === impl Bucket ===

impl Bucket {
    fn refill(&mut self, now: u64) {
        // A clock that goes back gives nothing and takes nothing.
        let passed = now.saturating_sub(self.at);
        #[expect(clippy::cast_precision_loss, reason = "a length of time, where it is no loss")]
        let gained = passed as f64 / 1000.0 * self.rate.per_second;
        self.tokens = (self.tokens + gained).min(self.rate.burst);
        self.at = self.at.max(now);
    }
}

// === impl Buckets ===

impl<K: Eq + Hash + Clone> Buckets<K> {
    /// Room for `most` keys.
    pub fn new(most: usize) -> Self {
        Self { most: most.max(1), buckets: Mutex::default() }
    }

    /// Whether one more may come of `key` at `now`, in milliseconds since some time.
    pub fn take(&self, key: &K, rate: Rate, now: u64) -> bool {
        self.take_many(key, 1.0, rate, now)
    }

    /// Whether `count` more may come. More than a burst come where the bucket is full, and
    /// leave it empty: else they could never.
    pub fn take_many(&self, key: &K, count: f64, rate: Rate, now: u64) -> bool {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if !buckets.contains_key(key) && buckets.len() >= self.most {
            make_room(&mut buckets, self.most, now);
        }
        let full = Bucket { tokens: rate.burst, at: now, rate };
        let bucket = buckets.entry(key.clone()).or_insert(full);
        bucket.rate = rate;
        bucket.refill(now);
        if bucket.tokens < count.min(rate.burst) {
            return false;
        }
        bucket.tokens = (bucket.tokens - count).max(0.0);
        true
    }

    /// How many keys are known.
    pub fn len(&self) -> usize {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Whether no key is known.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Makes room for an eighth of what there may be, so that it is seldom looked for.
fn make_room<K: Eq + Hash + Clone>(buckets: &mut HashMap<K, Bucket>, most: usize, now: u64) {
    buckets.retain(|_, bucket| {
        bucket.refill(now);
        bucket.tokens < bucket.rate.burst
    });
    let wanted = most - most.div_ceil(8);
    if buckets.len() > wanted {
        let mut fullest: Vec<(f64, K)> = buckets
            .iter()
            .map(|(key, bucket)| (bucket.tokens / bucket.rate.burst, key.clone()))
            .collect();
        fullest.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
        for (_, key) in fullest.drain(..buckets.len() - wanted) {
            buckets.remove(&key);
        }
    }
}

// === impl Counts ===

impl<K: Eq + Hash> Default for Counts<K> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K: Eq + Hash + Clone> Counts<K> {
    /// Counts one of `key` where there are fewer than `most`. What is counted is bounded by
    /// what there can be of it.
    pub fn hold(&self, key: K, most: u32) -> Option<Held<K>> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(key.clone()).or_default();
        if *count >= most {
            if *count == 0 {
                counts.remove(&key);
            }
            return None;
        }
        *count += 1;
        Some(Held { key: Some(key), counts: self.clone() })
    }

    /// How many there are of `key`.
    pub fn count(&self, key: &K) -> u32 {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.get(key).copied().unwrap_or_default()
    }
}

// === impl Held ===

impl<K: Eq + Hash> Drop for Held<K> {
    fn drop(&mut self) {
        let Some(key) = self.key.take() else { return };
        let mut counts = self.counts.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&key);
            }
        }
    }
}

/// Whom an address stands for: itself, or with IPv6 its network of 64 bits, which is the
/// least that anybody gets. An IPv4 address in IPv6's clothes is itself.
pub fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)))
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { per_second: 2.0, burst: 3.0 };

    #[test]
    fn a_burst_comes_at_once_and_the_rate_afterwards() {
        let buckets = Buckets::new(10);
        let take = |now| buckets.take(&"a", RATE, now);
        assert_eq!([take(0), take(0), take(0), take(0)], [true, true, true, false]);
        assert!(!take(499));
        assert!(take(500));
        assert!(!take(500));
        // Others are not concerned.
        assert!(buckets.take(&"b", RATE, 500));
        // A long time gives no more than a burst.
        let come = (0..10).filter(|_| take(1_000_000)).count();
        assert_eq!(come, 3);
        // A clock that goes back gives nothing.
        assert!(!take(0));
    }

    #[test]
    fn what_is_larger_than_a_burst_comes_when_the_bucket_is_full() {
        let buckets = Buckets::new(10);
        assert!(buckets.take_many(&"a", 100.0, RATE, 0));
        assert!(!buckets.take_many(&"a", 100.0, RATE, 1_000));
        assert!(buckets.take_many(&"a", 100.0, RATE, 1_500));
    }

    #[test]
    fn the_room_is_bounded_and_who_is_over_the_limit_stays_longest() {
        let buckets = Buckets::new(100);
        while buckets.take(&0, RATE, 0) {}
        for key in 1..100_000 {
            assert!(buckets.take(&key, RATE, 0));
            assert!(buckets.len() <= 100);
        }
        assert!(!buckets.take(&0, RATE, 0));
    }

    #[test]
    fn what_is_held_counts_until_it_is_dropped() {
        let counts = Counts::default();
        let held = [counts.hold("a", 2), counts.hold("a", 2), counts.hold("a", 2)];
        assert_eq!(held.each_ref().map(Option::is_some), [true, true, false]);
        assert!(counts.hold("b", 2).is_some());
        drop(held);
        assert_eq!(counts.count(&"a"), 0);
        assert!(counts.0.lock().unwrap().is_empty());
        assert!(counts.hold("a", 0).is_none());
    }

    #[test]
    fn addresses_of_ipv6_count_by_their_networks() {
        let network = |text: &str| network_of(text.parse().unwrap()).to_string();
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(network("::ffff:192.0.2.1"), "192.0.2.1");
        assert_eq!(network("192.0.2.1"), "192.0.2.1");
    }
}
