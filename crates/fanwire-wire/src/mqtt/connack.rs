//! CONNACK: the server's answer to a CONNECT (MQTT 5, 3.2).

use std::num::{NonZeroU16, NonZeroU32};

use super::connect::{NO_PACKETS, RECEIVE_NOTHING};
use super::property::{NOT_ALLOWED, PropertyReader, PropertySink, id};
use super::reader::Reader;
use super::user_properties::UserProperties;
use super::writer::{self, Sink, Write};
use super::{DecodeError, QoS, ReasonCode, Version};

/// The first byte of a CONNACK.
pub(super) const FIRST: u8 = 0x20;

const SESSION_PRESENT: u8 = 0x01;

/// The server takes a client or does not. The default takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ConnAck<'b> {
    /// Whether the server had a session and goes on with it. Never along with a failure
    /// (MQTT-3.2.2-6).
    pub session_present: bool,
    /// `Success`, or why not.
    pub reason: ReasonCode,
    /// Left out before MQTT 5.
    pub properties: ConnAckProperties<'b>,
}

/// The properties of a CONNACK (MQTT 5, 3.2.2.3). The default stands for none: the
/// server can do everything that a standard can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnAckProperties<'b> {
    /// For how many seconds the session outlives the connection, where that is not what
    /// the client asked for.
    pub session_expiry: Option<u32>,
    /// How many unacknowledged QoS 1 and 2 messages the server takes; 65,535 where it is
    /// absent.
    pub receive_maximum: Option<NonZeroU16>,
    /// The highest QoS that the server takes.
    pub maximum_qos: QoS,
    /// Whether the server retains messages.
    pub retain_available: bool,
    /// The longest packet that the server takes, in bytes.
    pub maximum_packet_size: Option<NonZeroU32>,
    /// The client id, where the client brought none.
    pub assigned_client_id: Option<&'b str>,
    /// The highest topic alias that the server takes; 0 for none.
    pub topic_alias_maximum: u16,
    /// The reason in words, for diagnostics.
    pub reason_string: Option<&'b str>,
    /// Whether topic filters may have wildcards.
    pub wildcard_subscription_available: bool,
    /// Whether subscriptions may have ids.
    pub subscription_ids_available: bool,
    /// Whether subscriptions may be shared.
    pub shared_subscription_available: bool,
    /// The keep-alive to use in place of the client's, in seconds.
    pub server_keep_alive: Option<u16>,
    /// What response topics are to be made of.
    pub response_information: Option<&'b str>,
    /// Which other server to use.
    pub server_reference: Option<&'b str>,
    /// The method of the authentication.
    pub authentication_method: Option<&'b str>,
    /// Its last step.
    pub authentication_data: Option<&'b [u8]>,
    /// The applications' own.
    pub user_properties: UserProperties<'b>,
}

// === impl ConnAck ===

impl<'b> ConnAck<'b> {
    pub(super) fn decode(body: &'b [u8], version: Version) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let flags = reader.u8()?;
        let session_present = flags == SESSION_PRESENT;
        if flags & !SESSION_PRESENT != 0 || (version == Version::V3_1 && session_present) {
            return Err(DecodeError::malformed("reserved flags of a CONNACK"));
        }
        let reason = ReasonCode::of_connect_return_code(reader.u8()?, version)
            .filter(|reason| *reason == ReasonCode::Success || reason.is_error())
            .ok_or(super::WRONG_REASON)?;
        if session_present && reason != ReasonCode::Success {
            return Err(DecodeError::protocol("a session for a client that is refused"));
        }
        let properties = if version.has_properties() {
            ConnAckProperties::take_from(&mut reader)?
        } else {
            ConnAckProperties::default()
        };
        reader.end()?;
        Ok(Self { session_present, reason, properties })
    }

    /// Appends the packet.
    pub fn encode(&self, version: Version, out: &mut Vec<u8>) {
        writer::packet(FIRST, &Body { connack: self, version }, out);
    }
}

struct Body<'a, 'b> {
    connack: &'a ConnAck<'b>,
    version: Version,
}

impl Write for Body<'_, '_> {
    fn write<S: Sink>(&self, to: &mut S) {
        let ConnAck { session_present, reason, properties } = self.connack;
        let present =
            *session_present && self.version != Version::V3_1 && *reason == ReasonCode::Success;
        to.u8(if present { SESSION_PRESENT } else { 0 });
        to.u8(reason.connect_return_code(self.version));
        if self.version.has_properties() {
            to.section(properties);
        }
    }
}

// === impl ConnAckProperties ===

impl Default for ConnAckProperties<'_> {
    fn default() -> Self {
        Self {
            session_expiry: None,
            receive_maximum: None,
            maximum_qos: QoS::ExactlyOnce,
            retain_available: true,
            maximum_packet_size: None,
            assigned_client_id: None,
            topic_alias_maximum: 0,
            reason_string: None,
            wildcard_subscription_available: true,
            subscription_ids_available: true,
            shared_subscription_available: true,
            server_keep_alive: None,
            response_information: None,
            server_reference: None,
            authentication_method: None,
            authentication_data: None,
            user_properties: UserProperties::default(),
        }
    }
}

/// The properties that are not absent but have a default.
#[derive(Default)]
struct WithDefaults {
    qos_1: Option<bool>,
    retain: Option<bool>,
    aliases: Option<u16>,
    wildcards: Option<bool>,
    subscription_ids: Option<bool>,
    shared: Option<bool>,
}

impl<'b> ConnAckProperties<'b> {
    fn take_from(packet: &mut Reader<'b>) -> Result<Self, DecodeError> {
        let mut properties = PropertyReader::take_from(packet)?;
        let mut read = Self::default();
        let mut defaults = WithDefaults::default();
        while let Some(id) = properties.next_id()? {
            match id {
                id::MAXIMUM_QOS => properties.flag(&mut defaults.qos_1)?,
                id::RETAIN_AVAILABLE => properties.flag(&mut defaults.retain)?,
                id::TOPIC_ALIAS_MAXIMUM => properties.u16(&mut defaults.aliases)?,
                id::WILDCARD_SUBSCRIPTION_AVAILABLE => properties.flag(&mut defaults.wildcards)?,
                id::SUBSCRIPTION_IDS_AVAILABLE => {
                    properties.flag(&mut defaults.subscription_ids)?;
                }
                id::SHARED_SUBSCRIPTION_AVAILABLE => properties.flag(&mut defaults.shared)?,
                _ => read.take(id, &mut properties)?,
            }
        }
        Ok(Self {
            maximum_qos: match defaults.qos_1 {
                None => QoS::ExactlyOnce,
                Some(true) => QoS::AtLeastOnce,
                Some(false) => QoS::AtMostOnce,
            },
            retain_available: defaults.retain.unwrap_or(true),
            topic_alias_maximum: defaults.aliases.unwrap_or(0),
            wildcard_subscription_available: defaults.wildcards.unwrap_or(true),
            subscription_ids_available: defaults.subscription_ids.unwrap_or(true),
            shared_subscription_available: defaults.shared.unwrap_or(true),
            user_properties: properties.user_properties(),
            ..read
        })
    }

    /// Takes the value of a property without a default.
    fn take(&mut self, id: u8, properties: &mut PropertyReader<'b>) -> Result<(), DecodeError> {
        match id {
            id::SESSION_EXPIRY => properties.u32(&mut self.session_expiry),
            id::RECEIVE_MAXIMUM => {
                properties.nonzero_u16(&mut self.receive_maximum, RECEIVE_NOTHING)
            }
            id::MAXIMUM_PACKET_SIZE => {
                properties.nonzero_u32(&mut self.maximum_packet_size, NO_PACKETS)
            }
            id::ASSIGNED_CLIENT_ID => properties.text(&mut self.assigned_client_id),
            id::REASON_STRING => properties.text(&mut self.reason_string),
            id::SERVER_KEEP_ALIVE => properties.u16(&mut self.server_keep_alive),
            id::RESPONSE_INFORMATION => properties.text(&mut self.response_information),
            id::SERVER_REFERENCE => properties.text(&mut self.server_reference),
            id::AUTHENTICATION_METHOD => properties.text(&mut self.authentication_method),
            id::AUTHENTICATION_DATA => properties.binary(&mut self.authentication_data),
            id::USER_PROPERTY => properties.user_property(),
            _ => Err(NOT_ALLOWED),
        }
    }
}

impl Write for ConnAckProperties<'_> {
    fn write<S: Sink>(&self, to: &mut S) {
        let unavailable = |available: bool| (!available).then_some(false);
        to.u32_property(id::SESSION_EXPIRY, self.session_expiry);
        to.u16_property(id::RECEIVE_MAXIMUM, self.receive_maximum.map(NonZeroU16::get));
        let qos_1 = self.maximum_qos == QoS::AtLeastOnce;
        let lower = self.maximum_qos != QoS::ExactlyOnce;
        to.flag_property(id::MAXIMUM_QOS, lower.then_some(qos_1));
        to.flag_property(id::RETAIN_AVAILABLE, unavailable(self.retain_available));
        to.u32_property(id::MAXIMUM_PACKET_SIZE, self.maximum_packet_size.map(NonZeroU32::get));
        to.text_property(id::ASSIGNED_CLIENT_ID, self.assigned_client_id);
        let aliases = (self.topic_alias_maximum != 0).then_some(self.topic_alias_maximum);
        to.u16_property(id::TOPIC_ALIAS_MAXIMUM, aliases);
        to.text_property(id::REASON_STRING, self.reason_string);
        let wildcards = unavailable(self.wildcard_subscription_available);
        to.flag_property(id::WILDCARD_SUBSCRIPTION_AVAILABLE, wildcards);
        let ids = unavailable(self.subscription_ids_available);
        to.flag_property(id::SUBSCRIPTION_IDS_AVAILABLE, ids);
        let shared = unavailable(self.shared_subscription_available);
        to.flag_property(id::SHARED_SUBSCRIPTION_AVAILABLE, shared);
        to.u16_property(id::SERVER_KEEP_ALIVE, self.server_keep_alive);
        to.text_property(id::RESPONSE_INFORMATION, self.response_information);
        to.text_property(id::SERVER_REFERENCE, self.server_reference);
        to.text_property(id::AUTHENTICATION_METHOD, self.authentication_method);
        to.binary_property(id::AUTHENTICATION_DATA, self.authentication_data);
        to.user_properties(self.user_properties);
    }
}
