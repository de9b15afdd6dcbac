//! Why there is no connection.

use std::io;
use std::time::Duration;

/// Why a connection could not be made. Its text never holds a URL's query, in which
/// credentials may be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The URL is none that can be connected to. Fault of the caller.
    #[error("`{url}` cannot be connected to: {why}")]
    Url {
        /// The URL, without its query.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// A header, query or subprotocol cannot be sent. Fault of the caller.
    #[error("{0}")]
    Request(String),
    /// Nobody listens, or the network is in the way. Try again later.
    #[error("no server answers at {address}: {source}")]
    Unreachable {
        /// Where.
        address: String,
        /// What the system says.
        source: io::Error,
    },
    /// There is no TLS with the server.
    #[error(
        "no TLS with {address}: {source}; where the certificate is of an authority of your own, \
         give its certificate by `Trust::root_file`"
    )]
    Tls {
        /// Where.
        address: String,
        /// What is wrong.
        source: io::Error,
    },
    /// The server answered the handshake with another status than 101, or the broker its
    /// CONNECT with a failure.
    #[error("{address} refuses the client with {status}: {body}")]
    Refused {
        /// Where.
        address: String,
        /// The HTTP status, such as 401, or MQTT's reason code, such as 135.
        status: u16,
        /// What the server says of it, as far as it came with the head of the answer.
        body: String,
    },
    /// What answers does not speak the protocol.
    #[error("{address} does not answer as a server would: {why}")]
    Protocol {
        /// Where.
        address: String,
        /// What is wrong.
        why: String,
    },
    /// The server did not answer in time.
    #[error("{address} has not answered within {patience:?}")]
    Timeout {
        /// Where.
        address: String,
        /// How long was waited.
        patience: Duration,
    },
    /// The closure that gives credentials failed.
    #[error("there are no credentials to connect with: {0}")]
    Credentials(String),
}

// === impl ConnectError ===

impl ConnectError {
    /// Whether the server has refused the client for who it is: 401 or 403, or what MQTT has
    /// for them.
    pub fn is_unauthorized(&self) -> bool {
        matches!(self, Self::Refused { status: 401 | 403 | 134 | 135, .. })
    }
}
