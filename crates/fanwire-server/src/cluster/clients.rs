//! The other nodes, as the realtime plane asks them about its clients.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fanwire_cluster::{Cluster, NodeId};
use fanwire_realtime::mesh::{Asking, Node, Nodes};

use super::realtime::CHANNEL;
use crate::realtime::RealtimeHost;

/// The nodes of a cluster.
pub(super) struct ClientNodes {
    pub(super) cluster: Cluster,
    /// What people call this one.
    pub(super) own_name: String,
}

impl Nodes for ClientNodes {
    fn name(&self, node: Node) -> String {
        if self.cluster.me().is_some_and(|me| super::realtime::node(me) == node) {
            return self.own_name.clone();
        }
        let peers = Arc::clone(&self.cluster.peers().borrow());
        match peers.get(&NodeId(node.id)) {
            Some(peer) if peer.incarnation.boot.0 == node.boot => peer.name.clone(),
            // It is gone: those who knew its name do not any more.
            _ => format!("node number {}", node.id),
        }
    }

    fn ask(&self, node: Node, errand: Bytes, patience: Duration) -> Asking {
        let cluster = self.cluster.clone();
        Box::pin(
            async move { cluster.request(NodeId(node.id), CHANNEL, errand, patience).await.ok() },
        )
    }
}

/// Answers what other nodes ask about the clients of this one.
pub(super) fn answer(cluster: &Cluster, host: &Arc<RealtimeHost>) {
    let host = Arc::downgrade(host);
    cluster.on_request(CHANNEL, move |_, errand| {
        let endpoint = host.upgrade().and_then(|host| host.endpoint());
        async move {
            match endpoint {
                Some(endpoint) => endpoint.plane.run_errand(errand).await,
                // No answer: what this node has of the endpoint is about to begin, or has ended.
                None => Bytes::new(),
            }
        }
    });
}
