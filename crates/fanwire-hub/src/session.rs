//! What a plane brings to the hub: the state machine of one connection.

use std::io;
use std::time::Instant;

use bytes::Bytes;

use crate::{ConnectionId, Context, Turn};

/// The state machine of one connection's protocol. It does no input or output and
/// reads no clock: bytes, commands and the time come in, and what it wants goes out
/// through the [`Context`].
///
/// The shard calls [`opened`](Session::opened) first and
/// [`closed`](Session::closed) last, each once.
pub trait Session: Sized + Send + 'static {
    /// What other threads may ask of one connection. A command for a connection
    /// that is gone is dropped, so one that wants an answer carries a channel whose
    /// other end notices that.
    type Command: Send + 'static;

    /// What can be sent to many connections at once.
    type Message: Send + Sync + 'static;

    /// State that all sessions of a shard share, such as a compressor or what they know of
    /// each other. It stays on the shard's own thread.
    type Shared: 'static;

    /// What other threads may tell a shard's shared state.
    type Notice: Send + 'static;

    /// Which broadcasts reach this connection. Asked once, after `opened`.
    fn audience(&self) -> Audience;

    /// The connection is attached to its shard.
    fn opened(&mut self, cx: &mut Context<'_, Self::Shared>);

    /// Bytes have arrived. Takes from the front of `input` what it can use; where it
    /// paused reading it may leave the rest, which comes again after it resumes. Leaving
    /// something is pausing.
    fn received(&mut self, input: &mut &mut [u8], cx: &mut Context<'_, Self::Shared>);

    /// Another thread asks something.
    fn commanded(&mut self, command: Self::Command, cx: &mut Context<'_, Self::Shared>);

    /// Everything that was queued is written, and had to wait for a slow peer, or the
    /// session has paused.
    fn drained(&mut self, cx: &mut Context<'_, Self::Shared>);

    /// The hub is about to stop: say goodbye. What is not finished when the hub's
    /// patience ends is cut off.
    fn stopping(&mut self, cx: &mut Context<'_, Self::Shared>);

    /// The hub sends its peers away, one after the other, and this one's turn has come: it has
    /// until the hub stops. Without a gentler way of the protocol's that is goodbye.
    fn draining(&mut self, cx: &mut Context<'_, Self::Shared>) {
        self.stopping(cx);
    }

    /// When `expired` wants to be called next, if ever. Asked after every other call.
    fn deadline(&self) -> Option<Instant>;

    /// The deadline has passed.
    fn expired(&mut self, cx: &mut Context<'_, Self::Shared>);

    /// Which of a message's wire forms this connection takes, or `None` where it
    /// takes no more messages. Forms are small numbers: see `encode`.
    fn form(&self) -> Option<usize>;

    /// How many bytes may wait for the peer before broadcasts skip it. What a session
    /// sends itself it has to bound itself, by [`Context::queued_bytes`].
    fn outbound_limit(&self) -> usize;

    /// A message in one of its wire forms. Called once per burst, form and shard.
    fn encode(message: &Self::Message, form: usize, shared: &mut Self::Shared) -> Bytes;

    /// A broadcast was written, or queued, for this connection.
    fn broadcast_sent(&mut self, now: Instant);

    /// What became of a broadcast on one shard. Called once on each, unless the hub stops
    /// before.
    fn broadcast_done(_message: &Self::Message, _reach: &Reach) {}

    /// The connection is gone.
    fn closed(self, ending: Ending, shared: &mut Self::Shared);

    /// Another thread tells the shard something.
    fn noticed(turn: &mut Turn<'_, Self>, notice: Self::Notice);

    /// All that has come in is taken in, and nothing is written yet: what the sessions of
    /// the shard have for each other is delivered now. Called again, after the writes,
    /// for as long as it says that there was something.
    fn turn_ended(_turn: &mut Turn<'_, Self>) -> bool {
        false
    }

    /// When `shard_expired` wants to be called next, if ever. Asked once a turn.
    fn shard_deadline(_shared: &Self::Shared) -> Option<Instant> {
        None
    }

    /// The shard's own deadline has passed.
    fn shard_expired(_turn: &mut Turn<'_, Self>) {}
}

/// What became of a broadcast on one shard.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reach {
    /// How many connections it was written to, or is queued for.
    pub sent: usize,
    /// Those that have too much waiting already, and do not get it.
    pub full: Vec<ConnectionId>,
}

/// A set of connections that broadcasts are addressed to, such as those of one API.
/// Numbered from zero by whoever configures the hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Audience(pub u16);

/// Why a connection ended.
#[derive(Debug)]
pub enum Ending {
    /// The session asked for it.
    Finished,
    /// The peer closed its side.
    PeerClosed,
    /// The socket failed.
    Failed(io::Error),
    /// The hub stopped before the session was done.
    HubStopped,
}
