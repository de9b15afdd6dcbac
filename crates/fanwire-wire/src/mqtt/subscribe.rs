//! SUBSCRIBE: which topics a client wants (MQTT 5, 3.8).

use super::list::{Bytes, Item, Iter, List};
use super::property::{NOT_ALLOWED, PropertyReader, PropertySink, id, once};
use super::reader::Reader;
use super::topic::SharedFilter;
use super::user_properties::UserProperties;
use super::writer::{self, Sink, Write};
use super::{DecodeError, PacketId, QoS, Version};

/// The first byte of a SUBSCRIBE.
pub(super) const FIRST: u8 = 0x82;

/// Asks for subscriptions, at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subscribe<'b> {
    /// What the SUBACK brings back.
    pub packet_id: PacketId,
    /// What PUBLISH packets are to bring that are delivered for these subscriptions:
    /// 1 to 268,435,455.
    pub subscription_id: Option<u32>,
    /// The applications' own.
    pub user_properties: UserProperties<'b>,
    /// The topic filters with their options. All are well formed.
    pub filters: Subscriptions<'b>,
}

/// A topic filter and how it is meant.
pub type Subscription<'b> = (&'b str, SubscribeOptions);

/// The topic filters of a SUBSCRIBE with their options.
pub type Subscriptions<'b> = List<'b, Subscription<'b>>;

/// How a subscription is meant (MQTT 5, 3.8.3.1). Before MQTT 5 there is only the QoS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct SubscribeOptions {
    /// The highest QoS of messages that are delivered.
    pub qos: QoS,
    /// Whether messages of the same client are left out.
    pub no_local: bool,
    /// Whether messages keep the publisher's retain flag.
    pub retain_as_published: bool,
    /// What is done with retained messages.
    pub retain_handling: RetainHandling,
}

/// Whether a new subscription gets the retained messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum RetainHandling {
    /// Whenever the client subscribes.
    #[default]
    Send = 0,
    /// Only if the subscription did not exist.
    SendIfNew = 1,
    /// Never.
    DoNotSend = 2,
}

const NO_LOCAL: u8 = 0x04;
const RETAIN_AS_PUBLISHED: u8 = 0x08;
const RETAIN_HANDLING_SHIFT: u8 = 4;
const RESERVED: u8 = 0xC0;
/// What is reserved before MQTT 5 (MQTT-3.8.3-4 of 3.1.1).
const RESERVED_V3: u8 = 0xFC;

impl<'b> Item<'b> for Subscription<'b> {
    fn next(from: &mut Bytes<'b>) -> Option<Self> {
        let filter = from.0.text().ok()?;
        let options = SubscribeOptions::from_byte(from.0.u8().ok()?).ok()?;
        Some((filter, options))
    }
}

// === impl Subscribe ===

impl<'b> Subscribe<'b> {
    /// The topic filters with their options, in order.
    pub fn filters(&self) -> Iter<'b, Subscription<'b>> {
        self.filters.iter()
    }

    pub(super) fn decode(body: &'b [u8], version: Version) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let packet_id = reader.packet_id()?;
        let (mut subscription_id, mut user_properties) = (None, UserProperties::default());
        if version.has_properties() {
            let mut properties = PropertyReader::take_from(&mut reader)?;
            while let Some(id) = properties.next_id()? {
                match id {
                    id::SUBSCRIPTION_ID => {
                        once(&mut subscription_id, properties.subscription_id()?)?;
                    }
                    id::USER_PROPERTY => properties.user_property()?,
                    _ => return Err(NOT_ALLOWED),
                }
            }
            user_properties = properties.user_properties();
        }
        let filters = check_filters(reader, version)?;
        Ok(Self { packet_id, subscription_id, user_properties, filters })
    }

    /// Appends the packet, as a client sends it.
    pub fn encode(&self, version: Version, out: &mut Vec<u8>) {
        writer::packet(FIRST, &Body { subscribe: self, version }, out);
    }
}

/// Reads all that is left once, so that it can be borrowed as it is.
fn check_filters(
    mut reader: Reader<'_>,
    version: Version,
) -> Result<Subscriptions<'_>, DecodeError> {
    let all = reader.rest();
    if all.is_empty() {
        return Err(DecodeError::protocol("a SUBSCRIBE without topic filters"));
    }
    while !reader.is_empty() {
        let filter = reader.topic_filter()?;
        let byte = reader.u8()?;
        let reserved = if version.has_properties() { RESERVED } else { RESERVED_V3 };
        if byte & reserved != 0 {
            return Err(DecodeError::malformed("reserved bits in the options of a subscription"));
        }
        let options = SubscribeOptions::from_byte(byte)?;
        if options.no_local && SharedFilter::parse(filter).is_some() {
            return Err(DecodeError::protocol("a shared subscription with no-local"));
        }
    }
    Ok(List::from_wire(all))
}

struct Body<'a, 'b> {
    subscribe: &'a Subscribe<'b>,
    version: Version,
}

impl Write for Body<'_, '_> {
    fn write<S: Sink>(&self, to: &mut S) {
        to.u16(self.subscribe.packet_id.get());
        if self.version.has_properties() {
            to.section(&Properties(self.subscribe));
        }
        for (filter, options) in self.subscribe.filters {
            to.text(filter);
            let byte = options.to_byte();
            to.u8(if self.version.has_properties() { byte } else { byte & !RESERVED_V3 });
        }
    }
}

struct Properties<'a, 'b>(&'a Subscribe<'b>);

impl Write for Properties<'_, '_> {
    fn write<S: Sink>(&self, to: &mut S) {
        if let Some(id) = self.0.subscription_id {
            to.varint_property(id::SUBSCRIPTION_ID, id);
        }
        to.user_properties(self.0.user_properties);
    }
}

// === impl SubscribeOptions ===

impl SubscribeOptions {
    /// The options of a subscription before MQTT 5.
    pub fn of(qos: QoS) -> Self {
        Self { qos, ..Self::default() }
    }

    /// The options as one byte, as in a SUBSCRIBE of MQTT 5.
    pub fn to_byte(self) -> u8 {
        self.qos as u8
            | if self.no_local { NO_LOCAL } else { 0 }
            | if self.retain_as_published { RETAIN_AS_PUBLISHED } else { 0 }
            | (self.retain_handling as u8) << RETAIN_HANDLING_SHIFT
    }

    /// The reverse of [`Self::to_byte`]. Reserved bits are the caller's concern.
    fn from_byte(byte: u8) -> Result<Self, DecodeError> {
        Ok(Self {
            qos: QoS::new(byte & 3).ok_or(DecodeError::protocol("a subscription with QoS 3"))?,
            no_local: byte & NO_LOCAL != 0,
            retain_as_published: byte & RETAIN_AS_PUBLISHED != 0,
            retain_handling: match byte >> RETAIN_HANDLING_SHIFT & 3 {
                0 => RetainHandling::Send,
                1 => RetainHandling::SendIfNew,
                2 => RetainHandling::DoNotSend,
                _ => return Err(DecodeError::protocol("a retain handling of 3")),
            },
        })
    }
}
