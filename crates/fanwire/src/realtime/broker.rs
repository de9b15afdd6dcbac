//! How handlers publish, whatever home the app has.

use std::fmt::Debug;

use bytes::Bytes;
use futures_util::future::BoxFuture;

/// What messages are published to: the broker of this process, Fanwire's or AWS IoT.
pub trait Broker: Debug + Send + Sync + 'static {
    /// Publishes a message. Done when the broker has taken it.
    fn publish(&self, publication: Publication) -> BoxFuture<'_, Result<(), PublishError>>;
}

/// A message to be published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publication {
    /// The topic name: no wildcards.
    pub topic: String,
    /// What it carries.
    pub payload: Bytes,
    /// The quality of service, 0 or 1; 2 where the broker has it.
    pub qos: u8,
    /// Whether it is kept for those who subscribe later.
    pub retain: bool,
}

/// Why a message was not published.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The topic, or the message, is none that the broker takes. Fault of the caller.
    #[error("`{topic}` cannot be published to: {why}")]
    Refused {
        /// The topic.
        topic: String,
        /// What is wrong.
        why: String,
    },
    /// Too much is under way. Try again later.
    #[error("too much is being published; try again later")]
    Throttled,
    /// The broker could not be reached, or failed.
    #[error("the broker could not be used: {0}")]
    Failed(String),
    /// The app has no realtime endpoint.
    #[error(
        "there is no realtime endpoint: give the app one, or set AWS_ENDPOINT_URL_IOT_DATA_PLANE"
    )]
    NoEndpoint,
}

/// The broker of an app that has none: nothing can be published.
#[cfg(feature = "server")]
#[derive(Clone, Copy, Debug)]
pub(crate) struct NoBroker;

#[cfg(feature = "server")]
impl Broker for NoBroker {
    fn publish(&self, _: Publication) -> BoxFuture<'_, Result<(), PublishError>> {
        Box::pin(async { Err(PublishError::NoEndpoint) })
    }
}
