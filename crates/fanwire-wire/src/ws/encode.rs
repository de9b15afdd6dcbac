//! Outbound frames: unmasked, as a server sends them, and never fragmented.

use bytes::{BufMut, Bytes, BytesMut};

use super::close::{CloseCode, MAX_CLOSE_REASON};
use super::frame::{FIN, LENGTH_16, LENGTH_64, MAX_CONTROL_PAYLOAD, Opcode};

/// The longest header that a server sends, in bytes.
pub const MAX_SERVER_HEADER: usize = 10;

/// Encodes one frame with `FIN` set. Control frames have functions of their own,
/// which keep to their limits.
pub fn encode(opcode: Opcode, payload: &[u8]) -> Bytes {
    encode_flagged(FIN | opcode as u8, payload)
}

/// Encodes a close frame. A reason needs a code and is cut, at a character, to
/// [`MAX_CLOSE_REASON`] bytes.
pub fn encode_close(code: Option<CloseCode>, reason: &str) -> Bytes {
    let Some(code) = code else { return encode(Opcode::Close, &[]) };
    let reason = &reason[..reason.floor_char_boundary(MAX_CLOSE_REASON)];
    let mut payload = Vec::with_capacity(MAX_CONTROL_PAYLOAD);
    payload.extend(code.get().to_be_bytes());
    payload.extend(reason.as_bytes());
    encode(Opcode::Close, &payload)
}

/// Encodes a ping. Bytes after the 125th are left out.
pub fn encode_ping(payload: &[u8]) -> Bytes {
    encode_control(Opcode::Ping, payload)
}

/// Encodes the answer to a ping, whose payload it repeats. Bytes after the 125th
/// are left out.
pub fn encode_pong(payload: &[u8]) -> Bytes {
    encode_control(Opcode::Pong, payload)
}

fn encode_control(opcode: Opcode, payload: &[u8]) -> Bytes {
    encode(opcode, &payload[..payload.len().min(MAX_CONTROL_PAYLOAD)])
}

/// Encodes one frame whose first byte, flags and opcode, is given.
pub(super) fn encode_flagged(first: u8, payload: &[u8]) -> Bytes {
    let (header, len) = header(first, payload.len());
    let mut frame = BytesMut::with_capacity(len + payload.len());
    frame.put_slice(&header[..len]);
    frame.put_slice(payload);
    frame.freeze()
}

/// The header of a binary message of one frame, for whoever has the payload in place
/// already, and how much of the array it takes.
pub fn binary_header(payload_len: usize) -> ([u8; MAX_SERVER_HEADER], usize) {
    header(FIN | Opcode::Binary as u8, payload_len)
}

fn header(first: u8, payload_len: usize) -> ([u8; MAX_SERVER_HEADER], usize) {
    let mut header = [0; MAX_SERVER_HEADER];
    header[0] = first;
    let len = match (u8::try_from(payload_len), u16::try_from(payload_len)) {
        (Ok(len), _) if len < LENGTH_16 => {
            header[1] = len;
            2
        }
        (_, Ok(len)) => {
            header[1] = LENGTH_16;
            header[2..4].copy_from_slice(&len.to_be_bytes());
            4
        }
        _ => {
            header[1] = LENGTH_64;
            header[2..].copy_from_slice(&(payload_len as u64).to_be_bytes());
            MAX_SERVER_HEADER
        }
    };
    (header, len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_take_the_fewest_bytes() {
        for (len, header) in [
            (0, &[0x82, 0][..]),
            (125, &[0x82, 125]),
            (126, &[0x82, 126, 0, 126]),
            (65_535, &[0x82, 126, 0xFF, 0xFF]),
            (65_536, &[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        ] {
            let frame = encode(Opcode::Binary, &vec![7; len]);
            assert_eq!(&frame[..header.len()], header);
            assert_eq!(frame.len(), header.len() + len);
        }
    }

    #[test]
    fn control_payloads_are_cut_to_125_bytes() {
        assert_eq!(encode_ping(&[1; 200])[..2], [0x89, 125]);
        assert_eq!(encode_pong(&[1; 200]).len(), 127);
    }

    #[test]
    fn a_long_close_reason_is_cut_at_a_character() {
        let frame = encode_close(Some(CloseCode::NORMAL), &"ä".repeat(100));
        assert_eq!(frame[..4], [0x88, 124, 0x03, 0xE8]);
        assert_eq!(std::str::from_utf8(&frame[4..]), Ok("ä".repeat(61).as_str()));
        assert_eq!(encode_close(None, "ignored")[..], [0x88, 0]);
    }
}
