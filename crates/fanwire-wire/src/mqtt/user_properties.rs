//! User properties: pairs of texts whose meaning is the applications' own
//! (MQTT 5, 3.3.2.3.7).

use super::list::{Bytes, Item, List};
use super::property;
use super::writer::Sink;

/// Name and value. Names may repeat.
pub type UserProperty<'b> = (&'b str, &'b str);

/// The user properties of a packet, in order.
pub type UserProperties<'b> = List<'b, UserProperty<'b>>;

/// User properties that own their texts, in one allocation; none if there are none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UserPropertiesBuf {
    /// In the form of the wire.
    bytes: Vec<u8>,
}

/// A name or value that no packet can carry: it is longer than 65,535 bytes or
/// contains U+0000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a user property over 65,535 bytes or with U+0000")]
pub struct InvalidUserProperty;

impl<'b> Item<'b> for UserProperty<'b> {
    fn next(from: &mut Bytes<'b>) -> Option<Self> {
        property::find(property::id::USER_PROPERTY, &mut from.0)?;
        Some((from.0.text().ok()?, from.0.text().ok()?))
    }
}

// === impl UserPropertiesBuf ===

impl UserPropertiesBuf {
    /// No properties.
    pub const fn new() -> Self {
        Self { bytes: Vec::new() }
    }

    /// Adds one at the end.
    pub fn push(&mut self, name: &str, value: &str) -> Result<(), InvalidUserProperty> {
        for text in [name, value] {
            if text.len() > usize::from(u16::MAX) || text.as_bytes().contains(&0) {
                return Err(InvalidUserProperty);
            }
        }
        self.append(name, value);
        Ok(())
    }

    /// The properties, as packets take them.
    pub fn as_list(&self) -> UserProperties<'_> {
        List::from_wire(&self.bytes)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// How many bytes they take in a packet, and here.
    pub fn encoded_len(&self) -> usize {
        self.bytes.len()
    }

    fn append(&mut self, name: &str, value: &str) {
        self.bytes.u8(property::id::USER_PROPERTY);
        self.bytes.text(name);
        self.bytes.text(value);
    }
}

impl From<UserProperties<'_>> for UserPropertiesBuf {
    fn from(properties: UserProperties<'_>) -> Self {
        let mut owned = Self::new();
        for (name, value) in properties {
            owned.append(name, value);
        }
        owned.bytes.shrink_to_fit();
        owned
    }
}
