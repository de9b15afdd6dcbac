//! The properties of MQTT 5 packets (2.2.2).

use std::num::{NonZeroU16, NonZeroU32};

use super::DecodeError;
use super::list::List;
use super::reader::Reader;
use super::user_properties::UserProperties;
use super::writer::{Sink, Write};

/// The identifiers of properties (MQTT 5, table 2-4).
pub(super) mod id {
    pub(crate) const PAYLOAD_FORMAT: u8 = 0x01;
    pub(crate) const MESSAGE_EXPIRY: u8 = 0x02;
    pub(crate) const CONTENT_TYPE: u8 = 0x03;
    pub(crate) const RESPONSE_TOPIC: u8 = 0x08;
    pub(crate) const CORRELATION_DATA: u8 = 0x09;
    pub(crate) const SUBSCRIPTION_ID: u8 = 0x0B;
    pub(crate) const SESSION_EXPIRY: u8 = 0x11;
    pub(crate) const ASSIGNED_CLIENT_ID: u8 = 0x12;
    pub(crate) const SERVER_KEEP_ALIVE: u8 = 0x13;
    pub(crate) const AUTHENTICATION_METHOD: u8 = 0x15;
    pub(crate) const AUTHENTICATION_DATA: u8 = 0x16;
    pub(crate) const REQUEST_PROBLEM_INFORMATION: u8 = 0x17;
    pub(crate) const WILL_DELAY: u8 = 0x18;
    pub(crate) const REQUEST_RESPONSE_INFORMATION: u8 = 0x19;
    pub(crate) const RESPONSE_INFORMATION: u8 = 0x1A;
    pub(crate) const SERVER_REFERENCE: u8 = 0x1C;
    pub(crate) const REASON_STRING: u8 = 0x1F;
    pub(crate) const RECEIVE_MAXIMUM: u8 = 0x21;
    pub(crate) const TOPIC_ALIAS_MAXIMUM: u8 = 0x22;
    pub(crate) const TOPIC_ALIAS: u8 = 0x23;
    pub(crate) const MAXIMUM_QOS: u8 = 0x24;
    pub(crate) const RETAIN_AVAILABLE: u8 = 0x25;
    pub(crate) const USER_PROPERTY: u8 = 0x26;
    pub(crate) const MAXIMUM_PACKET_SIZE: u8 = 0x27;
    pub(crate) const WILDCARD_SUBSCRIPTION_AVAILABLE: u8 = 0x28;
    pub(crate) const SUBSCRIPTION_IDS_AVAILABLE: u8 = 0x29;
    pub(crate) const SHARED_SUBSCRIPTION_AVAILABLE: u8 = 0x2A;
}

/// What the properties of a packet are read with: its loop asks for the next id and
/// then for a value of the type that goes with it.
#[derive(Debug)]
pub(super) struct PropertyReader<'b> {
    block: &'b [u8],
    rest: Reader<'b>,
    /// The properties from the first user property on.
    user_from: Option<&'b [u8]>,
    /// The properties from the first subscription id on.
    subscription_from: Option<&'b [u8]>,
}

/// A property that a packet of this kind cannot have (2.2.2.2).
pub(super) const NOT_ALLOWED: DecodeError =
    DecodeError::malformed("a property that this packet does not have");

// === impl PropertyReader ===

impl<'b> PropertyReader<'b> {
    /// Takes the property section of a packet off its bytes.
    pub(super) fn take_from(packet: &mut Reader<'b>) -> Result<Self, DecodeError> {
        let len = packet.varint()?;
        let block = packet.bytes(len as usize)?;
        Ok(Self { block, rest: Reader::new(block), user_from: None, subscription_from: None })
    }

    /// The identifier of the next property, if there is one. All that exist take one
    /// byte.
    pub(super) fn next_id(&mut self) -> Result<Option<u8>, DecodeError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        self.rest.u8().map(Some)
    }

    /// The properties from the one whose identifier was taken last.
    fn since_id(&self) -> &'b [u8] {
        let after = self.rest.rest().len();
        &self.block[(self.block.len() - after).saturating_sub(1)..]
    }

    pub(super) fn u16(&mut self, into: &mut Option<u16>) -> Result<(), DecodeError> {
        once(into, self.rest.u16()?)
    }

    pub(super) fn u32(&mut self, into: &mut Option<u32>) -> Result<(), DecodeError> {
        once(into, self.rest.u32()?)
    }

    /// A number of two bytes that is not 0.
    pub(super) fn nonzero_u16(
        &mut self,
        into: &mut Option<NonZeroU16>,
        zero: DecodeError,
    ) -> Result<(), DecodeError> {
        once(into, NonZeroU16::new(self.rest.u16()?).ok_or(zero)?)
    }

    /// A number of four bytes that is not 0.
    pub(super) fn nonzero_u32(
        &mut self,
        into: &mut Option<NonZeroU32>,
        zero: DecodeError,
    ) -> Result<(), DecodeError> {
        once(into, NonZeroU32::new(self.rest.u32()?).ok_or(zero)?)
    }

    /// A byte that is 0 or 1, as all properties of one byte are.
    pub(super) fn flag(&mut self, into: &mut Option<bool>) -> Result<(), DecodeError> {
        match self.rest.u8()? {
            value @ (0 | 1) => once(into, value == 1),
            _ => Err(DecodeError::protocol("a property that is neither 0 nor 1")),
        }
    }

    pub(super) fn text(&mut self, into: &mut Option<&'b str>) -> Result<(), DecodeError> {
        once(into, self.rest.text()?)
    }

    /// A topic name that is not empty.
    pub(super) fn topic_name(&mut self, into: &mut Option<&'b str>) -> Result<(), DecodeError> {
        once(into, self.rest.nonempty_topic_name()?)
    }

    pub(super) fn binary(&mut self, into: &mut Option<&'b [u8]>) -> Result<(), DecodeError> {
        once(into, self.rest.binary()?)
    }

    /// A subscription id, which is never 0 (3.3.2.3.8 and 3.8.2.1.2).
    pub(super) fn subscription_id(&mut self) -> Result<u32, DecodeError> {
        let from = self.since_id();
        match self.rest.varint()? {
            0 => Err(DecodeError::protocol("a subscription id of 0")),
            id => {
                self.subscription_from.get_or_insert(from);
                Ok(id)
            }
        }
    }

    /// A user property: of these there may be several in any packet.
    pub(super) fn user_property(&mut self) -> Result<(), DecodeError> {
        let from = self.since_id();
        self.rest.text()?;
        self.rest.text()?;
        self.user_from.get_or_insert(from);
        Ok(())
    }

    /// The user properties that were come across.
    pub(super) fn user_properties(&self) -> UserProperties<'b> {
        List::from_wire(self.user_from.unwrap_or_default())
    }

    /// The bytes that hold all subscription ids.
    pub(super) fn subscription_ids(&self) -> &'b [u8] {
        self.subscription_from.unwrap_or_default()
    }
}

/// Takes properties of a checked block until one with this identifier is next, whose
/// value is then to be taken.
pub(super) fn find(wanted: u8, block: &mut Reader<'_>) -> Option<()> {
    loop {
        let id = block.u8().ok()?;
        if id == wanted {
            return Some(());
        }
        skip(id, block)?;
    }
}

/// Takes the value of a property.
fn skip(id: u8, block: &mut Reader<'_>) -> Option<()> {
    let skipped = match id {
        id::PAYLOAD_FORMAT
        | id::REQUEST_PROBLEM_INFORMATION
        | id::REQUEST_RESPONSE_INFORMATION
        | id::MAXIMUM_QOS
        | id::RETAIN_AVAILABLE
        | id::WILDCARD_SUBSCRIPTION_AVAILABLE
        | id::SUBSCRIPTION_IDS_AVAILABLE
        | id::SHARED_SUBSCRIPTION_AVAILABLE => block.u8().map(drop),
        id::SERVER_KEEP_ALIVE | id::RECEIVE_MAXIMUM | id::TOPIC_ALIAS_MAXIMUM | id::TOPIC_ALIAS => {
            block.u16().map(drop)
        }
        id::MESSAGE_EXPIRY | id::SESSION_EXPIRY | id::WILL_DELAY | id::MAXIMUM_PACKET_SIZE => {
            block.u32().map(drop)
        }
        id::SUBSCRIPTION_ID => block.varint().map(drop),
        id::USER_PROPERTY => block.binary().and_then(|_| block.binary()).map(drop),
        _ => block.binary().map(drop),
    };
    skipped.ok()
}

/// Sets a property that may come once (2.2.2.2: twice is a protocol error).
pub(super) fn once<T>(into: &mut Option<T>, value: T) -> Result<(), DecodeError> {
    match into.replace(value) {
        None => Ok(()),
        Some(_) => Err(DecodeError::protocol("a property that comes twice")),
    }
}

/// Writing properties; what is `None` is left out.
pub(super) trait PropertySink: Sink + Sized {
    fn flag_property(&mut self, id: u8, value: Option<bool>) {
        if let Some(value) = value {
            self.put(&[id, u8::from(value)]);
        }
    }

    fn u16_property(&mut self, id: u8, value: Option<u16>) {
        if let Some(value) = value {
            self.u8(id);
            self.u16(value);
        }
    }

    fn u32_property(&mut self, id: u8, value: Option<u32>) {
        if let Some(value) = value {
            self.u8(id);
            self.u32(value);
        }
    }

    fn varint_property(&mut self, id: u8, value: u32) {
        self.u8(id);
        self.varint(value);
    }

    fn text_property(&mut self, id: u8, value: Option<&str>) {
        if let Some(value) = value {
            self.u8(id);
            self.text(value);
        }
    }

    fn binary_property(&mut self, id: u8, value: Option<&[u8]>) {
        if let Some(value) = value {
            self.u8(id);
            self.binary(value);
        }
    }

    fn user_properties(&mut self, properties: UserProperties<'_>) {
        if properties.is_empty() {
            return;
        }
        for (name, value) in properties.iter() {
            self.u8(id::USER_PROPERTY);
            self.text(name);
            self.text(value);
        }
    }
}

impl<S: Sink> PropertySink for S {}

/// The two properties that all acknowledgements and farewells have.
#[derive(Debug, Clone, Copy)]
pub(super) struct Explanation<'b> {
    pub(super) reason_string: Option<&'b str>,
    pub(super) user_properties: UserProperties<'b>,
}

// === impl Explanation ===

impl<'b> Explanation<'b> {
    /// Takes a property section that has nothing else.
    pub(super) fn take_from(packet: &mut Reader<'b>) -> Result<Self, DecodeError> {
        let mut properties = PropertyReader::take_from(packet)?;
        let mut reason_string = None;
        while let Some(id) = properties.next_id()? {
            match id {
                id::REASON_STRING => properties.text(&mut reason_string)?,
                id::USER_PROPERTY => properties.user_property()?,
                _ => return Err(NOT_ALLOWED),
            }
        }
        Ok(Self { reason_string, user_properties: properties.user_properties() })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.reason_string.is_none() && self.user_properties.is_empty()
    }
}

impl Write for Explanation<'_> {
    fn write<S: Sink>(&self, to: &mut S) {
        to.text_property(id::REASON_STRING, self.reason_string);
        to.user_properties(self.user_properties);
    }
}
