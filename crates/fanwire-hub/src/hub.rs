//! The handle that everything else holds.

use std::fmt;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::options::LETTER_BYTES;
use crate::shard::{Letter, MakeCommand, ShardHandle, ShardParts};
use crate::{Audience, Clock, ConnectionId, HubOptions, Session, Transport};

/// Too much waits already: for a shard, or for a place among the connections. Try
/// again later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too much is waiting; try again later")]
pub struct Busy;

/// Counters since the start, over all shards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HubStats {
    /// Connections now, those still in their handshake included.
    pub connections: usize,
    /// Messages that a broadcast could not give to a receiver too slow for them.
    pub dropped: u64,
}

/// The connections of this process. Cheap to clone.
pub struct Hub<S: Session> {
    shared: Arc<HubShared<S>>,
}

struct HubShared<S: Session> {
    options: HubOptions,
    shards: Vec<Arc<ShardHandle<S>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// A connection id whose connection is not attached yet. Dropping it gives the
/// place back.
pub struct Reservation<S: Session> {
    id: ConnectionId,
    shard: Option<Arc<ShardHandle<S>>>,
}

// === impl Hub ===

impl<S: Session> Hub<S> {
    /// Starts the shards' threads.
    ///
    /// # Errors
    ///
    /// Where the system refuses a thread or an event queue.
    pub fn start(options: HubOptions) -> io::Result<Self> {
        let count = options.shards.clamp(1, 256);
        let mut shards = Vec::with_capacity(count);
        let mut threads = Vec::with_capacity(count);
        for number in 0..count {
            let (shard, handle) = ShardParts::new(&options)?;
            let thread = std::thread::Builder::new().name(format!("shard-{number}"));
            threads.push(thread.spawn(move || shard.run())?);
            shards.push(handle);
        }
        let threads = Mutex::new(threads);
        Ok(Self { shared: Arc::new(HubShared { options, shards, threads }) })
    }

    /// Reserves a place on the shard that has the fewest connections, and the id
    /// that the connection will have.
    ///
    /// # Errors
    ///
    /// [`Busy`] where `max_connections` are there already.
    pub fn reserve(&self) -> Result<Reservation<S>, Busy> {
        let shards = &self.shared.shards;
        let used: usize = shards.iter().map(|shard| shard.used()).sum();
        if used >= self.shared.options.max_connections {
            return Err(Busy);
        }
        let least = shards.iter().enumerate().min_by_key(|(_, shard)| shard.used());
        let (number, shard) = least.ok_or(Busy)?;
        let slot = shard.take_slot().ok_or(Busy)?;
        // At most 256 shards are ever started.
        let number = u8::try_from(number).unwrap_or(u8::MAX);
        match ConnectionId::generate(self.shared.options.node, number, slot) {
            Ok(id) => Ok(Reservation { id, shard: Some(Arc::clone(shard)) }),
            Err(_) => {
                shard.release_slot(slot);
                Err(Busy)
            }
        }
    }

    /// Gives a socket, or TLS on one, to the shard that the reservation is for. `early` are
    /// bytes that the peer has sent already.
    pub fn attach(
        &self,
        mut reservation: Reservation<S>,
        transport: impl Into<Transport>,
        session: S,
        early: Vec<u8>,
    ) {
        if let Some(shard) = reservation.shard.take() {
            let id = reservation.id;
            let transport = transport.into();
            // One letter a reserved place, so their number is bounded.
            let letter = Letter::Attach { id, transport, session, early };
            shard.mailbox.send_anyway(letter, LETTER_BYTES);
        }
    }

    /// Sends a command that carries `bytes` bytes to one connection. A command for a
    /// connection that is gone, or of another node, is dropped.
    ///
    /// # Errors
    ///
    /// [`Busy`] where too much waits for the connection's shard.
    pub fn command(&self, id: ConnectionId, command: S::Command, bytes: usize) -> Result<(), Busy> {
        match self.shard_of(id) {
            Some(shard) => {
                shard.mailbox.send(Letter::Command { id, command }, bytes + LETTER_BYTES)
            }
            None => Ok(()),
        }
    }

    /// As [`command`](Self::command), for commands whose number is bounded by what
    /// the connection itself has asked for, such as the replies to its messages.
    pub fn reply(&self, id: ConnectionId, command: S::Command) {
        if let Some(shard) = self.shard_of(id) {
            shard.mailbox.send_anyway(Letter::Command { id, command }, LETTER_BYTES);
        }
    }

    /// Sends a message of `bytes` bytes to every connection of an audience. It is encoded once per
    /// wire form; a receiver whose queue is full does not get it, which is counted.
    ///
    /// # Errors
    ///
    /// [`Busy`] where too much waits for any of the shards; then nobody gets it.
    pub fn broadcast(
        &self,
        audience: Audience,
        message: S::Message,
        bytes: usize,
    ) -> Result<(), Busy> {
        let weight = bytes + LETTER_BYTES;
        let message = Arc::new(message);
        let shards = &self.shared.shards;
        if shards.iter().any(|shard| !shard.mailbox.has_room(weight)) {
            return Err(Busy);
        }
        for shard in shards {
            let message = Arc::clone(&message);
            // Where another sender took the room in between, the limit is passed by
            // one message a sender rather than the message delivered by half.
            shard.mailbox.send_anyway(Letter::Broadcast { audience, message }, weight);
        }
        Ok(())
    }

    /// The time that connections live in.
    pub fn clock(&self) -> &Clock {
        &self.shared.options.clock
    }

    /// Moves the clock ahead: what was due in that time happens now.
    pub fn advance(&self, by: Duration) {
        self.clock().advance(by);
        self.review();
    }

    /// Asks every session for its deadline again: the limits that it follows from have
    /// changed.
    pub fn review(&self) {
        for shard in &self.shared.shards {
            // One a change that somebody made by hand.
            shard.mailbox.send_anyway(Letter::Review, LETTER_BYTES);
        }
    }

    /// Sends a command, made for each of them, to the connections of an audience: to at
    /// most `limit` on each shard.
    ///
    /// # Errors
    ///
    /// [`Busy`] where too much waits for any of the shards; then none is asked.
    pub fn each(
        &self,
        audience: Audience,
        limit: usize,
        make: impl Fn() -> S::Command + Send + Sync + 'static,
    ) -> Result<(), Busy> {
        let shards = &self.shared.shards;
        if shards.iter().any(|shard| !shard.mailbox.has_room(LETTER_BYTES)) {
            return Err(Busy);
        }
        let make: MakeCommand<S> = Arc::new(make);
        for shard in shards {
            let letter = Letter::Each { audience, limit, make: Arc::clone(&make) };
            // As with a broadcast: rather one letter too many than half of an answer.
            shard.mailbox.send_anyway(letter, LETTER_BYTES);
        }
        Ok(())
    }

    /// Counters over all shards.
    pub fn stats(&self) -> HubStats {
        let mut stats = HubStats::default();
        for shard in &self.shared.shards {
            stats.connections += shard.used();
            stats.dropped += shard.dropped.load(Ordering::Relaxed);
        }
        stats
    }

    /// Asks every session to stop, waits up to `grace` for those that say goodbye to
    /// their peers, and ends the shards. Blocks; further calls return at once.
    pub fn stop(&self, grace: Duration) {
        for shard in &self.shared.shards {
            shard.mailbox.send_anyway(Letter::Stop { grace }, 0);
        }
        let threads = {
            let mut threads = self.shared.threads.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *threads)
        };
        for thread in threads {
            // A shard that panicked has nothing left to stop.
            let _ = thread.join();
        }
    }

    fn shard_of(&self, id: ConnectionId) -> Option<&Arc<ShardHandle<S>>> {
        let here = id.node == self.shared.options.node;
        self.shared.shards.get(usize::from(id.shard)).filter(|_| here)
    }
}

impl<S: Session> fmt::Debug for Hub<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").field("options", &self.shared.options).finish_non_exhaustive()
    }
}

impl<S: Session> Clone for Hub<S> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

// === impl Reservation ===

impl<S: Session> Reservation<S> {
    /// The id that the connection will have.
    pub fn id(&self) -> ConnectionId {
        self.id
    }
}

impl<S: Session> fmt::Debug for Reservation<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Reservation").field(&self.id).finish()
    }
}

impl<S: Session> Drop for Reservation<S> {
    fn drop(&mut self) {
        if let Some(shard) = self.shard.take() {
            shard.release_slot(self.id.slot);
        }
    }
}
