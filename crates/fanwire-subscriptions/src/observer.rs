//! Who is told of what happens in the plane.

use std::net::SocketAddr;
use std::time::Duration;

use fanwire_hub::ConnectionId;
use fanwire_wire::trpc::ProcedureType;

use crate::CallError;

/// Somebody who is told of what clients do and of what is published: a log, metrics. Called
/// on shards and on the runtime; it must not block.
pub trait Observer: Send + Sync + 'static {
    /// Something has happened.
    fn observe(&self, event: &SubscriptionsEvent<'_>);
}

/// Nobody is told.
impl Observer for () {
    fn observe(&self, _event: &SubscriptionsEvent<'_>) {}
}

/// What has happened.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum SubscriptionsEvent<'a> {
    /// A client has connected, and its context is made.
    Connected {
        /// The connection.
        connection: ConnectionId,
        /// Where it comes from.
        peer: SocketAddr,
    },
    /// A client's context could not be made: it is disconnected.
    Refused {
        /// The connection.
        connection: ConnectionId,
        /// Where it comes from.
        peer: SocketAddr,
        /// What it is told.
        why: &'a CallError,
    },
    /// A connection has ended.
    Disconnected {
        /// The connection.
        connection: ConnectionId,
        /// Where it came from.
        peer: SocketAddr,
        /// Why, in a few words.
        why: &'a str,
        /// Subscriptions that it had.
        subscriptions: usize,
    },
    /// A procedure was called.
    Called {
        /// By whom.
        connection: ConnectionId,
        /// How.
        kind: ProcedureType,
        /// Which.
        path: &'a str,
        /// How long it took.
        took: Duration,
        /// What the caller is told, where it failed.
        error: Option<&'a CallError>,
    },
    /// A subscription is over: it was stopped, or has ended.
    Unsubscribed {
        /// Whose.
        connection: ConnectionId,
        /// The path of its procedure.
        path: &'a str,
    },
    /// Something was published, and sent to all whom it reaches.
    Published {
        /// The path.
        path: &'a str,
        /// The id of a tracked one.
        event_id: Option<&'a str>,
        /// Subscriptions that it was sent to.
        delivered: usize,
    },
    /// A client is disconnected because it did not take what was published to it.
    Slow {
        /// The connection.
        connection: ConnectionId,
        /// Bytes that waited for it.
        waiting_bytes: usize,
    },
    /// A client came back too late: what it missed is not kept any more.
    Missed {
        /// The connection.
        connection: ConnectionId,
        /// The path.
        path: &'a str,
        /// The id of the last event that it had.
        last_event_id: &'a str,
    },
    /// Something could not be kept: whoever published it is told.
    StoreFailed {
        /// Why.
        why: &'a str,
    },
}
