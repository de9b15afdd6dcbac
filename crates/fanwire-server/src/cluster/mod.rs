//! Serving an App together with other nodes: the glue between a cluster, which knows no
//! planes, and the planes, which know no cluster.
//!
//! `nodes` is what the WebSocket plane asks of others and is asked; `journal` keeps what is
//! owed to its connections when their node is gone, and pays it for nodes that are. `realtime` is
//! what the realtime plane needs, `wire` what carries its frames, `clients` what it asks of others and
//! is asked, and `records` what it keeps in JetStream.

mod clients;
mod journal;
mod nodes;
mod realtime;
mod records;
mod wire;

use std::sync::Arc;

use fanwire_cluster::{Cluster, ClusterOptions, Incarnation, JoinError, NodeId};
use fanwire_hub::Hub;
use fanwire_realtime::mesh::MeshParts;
use fanwire_websocket::{Plane, Stay, WebSocketSession};

use self::clients::ClientNodes;
use self::journal::Journal;
pub(crate) use self::nodes::ClusterNodes;
use self::records::{Retained, Sessions};
use self::wire::Wire;
use crate::realtime::RealtimeHost;

/// The name of the WebSocket plane among what nodes say to each other.
const CHANNEL: &str = "ws";

/// This server's place in its cluster.
pub(crate) struct ClusterHost {
    cluster: Cluster,
    /// What people call this node.
    name: String,
    journal: Arc<Journal>,
    sessions: Arc<Sessions>,
    retained: Arc<Retained>,
}

// === impl ClusterHost ===

impl ClusterHost {
    /// Comes into the cluster, as a node that clients reach at `place` if the options do not say
    /// where. Others see this node from now on, and hear from it after
    /// [`start`](Self::start).
    pub(crate) async fn join(
        mut options: ClusterOptions,
        place: String,
        hub: &Hub<WebSocketSession>,
    ) -> Result<Self, JoinError> {
        if options.address.is_empty() {
            options.address = place;
        }
        let name = options.node_name.clone();
        let cluster = Cluster::join(options).await?;
        let of_joined = hub.clone();
        cluster.on_joined(move |me| of_joined.set_node(me.node.0));
        let journal = Journal::open(&cluster).await?;
        let (sessions, retained) =
            (Sessions::open(&cluster).await?, Retained::open(&cluster).await?);
        Ok(Self { cluster, name, journal, sessions, retained })
    }

    /// The other nodes, for the WebSocket plane.
    pub(crate) fn nodes(&self) -> ClusterNodes {
        ClusterNodes { cluster: self.cluster.clone(), journal: Arc::clone(&self.journal) }
    }

    /// The other nodes, for the realtime plane; `None` where this one was declared dead just
    /// now.
    pub(crate) fn mesh(&self) -> Option<MeshParts> {
        let node = realtime::node(self.cluster.me()?);
        let links = Wire::new(&self.cluster);
        let nodes = ClientNodes { cluster: self.cluster.clone(), own_name: self.name.clone() };
        let nodes = Some(Arc::new(nodes) as _);
        let sessions: Arc<Sessions> = Arc::clone(&self.sessions);
        let retained: Arc<Retained> = Arc::clone(&self.retained);
        Some(MeshParts { node, links, nodes, sessions: Some(sessions), retained: Some(retained) })
    }

    /// Does what others ask from now on. Done when this node knows what they listen to: before
    /// that no client is to be let in.
    pub(crate) async fn start(&self, plane: &Plane, realtime: &Arc<RealtimeHost>) {
        realtime::start(&self.cluster, realtime, &self.sessions);
        clients::answer(&self.cluster, realtime);
        realtime::know_retained(realtime, &self.retained).await;
        let of_requests = plane.clone();
        self.cluster.on_request(CHANNEL, move |_, errand| {
            let plane = of_requests.clone();
            async move { plane.run_errand(errand).await }
        });
        let (of_fence, journal) = (plane.clone(), Arc::clone(&self.journal));
        self.cluster.on_fenced(move |_| {
            journal.drop_all();
            of_fence.close_everyone();
            std::future::ready(())
        });
        let (of_recovery, journal) = (plane.clone(), Arc::clone(&self.journal));
        self.cluster.on_recovery(move |peer| {
            let (plane, journal) = (of_recovery.clone(), Arc::clone(&journal));
            async move { journal.tell_ends(&plane, peer.incarnation).await }
        });
        self.cluster.start();
        realtime::meet_others(realtime).await;
    }

    pub(crate) fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// This node is about to leave: it takes nothing over from others any more.
    pub(crate) fn retire(&self) {
        self.cluster.retire();
    }

    /// Leaves. Where something is owed still, or sessions outlive this node, another one is to
    /// see to it at once: clients wait for their sessions.
    pub(crate) async fn leave(&self) {
        let owes_nothing = self.journal.settle().await;
        if !self.sessions.settle().await {
            // Its records are not whole yet. Its lease gives them the time.
            return;
        }
        if owes_nothing && self.has_left_nothing().await {
            self.cluster.leave().await;
        } else {
            self.cluster.resign().await;
        }
    }

    async fn has_left_nothing(&self) -> bool {
        let Some(me) = self.cluster.me() else { return true };
        let (_, keys) = self.sessions.load(me).await;
        // What is there without its session, which has moved, is nobody's, and is to go, too.
        keys.is_empty()
    }
}

/// A stay as the cluster names it.
fn incarnation(stay: Stay) -> Incarnation {
    Incarnation { node: NodeId(stay.node), boot: fanwire_cluster::BootId(stay.boot) }
}

/// A stay as the plane names it.
fn stay(incarnation: Incarnation) -> Stay {
    Stay { node: incarnation.node.0, boot: incarnation.boot.0 }
}
