//! A client for the tests: it makes frames, right and wrong, and drives a receiver.

use super::*;

pub(super) const LIMITS: ReceiverLimits =
    ReceiverLimits { max_frame: 1 << 20, max_message: 1 << 20, binary: true };

pub(super) const FIN: u8 = 0x80;
pub(super) const RSV1: u8 = 0x40;
pub(super) const CONTINUATION: u8 = 0x0;
pub(super) const TEXT: u8 = 0x1;
pub(super) const BINARY: u8 = 0x2;
pub(super) const CLOSE: u8 = 0x88;
pub(super) const PING: u8 = 0x89;
pub(super) const PONG: u8 = 0x8A;

/// A masked frame with this first byte.
pub(super) fn frame(first: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
    masked(first, payload.as_ref(), [0x37, 0xFA, 0x21, 0x3D])
}

pub(super) fn masked(first: u8, payload: &[u8], key: [u8; 4]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        len @ 0..=125 => frame.push(0x80 | len as u8),
        len @ 126..=0xFFFF => {
            frame.push(0x80 | 126);
            frame.extend((len as u16).to_be_bytes());
        }
        len => {
            frame.push(0x80 | 127);
            frame.extend((len as u64).to_be_bytes());
        }
    }
    frame.extend(key);
    frame.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
    frame
}

/// A close frame's payload.
pub(super) fn close(code: u16, reason: impl AsRef<[u8]>) -> Vec<u8> {
    frame(CLOSE, [&code.to_be_bytes(), reason.as_ref()].concat())
}

/// What came of a connection: its events, and what it failed with.
pub(super) type Outcome = (Vec<Event<'static>>, Option<ProtocolError>);

/// One connection's receiver, with all that it needs.
pub(super) struct Connection {
    pub(super) receiver: Receiver,
    pub(super) limits: ReceiverLimits,
    pub(super) inflater: Inflater,
    pub(super) outcome: Outcome,
}

impl Connection {
    pub(super) fn new(compression: bool, limits: ReceiverLimits) -> Self {
        Self {
            receiver: Receiver::new(compression),
            limits,
            inflater: Inflater::default(),
            outcome: Outcome::default(),
        }
    }

    /// Lets bytes arrive, all at once. They must all be taken.
    pub(super) fn arrive(&mut self, bytes: &[u8]) {
        let mut bytes = bytes.to_vec();
        let mut input = &mut bytes[..];
        loop {
            match self.receiver.next(&mut input, &self.limits, &mut self.inflater) {
                Ok(Some(event)) => self.outcome.0.push(event.into_owned()),
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(self.outcome.1.replace(error), None, "two errors");
                }
            }
        }
        assert!(input.is_empty(), "{} bytes were left", input.len());
    }
}

/// Lets bytes arrive in pieces of `piece` bytes.
pub(super) fn receive_in(
    piece: usize,
    bytes: &[u8],
    compression: bool,
    limits: ReceiverLimits,
) -> Outcome {
    let mut connection = Connection::new(compression, limits);
    bytes.chunks(piece).for_each(|piece| connection.arrive(piece));
    connection.outcome
}

/// Lets bytes arrive at once and in small pieces, which must make no difference.
pub(super) fn receive_with(bytes: &[u8], compression: bool, limits: ReceiverLimits) -> Outcome {
    let whole = receive_in(bytes.len().max(1), bytes, compression, limits);
    for piece in [1, 2, 3, 7, 997] {
        assert_eq!(receive_in(piece, bytes, compression, limits), whole, "in pieces of {piece}");
    }
    whole
}

/// The same without compression and under wide limits.
pub(super) fn receive(frames: &[Vec<u8>]) -> Outcome {
    receive_with(&frames.concat(), false, LIMITS)
}

/// The code that a connection fails with, after no more than these events.
pub(super) fn failure(frames: &[Vec<u8>], events: usize) -> u16 {
    let (got, error) = receive(frames);
    assert_eq!(got.len(), events, "{got:?}");
    error.expect("the connection goes on").code.get()
}

/// The events of a connection that does not fail.
pub(super) fn events(frames: &[Vec<u8>]) -> Vec<Event<'static>> {
    let (events, error) = receive(frames);
    assert_eq!(error, None);
    events
}

pub(super) fn text(text: impl Into<String>) -> Event<'static> {
    Event::Text(Cow::Owned(text.into()))
}

pub(super) fn binary(bytes: impl Into<Vec<u8>>) -> Event<'static> {
    Event::Binary(Cow::Owned(bytes.into()))
}

pub(super) fn ping(bytes: impl Into<Vec<u8>>) -> Event<'static> {
    Event::Ping(Cow::Owned(bytes.into()))
}
