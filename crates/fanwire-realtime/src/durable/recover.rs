//! Reading it all again.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use fanwire_store::{Batch, Store, StoreError, Table, WriteError};
use fanwire_wire::mqtt::{PacketId, QoS};

use super::code::Corrupt;
use super::keeper::{kind, message_key, queue_key};
use super::record::{Content, Found, Reached, StoredSession, Transited, decode_message};
use super::transit::{InTransit, Transits};
use super::{Durable, SharedMessage, Tables, Transit, place};
use crate::Message;
use crate::topic::Parent;

/// Bytes of deletions that are committed together.
const CLEANING_BYTES: usize = 4 * 1024 * 1024;

/// Why what is stored cannot be used. The server does not start with part of it: what it
/// acknowledged would be lost without anybody noticing.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What is of no more use cannot be taken out.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// A record makes no sense.
    #[error(
        "the record `{key}` of the table `{table}` cannot be understood: {what}. \
         A newer fanwire wrote it, or it is damaged: use that version, restore the store's \
         folder from a copy, or move it away to begin anew"
    )]
    Record {
        /// Its table.
        table: &'static str,
        /// Its key, with what is not printable escaped.
        key: String,
        /// What is wrong with it.
        what: &'static str,
    },
}

/// What was there.
#[derive(Debug, Default)]
pub(crate) struct Recovered {
    /// The retained messages, by topic.
    pub(crate) retained: Vec<Arc<Message>>,
    /// The sessions, by client id.
    pub(crate) sessions: Vec<RecoveredSession>,
    /// Wills of sessions that have ended while nobody was there to publish them.
    pub(crate) wills: Vec<Message>,
    /// Retained messages, sessions and queued messages that have expired.
    pub(crate) expired: usize,
}

/// A session and what was on its way to it and from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RecoveredSession {
    pub(crate) client_id: Arc<str>,
    /// As it was stored. One whose client was connected has not been seen to go.
    pub(crate) session: StoredSession,
    /// Messages of QoS 2 that were sent, in the order in which they were.
    pub(crate) in_flight: Vec<Flight>,
    /// Messages that wait, and those of QoS 1 that were sent and not acknowledged, in order.
    pub(crate) queue: Vec<StoredEntry>,
    /// What the client has published with QoS 2 and not released.
    pub(crate) unreleased: Vec<PacketId>,
    /// The highest number that is in use; 0 for none.
    pub(crate) last_seq: u64,
}

/// A message of QoS 2 that was sent and whose exchange is not over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Flight {
    pub(crate) seq: u64,
    pub(crate) id: PacketId,
    /// `None`: the client has it, and is to be told to release it.
    pub(crate) entry: Option<StoredEntry>,
}

/// A message for a session, as it was enqueued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredEntry {
    pub(crate) seq: u64,
    pub(crate) message: Arc<Message>,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
    pub(crate) ids: Option<Box<[u32]>>,
}

/// The state of a load.
struct Loading<'a> {
    durable: &'a Durable,
    now_ms: u64,
    messages: HashMap<u64, SharedMessage>,
    /// By place among the sessions and number: what is in flight and whose entry has not been
    /// met. A session's keys come in the order of their kinds, entries after these.
    awaited: HashSet<(usize, u64)>,
    transits: Transits,
    recovered: Recovered,
    /// What is of no more use. Taken out at the end, so that an error changes nothing.
    cleaning: Vec<(Table, Vec<u8>)>,
}

/// Reads everything.
pub(super) fn load(durable: &Durable, now_ms: u64, parent: Parent) -> Result<Recovered, LoadError> {
    let mut loading = Loading {
        durable,
        now_ms,
        messages: HashMap::new(),
        awaited: HashSet::new(),
        transits: Transits::default(),
        recovered: Recovered::default(),
        cleaning: Vec::new(),
    };
    loading.retained()?;
    loading.messages()?;
    loading.sessions()?;
    loading.queues()?;
    loading.transits()?;
    loading.end(parent)
}

// === impl Loading ===

impl Loading<'_> {
    fn retained(&mut self) -> Result<(), LoadError> {
        let table = self.durable.0.tables.retained;
        self.each(table, "retained", |loading, key, value| {
            let message = decode_message(value)?;
            if message.expiry_left(loading.now_ms).is_some() {
                loading.recovered.retained.push(Arc::new(message));
            } else {
                loading.recovered.expired += 1;
                loading.clean(table, key);
            }
            Ok(())
        })
    }

    fn messages(&mut self) -> Result<(), LoadError> {
        self.each(self.durable.0.tables.messages, "messages", |loading, key, value| {
            let number = number(key)?;
            let message = Arc::new(decode_message(value)?);
            loading.messages.insert(number, SharedMessage { message, number, uses: 0 });
            Ok(())
        })
    }

    fn sessions(&mut self) -> Result<(), LoadError> {
        let table = self.durable.0.tables.sessions;
        self.each(table, "sessions", |loading, key, value| {
            let session = StoredSession::decode(value)?;
            let client_id = text(key)?;
            if session.ends_at(loading.now_ms).is_none_or(|end| end > loading.now_ms) {
                loading.recovered.sessions.push(RecoveredSession::new(client_id, session));
            } else {
                loading.recovered.expired += 1;
                loading.recovered.wills.extend(session.will.map(|will| will.message));
                loading.clean(table, key);
            }
            Ok(())
        })
    }

    fn queues(&mut self) -> Result<(), LoadError> {
        let table = self.durable.0.tables.queues;
        self.each(table, "queues", |loading, key, value| {
            let (client_id, kind, rest) = split(key)?;
            let sessions = &loading.recovered.sessions;
            let found = sessions.binary_search_by(|session| (*session.client_id).cmp(client_id));
            let wanted = match (found, kind) {
                // Of a session that has expired.
                (Err(_), _) => false,
                (Ok(at), kind::IN_FLIGHT) => loading.flight(at, number(rest)?, value)?,
                (Ok(at), kind::QUEUED) => loading.entry(at, number(rest)?, value)?,
                (Ok(at), kind::UNRELEASED) => loading.unreleased(at, rest)?,
                (Ok(_), _) => return Err(Corrupt("its key is of a kind that is not known")),
            };
            if !wanted {
                loading.clean(table, key);
            }
            Ok(())
        })
    }

    fn flight(&mut self, at: usize, seq: u64, value: &[u8]) -> Result<bool, Corrupt> {
        let reached = Reached::decode(value)?;
        let session = &mut self.recovered.sessions[at];
        session.last_seq = session.last_seq.max(seq);
        session.in_flight.push(Flight { seq, id: reached.id, entry: None });
        if !reached.received {
            self.awaited.insert((at, seq));
        }
        Ok(true)
    }

    /// Says whether the entry is of any use.
    fn entry(&mut self, at: usize, seq: u64, value: &[u8]) -> Result<bool, Corrupt> {
        let Found { content, qos, retain, ids } = Found::decode(value)?;
        let session = &mut self.recovered.sessions[at];
        session.last_seq = session.last_seq.max(seq);
        let shared = match content {
            Content::Here(message) => Err(Arc::new(message)),
            Content::Shared(number) => match self.messages.get_mut(&number) {
                Some(shared) => Ok(shared),
                // It goes with its last entry, but in a commit of its own: this entry was
                // done with when the process ended.
                None => return Ok(false),
            },
        };
        let message = match &shared {
            Ok(shared) => Arc::clone(&shared.message),
            Err(message) => Arc::clone(message),
        };
        let in_flight = self.awaited.remove(&(at, seq));
        if !in_flight && message.expiry_left(self.now_ms).is_none() {
            self.recovered.expired += 1;
            return Ok(false);
        }
        if let Ok(shared) = shared {
            shared.uses += 1;
        }
        let entry = StoredEntry { seq, message, qos, retain, ids };
        match session.in_flight.binary_search_by_key(&seq, |flight| flight.seq) {
            Ok(place) if in_flight => session.in_flight[place].entry = Some(entry),
            _ => session.queue.push(entry),
        }
        Ok(true)
    }

    fn unreleased(&mut self, at: usize, rest: &[u8]) -> Result<bool, Corrupt> {
        let id = rest.try_into().ok().map(u16::from_be_bytes).and_then(PacketId::new);
        let id = id.ok_or(Corrupt("its key has no packet id"))?;
        self.recovered.sessions[at].unreleased.push(id);
        Ok(true)
    }

    fn transits(&mut self) -> Result<(), LoadError> {
        self.each(self.durable.0.tables.transits, "transits", |loading, key, value| {
            let Transited { shards, client_id, found } = Transited::decode(value)?;
            let (number, shard) = key.split_last_chunk().ok_or(Corrupt("its key is empty"))?;
            let (number, [shard]) = (self::number(number)?, *shard);
            let (qos, retain, ids) = (found.qos, found.retain, found.ids);
            match loading.message(found.content) {
                Some(message) => {
                    let transit = Transit { number, shard, message };
                    loading.transits.add(InTransit {
                        transit,
                        shards,
                        client_id,
                        qos,
                        retain,
                        ids,
                    });
                }
                None => loading.clean(loading.durable.0.tables.transits, key),
            }
            Ok(())
        })
    }

    /// The message of an entry, or of one in transit, which has one more that names it. `None`
    /// where it is gone: it goes with the last that names it, but in a commit of its own.
    fn message(&mut self, content: Content) -> Option<Arc<Message>> {
        match content {
            Content::Here(message) => Some(Arc::new(message)),
            Content::Shared(number) => {
                let shared = self.messages.get_mut(&number)?;
                shared.uses += 1;
                Some(Arc::clone(&shared.message))
            }
        }
    }

    fn end(mut self, parent: Parent) -> Result<Recovered, LoadError> {
        let Tables { queues, messages, .. } = self.durable.0.tables;
        for (at, seq) in std::mem::take(&mut self.awaited) {
            let session = &mut self.recovered.sessions[at];
            session.in_flight.retain(|flight| flight.seq != seq);
            let key = queue_key(&session.client_id, kind::IN_FLIGHT, &seq.to_be_bytes());
            self.clean(queues, &key);
        }
        let next = self.messages.keys().max().map_or(0, |highest| highest + 1);
        self.durable.0.next_message.store(next, Ordering::Relaxed);
        let mut shared = self.durable.shared();
        for (number, message) in std::mem::take(&mut self.messages) {
            if message.uses > 0 {
                shared.by_place.insert(place(&message.message), message);
            } else {
                self.clean(messages, &message_key(number));
            }
        }
        drop(shared);
        self.take_out()?;
        self.transits.complete(self.durable, &mut self.recovered, self.now_ms, parent)?;
        Ok(self.recovered)
    }

    /// Takes out of the store what is of no more use.
    fn take_out(&mut self) -> Result<(), LoadError> {
        let store = &self.durable.0.store;
        let mut batch = Batch::new();
        for (table, key) in self.cleaning.drain(..) {
            batch.delete(table, &key);
            if batch.bytes() >= CLEANING_BYTES {
                commit(store, std::mem::take(&mut batch))?;
            }
        }
        commit(store, batch)
    }

    fn clean(&mut self, table: Table, key: &[u8]) {
        self.cleaning.push((table, key.to_vec()));
    }

    /// Reads a table until a record makes no sense.
    fn each(
        &mut self,
        table: Table,
        name: &'static str,
        mut read: impl FnMut(&mut Self, &[u8], &[u8]) -> Result<(), Corrupt>,
    ) -> Result<(), LoadError> {
        let store = self.durable.0.store.clone();
        let mut wrong = None;
        store.for_each(table, &[], |key, value| {
            if wrong.is_none()
                && let Err(Corrupt(what)) = read(self, key, value)
            {
                let key = key.escape_ascii().to_string();
                wrong = Some(LoadError::Record { table: name, key, what });
            }
        })?;
        wrong.map_or(Ok(()), Err)
    }
}

// === impl RecoveredSession ===

impl RecoveredSession {
    fn new(client_id: &str, session: StoredSession) -> Self {
        Self {
            client_id: client_id.into(),
            session,
            in_flight: Vec::new(),
            queue: Vec::new(),
            unreleased: Vec::new(),
            last_seq: 0,
        }
    }
}

/// Waits until a batch is written: nothing else is going on yet.
fn commit(store: &Store, batch: Batch) -> Result<(), LoadError> {
    if batch.is_empty() {
        return Ok(());
    }
    // Whether it is written, the flush says. Nothing waits, so it is taken; and its keys were
    // found there.
    let _ = store.commit(batch, |_| {});
    Ok(store.flush()?)
}

fn number(bytes: &[u8]) -> Result<u64, Corrupt> {
    bytes.try_into().map(u64::from_be_bytes).map_err(|_| Corrupt("its key has no number"))
}

fn text(bytes: &[u8]) -> Result<&str, Corrupt> {
    std::str::from_utf8(bytes).map_err(|_| Corrupt("its key is not UTF-8"))
}

/// Cuts the key of a queue's record into client id, kind and the rest.
fn split(key: &[u8]) -> Result<(&str, u8, &[u8]), Corrupt> {
    let end = key.iter().position(|byte| *byte == 0).ok_or(Corrupt("its key has no kind"))?;
    let (kind, rest) = key[end + 1..].split_first().ok_or(Corrupt("its key has no kind"))?;
    Ok((text(&key[..end])?, *kind, rest))
}
