//! What happens to a connection, as handlers see it in every home.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::Home;

/// What has happened to a connection: a handshake, a message or its end. It holds what
/// API Gateway's event holds, so it is the same in every home.
#[derive(Clone, Debug)]
pub struct Event {
    /// What it is.
    pub kind: EventKind,
    /// `$connect`, `$disconnect`, `$default` or a custom route's key.
    pub route_key: String,
    /// The connection.
    pub connection: Arc<ConnectionInfo>,
    /// The gateway's id for this request.
    pub request_id: String,
    /// Headers of a handshake in their order, each value by itself; empty for messages.
    pub headers: Vec<(String, String)>,
    /// The query of a handshake, decoded; empty for messages.
    pub query: Vec<(String, String)>,
    /// The message; empty for others.
    pub body: Body,
    /// What the authorizer said about the client; empty without one.
    pub authorizer: Arc<Map<String, Value>>,
    /// How a connection ended: the close code and its reason.
    pub closed: Option<(u16, String)>,
    /// How everything else is reached.
    pub home: Home,
}

/// What has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// A client wants to connect.
    Connect,
    /// A client has sent a message.
    Message,
    /// A connection has ended.
    Disconnect,
}

/// What stays the same about a connection while it lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionInfo {
    /// Its id, such as `L0SM9cOFvHcCIhw=`.
    pub id: String,
    /// The API that it is of.
    pub api_id: String,
    /// The API's stage.
    pub stage: String,
    /// The host name that the client asked for, with the port where there was one.
    pub domain: String,
    /// When it was made, in milliseconds since the epoch.
    pub connected_at: u64,
    /// The client's address.
    pub source_ip: Option<IpAddr>,
    /// What the client says that it is.
    pub user_agent: Option<String>,
}

/// What a message carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// A text message.
    Text(String),
    /// A binary message.
    Binary(Bytes),
}

// === impl Body ===

impl Body {
    /// The bytes of either kind.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }

    /// The bytes of either kind.
    pub fn into_bytes(self) -> Bytes {
        match self {
            Self::Text(text) => text.into(),
            Self::Binary(bytes) => bytes,
        }
    }
}

impl Default for Body {
    /// An empty text.
    fn default() -> Self {
        Self::Text(String::new())
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Body {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Binary(bytes.into())
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self::Binary(bytes)
    }
}
