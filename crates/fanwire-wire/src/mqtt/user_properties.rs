//! User properties: names and values that mean something to applications alone.

use std::fmt;

use super::bytes::{Cursor, put_text};
use super::properties::id;

/// User properties of a packet, in order. A name may come more than once.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct UserProperties<'b> {
    /// A block of properties that has been checked, others among them.
    block: &'b [u8],
}

/// User properties that are owned.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserPropertiesBuf(Vec<u8>);

// === impl UserProperties ===

impl<'b> UserProperties<'b> {
    /// Those of a block that has been checked.
    pub(super) fn of(block: &'b [u8]) -> Self {
        Self { block }
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&'b str, &'b str)> + use<'b> {
        let mut cursor = Cursor(self.block);
        std::iter::from_fn(move || {
            while !cursor.is_empty() {
                // The block was checked when it was decoded, or made here.
                if let Some(pair) = next(&mut cursor).ok()? {
                    return Some(pair);
                }
            }
            None
        })
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// How many bytes names and values have together.
    pub fn byte_len(&self) -> usize {
        self.iter().map(|(name, value)| name.len() + value.len()).sum()
    }

    /// A copy without what else is in the block.
    pub fn to_owned(&self) -> UserPropertiesBuf {
        let mut owned = UserPropertiesBuf::default();
        for (name, value) in self.iter() {
            owned.push(name, value);
        }
        owned
    }

    /// Their length in a packet.
    pub(super) fn encoded_len(&self) -> usize {
        self.iter().map(|(name, value)| 5 + name.len() + value.len()).sum()
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        for (name, value) in self.iter() {
            out.push(id::USER_PROPERTY);
            put_text(out, name);
            put_text(out, value);
        }
    }
}

/// The next property, if it is a user property.
fn next<'b>(cursor: &mut Cursor<'b>) -> Result<Option<(&'b str, &'b str)>, super::DecodeError> {
    match cursor.u8()? {
        id::USER_PROPERTY => return Ok(Some((cursor.text()?, cursor.text()?))),
        id::PAYLOAD_FORMAT
        | id::PROBLEM_INFORMATION
        | id::RESPONSE_INFORMATION_WANTED
        | id::MAXIMUM_QOS
        | id::RETAIN_AVAILABLE
        | id::WILDCARDS_AVAILABLE
        | id::SUBSCRIPTION_IDS_AVAILABLE
        | id::SHARED_AVAILABLE => drop(cursor.take(1)?),
        id::MESSAGE_EXPIRY | id::SESSION_EXPIRY | id::WILL_DELAY | id::MAXIMUM_PACKET_SIZE => {
            cursor.take(4)?;
        }
        id::SERVER_KEEP_ALIVE | id::RECEIVE_MAXIMUM | id::TOPIC_ALIAS_MAXIMUM | id::TOPIC_ALIAS => {
            cursor.take(2)?;
        }
        id::SUBSCRIPTION_ID => drop(cursor.varint()?),
        _ => drop(cursor.binary()?),
    }
    Ok(None)
}

impl fmt::Debug for UserProperties<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

// === impl UserPropertiesBuf ===

impl UserPropertiesBuf {
    /// Adds one. Names and values are cut to 65,535 bytes.
    pub fn push(&mut self, name: &str, value: &str) {
        self.0.push(id::USER_PROPERTY);
        put_text(&mut self.0, name);
        put_text(&mut self.0, value);
    }

    /// A view of them.
    pub fn as_ref(&self) -> UserProperties<'_> {
        UserProperties { block: &self.0 }
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.as_ref().iter()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many bytes they take in memory.
    pub fn byte_len(&self) -> usize {
        self.0.len()
    }
}

impl<'a> FromIterator<(&'a str, &'a str)> for UserPropertiesBuf {
    fn from_iter<I: IntoIterator<Item = (&'a str, &'a str)>>(pairs: I) -> Self {
        let mut owned = Self::default();
        for (name, value) in pairs {
            owned.push(name, value);
        }
        owned
    }
}
