//! The realtime plane's frames over the cluster's links, which take messages up to a length and
//! up to a number: longer frames go in pieces, and what a link has no room for waits.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use fanwire_cluster::{Cluster, Incarnation, NodeId, SendError};
use fanwire_realtime::mesh::{Links, Node};

use super::realtime::{CHANNEL, incarnation};

/// The longest piece that a frame goes in, in bytes. NATS takes messages of a megabyte at
/// least: where it does not, no node starts.
const PIECE_BYTES: usize = 512 * 1024;

/// The longest frame that is put together again. One is longer only where a node tells of
/// more filters than it may.
const MAX_FRAME_BYTES: usize = 256 * 1024 * 1024;

/// What may wait beyond what the links take before clients are read from no more, in bytes.
const BEHIND_BYTES: usize = 16 * 1024 * 1024;

/// Between two attempts at a link that has no room.
const RETRY: Duration = Duration::from_millis(5);

/// What a piece begins with: whether more of its frame follows.
const LAST: u8 = 0;
const MORE: u8 = 1;

/// The links to other nodes, as the plane has them.
pub(super) struct Wire {
    cluster: Cluster,
    queues: Arc<Queues>,
    runtime: tokio::runtime::Handle,
}

/// Gives a piece to a link. `false`: it has no room now.
type Give = Box<dyn Fn(Node, Bytes) -> bool + Send + Sync>;

/// What goes to each node, piece by piece.
struct Queues {
    give: Give,
    /// What the links had no room for, by node: the rest of it waits behind. Bounded by what
    /// clients are not read from beyond.
    // A std lock, held to queue a whole frame: pieces of another one must not come in between.
    waiting: Mutex<HashMap<Node, VecDeque<Bytes>>>,
    bytes: AtomicUsize,
}

/// Puts the frames of each node together.
#[derive(Default)]
pub(super) struct Pieces(Mutex<HashMap<Incarnation, BytesMut>>);

// === impl Wire ===

impl Wire {
    pub(super) fn new(cluster: &Cluster) -> Arc<Self> {
        let links = cluster.clone();
        // What fails otherwise is for a node that is gone, or by one that is. Of several NATS
        // servers one may take less than the first did: it waits for another.
        let give = move |to, piece| {
            let sent = links.send(incarnation(to), CHANNEL, piece);
            !matches!(sent, Err(SendError::WindowFull(_) | SendError::TooLarge { .. }))
        };
        Arc::new(Self {
            cluster: cluster.clone(),
            queues: Arc::new(Queues::new(Box::new(give))),
            runtime: tokio::runtime::Handle::current(),
        })
    }
}

impl Links for Wire {
    fn send(&self, to: Node, frame: Bytes) {
        if self.queues.send(to, &frame) {
            let queues = Arc::clone(&self.queues);
            self.runtime.spawn(async move { queues.send_waiting(to).await });
        }
    }

    fn cast(&self, to: &[Node], frame: Bytes) {
        let to: Vec<NodeId> = to.iter().map(|node| NodeId(node.id)).collect();
        // It may be lost.
        let _ = self.cluster.publish(&to, &frame);
    }

    fn is_behind(&self) -> bool {
        self.queues.bytes.load(Ordering::Relaxed) > BEHIND_BYTES
    }
}

// === impl Queues ===

impl Queues {
    fn new(give: Give) -> Self {
        Self { give, waiting: Mutex::default(), bytes: AtomicUsize::new(0) }
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<Node, VecDeque<Bytes>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a frame, or has the rest of it wait behind what does. Says whether something waits
    /// that did not before: then [`send_waiting`](Self::send_waiting) is to be called.
    fn send(&self, to: Node, frame: &Bytes) -> bool {
        let mut waiting = self.waiting();
        let mut begun = false;
        for piece in pieces(frame) {
            if let Some(queue) = waiting.get_mut(&to) {
                self.bytes.fetch_add(piece.len(), Ordering::Relaxed);
                queue.push_back(piece);
            } else if !(self.give)(to, piece.clone()) {
                self.bytes.fetch_add(piece.len(), Ordering::Relaxed);
                waiting.insert(to, VecDeque::from([piece]));
                begun = true;
            }
        }
        begun
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
            if !(self.give)(to, piece.clone()) {
                return true;
            }
            self.bytes.fetch_sub(piece.len(), Ordering::Relaxed);
            queue.pop_front();
        }
        waiting.remove(&to);
        false
    }
}

fn pieces(frame: &Bytes) -> impl Iterator<Item = Bytes> {
    let mut pieces = frame.chunks(PIECE_BYTES).peekable();
    std::iter::from_fn(move || {
        let piece = pieces.next()?;
        let mut bytes = BytesMut::with_capacity(piece.len() + 1);
        bytes.put_u8(if pieces.peek().is_some() { MORE } else { LAST });
        bytes.put_slice(piece);
        Some(bytes.freeze())
    })
}

// === impl Pieces ===

impl Pieces {
    /// Takes a piece in; the frame that is whole with it, if one is.
    pub(super) fn take(&self, from: Incarnation, piece: &Bytes) -> Option<Bytes> {
        let (last, body) = (*piece.first()? == LAST, piece.slice(1..));
        let mut begun = self.begun();
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

    pub(super) fn forget(&self, node: Incarnation) {
        self.begun().remove(&node);
    }

    pub(super) fn forget_all(&self) {
        self.begun().clear();
    }

    fn begun(&self) -> MutexGuard<'_, HashMap<Incarnation, BytesMut>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use fanwire_cluster::BootId;

    use super::*;

    const THERE: Node = Node { id: 1, boot: 1 };

    /// What a link has taken, and how much it still takes.
    #[derive(Default)]
    struct Link {
        taken: Mutex<Vec<Bytes>>,
        room: AtomicUsize,
    }

    impl Link {
        fn with_room(room: usize) -> (Arc<Self>, Queues) {
            let link = Arc::new(Self { taken: Mutex::default(), room: AtomicUsize::new(room) });
            let takes = Arc::clone(&link);
            let give = move |_, piece| takes.take(piece);
            (link, Queues::new(Box::new(give)))
        }

        fn take(&self, piece: Bytes) -> bool {
            // Others may come in between if they are let.
            std::thread::yield_now();
            let less = |room: usize| room.checked_sub(1);
            let has_room = self.room.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
            if has_room.is_ok() {
                self.taken.lock().unwrap().push(piece);
            }
            has_room.is_ok()
        }

        /// The frames that came: each is of one letter, if it has come whole.
        fn frames(&self) -> Vec<(usize, u8)> {
            let (pieces, from) = (Pieces::default(), incarnation(THERE));
            let taken = self.taken.lock().unwrap();
            let frames = taken.iter().filter_map(|piece| pieces.take(from, piece));
            let frame = |frame: Bytes| {
                let first = frame[0];
                assert!(frame.iter().all(|byte| *byte == first), "a frame has come in another");
                (frame.len(), first)
            };
            frames.map(frame).collect()
        }
    }

    fn frame(of: u8, bytes: usize) -> Bytes {
        vec![of; bytes].into()
    }

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
        assert_eq!(take(1, b"\x01lost"), None);
        pieces.forget_all();
        assert_eq!(take(1, b"\0e"), Some(Bytes::from("e")));
    }

    #[test]
    fn frames_of_several_threads_do_not_come_between_each_others_pieces() {
        let (link, queues) = Link::with_room(usize::MAX);
        let long = 3 * PIECE_BYTES + 1;
        std::thread::scope(|scope| {
            for (of, bytes) in [(b'a', long), (b'b', long), (b'c', 10), (b'd', 10)] {
                let queues = &queues;
                scope.spawn(move || {
                    for _ in 0..20 {
                        assert!(!queues.send(THERE, &frame(of, bytes)), "there is room");
                    }
                });
            }
        });
        let frames = link.frames();
        for each in [(long, b'a'), (long, b'b'), (10, b'c'), (10, b'd')] {
            assert_eq!(frames.iter().filter(|frame| **frame == each).count(), 20);
        }
    }

    #[test]
    fn what_a_link_has_no_room_for_follows_in_order_and_is_counted_meanwhile() {
        let (link, queues) = Link::with_room(1);
        assert!(queues.send(THERE, &frame(b'a', 2 * PIECE_BYTES)));
        assert!(!queues.send(THERE, &frame(b'b', 10)), "it is sent with what waits already");
        assert_eq!(queues.bytes.load(Ordering::Relaxed), PIECE_BYTES + 1 + 11);
        link.room.store(1, Ordering::Relaxed);
        assert!(queues.send_some(THERE));
        link.room.store(usize::MAX, Ordering::Relaxed);
        assert!(!queues.send_some(THERE));
        assert_eq!(link.frames(), [(2 * PIECE_BYTES, b'a'), (10, b'b')]);
        assert_eq!(queues.bytes.load(Ordering::Relaxed), 0);
    }
}
