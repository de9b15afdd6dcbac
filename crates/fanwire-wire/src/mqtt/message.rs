//! The properties that belong to a message rather than to a packet: they travel from
//! the publisher to the subscribers unaltered.

use super::DecodeError;
use super::property::{NOT_ALLOWED, PropertyReader, PropertySink, id};
use super::user_properties::UserProperties;
use super::writer::{Sink, Write};

/// The properties of an application message or a will (MQTT 5, 3.3.2.3 and 3.1.3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MessageProperties<'b> {
    /// Whether the payload is said to be UTF-8. Nobody has checked.
    pub utf8_payload: bool,
    /// For how many seconds the message is worth delivering.
    pub message_expiry: Option<u32>,
    /// What the payload is, such as a media type.
    pub content_type: Option<&'b str>,
    /// The topic name to send a response to. Never empty, never with wildcards.
    pub response_topic: Option<&'b str>,
    /// What a response is to bring back.
    pub correlation_data: Option<&'b [u8]>,
    /// The applications' own.
    pub user_properties: UserProperties<'b>,
}

/// [`MessageProperties`] that are being read.
#[derive(Debug, Default)]
pub(super) struct MessagePropertiesReader<'b> {
    utf8_payload: Option<bool>,
    read: MessageProperties<'b>,
}

// === impl MessageProperties ===

impl MessageProperties<'_> {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Write for MessageProperties<'_> {
    fn write<S: Sink>(&self, to: &mut S) {
        to.flag_property(id::PAYLOAD_FORMAT, self.utf8_payload.then_some(true));
        to.u32_property(id::MESSAGE_EXPIRY, self.message_expiry);
        to.text_property(id::CONTENT_TYPE, self.content_type);
        to.text_property(id::RESPONSE_TOPIC, self.response_topic);
        to.binary_property(id::CORRELATION_DATA, self.correlation_data);
        to.user_properties(self.user_properties);
    }
}

// === impl MessagePropertiesReader ===

impl<'b> MessagePropertiesReader<'b> {
    /// Takes the value of the property with this id, if it is a message's.
    pub(super) fn take(
        &mut self,
        id: u8,
        properties: &mut PropertyReader<'b>,
    ) -> Result<(), DecodeError> {
        match id {
            id::PAYLOAD_FORMAT => properties.flag(&mut self.utf8_payload),
            id::MESSAGE_EXPIRY => properties.u32(&mut self.read.message_expiry),
            id::CONTENT_TYPE => properties.text(&mut self.read.content_type),
            id::RESPONSE_TOPIC => properties.topic_name(&mut self.read.response_topic),
            id::CORRELATION_DATA => properties.binary(&mut self.read.correlation_data),
            id::USER_PROPERTY => properties.user_property(),
            _ => Err(NOT_ALLOWED),
        }
    }

    /// The message's properties, at the end of the section.
    pub(super) fn finish(self, properties: &PropertyReader<'b>) -> MessageProperties<'b> {
        MessageProperties {
            utf8_payload: self.utf8_payload.unwrap_or(false),
            user_properties: properties.user_properties(),
            ..self.read
        }
    }
}
