//! PUBLISH (MQTT 5, 3.3).

use std::num::NonZeroU16;

use super::bytes::{Cursor, binary_len, put_binary, put_text, put_varint, varint_len};
use super::properties::{MISPLACED, Properties, id};
use super::{DecodeError, PacketId, QoS, ReasonCode, UserProperties, Version, topic};

/// A message on the wire.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Publish<'b> {
    /// Whether it may have been sent before.
    pub dup: bool,
    /// Its quality of service.
    pub qos: QoS,
    /// From a client: whether it is to be retained. To a client: whether it was.
    pub retain: bool,
    /// The topic name. Empty only with an alias that stands for it.
    pub topic: &'b str,
    /// What its acknowledgement names; `None` for QoS 0.
    pub packet_id: Option<PacketId>,
    /// What stands for the topic name, or will.
    pub topic_alias: Option<NonZeroU16>,
    /// The subscriptions that it matches. Only from a server.
    pub subscription_ids: &'b [u32],
    /// What MQTT 5 adds.
    pub properties: MessageProperties<'b>,
    /// The payload.
    pub payload: &'b [u8],
}

/// Properties that a message keeps from its publisher to its receivers (MQTT 5, 3.3.2.3).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MessageProperties<'b> {
    /// Whether the payload says to be UTF-8 text.
    pub utf8_payload: bool,
    /// For how many seconds it is of use.
    pub message_expiry: Option<u32>,
    /// What the payload is.
    pub content_type: Option<&'b str>,
    /// Where an answer is to go.
    pub response_topic: Option<&'b str>,
    /// What an answer has to carry.
    pub correlation_data: Option<&'b [u8]>,
    /// Applications' own.
    pub user_properties: UserProperties<'b>,
}

// === impl Publish ===

impl<'b> Publish<'b> {
    pub(super) fn decode(
        flags: u8,
        mut body: Cursor<'b>,
        version: Version,
    ) -> Result<Self, DecodeError> {
        let qos = QoS::from_u8(flags >> 1 & 3).ok_or(DecodeError::malformed("a QoS of 3"))?;
        let dup = flags & 8 != 0;
        if dup && qos == QoS::AtMostOnce {
            return Err(DecodeError::malformed(
                "a message of QoS 0 that may have been sent before",
            ));
        }
        let name = body.text()?;
        let packet_id = match qos {
            QoS::AtMostOnce => None,
            _ => Some(body.packet_id()?),
        };
        let mut publish =
            Self { dup, qos, retain: flags & 1 != 0, topic: name, packet_id, ..Self::default() };
        if version == Version::V5 {
            publish.properties(&mut body)?;
        }
        if !name.is_empty() || publish.topic_alias.is_none() {
            topic::check_name(name).map_err(|error| DecodeError {
                reason: if name.is_empty() {
                    ReasonCode::ProtocolError
                } else {
                    ReasonCode::TopicNameInvalid
                },
                what: error.0,
            })?;
        }
        publish.payload = body.0;
        Ok(publish)
    }

    fn properties(&mut self, body: &mut Cursor<'b>) -> Result<(), DecodeError> {
        let mut properties = Properties::take(body)?;
        if properties.block.is_empty() {
            return Ok(());
        }
        self.properties.user_properties = UserProperties::of(properties.block);
        while let Some(id) = properties.next()? {
            if id == id::TOPIC_ALIAS {
                let alias = NonZeroU16::new(properties.cursor.u16()?);
                let what = "a topic alias of zero";
                let zero = DecodeError { reason: ReasonCode::TopicAliasInvalid, what };
                self.topic_alias = Some(alias.ok_or(zero)?);
            } else if id == id::SUBSCRIPTION_ID {
                return Err(DecodeError::protocol("a subscription identifier from a client"));
            } else {
                self.properties.take(id, &mut properties)?;
            }
        }
        Ok(())
    }

    /// Appends the packet.
    pub fn encode(&self, version: Version, out: &mut Vec<u8>) {
        let properties = self.properties_len(version);
        let body = self.body_len(properties);
        out.reserve(1 + varint_len(body) + body);
        let flags = u8::from(self.dup) << 3 | (self.qos as u8) << 1 | u8::from(self.retain);
        out.push(0x30 | flags);
        put_varint(out, body);
        put_text(out, self.topic);
        if let Some(id) = self.packet_id {
            out.extend_from_slice(&id.get().to_be_bytes());
        }
        if let Some(length) = properties {
            put_varint(out, length);
            if let Some(alias) = self.topic_alias {
                out.push(id::TOPIC_ALIAS);
                out.extend_from_slice(&alias.get().to_be_bytes());
            }
            for id in self.subscription_ids {
                out.push(id::SUBSCRIPTION_ID);
                put_varint(out, *id as usize);
            }
            self.properties.encode(out);
        }
        out.extend_from_slice(self.payload);
    }

    /// How many bytes `encode` appends.
    pub fn encoded_len(&self, version: Version) -> usize {
        let body = self.body_len(self.properties_len(version));
        1 + varint_len(body) + body
    }

    /// The length of the properties, without their own length; `None` where there are none
    /// in this version.
    fn properties_len(&self, version: Version) -> Option<usize> {
        if version != Version::V5 {
            return None;
        }
        let alias = if self.topic_alias.is_some() { 3 } else { 0 };
        let ids = self.subscription_ids.iter().map(|id| 1 + varint_len(*id as usize));
        Some(alias + ids.sum::<usize>() + self.properties.encoded_len())
    }

    fn body_len(&self, properties: Option<usize>) -> usize {
        let id = if self.packet_id.is_some() { 2 } else { 0 };
        let properties = properties.map_or(0, |length| varint_len(length) + length);
        binary_len(self.topic.as_bytes()) + id + properties + self.payload.len()
    }
}

// === impl MessageProperties ===

impl<'b> MessageProperties<'b> {
    /// Takes the value of a property of a message.
    pub(super) fn take(
        &mut self,
        id: u8,
        properties: &mut Properties<'b>,
    ) -> Result<(), DecodeError> {
        match id {
            id::PAYLOAD_FORMAT => self.utf8_payload = properties.flag()?,
            id::MESSAGE_EXPIRY => self.message_expiry = Some(properties.cursor.u32()?),
            id::CONTENT_TYPE => self.content_type = Some(properties.cursor.text()?),
            id::RESPONSE_TOPIC => {
                let name = properties.cursor.text()?;
                topic::check_name(name)
                    .map_err(|_| DecodeError::protocol("a response topic that is no topic name"))?;
                self.response_topic = Some(name);
            }
            id::CORRELATION_DATA => self.correlation_data = Some(properties.cursor.binary()?),
            id::USER_PROPERTY => properties.pass_user()?,
            _ => return Err(MISPLACED),
        }
        Ok(())
    }

    pub(super) fn encoded_len(&self) -> usize {
        let binary = |bytes: Option<&[u8]>| bytes.map_or(0, |bytes| 1 + binary_len(bytes));
        (if self.utf8_payload { 2 } else { 0 })
            + (if self.message_expiry.is_some() { 5 } else { 0 })
            + binary(self.content_type.map(str::as_bytes))
            + binary(self.response_topic.map(str::as_bytes))
            + binary(self.correlation_data)
            + self.user_properties.encoded_len()
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        if self.utf8_payload {
            out.extend_from_slice(&[id::PAYLOAD_FORMAT, 1]);
        }
        if let Some(expiry) = self.message_expiry {
            out.push(id::MESSAGE_EXPIRY);
            out.extend_from_slice(&expiry.to_be_bytes());
        }
        let texts =
            [(id::CONTENT_TYPE, self.content_type), (id::RESPONSE_TOPIC, self.response_topic)];
        for (id, text) in texts {
            if let Some(text) = text {
                out.push(id);
                put_text(out, text);
            }
        }
        if let Some(data) = self.correlation_data {
            out.push(id::CORRELATION_DATA);
            put_binary(out, data);
        }
        self.user_properties.encode(out);
    }
}
