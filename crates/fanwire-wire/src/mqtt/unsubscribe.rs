//! UNSUBSCRIBE and UNSUBACK (MQTT 5, 3.10 and 3.11).

use super::bytes::{Cursor, put_text, put_varint};
use super::properties::{MISPLACED, Properties, id};
use super::subscribe::filter;
use super::{DecodeError, PacketId, ReasonCode, UserProperties, Version};

/// What a client no longer wants to subscribe to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unsubscribe<'b> {
    /// What its acknowledgement names.
    pub packet_id: PacketId,
    /// Applications' own.
    pub user_properties: UserProperties<'b>,
    /// Filters, checked.
    list: Cursor<'b>,
}

// === impl Unsubscribe ===

impl<'b> Unsubscribe<'b> {
    pub(super) fn decode(mut body: Cursor<'b>, version: Version) -> Result<Self, DecodeError> {
        let packet_id = body.packet_id()?;
        let mut user_properties = UserProperties::default();
        if version == Version::V5 {
            let mut properties = Properties::take(&mut body)?;
            user_properties = UserProperties::of(properties.block);
            while let Some(id) = properties.next()? {
                match id {
                    id::USER_PROPERTY => properties.pass_user()?,
                    _ => return Err(MISPLACED),
                }
            }
        }
        if body.is_empty() {
            return Err(DecodeError::protocol("an UNSUBSCRIBE without a topic filter"));
        }
        let list = body;
        while !body.is_empty() {
            filter(&mut body)?;
        }
        Ok(Self { packet_id, user_properties, list })
    }

    /// The filters.
    pub fn filters(&self) -> impl Iterator<Item = &'b str> + use<'b> {
        let mut list = self.list;
        // They were checked when the packet was decoded.
        std::iter::from_fn(move || list.text().ok())
    }
}

/// Appends an UNSUBSCRIBE, as a client sends it.
pub fn encode_unsubscribe(
    version: Version,
    packet_id: PacketId,
    filters: &[&str],
    out: &mut Vec<u8>,
) {
    let mut body = packet_id.get().to_be_bytes().to_vec();
    if version == Version::V5 {
        body.push(0);
    }
    for filter in filters {
        put_text(&mut body, filter);
    }
    out.push(0xA2);
    put_varint(out, body.len());
    out.extend_from_slice(&body);
}

/// Appends an UNSUBACK. Only MQTT 5 has reasons in it.
pub fn encode_unsuback(
    version: Version,
    packet_id: PacketId,
    reasons: &[ReasonCode],
    out: &mut Vec<u8>,
) {
    out.push(0xB0);
    if version != Version::V5 {
        out.push(2);
        out.extend_from_slice(&packet_id.get().to_be_bytes());
        return;
    }
    put_varint(out, 3 + reasons.len());
    out.extend_from_slice(&packet_id.get().to_be_bytes());
    out.push(0);
    out.extend(reasons.iter().map(|reason| *reason as u8));
}
