//! PUBLISH: an application message, in either direction (MQTT 5, 3.3).

use std::num::NonZeroU16;

use super::list::{Bytes, Item, List};
use super::message::{MessageProperties, MessagePropertiesReader};
use super::property::{self, PropertyReader, PropertySink, id};
use super::reader::Reader;
use super::topic::TopicError;
use super::writer::{self, Sink, Write};
use super::{DecodeError, PacketId, QoS, ReasonCode, Sender, Version};

/// The first byte of a PUBLISH without flags.
pub(super) const FIRST: u8 = 0x30;

/// The same with all of them.
pub(super) const LAST: u8 = 0x3F;

const RETAIN: u8 = 0x01;
const QOS_SHIFT: u8 = 1;
const DUP: u8 = 0x08;

/// A message on its way. The default is an empty one of QoS 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Publish<'b> {
    /// Whether it may have been sent before. Never with QoS 0.
    pub dup: bool,
    /// How it is acknowledged.
    pub qos: QoS,
    /// From a client: whether the server keeps it for future subscribers. To a client:
    /// whether it was kept, or as the publisher set it.
    pub retain: bool,
    /// Where to. Empty only where an alias stands for it.
    pub topic: &'b str,
    /// Present with QoS 1 and 2 and only then. To be encoded with these, it has to be.
    pub packet_id: Option<PacketId>,
    /// Stands for the topic from now on, or did before.
    pub topic_alias: Option<NonZeroU16>,
    /// Of the subscriptions that the message is delivered for. A client sends none.
    pub subscription_ids: SubscriptionIds<'b>,
    /// The message's own properties. Empty before MQTT 5.
    pub properties: MessageProperties<'b>,
    /// The message.
    pub payload: &'b [u8],
}

/// The subscription ids of a PUBLISH (MQTT 5, 3.3.2.3.8): 1 to 268,435,455.
pub type SubscriptionIds<'b> = List<'b, u32>;

impl<'b> Item<'b> for u32 {
    fn next(from: &mut Bytes<'b>) -> Option<Self> {
        property::find(id::SUBSCRIPTION_ID, &mut from.0)?;
        from.0.varint().ok()
    }
}

// === impl Publish ===

impl<'b> Publish<'b> {
    pub(super) fn decode(
        first: u8,
        body: &'b [u8],
        version: Version,
        sender: Sender,
    ) -> Result<Self, DecodeError> {
        let dup = first & DUP != 0;
        let qos = QoS::new(first >> QOS_SHIFT & 3)
            .ok_or(DecodeError::malformed("a PUBLISH with QoS 3"))?;
        if dup && qos == QoS::AtMostOnce {
            return Err(DecodeError::malformed("a PUBLISH with QoS 0 that is a duplicate"));
        }
        let mut reader = Reader::new(body);
        let mut publish = Self {
            dup,
            qos,
            retain: first & RETAIN != 0,
            topic: reader.topic_name()?,
            ..Self::default()
        };
        if qos != QoS::AtMostOnce {
            publish.packet_id = Some(reader.packet_id()?);
        }
        if version.has_properties() {
            publish.take_properties(&mut reader, sender)?;
        }
        if publish.topic.is_empty() && publish.topic_alias.is_none() {
            return Err(match version {
                Version::V5 => DecodeError::protocol("neither a topic name nor a topic alias"),
                _ => TopicError::Empty.in_name(),
            });
        }
        publish.payload = reader.rest();
        Ok(publish)
    }

    fn take_properties(
        &mut self,
        packet: &mut Reader<'b>,
        sender: Sender,
    ) -> Result<(), DecodeError> {
        let mut properties = PropertyReader::take_from(packet)?;
        let mut message = MessagePropertiesReader::default();
        while let Some(id) = properties.next_id()? {
            match id {
                id::TOPIC_ALIAS => properties.nonzero_u16(&mut self.topic_alias, ALIAS_0)?,
                id::SUBSCRIPTION_ID if sender == Sender::Client => {
                    return Err(DecodeError::protocol("a subscription id from a client"));
                }
                id::SUBSCRIPTION_ID => drop(properties.subscription_id()?),
                _ => message.take(id, &mut properties)?,
            }
        }
        self.subscription_ids = List::from_wire(properties.subscription_ids());
        self.properties = message.finish(&properties);
        Ok(())
    }

    /// Appends the packet. What older versions do not have is left out.
    pub fn encode(&self, version: Version, out: &mut Vec<u8>) {
        let flags = if self.dup { DUP } else { 0 }
            | (self.qos as u8) << QOS_SHIFT
            | if self.retain { RETAIN } else { 0 };
        writer::packet(FIRST | flags, &Body::new(self, version), out);
    }

    /// How many bytes the packet takes.
    pub fn encoded_len(&self, version: Version) -> usize {
        writer::packet_len(Body::new(self, version).len())
    }

    /// Where in the encoded packet its id stands: two bytes, big-endian. With it, a
    /// packet that was encoded once can be sent under many ids.
    pub fn packet_id_offset(&self, version: Version) -> Option<usize> {
        self.packet_id?;
        let body = Body::new(self, version).len();
        Some(writer::packet_len(body) - body + 2 + self.topic.len())
    }
}

/// A topic alias of 0 (MQTT-3.3.2-8).
const ALIAS_0: DecodeError = DecodeError::new(ReasonCode::TopicAliasInvalid, "a topic alias of 0");

struct Body<'a, 'b> {
    publish: &'a Publish<'b>,
    version: Version,
    /// Counted once: this is the packet that there are most of.
    properties_len: usize,
}

impl<'a, 'b> Body<'a, 'b> {
    fn new(publish: &'a Publish<'b>, version: Version) -> Self {
        let properties_len = if version.has_properties() { Properties(publish).len() } else { 0 };
        Self { publish, version, properties_len }
    }
}

impl Write for Body<'_, '_> {
    fn write<S: Sink>(&self, to: &mut S) {
        to.text(self.publish.topic);
        if let Some(id) = self.publish.packet_id {
            to.u16(id.get());
        }
        if self.version.has_properties() {
            to.section_of(self.properties_len, &Properties(self.publish));
        }
        to.put(self.publish.payload);
    }
}

struct Properties<'a, 'b>(&'a Publish<'b>);

impl Write for Properties<'_, '_> {
    fn write<S: Sink>(&self, to: &mut S) {
        to.u16_property(id::TOPIC_ALIAS, self.0.topic_alias.map(NonZeroU16::get));
        for id in self.0.subscription_ids {
            to.varint_property(id::SUBSCRIPTION_ID, id);
        }
        self.0.properties.write(to);
    }
}
