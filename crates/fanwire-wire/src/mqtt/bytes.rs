//! The data types of packets (MQTT 5, 1.5): taking them from bytes, and appending them.

use super::{DecodeError, PacketId};

/// The largest variable byte integer, which is also the longest packet's length.
pub(super) const MAX_VARINT: u32 = 268_435_455;

/// Takes values from the front of a packet's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cursor<'b>(pub(super) &'b [u8]);

const SHORT: DecodeError = DecodeError::malformed("a packet that ends too early");

impl<'b> Cursor<'b> {
    pub(super) fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn u8(&mut self) -> Result<u8, DecodeError> {
        let (first, rest) = self.0.split_first().ok_or(SHORT)?;
        self.0 = rest;
        Ok(*first)
    }

    pub(super) fn u16(&mut self) -> Result<u16, DecodeError> {
        let (value, rest) = self.0.split_first_chunk().ok_or(SHORT)?;
        self.0 = rest;
        Ok(u16::from_be_bytes(*value))
    }

    pub(super) fn u32(&mut self) -> Result<u32, DecodeError> {
        let (value, rest) = self.0.split_first_chunk().ok_or(SHORT)?;
        self.0 = rest;
        Ok(u32::from_be_bytes(*value))
    }

    pub(super) fn packet_id(&mut self) -> Result<PacketId, DecodeError> {
        PacketId::new(self.u16()?).ok_or(DecodeError::protocol("a packet id of zero"))
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'b [u8], DecodeError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(SHORT)?;
        self.0 = rest;
        Ok(taken)
    }

    /// Binary data: a length of two bytes, and so many bytes.
    pub(super) fn binary(&mut self) -> Result<&'b [u8], DecodeError> {
        let length = self.u16()?;
        self.take(usize::from(length))
    }

    /// Text: UTF-8 without U+0000.
    pub(super) fn text(&mut self) -> Result<&'b str, DecodeError> {
        let bytes = self.binary()?;
        let text = simdutf8::basic::from_utf8(bytes)
            .map_err(|_| DecodeError::malformed("text that is not UTF-8"))?;
        if bytes.contains(&0) {
            return Err(DecodeError::malformed("text with U+0000 in it"));
        }
        Ok(text)
    }

    /// A variable byte integer, in as few bytes as it needs.
    pub(super) fn varint(&mut self) -> Result<u32, DecodeError> {
        let mut value = 0;
        for shift in [0, 7, 14, 21] {
            let byte = self.u8()?;
            value |= u32::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                if byte == 0 && shift > 0 {
                    return Err(DecodeError::malformed("a length in more bytes than it needs"));
                }
                return Ok(value);
            }
        }
        Err(DecodeError::malformed("a length of more than four bytes"))
    }

    /// Sees that nothing is left.
    pub(super) fn finish(self) -> Result<(), DecodeError> {
        if self.is_empty() {
            Ok(())
        } else {
            Err(DecodeError::malformed("a packet with bytes behind its end"))
        }
    }
}

/// How many bytes a variable byte integer takes.
pub(super) fn varint_len(value: usize) -> usize {
    match value {
        0..=0x7F => 1,
        0x80..=0x3FFF => 2,
        0x4000..=0x1F_FFFF => 3,
        _ => 4,
    }
}

/// Appends a variable byte integer. What is larger than one can be is cut to the largest.
pub(super) fn put_varint(out: &mut Vec<u8>, value: usize) {
    let mut rest = u32::try_from(value).unwrap_or(MAX_VARINT).min(MAX_VARINT);
    while rest >= 0x80 {
        // Seven bits are left.
        out.push((rest & 0x7F) as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// Appends binary data, cut to what its length can say.
pub(super) fn put_binary(out: &mut Vec<u8>, bytes: &[u8]) {
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(&bytes[..usize::from(length)]);
}

/// Appends text. What is longer than text can be is cut, at a character.
pub(super) fn put_text(out: &mut Vec<u8>, text: &str) {
    put_binary(out, &text.as_bytes()[..text.floor_char_boundary(usize::from(u16::MAX))]);
}

/// The length of binary data or text with its length before it.
pub(super) fn binary_len(bytes: &[u8]) -> usize {
    2 + bytes.len().min(usize::from(u16::MAX))
}
