//! The realtime plane among several nodes: what happens in the cluster, as the plane has to
//! hear it.

use std::sync::Arc;
use std::time::Duration;

use fanwire_cluster::{BootId, Cluster, Event, Incarnation, NodeId, Subscription};
use fanwire_realtime::mesh::{Mesh, Node};
use futures_util::StreamExt;

use super::records::{self, Retained, Sessions};
use super::wire::Pieces;
use crate::realtime::RealtimeHost;

/// The name of the realtime plane among what nodes say to each other.
pub(super) const CHANNEL: &str = "mqtt";

/// How long a node that starts waits to know what is retained.
const KNOW_PATIENCE: Duration = Duration::from_secs(10);

/// Has the plane hear what the others tell and what becomes of them.
pub(super) fn start(cluster: &Cluster, host: &Arc<RealtimeHost>, sessions: &Arc<Sessions>) {
    let pieces = Arc::new(Pieces::default());
    let (host_of_frames, putting) = (Arc::downgrade(host), Arc::clone(&pieces));
    cluster.on(CHANNEL, move |from, piece| {
        let frame = putting.take(from, &piece);
        if let (Some(frame), Some(host)) = (frame, host_of_frames.upgrade())
            && let Some(mesh) = mesh_of(&host)
        {
            mesh.received(node(from), &frame);
        }
        std::future::ready(())
    });
    let fenced = Arc::downgrade(host);
    cluster.on_fenced(move |_| {
        let mesh = fenced.upgrade().and_then(|host| mesh_of(&host));
        async move {
            if let Some(mesh) = mesh {
                mesh.fenced().await;
            }
        }
    });
    let (joined, begun) = (Arc::downgrade(host), Arc::clone(&pieces));
    cluster.on_joined(move |me| {
        // What was begun was for who this node was: what follows is not the rest of it.
        begun.forget_all();
        if let Some(mesh) = joined.upgrade().and_then(|host| mesh_of(&host)) {
            mesh.rejoined(node(me));
        }
    });
    let (of_recovery, sessions) = (Arc::downgrade(host), Arc::clone(sessions));
    cluster.on_recovery(move |peer| {
        let (host, sessions) = (of_recovery.upgrade(), Arc::clone(&sessions));
        async move {
            let Some(host) = host else { return false };
            match mesh_of(&host) {
                Some(mesh) => adopt(&mesh, &sessions, peer.incarnation).await,
                // Where the App has no endpoint, there are no sessions either.
                None => !host.is_stopped(),
            }
        }
    });
    tokio::spawn(follow(cluster.clone(), Arc::downgrade(host), pieces));
}

/// Takes over the sessions of a node that was declared dead. Says whether they are here now:
/// where this node stops meanwhile they may not be.
async fn adopt(mesh: &Arc<Mesh>, sessions: &Sessions, dead: Incarnation) -> bool {
    let (found, keys) = sessions.load(dead).await;
    if !mesh.adopt(node(dead), found).await {
        return false;
    }
    // Where this node dies before, another adopts the same again.
    mesh.adopted(node(dead));
    sessions.delete(keys).await;
    true
}

/// Has the plane know of what is retained, and of what becomes of it. Done when it knows all
/// that there is.
pub(super) async fn know_retained(host: &Arc<RealtimeHost>, retained: &Retained) {
    if mesh_of(host).is_none() {
        return;
    }
    let mut watch = retained.watch().await;
    let host = Arc::downgrade(host);
    let (known, all_known) = tokio::sync::oneshot::channel();
    tokio::spawn(async move {
        let mut known = Some(known);
        loop {
            let change = watch.next().await;
            let Some(mesh) = host.upgrade().and_then(|host| mesh_of(&host)) else { return };
            if records::tell(&mesh, change)
                && let Some(known) = known.take()
            {
                // Whoever waited may have stopped.
                let _ = known.send(());
            }
        }
    });
    // What does not come in time comes later.
    let _ = tokio::time::timeout(KNOW_PATIENCE, all_known).await;
}

/// Tells the plane what becomes of the other nodes.
async fn follow(cluster: Cluster, host: std::sync::Weak<RealtimeHost>, pieces: Arc<Pieces>) {
    let mut events = cluster.events();
    let mut casts = Casts::of(&cluster, host.clone()).await;
    meet(&cluster, &host).await;
    while let Some(event) = events.next().await {
        let Some(mesh) = host.upgrade().and_then(|host| mesh_of(&host)) else { continue };
        match event {
            Event::PeerJoined(peer) => mesh.joined(node(peer.incarnation)),
            Event::PeerLeft(peer) => {
                pieces.forget(peer.incarnation);
                mesh.left(node(peer.incarnation));
            }
            Event::PeerDead { peer, .. } => {
                pieces.forget(peer.incarnation);
                mesh.died(node(peer.incarnation));
            }
            Event::PeerRecovered(who) => mesh.recovered(node(who)),
            Event::Rejoined(_) => {
                casts = Casts::of(&cluster, host.clone()).await;
                meet(&cluster, &host).await;
            }
            _ => {}
        }
    }
    drop(casts);
}

/// Has the plane know all who are in the cluster.
async fn meet(cluster: &Cluster, host: &std::sync::Weak<RealtimeHost>) {
    cluster.knows_peers().await;
    let Some(mesh) = host.upgrade().and_then(|host| mesh_of(&host)) else { return };
    let peers = Arc::clone(&cluster.peers().borrow());
    peers.values().for_each(|peer| mesh.joined(node(peer.incarnation)));
    mesh.knows_all(cluster.unrecovered().into_iter().map(node));
}

/// Waits until the plane knows what the others listen to, for a while: clients wait for the
/// rest, one by one.
pub(super) async fn meet_others(host: &Arc<RealtimeHost>) {
    if let Some(mesh) = mesh_of(host) {
        let _ = tokio::time::timeout(KNOW_PATIENCE, mesh.met()).await;
    }
}

/// Takes what is sent to this node's present number and may be lost, until it is dropped.
struct Casts(Option<tokio::task::JoinHandle<()>>);

impl Casts {
    async fn of(cluster: &Cluster, host: std::sync::Weak<RealtimeHost>) -> Self {
        let Some(me) = cluster.me() else { return Self(None) };
        let Ok(subscription) = cluster.subscribe(me.node).await else { return Self(None) };
        // Others cast to this node once they know what it hears: by then NATS knows, too.
        let _ = cluster.flush().await;
        Self(Some(tokio::spawn(take_casts(subscription, host))))
    }
}

impl Drop for Casts {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}

async fn take_casts(mut subscription: Subscription, host: std::sync::Weak<RealtimeHost>) {
    while let Some(publication) = subscription.next().await {
        let Some(host) = host.upgrade() else { return };
        if let Some(mesh) = mesh_of(&host) {
            mesh.received(node(publication.from), &publication.payload);
        }
    }
}

fn mesh_of(host: &RealtimeHost) -> Option<Arc<Mesh>> {
    host.endpoint()?.plane.mesh().cloned()
}

/// A stay as the plane names it.
pub(super) fn node(incarnation: Incarnation) -> Node {
    Node { id: incarnation.node.0, boot: incarnation.boot.0 }
}

/// A stay as the cluster names it.
pub(super) fn incarnation(node: Node) -> Incarnation {
    Incarnation { node: NodeId(node.id), boot: BootId(node.boot) }
}
