//! Why a call failed.

use std::fmt;

use fanwire_wire::trpc::{ErrorCode, Failure};
use serde_json::Value;

/// Why a call failed, or a subscription ended early.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The server says so.
    #[error("{0}")]
    Server(ServerError),
    /// The connection was lost while the server had the call: it may have done it or not.
    /// Only queries and mutations fail so; subscriptions go on.
    #[error("the connection was lost before the answer came; the server may have done it")]
    Disconnected,
    /// The input cannot be written as JSON. Fault of the caller.
    #[error("the input cannot be written as JSON: {0}")]
    Input(String),
    /// The data is not of the type that is expected.
    #[error("the server's data is not of the expected type: {0}")]
    Output(String),
    /// The stream was not read, and its queue ran full. Read it faster, give the client a
    /// longer [`queue`](super::TrpcBuilder::queue), or subscribe again after the last event.
    #[error("the subscription ended, for {waiting} of its events waited to be read")]
    Lagged {
        /// How many waited.
        waiting: usize,
    },
    /// As many calls are under way as the client takes.
    #[error("{limit} calls are under way, and this client takes no more")]
    TooMany {
        /// The limit.
        limit: usize,
    },
    /// The client was closed.
    #[error("the client is closed")]
    Closed,
}

/// An error of the server's, as it tells it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ServerError {
    /// What kind of failure it is; `None` where the server names none that is known.
    pub code: Option<ErrorCode>,
    /// The number that JSON-RPC has for it, such as -32001.
    pub number: i64,
    /// The failure in words. Those of validators are JSON.
    pub message: String,
    /// What the server's error formatter has added, beside `code`, `httpStatus` and `path`.
    pub data: Value,
}

// === impl CallError ===

impl CallError {
    /// The code, where the server has said one.
    ///
    /// ```
    /// use fanwire::client::{CallError, ErrorCode};
    ///
    /// fn is_known(error: &CallError) -> bool {
    ///     error.code() != Some(ErrorCode::Unauthorized)
    /// }
    /// # assert!(is_known(&CallError::Closed));
    /// ```
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Server(error) => error.code,
            _ => None,
        }
    }
}

// === impl ServerError ===

impl ServerError {
    pub(super) fn of(failure: &Failure<'_>) -> Self {
        let data = failure.data.and_then(|data| serde_json::from_str(data.get()).ok());
        Self {
            code: failure.code,
            number: failure.number,
            message: failure.message.clone().into_owned(),
            data: data.unwrap_or_default(),
        }
    }
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            Some(code) => write!(f, "{} ({code})", self.message),
            None => write!(f, "{} ({})", self.message, self.number),
        }
    }
}
