//! What one address, one principal and one connection may ask for, over all planes.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;

use fanwire_app::serve::limits::{Limits, Rate as RateSetting};

use crate::rate::{Buckets, Counts, Held, Rate, network_of};

/// Addresses whose arrivals are remembered. Beyond, those that have been quiet longest are
/// forgotten: see [`Buckets`].
const MAX_ADDRESSES: usize = 65_536;

/// Holds clients to limits. One for a server, so that what it counts is counted in all.
#[derive(Debug)]
pub struct Limiter {
    limits: RwLock<Limits>,
    /// When it began: what times are counted from.
    began: Instant,
    arrivals: Buckets<IpAddr>,
    addresses: Counts<IpAddr>,
    /// Those that have yet to become a session, or never do.
    guests: Counts<IpAddr>,
    principals: Counts<Arc<str>>,
    refused: [AtomicU64; Excess::ALL.len()],
}

/// What there is too much of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Excess {
    /// Connections in a time.
    #[error("too many connections come from this address in a short time (limits.connect_rate)")]
    ConnectRate,
    /// Connections at once.
    #[error(
        "there are too many connections from this address (limits.max_connections_per_address)"
    )]
    Address,
    /// Connections at once.
    #[error(
        "there are too many connections of this principal (limits.max_connections_per_principal)"
    )]
    Principal,
    /// Messages of a connection in a time.
    #[error("the connection sends too many messages (limits.message_rate)")]
    MessageRate,
    /// Bytes of a connection in a time.
    #[error("the connection sends too many bytes (limits.byte_rate)")]
    ByteRate,
}

/// A connection that is counted, until it is dropped.
#[derive(Debug, Default)]
pub struct Counted {
    // In boxes of their own: where nothing is limited, a connection has no room for them.
    _address: Option<Box<Held<IpAddr>>>,
    _principal: Option<Box<Held<Arc<str>>>>,
}

/// What one connection may send.
#[derive(Debug)]
pub struct Allowance {
    messages: Option<Purse>,
    bytes: Option<Purse>,
}

/// What is left of a rate.
#[derive(Debug)]
struct Purse {
    rate: Rate,
    left: f64,
    at: Instant,
}

// === impl Excess ===

impl Excess {
    /// Each of them.
    pub const ALL: [Self; 5] =
        [Self::ConnectRate, Self::Address, Self::Principal, Self::MessageRate, Self::ByteRate];

    /// Its name in metrics: that of the limit.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ConnectRate => "connect_rate",
            Self::Address => "max_connections_per_address",
            Self::Principal => "max_connections_per_principal",
            Self::MessageRate => "message_rate",
            Self::ByteRate => "byte_rate",
        }
    }
}

// === impl Limiter ===

impl Limiter {
    /// One that begins at `now`.
    pub fn new(limits: Limits, now: Instant) -> Self {
        Self {
            limits: RwLock::new(limits),
            began: now,
            arrivals: Buckets::new(MAX_ADDRESSES),
            addresses: Counts::default(),
            guests: Counts::default(),
            principals: Counts::default(),
            refused: Default::default(),
        }
    }

    /// Holds to other limits from now on. Who is connected stays, with its allowance.
    pub fn set(&self, limits: Limits) {
        *self.limits.write().unwrap_or_else(PoisonError::into_inner) = limits;
    }

    /// Whether anything about connections is limited.
    pub fn limits_connections(&self) -> bool {
        self.with(|limits| {
            limits.connect_rate.is_some()
                || limits.max_connections_per_address.is_some()
                || limits.max_connections_per_principal.is_some()
        })
    }

    /// Takes note of a client that wants to connect.
    ///
    /// # Errors
    ///
    /// [`Excess`], where it has to be refused.
    pub fn arrive(&self, address: IpAddr, now: Instant) -> Result<Counted, Excess> {
        let (rate, most) =
            self.with(|limits| (limits.connect_rate, limits.max_connections_per_address));
        let network = network_of(address);
        if rate.is_some_and(|rate| !self.arrivals.take(&network, rate_of(rate), self.ms(now))) {
            return Err(self.refuse(Excess::ConnectRate));
        }
        let address = match most {
            None => None,
            Some(most) => {
                let held = self.addresses.hold(network, most);
                Some(Box::new(held.ok_or_else(|| self.refuse(Excess::Address))?))
            }
        };
        Ok(Counted { _address: address, _principal: None })
    }

    /// Takes note of a connection that has yet to say what it wants, until what is returned is
    /// dropped. An address may have as many of them as it may have sessions, beside those: else
    /// it could take all the places there are for HTTP and handshakes.
    ///
    /// # Errors
    ///
    /// [`Excess`], where it has to be refused.
    pub fn knock(&self, address: IpAddr) -> Result<Option<Held<IpAddr>>, Excess> {
        let Some(most) = self.with(|limits| limits.max_connections_per_address) else {
            return Ok(None);
        };
        let held = self.guests.hold(network_of(address), most);
        held.map(Some).ok_or_else(|| self.refuse(Excess::Address))
    }

    /// Takes note of who a client is.
    ///
    /// # Errors
    ///
    /// [`Excess`], where it has to be refused.
    pub fn know(&self, counted: Counted, principal: &str) -> Result<Counted, Excess> {
        let Some(most) = self.with(|limits| limits.max_connections_per_principal) else {
            return Ok(counted);
        };
        let held = self.principals.hold(principal.into(), most);
        let held = Some(Box::new(held.ok_or_else(|| self.refuse(Excess::Principal))?));
        Ok(Counted { _principal: held, ..counted })
    }

    /// What a connection may send. `None`: what it likes.
    pub fn allowance(&self, now: Instant) -> Option<Box<Allowance>> {
        let (messages, bytes) = self.with(|limits| (limits.message_rate, limits.byte_rate));
        let purse = |rate| Purse::new(rate_of(rate), now);
        let limited = messages.is_some() || bytes.is_some();
        let allowance = Allowance { messages: messages.map(purse), bytes: bytes.map(purse) };
        limited.then(|| Box::new(allowance))
    }

    /// Counts one of whom too much comes; says the same.
    pub fn refuse(&self, excess: Excess) -> Excess {
        let place = Excess::ALL.iter().position(|each| *each == excess);
        if let Some(count) = place.and_then(|place| self.refused.get(place)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        excess
    }

    /// How often each limit was the reason to refuse something.
    pub fn refused(&self) -> impl Iterator<Item = (Excess, u64)> {
        let count = |(excess, count): (Excess, &AtomicU64)| (excess, count.load(Ordering::Relaxed));
        Excess::ALL.into_iter().zip(&self.refused).map(count)
    }

    fn with<T>(&self, read: impl FnOnce(&Limits) -> T) -> T {
        read(&self.limits.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn ms(&self, now: Instant) -> u64 {
        let passed = now.saturating_duration_since(self.began).as_millis();
        u64::try_from(passed).unwrap_or(u64::MAX)
    }
}

impl Default for Limiter {
    /// One that limits nothing.
    fn default() -> Self {
        Self::new(Limits::default(), Instant::now())
    }
}

// === impl Allowance ===

impl Allowance {
    /// Takes a message off it.
    ///
    /// # Errors
    ///
    /// [`Excess`], where nothing is left.
    pub fn message(&mut self, bytes: usize, now: Instant) -> Result<(), Excess> {
        #[expect(clippy::cast_precision_loss, reason = "a length of bytes, where it is no loss")]
        let bytes = bytes as f64;
        if self.messages.as_mut().is_some_and(|purse| !purse.pay(1.0, now)) {
            return Err(Excess::MessageRate);
        }
        if self.bytes.as_mut().is_some_and(|purse| !purse.pay(bytes, now)) {
            return Err(Excess::ByteRate);
        }
        Ok(())
    }
}

// === impl Purse ===

impl Purse {
    fn new(rate: Rate, now: Instant) -> Self {
        Self { left: rate.burst, rate, at: now }
    }

    /// Pays, where there is as much, or where the price is more than ever fits.
    fn pay(&mut self, price: f64, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.left = (self.left + passed * self.rate.per_second).min(self.rate.burst);
        self.at = self.at.max(now);
        if self.left < price.min(self.rate.burst) {
            return false;
        }
        self.left = (self.left - price).max(0.0);
        true
    }
}

fn rate_of(setting: RateSetting) -> Rate {
    Rate { per_second: f64::from(setting.per_second), burst: f64::from(setting.burst) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn rate(per_second: u32, burst: u32) -> Option<RateSetting> {
        Some(RateSetting { per_second, burst })
    }

    fn ip(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[test]
    fn nothing_is_limited_where_nothing_is_said() {
        let (limiter, now) = (Limiter::default(), Instant::now());
        assert!(!limiter.limits_connections() && limiter.allowance(now).is_none());
        let held: Vec<_> = (0..1_000).map(|_| limiter.arrive(ip(1), now).unwrap()).collect();
        assert!(limiter.know(Counted::default(), "ann").is_ok());
        drop(held);
    }

    #[test]
    fn an_address_connects_so_often_and_has_so_many() {
        let now = Instant::now();
        let limits = Limits {
            connect_rate: rate(1, 3),
            max_connections_per_address: Some(2),
            ..Limits::default()
        };
        let limiter = Limiter::new(limits, now);
        let held = [limiter.arrive(ip(1), now).unwrap(), limiter.arrive(ip(1), now).unwrap()];
        assert_eq!(limiter.arrive(ip(1), now).unwrap_err(), Excess::Address);
        assert_eq!(limiter.arrive(ip(1), now).unwrap_err(), Excess::ConnectRate);
        limiter.arrive(ip(2), now).unwrap();
        drop(held);
        limiter.arrive(ip(1), now + Duration::from_secs(1)).unwrap();
        let refused: Vec<_> = limiter.refused().filter(|(_, count)| *count > 0).collect();
        assert_eq!(refused, [(Excess::ConnectRate, 1), (Excess::Address, 1)]);
    }

    #[test]
    fn a_principal_has_so_many_wherever_it_comes_from() {
        let limits = Limits { max_connections_per_principal: Some(1), ..Limits::default() };
        let limiter = Limiter::new(limits, Instant::now());
        let know = |name| limiter.know(Counted::default(), name);
        let ann = know("ann").unwrap();
        assert_eq!(know("ann").unwrap_err(), Excess::Principal);
        know("bob").unwrap();
        drop(ann);
        know("ann").unwrap();
    }

    #[test]
    fn a_connection_sends_so_many_messages_and_bytes() {
        let now = Instant::now();
        let limits =
            Limits { message_rate: rate(10, 2), byte_rate: rate(100, 100), ..Limits::default() };
        let limiter = Limiter::new(limits, now);
        let mut allowance = limiter.allowance(now).unwrap();
        allowance.message(60, now).unwrap();
        assert_eq!(allowance.message(60, now), Err(Excess::ByteRate));
        assert_eq!(allowance.message(0, now), Err(Excess::MessageRate));
        allowance.message(60, now + Duration::from_secs(1)).unwrap();
    }
}
