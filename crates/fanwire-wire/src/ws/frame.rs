//! Frame headers (RFC 6455 section 5.2): two to fourteen bytes.

use super::receiver::ProtocolError;

/// The longest payload of a control frame, in bytes (RFC 6455 section 5.5).
pub const MAX_CONTROL_PAYLOAD: usize = 125;

/// The longest header that a client can send.
pub(super) const MAX_CLIENT_HEADER: usize = 14;

/// Final frame of a message.
pub(super) const FIN: u8 = 0x80;
/// Per-message compressed (RFC 7692 section 6), on the first frame of a message.
pub(super) const RSV1: u8 = 0x40;
const RSV2_RSV3: u8 = 0x30;
const OPCODE: u8 = 0x0F;
const MASKED: u8 = 0x80;
const LENGTH: u8 = 0x7F;
/// The length follows in two bytes.
pub(super) const LENGTH_16: u8 = 126;
/// The length follows in eight bytes.
pub(super) const LENGTH_64: u8 = 127;

/// What a frame is (RFC 6455 section 11.8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opcode {
    /// The next frame of a message that has begun.
    Continuation = 0x0,
    /// The first frame of a text.
    Text = 0x1,
    /// The first frame of a binary message.
    Binary = 0x2,
    /// The sender sends nothing after it.
    Close = 0x8,
    /// Asks for a pong with the same payload.
    Ping = 0x9,
    /// Answers a ping, or says unasked that the sender is there.
    Pong = 0xA,
}

/// The header of a frame that a client sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) fin: bool,
    pub(super) compressed: bool,
    pub(super) opcode: Opcode,
    pub(super) mask: [u8; 4],
    pub(super) len: u64,
}

/// What of the connection's state decides whether a header is valid.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expect {
    /// `permessage-deflate` was negotiated.
    pub(super) compression: bool,
    /// A message has begun and its last frame has not come.
    pub(super) in_message: bool,
}

// === impl Opcode ===

impl Opcode {
    fn from_bits(bits: u8) -> Option<Self> {
        Some(match bits {
            0x0 => Self::Continuation,
            0x1 => Self::Text,
            0x2 => Self::Binary,
            0x8 => Self::Close,
            0x9 => Self::Ping,
            0xA => Self::Pong,
            _ => return None,
        })
    }

    /// Close, ping and pong: never fragmented, and allowed between fragments.
    pub(super) fn is_control(self) -> bool {
        self as u8 & 0x8 != 0
    }
}

// === impl Header ===

impl Header {
    /// Reads a header at the start of `bytes`, and tells its length. `None` where
    /// there are too few bytes. A fault is found at the first byte that shows it, so
    /// what a header is refused for does not depend on how many bytes there are.
    pub(super) fn parse(
        bytes: &[u8],
        expect: Expect,
    ) -> Result<Option<(Self, usize)>, ProtocolError> {
        let [first, rest @ ..] = bytes else { return Ok(None) };
        let opcode = first_byte(*first, expect)?;
        let [second, rest @ ..] = rest else { return Ok(None) };
        let short = second_byte(*second, opcode)?;

        let (len, rest) = match short {
            LENGTH_16 => {
                let Some((len, rest)) = rest.split_first_chunk::<2>() else { return Ok(None) };
                (u64::from(u16::from_be_bytes(*len)), rest)
            }
            LENGTH_64 => {
                // The bit that must be zero is in the first byte already.
                if rest.first().is_some_and(|high| high & 0x80 != 0) {
                    return Err(ProtocolError::protocol("a frame length over 63 bits"));
                }
                let Some((len, rest)) = rest.split_first_chunk::<8>() else { return Ok(None) };
                (u64::from_be_bytes(*len), rest)
            }
            short => (u64::from(short), rest),
        };
        let shortest = match short {
            LENGTH_16 => u64::from(LENGTH_16),
            LENGTH_64 => u64::from(u16::MAX) + 1,
            _ => 0,
        };
        if len < shortest {
            return Err(ProtocolError::protocol("a frame length in more bytes than it needs"));
        }
        let Some((mask, rest)) = rest.split_first_chunk::<4>() else { return Ok(None) };
        let header =
            Self { fin: first & FIN != 0, compressed: first & RSV1 != 0, opcode, mask: *mask, len };
        Ok(Some((header, bytes.len() - rest.len())))
    }
}

/// Checks the flags and the opcode.
fn first_byte(first: u8, expect: Expect) -> Result<Opcode, ProtocolError> {
    let fault = |reason| Err(ProtocolError::protocol(reason));
    if first & RSV2_RSV3 != 0 {
        return fault("a reserved bit");
    }
    let Some(opcode) = Opcode::from_bits(first & OPCODE) else {
        return fault("a reserved opcode");
    };
    if opcode.is_control() && first & FIN == 0 {
        return fault("a fragmented control frame");
    }
    match opcode {
        Opcode::Continuation if !expect.in_message => {
            return fault("a continuation of no message");
        }
        Opcode::Text | Opcode::Binary if expect.in_message => {
            return fault("a new message within a message");
        }
        _ => {}
    }
    let may_be_compressed = expect.compression && matches!(opcode, Opcode::Text | Opcode::Binary);
    if first & RSV1 != 0 && !may_be_compressed {
        return fault("a compressed frame where none may be");
    }
    Ok(opcode)
}

/// Checks the mask bit, and returns the length or what stands for a longer one.
fn second_byte(second: u8, opcode: Opcode) -> Result<u8, ProtocolError> {
    if second & MASKED == 0 {
        return Err(ProtocolError::protocol("a frame without a mask"));
    }
    let short = second & LENGTH;
    if opcode.is_control() && usize::from(short) > MAX_CONTROL_PAYLOAD {
        return Err(ProtocolError::protocol("a control frame over 125 bytes"));
    }
    Ok(short)
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Expect = Expect { compression: false, in_message: false };

    fn fault(bytes: &[u8], expect: Expect) -> &'static str {
        Header::parse(bytes, expect).unwrap_err().reason
    }

    #[test]
    fn a_header_is_incomplete_until_its_last_byte() {
        for header in [
            &[0x81, 0x85, 1, 2, 3, 4][..],
            &[0x82, 0xFE, 0, 126, 1, 2, 3, 4],
            &[0x82, 0xFF, 0, 0, 0, 0, 0, 1, 0, 0, 1, 2, 3, 4],
        ] {
            for end in 0..header.len() {
                assert_eq!(Header::parse(&header[..end], IDLE).unwrap(), None);
            }
            let (parsed, len) = Header::parse(header, IDLE).unwrap().unwrap();
            assert_eq!((parsed.mask, len), ([1, 2, 3, 4], header.len()));
        }
    }

    #[test]
    fn every_reserved_bit_and_opcode_is_refused_on_the_first_byte() {
        assert_eq!(fault(&[0xA1], IDLE), "a reserved bit");
        assert_eq!(fault(&[0x91], IDLE), "a reserved bit");
        assert_eq!(fault(&[0xC1], IDLE), "a compressed frame where none may be");
        for opcode in (0x3..=0x7).chain(0xB..=0xF) {
            assert_eq!(fault(&[0x80 | opcode], IDLE), "a reserved opcode");
        }
    }

    #[test]
    fn only_the_first_frame_of_a_message_may_be_marked_compressed() {
        let expect = |in_message| Expect { compression: true, in_message };
        assert!(Header::parse(&[0xC1], expect(false)).is_ok());
        assert!(Header::parse(&[0xC2], expect(false)).is_ok());
        for (first, in_message) in [(0xC0, true), (0xC8, false), (0xC9, false), (0xCA, true)] {
            assert_eq!(fault(&[first], expect(in_message)), "a compressed frame where none may be");
        }
    }

    #[test]
    fn a_length_in_more_bytes_than_it_needs_is_refused() {
        let reason = "a frame length in more bytes than it needs";
        assert_eq!(fault(&[0x82, 0xFE, 0, 125], IDLE), reason);
        assert_eq!(fault(&[0x82, 0xFF, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF], IDLE), reason);
    }

    #[test]
    fn a_length_with_its_highest_bit_is_refused_on_that_byte() {
        assert_eq!(fault(&[0x82, 0xFF, 0x80], IDLE), "a frame length over 63 bits");
    }

    #[test]
    fn control_frames_are_whole_and_short() {
        for opcode in [0x8, 0x9, 0xA] {
            assert_eq!(fault(&[opcode], IDLE), "a fragmented control frame");
            for len in [126, 127] {
                assert_eq!(
                    fault(&[0x80 | opcode, 0x80 | len], IDLE),
                    "a control frame over 125 bytes"
                );
            }
        }
    }

    #[test]
    fn a_frame_without_a_mask_is_refused_on_its_second_byte() {
        assert_eq!(fault(&[0x81, 0x05], IDLE), "a frame without a mask");
    }

    #[test]
    fn continuations_belong_to_messages_and_messages_do_not_nest() {
        let in_message = Expect { in_message: true, ..IDLE };
        assert_eq!(fault(&[0x80], IDLE), "a continuation of no message");
        assert_eq!(fault(&[0x01], in_message), "a new message within a message");
        assert_eq!(fault(&[0x82], in_message), "a new message within a message");
    }
}
