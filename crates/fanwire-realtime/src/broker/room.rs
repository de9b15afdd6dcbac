//! Room for messages that wait for sessions: what has expired makes some.

use std::time::{Duration, Instant};

use super::{Broker, Key};
use crate::{DropReason, RealtimeEvent};

/// How long a queue that was looked through for what has expired is not looked through again:
/// one that is full of what has not costs a walk only so often.
const AGAIN: Duration = Duration::from_secs(1);

/// The same for the queues of a shard, of which some are looked through at a time.
const SHARD_AGAIN: Duration = Duration::from_millis(10);

/// Messages that are looked at then, but for the rest of the queue with which it gets there,
/// and places of sessions.
const MOST_MESSAGES: usize = 1024;
const MOST_PLACES: usize = 4096;

/// How far the queues of a shard have been looked through.
#[derive(Debug, Default)]
pub(super) struct Sweep {
    next: usize,
    last: Option<Instant>,
}

impl Broker {
    /// Whether another message may wait for a session. Where there is no room, what has expired
    /// makes some: of the session, and where the shard as a whole has none, of others.
    pub(super) fn has_room(&mut self, key: Key, cost: usize) -> bool {
        if !self.is_full(key, cost) {
            return true;
        }
        let now = self.now;
        let flow = self.sessions.get(key as usize).and_then(|session| session.flow.as_ref());
        if flow.is_some_and(|flow| flow.looked_through.is_none_or(|at| now >= at + AGAIN)) {
            self.drop_expired(key as usize);
        }
        if self.shard_is_full(cost) && self.sweep.last.is_none_or(|at| now >= at + SHARD_AGAIN) {
            self.sweep();
        }
        !self.is_full(key, cost)
    }

    fn is_full(&self, key: Key, cost: usize) -> bool {
        let limits = self.settings.limits();
        let flow = self.sessions.get(key as usize).and_then(|session| session.flow.as_ref());
        self.shard_is_full(cost)
            || flow.is_some_and(|flow| {
                flow.queue.len() >= limits.max_queued_messages
                    || flow.queued_bytes + cost > limits.max_queued_bytes
            })
    }

    fn shard_is_full(&self, cost: usize) -> bool {
        // What all sessions may have is divided among the shards, as they are.
        let all = self.settings.limits().max_queued_bytes_total / self.shards.max(1);
        self.queued_bytes + cost > all
    }

    /// Looks through some more of the shard's queues.
    fn sweep(&mut self) {
        self.sweep.last = Some(self.now);
        let places = self.sessions.capacity();
        let mut messages = 0;
        for _ in 0..places.min(MOST_PLACES) {
            let place = self.sweep.next;
            self.sweep.next = (place + 1) % places;
            messages += self.drop_expired(place);
            if messages >= MOST_MESSAGES {
                return;
            }
        }
    }

    /// Drops what has expired of what waits for the session at a place. Says how many messages
    /// it looked at.
    fn drop_expired(&mut self, place: usize) -> usize {
        let (now_ms, keep) = (self.now_ms, &mut self.keep);
        let Some(session) = self.sessions.get_mut(place) else { return 0 };
        let Some(flow) = &mut session.flow else { return 0 };
        flow.looked_through = Some(self.now);
        let (looked_at, mut bytes) = (flow.queue.len(), 0);
        flow.queue.retain(|queued| {
            if queued.message.expiry_left(now_ms).is_some() {
                return true;
            }
            bytes += queued.message.cost();
            if let (Some(seq), Some(keep)) = (queued.seq, &mut *keep) {
                keep.keeper.dequeue(&session.client_id, seq, &queued.message);
            }
            false
        });
        flow.queued_bytes -= bytes;
        self.queued_bytes -= bytes;
        let expired = (looked_at - flow.queue.len()) as u64;
        self.figures.queued.sub(expired);
        self.figures.lose(DropReason::Expired, expired);
        looked_at
    }

    /// Drops a message that there is no room for.
    pub(super) fn drop_for(&mut self, key: Key) {
        let session = &mut self.sessions[key as usize];
        session.dropped += 1;
        self.figures.lose(DropReason::QueueFull, 1);
        self.observer.observe(&RealtimeEvent::Dropped {
            client_id: &session.client_id,
            messages: 1,
            why: "too many messages wait for it (realtime.limits.max_queued_messages, max_queued_bytes, max_queued_bytes_total)",
        });
    }
}
