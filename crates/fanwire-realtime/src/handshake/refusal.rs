//! Why a client is not let in, and how it is told.

use std::time::Duration;

use bytes::Bytes;
use fanwire_access::Excess;
use fanwire_wire::mqtt::{ConnAck, ConnAckProperties, DecodeError, ReasonCode, Version};
use fanwire_wire::ws::{self, CloseCode};

/// Why a client is not let in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// It is gone. Nobody is told.
    #[error("the client left before it was connected")]
    Gone,
    /// It did not say who it is.
    #[error("no CONNECT came within {0:?} (realtime.limits.connect_timeout)")]
    TooLate(Duration),
    /// It broke the rules of WebSockets, or sent text where MQTT's bytes are expected.
    #[error("{what}")]
    WebSocket {
        /// What the closing frame says.
        code: CloseCode,
        /// What it was.
        what: &'static str,
    },
    /// There are as many connections as there may be.
    #[error("there are too many connections (realtime.limits.max_connections); try again later")]
    Full,
    /// Its address or its principal has too much already.
    #[error("{0}; try again later")]
    Excess(#[from] Excess),
    /// Its first packet is no CONNECT that can be understood.
    #[error("not a valid CONNECT: {}", .0.what)]
    Malformed(DecodeError),
    /// What it asks for is not to be had.
    #[error("{what}")]
    Unacceptable {
        /// What MQTT 5 clients are told.
        reason: ReasonCode,
        /// What it was, and what to do.
        what: String,
    },
    /// It may not connect, or nobody can say whether it may.
    #[error("{what}")]
    Unauthorized {
        /// What MQTT 5 clients are told.
        reason: ReasonCode,
        /// Why, for the log: it may tell of policies and of functions' insides.
        what: String,
        /// Who it is; empty where that is not known.
        principal: Box<str>,
    },
}

// === impl Refusal ===

impl Refusal {
    /// For a client that does not say who it is, or says it wrongly.
    pub(super) fn unauthorized(reason: ReasonCode, what: impl Into<String>) -> Self {
        Self::Unauthorized { reason, what: what.into(), principal: "".into() }
    }

    /// What the client is told in words.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Unauthorized { .. } => "not let in; the server's log says why".to_owned(),
            other => other.to_string(),
        }
    }

    /// What the CONNACK says; `None` where there is to be none.
    pub(super) fn reason(&self) -> Option<ReasonCode> {
        match self {
            Self::Gone | Self::TooLate(_) | Self::WebSocket { .. } => None,
            Self::Full => Some(ReasonCode::ServerBusy),
            Self::Excess(Excess::ConnectRate) => Some(ReasonCode::ConnectionRateExceeded),
            Self::Excess(_) => Some(ReasonCode::QuotaExceeded),
            Self::Malformed(error) => Some(error.reason),
            Self::Unacceptable { reason, .. } | Self::Unauthorized { reason, .. } => Some(*reason),
        }
    }
}

/// Reasons in words that are longer are cut off, in bytes.
const MAX_WORDS: usize = 1024;

/// A CONNACK that refuses, and the goodbye of the WebSocket around it.
pub(crate) fn refusal(version: Version, websocket: bool, reason: ReasonCode, words: &str) -> Bytes {
    let words = &words[..words.floor_char_boundary(MAX_WORDS)];
    let properties =
        ConnAckProperties { reason_string: Some(words), ..ConnAckProperties::default() };
    let mut packet = Vec::new();
    ConnAck { session_present: false, reason, properties }.encode(version, &mut packet);
    if !websocket {
        return packet.into();
    }
    let mut framed = ws::encode(ws::Opcode::Binary, &packet).to_vec();
    framed.extend_from_slice(&ws::encode_close(Some(CloseCode::NORMAL), ""));
    framed.into()
}
