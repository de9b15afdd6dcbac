//! What a shard writes with.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use fanwire_store::{Batch, NoRoom, Refused};
use fanwire_wire::mqtt::PacketId;

use super::Durable;
use super::record::{Destination, Entry, Reached, StoredSession, encode_message};
use crate::Message;
use crate::mesh::{Record, RecordKey, SessionRecords};

/// The longest payload that is stored in the entry of each queue that it is in; a longer one
/// is stored once for all of them. Finding out whether somebody else has it costs a lock and
/// two writes more.
const IN_PLACE_BYTES: usize = 512;

/// Collects what a turn changes, and commits it. What it is told must be so in memory, too:
/// it checks nothing.
pub(crate) struct Keeper {
    to: To,
}

/// Where changes go.
enum To {
    /// The store of this machine.
    Store { durable: Durable, batch: Batch },
    /// The records that the nodes of a cluster share: sessions only, each by itself.
    Records { records: Arc<dyn SessionRecords>, changes: Vec<Record> },
    /// Nothing survives the process.
    Nowhere,
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
        Self { to: To::Store { durable, batch: Batch::new() } }
    }

    /// One that writes into what the nodes of a cluster share.
    pub(crate) fn of_records(records: Arc<dyn SessionRecords>) -> Self {
        Self { to: To::Records { records, changes: Vec::new() } }
    }

    /// One that keeps nothing.
    pub(crate) fn of_nothing() -> Self {
        Self { to: To::Nowhere }
    }

    /// Whether what it is handed in a turn is written in one piece with what other shards
    /// have to keep: only where all write to one store.
    pub(crate) fn hands_over(&self) -> bool {
        matches!(self.to, To::Store { .. })
    }

    /// The retained message of a topic is now this one, or none.
    pub(crate) fn retain(&mut self, topic: &str, message: Option<&Message>) {
        let To::Store { durable, batch } = &mut self.to else { return };
        let table = durable.0.tables.retained;
        match message {
            Some(message) => batch.put(table, topic.as_bytes(), &encode_message(message)),
            None => batch.delete(table, topic.as_bytes()),
        }
    }

    /// A session is now as `session` says.
    pub(crate) fn session(&mut self, client_id: &str, session: &StoredSession) {
        match &mut self.to {
            To::Store { durable, batch } => {
                batch.put(durable.0.tables.sessions, client_id.as_bytes(), &session.encode());
            }
            To::Records { changes, .. } => {
                changes.push(Record::put(client_id, RecordKey::Session, session.encode()));
            }
            To::Nowhere => {}
        }
    }

    /// A session has ended. What was on its way to it and from it is to be taken out one by
    /// one, before or after.
    pub(crate) fn end_session(&mut self, client_id: &str) {
        match &mut self.to {
            To::Store { durable, batch } => {
                batch.delete(durable.0.tables.sessions, client_id.as_bytes());
            }
            To::Records { changes, .. } => {
                changes.push(Record::delete(client_id, RecordKey::Session));
            }
            To::Nowhere => {}
        }
    }

    /// A message is on its way to a session, under a number that is higher than those of the
    /// messages before it.
    pub(crate) fn enqueue(&mut self, client_id: &str, seq: u64, entry: &Entry<'_>) {
        let entry = match &self.to {
            To::Store { .. } => self.encode(entry),
            To::Records { .. } => entry.encode(None),
            To::Nowhere => return,
        };
        self.put(client_id, RecordKey::Queued(seq), entry);
    }

    /// A message is no longer on its way to a session: it is acknowledged, or dropped. It
    /// has to be the very message that was enqueued, or recovered, under that number.
    pub(crate) fn dequeue(&mut self, client_id: &str, seq: u64, message: &Arc<Message>) {
        self.delete(client_id, RecordKey::Queued(seq));
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
        self.delete(client_id, RecordKey::InFlight(seq));
    }

    /// The client has published with QoS 2, and not released that.
    pub(crate) fn hold(&mut self, client_id: &str, id: PacketId) {
        self.put(client_id, RecordKey::Unreleased(id), Vec::new());
    }

    /// The client has released what it published with QoS 2 (PUBREL).
    pub(crate) fn release(&mut self, client_id: &str, id: PacketId) {
        self.delete(client_id, RecordKey::Unreleased(id));
    }

    /// A message of QoS 2 is about to be handed to another shard, which keeps its part in a
    /// commit of its own. It must not be told before this one is [committed](Self::commit):
    /// the store writes commits in their order. `None` where [nothing is handed
    /// over](Self::hands_over).
    pub(crate) fn hand_over(&mut self, to: &Destination<'_>, entry: &Entry<'_>) -> Option<Transit> {
        let encoded = self.hands_over().then(|| self.encode(entry))?;
        let To::Store { durable, batch } = &mut self.to else { return None };
        let number = durable.0.next_message.fetch_add(1, Ordering::Relaxed);
        let message = Arc::clone(entry.message);
        let transit = Transit { number, shard: to.shard, message };
        batch.put(durable.0.tables.transits, &transit.key(), &to.encode(&encoded));
        Some(transit)
    }

    /// What another shard has handed over is kept, or dropped, with this commit.
    pub(crate) fn take_over(&mut self, transit: &Transit) {
        if let To::Store { durable, batch } = &mut self.to {
            batch.delete(durable.0.tables.transits, &transit.key());
        }
        self.unshare(&transit.message);
    }

    /// Whether the store takes as much of the disk as it may: to be asked before something is
    /// accepted that will have to be stored. What has been accepted, and deletions, are
    /// committed all the same.
    pub(crate) fn is_full(&self) -> bool {
        let To::Store { durable, .. } = &self.to else { return false };
        matches!(durable.0.store.room(), Err(NoRoom::Disk { .. }))
    }

    /// Whether nothing has changed since the last commit.
    pub(crate) fn is_empty(&self) -> bool {
        match &self.to {
            To::Store { batch, .. } => batch.is_empty(),
            To::Records { changes, .. } => changes.is_empty(),
            To::Nowhere => true,
        }
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
        let (durable, whole) = match &mut self.to {
            To::Store { durable, batch } => (durable, batch),
            To::Records { records, changes } => {
                if records.is_behind() {
                    return Err(Behind);
                }
                records.commit(std::mem::take(changes), Box::new(done));
                return Ok(());
            }
            To::Nowhere => {
                done(true);
                return Ok(());
            }
        };
        let batch = std::mem::take(whole);
        if !batch.fits() {
            // Only a client id of nearly 64 KB makes a key too long, and no limit allows one.
            done(false);
            return Ok(());
        }
        match durable.0.store.commit(batch, |result| done(result.is_ok())) {
            Err(Refused::Full(batch)) => {
                *whole = batch;
                Err(Behind)
            }
            Err(Refused::Size { .. }) | Ok(()) => Ok(()),
        }
    }

    /// An entry as the store has it, and its message where that is apart.
    fn encode(&mut self, entry: &Entry<'_>) -> Vec<u8> {
        let To::Store { durable, batch } = &mut self.to else { return entry.encode(None) };
        let shared = is_shared(entry.message).then(|| {
            let (number, new) = durable.share(entry.message);
            if new {
                let table = durable.0.tables.messages;
                batch.put(table, &message_key(number), &encode_message(entry.message));
            }
            number
        });
        entry.encode(shared)
    }

    /// One thing less names a message.
    fn unshare(&mut self, message: &Arc<Message>) {
        let To::Store { durable, batch } = &mut self.to else { return };
        if !is_shared(message) {
            return;
        }
        if let Some(number) = durable.unshare(message) {
            batch.delete(durable.0.tables.messages, &message_key(number));
        }
    }

    fn reached(&mut self, client_id: &str, seq: u64, reached: Reached) {
        self.put(client_id, RecordKey::InFlight(seq), reached.encode());
    }

    /// A piece of a session is this now.
    pub(crate) fn put(&mut self, client_id: &str, key: RecordKey, value: Vec<u8>) {
        match &mut self.to {
            To::Store { durable, batch } => {
                batch.put(durable.0.tables.queues, &stored_key(client_id, key), &value);
            }
            To::Records { changes, .. } => changes.push(Record::put(client_id, key, value)),
            To::Nowhere => {}
        }
    }

    fn delete(&mut self, client_id: &str, key: RecordKey) {
        match &mut self.to {
            To::Store { durable, batch } => {
                batch.delete(durable.0.tables.queues, &stored_key(client_id, key));
            }
            To::Records { changes, .. } => changes.push(Record::delete(client_id, key)),
            To::Nowhere => {}
        }
    }
}

impl std::fmt::Debug for Keeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keeper").field("is_empty", &self.is_empty()).finish_non_exhaustive()
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

/// The key of a record in the table of queues.
fn stored_key(client_id: &str, key: RecordKey) -> Vec<u8> {
    match key {
        // In a table of its own, by the client id alone.
        RecordKey::Session => client_id.as_bytes().to_vec(),
        RecordKey::Queued(seq) => queue_key(client_id, kind::QUEUED, &seq.to_be_bytes()),
        RecordKey::InFlight(seq) => queue_key(client_id, kind::IN_FLIGHT, &seq.to_be_bytes()),
        RecordKey::Unreleased(id) => {
            queue_key(client_id, kind::UNRELEASED, &id.get().to_be_bytes())
        }
    }
}

pub(super) fn queue_key(client_id: &str, kind: u8, rest: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(client_id.len() + 2 + rest.len());
    key.extend_from_slice(client_id.as_bytes());
    key.extend_from_slice(&[0, kind]);
    key.extend_from_slice(rest);
    key
}
