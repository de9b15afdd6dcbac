//! CONNACK (MQTT 5, 3.2).

use std::num::{NonZeroU16, NonZeroU32};

use super::bytes::{put_binary, put_text, put_varint, varint_len};
use super::properties::id;
use super::{ReasonCode, UserProperties, Version};

/// The answer to a CONNECT.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ConnAck<'b> {
    /// Whether a session of before goes on.
    pub session_present: bool,
    /// Whether the client is let in.
    pub reason: ReasonCode,
    /// What MQTT 5 adds.
    pub properties: ConnAckProperties<'b>,
}

/// What a server tells of itself (MQTT 5, 3.2.2.3). Defaults are the standard's, and not
/// sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnAckProperties<'b> {
    /// How many seconds the session outlives the connection, where that is not what the
    /// client asked for.
    pub session_expiry: Option<u32>,
    /// How many messages of QoS 1 and 2 the server takes before it has acknowledged any.
    pub receive_maximum: Option<NonZeroU16>,
    /// The most that messages may be published with, where that is not 2.
    pub maximum_qos: Option<u8>,
    /// Whether messages may be retained.
    pub retain_available: bool,
    /// The longest packet that the server takes, in bytes.
    pub maximum_packet_size: Option<NonZeroU32>,
    /// The client id, where the server has made it up.
    pub assigned_client_id: Option<&'b str>,
    /// How many topic aliases the server takes.
    pub topic_alias_maximum: u16,
    /// The reason in words.
    pub reason_string: Option<&'b str>,
    /// Whether filters may have wildcards.
    pub wildcards_available: bool,
    /// Whether subscriptions may have identifiers.
    pub subscription_ids_available: bool,
    /// Whether subscriptions may be shared.
    pub shared_subscription_available: bool,
    /// The keep-alive in seconds, where that is not the client's.
    pub server_keep_alive: Option<u16>,
    /// How the client says who it is.
    pub authentication_method: Option<&'b str>,
    /// What goes with it.
    pub authentication_data: Option<&'b [u8]>,
    /// Where else the client may connect to.
    pub server_reference: Option<&'b str>,
    /// Applications' own.
    pub user_properties: UserProperties<'b>,
}

impl Default for ConnAckProperties<'_> {
    fn default() -> Self {
        Self {
            session_expiry: None,
            receive_maximum: None,
            maximum_qos: None,
            retain_available: true,
            maximum_packet_size: None,
            assigned_client_id: None,
            topic_alias_maximum: 0,
            reason_string: None,
            wildcards_available: true,
            subscription_ids_available: true,
            shared_subscription_available: true,
            server_keep_alive: None,
            authentication_method: None,
            authentication_data: None,
            server_reference: None,
            user_properties: UserProperties::default(),
        }
    }
}

// === impl ConnAck ===

impl ConnAck<'_> {
    /// Appends the packet.
    pub fn encode(&self, version: Version, out: &mut Vec<u8>) {
        // A refusal has no session (MQTT 5, 3.2.2.1.1), and MQTT 3.1 does not tell of one.
        let session_present = self.session_present && self.reason == ReasonCode::Success;
        let flags = u8::from(session_present && version != Version::V3_1);
        if version != Version::V5 {
            out.extend_from_slice(&[0x20, 2, flags, self.reason.connect_return_code()]);
            return;
        }
        let mut block = Vec::new();
        self.properties.encode(&mut block);
        out.push(0x20);
        put_varint(out, 2 + varint_len(block.len()) + block.len());
        out.extend_from_slice(&[flags, self.reason as u8]);
        put_varint(out, block.len());
        out.extend_from_slice(&block);
    }
}

// === impl ConnAckProperties ===

impl ConnAckProperties<'_> {
    fn encode(&self, out: &mut Vec<u8>) {
        if let Some(expiry) = self.session_expiry {
            out.push(id::SESSION_EXPIRY);
            out.extend_from_slice(&expiry.to_be_bytes());
        }
        if let Some(qos) = self.maximum_qos.filter(|qos| *qos < 2) {
            out.extend_from_slice(&[id::MAXIMUM_QOS, qos]);
        }
        if let Some(size) = self.maximum_packet_size {
            out.push(id::MAXIMUM_PACKET_SIZE);
            out.extend_from_slice(&size.get().to_be_bytes());
        }
        let numbers = [
            (id::RECEIVE_MAXIMUM, self.receive_maximum.map(NonZeroU16::get)),
            (id::TOPIC_ALIAS_MAXIMUM, Some(self.topic_alias_maximum).filter(|most| *most > 0)),
            (id::SERVER_KEEP_ALIVE, self.server_keep_alive),
        ];
        for (id, number) in numbers {
            if let Some(number) = number {
                out.push(id);
                out.extend_from_slice(&number.to_be_bytes());
            }
        }
        let available = [
            (id::RETAIN_AVAILABLE, self.retain_available),
            (id::WILDCARDS_AVAILABLE, self.wildcards_available),
            (id::SUBSCRIPTION_IDS_AVAILABLE, self.subscription_ids_available),
            (id::SHARED_AVAILABLE, self.shared_subscription_available),
        ];
        for (id, _) in available.iter().filter(|(_, available)| !available) {
            out.extend_from_slice(&[*id, 0]);
        }
        let texts = [
            (id::ASSIGNED_CLIENT_ID, self.assigned_client_id),
            (id::REASON_STRING, self.reason_string),
            (id::AUTHENTICATION_METHOD, self.authentication_method),
            (id::SERVER_REFERENCE, self.server_reference),
        ];
        for (id, text) in texts {
            if let Some(text) = text {
                out.push(id);
                put_text(out, text);
            }
        }
        if let Some(data) = self.authentication_data {
            out.push(id::AUTHENTICATION_DATA);
            put_binary(out, data);
        }
        self.user_properties.encode(out);
    }
}
