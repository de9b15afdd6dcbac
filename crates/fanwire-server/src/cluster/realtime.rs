//! The realtime plane among several nodes: its frames over the cluster's links, and what
//! happens in the cluster, as the plane has to hear it.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use fanwire_cluster::{BootId, Cluster, Event, Incarnation, NodeId, SendError, Subscription};
use fanwire_realtime::mesh::{Links, Mesh, Node};
use futures_util::StreamExt;

use super::records::{self, Retained, Sessions};
use crate::realtime::RealtimeHost;

/// The name of the realtime plane among what nodes say to each other.
pub(super) const CHANNEL: &str = "mqtt";

/// The longest piece that a frame goes in, in bytes. NATS takes messages of a megabyte.
const PIECE_BYTES: usize = 512 * 1024;

/// The longest frame that is put together again. One is longer only where a node tells of
/// more filters than it may.
const MAX_FRAME_BYTES: usize = 256 * 1024 * 1024;

/// What may wait beyond what the links take before clients are read from no more, in bytes.
const BEHIND_BYTES: usize = 16 * 1024 * 1024;

/// Between two attempts at a link that has no room.
const RETRY: Duration = Duration::from_millis(5);

/// How long a node that starts waits to know what is retained.
const KNOW_PATIENCE: Duration = Duration::from_secs(10);

/// What a piece begins with: whether more of its frame follows.
const LAST: u8 = 0;
const MORE: u8 = 1;

/// The links to other nodes, as the plane has them.
pub(super) struct Wire {
    cluster: Cluster,
    /// What the links had no room for, by node: the rest of it waits behind. Bounded by what
    /// clients are not read from beyond.
    // A std lock, held to queue.
    waiting: Mutex<HashMap<Node, VecDeque<Bytes>>>,
    bytes: AtomicUsize,
    runtime: tokio::runtime::Handle,
    /// For the tasks that take to the links what waits.
    own: std::sync::Weak<Self>,
}

/// Puts the frames of each node together.
#[derive(Default)]
struct Pieces(Mutex<HashMap<Incarnation, BytesMut>>);

// === impl Wire ===

impl Wire {
    pub(super) fn new(cluster: &Cluster) -> Arc<Self> {
        Arc::new_cyclic(|own| Self {
            cluster: cluster.clone(),
            waiting: Mutex::default(),
            bytes: AtomicUsize::new(0),
            runtime: tokio::runtime::Handle::current(),
            own: own.clone(),
        })
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<Node, VecDeque<Bytes>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a piece, or has it wait behind those that do.
    fn send_piece(&self, to: Node, piece: Bytes) {
        let mut waiting = self.waiting();
        if let Some(queue) = waiting.get_mut(&to) {
            self.bytes.fetch_add(piece.len(), Ordering::Relaxed);
            queue.push_back(piece);
            return;
        }
        // What fails otherwise is for a node that is gone, or by one that is.
        let sent = self.cluster.send(incarnation(to), CHANNEL, piece.clone());
        if let (Err(SendError::WindowFull(_)), Some(own)) = (sent, self.own.upgrade()) {
            self.bytes.fetch_add(piece.len(), Ordering::Relaxed);
            waiting.insert(to, VecDeque::from([piece]));
            self.runtime.spawn(async move { own.send_waiting(to).await });
        }
    }

    /// Sends what waits for a node until nothing does.
    async fn send_waiting(&self, to: Node) {
        while self.send_some(to) {
            tokio::time::sleep(RETRY).await;
        }
    }

    /// Says whether something still waits.
    fn send_some(&self, to: Node) -> bool {
        let mut waiting = self.waiting();
        let Some(queue) = waiting.get_mut(&to) else { return false };
        while let Some(piece) = queue.front() {
            let sent = self.cluster.send(incarnation(to), CHANNEL, piece.clone());
            if let Err(SendError::WindowFull(_)) = sent {
                return true;
            }
            self.bytes.fetch_sub(piece.len(), Ordering::Relaxed);
            queue.pop_front();
        }
        waiting.remove(&to);
        false
    }
}

impl Links for Wire {
    fn send(&self, to: Node, frame: Bytes) {
        let mut pieces = frame.chunks(PIECE_BYTES).peekable();
        while let Some(piece) = pieces.next() {
            let mut bytes = BytesMut::with_capacity(piece.len() + 1);
            bytes.put_u8(if pieces.peek().is_some() { MORE } else { LAST });
            bytes.put_slice(piece);
            self.send_piece(to, bytes.freeze());
        }
    }

    fn cast(&self, to: &[Node], frame: Bytes) {
        let to: Vec<NodeId> = to.iter().map(|node| NodeId(node.id)).collect();
        // It may be lost.
        let _ = self.cluster.publish(&to, &frame);
    }

    fn is_behind(&self) -> bool {
        self.bytes.load(Ordering::Relaxed) > BEHIND_BYTES
    }
}

// === impl Pieces ===

impl Pieces {
    /// Takes a piece in; the frame that is whole with it, if one is.
    fn take(&self, from: Incarnation, piece: &Bytes) -> Option<Bytes> {
        let (last, body) = (*piece.first()? == LAST, piece.slice(1..));
        let mut begun = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if last && !begun.contains_key(&from) {
            return Some(body);
        }
        let frame = begun.entry(from).or_default();
        if frame.len() + body.len() > MAX_FRAME_BYTES {
            frame.clear();
        }
        frame.extend_from_slice(&body);
        if last { begun.remove(&from).map(BytesMut::freeze) } else { None }
    }

    fn forget(&self, node: Incarnation) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&node);
    }
}

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
    let joined = Arc::downgrade(host);
    cluster.on_joined(move |me| {
        if let Some(mesh) = joined.upgrade().and_then(|host| mesh_of(&host)) {
            mesh.rejoined(node(me));
        }
    });
    let (of_recovery, sessions) = (Arc::downgrade(host), Arc::clone(sessions));
    cluster.on_recovery(move |peer| {
        let mesh = of_recovery.upgrade().and_then(|host| mesh_of(&host));
        let sessions = Arc::clone(&sessions);
        async move {
            if let Some(mesh) = mesh {
                adopt(&mesh, &sessions, peer.incarnation).await;
            }
        }
    });
    tokio::spawn(follow(cluster.clone(), Arc::downgrade(host), pieces));
}

/// Takes over the sessions of a node that was declared dead.
async fn adopt(mesh: &Arc<Mesh>, sessions: &Sessions, dead: Incarnation) {
    let (found, keys) = sessions.load(dead).await;
    if mesh.adopt(node(dead), found).await {
        // Where this node dies before, another adopts the same again.
        mesh.adopted(node(dead));
        sessions.delete(keys).await;
    }
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
fn incarnation(node: Node) -> Incarnation {
    Incarnation { node: NodeId(node.id), boot: BootId(node.boot) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_that_came_in_pieces_is_whole_with_its_last() {
        let pieces = Pieces::default();
        let from = |node| Incarnation { node: NodeId(node), boot: BootId(1) };
        let take = |node, piece: &'static [u8]| pieces.take(from(node), &Bytes::from_static(piece));
        assert_eq!(take(1, b"\0abc"), Some(Bytes::from("abc")));
        assert_eq!(take(1, b"\x01a"), None);
        assert_eq!(take(2, b"\0x"), Some(Bytes::from("x")));
        assert_eq!(take(1, b"\x01b"), None);
        assert_eq!(take(1, b"\0c"), Some(Bytes::from("abc")));
        assert_eq!(take(1, b"\x01lost"), None);
        pieces.forget(from(1));
        assert_eq!(take(1, b"\0d"), Some(Bytes::from("d")));
        assert_eq!(take(1, b""), None);
    }
}
