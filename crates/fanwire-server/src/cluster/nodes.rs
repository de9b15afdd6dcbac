//! The other nodes, as the WebSocket plane needs them.

use std::sync::Arc;

use bytes::Bytes;
use fanwire_cluster::{Cluster, NodeId, RequestError, limits};
use fanwire_hub::ConnectionId;
use fanwire_websocket::{NodeError, Nodes, Stay};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};

use super::journal::Journal;
use super::{CHANNEL, incarnation};

/// The other nodes of a cluster.
pub(crate) struct ClusterNodes {
    pub(super) cluster: Cluster,
    pub(super) journal: Arc<Journal>,
}

impl Nodes for ClusterNodes {
    fn ask(&self, node: u16, errand: Bytes) -> BoxFuture<'static, Result<Bytes, NodeError>> {
        let cluster = self.cluster.clone();
        ask(cluster, NodeId(node), errand).boxed()
    }

    fn others(&self) -> Vec<u16> {
        self.cluster.peers().borrow().keys().map(|node| node.0).collect()
    }

    fn ask_all(&self, errand: Bytes) -> BoxFuture<'static, Vec<(u16, Result<Bytes, NodeError>)>> {
        let cluster = self.cluster.clone();
        let asked = self.others().into_iter().map(move |node| {
            let asked = ask(cluster.clone(), NodeId(node), errand.clone());
            asked.map(move |answer| (node, answer))
        });
        join_all(asked).boxed()
    }

    fn keep(&self, id: ConnectionId, record: Bytes) -> BoxFuture<'static, Option<Stay>> {
        let journal = Arc::clone(&self.journal);
        async move { journal.keep(id, record).await }.boxed()
    }

    fn may_tell(&self, stay: Stay) -> BoxFuture<'static, bool> {
        let cluster = self.cluster.clone();
        async move { cluster.settled(incarnation(stay)).await }.boxed()
    }

    fn forget(&self, id: ConnectionId, stay: Stay) {
        self.journal.forget(id, stay);
    }
}

async fn ask(cluster: Cluster, node: NodeId, errand: Bytes) -> Result<Bytes, NodeError> {
    let asked = cluster.request(node, CHANNEL, errand, limits::REQUEST_TIMEOUT).await;
    asked.map_err(|error| match error {
        RequestError::Gone => NodeError::Gone,
        RequestError::Timeout | RequestError::Away | RequestError::TooLarge { .. } => {
            NodeError::Away
        }
    })
}
