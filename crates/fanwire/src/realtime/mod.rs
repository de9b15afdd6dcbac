//! Topics, as AWS IoT and SST's `Realtime` have them.

mod broker;

pub use self::broker::{Broker, Publication, PublishError};
