//! The end of a link that sends: what is on its way, and what has to go again. Neither clock
//! nor network.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::frame::{Frame, Message, Receipt, overhead};
use crate::limits;

/// Messages to one incarnation of a peer. `T` is told when a message is done.
#[derive(Debug)]
pub(crate) struct Outgoing<T> {
    /// The number of the oldest message that is kept.
    base: u64,
    /// Those from `base` on.
    messages: VecDeque<Kept<T>>,
    /// The number of the next message that is to be sent.
    next: u64,
    /// All before this one have been sent once, at least.
    sent_before: u64,
    /// All before this one have arrived.
    received: u64,
    bytes: usize,
    unfinished: usize,
    /// When something was sent, or more was heard to have arrived.
    progress: Instant,
    /// When the peer was heard of.
    heard: Instant,
    probe: Probe,
    round_trip: Option<Duration>,
    resent: u64,
}

#[derive(Debug)]
struct Kept<T> {
    message: Message,
    /// Who waits. `None`: it is done.
    waiting: Option<T>,
}

#[derive(Debug)]
struct Probe {
    wanted: bool,
    nonce: u64,
    sent: Instant,
    answered: bool,
}

/// Too much is on its way already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full;

// === impl Outgoing ===

impl<T> Outgoing<T> {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            base: 0,
            messages: VecDeque::new(),
            next: 0,
            sent_before: 0,
            received: 0,
            bytes: 0,
            unfinished: 0,
            progress: now,
            heard: now,
            probe: Probe { wanted: false, nonce: 0, sent: now, answered: true },
            round_trip: None,
            resent: 0,
        }
    }

    /// Queues a message.
    pub(crate) fn push(
        &mut self,
        channel: &'static str,
        payload: Bytes,
        waiting: T,
        now: Instant,
    ) -> Result<(), Full> {
        let bytes = overhead(channel.len()) + payload.len();
        let is_idle = self.unfinished == 0;
        // One message always fits, whatever its size.
        let fits = is_idle || self.bytes + bytes <= limits::LINK_WINDOW_BYTES;
        if !fits || self.messages.len() >= limits::LINK_WINDOW_MESSAGES {
            return Err(Full);
        }
        if is_idle {
            self.heard = now;
        }
        self.bytes += bytes;
        self.unfinished += 1;
        let channel = Bytes::from_static(channel.as_bytes());
        let message = Message { channel, payload };
        self.messages.push_back(Kept { message, waiting: Some(waiting) });
        Ok(())
    }

    /// The next frame that is to be sent, if any, of at most `max` bytes where it has several
    /// messages.
    pub(crate) fn next_frame(&mut self, max: usize, now: Instant) -> Option<Frame> {
        let first = self.next.max(self.base);
        let mut messages = Vec::new();
        let mut bytes = 0;
        for kept in self.messages.range((first - self.base) as usize..) {
            let weight = overhead(kept.message.channel.len()) + kept.message.payload.len();
            if !messages.is_empty() && bytes + weight > max {
                break;
            }
            bytes += weight;
            messages.push(kept.message.clone());
        }
        if messages.is_empty() {
            return self.next_probe(now);
        }
        self.next = first + messages.len() as u64;
        self.resent += self.sent_before.min(self.next).saturating_sub(first);
        self.sent_before = self.sent_before.max(self.next);
        self.progress = now;
        Some(Frame::Data { first, messages })
    }

    fn next_probe(&mut self, now: Instant) -> Option<Frame> {
        if !std::mem::take(&mut self.probe.wanted) {
            return None;
        }
        let nonce = self.probe.nonce + 1;
        self.probe = Probe { wanted: false, nonce, sent: now, answered: false };
        Some(Frame::Probe { base: self.base, nonce })
    }

    /// The peer tells what has become of messages. What is returned was waiting for that.
    pub(crate) fn receipt(&mut self, receipt: &Receipt, now: Instant) -> Vec<T> {
        let end = self.base + self.messages.len() as u64;
        if receipt.received > end || receipt.done > receipt.received {
            return Vec::new();
        }
        self.heard = now;
        if receipt.nonce == self.probe.nonce && !self.probe.answered {
            self.probe.answered = true;
            self.round_trip = Some(now.saturating_duration_since(self.probe.sent));
        }
        if receipt.received > self.received {
            self.received = receipt.received;
            self.progress = now;
        }
        let mut done = Vec::new();
        self.finish(self.base..receipt.done, &mut done);
        for range in &receipt.also_done {
            self.finish(range.start..range.end.min(receipt.received), &mut done);
        }
        while self.messages.front().is_some_and(|kept| kept.waiting.is_none()) {
            self.messages.pop_front();
            self.base += 1;
        }
        done
    }

    fn finish(&mut self, range: std::ops::Range<u64>, done: &mut Vec<T>) {
        for number in range.start.max(self.base)..range.end {
            let Some(kept) = self.messages.get_mut((number - self.base) as usize) else { return };
            if let Some(waiting) = kept.waiting.take() {
                let Message { channel, payload } = &kept.message;
                self.bytes -= overhead(channel.len()) + payload.len();
                self.unfinished -= 1;
                // What is done has arrived, and is not sent again.
                kept.message.payload = Bytes::new();
                done.push(waiting);
            }
        }
    }

    /// When `expired` wants to be called, if nothing happens before.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        if self.unfinished == 0 {
            return None;
        }
        let probe = self.heard.max(self.probe.sent) + limits::LINK_PROBE;
        let is_missing = self.received < self.next;
        Some(if is_missing { probe.min(self.progress + limits::LINK_RESEND) } else { probe })
    }

    /// A deadline has passed: what has not arrived goes again.
    pub(crate) fn expired(&mut self, now: Instant) {
        if self.unfinished == 0 {
            return;
        }
        if self.received < self.next && self.progress + limits::LINK_RESEND <= now {
            self.go_back();
            self.progress = now;
        }
        if self.heard.max(self.probe.sent) + limits::LINK_PROBE <= now {
            self.probe.wanted = true;
        }
    }

    /// NATS was lost and is back: what has not arrived goes again at once.
    pub(crate) fn go_back(&mut self) {
        self.next = self.received;
    }

    /// A probe is wanted, to measure the way.
    pub(crate) fn want_probe(&mut self) {
        self.probe.wanted = true;
    }

    /// Everyone who waits, where the peer is gone.
    pub(crate) fn drain(&mut self) -> Vec<T> {
        let kept = std::mem::take(&mut self.messages);
        self.bytes = 0;
        self.unfinished = 0;
        kept.into_iter().filter_map(|kept| kept.waiting).collect()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn unfinished(&self) -> usize {
        self.unfinished
    }

    pub(crate) fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }

    /// How many messages were sent once more since this was asked last.
    pub(crate) fn take_resent(&mut self) -> u64 {
        std::mem::take(&mut self.resent)
    }
}
