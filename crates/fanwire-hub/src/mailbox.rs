//! What other threads leave for a shard, and how they wake it.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use mio::Waker;

use crate::Busy;

/// Letters for a shard. The shard takes all at once, so that a burst costs one
/// wake-up however many letters it has.
#[derive(Debug)]
pub(crate) struct Mailbox<T> {
    letters: Mutex<Letters<T>>,
    waker: Waker,
    /// Bytes that may wait before senders are told that the shard is busy.
    capacity: usize,
}

// A std lock, because it is held for a push or a swap and never across an await.
#[derive(Debug)]
struct Letters<T> {
    waiting: Vec<T>,
    bytes: usize,
    closed: bool,
}

/// Why a letter was not left.
enum Refused<T> {
    Full,
    Closed(T),
}

impl<T> Mailbox<T> {
    pub(crate) fn new(waker: Waker, capacity: usize) -> Arc<Self> {
        let letters = Letters { waiting: Vec::new(), bytes: 0, closed: false };
        Arc::new(Self { letters: Mutex::new(letters), waker, capacity })
    }

    /// Leaves a letter of `bytes` bytes, unless too much waits already.
    pub(crate) fn send(&self, letter: T, bytes: usize) -> Result<(), Busy> {
        match self.push(letter, bytes, self.capacity) {
            Err(Refused::Full) => Err(Busy),
            // The shard is gone, and with it every connection: the letter is dropped, as it
            // is for a single connection that is gone.
            Ok(()) | Err(Refused::Closed(_)) => Ok(()),
        }
    }

    /// Leaves a letter however much waits: for those whose number is bounded by
    /// something else, such as one a connection.
    pub(crate) fn send_anyway(&self, letter: T, bytes: usize) {
        // Only a full mailbox is told of, and this one has no limit.
        let _ = self.push(letter, bytes, usize::MAX);
    }

    /// As [`send_anyway`](Self::send_anyway), for a letter that must not be lost. Gives it
    /// back where the shard has ended.
    pub(crate) fn hand_in(&self, letter: T, bytes: usize) -> Result<(), T> {
        match self.push(letter, bytes, usize::MAX) {
            Err(Refused::Closed(letter)) => Err(letter),
            Ok(()) | Err(Refused::Full) => Ok(()),
        }
    }

    /// Whether `send` would take a letter of `bytes` bytes now.
    pub(crate) fn has_room(&self, bytes: usize) -> bool {
        let letters = self.letters.lock().unwrap_or_else(PoisonError::into_inner);
        letters.bytes.saturating_add(bytes) <= self.capacity
    }

    /// Bytes that wait.
    pub(crate) fn waiting(&self) -> usize {
        self.letters.lock().unwrap_or_else(PoisonError::into_inner).bytes
    }

    fn push(&self, letter: T, bytes: usize, capacity: usize) -> Result<(), Refused<T>> {
        let first = {
            let mut letters = self.letters.lock().unwrap_or_else(PoisonError::into_inner);
            if letters.closed {
                return Err(Refused::Closed(letter));
            }
            let total = letters.bytes.saturating_add(bytes);
            if total > capacity {
                return Err(Refused::Full);
            }
            letters.bytes = total;
            letters.waiting.push(letter);
            letters.waiting.len() == 1
        };
        // Later senders know that the first has woken the shard.
        if first {
            self.wake();
        }
        Ok(())
    }

    /// Has the shard look at how things are.
    pub(crate) fn wake(&self) {
        if let Err(error) = self.waker.wake() {
            // An eventfd that cannot be written means that the loop has ended.
            debug_assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        }
    }

    /// Swaps all waiting letters into `into`, which has to be empty.
    pub(crate) fn take(&self, into: &mut Vec<T>) {
        let mut letters = self.letters.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(&mut letters.waiting, into);
        letters.bytes = 0;
    }

    /// Refuses letters from now on and returns those that wait.
    pub(crate) fn close(&self) -> Vec<T> {
        let mut letters = self.letters.lock().unwrap_or_else(PoisonError::into_inner);
        letters.closed = true;
        std::mem::take(&mut letters.waiting)
    }
}
