//! The private channel between the host and one of our own bootstraps: frames over one
//! end of a Unix socket pair, which the child has as file descriptor 3.
//!
//! A frame is a big-endian `u32` (how many bytes follow), a type byte, and the payload.
//!
//! | type | direction | frame | payload |
//! |---|---|---|---|
//! | 1 | to child | configure | JSON: `arn`; `redirect`: `port`, `hosts`; `sources`; for Node.js `tsx`, `esbuild`, `compiler`, `inspect` |
//! | 2 | to child | event | request id (36 bytes), deadline in epoch ms (`f64`), trace id (`u16` length, bytes), client context (`u32` length, bytes), the event |
//! | 16 | to host | ready | none: the handler is loaded |
//! | 17 | to host | init error | the error payload; the child exits |
//! | 18, 19 | to host | stdout, stderr | what the handler wrote, as it is |
//! | 20 | to host | record | one log event, such as one call of `console.log` |
//! | 21 | to host | response | the result |
//! | 22 | to host | error | the error payload |
//! | 23 | to host | fatal error | the error payload; the child exits |
//! | 24 | to host | AWS call | the host of a service in AWS that is called and not ours |
//! | 25 | to host | loaded | files of the project, parted by NUL, that were loaded |
//!
//! The two sides take turns: after `configure` and after each event the child talks
//! until `ready`, `response` or `error`; then it reads. Frames 18, 19, 20, 24 and 25 may
//! come at any moment of its turn: they belong to the event in progress, and come before
//! its result. A side that reads the end of the
//! stream knows that the other is gone.

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// Length and type.
pub(crate) const HEADER: usize = 5;
/// A request id is a UUID in text.
pub(crate) const REQUEST_ID_LENGTH: usize = 36;
const CONFIGURE: u8 = 1;
const EVENT: u8 = 2;

/// What kind of frame a child sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Ready,
    InitError,
    Stdout,
    Stderr,
    Record,
    Response,
    Error,
    FatalError,
    AwsCall,
    Loaded,
}

impl Kind {
    fn of(byte: u8) -> Option<Self> {
        Some(match byte {
            16 => Self::Ready,
            17 => Self::InitError,
            18 => Self::Stdout,
            19 => Self::Stderr,
            20 => Self::Record,
            21 => Self::Response,
            22 => Self::Error,
            23 => Self::FatalError,
            24 => Self::AwsCall,
            25 => Self::Loaded,
            _ => return None,
        })
    }
}

/// A frame from a child.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    /// A whole frame.
    Whole(Kind, Bytes),
    /// A frame whose payload of so many bytes is over the limit; it was thrown away.
    TooLarge(Kind, usize),
}

/// Bytes that no child of ours sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("byte {0:#04x} is no frame type of the bootstrap channel")]
pub(crate) struct UnknownFrame(u8);

/// The frame that configures a child.
pub(crate) fn configure(settings: &serde_json::Value) -> Bytes {
    let text = settings.to_string();
    let mut frame = BytesMut::with_capacity(HEADER + text.len());
    put_header(&mut frame, CONFIGURE, text.len());
    frame.put_slice(text.as_bytes());
    frame.freeze()
}

/// Puts everything of an event's frame before the event itself, which is sent from
/// where it is. Trace ids and client contexts longer than their length fields allow are
/// left out: the caller has checked them.
pub(crate) fn put_event_head(
    buffer: &mut BytesMut,
    request_id: &str,
    deadline_ms: f64,
    trace_id: &str,
    client_context: &str,
    event_length: usize,
) {
    debug_assert_eq!(request_id.len(), REQUEST_ID_LENGTH, "the length is fixed in the frame");
    let trace_length = u16::try_from(trace_id.len()).unwrap_or(0);
    let trace_id = &trace_id[..usize::from(trace_length)];
    let client_length = u32::try_from(client_context.len()).unwrap_or(0);
    let client_context = if client_length == 0 { "" } else { client_context };
    let payload =
        request_id.len() + 8 + 2 + trace_id.len() + 4 + client_context.len() + event_length;
    put_header(buffer, EVENT, payload);
    buffer.put_slice(request_id.as_bytes());
    buffer.put_f64(deadline_ms);
    buffer.put_u16(trace_length);
    buffer.put_slice(trace_id.as_bytes());
    buffer.put_u32(client_length);
    buffer.put_slice(client_context.as_bytes());
}

fn put_header(buffer: &mut BytesMut, kind: u8, payload: usize) {
    buffer.reserve(HEADER + payload.min(1024));
    // Payloads are bounded by `HostOptions::max_payload`, far below 4 GB.
    buffer.put_u32(u32::try_from(payload + 1).unwrap_or(u32::MAX));
    buffer.put_u8(kind);
}

/// Takes frames out of the bytes that a child sent, however they were cut.
#[derive(Debug)]
pub(crate) struct Decoder {
    /// The longest payload that is kept.
    limit: usize,
    /// Bytes of a payload over the limit that are still to be thrown away, and the
    /// frame that is told when they are gone.
    skip: Option<(usize, Kind, usize)>,
}

impl Decoder {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, skip: None }
    }

    /// The next frame, or `None` while `buffer` holds no whole one.
    pub(crate) fn next(&mut self, buffer: &mut BytesMut) -> Result<Option<Frame>, UnknownFrame> {
        if self.skip.is_none() {
            if buffer.len() < HEADER {
                return Ok(None);
            }
            let length = u32::from_be_bytes([buffer[0], buffer[1], buffer[2], buffer[3]]);
            let kind = Kind::of(buffer[4]).ok_or(UnknownFrame(buffer[4]))?;
            let payload = (length as usize).saturating_sub(1);
            if payload <= self.limit {
                if buffer.len() < HEADER + payload {
                    // Room for the rest at once, so that a large result is not copied
                    // from buffer to buffer while it arrives.
                    buffer.reserve(HEADER + payload - buffer.len());
                    return Ok(None);
                }
                buffer.advance(HEADER);
                return Ok(Some(Frame::Whole(kind, buffer.split_to(payload).freeze())));
            }
            buffer.advance(HEADER);
            self.skip = Some((payload, kind, payload));
        }
        let Some((left, kind, payload)) = self.skip.take() else { return Ok(None) };
        let gone = left.min(buffer.len());
        buffer.advance(gone);
        if gone == left {
            return Ok(Some(Frame::TooLarge(kind, payload)));
        }
        self.skip = Some((left - gone, kind, payload));
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A frame as a bootstrap writes it.
    fn written(kind: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len() + 1).unwrap();
        [&length.to_be_bytes()[..], &[kind], payload].concat()
    }

    fn decoded(limit: usize, pieces: impl Iterator<Item = Vec<u8>>) -> Vec<Frame> {
        let (mut decoder, mut buffer) = (Decoder::new(limit), BytesMut::new());
        let mut frames = Vec::new();
        for piece in pieces {
            buffer.extend_from_slice(&piece);
            while let Some(frame) = decoder.next(&mut buffer).unwrap() {
                frames.push(frame);
            }
        }
        assert!(buffer.is_empty(), "{} bytes are left", buffer.len());
        frames
    }

    proptest! {
        #[test]
        fn frames_are_whole_however_the_bytes_were_cut(
            payloads in prop::collection::vec((16u8..=25, prop::collection::vec(any::<u8>(), 0..200)), 0..8),
            cut in 1usize..64,
        ) {
            const LIMIT: usize = 100;
            let bytes: Vec<u8> =
                payloads.iter().flat_map(|(kind, payload)| written(*kind, payload)).collect();
            let frames = decoded(LIMIT, bytes.chunks(cut).map(<[u8]>::to_vec));
            let expected: Vec<Frame> = payloads
                .iter()
                .map(|(kind, payload)| {
                    let kind = Kind::of(*kind).unwrap();
                    if payload.len() > LIMIT {
                        Frame::TooLarge(kind, payload.len())
                    } else {
                        Frame::Whole(kind, Bytes::copy_from_slice(payload))
                    }
                })
                .collect();
            prop_assert_eq!(frames, expected);
        }

        #[test]
        fn any_bytes_are_frames_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let (mut decoder, mut buffer) = (Decoder::new(16), BytesMut::from(&bytes[..]));
            while let Ok(Some(_)) = decoder.next(&mut buffer) {}
        }
    }

    #[test]
    fn an_events_head_is_laid_out_as_documented() {
        let mut head = BytesMut::new();
        let id = "01234567-89ab-4def-8123-456789abcdef";
        put_event_head(&mut head, id, 1.5, "Root=1", "{}", 7);
        let length = u32::from_be_bytes(head[..4].try_into().unwrap());
        assert_eq!(length as usize, 1 + 36 + 8 + 2 + 6 + 4 + 2 + 7);
        assert_eq!(head[4], EVENT);
        assert_eq!(&head[5..41], id.as_bytes());
        assert_eq!(
            f64::from_be_bytes(head[41..49].try_into().unwrap()).to_bits(),
            1.5f64.to_bits()
        );
        assert_eq!(&head[49..], b"\0\x06Root=1\0\0\0\x02{}");
    }
}
