//! One message for many receivers.

use std::sync::OnceLock;

use bytes::Bytes;

use super::deflate::{Deflater, MAX_WINDOW_BITS};
use super::encode;
use super::encode::encode_flagged;
use super::frame::{FIN, Opcode, RSV1};

/// Payloads shorter than this are not worth deflating, in bytes.
const MIN_DEFLATED: usize = 64;

/// How a connection's frames are encoded, as its handshake settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WireForm {
    /// As they are.
    #[default]
    Plain,
    /// Deflated where that helps, for a client that keeps the last `2^window_bits`
    /// bytes (8–15) while it inflates.
    Deflated {
        /// `server_max_window_bits`.
        window_bits: u8,
    },
}

/// A message encoded once for each wire form, however many connections it goes to.
/// The compressed form is made when the first connection asks for it. It uses
/// nothing of earlier messages (no context takeover), so one frame fits all.
#[derive(Debug)]
pub struct SharedFrame {
    opcode: Opcode,
    plain: Bytes,
    payload_at: usize,
    /// `None` in it where deflating does not make the message shorter.
    deflated: OnceLock<Option<Bytes>>,
}

impl SharedFrame {
    /// A text message.
    pub fn text(payload: &str) -> Self {
        Self::new(Opcode::Text, payload.as_bytes())
    }

    /// A binary message.
    pub fn binary(payload: &[u8]) -> Self {
        Self::new(Opcode::Binary, payload)
    }

    fn new(opcode: Opcode, payload: &[u8]) -> Self {
        let plain = encode(opcode, payload);
        let payload_at = plain.len() - payload.len();
        Self { opcode, plain, payload_at, deflated: OnceLock::new() }
    }

    /// The message's payload.
    pub fn payload(&self) -> &[u8] {
        &self.plain[self.payload_at..]
    }

    /// The frame for connections of this form. Sharing it costs no copy.
    ///
    /// No reference back reaches further than the message is long, so the one
    /// compressed frame serves every window that the whole message fits. A client with
    /// a smaller window gets the plain frame.
    pub fn bytes(&self, form: WireForm, deflater: &mut Deflater) -> Bytes {
        match form {
            WireForm::Deflated { window_bits } if self.fits_window(window_bits) => {
                self.deflated(deflater).unwrap_or_else(|| self.plain.clone())
            }
            _ => self.plain.clone(),
        }
    }

    fn fits_window(&self, window_bits: u8) -> bool {
        window_bits >= MAX_WINDOW_BITS || self.payload().len() <= 1 << window_bits
    }

    fn deflated(&self, deflater: &mut Deflater) -> Option<Bytes> {
        if self.payload().len() < MIN_DEFLATED {
            return None;
        }
        let deflate = || {
            let shorter = deflater.deflate(self.payload())?;
            Some(encode_flagged(FIN | RSV1 | self.opcode as u8, &shorter))
        };
        self.deflated.get_or_init(deflate).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ws::Inflater;

    const WIDEST: WireForm = WireForm::Deflated { window_bits: 15 };

    #[test]
    fn every_receiver_of_a_form_shares_the_same_bytes() {
        let mut deflater = Deflater::default();
        let frame = SharedFrame::text(&"deflate me ".repeat(50));
        for form in [WireForm::Plain, WIDEST] {
            let one = frame.bytes(form, &mut deflater);
            assert_eq!(one.as_ptr(), frame.bytes(form, &mut Deflater::default()).as_ptr());
        }
    }

    #[test]
    fn a_deflated_frame_is_marked_and_inflates_to_its_payload() {
        let text = "deflate me ".repeat(50);
        let frame = SharedFrame::text(&text).bytes(WIDEST, &mut Deflater::default());
        assert_eq!(frame[0], FIN | RSV1 | Opcode::Text as u8);
        assert!(frame.len() < text.len());
        let inflated = Inflater::default().inflate(&frame[2..], text.len()).unwrap();
        assert_eq!(inflated, text.as_bytes());
    }

    #[test]
    fn short_and_incompressible_messages_stay_plain() {
        let noise: Vec<u8> =
            (0u32..64).flat_map(|i| i.wrapping_mul(2_654_435_769).to_le_bytes()).collect();
        for frame in [SharedFrame::text("short"), SharedFrame::binary(&noise)] {
            assert_eq!(frame.bytes(WIDEST, &mut Deflater::default())[0] & RSV1, 0);
        }
    }

    #[test]
    fn a_message_longer_than_the_clients_window_stays_plain() {
        let frame = SharedFrame::text(&"a".repeat(513));
        let first = |window_bits| {
            frame.bytes(WireForm::Deflated { window_bits }, &mut Deflater::default())[0]
        };
        assert_eq!(first(9) & RSV1, 0);
        assert_eq!(first(10) & RSV1, RSV1);
    }
}
