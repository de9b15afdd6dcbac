//! Questions to other nodes: what the links, which carry no answers, are not for.

use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;

use super::Node;

/// What another node answers; `None` where it cannot be reached, or does not answer in time.
pub type Asking = Pin<Box<dyn Future<Output = Option<Bytes>> + Send>>;

/// The other nodes, to be asked.
pub trait Nodes: Send + Sync + 'static {
    /// What people call a node, this one too.
    fn name(&self, node: Node) -> String;

    /// Has a node do an errand, its [`Realtime::run_errand`](crate::Realtime::run_errand):
    /// once, at the most, and in `patience`.
    fn ask(&self, node: Node, errand: Bytes, patience: Duration) -> Asking;
}
