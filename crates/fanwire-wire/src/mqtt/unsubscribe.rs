//! UNSUBSCRIBE: which topics a client no longer wants (MQTT 5, 3.10).

use super::list::{Bytes, Item, Iter, List};
use super::property::{NOT_ALLOWED, PropertyReader, PropertySink, id};
use super::reader::Reader;
use super::user_properties::UserProperties;
use super::writer::{self, Sink, Write};
use super::{DecodeError, PacketId, Version};

/// The first byte of an UNSUBSCRIBE.
pub(super) const FIRST: u8 = 0xA2;

/// Gives subscriptions back, at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unsubscribe<'b> {
    /// What the UNSUBACK brings back.
    pub packet_id: PacketId,
    /// The applications' own.
    pub user_properties: UserProperties<'b>,
    /// The topic filters. All are well formed.
    pub filters: Filters<'b>,
}

/// The topic filters of an UNSUBSCRIBE.
pub type Filters<'b> = List<'b, &'b str>;

impl<'b> Item<'b> for &'b str {
    fn next(from: &mut Bytes<'b>) -> Option<Self> {
        from.0.text().ok()
    }
}

// === impl Unsubscribe ===

impl<'b> Unsubscribe<'b> {
    /// The topic filters, in order.
    pub fn filters(&self) -> Iter<'b, &'b str> {
        self.filters.iter()
    }

    pub(super) fn decode(body: &'b [u8], version: Version) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let packet_id = reader.packet_id()?;
        let mut user_properties = UserProperties::default();
        if version.has_properties() {
            let mut properties = PropertyReader::take_from(&mut reader)?;
            while let Some(id) = properties.next_id()? {
                match id {
                    id::USER_PROPERTY => properties.user_property()?,
                    _ => return Err(NOT_ALLOWED),
                }
            }
            user_properties = properties.user_properties();
        }
        let filters = List::from_wire(reader.rest());
        if reader.is_empty() {
            return Err(DecodeError::protocol("an UNSUBSCRIBE without topic filters"));
        }
        while !reader.is_empty() {
            reader.topic_filter()?;
        }
        Ok(Self { packet_id, user_properties, filters })
    }

    /// Appends the packet, as a client sends it.
    pub fn encode(&self, version: Version, out: &mut Vec<u8>) {
        writer::packet(FIRST, &Body { unsubscribe: self, version }, out);
    }
}

struct Body<'a, 'b> {
    unsubscribe: &'a Unsubscribe<'b>,
    version: Version,
}

impl Write for Body<'_, '_> {
    fn write<S: Sink>(&self, to: &mut S) {
        to.u16(self.unsubscribe.packet_id.get());
        if self.version.has_properties() {
            to.section(&Properties(self.unsubscribe.user_properties));
        }
        self.unsubscribe.filters.iter().for_each(|filter| to.text(filter));
    }
}

struct Properties<'b>(UserProperties<'b>);

impl Write for Properties<'_> {
    fn write<S: Sink>(&self, to: &mut S) {
        to.user_properties(self.0);
    }
}
