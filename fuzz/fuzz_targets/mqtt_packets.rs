//! Arbitrary bytes from either side of an MQTT connection, in arbitrary pieces: the codec
//! must not panic, must keep to its limit, must cut the same packets however the bytes
//! were split, and what it accepts must mean the same after encoding it again.

#![no_main]

use fanwire_wire::mqtt::{DecodeError, Frame, Framer, Packet, Version};
use libfuzzer_sys::fuzz_target;

const MAX_PACKET: usize = 500;

#[derive(Default)]
struct Connection {
    framer: Framer,
    frames: Vec<Frame<'static>>,
    error: Option<DecodeError>,
}

impl Connection {
    fn arrive(&mut self, bytes: &[u8]) {
        let mut input = bytes;
        while self.error.is_none() {
            match self.framer.next(&mut input, MAX_PACKET) {
                Ok(Some(frame)) => {
                    assert!(frame.wire_len() <= MAX_PACKET);
                    self.frames.push(frame.into_owned());
                }
                Ok(None) => {
                    assert!(input.is_empty());
                    break;
                }
                Err(error) => self.error = Some(error),
            }
        }
    }
}

/// The only packet in these bytes.
fn frame(bytes: &[u8]) -> Frame<'_> {
    let mut input = bytes;
    let frame = Framer::new().next(&mut input, bytes.len()).expect("it was just encoded");
    assert!(input.is_empty());
    frame.expect("it is whole")
}

fn check(read: &Frame<'_>, version: Version) {
    let mut bytes = Vec::new();
    if let Ok(packet) = read.decode(version) {
        let version = match packet {
            Packet::Connect(connect) => connect.version,
            _ => version,
        };
        packet.encode(version, &mut bytes);
        assert_eq!(frame(&bytes).decode(version), Ok(packet));
        assert!(bytes.len() <= read.wire_len());
    }
    bytes.clear();
    if let Ok(packet) = read.decode_from_server(version) {
        packet.encode(version, &mut bytes);
        assert_eq!(frame(&bytes).decode_from_server(version), Ok(packet));
    }
    assert!(read.connect().is_err() || read.connect_version().is_some());
}

fuzz_target!(|input: (u8, Vec<u8>, Vec<u8>)| {
    let (version, sizes, bytes) = input;
    let version = [Version::V3_1, Version::V3_1_1, Version::V5][usize::from(version % 3)];

    let mut at_once = Connection::default();
    at_once.arrive(&bytes);

    let mut in_pieces = Connection::default();
    let mut rest = &bytes[..];
    for size in sizes {
        let (piece, after) = rest.split_at(rest.len().min(usize::from(size)));
        in_pieces.arrive(piece);
        rest = after;
    }
    in_pieces.arrive(rest);

    assert_eq!(in_pieces.frames, at_once.frames);
    assert_eq!(in_pieces.error, at_once.error);
    at_once.frames.iter().for_each(|frame| check(frame, version));
});
