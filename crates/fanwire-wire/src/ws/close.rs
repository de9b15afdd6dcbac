//! Close codes and the payload of close frames (RFC 6455 sections 5.5.1 and 7.4).

use std::borrow::Cow;
use std::fmt;

use super::receiver::ProtocolError;

/// The longest reason that fits a close frame beside its code, in bytes.
pub const MAX_CLOSE_REASON: usize = super::MAX_CONTROL_PAYLOAD - 2;

/// Why a connection is closed: a code that may stand in a close frame. The codes
/// that only describe what was seen locally (1005, 1006, 1015) are not among them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CloseCode(u16);

/// The payload of a close frame that has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloseFrame<'b> {
    /// The peer's code.
    pub code: CloseCode,
    /// The peer's reason; often empty.
    pub reason: Cow<'b, str>,
}

// === impl CloseCode ===

impl CloseCode {
    /// The purpose of the connection is fulfilled.
    pub const NORMAL: Self = Self(1000);
    /// The server stops, or the connection was idle or old.
    pub const GOING_AWAY: Self = Self(1001);
    /// The peer broke the protocol.
    pub const PROTOCOL_ERROR: Self = Self(1002);
    /// A kind of message that is not accepted, such as a binary one.
    pub const UNSUPPORTED_DATA: Self = Self(1003);
    /// The content does not match its kind, such as a text that is not UTF-8.
    pub const INVALID_PAYLOAD: Self = Self(1007);
    /// The message was understood and is not allowed.
    pub const POLICY_VIOLATION: Self = Self(1008);
    /// The message is too long.
    pub const MESSAGE_TOO_BIG: Self = Self(1009);
    /// The server failed.
    pub const INTERNAL_ERROR: Self = Self(1011);
    /// The server restarts; reconnect.
    pub const SERVICE_RESTART: Self = Self(1012);
    /// The server is overloaded; reconnect later.
    pub const TRY_AGAIN_LATER: Self = Self(1013);

    /// The code with this number, if it may stand in a close frame: 1000–1003 and
    /// 1007–1014 (RFC 6455 and the IANA registry), 3000–3999 (registered by
    /// libraries) and 4000–4999 (private).
    pub const fn new(number: u16) -> Option<Self> {
        match number {
            1000..=1003 | 1007..=1014 | 3000..=4999 => Some(Self(number)),
            _ => None,
        }
    }

    /// The number that goes over the wire.
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CloseCode({})", self.0)
    }
}

// === impl CloseFrame ===

impl<'b> CloseFrame<'b> {
    /// Reads a close frame's unmasked payload. `None` where there is no code.
    pub(super) fn parse(payload: Cow<'b, [u8]>) -> Result<Option<Self>, ProtocolError> {
        let (high, low) = match *payload {
            [] => return Ok(None),
            [_] => return Err(ProtocolError::protocol("a close frame with half a code")),
            [high, low, ..] => (high, low),
        };
        let code = CloseCode::new(u16::from_be_bytes([high, low]))
            .ok_or(ProtocolError::protocol("a close code that must not be sent"))?;
        let reason = match payload {
            Cow::Borrowed(bytes) => std::str::from_utf8(&bytes[2..]).ok().map(Cow::Borrowed),
            Cow::Owned(bytes) => std::str::from_utf8(&bytes[2..]).ok().map(|s| s.to_owned().into()),
        };
        let reason = reason.ok_or(ProtocolError::invalid("a close reason that is not UTF-8"))?;
        Ok(Some(Self { code, reason }))
    }

    /// The same, with a copy of the reason.
    pub fn into_owned(self) -> CloseFrame<'static> {
        CloseFrame { code: self.code, reason: Cow::Owned(self.reason.into_owned()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_that_are_reserved_or_out_of_range_do_not_exist() {
        let sendable = |n: u16| CloseCode::new(n).is_some();
        assert!(
            (0..1000)
                .chain(1004..=1006)
                .chain(1015..3000)
                .chain(5000..=u16::MAX)
                .all(|n| !sendable(n))
        );
        assert!((1000..=1003).chain(1007..=1014).chain(3000..5000).all(sendable));
    }
}
