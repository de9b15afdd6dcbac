//! MQTT 3.1, 3.1.1 and 5.0: packets as a broker takes and sends them.
//!
//! A connection is a stream of *packets*. A [`Framer`] cuts the stream into [`Frame`]s,
//! whatever pieces it arrives in; [`Frame::connect`] decodes the first, which says the
//! version, and [`Frame::decode`] all others. Packets are plain structs that borrow from the
//! frame, and encode themselves.
//!
//! # Memory
//!
//! A `Framer` between packets is one word. A packet that is there as a whole is borrowed:
//! no copy, no allocation. Only one that has not fully arrived has a buffer, which grows with
//! the bytes that arrived, never with the length that its header promises.
//!
//! # Strictness
//!
//! What the specifications call malformed or a protocol error is refused when a packet is
//! decoded, with the reason code that MQTT 5 gives it: reserved bits, wildcards or U+0000 in
//! topic names, filters that are none, lengths that do not add up, properties that come twice
//! or where they do not belong.

mod ack;
mod auth;
mod bytes;
mod connack;
mod connect;
mod disconnect;
mod framer;
mod packet;
mod properties;
mod publish;
mod reason;
mod subscribe;
pub mod topic;
mod unsubscribe;
mod user_properties;

pub use self::ack::{Ack, AckKind};
pub use self::auth::Auth;
pub use self::connack::{ConnAck, ConnAckProperties};
pub use self::connect::{Connect, ConnectProperties, Will};
pub use self::disconnect::Disconnect;
pub use self::framer::{Frame, Framer};
pub use self::packet::{Packet, encode_ping_request, encode_ping_response};
pub use self::publish::{MessageProperties, Publish};
pub use self::reason::{DecodeError, ReasonCode};
pub use self::subscribe::{
    RetainHandling, Subscribe, SubscribeOptions, encode_suback, encode_subscribe,
};
pub use self::topic::SharedFilter;
pub use self::unsubscribe::{Unsubscribe, encode_unsuback, encode_unsubscribe};
pub use self::user_properties::{UserProperties, UserPropertiesBuf};

/// Names a packet that is to be acknowledged. Never zero (MQTT 5, 2.2.1).
pub type PacketId = std::num::NonZeroU16;

/// The version of the protocol that a connection speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Version {
    /// MQTT 3.1, protocol level 3.
    V3_1,
    /// MQTT 3.1.1, protocol level 4.
    V3_1_1,
    /// MQTT 5.0, protocol level 5.
    V5,
}

/// The quality of service of a message (MQTT 5, 4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(u8)]
pub enum QoS {
    /// QoS 0.
    #[default]
    AtMostOnce = 0,
    /// QoS 1.
    AtLeastOnce = 1,
    /// QoS 2.
    ExactlyOnce = 2,
}

// === impl QoS ===

impl QoS {
    /// The quality of service of a number, where it is one.
    pub fn from_u8(value: u8) -> Option<Self> {
        match value {
            0 => Some(Self::AtMostOnce),
            1 => Some(Self::AtLeastOnce),
            2 => Some(Self::ExactlyOnce),
            _ => None,
        }
    }
}
