//! The other nodes that serve the same App, as the plane needs them: to ask the node that a
//! connection is on, and to keep what is owed to connections when their node is gone.
//!
//! The plane knows no cluster. What is here is the seam, which `fanwire-server` fills; alone,
//! a node has [`Plane`](crate::Plane)s without it, and every connection is here or nowhere.

use bytes::Bytes;
use fanwire_hub::ConnectionId;
use futures_util::future::BoxFuture;

/// Why another node did not do what it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeError {
    /// There is no such node.
    Gone,
    /// It, or all others, cannot be reached now. What was asked may have been done.
    Away,
}

/// Under which stay of this node in its cluster a connection was recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Stay {
    /// The node's number.
    pub node: u16,
    /// Which of its stays.
    pub boot: u64,
}

/// The other nodes.
pub trait Nodes: Send + Sync + 'static {
    /// Has the node of a number do an errand: its [`Plane::run_errand`](crate::Plane::run_errand).
    fn ask(&self, node: u16, errand: Bytes) -> BoxFuture<'static, Result<Bytes, NodeError>>;

    /// The numbers of the other nodes.
    fn others(&self) -> Vec<u16>;

    /// Has every other node do an errand.
    fn ask_all(&self, errand: Bytes) -> BoxFuture<'static, Vec<(u16, Result<Bytes, NodeError>)>>;

    /// Keeps what another node needs to tell of a connection's end, should this one be
    /// gone: its [`Plane::tell_end`](crate::Plane::tell_end). Done when it is kept, or will
    /// be when it can. `None` where this node is in no cluster just now.
    fn keep(&self, id: ConnectionId, record: Bytes) -> BoxFuture<'static, Option<Stay>>;

    /// Waits until it is sure who tells of a connection's end: `true` where it is this node,
    /// `false` where another has begun to.
    fn may_tell(&self, stay: Stay) -> BoxFuture<'static, bool>;

    /// The end of a connection was told: what was kept is kept no more.
    fn forget(&self, id: ConnectionId, stay: Stay);
}
