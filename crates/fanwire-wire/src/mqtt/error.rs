//! What is wrong with a packet.

use super::ReasonCode;

/// The peer sent something that the standard forbids. The connection is to be closed;
/// MQTT 5 allows to say why with `reason` in a CONNACK or DISCONNECT first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{what} ({reason})")]
pub struct DecodeError {
    /// The code to close with.
    pub reason: ReasonCode,
    /// What was sent, as a phrase: "a packet id of 0".
    pub what: &'static str,
}

// === impl DecodeError ===

impl DecodeError {
    /// 0x81: it cannot be parsed.
    pub(super) const fn malformed(what: &'static str) -> Self {
        Self { reason: ReasonCode::MalformedPacket, what }
    }

    /// 0x82: it can be parsed, and it may not be sent.
    pub(super) const fn protocol(what: &'static str) -> Self {
        Self { reason: ReasonCode::ProtocolError, what }
    }

    pub(super) const fn new(reason: ReasonCode, what: &'static str) -> Self {
        Self { reason, what }
    }
}
