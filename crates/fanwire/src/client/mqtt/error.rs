//! Why something was not done.

use fanwire_wire::mqtt::ReasonCode;

/// Why a broker was not subscribed or published to.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum MqttError {
    /// The topic, the filter or the message is none that can be sent. Fault of the caller.
    #[error("`{topic}` cannot be used: {why}")]
    Invalid {
        /// The topic or filter.
        topic: String,
        /// What is wrong.
        why: String,
    },
    /// The broker does not take it, for instance because of a policy.
    #[error("the broker refuses `{topic}`: {why}")]
    Refused {
        /// The topic or filter.
        topic: String,
        /// The broker's reason code, such as 135, where it has said one.
        reason: Option<u8>,
        /// What it says of it.
        why: String,
    },
    /// The message cannot be written as JSON. Fault of the caller.
    #[error("the message cannot be written as JSON: {0}")]
    Json(String),
    /// As many subscriptions are there as the client takes.
    #[error("there are {limit} subscriptions, and this client takes no more")]
    TooMany {
        /// The limit.
        limit: usize,
    },
    /// The client was closed.
    #[error("the client is closed")]
    Closed,
}

// === impl MqttError ===

impl MqttError {
    pub(super) fn refused(topic: &str, reason: ReasonCode, words: Option<&str>) -> Self {
        Self::Refused {
            topic: topic.to_owned(),
            reason: Some(reason as u8),
            why: words.unwrap_or(reason.name()).to_owned(),
        }
    }
}
