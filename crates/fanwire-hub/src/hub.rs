//! The handle that everything else holds.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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
    /// Messages that broadcasts gave to receivers, one for each of them.
    pub broadcast: u64,
    /// Bytes that peers sent, without what TLS adds.
    pub bytes_in: u64,
    /// Bytes that sockets took, without what TLS adds.
    pub bytes_out: u64,
    /// Bytes that were yet to be sent to connections when they ended.
    pub bytes_unsent: u64,
    /// Bytes that wait for the shards now.
    pub waiting_bytes: usize,
    /// Bytes that wait for the shard that most wait for.
    pub waiting_max_bytes: usize,
}

/// The connections of this process. Cheap to clone.
pub struct Hub<S: Session> {
    shared: Arc<HubShared<S>>,
}

struct HubShared<S: Session> {
    options: HubOptions,
    /// This node's number now: in a cluster it changes where the node has to come anew.
    node: AtomicU16,
    shards: Vec<Arc<ShardHandle<S>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// A connection id whose connection is not attached yet. Dropping it gives the
/// place back.
pub struct Reservation<S: Session> {
    id: ConnectionId,
    shard: Option<Arc<ShardHandle<S>>>,
    is_expected: bool,
}

// === impl Hub ===

impl<S: Session> Hub<S> {
    /// Starts the shards' threads, each with default shared state.
    ///
    /// # Errors
    ///
    /// Where the system refuses a thread or an event queue.
    pub fn start(options: HubOptions) -> io::Result<Self>
    where
        S::Shared: Default,
    {
        Self::start_with(options, |_, _| S::Shared::default())
    }

    /// Starts the shards' threads. `make_shared` is called on each, with the hub and the
    /// shard's number, for what the sessions there share.
    ///
    /// # Errors
    ///
    /// Where the system refuses a thread or an event queue.
    pub fn start_with(
        options: HubOptions,
        make_shared: impl Fn(&Self, usize) -> S::Shared + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let parts: Vec<_> = (0..options.shards.clamp(1, 256))
            .map(|_| ShardParts::new(&options))
            .collect::<Result<_, _>>()?;
        let (parts, shards): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
        let threads = Mutex::default();
        let node = AtomicU16::new(options.node);
        let hub = Self { shared: Arc::new(HubShared { options, node, shards, threads }) };
        let make_shared = Arc::new(make_shared);
        for (number, shard) in parts.into_iter().enumerate() {
            let (of, make_shared) = (hub.clone(), Arc::clone(&make_shared));
            let thread = std::thread::Builder::new().name(format!("shard-{number}"));
            let thread = thread.spawn(move || shard.run(move || make_shared(&of, number)))?;
            hub.threads().push(thread);
        }
        Ok(hub)
    }

    /// How many shards there are.
    pub fn shards(&self) -> usize {
        self.shared.shards.len()
    }

    /// Reserves a place on the shard that has the fewest connections, and the id
    /// that the connection will have.
    ///
    /// # Errors
    ///
    /// [`Busy`] where `max_connections` are there already.
    pub fn reserve(&self) -> Result<Reservation<S>, Busy> {
        let shards = self.shared.shards.iter().enumerate();
        let (number, _) = shards.min_by_key(|(_, shard)| shard.used()).ok_or(Busy)?;
        self.reserve_on(number)
    }

    /// As [`reserve`](Self::reserve), on the shard of a number: for planes whose
    /// connections have to be where what they resume is.
    ///
    /// # Errors
    ///
    /// [`Busy`] where `max_connections` are there already, or there is no such shard.
    pub fn reserve_on(&self, number: usize) -> Result<Reservation<S>, Busy> {
        let shards = &self.shared.shards;
        let used: usize = shards.iter().map(|shard| shard.used()).sum();
        if used >= self.shared.options.max_connections {
            return Err(Busy);
        }
        let shard = shards.get(number).ok_or(Busy)?;
        let slot = shard.take_slot().ok_or(Busy)?;
        // At most 256 shards are ever started.
        let number = u8::try_from(number).unwrap_or(u8::MAX);
        match ConnectionId::generate(self.node(), number, slot) {
            Ok(id) => Ok(Reservation { id, shard: Some(Arc::clone(shard)), is_expected: false }),
            Err(_) => {
                shard.release_slot(slot);
                Err(Busy)
            }
        }
    }

    /// Gives a socket, or TLS on one, to the shard that the reservation is for. `early` are
    /// bytes that the peer has sent already.
    ///
    /// # Errors
    ///
    /// The session, where the hub has stopped: it was never opened, and nobody has told it of
    /// its end. The socket is closed.
    pub fn attach(
        &self,
        mut reservation: Reservation<S>,
        transport: impl Into<Transport>,
        session: S,
        early: Vec<u8>,
    ) -> Result<(), S> {
        let Some(shard) = reservation.shard.take() else { return Ok(()) };
        let (id, transport) = (reservation.id, transport.into());
        let letter = Letter::Attach { id, transport, session, early };
        // One letter a reserved place, so their number is bounded.
        match shard.mailbox.hand_in(letter, LETTER_BYTES) {
            Err(Letter::Attach { session, .. }) => {
                shard.release_slot(id.slot);
                Err(session)
            }
            _ => Ok(()),
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

    /// Tells the shared state of a shard something that carries `bytes` bytes. Where the
    /// hub has stopped, nobody is told.
    ///
    /// # Errors
    ///
    /// [`Busy`] where too much waits for that shard.
    pub fn notify(&self, shard: usize, notice: S::Notice, bytes: usize) -> Result<(), Busy> {
        match self.shared.shards.get(shard) {
            Some(shard) => shard.mailbox.send(Letter::Notice(notice), bytes + LETTER_BYTES),
            None => Ok(()),
        }
    }

    /// Tells several shards something, each notice carrying `bytes` bytes.
    ///
    /// # Errors
    ///
    /// [`Busy`] where too much waits for any of the shards; then none is told.
    pub fn notify_all(&self, notices: Vec<(usize, S::Notice)>, bytes: usize) -> Result<(), Busy> {
        let weight = bytes + LETTER_BYTES;
        let shards = &self.shared.shards;
        let has_room =
            |shard: usize| shards.get(shard).is_none_or(|shard| shard.mailbox.has_room(weight));
        if !notices.iter().all(|(shard, _)| has_room(*shard)) {
            return Err(Busy);
        }
        for (shard, notice) in notices {
            // As with a broadcast: rather one notice too many than half of them.
            self.notify_anyway(shard, notice, bytes);
        }
        Ok(())
    }

    /// As [`notify`](Self::notify), for notices whose number is bounded by something else.
    pub fn notify_anyway(&self, shard: usize, notice: S::Notice, bytes: usize) {
        if let Some(shard) = self.shared.shards.get(shard) {
            shard.mailbox.send_anyway(Letter::Notice(notice), bytes + LETTER_BYTES);
        }
    }

    /// Whether less waits for a shard than it should. What [`notify_anyway`](Self::notify_anyway)
    /// leaves counts: whoever it acts for had better be slowed down.
    pub fn has_room(&self, shard: usize) -> bool {
        self.shared.shards.get(shard).is_none_or(|shard| shard.mailbox.has_room(LETTER_BYTES))
    }

    /// This node's number.
    pub fn node(&self) -> u16 {
        self.shared.node.load(Ordering::Relaxed)
    }

    /// Gives this node another number: that of the connections that come from now on. Those
    /// there are have ids of another node from now on, and cannot be asked anything.
    pub fn set_node(&self, node: u16) {
        self.shared.node.store(node, Ordering::Relaxed);
    }

    /// Whether a connection id is of this node.
    pub fn is_here(&self, id: ConnectionId) -> bool {
        id.node == self.node()
    }

    /// The shard of a connection id. `None` where it is of another node, or of none.
    pub fn shard_number(&self, id: ConnectionId) -> Option<usize> {
        self.shard_of(id).map(|_| id.shard())
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
            stats.dropped += shard.counted.dropped.get();
            stats.broadcast += shard.counted.broadcast.get();
            stats.bytes_in += shard.counted.bytes_in.get();
            stats.bytes_out += shard.counted.bytes_out.get();
            stats.bytes_unsent += shard.counted.bytes_unsent.get();
            let waiting = shard.mailbox.waiting();
            stats.waiting_bytes += waiting;
            stats.waiting_max_bytes = stats.waiting_max_bytes.max(waiting);
        }
        stats
    }

    /// Asks the sessions to stop, one after the other over `window`, so that their peers do
    /// not all come back somewhere else at once. Returns at once; connections that are opened
    /// from now on are asked at once.
    pub fn drain(&self, window: Duration) {
        for shard in &self.shared.shards {
            shard.mailbox.send_anyway(Letter::Drain { window }, 0);
        }
    }

    /// Asks every session to stop, waits up to `grace` for those that say goodbye to
    /// their peers and for those that a place is reserved for, and ends the shards. Blocks;
    /// further calls return at once.
    pub fn stop(&self, grace: Duration) {
        for shard in &self.shared.shards {
            shard.mailbox.send_anyway(Letter::Stop { grace }, 0);
        }
        let threads = std::mem::take(&mut *self.threads());
        for thread in threads {
            // A shard that panicked has nothing left to stop.
            let _ = thread.join();
        }
    }

    fn threads(&self) -> MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.shared.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shard_of(&self, id: ConnectionId) -> Option<&Arc<ShardHandle<S>>> {
        self.shared.shards.get(usize::from(id.shard)).filter(|_| self.is_here(id))
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

    /// The peer is about to hear that it is connected: what is sent to the connection, or to
    /// `audience`, from now on waits until it is [attached](Hub::attach). Without this such
    /// things are dropped, as if there were no connection.
    pub fn expect(&mut self, audience: Audience) {
        if let Some(shard) = &self.shard {
            self.is_expected = true;
            // One letter a reserved place, so their number is bounded.
            shard.mailbox.send_anyway(Letter::Expect { id: self.id, audience }, LETTER_BYTES);
        }
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
            if self.is_expected {
                // Before somebody else can have the slot, and be expected there.
                shard.mailbox.send_anyway(Letter::Forget { id: self.id }, LETTER_BYTES);
            }
            shard.release_slot(self.id.slot);
            // One that stops may have waited for this place.
            shard.mailbox.wake();
        }
    }
}
