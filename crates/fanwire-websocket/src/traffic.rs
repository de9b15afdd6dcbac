//! What passes the plane, told to whoever records it: handshakes, frames, events,
//! results and closes. Nothing is made of it while nobody wants it.

use std::fmt;

use fanwire_hub::ConnectionId;
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// One thing that passed the plane. As JSON it is a line of a recording.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Traffic<'a> {
    /// A client asks for a connection.
    Connect {
        /// The connection that it will be.
        connection: Id,
        /// The API's name.
        api: &'a str,
        /// The query parameters, decoded.
        query: &'a [(String, String)],
        /// The headers, those that the gateway adds included.
        headers: &'a [(String, String)],
    },
    /// The handshake is answered with 101.
    Connected {
        /// The connection.
        connection: Id,
    },
    /// The handshake is answered with an error.
    Refused {
        /// The connection that there will not be.
        connection: Id,
        /// The HTTP status.
        status: u16,
        /// The body.
        body: &'a str,
    },
    /// The client has sent a message.
    FrameIn {
        /// The connection.
        connection: Id,
        /// The message.
        #[serde(flatten)]
        payload: Payload<'a>,
    },
    /// A function is given an event.
    Event {
        /// The connection that the event is about.
        connection: Id,
        /// The gateway's id for the request.
        request: &'a str,
        /// The function's key.
        function: &'a str,
        /// The event.
        event: &'a RawValue,
    },
    /// A function has answered.
    Result {
        /// The connection that the event was about.
        connection: Id,
        /// The gateway's id for the request.
        request: &'a str,
        /// The function's key.
        function: &'a str,
        /// Whether it failed.
        failed: bool,
        /// What it answered; for a failure its error.
        result: Answered<'a>,
    },
    /// The client is sent a message.
    FrameOut {
        /// The connection.
        connection: Id,
        /// The message.
        #[serde(flatten)]
        payload: Payload<'a>,
    },
    /// Every client of an API is sent a message.
    Broadcast {
        /// The API's name.
        api: &'a str,
        /// The message.
        #[serde(flatten)]
        payload: Payload<'a>,
    },
    /// A connection ends.
    Close {
        /// The connection.
        connection: Id,
        /// The close code that `$disconnect` sees.
        code: u16,
        /// The reason, likewise.
        reason: &'a str,
        /// Whose doing it is.
        by: Side,
    },
}

/// Who ends a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// By a close frame, or by leaving without one.
    Client,
    /// By a close frame of ours.
    Server,
}

/// A connection's id, written as text.
#[derive(Clone, Copy)]
pub struct Id(pub(crate) ConnectionId);

/// A message.
#[derive(Debug, Clone, Copy)]
pub enum Payload<'a> {
    /// Written as `text`.
    Text(&'a str),
    /// Written as `base64`.
    Binary(&'a [u8]),
}

/// What a function answered: JSON as it is, anything else as text.
#[derive(Debug, Clone, Copy)]
pub struct Answered<'a>(pub(crate) &'a [u8]);

// === impl Payload ===

impl<'a> Payload<'a> {
    /// The payload of a message that is sent, which is text wherever it is UTF-8.
    pub(crate) fn of_bytes(bytes: &'a [u8]) -> Self {
        str::from_utf8(bytes).map_or(Self::Binary(bytes), Self::Text)
    }
}

impl Serialize for Payload<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap as _;
        let mut map = serializer.serialize_map(Some(1))?;
        match self {
            Self::Text(text) => map.serialize_entry("text", text)?,
            Self::Binary(bytes) => map.serialize_entry("base64", &STANDARD.encode(bytes))?,
        }
        map.end()
    }
}

impl Serialize for Answered<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match serde_json::from_slice::<&RawValue>(self.0) {
            Ok(json) => json.serialize(serializer),
            Err(_) => serializer.serialize_str(&String::from_utf8_lossy(self.0)),
        }
    }
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
