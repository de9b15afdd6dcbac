//! DISCONNECT (MQTT 5, 3.14).

use super::bytes::{Cursor, put_text, put_varint, varint_len};
use super::properties::{MISPLACED, Properties, id};
use super::{DecodeError, ReasonCode, UserProperties, Version};

/// The last packet of a connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Disconnect<'b> {
    /// Why.
    pub reason: ReasonCode,
    /// How many seconds the session outlives the connection, where that has changed. Only
    /// from a client.
    pub session_expiry: Option<u32>,
    /// The reason in words.
    pub reason_string: Option<&'b str>,
    /// Applications' own.
    pub user_properties: UserProperties<'b>,
}

// === impl Disconnect ===

impl<'b> Disconnect<'b> {
    pub(super) fn decode(mut body: Cursor<'b>, version: Version) -> Result<Self, DecodeError> {
        let mut disconnect = Self::default();
        if version != Version::V5 || body.is_empty() {
            body.finish()?;
            return Ok(disconnect);
        }
        let reason = ReasonCode::from_u8(body.u8()?).filter(|reason| from_client(*reason));
        let wrong = DecodeError::protocol("a reason that a client's DISCONNECT cannot have");
        disconnect.reason = reason.ok_or(wrong)?;
        if !body.is_empty() {
            let mut properties = Properties::take(&mut body)?;
            disconnect.user_properties = UserProperties::of(properties.block);
            while let Some(id) = properties.next()? {
                match id {
                    id::SESSION_EXPIRY => {
                        disconnect.session_expiry = Some(properties.cursor.u32()?);
                    }
                    id::REASON_STRING => {
                        disconnect.reason_string = Some(properties.cursor.text()?);
                    }
                    id::USER_PROPERTY => properties.pass_user()?,
                    _ => return Err(MISPLACED),
                }
            }
        }
        body.finish()?;
        Ok(disconnect)
    }

    /// Appends the packet. Before MQTT 5 it says nothing, and only clients send it.
    pub fn encode(&self, version: Version, out: &mut Vec<u8>) {
        if version != Version::V5 {
            out.extend_from_slice(&[0xE0, 0]);
            return;
        }
        let mut block = Vec::new();
        if let Some(expiry) = self.session_expiry {
            block.push(id::SESSION_EXPIRY);
            block.extend_from_slice(&expiry.to_be_bytes());
        }
        if let Some(words) = self.reason_string {
            block.push(id::REASON_STRING);
            put_text(&mut block, words);
        }
        self.user_properties.encode(&mut block);
        out.push(0xE0);
        put_varint(out, 1 + varint_len(block.len()) + block.len());
        out.push(self.reason as u8);
        put_varint(out, block.len());
        out.extend_from_slice(&block);
    }
}

/// Whether a client may give this reason (MQTT 5, 3.14.2.1).
fn from_client(reason: ReasonCode) -> bool {
    use ReasonCode as R;
    matches!(
        reason,
        R::Success
            | R::DisconnectWithWill
            | R::UnspecifiedError
            | R::MalformedPacket
            | R::ProtocolError
            | R::ImplementationSpecificError
            | R::TopicNameInvalid
            | R::ReceiveMaximumExceeded
            | R::TopicAliasInvalid
            | R::PacketTooLarge
            | R::MessageRateTooHigh
            | R::QuotaExceeded
            | R::AdministrativeAction
            | R::PayloadFormatInvalid
            // Only a server's, but clients that echo them break nothing.
            | R::NotAuthorized
            | R::BadAuthenticationMethod
    )
}
