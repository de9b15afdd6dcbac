//! Several nodes that are one broker.
//!
//! Each node tells the others what its clients listen to. A message goes to the nodes that
//! listen, and from there to their own clients only; what it stands for is acknowledged once
//! all of them have kept it. A client's session lives on one node: when the client comes to
//! another, the session moves there, with all that is on its way to it.
//!
//! # Brief overview
//!
//! - [`Links`], [`Nodes`], [`SessionRecords`] and [`RetainedRecords`] are what the plane needs of
//!   whatever connects the nodes. It knows no network.
//! - [`Mesh`] is a node's part: it turns what shards have for other nodes into frames, and
//!   frames into what shards are told. It knows no clock and does not wait.
//! - `own` is what this node listens to, as the others are told; `frame` what nodes tell each
//!   other, as bytes; `heard` what each of them listens to; `claims` how a client that connects gets what other nodes have of it;
//!   `passing` when its old node may forget it; `replica` the retained messages that all have.
//!
//! # Order
//!
//! What a node sends another by [`Links::send`] arrives once and in order. A session that moves
//! comes in one frame, and what its old node is still sent for it comes behind, until all
//! nodes know where it is heard now and have sent what they had before (`Frame::Barrier`). So
//! nothing is lost while it moves; and what comes both ways is known by its origin.

mod claims;
mod frame;
#[cfg(fuzzing)]
pub mod fuzzing;
mod heard;
mod meeting;
mod nodes;
mod own;
mod passing;
mod replica;
mod state;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fanwire_wire::mqtt::PacketId;

pub(crate) use self::claims::encode as encode_session;
pub(crate) use self::claims::{Claim, MEETING_PATIENCE};
pub(crate) use self::frame::{Answer, Item, Target};
pub use self::nodes::{Asking, Nodes};
pub use self::state::{Incoming, Mesh};
pub(crate) use self::state::{Outgoing, Sent, Settling};

/// A node, in one of its stays in the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Node {
    /// Its number.
    pub id: u16,
    /// Which stay.
    pub boot: u64,
}

/// The links to other nodes. Nothing here blocks.
pub trait Links: Send + Sync + 'static {
    /// Sends a frame, which arrives once and after those before it unless the node dies.
    fn send(&self, to: Node, frame: Bytes);

    /// Sends a frame that may be lost, to each of these nodes.
    fn cast(&self, to: &[Node], frame: Bytes);

    /// Whether more waits to be sent than should: clients had better publish no more for now.
    fn is_behind(&self) -> bool;
}

/// What the plane needs to be one of several nodes.
#[derive(Clone)]
pub struct MeshParts {
    /// This node.
    pub node: Node,
    /// The links to the others.
    pub links: Arc<dyn Links>,
    /// What asks the others about clients; `None` where only this node's are known.
    pub nodes: Option<Arc<dyn Nodes>>,
    /// What outlives this node of its sessions; `None` where nothing does.
    pub sessions: Option<Arc<dyn SessionRecords>>,
    /// The retained messages of all nodes; `None` where each has its own.
    pub retained: Option<Arc<dyn RetainedRecords>>,
}

/// Told once something is kept, or that it cannot be.
pub type Done = Box<dyn FnOnce(bool) + Send>;

/// What sessions leave for other nodes, should this one die. Nothing here blocks.
pub trait SessionRecords: Send + Sync + 'static {
    /// Writes changes, in their order and after those before. `done` is told once all are
    /// kept, with `true` only where this node was not taken for dead meanwhile.
    fn commit(&self, changes: Vec<Record>, done: Done);

    /// Forgets that a client has a session at another node, which it has left. What else is
    /// kept of it there may stay: without its session it is nothing. `done` is told as by
    /// [`commit`](Self::commit).
    fn forget_left(&self, at: Node, client_id: &str, done: Done);

    /// Whether more waits to be written than should.
    fn is_behind(&self) -> bool;
}

/// One change of what is kept of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Whose session.
    pub client_id: Arc<str>,
    /// What of it.
    pub key: RecordKey,
    /// What it is now; `None` where it is gone.
    pub value: Option<Vec<u8>>,
}

/// What is kept of a session, piece by piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RecordKey {
    /// The session itself.
    Session,
    /// A message on its way to it, by its number.
    Queued(u64),
    /// How far a message of QoS 2 is, by its number.
    InFlight(u64),
    /// A message of QoS 2 that its client has published and not released.
    Unreleased(PacketId),
}

/// What was kept of one session.
#[derive(Debug, Clone, Default)]
pub struct SessionPieces {
    /// Whose session.
    pub client_id: Arc<str>,
    /// Its pieces, in any order.
    pub pieces: Vec<(RecordKey, Vec<u8>)>,
}

/// The retained messages that all nodes have.
pub trait RetainedRecords: Send + Sync + 'static {
    /// Sets the message of a topic, which may be forgotten after its `life`; one that is `gone` says
    /// that there is none. `done` is told
    /// once it is kept. What has become of the topic, in which order, every node is told by
    /// [`Mesh::retained_changed`] and [`Mesh::retained_forgotten`].
    fn set(&self, topic: &str, message: Vec<u8>, gone: bool, life: Option<Duration>, done: Done);
}

/// How a node asks for the session of a client, for tests that act for one.
#[cfg(test)]
pub(crate) fn claim_frame(number: u64, client_id: &str) -> Bytes {
    let ask = frame::Ask::Claim { clean: false, at: 1 };
    frame::Frame::Ask { number, client_id: client_id.into(), ask }.encode()
}

// === impl Record ===

impl Record {
    pub(crate) fn put(client_id: &str, key: RecordKey, value: Vec<u8>) -> Self {
        Self { client_id: client_id.into(), key, value: Some(value) }
    }

    pub(crate) fn delete(client_id: &str, key: RecordKey) -> Self {
        Self { client_id: client_id.into(), key, value: None }
    }
}

// === impl RecordKey ===

impl RecordKey {
    /// The kind of piece, as a letter, and its number.
    pub fn parts(self) -> (u8, u64) {
        match self {
            Self::Session => (b's', 0),
            Self::Queued(seq) => (b'q', seq),
            Self::InFlight(seq) => (b'f', seq),
            Self::Unreleased(id) => (b'u', id.get().into()),
        }
    }

    /// The piece of a kind and number, if there is such a kind.
    pub fn of_parts(kind: u8, number: u64) -> Option<Self> {
        match kind {
            b's' => Some(Self::Session),
            b'q' => Some(Self::Queued(number)),
            b'f' => Some(Self::InFlight(number)),
            b'u' => Some(Self::Unreleased(PacketId::new(u16::try_from(number).ok()?)?)),
            _ => None,
        }
    }
}
