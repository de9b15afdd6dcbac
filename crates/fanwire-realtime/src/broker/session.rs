//! A session: what the broker knows of one client id, whether or not it is connected
//! (MQTT 5, 4.1).

use std::collections::{HashSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use fanwire_hub::ConnectionId;
use fanwire_policy::Access;
use fanwire_wire::mqtt::{PacketId, SubscribeOptions, Version};

use super::adopting::Holding;
use super::flow::Flow;
use super::replay::Replays;
use crate::mesh::Node;
use crate::observer::DisconnectReason;
use crate::{Message, Origin, Publisher};

/// Names a session on its shard.
pub(crate) type Key = u32;

/// How bytes for a connection are made: which version it speaks, and whether in WebSocket
/// frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Form {
    pub(crate) v5: bool,
    pub(crate) websocket: bool,
}

/// One session.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) client_id: Arc<str>,
    pub(crate) version: Version,
    /// How many seconds after the end of its connection it ends; `NEVER` for never.
    pub(crate) expiry: u32,
    pub(crate) subscriptions: Vec<Subscription>,
    /// Present while messages of QoS 1 or 2 are on their way to the client.
    pub(crate) flow: Option<Box<Flow>>,
    /// Messages of QoS 2 that the client has yet to release (MQTT 5, 4.3.3).
    pub(crate) unreleased: Vec<PacketId>,
    /// Subscriptions that are yet to be sent retained messages: on the next connection, where
    /// this one ends before all are sent.
    pub(crate) replays: Option<Box<Replays>>,
    pub(crate) presence: Presence,
    /// What is to be written in this turn.
    pub(crate) outbox: Vec<u8>,
    /// Shared with the groups that it is a member of.
    pub(crate) online: Option<Arc<AtomicBool>>,
    /// Messages that were dropped for it.
    pub(crate) dropped: u64,
    /// The node that it goes to, where what still comes for it is sent.
    pub(crate) moves_to: Option<Node>,
    /// Present a while after it has come from another node.
    pub(crate) arriving: Option<Box<Arriving>>,
}

/// What a session has got that came from another node: some comes both from there and from
/// whoever sent it.
#[derive(Debug)]
pub(crate) struct Arriving {
    pub(crate) until: Instant,
    pub(crate) got: HashSet<Origin>,
    /// The node that died, where it is one of such a node's: what was sent there is for it,
    /// and for nobody who lived here before.
    pub(crate) adopted: Option<Node>,
    /// Present until all of that has come.
    pub(crate) holding: Option<Holding>,
}

/// Whether a session's client is connected, and what is known of it then.
#[derive(Debug)]
pub(crate) enum Presence {
    Here(Box<Live>),
    Away(Box<Away>),
}

/// A connected client.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) link: ConnectionId,
    pub(crate) form: Form,
    pub(crate) peer: SocketAddr,
    pub(crate) connected_at: u64,
    pub(crate) clean_start: bool,
    pub(crate) keep_alive: u16,
    /// Who it is, for those who are told who published.
    pub(crate) publisher: Arc<Publisher>,
    /// Whether its principal is made up, another one at each connection.
    pub(crate) made_up: bool,
    /// What it may do. `None` where everything.
    pub(crate) access: Option<Arc<Access>>,
    pub(crate) will: Option<Box<Will>>,
    /// How many messages of QoS 1 and 2 it takes before it has acknowledged any.
    pub(crate) receive_maximum: u16,
    /// The longest packet that it takes, in bytes.
    pub(crate) max_packet: u32,
    /// Whether it wants to be told reasons in words.
    pub(crate) problem_information: bool,
    pub(crate) aliases: Aliases,
    /// Topics that it may publish to, the last first: those of the route cache, so that
    /// the same topic is the same pointer.
    pub(crate) permitted: Vec<(Arc<str>, bool)>,
    /// Acknowledgements that wait for what the message left behind to be kept, and packets of
    /// QoS 2 that wait for the step that they stand for to be.
    pub(crate) pending: VecDeque<PendingAck>,
    /// It does not read what is sent to it.
    pub(crate) congested: bool,
    /// It waits among those whose outbox is to be sent.
    pub(crate) dirty: bool,
}

/// What the topic names of one connection's aliases may take, in bytes, in each direction.
pub(crate) const MAX_ALIAS_BYTES: usize = 64 * 1024;

/// Topic aliases, which are a connection's (MQTT 5, 3.3.2.3.4).
#[derive(Debug, Default)]
pub(crate) struct Aliases {
    /// The client's, from 1.
    pub(crate) inbound: Vec<Option<Arc<str>>>,
    /// Ours, from 1.
    pub(crate) outbound: Vec<Arc<str>>,
    /// How many of ours the client takes.
    pub(crate) outbound_maximum: u16,
}

/// A client that is not connected.
#[derive(Debug)]
pub(crate) struct Away {
    pub(crate) since: u64,
    pub(crate) reason: Option<DisconnectReason>,
    /// Whose session it is; empty where it is nobody's in particular.
    pub(crate) principal: Box<str>,
    /// When the session ends, if ever.
    pub(crate) ends_at: Option<Instant>,
    /// Its will, where that has been delayed.
    pub(crate) will: Option<(Instant, Box<Message>)>,
}

/// What is published for a client that goes without a goodbye.
#[derive(Debug, Clone)]
pub(crate) struct Will {
    pub(crate) message: Message,
    /// In seconds.
    pub(crate) delay: u32,
}

/// One subscription of a session.
#[derive(Debug, Clone)]
pub(crate) struct Subscription {
    /// With `$share/…` where it is shared.
    pub(crate) filter: Arc<str>,
    pub(crate) options: SubscribeOptions,
    pub(crate) id: Option<u32>,
}

/// An acknowledgement, or another packet of an exchange of QoS 2, that waits.
#[derive(Debug, Clone)]
pub(crate) struct PendingAck {
    /// What has to be kept before, here and by other nodes; 0 for nothing.
    pub(crate) tickets: [u64; 2],
    pub(crate) packet: Box<[u8]>,
}

// === impl Form ===

impl Form {
    pub(crate) fn version(self) -> Version {
        if self.v5 { Version::V5 } else { Version::V3_1_1 }
    }
}

// === impl Session ===

impl Session {
    pub(crate) fn live(&self) -> Option<&Live> {
        match &self.presence {
            Presence::Here(live) => Some(live),
            Presence::Away(_) => None,
        }
    }

    pub(crate) fn live_mut(&mut self) -> Option<&mut Live> {
        match &mut self.presence {
            Presence::Here(live) => Some(live),
            Presence::Away(_) => None,
        }
    }

    /// Whether `link` is the session's connection.
    pub(crate) fn is_on(&self, link: ConnectionId) -> bool {
        self.live().is_some_and(|live| live.link == link)
    }

    /// Whether it outlives its connection.
    pub(crate) fn persists(&self) -> bool {
        self.expiry > 0
    }

    /// Whether a message of QoS 1 or 2 can be sent to it at once.
    pub(crate) fn takes_at_once(&self, max_in_flight: u16) -> bool {
        let Some(live) = self.live().filter(|live| !live.congested) else { return false };
        self.flow.as_ref().is_none_or(|flow| {
            flow.queue.is_empty() && flow.in_flight.len() < live.window(max_in_flight)
        })
    }

    pub(crate) fn flow(&mut self) -> &mut Flow {
        self.flow.get_or_insert_default()
    }
}

// === impl Aliases ===

impl Aliases {
    /// Whether another topic can be given an alias.
    pub(crate) fn have_room_for(&self, topic: &str) -> bool {
        let bytes: usize = self.outbound.iter().map(|topic| topic.len()).sum();
        self.outbound.len() < usize::from(self.outbound_maximum)
            && bytes + topic.len() <= MAX_ALIAS_BYTES
    }
}

// === impl Live ===

impl Live {
    /// The principal whose session it is, which nobody else resumes. Empty where nobody was
    /// asked for one, or one was made up for this connection alone.
    pub(crate) fn owner(&self) -> &str {
        if self.made_up { "" } else { &self.publisher.principal }
    }

    /// How many messages of QoS 1 and 2 may be in flight.
    pub(crate) fn window(&self, max_in_flight: u16) -> usize {
        usize::from(self.receive_maximum.min(max_in_flight).max(1))
    }
}
