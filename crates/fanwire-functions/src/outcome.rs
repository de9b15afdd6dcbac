//! What comes of an invocation.

use std::time::Duration;

use bytes::Bytes;

/// A function's answer: its result, or the payload of its failure.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The event's request id.
    pub request_id: String,
    /// The result, as the function sent it; with `error`, the error payload.
    pub payload: Bytes,
    /// Whether the function failed: the value of `X-Amz-Function-Error`.
    pub error: Option<FunctionErrorKind>,
    /// The last 4 KB of the event's log, where it was asked for. Plain text: the
    /// Invoke API's `X-Amz-Log-Result` is base64 of it.
    pub log_tail: Option<String>,
    /// How long the event took, from its hand-over to its result.
    pub duration: Duration,
    /// How long the process took to load the handler, where this was its first event.
    pub init_duration: Option<Duration>,
}

/// The value of `X-Amz-Function-Error`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FunctionErrorKind {
    /// An error that the function reported. Only functions elsewhere answer it.
    Handled,
    /// Any other: what Lambda answers today for every failure of a function.
    Unhandled,
}

impl FunctionErrorKind {
    /// The header's value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Handled => "Handled",
            Self::Unhandled => "Unhandled",
        }
    }
}

/// Which bound an event met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ThrottleReason {
    /// [`max_waiting`](crate::HostOptions::max_waiting).
    #[error("{0} of its events wait already")]
    Waiting(usize),
    /// [`max_held_bytes`](crate::HostOptions::max_held_bytes).
    #[error("the host holds {0} bytes of events already")]
    HeldBytes(usize),
    /// [`max_queued`](crate::AsyncRetry::max_queued).
    #[error("{0} of its asynchronous events are queued already")]
    Queued(usize),
    /// The function's own endpoint said so.
    #[error("its endpoint answered 429")]
    Endpoint,
}

/// Why an event got no answer from its function at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InvokeError {
    /// The App has no such function. Fault of the caller; do not retry.
    #[error("no function `{key}` in this app")]
    NotFound {
        /// The key that was asked for.
        key: String,
    },
    /// Too many events wait already. Nobody's fault; retry later.
    #[error("function `{key}` is throttled: {reason}")]
    Throttled {
        /// The function's key.
        key: String,
        /// Which bound was met.
        reason: ThrottleReason,
    },
    /// The event is too long. Fault of the caller; do not retry.
    #[error("an event of {size} bytes is over the limit of {limit}")]
    PayloadTooLarge {
        /// The event's length in bytes.
        size: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// A function elsewhere could not be reached, or refused the call. Fault of the
    /// peer; retry later.
    #[error("function `{key}` cannot be reached at {address}: {source}")]
    Unreachable {
        /// The function's key.
        key: String,
        /// Where it was looked for.
        address: String,
        /// What went wrong.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The host is shutting down. Retry at another host.
    #[error("functions are shutting down")]
    ShuttingDown,
}
