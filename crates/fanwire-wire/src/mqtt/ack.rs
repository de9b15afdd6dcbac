//! PUBACK, PUBREC, PUBREL and PUBCOMP (MQTT 5, 3.4 to 3.7).

use super::bytes::{Cursor, put_text, put_varint};
use super::properties::{MISPLACED, Properties, id};
use super::{DecodeError, PacketId, ReasonCode, UserProperties, Version};

/// A step of the acknowledgement of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ack<'b> {
    /// The message's packet id.
    pub packet_id: PacketId,
    /// What came of it.
    pub reason: ReasonCode,
    /// The reason in words.
    pub reason_string: Option<&'b str>,
    /// Applications' own.
    pub user_properties: UserProperties<'b>,
}

/// Which step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum AckKind {
    /// A message of QoS 1 has arrived.
    PubAck = 0x40,
    /// A message of QoS 2 has arrived.
    PubRec = 0x50,
    /// Its sender has heard of that.
    PubRel = 0x62,
    /// Its receiver has heard of that.
    PubComp = 0x70,
}

// === impl Ack ===

impl<'b> Ack<'b> {
    /// A step without words.
    pub fn new(packet_id: PacketId, reason: ReasonCode) -> Self {
        let user_properties = UserProperties::default();
        Self { packet_id, reason, reason_string: None, user_properties }
    }

    pub(super) fn decode(
        kind: AckKind,
        mut body: Cursor<'b>,
        version: Version,
    ) -> Result<Self, DecodeError> {
        let mut ack = Self::new(body.packet_id()?, ReasonCode::Success);
        if version != Version::V5 || body.is_empty() {
            body.finish()?;
            return Ok(ack);
        }
        let reason = ReasonCode::from_u8(body.u8()?).filter(|reason| kind.takes(*reason));
        ack.reason = reason.ok_or(DecodeError::protocol("a reason that its packet cannot have"))?;
        if !body.is_empty() {
            let mut properties = Properties::take(&mut body)?;
            ack.user_properties = UserProperties::of(properties.block);
            while let Some(id) = properties.next()? {
                match id {
                    id::REASON_STRING => ack.reason_string = Some(properties.cursor.text()?),
                    id::USER_PROPERTY => properties.pass_user()?,
                    _ => return Err(MISPLACED),
                }
            }
        }
        body.finish()?;
        Ok(ack)
    }

    /// Appends the packet.
    pub fn encode(&self, kind: AckKind, version: Version, out: &mut Vec<u8>) {
        out.push(kind as u8);
        let id = self.packet_id.get().to_be_bytes();
        let reason = self.reason_string.map_or(0, |words| 3 + words.len());
        let properties = reason + self.user_properties.encoded_len();
        if version != Version::V5 || (self.reason == ReasonCode::Success && properties == 0) {
            out.push(2);
            out.extend_from_slice(&id);
            return;
        }
        if properties == 0 {
            out.push(3);
            out.extend_from_slice(&id);
            out.push(self.reason as u8);
            return;
        }
        let mut block = Vec::with_capacity(properties);
        if let Some(words) = self.reason_string {
            block.push(id::REASON_STRING);
            put_text(&mut block, words);
        }
        self.user_properties.encode(&mut block);
        put_varint(out, 3 + super::bytes::varint_len(block.len()) + block.len());
        out.extend_from_slice(&id);
        out.push(self.reason as u8);
        put_varint(out, block.len());
        out.extend_from_slice(&block);
    }
}

// === impl AckKind ===

impl AckKind {
    /// Whether the packet may have this reason (MQTT 5, 3.4.2.1 and on).
    fn takes(self, reason: ReasonCode) -> bool {
        use ReasonCode as R;
        match self {
            Self::PubAck | Self::PubRec => matches!(
                reason,
                R::Success
                    | R::NoMatchingSubscribers
                    | R::UnspecifiedError
                    | R::ImplementationSpecificError
                    | R::NotAuthorized
                    | R::TopicNameInvalid
                    | R::PacketIdentifierInUse
                    | R::QuotaExceeded
                    | R::PayloadFormatInvalid
            ),
            Self::PubRel | Self::PubComp => {
                matches!(reason, R::Success | R::PacketIdentifierNotFound)
            }
        }
    }
}
