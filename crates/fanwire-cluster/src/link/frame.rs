//! What links say on the wire: a kind, who speaks, and the rest. All numbers are big-endian.

use std::ops::Range;

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::{BootId, Incarnation, NodeId};

/// Changes where a node of an older version could not read what is sent.
const VERSION: u8 = 1;

const DATA: u8 = 1;
const RECEIPT: u8 = 2;
const PROBE: u8 = 3;

/// Ranges of finished messages that one receipt tells of; more come with the next.
pub(crate) const MAX_RANGES: usize = 256;

/// What one side of a link tells the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Frame {
    /// Messages, numbered from `first` on.
    Data { first: u64, messages: Vec<Message> },
    /// What has become of messages.
    Receipt(Receipt),
    /// Asks for a receipt. Messages before `base` are settled for the sender.
    Probe { base: u64, nonce: u64 },
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    /// Whom it is for at the other end.
    pub(crate) channel: Bytes,
    pub(crate) payload: Bytes,
}

/// What has become of messages.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Receipt {
    /// All before this one have arrived.
    pub(crate) received: u64,
    /// All before this one are done.
    pub(crate) done: u64,
    /// So are these.
    pub(crate) also_done: Vec<Range<u64>>,
    /// Of the probe that is answered; 0 where none is.
    pub(crate) nonce: u64,
}

/// Bytes around the payload of a message, at the most: a channel's name has at most 255.
pub(crate) const fn overhead(channel: usize) -> usize {
    1 + channel + 4
}

/// Encodes a frame.
pub(crate) fn encode(from: Incarnation, frame: &Frame) -> Bytes {
    let mut out = BytesMut::with_capacity(64);
    out.put_u8(VERSION);
    out.put_u16(from.node.0);
    out.put_u64(from.boot.0);
    match frame {
        Frame::Data { first, messages } => {
            out.put_u8(DATA);
            out.put_u64(*first);
            for Message { channel, payload } in messages {
                out.reserve(overhead(channel.len()) + payload.len());
                // Names of channels are short; `Cluster::on` refuses others.
                out.put_u8(u8::try_from(channel.len()).unwrap_or(u8::MAX));
                out.put_slice(channel);
                // NATS takes no message that is longer than a u32 can say.
                out.put_u32(u32::try_from(payload.len()).unwrap_or(u32::MAX));
                out.put_slice(payload);
            }
        }
        Frame::Receipt(Receipt { received, done, also_done, nonce }) => {
            out.put_u8(RECEIPT);
            out.put_u64(*received);
            out.put_u64(*done);
            out.put_u64(*nonce);
            for range in also_done {
                out.put_u64(range.start);
                out.put_u64(range.end);
            }
        }
        Frame::Probe { base, nonce } => {
            out.put_u8(PROBE);
            out.put_u64(*base);
            out.put_u64(*nonce);
        }
    }
    out.freeze()
}

/// Decodes a frame. `None` where it is none of this version.
pub(crate) fn decode(mut bytes: Bytes) -> Option<(Incarnation, Frame)> {
    if bytes.try_get_u8().ok()? != VERSION {
        return None;
    }
    let node = NodeId(bytes.try_get_u16().ok()?);
    let boot = BootId(bytes.try_get_u64().ok()?);
    let frame = match bytes.try_get_u8().ok()? {
        DATA => {
            let first = bytes.try_get_u64().ok()?;
            let mut messages = Vec::new();
            while !bytes.is_empty() {
                let length = usize::from(bytes.try_get_u8().ok()?);
                let channel = take(&mut bytes, length)?;
                let length = bytes.try_get_u32().ok()? as usize;
                let payload = take(&mut bytes, length)?;
                messages.push(Message { channel, payload });
            }
            Frame::Data { first, messages }
        }
        RECEIPT => {
            let received = bytes.try_get_u64().ok()?;
            let done = bytes.try_get_u64().ok()?;
            let nonce = bytes.try_get_u64().ok()?;
            let mut also_done = Vec::new();
            while !bytes.is_empty() {
                also_done.push(bytes.try_get_u64().ok()?..bytes.try_get_u64().ok()?);
            }
            Frame::Receipt(Receipt { received, done, also_done, nonce })
        }
        PROBE => Frame::Probe { base: bytes.try_get_u64().ok()?, nonce: bytes.try_get_u64().ok()? },
        _ => return None,
    };
    Some((Incarnation { node, boot }, frame))
}

fn take(bytes: &mut Bytes, length: usize) -> Option<Bytes> {
    (length <= bytes.len()).then(|| bytes.split_to(length))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_frame() -> impl Strategy<Value = Frame> {
        let bytes = || proptest::collection::vec(any::<u8>(), 0..40).prop_map(Bytes::from);
        let message =
            (bytes(), bytes()).prop_map(|(channel, payload)| Message { channel, payload });
        let ranges = proptest::collection::vec(any::<(u64, u64)>(), 0..5);
        prop_oneof![
            (any::<u64>(), proptest::collection::vec(message, 0..5))
                .prop_map(|(first, messages)| Frame::Data { first, messages }),
            (any::<[u64; 3]>(), ranges).prop_map(|([received, done, nonce], ranges)| {
                let also_done = ranges.into_iter().map(|(start, end)| start..end).collect();
                Frame::Receipt(Receipt { received, done, also_done, nonce })
            }),
            any::<(u64, u64)>().prop_map(|(base, nonce)| Frame::Probe { base, nonce }),
        ]
    }

    proptest! {
        #[test]
        fn a_frame_survives_its_bytes(node: u16, boot: u64, frame in any_frame()) {
            let from = Incarnation { node: NodeId(node), boot: BootId(boot) };
            prop_assert_eq!(decode(encode(from, &frame)), Some((from, frame)));
        }

        #[test]
        fn arbitrary_bytes_are_a_frame_or_refused(
            bytes in proptest::collection::vec(any::<u8>(), 0..80),
        ) {
            let _ = decode(bytes.into());
        }
    }
}
