//! Two ends of a link on a network that loses, repeats and reorders, on a clock that is moved
//! by hand.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use tokio::time::Instant;

use super::frame::{Frame, Receipt};
use super::incoming::Incoming;
use super::outgoing::Outgoing;

/// What the network does with a frame.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Arrives,
    Lost,
    Twice,
    /// After what is sent next.
    Late,
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        5 => Just(Fate::Arrives),
        2 => Just(Fate::Lost),
        1 => Just(Fate::Twice),
        1 => Just(Fate::Late),
    ]
}

struct Wire {
    fates: VecDeque<Fate>,
    frames: VecDeque<Frame>,
    late: Vec<Frame>,
}

impl Wire {
    fn new(fates: Vec<Fate>) -> Self {
        Self { fates: fates.into(), frames: VecDeque::new(), late: Vec::new() }
    }

    fn send(&mut self, frame: Frame) {
        let late = std::mem::take(&mut self.late);
        // Once the fates are used up, the network is well.
        match self.fates.pop_front().unwrap_or(Fate::Arrives) {
            Fate::Arrives => self.frames.push_back(frame),
            Fate::Lost => {}
            Fate::Twice => self.frames.extend([frame.clone(), frame]),
            Fate::Late => self.late.push(frame),
        }
        self.frames.extend(late);
    }
}

/// Runs until everything is done, or `turns` are over. Handlers finish in the order that
/// `finish` says.
fn run(
    sizes: &[usize],
    there: Vec<Fate>,
    back: Vec<Fate>,
    finish: &[prop::sample::Index],
) -> (Vec<usize>, BTreeSet<usize>) {
    let mut now = Instant::now();
    let mut outgoing = Outgoing::new(now);
    let mut incoming = Incoming::default();
    let (mut there, mut back) = (Wire::new(there), Wire::new(back));
    for (number, size) in sizes.iter().enumerate() {
        let mut payload = number.to_be_bytes().to_vec();
        payload.resize(8 + size, 0);
        outgoing.push("test", payload.into(), number, now).unwrap();
    }
    let (mut handled, mut handling, mut done) = (Vec::new(), Vec::new(), BTreeSet::new());
    for turn in 0..1_000 {
        while let Some(frame) = outgoing.next_frame(100, now) {
            there.send(frame);
        }
        while let Some(frame) = there.frames.pop_front() {
            match frame {
                Frame::Data { first, messages } => {
                    for (number, message) in incoming.data(first, messages) {
                        let payload: [u8; 8] = message.payload[..8].try_into().unwrap();
                        handled.push(usize::from_be_bytes(payload));
                        handling.push(number);
                    }
                }
                Frame::Probe { nonce, .. } => incoming.probe(nonce),
                Frame::Receipt(_) => unreachable!(),
            }
        }
        if !handling.is_empty() {
            let index = finish.get(turn % finish.len().max(1));
            let at = index.map_or(0, |index| index.index(handling.len()));
            incoming.finished(handling.swap_remove(at));
        }
        if let Some(receipt) = incoming.take_receipt() {
            back.send(Frame::Receipt(receipt));
        }
        while let Some(frame) = back.frames.pop_front() {
            let Frame::Receipt(receipt) = frame else { unreachable!() };
            done.extend(outgoing.receipt(&receipt, now));
        }
        match outgoing.deadline() {
            Some(deadline) => {
                now = now.max(deadline);
                outgoing.expired(now);
            }
            None => break,
        }
    }
    assert_eq!(outgoing.bytes(), 0, "the window is empty again");
    (handled, done)
}

proptest! {
    #[test]
    fn messages_arrive_once_and_in_order_whatever_the_network_does(
        sizes in proptest::collection::vec(0usize..120, 0..40),
        there in proptest::collection::vec(fate(), 0..60),
        back in proptest::collection::vec(fate(), 0..60),
        finish in proptest::collection::vec(any::<prop::sample::Index>(), 0..10),
    ) {
        let (handled, done) = run(&sizes, there, back, &finish);
        let all: Vec<usize> = (0..sizes.len()).collect();
        prop_assert_eq!(&handled, &all);
        prop_assert_eq!(done, all.into_iter().collect::<BTreeSet<_>>());
    }

    #[test]
    fn receipts_that_make_no_sense_do_no_harm(
        received: u64, finished: u64, ranges in proptest::collection::vec(any::<(u64, u64)>(), 0..4),
    ) {
        let now = Instant::now();
        let mut outgoing = Outgoing::new(now);
        for number in 0..10u8 {
            outgoing.push("test", Bytes::from_static(b"x"), number, now).unwrap();
        }
        let also_done = ranges.into_iter().map(|(start, end)| start..end).collect();
        let receipt = Receipt { received, done: finished, also_done, nonce: 0 };
        let told = outgoing.receipt(&receipt, now).len();
        prop_assert_eq!(outgoing.unfinished() + told, 10);
    }
}

#[test]
fn a_window_that_is_full_takes_no_more_until_something_is_done() {
    let now = Instant::now();
    let mut outgoing = Outgoing::new(now);
    let large = Bytes::from(vec![0; 1 << 20]);
    let mut pushed = 0;
    while outgoing.push("test", large.clone(), pushed, now).is_ok() {
        pushed += 1;
    }
    assert_eq!(pushed, 15);
    while outgoing.next_frame(64 << 10, now).is_some() {}
    let receipt = Receipt {
        received: 3,
        done: 1,
        also_done: Vec::from_iter([(2, 3)].map(|(start, end)| start..end)),
        nonce: 0,
    };
    assert_eq!(outgoing.receipt(&receipt, now), [0, 2]);
    assert!(outgoing.push("test", large, 15, now).is_ok());
    assert_eq!(outgoing.drain().len(), 14);
}

#[test]
fn what_does_not_arrive_goes_again_and_a_silent_peer_is_asked() {
    let now = Instant::now();
    let mut outgoing = Outgoing::new(now);
    outgoing.push("test", Bytes::from_static(b"x"), (), now).unwrap();
    assert!(matches!(outgoing.next_frame(100, now), Some(Frame::Data { first: 0, .. })));
    let resend = outgoing.deadline().unwrap();
    assert!(resend - now < Duration::from_secs(1));
    outgoing.expired(resend);
    assert!(matches!(outgoing.next_frame(100, resend), Some(Frame::Data { first: 0, .. })));
    assert_eq!(outgoing.take_resent(), 1);
    let receipt = Receipt { received: 1, done: 0, also_done: Vec::new(), nonce: 0 };
    assert!(outgoing.receipt(&receipt, resend).is_empty());
    let probe = outgoing.deadline().unwrap();
    outgoing.expired(probe);
    assert!(matches!(outgoing.next_frame(100, probe), Some(Frame::Probe { base: 0, nonce: 1 })));
    let receipt = Receipt { nonce: 1, ..receipt };
    outgoing.receipt(&receipt, probe + Duration::from_millis(3));
    assert_eq!(outgoing.round_trip(), Some(Duration::from_millis(3)));
}
