//! One connection of a session: what waits to be sent on it, and its timers.

use std::time::{Duration, Instant};

use fanwire_wire::trpc::{PING, encode_batch};

use super::session::{KeepAlive, PROVEN_AFTER};

/// The most messages of one batch. Servers may take no more than they please; each of these
/// is a frame less to be read.
const MAX_BATCH: usize = 100;

/// The most bytes of several messages in one batch: API Gateway takes 32 KB in a frame, and what
/// it refuses with all subscriptions in it would be sent again, and refused again.
const MAX_BATCH_BYTES: usize = 24 * 1024;

/// A connection, counted from 1 by its client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct SocketId(pub(super) u64);

/// A connection that is open.
#[derive(Debug)]
pub(super) struct Socket {
    pub(super) id: SocketId,
    outgoing: Vec<Outgoing>,
    opened: Instant,
    /// Whether the server has answered on it.
    proven: bool,
    keep_alive: Option<KeepAlive>,
    /// When the server is asked whether it is there.
    ping_at: Option<Instant>,
    /// When it is gone, unless it answers before.
    pong_by: Option<Instant>,
    /// Questions of [`ping_out`](Socket::ping_out) that are not answered.
    pings: u32,
    /// When it ends, where it was replaced.
    leave_by: Option<Instant>,
}

/// What waits to be sent.
#[derive(Debug)]
enum Outgoing {
    /// A message, which may go in a batch with others.
    Message(String),
    /// A text that is one by itself.
    Bare(String),
}

// === impl Socket ===

impl Socket {
    pub(super) fn new(id: SocketId, now: Instant, keep_alive: Option<KeepAlive>) -> Self {
        Self {
            id,
            outgoing: Vec::new(),
            opened: now,
            proven: false,
            keep_alive,
            ping_at: keep_alive.map(|keep_alive| now + keep_alive.interval),
            pong_by: None,
            pings: 0,
            leave_by: None,
        }
    }

    /// It was replaced: it does what it has to, and ends.
    pub(super) fn retire(&mut self, leave_by: Instant) {
        self.leave_by = Some(leave_by);
        self.ping_at = None;
        self.pong_by = None;
    }

    pub(super) fn say(&mut self, message: String) {
        self.outgoing.push(Outgoing::Message(message));
    }

    pub(super) fn say_bare(&mut self, text: String) {
        self.outgoing.push(Outgoing::Bare(text));
    }

    /// Asks for an answer that comes after all else.
    pub(super) fn ping_out(&mut self) {
        self.pings = self.pings.saturating_add(1);
        self.say_bare(PING.to_owned());
    }

    /// Whether such an answer has yet to come.
    pub(super) fn awaits_pong(&self) -> bool {
        self.pings > 0
    }

    /// Something has come. Only a pong stops the timer that waits for one.
    pub(super) fn heard(&mut self, now: Instant) {
        if self.leave_by.is_none() && self.pong_by.is_none() {
            self.ping_at = self.keep_alive.map(|keep_alive| now + keep_alive.interval);
        }
    }

    pub(super) fn ponged(&mut self, now: Instant) {
        self.pings = self.pings.saturating_sub(1);
        self.pong_by = None;
        self.heard(now);
    }

    /// The server has answered.
    pub(super) fn prove(&mut self) {
        self.proven = true;
    }

    /// Whether it was a good connection: one to be made again at once.
    pub(super) fn is_proven(&self, now: Instant) -> bool {
        self.proven || now.saturating_duration_since(self.opened) >= PROVEN_AFTER
    }

    /// Asks the server where it has been silent. Its id, where it has to be given up.
    pub(super) fn give_up(&mut self, now: Instant) -> Option<SocketId> {
        let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if is_due(self.pong_by) || is_due(self.leave_by) {
            return Some(self.id);
        }
        if is_due(self.ping_at) {
            self.ping_at = None;
            let patience = self.keep_alive.map_or(Duration::ZERO, |keep_alive| keep_alive.patience);
            self.pong_by = Some(now + patience);
            self.say_bare(PING.to_owned());
        }
        None
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        [self.ping_at, self.pong_by, self.leave_by].into_iter().flatten().min()
    }

    /// The next text to be sent: one by itself, or as many messages before the next such as fit.
    pub(super) fn next_text(&mut self) -> Option<String> {
        let mut bytes = 0;
        let messages = self.outgoing.iter().take(MAX_BATCH);
        let fits = messages.take_while(|next| match next {
            Outgoing::Message(text) => {
                bytes += text.len();
                bytes <= MAX_BATCH_BYTES
            }
            Outgoing::Bare(_) => false,
        });
        let count = fits.count();
        if self.outgoing.is_empty() {
            return None;
        }
        let texts = self.outgoing.drain(..count.max(1)).map(|next| match next {
            Outgoing::Message(text) | Outgoing::Bare(text) => text,
        });
        let texts: Vec<String> = texts.collect();
        Some(encode_batch(&texts))
    }
}
