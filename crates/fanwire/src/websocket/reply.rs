//! What a handler answers.

use bytes::Bytes;
use serde::Serialize;

use super::{Body, Json};
use crate::{Error, Result};

/// What a handler answers: for a handshake the status and headers of the response, for a
/// message what the client is sent back, if anything.
///
/// ```
/// use fanwire::websocket::{Headers, Reply, WebSocket};
///
/// WebSocket::new().connect(async |headers: Headers| {
///     match headers.subprotocols().find(|offer| *offer == "chat.v2") {
///         Some(chosen) => Reply::default().subprotocol(chosen),
///         None => Reply::status(400),
///     }
/// });
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The status: a handshake is accepted with 200 to 299.
    pub status: u16,
    /// Headers of the handshake's answer, such as `Sec-WebSocket-Protocol`.
    pub headers: Vec<(String, String)>,
    /// What the client is sent. Under API Gateway it goes out only where the route has a
    /// response (`routeResponseSelectionExpression: $default`).
    pub body: Option<Body>,
}

/// What a handler may return: nothing, text, bytes, [`Json`], a [`Reply`]; an `Option` of
/// it, where `None` is nothing; a `Result` of it, whose error may be any that `?` takes.
#[diagnostic::on_unimplemented(
    message = "a handler cannot answer with `{Self}`",
    note = "it may return `()`, `String`, `Bytes`, `Body`, `Json<T>`, `Reply`, and `Option` or `Result` of these"
)]
pub trait IntoReply {
    /// The reply.
    fn into_reply(self) -> Result<Reply>;
}

// === impl Reply ===

impl Reply {
    /// A status, 200 to 599, and nothing to say.
    pub fn status(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    /// What the client is sent.
    pub fn body(body: impl Into<Body>) -> Self {
        Self { body: Some(body.into()), ..Self::default() }
    }

    /// Adds a header to a handshake's answer.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Chooses the subprotocol, one of those that the client has offered. Where it has
    /// offered some and gets none, browsers end the connection.
    #[must_use]
    pub fn subprotocol(self, name: impl Into<String>) -> Self {
        self.header("Sec-WebSocket-Protocol", name)
    }

    /// Gives the connection a tag to begin with. `connection.tag` in `connect`'s handler
    /// comes to the same. AWS has no tags.
    #[must_use]
    pub fn tag(self, tag: &str) -> Self {
        self.listed("Fanwire-Tags", tag)
    }

    /// Subscribes the connection to a topic filter to begin with. AWS cannot do that.
    #[must_use]
    pub fn topic(self, filter: &str) -> Self {
        self.listed("Fanwire-Topics", filter)
    }

    /// Adds to a header that is a list.
    fn listed(mut self, name: &str, value: &str) -> Self {
        match self.headers.iter_mut().find(|(known, _)| known == name) {
            Some((_, list)) => {
                list.push_str(", ");
                list.push_str(value);
                self
            }
            None => self.header(name, value),
        }
    }

    /// Whether it lets a client connect.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

impl Default for Reply {
    /// 200, and nothing to say.
    fn default() -> Self {
        Self { status: 200, headers: Vec::new(), body: None }
    }
}

// === impl IntoReply ===

impl IntoReply for Reply {
    fn into_reply(self) -> Result<Reply> {
        Ok(self)
    }
}

impl IntoReply for () {
    fn into_reply(self) -> Result<Reply> {
        Ok(Reply::default())
    }
}

/// What becomes a body as it is.
macro_rules! bodies {
    ($($body:ty)*) => {
        $(impl IntoReply for $body {
            fn into_reply(self) -> Result<Reply> {
                Ok(Reply::body(self))
            }
        })*
    };
}

bodies!(Body String &'static str Bytes Vec<u8>);

impl<T: Serialize> IntoReply for Json<T> {
    fn into_reply(self) -> Result<Reply> {
        Ok(Reply::body(serde_json::to_string(&self.0)?))
    }
}

impl<T: IntoReply> IntoReply for Option<T> {
    fn into_reply(self) -> Result<Reply> {
        self.map_or_else(|| Ok(Reply::default()), T::into_reply)
    }
}

impl<T: IntoReply, E: Into<Error>> IntoReply for Result<T, E> {
    fn into_reply(self) -> Result<Reply> {
        self.map_err(Into::into)?.into_reply()
    }
}
