//! The variable byte integer: lengths and a few numbers, in one to four bytes of seven
//! bits each (MQTT 5, 1.5.5).

use super::DecodeError;

/// The largest number that fits: 256 MiB less one byte.
pub(super) const MAX: u32 = 268_435_455;

/// The most bytes that one takes.
pub(super) const MAX_BYTES: usize = 4;

/// Reads one from the front and says how many bytes it takes; `None` where it goes on
/// after the end. One in more bytes than it needs is refused (MQTT-1.5.5-1).
pub(super) fn parse(bytes: &[u8]) -> Result<Option<(u32, usize)>, DecodeError> {
    let mut value = 0;
    for (at, &byte) in bytes.iter().take(MAX_BYTES).enumerate() {
        value |= u32::from(byte & 0x7F) << (7 * at);
        if byte & 0x80 == 0 {
            if byte == 0 && at > 0 {
                return Err(DecodeError::malformed("a length in more bytes than it needs"));
            }
            return Ok(Some((value, at + 1)));
        }
    }
    if bytes.len() >= MAX_BYTES {
        return Err(DecodeError::malformed("a length of more than four bytes"));
    }
    Ok(None)
}

/// How many bytes it takes.
pub(super) const fn len(value: u32) -> usize {
    match value {
        0..=0x7F => 1,
        0x80..=0x3FFF => 2,
        0x4000..=0x1F_FFFF => 3,
        _ => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_read_at_their_last_byte() {
        for (bytes, value) in [
            (&[0][..], 0),
            (&[0x7F], 127),
            (&[0x80, 0x01], 128),
            (&[0xFF, 0x7F], 16_383),
            (&[0x80, 0x80, 0x01], 16_384),
            (&[0xFF, 0xFF, 0x7F], 2_097_151),
            (&[0x80, 0x80, 0x80, 0x01], 2_097_152),
            (&[0xFF, 0xFF, 0xFF, 0x7F], MAX),
        ] {
            for end in 0..bytes.len() {
                assert_eq!(parse(&bytes[..end]), Ok(None));
            }
            assert_eq!(parse(bytes), Ok(Some((value, bytes.len()))));
            assert_eq!(len(value), bytes.len());
        }
    }

    #[test]
    fn overlong_and_endless_lengths_are_refused() {
        for bytes in [&[0x80, 0][..], &[0xFF, 0x80, 0], &[0x81, 0x80, 0x80, 0]] {
            assert_eq!(parse(bytes).unwrap_err().what, "a length in more bytes than it needs");
        }
        assert_eq!(parse(&[0xFF; 4]).unwrap_err().what, "a length of more than four bytes");
    }
}
