//! What is known of a client when its context is made.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{ErrorCode, TrpcError};
use crate::Home;
use crate::websocket::ConnectionInfo;

/// What is known of a client when its context is made: how it connected, what the authorizer
/// said, and the `connectionParams` of v11 clients.
#[derive(Clone, Debug)]
pub struct Opening {
    /// The connection.
    pub connection: Arc<ConnectionInfo>,
    /// What the authorizer said about the client; empty without one.
    pub authorizer: Arc<Map<String, Value>>,
    /// What the client said.
    pub said: Said,
    /// How everything else is reached: what publishes, for example
    /// ([`Home::publisher`]).
    pub home: Home,
}

/// What a client said when it connected.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Said {
    /// The headers of its handshake, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
    /// The query of its handshake, decoded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub query: Vec<(String, String)>,
    /// Its connection parameters: names and values. `None`: it has sent none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub params: Option<Vec<(String, String)>>,
}

// === impl Opening ===

impl Opening {
    /// The first value of a header of the handshake, whatever the case of its name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.said.headers.iter();
        headers.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The first value of a parameter of the query.
    pub fn query(&self, name: &str) -> Option<&str> {
        value(&self.said.query, name)
    }

    /// A connection parameter.
    pub fn param(&self, name: &str) -> Option<&str> {
        value(self.said.params.as_deref().unwrap_or_default(), name)
    }

    /// A text that the authorizer gave, such as `principalId`.
    pub fn authorized(&self, name: &str) -> Option<&str> {
        self.authorizer.get(name).and_then(Value::as_str)
    }

    /// A text that the authorizer gave, or the refusal of a client that has none.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Unauthorized`] when the authorizer did not give it.
    pub fn require(&self, name: &str) -> Result<String, TrpcError> {
        let missing = || TrpcError::new(ErrorCode::Unauthorized, "not authorized");
        self.authorized(name).map(str::to_owned).ok_or_else(missing)
    }
}

// === impl Said ===

impl Said {
    /// Whether its first message has the connection parameters (reference: trpc.md,
    /// section 2.5).
    pub(crate) fn announces_params(&self) -> bool {
        value(&self.query, "connectionParams") == Some("1")
    }
}

fn value<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}
