//! How handlers reach connections, whatever home the app has.

use std::fmt::Debug;

use futures_util::future::BoxFuture;

use super::Body;

/// What keeps the connections: the gateway of this process, Fanwire's or AWS's.
///
/// Handlers have it as `Connection`; all other code has it from its [`Home`](crate::Home).
pub trait Gateway: Debug + Send + Sync + 'static {
    /// Sends a message to one connection.
    fn send<'a>(&'a self, to: &'a str, body: Body) -> BoxFuture<'a, Result<(), SendError>>;

    /// Sends a message to many connections, concurrently where it takes a call for each.
    /// Those that are gone are counted, and named where they were addressed by id.
    fn send_to(&self, to: Recipients, body: Body) -> BoxFuture<'_, Result<Delivered, SendError>>;

    /// Closes a connection. On AWS the code is always 1000 or 1001, whatever is said.
    fn close<'a>(
        &'a self,
        id: &'a str,
        code: u16,
        reason: &'a str,
    ) -> BoxFuture<'a, Result<(), SendError>>;

    /// Puts a connection into a group or takes it out of it.
    fn regroup<'a>(
        &'a self,
        id: &'a str,
        group: Group,
        member: bool,
    ) -> BoxFuture<'a, Result<(), SendError>>;
}

/// Whom a message is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recipients {
    /// These connections.
    Ids(Vec<String>),
    /// The members of a group.
    Group(Group),
    /// Every connection of the API.
    All,
}

/// What connections can be addressed by besides their ids. API Gateway has no groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Group {
    /// Those that have a tag.
    Tag(String),
    /// Those that are subscribed to a topic filter of the realtime endpoint.
    Topic(String),
}

/// What became of a message for many.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delivered {
    /// How many connections it was given to.
    pub delivered: usize,
    /// Ids of connections that are gone.
    pub gone: Vec<String>,
    /// How many did not get it for another reason.
    pub failed: usize,
}

/// Why a message did not reach a connection.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The connection has ended (410). Nobody's fault: forget its id.
    #[error("connection {id} is gone")]
    Gone {
        /// The connection's id.
        id: String,
    },
    /// The message is too long (413). Fault of the caller.
    #[error("the message is over the gateway's limit; on AWS that is 128 KB")]
    TooLarge,
    /// Too much is under way (429). Try again later.
    #[error("too much is being sent; try again later")]
    Throttled,
    /// The message could not be written as JSON. Fault of the caller.
    #[error("the message cannot be written as JSON: {0}")]
    NotJson(#[from] serde_json::Error),
    /// The gateway cannot do it.
    #[error("{0}")]
    Unsupported(&'static str),
    /// The gateway refused or could not be reached.
    #[error("the gateway could not be used: {0}")]
    Failed(String),
}

// === impl SendError ===

impl SendError {
    /// Whether the connection has ended: its id can be forgotten.
    pub fn is_gone(&self) -> bool {
        matches!(self, Self::Gone { .. })
    }
}
