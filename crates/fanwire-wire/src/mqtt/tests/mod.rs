//! Tests of the codec as a whole: bytes in, packets out, and back.

mod differential;
mod malformed;
mod packets;
mod properties;
mod valid;

use super::*;

const VERSIONS: [Version; 3] = [Version::V3_1, Version::V3_1_1, Version::V5];

/// The frame that these bytes are, which must be one and no more.
fn frame(bytes: &[u8]) -> Result<Frame<'_>, DecodeError> {
    let mut input = bytes;
    let frame = Framer::new().next(&mut input, MAX_PACKET)?.expect("the packet is cut short");
    assert!(input.is_empty(), "{} bytes after the packet", input.len());
    Ok(frame)
}

/// A packet with this first byte and body.
fn packet(first: u8, body: &[&[u8]]) -> Vec<u8> {
    let body = body.concat();
    let mut bytes = vec![first];
    writer::Sink::varint(&mut bytes, body.len() as u32);
    bytes.extend(body);
    bytes
}

/// Text or binary data with its length.
fn field(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let mut field = Vec::new();
    writer::Sink::binary(&mut field, bytes.as_ref());
    field
}

/// A property section.
fn section(properties: &[&[u8]]) -> Vec<u8> {
    let properties = properties.concat();
    let mut section = Vec::new();
    writer::Sink::varint(&mut section, properties.len() as u32);
    section.extend(properties);
    section
}

/// A property that is a text or binary data.
fn property(id: u8, value: impl AsRef<[u8]>) -> Vec<u8> {
    [vec![id], field(value)].concat()
}
