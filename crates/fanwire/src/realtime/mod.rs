//! Topics, as AWS IoT and SST's `Realtime` have them.

mod broker;

#[cfg(feature = "server")]
pub(crate) use self::broker::NoBroker;
pub use self::broker::{Broker, Publication, PublishError};
