//! Properties of MQTT 5 packets (MQTT 5, 2.2.2).

use super::DecodeError;
use super::bytes::Cursor;

/// Identifiers of properties (MQTT 5, table 2-4).
pub(super) mod id {
    pub(in crate::mqtt) const PAYLOAD_FORMAT: u8 = 0x01;
    pub(in crate::mqtt) const MESSAGE_EXPIRY: u8 = 0x02;
    pub(in crate::mqtt) const CONTENT_TYPE: u8 = 0x03;
    pub(in crate::mqtt) const RESPONSE_TOPIC: u8 = 0x08;
    pub(in crate::mqtt) const CORRELATION_DATA: u8 = 0x09;
    pub(in crate::mqtt) const SUBSCRIPTION_ID: u8 = 0x0B;
    pub(in crate::mqtt) const SESSION_EXPIRY: u8 = 0x11;
    pub(in crate::mqtt) const ASSIGNED_CLIENT_ID: u8 = 0x12;
    pub(in crate::mqtt) const SERVER_KEEP_ALIVE: u8 = 0x13;
    pub(in crate::mqtt) const AUTHENTICATION_METHOD: u8 = 0x15;
    pub(in crate::mqtt) const AUTHENTICATION_DATA: u8 = 0x16;
    pub(in crate::mqtt) const PROBLEM_INFORMATION: u8 = 0x17;
    pub(in crate::mqtt) const WILL_DELAY: u8 = 0x18;
    pub(in crate::mqtt) const RESPONSE_INFORMATION_WANTED: u8 = 0x19;
    pub(in crate::mqtt) const SERVER_REFERENCE: u8 = 0x1C;
    pub(in crate::mqtt) const REASON_STRING: u8 = 0x1F;
    pub(in crate::mqtt) const RECEIVE_MAXIMUM: u8 = 0x21;
    pub(in crate::mqtt) const TOPIC_ALIAS_MAXIMUM: u8 = 0x22;
    pub(in crate::mqtt) const TOPIC_ALIAS: u8 = 0x23;
    pub(in crate::mqtt) const MAXIMUM_QOS: u8 = 0x24;
    pub(in crate::mqtt) const RETAIN_AVAILABLE: u8 = 0x25;
    pub(in crate::mqtt) const USER_PROPERTY: u8 = 0x26;
    pub(in crate::mqtt) const MAXIMUM_PACKET_SIZE: u8 = 0x27;
    pub(in crate::mqtt) const WILDCARDS_AVAILABLE: u8 = 0x28;
    pub(in crate::mqtt) const SUBSCRIPTION_IDS_AVAILABLE: u8 = 0x29;
    pub(in crate::mqtt) const SHARED_AVAILABLE: u8 = 0x2A;
}

pub(super) const MISPLACED: DecodeError =
    DecodeError::malformed("a property that does not belong in its packet");

/// The properties of a packet, one after the other, each once but for user properties.
pub(super) struct Properties<'b> {
    pub(super) cursor: Cursor<'b>,
    /// All of them, for those that are read later.
    pub(super) block: &'b [u8],
    seen: u64,
}

impl<'b> Properties<'b> {
    /// Takes the properties from the front of a packet's bytes.
    pub(super) fn take(cursor: &mut Cursor<'b>) -> Result<Self, DecodeError> {
        let length = cursor.varint()? as usize;
        let block = cursor.take(length)?;
        Ok(Self { cursor: Cursor(block), block, seen: 0 })
    }

    /// The identifier of the next property, whose value is to be taken from the cursor.
    pub(super) fn next(&mut self) -> Result<Option<u8>, DecodeError> {
        if self.cursor.is_empty() {
            return Ok(None);
        }
        let id = self.cursor.u8()?;
        if id >= 0x40 {
            return Err(DecodeError::malformed("a property that MQTT does not have"));
        }
        let bit = 1 << id;
        if self.seen & bit != 0 && id != id::USER_PROPERTY {
            return Err(DecodeError::protocol("a property that comes twice"));
        }
        self.seen |= bit;
        Ok(Some(id))
    }

    /// The value of a property that is 0 or 1.
    pub(super) fn flag(&mut self) -> Result<bool, DecodeError> {
        match self.cursor.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(DecodeError::protocol("a property that is neither 0 nor 1")),
        }
    }

    /// Passes over a user property, having checked it.
    pub(super) fn pass_user(&mut self) -> Result<(), DecodeError> {
        self.cursor.text()?;
        self.cursor.text()?;
        Ok(())
    }
}
