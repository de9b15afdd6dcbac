//! Which packet a frame is, and writing any of them.

use super::ack::{Ack, AckKind};
use super::auth::{self, Auth};
use super::connack::{self, ConnAck};
use super::connect::{self, Connect};
use super::disconnect::{self, Disconnect};
use super::publish::{self, Publish};
use super::suback::{self, SubAck};
use super::subscribe::{self, Subscribe};
use super::unsubscribe::{self, Unsubscribe};
use super::{DecodeError, Frame, Sender, Version, ping};

/// What a client sends. Everything borrows from the frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packet<'b> {
    /// The first packet, and only the first: a second one is a protocol error.
    Connect(Connect<'b>),
    /// A message.
    Publish(Publish<'b>),
    /// A QoS 1 message has arrived.
    PubAck(Ack<'b>),
    /// A QoS 2 message has arrived.
    PubRec(Ack<'b>),
    /// The PUBREC for a QoS 2 message has arrived.
    PubRel(Ack<'b>),
    /// A QoS 2 message is finished.
    PubComp(Ack<'b>),
    /// The client wants messages.
    Subscribe(Subscribe<'b>),
    /// The client wants them no longer.
    Unsubscribe(Unsubscribe<'b>),
    /// A sign of life, to be answered.
    PingReq,
    /// The client leaves.
    Disconnect(Disconnect<'b>),
    /// A step of an authentication.
    Auth(Auth<'b>),
}

/// What a server sends. Everything borrows from the frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerPacket<'b> {
    /// The answer to CONNECT.
    ConnAck(ConnAck<'b>),
    /// A message.
    Publish(Publish<'b>),
    /// A QoS 1 message has arrived.
    PubAck(Ack<'b>),
    /// A QoS 2 message has arrived.
    PubRec(Ack<'b>),
    /// The PUBREC for a QoS 2 message has arrived.
    PubRel(Ack<'b>),
    /// A QoS 2 message is finished.
    PubComp(Ack<'b>),
    /// The answer to SUBSCRIBE.
    SubAck(SubAck<'b>),
    /// The answer to UNSUBSCRIBE.
    UnsubAck(SubAck<'b>),
    /// The answer to PINGREQ.
    PingResp,
    /// The server ends the connection.
    Disconnect(Disconnect<'b>),
    /// A step of an authentication.
    Auth(Auth<'b>),
}

/// The flag by which MQTT 3.1 marks a SUBSCRIBE, UNSUBSCRIBE or PUBREL that is sent
/// again (MQTT 3.1, 2.1). Later versions have reserved it.
const DUP_V3_1: u8 = 0x08;

const PUBREC: u8 = AckKind::PubRec.first();
const PUBACK: u8 = AckKind::PubAck.first();
const PUBREL: u8 = AckKind::PubRel.first();
const PUBCOMP: u8 = AckKind::PubComp.first();

// === impl Frame ===

impl Frame<'_> {
    /// The packet that a client has sent after its CONNECT.
    pub fn decode(&self, version: Version) -> Result<Packet<'_>, DecodeError> {
        let body = &self.body[..];
        Ok(match self.kind(version) {
            publish::FIRST..=publish::LAST => {
                let publish = Publish::decode(self.first, body, version, Sender::Client)?;
                Packet::Publish(publish)
            }
            PUBACK => Packet::PubAck(Ack::decode(AckKind::PubAck, body, version)?),
            PUBREC => Packet::PubRec(Ack::decode(AckKind::PubRec, body, version)?),
            PUBREL => Packet::PubRel(Ack::decode(AckKind::PubRel, body, version)?),
            PUBCOMP => Packet::PubComp(Ack::decode(AckKind::PubComp, body, version)?),
            subscribe::FIRST => Packet::Subscribe(Subscribe::decode(body, version)?),
            unsubscribe::FIRST => Packet::Unsubscribe(Unsubscribe::decode(body, version)?),
            ping::REQUEST => {
                self.no_body()?;
                Packet::PingReq
            }
            disconnect::FIRST => {
                Packet::Disconnect(Disconnect::decode(body, version, Sender::Client)?)
            }
            auth::FIRST if version.has_properties() => {
                Packet::Auth(Auth::decode(body, Sender::Client)?)
            }
            connect::FIRST => Packet::Connect(Connect::decode(body)?),
            _ => return Err(self.unexpected(version)),
        })
    }

    /// The packet that a server has sent.
    pub fn decode_from_server(&self, version: Version) -> Result<ServerPacket<'_>, DecodeError> {
        let body = &self.body[..];
        Ok(match self.kind(version) {
            publish::FIRST..=publish::LAST => {
                let publish = Publish::decode(self.first, body, version, Sender::Server)?;
                ServerPacket::Publish(publish)
            }
            PUBACK => ServerPacket::PubAck(Ack::decode(AckKind::PubAck, body, version)?),
            PUBREC => ServerPacket::PubRec(Ack::decode(AckKind::PubRec, body, version)?),
            PUBREL => ServerPacket::PubRel(Ack::decode(AckKind::PubRel, body, version)?),
            PUBCOMP => ServerPacket::PubComp(Ack::decode(AckKind::PubComp, body, version)?),
            connack::FIRST => ServerPacket::ConnAck(ConnAck::decode(body, version)?),
            suback::SUBACK => ServerPacket::SubAck(SubAck::decode_suback(body, version)?),
            suback::UNSUBACK => ServerPacket::UnsubAck(SubAck::decode_unsuback(body, version)?),
            ping::RESPONSE => {
                self.no_body()?;
                ServerPacket::PingResp
            }
            disconnect::FIRST if version.has_properties() => {
                ServerPacket::Disconnect(Disconnect::decode(body, version, Sender::Server)?)
            }
            auth::FIRST if version.has_properties() => {
                ServerPacket::Auth(Auth::decode(body, Sender::Server)?)
            }
            _ => return Err(self.unexpected(version)),
        })
    }

    /// The first byte, without what this version lets vary outside PUBLISH.
    fn kind(&self, version: Version) -> u8 {
        match self.first {
            first @ (0x6A | 0x8A | 0xAA) if version == Version::V3_1 => first & !DUP_V3_1,
            first => first,
        }
    }

    fn no_body(&self) -> Result<(), DecodeError> {
        if self.body.is_empty() {
            return Ok(());
        }
        Err(DecodeError::malformed("a ping with a body"))
    }

    /// Why this is no packet that the peer may send.
    fn unexpected(&self, version: Version) -> DecodeError {
        match self.first {
            // The flags are wrong where the type with other flags would be right.
            0x00..=0x0F => DecodeError::malformed("a packet of the reserved type 0"),
            0xF0..=0xFF if !version.has_properties() => {
                DecodeError::malformed("a packet of type 15 before MQTT 5")
            }
            first => match first >> 4 {
                0x6 | 0x8 | 0xA if first & 0x0F != 0x02 => super::RESERVED_FLAGS,
                0x6 | 0x8 | 0xA => OTHER_SIDE,
                _ if first & 0x0F != 0 => super::RESERVED_FLAGS,
                _ => OTHER_SIDE,
            },
        }
    }
}

const OTHER_SIDE: DecodeError = DecodeError::protocol("a packet that only the other side sends");

// === impl Packet ===

impl Packet<'_> {
    /// Appends the packet, as a client of this version sends it. A CONNECT has a version
    /// of its own.
    pub fn encode(&self, version: Version, out: &mut Vec<u8>) {
        match self {
            Self::Connect(connect) => connect.encode(out),
            Self::Publish(publish) => publish.encode(version, out),
            Self::PubAck(ack) => ack.encode(AckKind::PubAck, version, out),
            Self::PubRec(ack) => ack.encode(AckKind::PubRec, version, out),
            Self::PubRel(ack) => ack.encode(AckKind::PubRel, version, out),
            Self::PubComp(ack) => ack.encode(AckKind::PubComp, version, out),
            Self::Subscribe(subscribe) => subscribe.encode(version, out),
            Self::Unsubscribe(unsubscribe) => unsubscribe.encode(version, out),
            Self::PingReq => ping::encode_ping_request(out),
            Self::Disconnect(farewell) => {
                disconnect::encode_client_disconnect(farewell, version, out);
            }
            Self::Auth(auth) => auth.encode(out),
        }
    }
}

// === impl ServerPacket ===

impl ServerPacket<'_> {
    /// Appends the packet, as a server sends it to a client of this version.
    pub fn encode(&self, version: Version, out: &mut Vec<u8>) {
        match self {
            Self::ConnAck(connack) => connack.encode(version, out),
            Self::Publish(publish) => publish.encode(version, out),
            Self::PubAck(ack) => ack.encode(AckKind::PubAck, version, out),
            Self::PubRec(ack) => ack.encode(AckKind::PubRec, version, out),
            Self::PubRel(ack) => ack.encode(AckKind::PubRel, version, out),
            Self::PubComp(ack) => ack.encode(AckKind::PubComp, version, out),
            Self::SubAck(ack) => ack.encode_suback(version, out),
            Self::UnsubAck(ack) => ack.encode_unsuback(version, out),
            Self::PingResp => ping::encode_ping_response(out),
            Self::Disconnect(disconnect) => disconnect.encode(version, out),
            Self::Auth(auth) => auth.encode(out),
        }
    }
}
