//! What a shard writes with.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use fanwire_store::{Batch, NoRoom, Refused};
use fanwire_wire::mqtt::PacketId;

use super::Durable;
use super::record::{Destination, Entry, Reached, StoredSession, encode_message};
use crate::Message;

/// The longest payload that is stored in the entry of each queue that it is in; a longer one
/// is stored once for all of them. Finding out whether somebody else has it costs a lock and
/// two writes more.
const IN_PLACE_BYTES: usize = 512;

/// Collects what a turn changes, and commits it. What it is told must be so in memory, too:
/// it checks nothing.
#[derive(Debug)]
pub(crate) struct Keeper {
    durable: Durable,
    batch: Batch,
}

/// A message that is kept in the place of another shard, until that has kept its part.
#[derive(Debug, Clone)]
pub(crate) struct Transit {
    pub(super) number: u64,
    pub(super) shard: u8,
    pub(super) message: Arc<Message>,
}

/// The store is so far behind that it takes no more now. Nothing is lost: the changes stay
/// with the keeper.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Behind;

/// The kinds of keys in the table of queues.
pub(super) mod kind {
    /// An entry, by its number.
    pub(in crate::durable) const QUEUED: u8 = b'q';
    /// How far an entry of QoS 2 is, by its number.
    pub(in crate::durable) const IN_FLIGHT: u8 = b'f';
    /// A publish of QoS 2 that is not released, by its packet id.
    pub(in crate::durable) const UNRELEASED: u8 = b'u';
}

// === impl Keeper ===

impl Keeper {
    pub(super) fn new(durable: Durable) -> Self {
        Self { durable, batch: Batch::new() }
    }

    /// The retained message of a topic is now this one, or none.
    pub(crate) fn retain(&mut self, topic: &str, message: Option<&Message>) {
        let table = self.durable.0.tables.retained;
        match message {
            Some(message) => self.batch.put(table, topic.as_bytes(), &encode_message(message)),
            None => self.batch.delete(table, topic.as_bytes()),
        }
    }

    /// A session is now as `session` says.
    pub(crate) fn session(&mut self, client_id: &str, session: &StoredSession) {
        let table = self.durable.0.tables.sessions;
        self.batch.put(table, client_id.as_bytes(), &session.encode());
    }

    /// A session has ended. What was on its way to it and from it is to be taken out one by
    /// one, before or after.
    pub(crate) fn end_session(&mut self, client_id: &str) {
        self.batch.delete(self.durable.0.tables.sessions, client_id.as_bytes());
    }

    /// A message is on its way to a session, under a number that is higher than those of the
    /// messages before it.
    pub(crate) fn enqueue(&mut self, client_id: &str, seq: u64, entry: &Entry<'_>) {
        let entry = self.encode(entry);
        let key = queue_key(client_id, kind::QUEUED, &seq.to_be_bytes());
        self.batch.put(self.durable.0.tables.queues, &key, &entry);
    }

    /// A message is no longer on its way to a session: it is acknowledged, or dropped. It
    /// has to be the very message that was enqueued, or recovered, under that number.
    pub(crate) fn dequeue(&mut self, client_id: &str, seq: u64, message: &Arc<Message>) {
        self.delete(client_id, kind::QUEUED, &seq.to_be_bytes());
        self.unshare(message);
    }

    /// A message of QoS 2 was sent under a packet id.
    pub(crate) fn sent(&mut self, client_id: &str, seq: u64, id: PacketId) {
        self.reached(client_id, seq, Reached { id, received: false });
    }

    /// The client has a message of QoS 2 (PUBREC): the message goes, its packet id stays
    /// until the exchange is [completed](Self::completed).
    pub(crate) fn received(
        &mut self,
        client_id: &str,
        seq: u64,
        id: PacketId,
        message: &Arc<Message>,
    ) {
        self.dequeue(client_id, seq, message);
        self.reached(client_id, seq, Reached { id, received: true });
    }

    /// The exchange of a message of QoS 2 is over (PUBCOMP), or has been given up.
    pub(crate) fn completed(&mut self, client_id: &str, seq: u64) {
        self.delete(client_id, kind::IN_FLIGHT, &seq.to_be_bytes());
    }

    /// The client has published with QoS 2, and not released that.
    pub(crate) fn hold(&mut self, client_id: &str, id: PacketId) {
        let key = queue_key(client_id, kind::UNRELEASED, &id.get().to_be_bytes());
        self.batch.put(self.durable.0.tables.queues, &key, &[]);
    }

    /// The client has released what it published with QoS 2 (PUBREL).
    pub(crate) fn release(&mut self, client_id: &str, id: PacketId) {
        self.delete(client_id, kind::UNRELEASED, &id.get().to_be_bytes());
    }

    /// A message of QoS 2 is about to be handed to another shard, which keeps its part in a
    /// commit of its own. It must not be told before this one is [committed](Self::commit):
    /// the store writes commits in their order.
    pub(crate) fn hand_over(&mut self, to: &Destination<'_>, entry: &Entry<'_>) -> Transit {
        let number = self.durable.0.next_message.fetch_add(1, Ordering::Relaxed);
        let message = Arc::clone(entry.message);
        let transit = Transit { number, shard: to.shard, message };
        let entry = self.encode(entry);
        self.batch.put(self.durable.0.tables.transits, &transit.key(), &to.encode(&entry));
        transit
    }

    /// What another shard has handed over is kept, or dropped, with this commit.
    pub(crate) fn take_over(&mut self, transit: &Transit) {
        self.batch.delete(self.durable.0.tables.transits, &transit.key());
        self.unshare(&transit.message);
    }

    /// Whether the store takes as much of the disk as it may: to be asked before something is
    /// accepted that will have to be stored. What has been accepted, and deletions, are
    /// committed all the same.
    pub(crate) fn is_full(&self) -> bool {
        matches!(self.durable.0.store.room(), Err(NoRoom::Disk { .. }))
    }

    /// Whether nothing has changed since the last commit.
    pub(crate) fn is_empty(&self) -> bool {
        self.batch.is_empty()
    }

    /// Has everything written together. `done` is called on the store's thread, in the order
    /// of the commits of all shards, with whether it is kept; if it is not, nothing ever will
    /// be again in this process.
    ///
    /// # Errors
    ///
    /// [`Behind`]: to be tried again in a later turn, with what has changed by then. `done`
    /// is not called.
    pub(crate) fn commit(
        &mut self,
        done: impl FnOnce(bool) + Send + 'static,
    ) -> Result<(), Behind> {
        let batch = std::mem::take(&mut self.batch);
        if !batch.fits() {
            // Only a client id of nearly 64 KB makes a key too long, and no limit allows one.
            done(false);
            return Ok(());
        }
        match self.durable.0.store.commit(batch, |result| done(result.is_ok())) {
            Err(Refused::Full(batch)) => {
                self.batch = batch;
                Err(Behind)
            }
            Err(Refused::Size { .. }) | Ok(()) => Ok(()),
        }
    }

    /// An entry as it is stored, and its message where that is apart.
    fn encode(&mut self, entry: &Entry<'_>) -> Vec<u8> {
        let shared = is_shared(entry.message).then(|| {
            let (number, new) = self.durable.share(entry.message);
            if new {
                let table = self.durable.0.tables.messages;
                self.batch.put(table, &message_key(number), &encode_message(entry.message));
            }
            number
        });
        entry.encode(shared)
    }

    /// One thing less names a message.
    fn unshare(&mut self, message: &Arc<Message>) {
        if !is_shared(message) {
            return;
        }
        if let Some(number) = self.durable.unshare(message) {
            self.batch.delete(self.durable.0.tables.messages, &message_key(number));
        }
    }

    fn reached(&mut self, client_id: &str, seq: u64, reached: Reached) {
        let key = queue_key(client_id, kind::IN_FLIGHT, &seq.to_be_bytes());
        self.batch.put(self.durable.0.tables.queues, &key, &reached.encode());
    }

    fn delete(&mut self, client_id: &str, kind: u8, rest: &[u8]) {
        self.batch.delete(self.durable.0.tables.queues, &queue_key(client_id, kind, rest));
    }
}

// === impl Transit ===

impl Transit {
    pub(super) fn key(&self) -> [u8; 9] {
        let mut key = [self.shard; 9];
        key[..8].copy_from_slice(&self.number.to_be_bytes());
        key
    }
}

/// Whether a message is stored once for all queues.
pub(super) fn is_shared(message: &Message) -> bool {
    message.payload.len() > IN_PLACE_BYTES
}

pub(super) fn message_key(number: u64) -> [u8; 8] {
    number.to_be_bytes()
}

pub(super) fn queue_key(client_id: &str, kind: u8, rest: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(client_id.len() + 2 + rest.len());
    key.extend_from_slice(client_id.as_bytes());
    key.extend_from_slice(&[0, kind]);
    key.extend_from_slice(rest);
    key
}
