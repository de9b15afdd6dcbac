//! What the broker has to remember beyond the end of the process: retained messages, the
//! sessions that outlive their connections, and what is on its way to them.
//!
//! # Brief overview
//!
//! - [`Durable`] is the broker's part of the store, shared by all shards;
//!   [`load`](Durable::load) gives back what was there, once, at the start.
//! - [`Keeper`] is a shard's: it collects what a turn has changed, and commits it at the
//!   turn's end.
//! - `record` says what a session, a message and a queue's entry look like as bytes; `code`
//!   is the alphabet.
//!
//! ```text
//! let durable = Durable::open(&store)?;
//! let recovered = durable.load(now_ms, parent)?; // retained messages, sessions with queues
//! let mut keeper = durable.keeper();         // one for each shard
//!
//! // In a turn, whenever something of a session that persists changes:
//! keeper.session("alice", &stored_session);  // begun, subscribed, connected, gone
//! keeper.enqueue("alice", 1, &Entry { message: &message, qos, retain: false, ids: None });
//! keeper.retain(&message.topic, Some(&message));
//!
//! // At the turn's end. `done` runs on the store's thread.
//! if !keeper.is_empty() {
//!     let told = move |kept: bool| hub.notify_anyway(shard, Notice::Kept { ticket, ok: kept }, 0);
//!     if keeper.commit(told).is_err() { /* it keeps its changes: try at the next turn */ }
//! }
//!
//! // Later: PUBACK for what was enqueued as 1, or it has expired.
//! keeper.dequeue("alice", 1, &message);
//! // The session ends: each message of its queue is dequeued, and then
//! keeper.end_session("alice");
//! ```
//!
//! # What is stored when
//!
//! | happens | call |
//! |---|---|
//! | a session begins, is resumed, changes its subscriptions, loses its connection | [`Keeper::session`], the whole of it |
//! | a message of QoS 1 or 2 is given to it, sent at once or not | [`Keeper::enqueue`] under the session's next number |
//! | one of QoS 2 is sent | [`Keeper::sent`], so that it is sent again under the same packet id |
//! | PUBACK; or it is dropped | [`Keeper::dequeue`] |
//! | PUBREC | [`Keeper::received`]: the message goes, its packet id stays |
//! | PUBCOMP | [`Keeper::completed`] |
//! | the client publishes with QoS 2; releases that | [`Keeper::hold`]; [`Keeper::release`] |
//! | what it has so published goes to another shard; and that keeps its part | [`Keeper::hand_over`]; [`Keeper::take_over`] |
//! | something that would have to be stored is about to be accepted | [`Keeper::is_full`], to refuse it |
//! | the session ends | [`Keeper::dequeue`] and the like for all that it has, [`Keeper::end_session`] |
//!
//! That one of QoS 1 was sent is not stored: after a restart it is sent again as if it had
//! not been, which a client cannot tell from its acknowledgement having been lost but for
//! the DUP flag.
//!
//! # After a crash
//!
//! Nothing that was acknowledged is lost. A message of QoS 1 that was under way may come
//! twice. One of QoS 2 does not, from a session that is kept to a session that is: each step
//! of an exchange is committed before the other side is told to take the next.
//!
//! - In, the packet id is in the commit of what the message leaves behind. What other shards
//!   have to keep of it is there too, as messages *in transit*, which each of them takes out
//!   in the commit of its own part; [`load`](Durable::load) completes what they did not come
//!   to. PUBREC waits for the first of these commits, PUBCOMP for that which frees the id.
//! - Out, PUBLISH waits for the commit of the entry and its packet id, and PUBREL for that of
//!   PUBREC.
//!
//! # Layout
//!
//! | table | key | value |
//! |---|---|---|
//! | `retained` | topic | message |
//! | `sessions` | client id | session |
//! | `queues` | client id, 0, `q`, number | entry: a message of up to 512 bytes as it is, or which one of `messages` |
//! | `queues` | client id, 0, `f`, number | packet id, and whether the client has the message |
//! | `queues` | client id, 0, `u`, packet id | nothing: a publish of QoS 2 that is not released |
//! | `messages` | number | message, once for all queues that it is in |
//! | `transits` | number, shard | a message for sessions of that shard which it has yet to keep |
//!
//! Client ids have no U+0000 in them. Every value begins with the version of its form.

pub(crate) mod code;
mod keeper;
mod pieces;
pub(crate) mod record;
mod recover;
#[cfg(test)]
mod tests;
mod transit;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fanwire_store::{Store, StoreError, Table};

pub(crate) use self::keeper::{Keeper, Transit};
pub(crate) use self::pieces::{encode_reached, of_pieces};
pub(crate) use self::record::{
    Destination, Entry, Found, StoredSession, StoredSubscription, StoredWill,
};
pub use self::recover::LoadError;
pub(crate) use self::recover::{Flight, Recovered, RecoveredSession, StoredEntry};
use crate::Message;
use crate::topic::Parent;

/// The broker's part of the store. Clones are handles to the same.
#[derive(Debug, Clone)]
pub(crate) struct Durable(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Store,
    tables: Tables,
    shared: Mutex<SharedMessages>,
    next_message: AtomicU64,
}

#[derive(Debug, Clone, Copy)]
struct Tables {
    retained: Table,
    sessions: Table,
    queues: Table,
    messages: Table,
    transits: Table,
}

/// Messages that are stored once for all the queues that they are in.
// A std lock: held for a look-up, and only for messages that are not stored in place.
#[derive(Debug, Default)]
struct SharedMessages {
    /// By where the message is in memory. It cannot move or make room for another one, for
    /// it is held here.
    by_place: HashMap<usize, SharedMessage, foldhash::fast::RandomState>,
}

#[derive(Debug)]
struct SharedMessage {
    message: Arc<Message>,
    /// Its key in the table of messages.
    number: u64,
    /// How many entries of queues name it.
    uses: usize,
}

// === impl Durable ===

impl Durable {
    /// Finds or makes the tables.
    ///
    /// # Errors
    ///
    /// When the store cannot.
    pub(crate) fn open(store: &Store) -> Result<Self, StoreError> {
        let tables = Tables {
            retained: store.table("retained")?,
            sessions: store.table("sessions")?,
            queues: store.table("queues")?,
            messages: store.table("messages")?,
            transits: store.table("transits")?,
        };
        Ok(Self(Arc::new(Inner {
            store: store.clone(),
            tables,
            shared: Mutex::default(),
            next_message: AtomicU64::new(0),
        })))
    }

    /// Reads everything. To be called once, before there is a keeper. What is of no more use
    /// at `now_ms`, in milliseconds since the epoch, is taken out of the store; what was in
    /// transit is put into the queues that it was for.
    ///
    /// # Errors
    ///
    /// When something cannot be read or understood; then nothing has been changed.
    pub(crate) fn load(&self, now_ms: u64, parent: Parent) -> Result<Recovered, LoadError> {
        recover::load(self, now_ms, parent)
    }

    /// What one shard writes with.
    pub(crate) fn keeper(&self) -> Keeper {
        Keeper::new(self.clone())
    }

    /// Another entry names this message. Says its number, and whether it has to be written.
    fn share(&self, message: &Arc<Message>) -> (u64, bool) {
        let mut shared = self.shared();
        let entry = shared.by_place.entry(place(message));
        let known = entry.or_insert_with(|| SharedMessage {
            message: Arc::clone(message),
            number: self.0.next_message.fetch_add(1, Ordering::Relaxed),
            uses: 0,
        });
        known.uses += 1;
        (known.number, known.uses == 1)
    }

    /// An entry names this message no more. Says its number if it was the last.
    fn unshare(&self, message: &Arc<Message>) -> Option<u64> {
        let mut shared = self.shared();
        let known = shared.by_place.get_mut(&place(message))?;
        known.uses -= 1;
        if known.uses > 0 {
            return None;
        }
        shared.by_place.remove(&place(message)).map(|known| known.number)
    }

    fn shared(&self) -> MutexGuard<'_, SharedMessages> {
        self.0.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn place(message: &Arc<Message>) -> usize {
    Arc::as_ptr(message).addr()
}
