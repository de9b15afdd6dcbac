//! Arbitrary bytes from a client, in arbitrary pieces: the receiver must not panic,
//! must keep to its limits, and must say the same however the bytes were split.

#![no_main]

use fanwire_wire::ws::{Event, Inflater, ProtocolError, Receiver, ReceiverLimits};
use libfuzzer_sys::fuzz_target;

type Outcome = (Vec<Event<'static>>, Option<ProtocolError>);

struct Connection {
    receiver: Receiver,
    inflater: Inflater,
    limits: ReceiverLimits,
    outcome: Outcome,
}

impl Connection {
    fn new(compression: bool, limits: ReceiverLimits) -> Self {
        Self {
            receiver: Receiver::new(compression),
            inflater: Inflater::default(),
            limits,
            outcome: Outcome::default(),
        }
    }

    fn arrive(&mut self, bytes: &[u8]) {
        let mut bytes = bytes.to_vec();
        let mut input = &mut bytes[..];
        loop {
            match self.receiver.next(&mut input, &self.limits, &mut self.inflater) {
                Ok(Some(event)) => {
                    self.check(&event);
                    self.outcome.0.push(event.into_owned());
                }
                Ok(None) => break,
                Err(error) => assert_eq!(self.outcome.1.replace(error), None),
            }
        }
        assert!(input.is_empty());
    }

    fn check(&self, event: &Event<'_>) {
        match event {
            Event::Text(text) => assert!(text.len() <= self.limits.max_message),
            Event::Binary(bytes) => {
                assert!(self.limits.binary && bytes.len() <= self.limits.max_message);
            }
            Event::Ping(payload) => assert!(payload.len() <= 125),
            Event::Close(Some(close)) => assert!(close.reason.len() <= 123),
            Event::Close(None) | Event::Pong => {}
        }
    }
}

fuzz_target!(|input: (bool, bool, Vec<u8>, Vec<u8>)| {
    let (compression, binary, sizes, bytes) = input;
    let limits = ReceiverLimits { max_frame: 200, max_message: 500, binary };

    let mut at_once = Connection::new(compression, limits);
    at_once.arrive(&bytes);

    let mut in_pieces = Connection::new(compression, limits);
    let mut rest = &bytes[..];
    for size in sizes {
        let (piece, after) = rest.split_at(rest.len().min(usize::from(size)));
        in_pieces.arrive(piece);
        rest = after;
    }
    in_pieces.arrive(rest);

    assert_eq!(in_pieces.outcome, at_once.outcome);
});
