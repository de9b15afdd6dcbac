//! The bytes that come on a connection, cut into packets.

use std::mem;

use super::packet::{Packet, Transport};
use crate::Result;

/// What has not fully arrived.
pub(super) struct Incoming {
    layer: Layer,
    partial: Vec<u8>,
}

/// What packets are wrapped in.
enum Layer {
    /// Nothing.
    Bare,
    /// An HTTP response comes first.
    Upgrade { response: Vec<u8> },
    /// Frames, which may be cut anywhere.
    Frames { header: Vec<u8>, is_data: bool, left: usize },
}

// === impl Incoming ===

impl Incoming {
    pub(super) fn new(transport: Transport) -> Self {
        let layer = match transport {
            Transport::Tcp => Layer::Bare,
            Transport::Websocket => Layer::Upgrade { response: Vec::new() },
        };
        Self { layer, partial: Vec::new() }
    }

    /// Whether packets can be sent yet.
    pub(super) fn is_open(&self) -> bool {
        !matches!(self.layer, Layer::Upgrade { .. })
    }

    /// Takes bytes and hands on the packets that they complete.
    pub(super) fn feed(
        &mut self,
        mut bytes: &[u8],
        heard: &mut impl FnMut(Packet<'_>),
    ) -> Result<()> {
        while !bytes.is_empty() {
            match &mut self.layer {
                Layer::Bare => {
                    packets(&mut self.partial, bytes, heard);
                    return Ok(());
                }
                Layer::Upgrade { response } => {
                    if let Some(taken) = upgraded(response, bytes)? {
                        bytes = &bytes[taken..];
                        self.layer = Layer::Frames { header: Vec::new(), is_data: true, left: 0 };
                    } else {
                        return Ok(());
                    }
                }
                Layer::Frames { is_data, left, .. } if *left > 0 => {
                    let (chunk, rest) = bytes.split_at(bytes.len().min(*left));
                    *left -= chunk.len();
                    bytes = rest;
                    if *is_data {
                        packets(&mut self.partial, chunk, heard);
                    }
                }
                Layer::Frames { header, is_data, left } => {
                    header.push(bytes[0]);
                    bytes = &bytes[1..];
                    let Some(len) = payload_len(header) else { continue };
                    let opcode = header[0] & 0x0F;
                    header.clear();
                    (*is_data, *left) = (opcode <= 2, len);
                    if opcode == 8 {
                        heard(Packet::Close);
                    }
                }
            }
        }
        Ok(())
    }
}

/// Collects the response to a WebSocket's handshake; when it is complete, tells how many of
/// the bytes were its.
fn upgraded(response: &mut Vec<u8>, bytes: &[u8]) -> Result<Option<usize>> {
    let before = response.len();
    response.extend(bytes);
    let Some(end) = response.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    if !response.starts_with(b"HTTP/1.1 101") {
        let response = String::from_utf8_lossy(&response[..end]);
        return Err(format!("a handshake was refused: {response}").into());
    }
    Ok(Some(end + 4 - before))
}

/// The payload's length, of a header that is complete.
fn payload_len(header: &[u8]) -> Option<usize> {
    match header {
        [_, 127, rest @ ..] => Some(u64::from_be_bytes(*rest.first_chunk()?) as usize),
        [_, 126, rest @ ..] => Some(usize::from(u16::from_be_bytes(*rest.first_chunk()?))),
        [_, len] => Some(usize::from(*len)),
        _ => None,
    }
}

fn packets(partial: &mut Vec<u8>, bytes: &[u8], heard: &mut impl FnMut(Packet<'_>)) {
    if partial.is_empty() {
        let taken = whole(bytes, heard);
        partial.extend(&bytes[taken..]);
        return;
    }
    let mut joined = mem::take(partial);
    joined.extend(bytes);
    let taken = whole(&joined, heard);
    // A buffer that is not needed any more is given back: there are very many.
    *partial = joined[taken..].to_vec();
}

/// Hands on the whole packets, and tells how many bytes those were.
fn whole(bytes: &[u8], heard: &mut impl FnMut(Packet<'_>)) -> usize {
    let mut taken = 0;
    while let Some((packet, len)) = Packet::split(&bytes[taken..]) {
        taken += len;
        heard(packet);
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::super::packet::publish;
    use super::*;

    #[test]
    fn packets_are_the_same_however_they_are_cut_and_framed() {
        let packets = [publish("a", None, &[1; 200]), publish("a", Some(3), &[2; 5])].concat();
        let (one, two) = packets.split_at(150);
        let framed = [
            &b"HTTP/1.1 101 Switching Protocols\r\n\r\n"[..],
            &[0x02, 126, 0, 150][..],
            one,
            &[0x89, 1, 0][..],
            &[0x80, two.len() as u8][..],
            two,
        ]
        .concat();
        for (transport, bytes) in [(Transport::Tcp, packets), (Transport::Websocket, framed)] {
            for size in 1..bytes.len() {
                let mut incoming = Incoming::new(transport);
                let mut lens = Vec::new();
                for piece in bytes.chunks(size) {
                    incoming
                        .feed(piece, &mut |packet| match packet {
                            Packet::Publish { payload, .. } => lens.push(payload.len()),
                            other => panic!("{other:?}"),
                        })
                        .unwrap();
                }
                assert_eq!(lens, [200, 5]);
            }
        }
    }
}
