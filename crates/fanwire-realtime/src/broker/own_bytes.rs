//! What one turn writes for receivers whose bytes are their own: packet ids, subscription
//! identifiers, topic aliases. One message to ten thousand of them is ten thousand copies,
//! all of which are there until the turn ends, so there is a most.

use super::session::Session;
use super::{Broker, Key};
use crate::{DropReason, RealtimeEvent};

/// The most that a turn writes, but for the one message more with which it gets there, in
/// bytes. Beyond it messages of QoS 1 and 2 wait for the next turn; those of QoS 0 are
/// dropped, as they are for clients that do not read.
const MOST: usize = 64 * 1024 * 1024;

/// What has been written in this turn.
#[derive(Debug, Default)]
pub(super) struct OwnBytes {
    written: usize,
    /// Messages of QoS 0 that there was no room for.
    dropped: u64,
    /// Sessions that messages wait for which there was no room for.
    held_back: Vec<Key>,
}

// === impl OwnBytes ===

impl OwnBytes {
    /// Whether this turn writes no more.
    pub(super) fn are_full(&self) -> bool {
        self.written >= MOST
    }

    /// A message waits for a session that would take it, but for this turn.
    pub(super) fn hold_back(&mut self, key: Key) {
        self.held_back.push(key);
    }

    /// Whether the next turn has something to go on with.
    pub(super) fn hold_something_back(&self) -> bool {
        !self.held_back.is_empty()
    }
}

impl Broker {
    /// Counts what `f` writes for a session.
    pub(super) fn counting_own_bytes(&mut self, key: Key, f: impl FnOnce(&mut Self)) {
        let waiting = self.outbox_len(key);
        f(self);
        self.own_bytes.written += self.outbox_len(key).saturating_sub(waiting);
    }

    fn outbox_len(&self, key: Key) -> usize {
        self.sessions.get(key as usize).map_or(0, |session| session.outbox.len())
    }

    /// Leaves a message out for a session because the turn has written too much.
    pub(super) fn drop_for_turn(&mut self, key: Key) {
        let session = self.sessions.get_mut(key as usize);
        if let Some(session) = session.filter(|session: &&mut Session| session.live().is_some()) {
            session.dropped += 1;
            self.figures.routed.add(1);
            self.figures.lose(DropReason::TurnFull, 1);
            self.own_bytes.dropped += 1;
        }
    }

    /// Sends what the turn before had no room for, as far as this one has.
    pub(super) fn go_on_with_held_back(&mut self) {
        let mut held_back = std::mem::take(&mut self.own_bytes.held_back).into_iter();
        while !self.own_bytes.are_full()
            && let Some(key) = held_back.next()
        {
            // Another session may have the key by now, which takes no harm.
            self.counting_own_bytes(key, |broker| broker.pump(key));
        }
        self.own_bytes.held_back.extend(held_back);
    }

    /// Begins to count anew, and tells what there was no room for.
    pub(super) fn end_own_bytes(&mut self) {
        self.own_bytes.written = 0;
        let messages = std::mem::take(&mut self.own_bytes.dropped);
        if messages > 0 {
            self.observer.observe(&RealtimeEvent::Dropped {
                client_id: "",
                messages,
                why: "more than 64 MB came at once for clients that get bytes of their own, as those with subscription identifiers do",
            });
        }
    }
}
