//! What the shared state of a shard may do to the connections there.

use std::time::Instant;

use bytes::Bytes;

use crate::shard::Shard;
use crate::{Audience, ConnectionId, Context, Session};

/// One turn of a shard's loop, as the state that its sessions share sees it: the
/// connections of the shard are in reach.
#[derive(Debug)]
pub struct Turn<'a, S: Session> {
    pub(crate) shard: &'a mut Shard<S>,
}

// === impl Turn ===

impl<S: Session> Turn<'_, S> {
    /// The time of this turn.
    pub fn now(&self) -> Instant {
        self.shard.now
    }

    /// What the sessions of this shard share.
    pub fn shared(&mut self) -> &mut S::Shared {
        &mut self.shard.shared
    }

    /// Calls the session of a connection of this shard. `None` where it is gone.
    pub fn call<R>(
        &mut self,
        id: ConnectionId,
        f: impl FnOnce(&mut S, &mut Context<'_, S::Shared>) -> R,
    ) -> Option<R> {
        self.shard.connection(id.slot).filter(|connection| connection.id == id)?;
        let mut result = None;
        self.shard.call(id.slot, |session, cx| result = Some(f(session, cx)));
        result
    }

    /// The audience of a connection that is not here yet, though its peer may know already
    /// that it is connected: one that is [expected](crate::Reservation::expect).
    pub fn expected(&self, id: ConnectionId) -> Option<Audience> {
        self.shard.expected.audience(id)
    }

    /// Keeps a command for a connection that is [expected](Self::expected), until it is here.
    /// `false`: too much waits for it already.
    pub fn keep(&mut self, id: ConnectionId, command: S::Command) -> bool {
        self.shard.expected.command(id, command)
    }

    /// Queues `bytes` for the peer of a connection; they leave with what else the turn
    /// brings, in one write. Says how many bytes wait for a peer that does not read: none
    /// where the socket takes what it is given, or where the connection is gone.
    pub fn send(&mut self, id: ConnectionId, bytes: Bytes) -> usize {
        let slot = id.slot;
        let Some(connection) = self.shard.connection(slot).filter(|found| found.id == id) else {
            return 0;
        };
        connection.outbound.push(bytes);
        let waiting = if connection.blocked { connection.outbound.len() } else { 0 };
        self.shard.mark(slot);
        waiting
    }
}
