//! Cutting a stream of bytes into packets.

use std::borrow::Cow;

use super::bytes::Cursor;
use super::{Connect, DecodeError, Packet, ReasonCode, Version};

/// Cuts a byte stream into packets, whatever pieces it comes in.
///
/// One word, and no heap memory, while no packet is partly there.
#[derive(Debug, Default)]
pub struct Framer {
    /// The bytes so far of a packet that has not fully arrived, its header included.
    partial: Option<Box<Partial>>,
}

// A list of its own type, so that the framer is one word.
#[derive(Debug)]
struct Partial(Vec<u8>);

/// One packet's bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame<'b> {
    /// The packet's type and flags.
    pub first: u8,
    /// What follows the header. Borrowed where the packet was there as a whole.
    pub body: Cow<'b, [u8]>,
}

/// A header: its first byte, its own length, the body's.
struct Header {
    first: u8,
    len: usize,
    body: usize,
}

// === impl Framer ===

impl Framer {
    /// The framer of a new connection.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes bytes from the front of `input` until a packet is whole. `None`: all of it was
    /// taken, and more is needed.
    ///
    /// # Errors
    ///
    /// Where a length is malformed, or says that the packet is longer than `max_packet`
    /// bytes, its header included. The connection is over then.
    pub fn next<'b>(
        &mut self,
        input: &mut &'b [u8],
        max_packet: usize,
    ) -> Result<Option<Frame<'b>>, DecodeError> {
        if self.partial.is_some() {
            return self.go_on(input, max_packet);
        }
        if let Some(header) = header(input, max_packet)? {
            let total = header.len + header.body;
            if let Some((packet, rest)) = input.split_at_checked(total) {
                *input = rest;
                let body = Cow::Borrowed(&packet[header.len..]);
                return Ok(Some(Frame { first: header.first, body }));
            }
        }
        if !input.is_empty() {
            self.partial = Some(Box::new(Partial(input.to_vec())));
            *input = &[];
        }
        Ok(None)
    }

    fn go_on<'b>(
        &mut self,
        input: &mut &'b [u8],
        max_packet: usize,
    ) -> Result<Option<Frame<'b>>, DecodeError> {
        let Some(mut partial) = self.partial.take() else { return Ok(None) };
        loop {
            let missing = match header(&partial.0, max_packet)? {
                Some(header) => {
                    let total = header.len + header.body;
                    if partial.0.len() >= total {
                        partial.0.drain(..header.len);
                        let body = Cow::Owned(partial.0);
                        return Ok(Some(Frame { first: header.first, body }));
                    }
                    total - partial.0.len()
                }
                // The header itself: byte by byte, for what follows it is not its business.
                None => 1,
            };
            if input.is_empty() {
                self.partial = Some(partial);
                return Ok(None);
            }
            let (taken, rest) = input.split_at(missing.min(input.len()));
            partial.0.extend_from_slice(taken);
            *input = rest;
        }
    }
}

/// The header at the front of `bytes`, if it is there as a whole.
fn header(bytes: &[u8], max_packet: usize) -> Result<Option<Header>, DecodeError> {
    let Some((&first, rest)) = bytes.split_first() else { return Ok(None) };
    if rest.iter().take(4).all(|byte| byte & 0x80 != 0) && rest.len() < 4 {
        return Ok(None);
    }
    let mut cursor = Cursor(rest);
    // At most 268,435,455.
    let body = cursor.varint()? as usize;
    let len = bytes.len() - cursor.0.len();
    if len + body > max_packet {
        let what = "a packet over the maximum packet size";
        return Err(DecodeError { reason: ReasonCode::PacketTooLarge, what });
    }
    Ok(Some(Header { first, len, body }))
}

// === impl Frame ===

impl Frame<'_> {
    /// A frame that borrows nothing.
    pub fn into_owned(self) -> Frame<'static> {
        Frame { first: self.first, body: Cow::Owned(self.body.into_owned()) }
    }

    /// Decodes the first packet of a connection, which says its version.
    ///
    /// # Errors
    ///
    /// Where it is not a CONNECT, or not a valid one.
    pub fn connect(&self) -> Result<Connect<'_>, DecodeError> {
        if self.first != 0x10 {
            return Err(DecodeError::protocol("a first packet that is no CONNECT"));
        }
        Connect::decode(&self.body)
    }

    /// Decodes a packet that a client sends after its CONNECT.
    ///
    /// # Errors
    ///
    /// Where it is malformed, or none that a client may send.
    pub fn decode(&self, version: Version) -> Result<Packet<'_>, DecodeError> {
        Packet::decode(self.first, &self.body, version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_the_same_however_it_is_cut() {
        let mut stream = vec![0x30, 0x85, 0x01];
        stream.extend(std::iter::repeat_n(7, 133));
        stream.extend([0xC0, 0]);
        for size in 1..stream.len() {
            let mut framer = Framer::new();
            let mut frames = Vec::new();
            for mut piece in stream.chunks(size) {
                while let Some(frame) = framer.next(&mut piece, 1000).unwrap() {
                    frames.push(frame.into_owned());
                }
                assert!(piece.is_empty());
            }
            assert_eq!(frames.len(), 2);
            assert_eq!((frames[0].first, frames[0].body.len()), (0x30, 133));
            assert_eq!((frames[1].first, frames[1].body.len()), (0xC0, 0));
            assert!(framer.partial.is_none());
        }
    }

    #[test]
    fn lengths_that_are_too_long_are_refused_on_their_header() {
        let reason = |bytes: &[u8]| {
            let mut input = bytes;
            Framer::new().next(&mut input, 1000).map(|_| ()).unwrap_err().reason
        };
        assert_eq!(reason(&[0x30, 0xFF, 0xFF, 0xFF, 0xFF, 1]), ReasonCode::MalformedPacket);
        assert_eq!(reason(&[0x30, 0xFF, 0xFF, 0xFF, 0xFF]), ReasonCode::MalformedPacket);
        assert_eq!(reason(&[0x30, 0x80, 0x00]), ReasonCode::MalformedPacket);
        assert_eq!(reason(&[0x30, 0xE8, 0x07]), ReasonCode::PacketTooLarge);
    }
}
