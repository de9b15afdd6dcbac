//! Values that JSON has no word for, and `superjson` has: dates, big integers, sets, maps.
//!
//! A router with [`Transformer::SuperJson`](crate::subscriptions::Transformer::SuperJson) tells
//! its clients which of the values that it sends are what. In Rust their types say so: a
//! [`Date`] arrives as a `Date`, a [`BigInt`] as a `bigint`, a [`Set`] as a `Set` and a [`Map`]
//! as a `Map`, wherever they stand in an input or an output, and the types that are written
//! for TypeScript say the same. All other types are what they are in JSON.
//!
//! ```
//! use std::collections::{BTreeMap, BTreeSet};
//! use std::time::SystemTime;
//!
//! use fanwire::subscriptions::{Router, Transformer};
//! use fanwire::superjson::{BigInt, Date, Map, Set};
//! use serde::{Deserialize, Serialize};
//! use ts_rs::TS;
//!
//! #[derive(Deserialize, Serialize, TS)]
//! struct Account {
//!     opened: Date,
//!     cents: BigInt,
//!     owners: Set<BTreeSet<String>>,
//!     limits: Map<BTreeMap<String, u32>>,
//! }
//!
//! let app = Router::<()>::new()
//!     .query("account", |_ctx, at: Date| async move {
//!         Ok(Account {
//!             opened: Date::from(SystemTime::UNIX_EPOCH).max(at),
//!             cents: BigInt(9_007_199_254_740_993),
//!             owners: Set(BTreeSet::from(["ada".to_owned()])),
//!             limits: Map(BTreeMap::from([("day".to_owned(), 500)])),
//!         })
//!     })
//!     .context(|_| async { Ok(()) })
//!     .with_transformer(Transformer::SuperJson);
//!
//! let types = app.typescript();
//! assert!(types.contains("opened: Date, cents: bigint, owners: Set<string>, limits: Map<string, number>"));
//! ```
//!
//! Without that transformer a date is a text as JavaScript's `toISOString` makes it, a big
//! integer its digits, a set an array, and a map an array of pairs; the types say that, too.

mod annotate;
mod big_int;
mod collections;
mod date;
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;

use ts_rs::Config;

pub(crate) use self::annotate::annotations;
pub use self::big_int::BigInt;
pub use self::collections::{Map, Set};
pub use self::date::{Date, NoDate};

/// What a [`Date`] is called in serde's data model, where nobody else can call anything so.
const DATE: &str = "$fanwire::superjson::Date";
/// What a [`BigInt`] is called there.
const BIG_INT: &str = "$fanwire::superjson::BigInt";
/// What a [`Set`] is called there.
const SET: &str = "$fanwire::superjson::Set";
/// What a [`Map`] is called there.
const MAP: &str = "$fanwire::superjson::Map";

/// Says in the options of `ts-rs`, which have no place for those of others, that clients have
/// no transformer: by how files are imported, of which it writes none here.
const PLAIN: &str = "fanwire:plain";

/// The options of types for clients without a transformer.
pub(crate) fn plain(config: Config) -> Config {
    config.with_import_extension(Some(PLAIN))
}

/// One of two names of a type: with `superjson`, and without.
fn name_of(config: &Config, with: impl Into<String>, without: impl Into<String>) -> String {
    if config.import_extension() == Some(PLAIN) { without.into() } else { with.into() }
}
