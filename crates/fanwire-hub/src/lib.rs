//! Live connections: where they are, how bytes reach them, and what it costs to
//! keep very many of them.
//!
//! A connection lives on one *shard*: a thread with an event loop of its own, a
//! slab of connections and one read buffer that they all share. The hub knows no
//! protocol. A plane brings a [`Session`]: a state machine that takes bytes,
//! commands and the time, and gives back bytes, its next deadline, and whether it
//! is done. The shard does the socket calls around it.
//!
//! # Brief overview
//!
//! - [`Hub`] is the handle that everything else holds: it reserves a
//!   [`ConnectionId`], attaches a socket to a shard, sends commands to one
//!   connection and messages to an [`Audience`].
//! - [`Transport`] is what a connection's bytes go over: a bare socket, or TLS.
//! - [`Session`] is what a plane implements; [`Context`] is what it may do. What its
//!   sessions have for each other goes through the state that those of one shard share,
//!   which reaches them all in a [`Turn`].
//! - [`Clock`] is the time that connections live in; it can be moved ahead.
//! - [`HubOptions`] are the limits. Nothing here is unbounded: what waits for a
//!   shard, and what waits for a slow receiver, each has a size.
//!
//! # What a delivery costs
//!
//! A message for many connections is encoded once per wire form; messages of one
//! burst are joined, and each receiver gets one `write`. A receiver has a queue only
//! while its socket pushes back. An idle connection is one heap block: its session,
//! and about a hundred bytes of the shard's own.

mod clock;
mod connection;
mod deadlines;
mod hub;
mod id;
mod mailbox;
mod members;
mod options;
mod outbound;
mod session;
mod shard;
mod tally;
mod transport;
mod turn;

pub use self::clock::Clock;
pub use self::connection::Context;
pub use self::hub::{Busy, Hub, HubStats, Reservation};
pub use self::id::{ConnectionId, InvalidConnectionId};
pub use self::options::{HubOptions, LETTER_BYTES};
pub use self::session::{Audience, Ending, Reach, Session};
pub use self::tally::Tally;
pub use self::transport::Transport;
pub use self::turn::Turn;
