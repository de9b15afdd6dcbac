//! What is to be seen of the cluster, for metrics and for people.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::cluster::{Shared, State};
use crate::{Incarnation, Peer};

/// How the cluster is, seen from this node.
#[derive(Debug, Clone)]
pub struct Facts {
    /// Whether NATS is reached and this node is in the cluster.
    pub state: State,
    /// Who this node is.
    pub me: Option<Incarnation>,
    /// The other nodes.
    pub peers: Vec<PeerFacts>,
    /// How often NATS was reached, the first time included.
    pub nats_connects: u64,
    /// Nodes that this one has declared dead.
    pub claims: u64,
    /// How often this node was declared dead.
    pub fences: u64,
    /// Messages that were sent to peers over links.
    pub link_sent: u64,
    /// Messages that were sent again over links, because a peer did not get them.
    pub link_resent: u64,
    /// Messages that came over links.
    pub link_received: u64,
    /// Requests to other nodes.
    pub requests: u64,
    /// Requests that had no answer in time.
    pub requests_timed_out: u64,
    /// Publications to other nodes, each to all that it is for.
    pub published: u64,
    /// Publications that were dropped.
    pub publications_dropped: u64,
    /// Messages of NATS that were dropped because this node was too slow for them.
    pub slow: u64,
}

/// How another node is, seen from this one.
#[derive(Debug, Clone)]
pub struct PeerFacts {
    /// Who it is.
    pub peer: Peer,
    /// The last round trip to it, where one was measured.
    pub round_trip: Option<Duration>,
    /// Bytes that wait for its acknowledgement.
    pub window_bytes: usize,
    /// Messages that wait for its acknowledgement.
    pub window_messages: usize,
}

/// What is counted as it happens.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) claims: AtomicU64,
    pub(crate) fences: AtomicU64,
    pub(crate) link_sent: AtomicU64,
    pub(crate) link_resent: AtomicU64,
    pub(crate) link_received: AtomicU64,
    pub(crate) requests: AtomicU64,
    pub(crate) requests_timed_out: AtomicU64,
    pub(crate) published: AtomicU64,
    pub(crate) publications_dropped: AtomicU64,
    pub(crate) slow: AtomicU64,
}

/// Counts `count` more.
pub(crate) fn count(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}

// === impl Facts ===

impl Facts {
    pub(crate) fn of(shared: &Shared) -> Self {
        let counters = &shared.counters;
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let peers = shared.peers.borrow().clone();
        Self {
            state: *shared.state.borrow(),
            me: *shared.me.borrow(),
            peers: peers.values().map(|peer| shared.links.facts(peer)).collect(),
            nats_connects: shared.nats.client.statistics().connects.load(Ordering::Relaxed),
            claims: of(&counters.claims),
            fences: of(&counters.fences),
            link_sent: of(&counters.link_sent),
            link_resent: of(&counters.link_resent),
            link_received: of(&counters.link_received),
            requests: of(&counters.requests),
            requests_timed_out: of(&counters.requests_timed_out),
            published: of(&counters.published),
            publications_dropped: of(&counters.publications_dropped),
            slow: of(&counters.slow),
        }
    }
}
