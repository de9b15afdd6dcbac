//! What is published, and what comes of it.

use std::sync::Arc;

use fanwire_store::{NoRoom, Refused, WriteError};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

/// A value for clients, as JSON. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Payload {
    pub(crate) json: Option<Arc<RawValue>>,
    pub(crate) meta: Option<Arc<RawValue>>,
}

/// A value for all who are subscribed to a path, or for some of them.
#[derive(Debug, Clone)]
pub struct Publication {
    /// The path, as [`Interest::path`](crate::Interest::path) names it.
    pub path: String,
    /// Only for those whose key for this filter begins with these bytes. `None`: for all of
    /// the path's.
    pub filter: Option<(u16, Vec<u8>)>,
    /// The value.
    pub data: Payload,
    /// Whether clients that come back are to get it, if they missed it.
    pub tracking: Tracking,
}

/// Whether a publication is an event of its own: one that has an id, by which a client that
/// comes back says what it had last, and is kept for a while
/// ([`HistoryLimits`](crate::HistoryLimits)). It is to be the same for all of one path.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Tracking {
    /// It is gone once it is sent.
    #[default]
    Untracked,
    /// The plane gives it an id. Clients with the id of an earlier history are told that it
    /// is gone.
    Numbered,
    /// It has this id: 1 to 1,000 bytes. A client whose last event is not kept any more is told
    /// so, whether or not anything came after it. Of events with one id the last counts.
    Named(String),
}

/// What became of a publication.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Published {
    /// The id of a tracked one.
    pub event_id: Option<String>,
    /// Subscriptions that it was sent to.
    pub delivered: usize,
    /// Connections that were closed because they did not take what they were sent.
    pub slow: usize,
}

/// Why something is not published. Nobody has it then, and it may be published again, unless
/// it says otherwise.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The id of a named event is empty, or too long.
    #[error("an event's id has 1 to {MAX_EVENT_ID_BYTES} bytes, and this one {0}")]
    EventId(usize),
    /// Too much waits to be delivered.
    #[error("too much is waiting to be delivered; publish again later")]
    Busy,
    /// It is longer than the history of its path may be.
    #[error(
        "with what it is kept with, the value has {bytes} bytes, and the history of a path has {limit}; publish less at once, or raise `history.max_bytes_per_path`"
    )]
    TooLarge {
        /// Its bytes.
        bytes: usize,
        /// What is kept.
        limit: usize,
    },
    /// The store has no room for it.
    #[error("cannot keep it: {0}")]
    NoRoom(#[from] NoRoom),
    /// The store does not take it.
    #[error("cannot keep it: {0}")]
    Refused(#[from] Refused),
    /// The store has failed: whether it is kept is not known, and nothing is any more.
    #[error("cannot keep it: {0}; start the server anew")]
    Write(#[from] WriteError),
    /// The plane has stopped.
    #[error("the server has stopped")]
    Stopped,
}

/// The longest id of a named event, in bytes.
pub(crate) const MAX_EVENT_ID_BYTES: usize = 1000;

// === impl Tracking ===

impl Tracking {
    /// The name of a named one.
    pub(crate) fn name(&self) -> Result<Option<&str>, PublishError> {
        match self {
            Self::Untracked | Self::Numbered => Ok(None),
            Self::Named(name) if (1..=MAX_EVENT_ID_BYTES).contains(&name.len()) => Ok(Some(name)),
            Self::Named(name) => Err(PublishError::EventId(name.len())),
        }
    }
}

// === impl Payload ===

impl Payload {
    /// A value.
    ///
    /// # Errors
    ///
    /// Where it has no JSON, such as a map whose keys are no strings.
    pub fn new<T: Serialize + ?Sized>(value: &T) -> serde_json::Result<Self> {
        to_raw_value(value).map(Self::from)
    }

    /// JavaScript's `undefined`, which JSON has no word for.
    pub fn undefined() -> Self {
        Self::default()
    }

    /// With what `superjson` is to know of the value: its `meta.values`, such as
    /// `{"sentAt":["Date"]}`. Without that transformer nobody sees it.
    #[must_use]
    pub fn with_meta(mut self, values: Box<RawValue>) -> Self {
        self.meta = Some(values.into());
        self
    }
}

impl From<Box<RawValue>> for Payload {
    fn from(json: Box<RawValue>) -> Self {
        Self { json: Some(json.into()), meta: None }
    }
}
