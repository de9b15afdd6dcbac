//! Integers beyond those that JavaScript's numbers are exact for.

use std::fmt;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use ts_rs::{Config, TS};

use super::{BIG_INT, name_of};
use crate::subscriptions::{FilterValue, Scalar};

/// An integer that is a `bigint` to clients with `superjson`. What Rust has as `u64` or `i64`
/// is a `number` to them, which is exact up to 2^53.
///
/// An input beyond 128 bits is refused as `BAD_REQUEST`.
///
/// ```
/// use fanwire::superjson::BigInt;
///
/// let cents = BigInt::from(u64::MAX);
/// assert_eq!(cents.0, 18_446_744_073_709_551_615);
/// assert_eq!(cents.to_string(), "18446744073709551615");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BigInt(pub i128);

// === impl BigInt ===

impl<N: Into<i128>> From<N> for BigInt {
    fn from(number: N) -> Self {
        Self(number.into())
    }
}

impl fmt::Display for BigInt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl Serialize for BigInt {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(BIG_INT, &format_args!("{}", self.0))
    }
}

impl<'de> Deserialize<'de> for BigInt {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Digits)
    }
}

/// Reads digits, and numbers that clients without `superjson` may send.
struct Digits;

impl Visitor<'_> for Digits {
    type Value = BigInt;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a bigint of at most 128 bits")
    }

    fn visit_str<E: Error>(self, digits: &str) -> Result<BigInt, E> {
        digits
            .parse()
            .map(BigInt)
            .map_err(|_| E::custom(format!("`{digits}` is no bigint of at most 128 bits")))
    }

    fn visit_i64<E>(self, number: i64) -> Result<BigInt, E> {
        Ok(BigInt(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<BigInt, E> {
        Ok(BigInt(number.into()))
    }
}

impl TS for BigInt {
    type WithoutGenerics = Self;
    type OptionInnerType = Self;

    fn name(config: &Config) -> String {
        name_of(config, "bigint", "string")
    }

    fn inline(config: &Config) -> String {
        Self::name(config)
    }
}

impl FilterValue for BigInt {
    fn scalar(&self) -> Scalar {
        Scalar::Number(self.0)
    }
}
