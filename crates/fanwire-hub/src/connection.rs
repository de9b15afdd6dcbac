//! One connection as its shard keeps it, and what a session may do to it.

use std::io;
use std::time::Instant;

use bytes::Bytes;
use mio::{Interest, Registry};

use crate::outbound::{Flushed, Outbound};
use crate::shard::Counted;
use crate::{ConnectionId, Session, Transport};

/// One connection on its shard: the session and what the shard does for it.
#[derive(Debug)]
pub(crate) struct Connection<S> {
    pub(crate) id: ConnectionId,
    pub(crate) transport: Transport,
    pub(crate) session: S,
    pub(crate) outbound: Outbound,
    pub(crate) wishes: Wishes,
    /// Bytes read but not taken by the session, which had paused. Empty otherwise.
    pub(crate) unread: Vec<u8>,
    /// The socket may have more to read: the readiness that a pause made us ignore.
    pub(crate) readable: bool,
    /// The socket pushed back; nothing is written until it is writable again.
    pub(crate) blocked: bool,
    /// Whether the socket's readiness to be written to is watched.
    pub(crate) watches_writes: bool,
    /// The session waits in the list of those to be settled.
    pub(crate) dirty: bool,
    /// The earliest second that its deadline is filed under.
    pub(crate) filed: u32,
    /// Its place among the members of its audience.
    pub(crate) place: u32,
}

impl<S: Session> Connection<S> {
    /// Whether the socket has taken everything that was queued for it.
    pub(crate) fn is_drained(&self) -> bool {
        self.outbound.is_empty() && !self.transport.holds_output()
    }

    /// Writes what is queued, as far as the socket takes it.
    pub(crate) fn flush(&mut self, counted: &Counted) -> io::Result<Flushed> {
        let queued = self.outbound.len();
        let flushed = self.outbound.flush(&mut self.transport);
        counted.bytes_out.add((queued - self.outbound.len()) as u64);
        flushed
    }

    /// The socket has pushed back: from now on it is to tell when it no longer does. Most
    /// never do, and are watched for reading only.
    pub(crate) fn block(&mut self, registry: &Registry) -> io::Result<()> {
        self.blocked = true;
        if !self.watches_writes {
            self.watches_writes = true;
            let (token, both) = (self.id.token(), Interest::READABLE | Interest::WRITABLE);
            registry.reregister(self.transport.socket(), token, both)?;
        }
        Ok(())
    }

    /// The session, and what it may do while it is called.
    pub(crate) fn session<'a>(
        &'a mut self,
        now: Instant,
        shared: &'a mut S::Shared,
    ) -> (&'a mut S, Context<'a, S::Shared>) {
        let (outbound, wishes) = (&mut self.outbound, &mut self.wishes);
        (&mut self.session, Context { id: self.id, now, outbound, wishes, shared })
    }
}

/// What a session has asked of its shard and has not got yet.
#[derive(Debug, Default)]
pub(crate) struct Wishes {
    /// Close now.
    pub(crate) abort: bool,
    /// Close once everything is written.
    pub(crate) finish: bool,
    /// Tell the peer that nothing more comes once everything is written.
    pub(crate) shutdown_write: bool,
    /// Read nothing for now.
    pub(crate) paused: bool,
}

/// What a [`Session`](crate::Session) may do while it is called.
#[derive(Debug)]
pub struct Context<'a, Shared> {
    pub(crate) id: ConnectionId,
    pub(crate) now: Instant,
    pub(crate) outbound: &'a mut Outbound,
    pub(crate) wishes: &'a mut Wishes,
    pub(crate) shared: &'a mut Shared,
}

impl<Shared> Context<'_, Shared> {
    /// The connection's id.
    pub fn id(&self) -> ConnectionId {
        self.id
    }

    /// The time of this call. The same for all that happens in one turn of the loop.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// What the sessions of this shard share.
    pub fn shared(&mut self) -> &mut Shared {
        self.shared
    }

    /// Queues `bytes` for the peer. What is sent in one turn leaves in one write.
    pub fn send(&mut self, bytes: Bytes) {
        self.outbound.push(bytes);
    }

    /// How many bytes the peer has yet to take, those just sent included, but for the
    /// few that TLS has encrypted already.
    pub fn queued_bytes(&self) -> usize {
        self.outbound.len()
    }

    /// Closes the connection once everything sent is written.
    pub fn finish(&mut self) {
        self.wishes.finish = true;
    }

    /// Closes the connection now, whatever is still to be written.
    pub fn abort(&mut self) {
        self.wishes.abort = true;
    }

    /// Tells the peer that nothing more comes, once everything sent is written, and
    /// goes on reading. A socket closed while bytes are unread may take back what it
    /// sent last, so a session that refuses its peer's bytes ends this way.
    pub fn shutdown_write(&mut self) {
        self.wishes.shutdown_write = true;
    }

    /// Reads nothing more until [`resume`](Self::resume): the peer gets back-pressure.
    pub fn pause(&mut self) {
        self.wishes.paused = true;
    }

    /// Reads again.
    pub fn resume(&mut self) {
        self.wishes.paused = false;
    }
}
