//! A cursor over the bytes of a packet.

use super::topic::{self, TopicError};
use super::{DecodeError, PacketId, varint};

/// Takes values off the front of a packet's bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'b> {
    rest: &'b [u8],
}

const CUT_SHORT: DecodeError = DecodeError::malformed("a packet that ends within a field");

// === impl Reader ===

impl<'b> Reader<'b> {
    pub(super) fn new(bytes: &'b [u8]) -> Self {
        Self { rest: bytes }
    }

    /// What has not been taken.
    pub(super) fn rest(self) -> &'b [u8] {
        self.rest
    }

    pub(super) fn is_empty(self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn bytes(&mut self, len: usize) -> Result<&'b [u8], DecodeError> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(CUT_SHORT)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(CUT_SHORT)?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(super) fn u8(&mut self) -> Result<u8, DecodeError> {
        self.array().map(|[byte]| byte)
    }

    pub(super) fn u16(&mut self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn varint(&mut self) -> Result<u32, DecodeError> {
        let (value, len) = varint::parse(self.rest)?.ok_or(CUT_SHORT)?;
        self.rest = &self.rest[len..];
        Ok(value)
    }

    /// A packet id, which is never 0 (MQTT-2.2.1-3).
    pub(super) fn packet_id(&mut self) -> Result<PacketId, DecodeError> {
        PacketId::new(self.u16()?).ok_or(DecodeError::protocol("a packet id of 0"))
    }

    /// Binary data: a length of two bytes and that many.
    pub(super) fn binary(&mut self) -> Result<&'b [u8], DecodeError> {
        let len = self.u16()?;
        self.bytes(usize::from(len))
    }

    /// Text: UTF-8 without U+0000 (MQTT-1.5.4-1 and -2).
    pub(super) fn text(&mut self) -> Result<&'b str, DecodeError> {
        let text = self.utf8()?;
        if any_word(text.as_bytes(), has_zero) {
            return Err(DecodeError::malformed("a text with U+0000"));
        }
        Ok(text)
    }

    /// A topic name, which may be empty: whether it may is the caller's concern.
    pub(super) fn topic_name(&mut self) -> Result<&'b str, DecodeError> {
        let name = self.utf8()?;
        if any_word(name.as_bytes(), |word| has_zero(word) | has_wildcard(word)) {
            topic::check_name(name).map_err(TopicError::in_name)?;
        }
        Ok(name)
    }

    /// A topic name that may not be empty.
    pub(super) fn nonempty_topic_name(&mut self) -> Result<&'b str, DecodeError> {
        match self.topic_name()? {
            "" => Err(TopicError::Empty.in_name()),
            name => Ok(name),
        }
    }

    /// A topic filter.
    pub(super) fn topic_filter(&mut self) -> Result<&'b str, DecodeError> {
        let filter = self.utf8()?;
        topic::check_filter(filter).map_err(TopicError::in_filter)?;
        Ok(filter)
    }

    fn utf8(&mut self) -> Result<&'b str, DecodeError> {
        simdutf8::basic::from_utf8(self.binary()?)
            .map_err(|_| DecodeError::malformed("a text that is not UTF-8"))
    }

    /// States that nothing is left.
    pub(super) fn end(self) -> Result<(), DecodeError> {
        if self.is_empty() {
            return Ok(());
        }
        Err(DecodeError::malformed("bytes after the end of a packet"))
    }
}

/// Whether this finds something in any eight bytes. Where there are not as many, they
/// are filled up with spaces, which nothing here looks for.
fn any_word(bytes: &[u8], find: impl Fn(u64) -> u64) -> bool {
    let Some(last) = bytes.last_chunk() else {
        let mut word = [b' '; 8];
        word[..bytes.len()].copy_from_slice(bytes);
        return find(u64::from_le_bytes(word)) != 0;
    };
    let (words, _) = bytes.as_chunks();
    // The last word overlaps the one before it, so that no byte is left over.
    let found = words.iter().fold(find(u64::from_le_bytes(*last)), |found, word| {
        found | find(u64::from_le_bytes(*word))
    });
    found != 0
}

/// The same byte, eight times.
const fn eight(byte: u8) -> u64 {
    u64::from_le_bytes([byte; 8])
}

/// Not 0 if any of eight bytes is.
const fn has_zero(word: u64) -> u64 {
    word.wrapping_sub(eight(0x01)) & !word & eight(0x80)
}

/// Not 0 if any of eight bytes is `+` or `#`, which differ in one bit.
const fn has_wildcard(word: u64) -> u64 {
    has_zero((word | eight(b'+' ^ b'#')) ^ eight(b'+' | b'#'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_and_wildcards_are_found_anywhere_and_nothing_else_is() {
        for len in 0..20 {
            for at in 0..len {
                for byte in 0..=u8::MAX {
                    let mut text = vec![b'a'; len];
                    text[at] = byte;
                    assert_eq!(any_word(&text, has_zero), byte == 0, "{text:?}");
                    let wildcard = matches!(byte, b'+' | b'#');
                    assert_eq!(any_word(&text, has_wildcard), wildcard, "{text:?}");
                }
            }
        }
    }
}
