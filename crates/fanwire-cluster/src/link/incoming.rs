//! The end of a link that receives: what comes next, what is being handled, and what the
//! sender is told of it. Neither clock nor network.

use std::collections::BTreeSet;

use super::frame::{MAX_RANGES, Message, Receipt};

/// Messages of one incarnation of a peer.
#[derive(Debug, Default)]
pub(crate) struct Incoming {
    /// The number of the message that comes next.
    received: u64,
    /// All before this one are done.
    done: u64,
    /// Others that are.
    also_done: BTreeSet<u64>,
    /// The sender is to be told, with the nonce of its probe.
    owes: Option<u64>,
}

// === impl Incoming ===

impl Incoming {
    /// Messages have come, numbered from `first` on. What is returned is new and in order,
    /// with its numbers.
    pub(crate) fn data(&mut self, first: u64, messages: Vec<Message>) -> Vec<(u64, Message)> {
        self.owes.get_or_insert(0);
        // What is missing before them comes with them, once the sender knows.
        if first > self.received {
            return Vec::new();
        }
        let known = (self.received - first) as usize;
        let mut new = Vec::new();
        for message in messages.into_iter().skip(known) {
            new.push((self.received, message));
            self.received += 1;
        }
        new
    }

    /// The sender asks.
    pub(crate) fn probe(&mut self, nonce: u64) {
        self.owes = Some(nonce);
    }

    /// The handler of a message is done.
    pub(crate) fn finished(&mut self, number: u64) {
        self.also_done.insert(number);
        while self.also_done.remove(&self.done) {
            self.done += 1;
        }
        self.owes.get_or_insert(0);
    }

    /// What the sender is to be told, if it is to be told anything.
    pub(crate) fn take_receipt(&mut self) -> Option<Receipt> {
        let nonce = self.owes.take()?;
        let mut also_done: Vec<std::ops::Range<u64>> = Vec::new();
        for number in &self.also_done {
            match also_done.last_mut() {
                Some(range) if range.end == *number => range.end += 1,
                _ => also_done.push(*number..*number + 1),
            }
            if also_done.len() > MAX_RANGES {
                also_done.pop();
                break;
            }
        }
        Some(Receipt { received: self.received, done: self.done, also_done, nonce })
    }
}
