//! A node's part: what it sends the others, and what it does with what they send.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use super::claims::Claims;
use super::frame::{Frame, Item, Target};
use super::heard::Heard;
use super::meeting::Meeting;
use super::own::Own;
use super::passing::Barriers;
use super::{Links, MeshParts, Node, RetainedRecords, SessionRecords};
use tokio::sync::oneshot;

use crate::Message;
use crate::directory::{Directory, Outward};
use crate::durable::Keeper;
use crate::message::Origin;
use crate::notice::Notice;
use crate::plane::shard_of;
use crate::promise::Promise;
use crate::retained::Retained;

/// Messages that go in one frame, in bytes; a longer one goes alone.
const FRAME_BYTES: usize = 192 * 1024;

/// What may wait for a node that has died until another has its sessions, in bytes. What is
/// more is given up: its publishers are not told that it is kept.
const MAX_HELD_BYTES: usize = 64 * 1024 * 1024;

/// Nodes that died whose heirs are remembered: a shard may have a message for one of them
/// that it decided on before it heard.
const MAX_HEIRS: usize = 64;

/// Tells a shard something that carries so many bytes.
pub(crate) type Tell = Box<dyn Fn(usize, Notice, usize) + Send + Sync>;

/// This node among the others. Whoever has the links tells it of joins, deaths and frames one
/// after the other.
pub struct Mesh {
    /// In this stay. A std lock, held for a copy.
    node: Mutex<Node>,
    pub(super) links: Arc<dyn Links>,
    pub(super) sessions: Option<Arc<dyn SessionRecords>>,
    pub(super) retained_records: Option<Arc<dyn RetainedRecords>>,
    pub(super) directory: Arc<Directory>,
    pub(super) retained: Arc<Retained>,
    tell: OnceLock<Tell>,
    pub(super) shards: usize,
    /// Of the last message that was sent.
    number: AtomicU64,
    /// There is something of the interest that the others do not know. Read without the lock.
    pub(super) untold: AtomicBool,
    // Std locks: held to note and to hand on, never across an await. While this one is held
    // the directory is not asked: it calls here with its own one held.
    state: Mutex<State>,
    /// What each node listens to.
    pub(super) heard: Mutex<HashMap<Node, Heard>>,
    /// Clients that are being let in. Taken before the lock of `state`.
    pub(super) claims: Mutex<Claims>,
    pub(super) barriers: Mutex<Barriers>,
    pub(super) meeting: Meeting,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) own: Own,
    pub(super) peers: BTreeMap<Node, Peer>,
    /// What waits until the others have taken in what this node listens to.
    pub(super) waiting: Vec<(u64, Arc<Promise>)>,
    next_batch: u64,
    batches: HashMap<u64, Batch>,
    /// Who has the sessions of nodes that died, the latest.
    heirs: VecDeque<(Node, Node)>,
}

/// Another node.
#[derive(Debug, Default)]
pub(super) struct Peer {
    /// Which version of what this node listens to it has taken in.
    pub(super) taken: u64,
    /// It has died, and nobody has its sessions yet.
    dead: bool,
    /// What waits for that, in bytes.
    held_bytes: usize,
}

/// Messages that were sent to a node and are not settled.
struct Batch {
    to: Node,
    sent: Vec<Sent>,
}

/// A message that was sent, and the promise that it is part of.
pub(crate) struct Sent {
    pub(crate) item: Item,
    pub(crate) promise: Option<Arc<Promise>>,
    /// Nodes that had nobody for it.
    pub(crate) none_of: Vec<Node>,
}

/// What a shard has for other nodes at the end of a turn.
#[derive(Debug, Default)]
pub(crate) struct Outgoing {
    /// Messages to be settled.
    pub(crate) sent: Vec<(Node, Sent)>,
    /// Messages of QoS 0.
    pub(crate) casts: Vec<(Arc<Message>, Vec<Node>)>,
    /// Promises that the turn is over.
    pub(crate) passing: Vec<Arc<Promise>>,
}

/// Messages of another node, for a shard.
#[derive(Debug)]
pub struct Incoming {
    pub(crate) items: Vec<(u32, Item)>,
    pub(crate) settling: Option<Arc<Settling>>,
}

/// What becomes of a batch: told to the node that sent it once all who have a part in it are
/// done.
pub(crate) struct Settling {
    /// Fulfilled by the shards; told when the last lets go.
    pub(crate) promise: Arc<Promise>,
    back: Arc<Mutex<Vec<u32>>>,
}

// === impl Mesh ===

impl Mesh {
    pub(crate) fn new(
        parts: MeshParts,
        directory: &Arc<Directory>,
        retained: &Arc<Retained>,
        shards: usize,
    ) -> Arc<Self> {
        let mesh = Arc::new(Self {
            node: Mutex::new(parts.node),
            links: parts.links,
            sessions: parts.sessions,
            retained_records: parts.retained,
            directory: Arc::clone(directory),
            retained: Arc::clone(retained),
            tell: OnceLock::new(),
            shards,
            number: AtomicU64::new(0),
            untold: AtomicBool::new(false),
            state: Mutex::default(),
            heard: Mutex::default(),
            claims: Mutex::default(),
            barriers: Mutex::default(),
            meeting: Meeting::default(),
        });
        mesh.directory.tell_outward(Arc::clone(&mesh) as Arc<dyn Outward>);
        mesh
    }

    /// Has shards told from now on.
    pub(crate) fn tell_shards(&self, tell: Tell) {
        let _ = self.tell.set(tell);
    }

    /// What a shard writes with.
    pub(crate) fn keeper(&self) -> Keeper {
        match &self.sessions {
            Some(records) => Keeper::of_records(Arc::clone(records)),
            None => Keeper::of_nothing(),
        }
    }

    pub(super) fn tell(&self, shard: usize, notice: Notice, bytes: usize) {
        // Before the shards are there nobody has sent anything.
        if let Some(tell) = self.tell.get() {
            tell(shard, notice, bytes);
        }
    }

    /// This node.
    pub fn node(&self) -> Node {
        *self.node.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Another node has come.
    pub fn joined(&self, node: Node) {
        let mut state = self.state();
        if state.peers.contains_key(&node) {
            return;
        }
        state.peers.insert(node, Peer::default());
        let whole = state.own.whole();
        self.links.send(node, Frame::Interest(whole).encode());
        // It may have seen them die, and wait for that.
        let me = self.node();
        for (dead, _) in state.heirs.iter().filter(|(_, heir)| *heir == me) {
            self.links.send(node, Frame::Adopted { dead: *dead }.encode());
        }
    }

    /// Another node has died, or left. What is on its way to its sessions waits until another
    /// [has them](Self::adopted).
    pub fn died(&self, node: Node) {
        if let Some(peer) = self.state().peers.get_mut(&node) {
            peer.dead = true;
        }
        for shard in 0..self.shards {
            self.tell(shard, Notice::NodeDied(node), 0);
        }
        self.passed_all(node);
        self.let_go();
    }

    /// Another node has left in order: it had no sessions left that somebody would need.
    pub fn left(&self, node: Node) {
        self.forget(node);
        let mut state = self.state();
        state.peers.remove(&node);
        let batches = state.batches_to(node);
        drop(state);
        self.meeting.go_on(Some(node));
        let sent = batches.into_iter().flat_map(|batch| batch.sent);
        // What was for its sessions is for nobody: dropping it keeps the promise.
        for sent in sent.filter(|sent| matches!(sent.item.target, Target::Member { .. })) {
            self.choose_again(sent);
        }
        self.passed_all(node);
        self.ask_heir(node, None);
        self.let_go();
    }

    /// This node was taken for dead: others look after its clients. Done when all that it had
    /// of them is gone here; then it is nobody until it [has joined again](Self::rejoined).
    pub async fn fenced(&self) {
        self.meeting.begin_anew();
        // Before the shards let go: whoever is let in after that is let in by the next stay.
        self.forget_claims();
        let (gone, all_gone) = oneshot::channel();
        let gone = Mutex::new(Some(gone));
        let told = move |_, _| {
            let gone = gone.lock().unwrap_or_else(PoisonError::into_inner).take();
            // Where nobody waits any more, nobody has to be told.
            let _ = gone.map(|gone| gone.send(()));
        };
        let promise = Promise::new(0, Arc::new(told));
        for shard in 0..self.shards {
            self.tell(shard, Notice::Fenced(Arc::clone(&promise)), 0);
        }
        drop(promise);
        let _ = all_gone.await;
    }

    /// This node is in the cluster again, as another, and knows nobody yet.
    pub fn rejoined(&self, node: Node) {
        let before =
            std::mem::replace(&mut *self.node.lock().unwrap_or_else(PoisonError::into_inner), node);
        if before == node {
            return;
        }
        let mut state = self.state();
        let batches = std::mem::take(&mut state.batches);
        let peers = std::mem::take(&mut state.peers);
        drop(state);
        batches.values().for_each(|batch| break_all(&batch.sent));
        for peer in peers.keys() {
            self.forget(*peer);
            self.passed_all(*peer);
        }
        self.forget_claims();
        self.let_go();
    }

    /// The other nodes: those that live, and those that have died and whose sessions nobody has
    /// yet.
    pub(crate) fn peers(&self) -> (Vec<Node>, Vec<Node>) {
        let state = self.state();
        let dead = state.peers.iter().filter(|(_, peer)| peer.dead).map(|(node, _)| *node);
        (state.living().collect(), dead.collect())
    }

    /// The sessions of a node that died live on here, as far as there are any: the others are
    /// told. To be called once they are in memory.
    pub fn adopted(self: &Arc<Self>, dead: Node) {
        self.flush();
        let mut state = self.state();
        for peer in state.living() {
            self.links.send(peer, Frame::Adopted { dead }.encode());
        }
        // Whoever joins from now on is told then.
        state.inherits(dead, self.node());
        drop(state);
        self.pass_on(dead, None);
        self.end_adoption(dead);
    }

    /// A frame has come from another node.
    pub fn received(self: &Arc<Self>, from: Node, frame: &[u8]) {
        // A frame that makes no sense is one of a later version, whose nodes this one cannot
        // work with: whoever waits for an answer gives up in time.
        let Ok(frame) = Frame::decode(frame) else { return };
        match frame {
            Frame::Interest(interest) => self.hear(from, interest),
            Frame::Taken { version } => self.taken(from, version),
            Frame::Batch { number, items } => self.deliver(from, number, items),
            Frame::Settled { number, kept, back } => self.settled(from, number, kept, &back),
            Frame::Cast(messages) => self.deliver_casts(messages),
            Frame::Barrier { number } => self.pass(from, number),
            Frame::Passed { number } => self.passed(from, number),
            Frame::Ask { number, client_id, ask } => self.asked(from, number, client_id, &ask),
            Frame::Answer { number, answer } => self.answered(from, number, answer),
            Frame::Arrived { client_id } => self.arrived(from, client_id),
            Frame::Adopted { dead } => self.pass_on(dead, Some(from)),
            Frame::Followed { client_id } => self.followed(client_id),
        }
    }

    /// Sends what a shard has for others, and tells them what has changed here.
    pub(crate) fn turn_ended(&self, outgoing: &mut Outgoing) {
        if self.untold.load(Ordering::Acquire) {
            self.flush();
        }
        self.cast(&mut outgoing.casts);
        let passing = std::mem::take(&mut outgoing.passing);
        self.send(outgoing);
        // Behind all that was sent.
        drop(passing);
    }

    fn send(&self, outgoing: &mut Outgoing) {
        if outgoing.sent.is_empty() {
            return;
        }
        let mut state = self.state();
        let mut by_node: BTreeMap<Node, Vec<Sent>> = BTreeMap::new();
        for (node, sent) in outgoing.sent.drain(..) {
            by_node.entry(node).or_default().push(sent);
        }
        for (node, sent) in by_node {
            self.send_batches(&mut state, node, sent);
        }
    }

    /// Sends messages of QoS 0, those that go to the same nodes together.
    fn cast(&self, casts: &mut Vec<(Arc<Message>, Vec<Node>)>) {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        let mut to: Vec<Node> = Vec::new();
        for (message, nodes) in casts.drain(..) {
            let cost = message.cost();
            if !batch.is_empty() && (nodes != to || bytes + cost > FRAME_BYTES) {
                self.links.cast(&to, Frame::Cast(std::mem::take(&mut batch)).encode());
                bytes = 0;
            }
            bytes += cost;
            batch.push(message);
            to = nodes;
        }
        if !batch.is_empty() {
            self.links.cast(&to, Frame::Cast(batch).encode());
        }
    }

    /// Whether clients had better publish no more for now.
    pub(crate) fn is_behind(&self) -> bool {
        self.links.is_behind()
    }

    /// The name of a message that is sent to other nodes.
    pub(crate) fn name(&self) -> Origin {
        Origin { node: self.node(), number: self.number.fetch_add(1, Ordering::Relaxed) }
    }

    fn send_batches(&self, state: &mut State, to: Node, sent: Vec<Sent>) {
        let mut batch = Vec::new();
        let mut bytes = 0;
        for sent in sent {
            let cost = sent.item.message.cost();
            if bytes + cost > FRAME_BYTES && !batch.is_empty() {
                self.send_batch(state, to, std::mem::take(&mut batch), bytes);
                bytes = 0;
            }
            bytes += cost;
            batch.push(sent);
        }
        self.send_batch(state, to, batch, bytes);
    }

    fn send_batch(&self, state: &mut State, to: Node, sent: Vec<Sent>, bytes: usize) {
        let Some(peer) = state.peers.get_mut(&to) else {
            return self.send_to_heir(state, to, sent);
        };
        if peer.dead {
            peer.held_bytes += bytes;
            if peer.held_bytes > MAX_HELD_BYTES {
                break_all(&sent);
                return;
            }
        } else {
            let items = sent.iter().map(|sent| sent.item.clone()).collect();
            let frame = Frame::Batch { number: state.next_batch, items };
            self.links.send(to, frame.encode());
        }
        state.batches.insert(state.next_batch, Batch { to, sent });
        state.next_batch += 1;
    }

    /// A shard has decided on messages before it heard that their node has died.
    fn send_to_heir(&self, state: &mut State, dead: Node, mut sent: Vec<Sent>) {
        let heir = state.heir_of(dead);
        sent.iter_mut().for_each(|sent| sent.item.target.pass_on(dead));
        match heir {
            Some(heir) if heir == self.node() => self.keep_here(sent),
            Some(heir) => self.send_batches(state, heir, sent),
            // Nobody here has ever heard of the node.
            None => break_all(&sent),
        }
    }

    /// What was on its way to a node that died is for sessions that live here now.
    fn keep_here(&self, sent: Vec<Sent>) {
        for sent in sent {
            let shard = sent.item.shard(self.shards);
            let bytes = sent.item.message.cost();
            self.tell(shard, Notice::PassedOn(sent), bytes);
        }
    }

    /// A node says what became of a batch.
    fn settled(&self, from: Node, number: u64, kept: bool, back: &[u32]) {
        let mut state = self.state();
        let Some(batch) = state.batches.get(&number).filter(|batch| batch.to == from) else {
            return;
        };
        if !kept {
            break_all(&batch.sent);
        }
        let Some(batch) = state.batches.remove(&number) else { return };
        drop(state);
        for (place, mut sent) in batch.sent.into_iter().enumerate() {
            if back.iter().any(|back| *back as usize == place) {
                sent.none_of.push(from);
                self.choose_again(sent);
            }
        }
    }

    /// A message for a shared subscription found nobody where it was sent: another node, or
    /// somebody here, gets it.
    fn choose_again(&self, sent: Sent) {
        let shard = shard_of(&sent.item.message.topic, self.shards);
        let bytes = sent.item.message.cost();
        self.tell(shard, Notice::ChooseAgain(sent), bytes);
    }

    /// The sessions of a node that died live on at another, or here: what was on its way to
    /// them goes there.
    fn pass_on(&self, dead: Node, to: Option<Node>) {
        self.forget(dead);
        let mut state = self.state();
        state.peers.remove(&dead);
        let mut passed_on: Vec<Sent> =
            state.batches_to(dead).into_iter().flat_map(|batch| batch.sent).collect();
        state.inherits(dead, to.unwrap_or_else(|| self.node()));
        passed_on.iter_mut().for_each(|sent| sent.item.target.pass_on(dead));
        // What followed a session that had not arrived is for that session, which is here still.
        let is_back = |sent: &mut Sent| matches!(sent.item.target, Target::Session { .. });
        let back: Vec<Sent> = passed_on.extract_if(.., is_back).collect();
        match to {
            Some(to) => self.send_batches(&mut state, to, passed_on),
            None => self.keep_here(passed_on),
        }
        drop(state);
        self.keep_here(back);
        self.meeting.go_on(Some(dead));
        self.ask_heir(dead, to);
        self.let_go();
    }

    /// Gives the messages of a batch to the shards.
    fn deliver(self: &Arc<Self>, from: Node, number: u64, items: Vec<Item>) {
        let settling = Arc::new(Settling::new(self, from, number));
        let mut by_shard: BTreeMap<usize, (Vec<(u32, Item)>, usize)> = BTreeMap::new();
        for (place, item) in (0..).zip(items) {
            let shard = item.shard(self.shards);
            let (items, bytes) = by_shard.entry(shard).or_default();
            *bytes += item.message.cost();
            items.push((place, item));
        }
        for (shard, (items, bytes)) in by_shard {
            let incoming = Incoming { items, settling: Some(Arc::clone(&settling)) };
            self.tell(shard, Notice::Incoming(incoming), bytes);
        }
    }

    fn deliver_casts(&self, messages: Vec<Arc<Message>>) {
        for message in messages {
            let (shard, bytes) = (shard_of(&message.topic, self.shards), message.cost());
            let items = vec![(0, Item { message, target: Target::Subscribers })];
            let incoming = Incoming { items, settling: None };
            self.tell(shard, Notice::Incoming(incoming), bytes);
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Mesh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mesh").field("node", &self.node()).finish_non_exhaustive()
    }
}

// === impl Item ===

impl Item {
    /// The shard that it is for.
    fn shard(&self, shards: usize) -> usize {
        match &self.target {
            Target::Session { client_id, .. } => shard_of(client_id, shards),
            _ => shard_of(&self.message.topic, shards),
        }
    }
}

// === impl Outgoing ===

impl Outgoing {
    pub(crate) fn is_empty(&self) -> bool {
        self.sent.is_empty() && self.casts.is_empty() && self.passing.is_empty()
    }
}

// === impl State ===

impl State {
    pub(super) fn living(&self) -> impl Iterator<Item = Node> {
        self.peers.iter().filter(|(_, peer)| !peer.dead).map(|(node, _)| *node)
    }

    /// Who has the sessions of a node that died.
    pub(super) fn heir_of(&self, dead: Node) -> Option<Node> {
        self.heirs.iter().find(|(known, _)| *known == dead).map(|(_, heir)| *heir)
    }

    fn inherits(&mut self, dead: Node, heir: Node) {
        self.heirs.retain(|(known, _)| *known != dead);
        if self.heirs.len() == MAX_HEIRS {
            self.heirs.pop_front();
        }
        self.heirs.push_back((dead, heir));
    }

    /// Takes out what was sent to a node and is not settled, in order.
    fn batches_to(&mut self, node: Node) -> Vec<Batch> {
        let taken = self.batches.extract_if(|_, batch| batch.to == node);
        let mut taken: Vec<(u64, Batch)> = taken.collect();
        taken.sort_unstable_by_key(|(number, _)| *number);
        taken.into_iter().map(|(_, batch)| batch).collect()
    }

    pub(super) fn has_taken(&self, node: Node, version: u64) -> bool {
        self.peers.get(&node).is_none_or(|peer| peer.taken >= version)
    }

    /// The version that all who live have taken in.
    pub(super) fn taken_by_all(&self) -> u64 {
        let living = self.peers.values().filter(|peer| !peer.dead);
        living.map(|peer| peer.taken).min().unwrap_or(self.own.version)
    }
}

// === impl Settling ===

impl Settling {
    fn new(mesh: &Arc<Mesh>, from: Node, number: u64) -> Self {
        let back = Arc::new(Mutex::new(Vec::new()));
        let (mesh, handed_back) = (Arc::clone(mesh), Arc::clone(&back));
        let told = move |number, kept| {
            let mut back = handed_back.lock().unwrap_or_else(PoisonError::into_inner);
            let back = std::mem::take(&mut *back);
            mesh.links.send(from, Frame::Settled { number, kept, back }.encode());
        };
        Self { promise: Promise::new(number, Arc::new(told)), back }
    }

    /// The item at a place found nobody.
    pub(crate) fn hand_back(&self, place: u32) {
        self.back.lock().unwrap_or_else(PoisonError::into_inner).push(place);
    }
}

impl fmt::Debug for Settling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settling").finish_non_exhaustive()
    }
}

// === impl Sent ===

impl Sent {
    /// It cannot be kept.
    pub(crate) fn break_promise(&self) {
        if let Some(promise) = &self.promise {
            promise.break_it();
        }
    }
}

impl fmt::Debug for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sent").field("item", &self.item).finish_non_exhaustive()
    }
}

/// What was sent cannot be kept.
fn break_all(sent: &[Sent]) {
    sent.iter().for_each(Sent::break_promise);
}
