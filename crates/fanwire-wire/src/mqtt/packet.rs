//! Which packet it is.

use super::bytes::Cursor;
use super::{
    Ack, AckKind, Auth, Connect, DecodeError, Disconnect, Publish, Subscribe, Unsubscribe, Version,
};

/// What a client sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the standard's own")]
pub enum Packet<'b> {
    Connect(Connect<'b>),
    Publish(Publish<'b>),
    PubAck(Ack<'b>),
    PubRec(Ack<'b>),
    PubRel(Ack<'b>),
    PubComp(Ack<'b>),
    Subscribe(Subscribe<'b>),
    Unsubscribe(Unsubscribe<'b>),
    PingReq,
    Disconnect(Disconnect<'b>),
    Auth(Auth<'b>),
}

// === impl Packet ===

impl<'b> Packet<'b> {
    pub(super) fn decode(first: u8, body: &'b [u8], version: Version) -> Result<Self, DecodeError> {
        let cursor = Cursor(body);
        let ack = |kind| Ack::decode(kind, cursor, version);
        let v5 = version == Version::V5;
        // All flags but those of PUBLISH are given (MQTT 5, 2.1.3).
        match first {
            0x30..=0x3F => Publish::decode(first & 0x0F, cursor, version).map(Self::Publish),
            0x40 => ack(AckKind::PubAck).map(Self::PubAck),
            0x50 => ack(AckKind::PubRec).map(Self::PubRec),
            0x62 => ack(AckKind::PubRel).map(Self::PubRel),
            0x70 => ack(AckKind::PubComp).map(Self::PubComp),
            0x82 => Subscribe::decode(cursor, version).map(Self::Subscribe),
            0xA2 => Unsubscribe::decode(cursor, version).map(Self::Unsubscribe),
            // MQTT 3.1 has DUP flags here, and may set them (MQTT 3.1, 3.6, 3.8 and 3.10).
            0x6A | 0x8A | 0xAA if version == Version::V3_1 => {
                Self::decode(first & !8, body, version)
            }
            0xC0 => cursor.finish().map(|()| Self::PingReq),
            0xE0 => Disconnect::decode(cursor, version).map(Self::Disconnect),
            0xF0 if v5 => Auth::decode(cursor).map(Self::Auth),
            0x10 => Connect::decode(body).map(Self::Connect),
            0x20..=0x2F | 0x90..=0x9F | 0xB0..=0xBF | 0xD0..=0xDF => {
                Err(DecodeError::protocol("a packet that only servers send"))
            }
            0x00..=0x0F | 0xF0..=0xFF => Err(DecodeError::malformed("a packet of a reserved type")),
            _ => Err(DecodeError::malformed("a packet with reserved flags set")),
        }
    }
}

/// Appends a PINGRESP.
pub fn encode_ping_response(out: &mut Vec<u8>) {
    out.extend_from_slice(&[0xD0, 0]);
}

/// Appends a PINGREQ, as a client sends it.
pub fn encode_ping_request(out: &mut Vec<u8>) {
    out.extend_from_slice(&[0xC0, 0]);
}
