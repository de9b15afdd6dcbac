//! The event loop of one shard: readiness, letters, deadlines, in that order.
//!
//! Sockets are registered once, edge-triggered, for both directions, so that
//! nothing but reads and writes costs a system call afterwards. A read that does
//! not fill the buffer has emptied the socket (epoll(7), question 9); what TLS keeps
//! between the socket and the session is `transport`'s business.

mod drain;
mod expected;
mod handle;
mod letters;
mod reading;
mod settle;

use std::fmt;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token, Waker};

use crate::connection::Connection;
use crate::deadlines::Deadlines;
use crate::mailbox::Mailbox;
use crate::members::Members;
use crate::{Audience, ConnectionId, Ending, HubOptions, Session, Transport, Turn};

use self::drain::Drain;
use self::expected::Expected;
pub(crate) use self::handle::{Counted, ShardHandle};

/// Readiness events taken from the system at once.
const EVENTS_PER_TURN: usize = 1024;

const WAKER: Token = Token(usize::MAX);

/// Makes a command for one more connection.
pub(crate) type MakeCommand<S> = Arc<dyn Fn() -> <S as Session>::Command + Send + Sync>;

/// What other threads may leave for a shard.
pub(crate) enum Letter<S: Session> {
    Attach {
        id: ConnectionId,
        transport: Transport,
        session: S,
        early: Vec<u8>,
    },
    /// The peer of a connection that is not here yet may know of it from now on.
    Expect {
        id: ConnectionId,
        audience: Audience,
    },
    /// It does not come.
    Forget {
        id: ConnectionId,
    },
    Command {
        id: ConnectionId,
        command: S::Command,
    },
    Broadcast {
        audience: Audience,
        message: Arc<S::Message>,
    },
    Each {
        audience: Audience,
        limit: usize,
        make: MakeCommand<S>,
    },
    Notice(S::Notice),
    /// Deadlines may have moved, or time itself.
    Review,
    /// Say goodbye to everybody over this time.
    Drain {
        window: Duration,
    },
    Stop {
        grace: Duration,
    },
}

/// One shard, owned by its thread.
pub(crate) struct Shard<S: Session> {
    handle: Arc<ShardHandle<S>>,
    poll: Poll,
    slots: Vec<Option<Box<Connection<S>>>>,
    members: Members,
    pub(crate) expected: Expected<S>,
    deadlines: Deadlines,
    pub(crate) shared: S::Shared,
    /// The one read buffer.
    scratch: Box<[u8]>,
    /// Slots whose sessions were called and may have something to write.
    dirty: Vec<u32>,
    /// Slots that may have more to read, their turn being over.
    again: Vec<u32>,
    pub(crate) now: Instant,
    /// How far goodbyes are, once they have begun.
    drain: Option<Drain>,
    /// When the shard ends whatever is left, once it is told to stop.
    stop_at: Option<Instant>,
}

impl<S: Session> fmt::Debug for Shard<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shard").field("used", &self.handle.used()).finish_non_exhaustive()
    }
}

impl<S: Session> Shard<S> {
    /// Runs until it is told to stop.
    fn run(mut self) {
        let mut events = Events::with_capacity(EVENTS_PER_TURN);
        let mut letters = Vec::new();
        loop {
            let timeout = self.timeout();
            match self.poll.poll(&mut events, timeout) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                // The event queue itself is gone: nothing can be served any more.
                Err(_) => break,
            }
            self.now = self.handle.clock.now();
            for event in &events {
                if event.token() != WAKER {
                    // Tokens are slots, which have 24 bits.
                    let slot = event.token().0 as u32;
                    self.ready(slot, event);
                }
            }
            self.read_again();
            self.handle.mailbox.take(&mut letters);
            self.open(&mut letters);
            self.wake_due();
            self.drain_due();
            self.end_turn();
            // Those that a place is reserved for are still to come, and to be told.
            if self.stop_at.is_some_and(|at| self.handle.used() == 0 || at <= self.now) {
                break;
            }
        }
        self.end();
    }

    /// Lets the sessions deliver to each other, and writes. What is written may end
    /// connections, whose ends others hear of.
    fn end_turn(&mut self) {
        if S::shard_deadline(&self.shared).is_some_and(|deadline| deadline <= self.now) {
            S::shard_expired(&mut Turn { shard: self });
        }
        loop {
            let more = S::turn_ended(&mut Turn { shard: self });
            self.settle_dirty();
            if !more {
                return;
            }
        }
    }

    fn timeout(&self) -> Option<Duration> {
        if !self.again.is_empty() {
            return Some(Duration::ZERO);
        }
        let own = S::shard_deadline(&self.shared);
        let goodbye = self.drain.as_ref().and_then(Drain::next);
        let next = self.deadlines.next().into_iter().chain(self.stop_at).chain(own);
        let next = next.chain(goodbye).min()?;
        Some(next.saturating_duration_since(self.handle.clock.now()))
    }

    /// Closes what is left, so that every session hears of its end.
    fn end(mut self) {
        for letter in self.handle.mailbox.close() {
            if let Letter::Attach { id, session, .. } = letter {
                self.handle.release_slot(id.slot);
                session.closed(Ending::HubStopped, &mut self.shared);
            }
        }
        for slot in 0..self.slots.len() {
            self.close(slot as u32, Ending::HubStopped);
        }
        // What their ends lead to is the last thing that is done.
        while S::turn_ended(&mut Turn { shard: &mut self }) {}
    }
}

/// A shard before its thread runs: all that may cross threads.
pub(crate) struct ShardParts<S: Session> {
    handle: Arc<ShardHandle<S>>,
    poll: Poll,
    read_buffer_bytes: usize,
}

impl<S: Session> ShardParts<S> {
    pub(crate) fn new(options: &HubOptions) -> io::Result<(Self, Arc<ShardHandle<S>>)> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKER)?;
        let mailbox = Mailbox::new(waker, options.mailbox_bytes);
        let handle = Arc::new(ShardHandle::new(mailbox, options.clock.clone()));
        let parts = Self {
            handle: Arc::clone(&handle),
            poll,
            read_buffer_bytes: options.read_buffer_bytes.max(1024),
        };
        Ok((parts, handle))
    }

    /// Makes what belongs to the thread and runs the loop on it.
    pub(crate) fn run(self, make_shared: impl FnOnce() -> S::Shared) {
        let now = self.handle.clock.now();
        let shard = Shard {
            handle: self.handle,
            poll: self.poll,
            slots: Vec::new(),
            members: Members::default(),
            expected: Expected::default(),
            deadlines: Deadlines::new(now),
            shared: make_shared(),
            scratch: vec![0; self.read_buffer_bytes].into_boxed_slice(),
            dirty: Vec::new(),
            again: Vec::new(),
            now,
            drain: None,
            stop_at: None,
        };
        shard.run();
    }
}
