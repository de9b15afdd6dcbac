//! What the rest of the process shares with one shard: its mailbox, its places, its
//! counters.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::Letter;
use crate::id::MAX_SLOTS;
use crate::mailbox::Mailbox;
use crate::{Clock, Session, Tally};

/// What the rest of the process shares with one shard.
pub(crate) struct ShardHandle<S: Session> {
    pub(crate) mailbox: Arc<Mailbox<Letter<S>>>,
    pub(crate) clock: Clock,
    slots: Mutex<Slots>,
    /// Slots in use, to find the shard with the fewest without a lock.
    used: AtomicUsize,
    pub(crate) counted: Counted,
}

/// What a shard has moved since it began. Its thread alone counts.
#[derive(Debug, Default)]
pub(crate) struct Counted {
    /// Bytes that peers sent, without what TLS adds.
    pub(crate) bytes_in: Tally,
    /// Bytes that sockets took, without what TLS adds.
    pub(crate) bytes_out: Tally,
    /// Bytes that were yet to be sent to connections when they ended.
    pub(crate) bytes_unsent: Tally,
    /// Messages that broadcasts gave to receivers, one for each.
    pub(crate) broadcast: Tally,
    /// Those that receivers were too slow for.
    pub(crate) dropped: Tally,
}

#[derive(Debug, Default)]
struct Slots {
    free: Vec<u32>,
    next: u32,
}

// === impl ShardHandle ===

impl<S: Session> ShardHandle<S> {
    pub(crate) fn new(mailbox: Arc<Mailbox<Letter<S>>>, clock: Clock) -> Self {
        Self {
            mailbox,
            clock,
            slots: Mutex::default(),
            used: AtomicUsize::new(0),
            counted: Counted::default(),
        }
    }

    pub(crate) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    pub(crate) fn take_slot(&self) -> Option<u32> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = match slots.free.pop() {
            Some(slot) => slot,
            None if slots.next < MAX_SLOTS => {
                slots.next += 1;
                slots.next - 1
            }
            None => return None,
        };
        self.used.fetch_add(1, Ordering::Relaxed);
        Some(slot)
    }

    pub(crate) fn release_slot(&self, slot: u32) {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.free.push(slot);
        self.used.fetch_sub(1, Ordering::Relaxed);
    }
}
