//! Writing packets: their length comes first, so each is written twice, once to count.

use super::varint;

/// The longest text and binary data, in bytes (MQTT 5, 1.5.4 and 1.5.6).
const MAX_FIELD: usize = 65_535;

/// Where bytes go.
pub(super) trait Sink {
    fn put(&mut self, bytes: &[u8]);

    fn u8(&mut self, value: u8) {
        self.put(&[value]);
    }

    fn u16(&mut self, value: u16) {
        self.put(&value.to_be_bytes());
    }

    fn u32(&mut self, value: u32) {
        self.put(&value.to_be_bytes());
    }

    fn varint(&mut self, value: u32) {
        let mut bytes = [0; varint::MAX_BYTES];
        let len = varint::len(value);
        for (at, byte) in bytes[..len].iter_mut().enumerate() {
            let more = if at + 1 < len { 0x80 } else { 0 };
            *byte = (value >> (7 * at)) as u8 & 0x7F | more;
        }
        self.put(&bytes[..len]);
    }

    /// Binary data, cut to what its length can express.
    fn binary(&mut self, bytes: &[u8]) {
        let bytes = &bytes[..bytes.len().min(MAX_FIELD)];
        self.u16(bytes.len() as u16);
        self.put(bytes);
    }

    /// Text, cut at a character to what its length can express.
    fn text(&mut self, text: &str) {
        self.binary(&text.as_bytes()[..text.floor_char_boundary(MAX_FIELD)]);
    }

    /// Something with its length in front.
    fn section(&mut self, content: &impl Write)
    where
        Self: Sized,
    {
        self.section_of(content.len(), content);
    }

    /// The same, where the length is known.
    fn section_of(&mut self, len: usize, content: &impl Write)
    where
        Self: Sized,
    {
        self.varint(u32::try_from(len).unwrap_or(u32::MAX));
        if len > 0 {
            content.write(self);
        }
    }
}

/// Something that can be written.
pub(super) trait Write {
    fn write<S: Sink>(&self, to: &mut S);

    /// How many bytes it writes.
    fn len(&self) -> usize {
        let mut count = Count(0);
        self.write(&mut count);
        count.0
    }
}

/// Counts bytes.
struct Count(usize);

/// How long a packet with a body of this length is.
pub(super) fn packet_len(body: usize) -> usize {
    let remaining = u32::try_from(body).unwrap_or(u32::MAX);
    1 + varint::len(remaining) + body
}

/// Appends a packet with this first byte. One over 256 MiB, which MQTT cannot express,
/// is not written: it would put the whole stream out of step.
pub(super) fn packet(first: u8, body: &impl Write, out: &mut Vec<u8>) {
    let len = body.len();
    let Some(remaining) = u32::try_from(len).ok().filter(|len| *len <= varint::MAX) else {
        return;
    };
    out.reserve(packet_len(len));
    out.push(first);
    out.varint(remaining);
    body.write(out);
}

// === impl Sink ===

impl Sink for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

impl Sink for Count {
    fn put(&mut self, bytes: &[u8]) {
        self.0 += bytes.len();
    }
}
