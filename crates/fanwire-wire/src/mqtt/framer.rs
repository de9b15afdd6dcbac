//! Cutting a stream of bytes into packets.

use std::borrow::Cow;

use super::varint;
use super::{DecodeError, ReasonCode};

/// The longest fixed header: the type and a length of four bytes.
const MAX_HEADER: usize = 1 + varint::MAX_BYTES;

/// Cuts bytes into packets, in whatever pieces they arrive.
///
/// It is one word and owns no heap memory between packets. After an error the
/// connection is over: there is no way to tell where the next packet would begin.
#[derive(Debug, Default)]
pub struct Framer {
    /// Present only while a packet has not fully arrived.
    incomplete: Option<Box<Incomplete>>,
}

/// One packet: its first byte and what follows its length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame<'b> {
    /// Type and flags (MQTT 5, 2.1.1).
    pub first: u8,
    /// The variable header and the payload. Borrowed from the input where the packet
    /// was there as a whole.
    pub body: Cow<'b, [u8]>,
}

/// The start of a packet.
#[derive(Debug, Default)]
struct Incomplete {
    header: [u8; MAX_HEADER],
    header_len: usize,
    /// What came of the body. It grows with what arrived, never with the length that
    /// the header promises.
    body: Vec<u8>,
}

/// A fixed header that is there as a whole.
#[derive(Debug, Clone, Copy)]
struct Header {
    first: u8,
    /// Length of the body.
    remaining: usize,
    /// Length of the header itself.
    len: usize,
}

// === impl Framer ===

impl Framer {
    /// The framer of a new connection.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether a packet has begun and not fully arrived.
    pub fn is_partial(&self) -> bool {
        self.incomplete.is_some()
    }

    /// Takes bytes from the front of `input` until a packet is whole. `None`: all of
    /// `input` was taken and more is needed.
    ///
    /// A packet of more than `max_packet` bytes, header included, is refused with 0x95
    /// on its header.
    pub fn next<'b>(
        &mut self,
        input: &mut &'b [u8],
        max_packet: usize,
    ) -> Result<Option<Frame<'b>>, DecodeError> {
        if self.incomplete.is_none() {
            if let Some(header) = Header::parse(input, max_packet)?
                && let Some((body, rest)) = input[header.len..].split_at_checked(header.remaining)
            {
                *input = rest;
                return Ok(Some(Frame { first: header.first, body: Cow::Borrowed(body) }));
            }
            if input.is_empty() {
                return Ok(None);
            }
        }
        let incomplete = self.incomplete.get_or_insert_default();
        let Some(first) = incomplete.take(input, max_packet)? else { return Ok(None) };
        let body = self.incomplete.take().map(|whole| whole.body).unwrap_or_default();
        Ok(Some(Frame { first, body: Cow::Owned(body) }))
    }
}

// === impl Incomplete ===

impl Incomplete {
    /// Takes what belongs to this packet. Gives its first byte once it is whole.
    fn take(&mut self, input: &mut &[u8], max: usize) -> Result<Option<u8>, DecodeError> {
        loop {
            if let Some(header) = Header::parse(&self.header[..self.header_len], max)? {
                let missing = header.remaining - self.body.len();
                let (piece, rest) = input.split_at(missing.min(input.len()));
                *input = rest;
                self.body.extend_from_slice(piece);
                return Ok((piece.len() == missing).then_some(header.first));
            }
            // A header in pieces is rare, so a byte at a time will do. There is room:
            // five bytes are a header or an error.
            let Some((byte, rest)) = input.split_first() else { return Ok(None) };
            *input = rest;
            self.header[self.header_len] = *byte;
            self.header_len += 1;
        }
    }
}

// === impl Header ===

impl Header {
    /// Reads a header that is there as a whole.
    fn parse(bytes: &[u8], max_packet: usize) -> Result<Option<Self>, DecodeError> {
        let Some((&first, rest)) = bytes.split_first() else { return Ok(None) };
        let Some((remaining, length_bytes)) = varint::parse(rest)? else { return Ok(None) };
        let header = Self { first, remaining: remaining as usize, len: 1 + length_bytes };
        if header.len + header.remaining > max_packet {
            let reason = ReasonCode::PacketTooLarge;
            return Err(DecodeError::new(reason, "a packet over the limit"));
        }
        Ok(Some(header))
    }
}

// === impl Frame ===

impl Frame<'_> {
    /// How many bytes it took on the wire.
    pub fn wire_len(&self) -> usize {
        super::writer::packet_len(self.body.len())
    }

    /// The same frame, with a copy of what it borrowed.
    pub fn into_owned(self) -> Frame<'static> {
        Frame { first: self.first, body: Cow::Owned(self.body.into_owned()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: usize = 1 << 20;

    /// What comes of these bytes in pieces of this size.
    fn cut(bytes: &[u8], piece: usize) -> Result<Vec<Frame<'static>>, DecodeError> {
        let mut framer = Framer::new();
        let mut frames = Vec::new();
        for mut piece in bytes.chunks(piece) {
            while let Some(frame) = framer.next(&mut piece, MAX)? {
                frames.push(frame.into_owned());
            }
            assert!(piece.is_empty());
        }
        assert!(!framer.is_partial());
        Ok(frames)
    }

    fn packet(first: u8, len: usize) -> (Vec<u8>, Frame<'static>) {
        let body: Vec<u8> = (0..len).map(|at| at as u8).collect();
        let mut bytes = vec![first];
        super::super::writer::Sink::varint(&mut bytes, len as u32);
        bytes.extend(&body);
        (bytes, Frame { first, body: Cow::Owned(body) })
    }

    #[test]
    fn packets_are_cut_alike_however_they_arrive() {
        let packets = [0, 1, 127, 128, 300, 16_383, 16_384].map(|len| packet(0x30, len));
        let bytes: Vec<u8> = packets.iter().flat_map(|(bytes, _)| bytes.clone()).collect();
        let frames: Vec<_> = packets.into_iter().map(|(_, frame)| frame).collect();
        for piece in [1, 2, 3, 5, 100, 129, 20_000, bytes.len()] {
            assert_eq!(cut(&bytes, piece).unwrap(), frames, "in pieces of {piece}");
        }
        assert_eq!(frames.iter().map(Frame::wire_len).sum::<usize>(), bytes.len());
    }

    #[test]
    fn a_framer_is_one_word_and_whole_packets_are_borrowed() {
        assert_eq!(size_of::<Framer>(), size_of::<usize>());
        let bytes = [packet(0xC0, 0).0, packet(0x30, 20).0].concat();
        let (mut input, mut framer) = (&bytes[..], Framer::new());
        for _ in 0..2 {
            let frame = framer.next(&mut input, MAX).unwrap().unwrap();
            assert!(matches!(frame.body, Cow::Borrowed(_)) && !framer.is_partial());
        }
        assert!(framer.next(&mut input, MAX).unwrap().is_none() && !framer.is_partial());
    }

    #[test]
    fn a_promised_length_takes_no_memory() {
        let mut framer = Framer::new();
        assert_eq!(framer.next(&mut &[0x30, 0xFF, 0xFF, 0xFF, 0x7F, 1][..], usize::MAX), Ok(None));
        assert!(framer.incomplete.unwrap().body.capacity() < 64);
    }

    #[test]
    fn a_packet_over_the_limit_is_refused_on_its_header() {
        let (bytes, _) = packet(0x30, 198);
        assert!(Framer::new().next(&mut &bytes[..], 201).unwrap().is_some());
        for end in [3, bytes.len()] {
            let error = Framer::new().next(&mut &bytes[..end], 200).unwrap_err();
            assert_eq!(error.reason, ReasonCode::PacketTooLarge);
        }
    }

    #[test]
    fn lengths_that_no_packet_has_are_refused_at_the_byte_that_shows_it() {
        for bytes in [&[0x30, 0x80, 0x00][..], &[0x30, 0xFF, 0xFF, 0xFF, 0xFF]] {
            assert_eq!(cut(bytes, 1).unwrap_err().reason, ReasonCode::MalformedPacket);
            assert_eq!(cut(bytes, 9).unwrap_err().reason, ReasonCode::MalformedPacket);
        }
    }
}
