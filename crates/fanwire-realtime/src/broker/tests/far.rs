//! Several nodes without a network: what they send each other arrives when a test says so.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

use super::*;
use crate::Origin;
use crate::broker::Keep;
use crate::mesh::{
    Done, Links, Mesh, MeshParts, Node, Record, RecordKey, SessionPieces, SessionRecords,
};
use crate::notice::{Chosen, Part};
use crate::promise::Promise;

/// What is on its way between nodes, and which ways are cut.
#[derive(Default)]
struct Wires {
    queues: BTreeMap<(Node, Node), VecDeque<Bytes>>,
    cut: BTreeSet<(Node, Node)>,
}

/// What nodes leave of their sessions, by client.
type Left = BTreeMap<Arc<str>, BTreeMap<RecordKey, Vec<u8>>>;

/// What one node leaves.
struct Legacy {
    node: Node,
    all: Arc<Mutex<BTreeMap<Node, Left>>>,
}

struct Wire {
    from: Node,
    wires: Arc<Mutex<Wires>>,
}

/// Nodes of two shards each.
struct Nodes {
    nets: BTreeMap<Node, Net>,
    meshes: BTreeMap<Node, Arc<Mesh>>,
    wires: Arc<Mutex<Wires>>,
    left: Arc<Mutex<BTreeMap<Node, Left>>>,
}

impl SessionRecords for Legacy {
    fn commit(&self, changes: Vec<Record>, done: Done) {
        let mut all = self.all.lock().unwrap();
        let own = all.entry(self.node).or_default();
        for Record { client_id, key, value } in changes {
            let pieces = own.entry(client_id).or_default();
            match value {
                Some(value) => drop(pieces.insert(key, value)),
                None => drop(pieces.remove(&key)),
            }
        }
        own.retain(|_, pieces| !pieces.is_empty());
        drop(all);
        done(true);
    }

    fn forget_left(&self, at: Node, client_id: &str, done: Done) {
        let mut all = self.all.lock().unwrap();
        if let Some(pieces) = all.get_mut(&at).and_then(|left| left.get_mut(client_id)) {
            pieces.remove(&RecordKey::Session);
        }
        drop(all);
        done(true);
    }

    fn is_behind(&self) -> bool {
        false
    }
}

impl Links for Wire {
    fn send(&self, to: Node, frame: Bytes) {
        let mut wires = self.wires.lock().unwrap();
        wires.queues.entry((self.from, to)).or_default().push_back(frame);
    }

    fn cast(&self, to: &[Node], frame: Bytes) {
        for node in to {
            if !self.wires.lock().unwrap().cut.contains(&(self.from, *node)) {
                self.send(*node, frame.clone());
            }
        }
    }

    fn is_behind(&self) -> bool {
        false
    }
}

const A: Node = Node { id: 1, boot: 1 };
const B: Node = Node { id: 2, boot: 1 };
const C: Node = Node { id: 3, boot: 1 };

impl Nodes {
    fn new() -> Self {
        let wires = Arc::default();
        let (nets, meshes, left) = (BTreeMap::new(), BTreeMap::new(), Arc::default());
        let mut nodes = Self { nets, meshes, wires, left };
        for node in [A, B, C] {
            nodes.start(node);
        }
        nodes
    }

    fn start(&mut self, node: Node) {
        self.start_after(node, &[]);
    }

    /// A node comes after some have died whose sessions nobody has yet.
    fn start_after(&mut self, node: Node, dead: &[Node]) {
        let links = Arc::new(Wire { from: node, wires: Arc::clone(&self.wires) });
        let legacy = Arc::new(Legacy { node, all: Arc::clone(&self.left) });
        let parts = MeshParts { node, links, nodes: None, sessions: Some(legacy), retained: None };
        let (net, mesh) = net(parts);
        for (other, known) in &self.meshes {
            known.joined(node);
            mesh.joined(*other);
        }
        mesh.knows_all(dead.iter().copied());
        self.nets.insert(node, net);
        self.meshes.insert(node, mesh);
        self.run();
    }

    fn net(&mut self, node: Node) -> &mut Net {
        self.nets.get_mut(&node).unwrap()
    }

    /// Has everything arrive that is on ways that are not cut.
    fn run(&mut self) {
        loop {
            self.nets.values_mut().for_each(Net::settle);
            let next = {
                let mut wires = self.wires.lock().unwrap();
                let Wires { queues, cut } = &mut *wires;
                let open = queues.iter_mut().filter(|(way, _)| !cut.contains(way));
                let mut frames = open.filter_map(|(way, queue)| Some((*way, queue.pop_front()?)));
                frames.next()
            };
            let Some(((from, to), frame)) = next else { return };
            if let Some(mesh) = self.meshes.get(&to) {
                mesh.received(from, &frame);
            }
        }
    }

    fn cut(&mut self, from: Node, to: Node) {
        self.wires.lock().unwrap().cut.insert((from, to));
    }

    fn heal(&mut self) {
        self.wires.lock().unwrap().cut.clear();
        self.run();
    }

    /// A node ends without a word, and the others hear of it.
    fn kill(&mut self, node: Node) {
        self.nets.remove(&node);
        self.meshes.remove(&node);
        self.wires.lock().unwrap().queues.retain(|(from, to), _| *from != node && *to != node);
        self.meshes.values().for_each(|mesh| mesh.died(node));
        self.run();
    }

    /// A client that subscribes on a node.
    fn subscriber(&mut self, node: Node, id: &str, filter: &str) -> Client {
        let net = self.net(node);
        let client = net.connect(usize::from(id.len().is_multiple_of(2)), Connecting::v5(id));
        net.subscribe(client, filter, QoS::AtLeastOnce);
        self.run();
        self.net(node).packets(client);
        client
    }

    fn publisher(&mut self, node: Node) -> Client {
        let client = self.net(node).connect(0, Connecting::v5("publisher"));
        self.net(node).packets(client);
        client
    }

    fn publish(&mut self, node: Node, client: Client, topic: &str, payload: &str, qos: QoS) {
        self.net(node).publish(client, topic, payload, qos);
        self.run();
    }

    fn got(&mut self, node: Node, client: Client) -> Vec<String> {
        self.net(node).payloads(client)
    }

    /// What a publisher has been told.
    fn acks(&mut self, node: Node, client: Client) -> usize {
        let packets = self.net(node).packets(client);
        packets.iter().filter(|packet| packet.starts_with("PubAck")).count()
    }
}

fn net(parts: MeshParts) -> (Net, Arc<Mesh>) {
    let mut net = Net::new(2);
    let settings = Settings::new(&Model::new(Profile::Open), "us-east-1", "0").unwrap();
    let (settings, directory) = (Arc::new(settings), Arc::new(Directory::default()));
    let retained = Arc::new(Retained::default());
    let mesh = Mesh::new(parts, &directory, &retained, 2);
    let told = Arc::clone(&net.told);
    mesh.tell_shards(Box::new(move |shard, notice, _| told.lock().unwrap().push((shard, notice))));
    let broker = |shard| {
        let told = Arc::clone(&net.told);
        let kept = move |ticket, ok| {
            told.lock().unwrap().push((shard, Notice::Kept { ticket, ok }));
        };
        Broker::new(BrokerParts {
            settings: Arc::clone(&settings),
            shard,
            shards: 2,
            directory: Arc::clone(&directory),
            retained: Arc::clone(&retained),
            figures: Arc::default(),
            observer: Arc::new(Nobody),
            keep: Some(Keep::new(mesh.keeper(), Arc::new(kept))),
            mesh: Some(Arc::clone(&mesh)),
            now: net.now,
            now_ms: 1_700_000_000_000,
        })
    };
    net.brokers = (0..2).map(broker).collect();
    (net, mesh)
}

#[test]
fn a_message_reaches_subscribers_of_all_nodes_once() {
    let mut nodes = Nodes::new();
    let here = nodes.subscriber(A, "here", "t/+");
    let there = nodes.subscriber(B, "there", "t/#");
    let also = nodes.subscriber(B, "also", "t/x");
    let deaf = nodes.subscriber(C, "deaf", "other");
    let publisher = nodes.publisher(A);
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
        nodes.publish(A, publisher, "t/x", "hello", qos);
        assert_eq!(nodes.got(A, here), ["hello"], "{qos:?}");
        for client in [there, also] {
            assert_eq!(nodes.got(B, client), ["hello"], "{qos:?}");
        }
        assert_eq!(nodes.got(C, deaf), [""; 0], "{qos:?}");
    }
}

#[test]
fn a_publisher_hears_that_a_message_is_kept_when_all_nodes_that_listen_have_it() {
    let mut nodes = Nodes::new();
    let subscriber = nodes.subscriber(B, "there", "t");
    let publisher = nodes.publisher(A);
    nodes.cut(B, A);
    nodes.publish(A, publisher, "t", "1", QoS::AtLeastOnce);
    assert_eq!(nodes.got(B, subscriber), ["1"]);
    assert_eq!(nodes.acks(A, publisher), 0);
    nodes.heal();
    assert_eq!(nodes.acks(A, publisher), 1);
    nodes.publish(A, publisher, "elsewhere", "2", QoS::AtLeastOnce);
    assert_eq!(nodes.acks(A, publisher), 1, "nobody else has a part in it");
}

#[test]
fn a_message_for_a_node_that_is_out_of_reach_arrives_when_it_is_back() {
    let mut nodes = Nodes::new();
    let subscriber = nodes.subscriber(B, "there", "t");
    let publisher = nodes.publisher(A);
    nodes.cut(A, B);
    nodes.publish(A, publisher, "t", "0", QoS::AtMostOnce);
    nodes.publish(A, publisher, "t", "1", QoS::AtLeastOnce);
    assert_eq!((nodes.got(B, subscriber).len(), nodes.acks(A, publisher)), (0, 0));
    nodes.heal();
    assert_eq!((nodes.got(B, subscriber), nodes.acks(A, publisher)), (vec!["1".to_owned()], 1));
}

#[test]
fn a_publisher_is_not_told_that_a_message_is_kept_that_no_node_has_kept_in_time() {
    let mut nodes = Nodes::new();
    nodes.subscriber(B, "there", "t");
    let publisher = nodes.publisher(A);
    nodes.cut(A, B);
    nodes.publish(A, publisher, "t", "1", QoS::AtLeastOnce);
    nodes.net(A).pass(60);
    assert!(nodes.net(A).is_closed(publisher));
    assert_eq!(nodes.acks(A, publisher), 0);
}

#[test]
fn a_message_for_a_node_that_dies_waits_until_another_has_its_sessions() {
    let mut nodes = Nodes::new();
    let there = nodes.join(B, persistent("there"));
    nodes.subscribe(B, there, "t");
    let publisher = nodes.publisher(A);
    nodes.cut(A, B);
    nodes.publish(A, publisher, "t", "1", QoS::AtLeastOnce);
    nodes.kill(B);
    nodes.publish(A, publisher, "t", "2", QoS::AtLeastOnce);
    assert_eq!(nodes.acks(A, publisher), 0);
    nodes.adopt(B, C);
    assert_eq!(nodes.acks(A, publisher), 2);
    let there = nodes.join(C, persistent("there"));
    assert_eq!(nodes.got(C, there), ["1", "2"]);
}

#[test]
fn a_subscription_is_acknowledged_when_all_nodes_know_of_it_or_are_taken_too_long_for() {
    let mut nodes = Nodes::new();
    nodes.cut(C, A);
    let subscriber = nodes.subscriber(A, "here", "t");
    // What the client was told was thrown away there: nothing more has come since.
    nodes.net(A).subscribe(subscriber, "u", QoS::AtLeastOnce);
    nodes.run();
    assert_eq!(nodes.net(A).packets(subscriber), [""; 0]);
    nodes.heal();
    assert_eq!(nodes.net(A).packets(subscriber).len(), 2);
    nodes.cut(A, C);
    nodes.net(A).subscribe(subscriber, "v", QoS::AtLeastOnce);
    nodes.run();
    assert_eq!(nodes.net(A).packets(subscriber), [""; 0]);
    nodes.net(A).pass(3);
    assert_eq!(nodes.net(A).packets(subscriber).len(), 1);
}

#[test]
fn of_a_shared_subscription_one_member_of_all_nodes_gets_a_message() {
    let mut nodes = Nodes::new();
    let members = [
        (A, nodes.subscriber(A, "one", "$share/g/t")),
        (B, nodes.subscriber(B, "two", "$share/g/t")),
        (B, nodes.subscriber(B, "three", "$share/g/t")),
    ];
    let publisher = nodes.publisher(C);
    for n in 0..9 {
        nodes.publish(C, publisher, "t", &n.to_string(), QoS::AtLeastOnce);
    }
    let got: Vec<Vec<String>> =
        members.iter().map(|(node, client)| nodes.got(*node, *client)).collect();
    let mut all: Vec<&String> = got.iter().flatten().collect();
    all.sort();
    assert_eq!(all, ["0", "1", "2", "3", "4", "5", "6", "7", "8"]);
    assert!(got.iter().all(|got| got.len() == 3), "{got:?}");
    assert_eq!(nodes.acks(C, publisher), 9);
}

#[test]
fn a_message_for_a_member_that_has_just_gone_goes_to_another() {
    let mut nodes = Nodes::new();
    let gone = nodes.subscriber(B, "two", "$share/g/t");
    let publisher = nodes.publisher(C);
    let other = nodes.subscriber(A, "one", "$share/g/t");
    nodes.cut(B, C);
    nodes.net(B).lose(gone);
    for n in 0..4 {
        nodes.publish(C, publisher, "t", &n.to_string(), QoS::AtLeastOnce);
    }
    nodes.heal();
    let mut got = nodes.got(A, other);
    got.sort();
    assert_eq!(got, ["0", "1", "2", "3"]);
    assert_eq!(nodes.acks(C, publisher), 4);
}

#[test]
fn a_message_whose_member_is_gone_when_it_comes_to_it_goes_to_another() {
    for (there, node) in [("other", A), ("another", B)] {
        let mut nodes = Nodes::new();
        let member = nodes.subscriber(node, there, "$share/g/t");
        let group = nodes.net(A).brokers[0].directory.find_group("g", "t").unwrap();
        let message = Message { qos: QoS::AtLeastOnce, ..Message::new("t", "hello") };
        let chosen = Chosen {
            group,
            client_id: "gone".into(),
            message: Arc::new(message),
            qos: QoS::AtLeastOnce,
            retain_as_published: false,
            subscription_id: None,
        };
        let kept = Arc::new(Mutex::new(None));
        let told = Arc::clone(&kept);
        let promise = Promise::new(1, Arc::new(move |_, ok| *told.lock().unwrap() = Some(ok)));
        let part = Part { promises: vec![promise], ..Part::default() };
        nodes.net(A).told.lock().unwrap().push((0, Notice::Chosen(chosen, part)));
        nodes.run();
        assert_eq!(nodes.got(node, member), ["hello"]);
        assert_eq!(*kept.lock().unwrap(), Some(true));
    }
}

#[test]
fn what_one_node_hears_no_more_is_not_sent_to_it() {
    let mut nodes = Nodes::new();
    let subscriber = nodes.subscriber(B, "there", "t");
    nodes.net(B).lose(subscriber);
    nodes.run();
    let publisher = nodes.publisher(A);
    nodes.cut(A, B);
    nodes.publish(A, publisher, "t", "1", QoS::AtLeastOnce);
    assert_eq!(nodes.acks(A, publisher), 1);
}

// === Sessions that move ===

impl Nodes {
    /// Connects a client as its handshake would: other nodes are asked first.
    fn join(&mut self, node: Node, how: Connecting<'_>) -> Client {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let _inside = runtime.enter();
        let (mesh, id): (_, Arc<str>) = (Arc::clone(&self.meshes[&node]), how.client_id.into());
        let shard = crate::plane::shard_of(&id, 2);
        let clean = how.clean_start;
        let mut claim = Box::pin(async move { mesh.claim(&id, clean, 1).await });
        let mut look = || claim.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        let first = look();
        self.run();
        let answered = if first.is_ready() { first } else { look() };
        let Poll::Ready(Some(claim)) = answered else { panic!("nobody answers") };
        let client = self.net(node).connect(shard, how);
        drop(claim);
        self.run();
        client
    }

    /// A node takes over the sessions of one that died.
    /// Whether a node lets clients in.
    fn has_met(&self, node: Node) -> bool {
        let met = pin!(self.meshes[&node].met());
        met.poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    fn adopt(&mut self, dead: Node, heir: Node) {
        self.begin_to_adopt(dead, heir);
        self.end_adoption(dead, heir);
    }

    fn begin_to_adopt(&mut self, dead: Node, heir: Node) {
        self.begin_to_adopt_while(dead, heir, |_| {});
    }

    /// What `meanwhile` tells the heir's shards is told with the sessions.
    fn begin_to_adopt_while(&mut self, dead: Node, heir: Node, meanwhile: impl FnOnce(&mut Self)) {
        let left = self.left.lock().unwrap().remove(&dead).unwrap_or_default();
        let sessions = left.into_iter().map(|(client_id, pieces)| SessionPieces {
            client_id,
            pieces: pieces.into_iter().collect(),
        });
        let (mesh, sessions) = (Arc::clone(&self.meshes[&heir]), sessions.collect());
        let mut adopting = Box::pin(async move { mesh.adopt(dead, sessions).await });
        let mut look = || adopting.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        let first = look();
        meanwhile(self);
        self.run();
        assert!(first.is_ready() || look() == Poll::Ready(true));
    }

    /// The others hear of it.
    fn end_adoption(&mut self, dead: Node, heir: Node) {
        self.meshes[&heir].adopted(dead);
        self.run();
    }

    fn sessions(&mut self, node: Node) -> usize {
        self.net(node).brokers.iter().map(|broker| broker.sessions.len()).sum()
    }

    fn subscribe(&mut self, node: Node, client: Client, filter: &str) {
        self.net(node).subscribe(client, filter, QoS::AtLeastOnce);
        self.run();
        self.net(node).packets(client);
    }

    fn lose(&mut self, node: Node, client: Client) {
        self.net(node).lose(client);
        self.run();
    }

    /// The session of a client `c` that hears of `t`, and has gone.
    fn leave_session(&mut self, node: Node) {
        let client = self.join(node, persistent("c"));
        self.subscribe(node, client, "t");
        self.lose(node, client);
    }

    /// Another node asks for the session of `c`, whose client has come there.
    fn claim(&mut self, of: Node, to: Node, number: u64) {
        self.meshes[&of].received(to, &crate::mesh::claim_frame(number, "c"));
        self.run();
    }
}

fn persistent(id: &str) -> Connecting<'_> {
    Connecting::v5(id).persistent()
}

#[test]
fn a_client_that_connects_to_another_node_is_sent_away_where_it_was() {
    for how in [Connecting::v5("c"), persistent("c")] {
        let mut nodes = Nodes::new();
        let before = nodes.join(A, how.clone());
        let now = nodes.join(B, how);
        assert!(nodes.net(A).is_closed(before));
        let told = nodes.net(A).packets(before).pop().unwrap();
        assert!(told.contains("Disconnect") && told.contains("0x8E"), "{told}");
        assert!(!nodes.net(B).is_closed(now));
    }
}

#[test]
fn a_session_moves_with_its_subscriptions_and_with_what_waits() {
    let mut nodes = Nodes::new();
    nodes.leave_session(A);
    let publisher = nodes.publisher(C);
    nodes.publish(C, publisher, "t", "1", QoS::AtLeastOnce);
    let client = nodes.join(B, persistent("c"));
    assert_eq!(nodes.got(B, client), ["1"]);
    nodes.net(A).pass(60);
    nodes.publish(C, publisher, "t", "2", QoS::AtLeastOnce);
    assert_eq!(nodes.got(B, client), ["2"]);
    assert_eq!(nodes.acks(C, publisher), 2);
    assert_eq!(nodes.sessions(A), 0);
}

#[test]
fn what_is_sent_to_where_a_session_was_follows_it() {
    let mut nodes = Nodes::new();
    let client = nodes.join(A, persistent("c"));
    nodes.subscribe(A, client, "t");
    let publisher = nodes.publisher(C);
    // The publisher's node does not hear that the session is elsewhere now.
    nodes.cut(B, C);
    let shard = crate::plane::shard_of("c", 2);
    nodes.claim(A, B, 1);
    nodes.publish(C, publisher, "t", "1", QoS::AtLeastOnce);
    let client = nodes.net(B).connect(shard, persistent("c"));
    nodes.run();
    assert_eq!(nodes.got(B, client), ["1"]);
    assert_eq!(nodes.acks(C, publisher), 1);
}

#[test]
fn a_node_that_asks_again_for_a_session_which_it_has_not_got_is_sent_it_again() {
    let mut nodes = Nodes::new();
    nodes.leave_session(A);
    nodes.cut(A, B);
    nodes.claim(A, B, 1);
    nodes.wires.lock().unwrap().queues.remove(&(A, B));
    nodes.meshes[&A].received(B, &crate::mesh::claim_frame(2, "c"));
    nodes.heal();
    assert_eq!((nodes.sessions(A), nodes.sessions(B)), (0, 1));
}

#[test]
fn a_session_that_is_sent_twice_is_forgotten_where_it_was_no_sooner() {
    let mut nodes = Nodes::new();
    nodes.leave_session(A);
    // It does not hear what the session's new node listens to.
    nodes.cut(B, C);
    for number in [1, 2] {
        nodes.claim(A, B, number);
    }
    assert_eq!((nodes.sessions(A), nodes.sessions(B)), (1, 1));
    nodes.heal();
    assert_eq!((nodes.sessions(A), nodes.sessions(B)), (0, 1));
}

#[test]
fn what_waits_for_what_follows_a_session_is_not_kept_where_its_shard_ends() {
    let mut nodes = Nodes::new();
    nodes.leave_session(A);
    // Where it was does not hear that nothing more follows.
    nodes.cut(C, A);
    nodes.claim(A, B, 1);
    let kept = Arc::new(Mutex::new(None));
    let told = Arc::clone(&kept);
    let promise = Promise::new(1, Arc::new(move |_, ok| *told.lock().unwrap() = Some(ok)));
    let origin = Some(Origin { node: C, number: 1 });
    let message = Message { qos: QoS::AtLeastOnce, origin, ..Message::new("t", "hello") };
    let part = Part { promises: vec![promise], ..Part::default() };
    let notice = Notice::Forwarded(vec![Arc::new(message)], part);
    let shard = crate::plane::shard_of("c", 2);
    nodes.net(B).told.lock().unwrap().push((shard, notice));
    nodes.run();
    assert_eq!(*kept.lock().unwrap(), None);
    nodes.nets.remove(&B);
    assert_eq!(*kept.lock().unwrap(), Some(false));
}

#[test]
fn a_session_that_begins_anew_ends_elsewhere() {
    let mut nodes = Nodes::new();
    nodes.leave_session(A);
    let how = Connecting { clean_start: true, ..persistent("c") };
    let client = nodes.join(B, how);
    let publisher = nodes.publisher(C);
    nodes.publish(C, publisher, "t", "1", QoS::AtLeastOnce);
    assert_eq!(nodes.got(B, client), [""; 0]);
    assert_eq!(nodes.sessions(A), 0);
}

#[test]
fn a_session_that_went_to_a_node_which_died_on_the_way_is_still_there() {
    let mut nodes = Nodes::new();
    let client = nodes.join(A, persistent("c"));
    nodes.subscribe(A, client, "t");
    nodes.cut(A, B);
    nodes.claim(A, B, 1);
    let publisher = nodes.publisher(C);
    nodes.publish(C, publisher, "t", "1", QoS::AtLeastOnce);
    nodes.kill(B);
    nodes.meshes[&C].adopted(B);
    nodes.run();
    assert_eq!(nodes.acks(C, publisher), 1);
    let client = nodes.join(A, persistent("c"));
    assert_eq!(nodes.got(A, client), ["1"]);
}

#[test]
fn a_session_that_has_moved_is_not_taken_over_from_its_old_node_that_died_and_did_not_hear() {
    let mut nodes = Nodes::new();
    nodes.leave_session(A);
    nodes.cut(B, A);
    nodes.claim(A, B, 1);
    assert_eq!((nodes.sessions(A), nodes.sessions(B)), (1, 1));
    nodes.kill(A);
    nodes.adopt(A, C);
    assert_eq!((nodes.sessions(B), nodes.sessions(C)), (1, 0));
}

#[test]
fn a_session_whose_new_node_dies_too_soon_is_kept_again_where_it_was() {
    let mut nodes = Nodes::new();
    nodes.leave_session(A);
    nodes.cut(B, A);
    nodes.claim(A, B, 1);
    // What it has kept is nowhere any more.
    nodes.left.lock().unwrap().remove(&B);
    nodes.kill(B);
    nodes.adopt(B, C);
    nodes.kill(A);
    nodes.adopt(A, C);
    assert_eq!(nodes.sessions(C), 1);
}

#[test]
fn sessions_of_a_node_that_died_live_on_and_move_to_where_their_clients_come() {
    let mut nodes = Nodes::new();
    let client = nodes.join(B, persistent("c"));
    nodes.subscribe(B, client, "t");
    nodes.lose(B, client);
    let publisher = nodes.publisher(A);
    nodes.publish(A, publisher, "t", "before", QoS::AtLeastOnce);
    assert_eq!(nodes.acks(A, publisher), 1);
    nodes.cut(A, B);
    nodes.publish(A, publisher, "t", "meanwhile", QoS::AtLeastOnce);
    nodes.kill(B);
    assert_eq!(nodes.acks(A, publisher), 0);
    nodes.adopt(B, C);
    assert_eq!(nodes.acks(A, publisher), 1);
    let client = nodes.join(A, persistent("c"));
    let mut got = nodes.got(A, client);
    got.sort();
    assert_eq!(got, ["before", "meanwhile"]);
}

#[test]
fn what_was_for_the_sessions_of_a_dead_node_does_not_come_again_to_those_of_its_heir() {
    let mut nodes = Nodes::new();
    let (away, here) = (nodes.join(B, persistent("away")), nodes.join(C, persistent("here")));
    nodes.subscribe(B, away, "t");
    nodes.subscribe(C, here, "t");
    nodes.lose(B, away);
    let publisher = nodes.publisher(A);
    nodes.cut(A, B);
    nodes.publish(A, publisher, "t", "meanwhile", QoS::AtLeastOnce);
    nodes.kill(B);
    nodes.adopt(B, C);
    assert_eq!(nodes.acks(A, publisher), 1);
    assert_eq!(nodes.got(C, here), ["meanwhile"]);
    let away = nodes.join(C, persistent("away"));
    assert_eq!(nodes.got(C, away), ["meanwhile"]);
}

#[test]
fn a_client_that_comes_before_its_session_is_taken_over_waits_for_that() {
    let mut nodes = Nodes::new();
    let client = nodes.join(B, persistent("c"));
    nodes.subscribe(B, client, "t");
    nodes.kill(B);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let _inside = runtime.enter();
    let mesh = Arc::clone(&nodes.meshes[&A]);
    let mut claim = Box::pin(async move { mesh.claim(&"c".into(), false, 2).await });
    let mut look = || claim.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready();
    assert!(!look());
    nodes.run();
    assert!(!look());
    nodes.adopt(B, C);
    assert!(look());
    assert_eq!(nodes.sessions(A), 1);
}

#[test]
fn a_client_that_waits_for_answers_is_not_let_in_by_a_node_that_is_taken_for_dead() {
    for clean in [true, false] {
        let mut nodes = Nodes::new();
        let client = nodes.join(B, persistent("c"));
        nodes.subscribe(B, client, "t");
        nodes.cut(A, B);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let _inside = runtime.enter();
        let (of_claim, mesh) = (Arc::clone(&nodes.meshes[&A]), Arc::clone(&nodes.meshes[&A]));
        let mut claim = Box::pin(async move { of_claim.claim(&"c".into(), clean, 2).await });
        let mut look = || claim.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(look().is_pending());
        let mut fenced = Box::pin(mesh.fenced());
        let mut has_let_go = || fenced.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        let _ = has_let_go();
        nodes.run();
        assert!(has_let_go().is_ready());
        mesh.rejoined(Node { boot: 2, ..A });
        let Poll::Ready(claim) = look() else { panic!("it waits for who does not know it") };
        assert!(claim.is_none(), "begins anew: {clean}");
    }
}

#[test]
fn the_will_of_a_client_whose_node_died_is_published_once() {
    for how in [Connecting::v5("c"), persistent("c")] {
        let mut nodes = Nodes::new();
        let listener = nodes.subscriber(A, "listener", "will");
        let will = Message { qos: QoS::AtLeastOnce, ..Message::new("will", "gone") };
        nodes.join(B, Connecting { will: Some((will, 0)), ..how });
        nodes.kill(B);
        assert_eq!(nodes.got(A, listener), [""; 0]);
        nodes.adopt(B, C);
        nodes.net(C).pass(1);
        nodes.run();
        assert_eq!(nodes.got(A, listener), ["gone"]);
    }
}

#[test]
fn a_client_that_has_said_goodbye_leaves_no_will_behind() {
    let mut nodes = Nodes::new();
    let will = Message { qos: QoS::AtLeastOnce, ..Message::new("will", "gone") };
    let client = nodes.join(B, Connecting { will: Some((will, 0)), ..Connecting::v5("c") });
    nodes.lose(B, client);
    assert!(nodes.left.lock().unwrap().get(&B).is_none_or(BTreeMap::is_empty));
}

#[test]
fn what_comes_to_a_session_that_has_moved_from_there_and_from_its_publisher_comes_once() {
    for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
        let mut nodes = Nodes::new();
        let client = nodes.join(A, persistent("c"));
        nodes.net(A).subscribe(client, "t", QoS::ExactlyOnce);
        nodes.run();
        nodes.cut(B, A);
        nodes.claim(A, B, 1);
        let shard = crate::plane::shard_of("c", 2);
        let client = nodes.net(B).connect(shard, persistent("c"));
        let publishers = [A, B, C].map(|node| (node, nodes.publisher(node)));
        for (node, publisher) in publishers {
            nodes.publish(node, publisher, "t", "hello", qos);
            // What cannot follow is not waited for for ever.
            nodes.net(B).pass(3);
            nodes.run();
            assert_eq!(nodes.got(B, client), ["hello"], "published at {node:?}");
        }
        nodes.heal();
        assert_eq!(nodes.got(B, client), [""; 0]);
        assert_eq!(nodes.sessions(A), 1, "the publisher's, and no other");
    }
}

#[test]
fn an_adopted_session_gets_what_waited_before_what_is_published_now() {
    let mut nodes = Nodes::new();
    let there = nodes.join(B, persistent("there"));
    nodes.subscribe(B, there, "t");
    // Its heir hears of the topic anyway.
    let also = nodes.join(C, persistent("also"));
    nodes.subscribe(C, also, "t");
    let publishers = [A, C].map(|node| (node, nodes.publisher(node)));
    nodes.kill(B);
    for (node, publisher) in publishers {
        nodes.publish(node, publisher, "t", &format!("1 of {}", node.id), QoS::AtLeastOnce);
    }
    nodes.begin_to_adopt(B, C);
    // Before the others hear of it.
    for (node, publisher) in publishers {
        nodes.publish(node, publisher, "t", &format!("2 of {}", node.id), QoS::AtLeastOnce);
        assert_eq!(nodes.acks(node, publisher), 0);
    }
    nodes.end_adoption(B, C);
    for (node, publisher) in publishers {
        nodes.publish(node, publisher, "t", &format!("3 of {}", node.id), QoS::AtLeastOnce);
        assert_eq!(nodes.acks(node, publisher), 3);
    }
    let there = nodes.join(A, persistent("there"));
    let got = nodes.got(A, there);
    for (node, _) in publishers {
        let of_node: Vec<&String> =
            got.iter().filter(|got| got.ends_with(&node.id.to_string())).collect();
        assert_eq!(of_node, [1, 2, 3].map(|n| format!("{n} of {}", node.id)).each_ref());
    }
}

#[test]
fn a_client_that_connects_elsewhere_while_its_session_is_adopted_finds_all_of_it() {
    let mut nodes = Nodes::new();
    let there = nodes.join(B, persistent("there"));
    nodes.subscribe(B, there, "t");
    let publisher = nodes.publisher(A);
    nodes.kill(B);
    nodes.publish(A, publisher, "t", "1", QoS::AtLeastOnce);
    nodes.begin_to_adopt(B, C);
    nodes.publish(A, publisher, "t", "2", QoS::AtLeastOnce);
    nodes.meshes[&C].received(A, &crate::mesh::claim_frame(1, "there"));
    nodes.run();
    assert_eq!(nodes.sessions(A), 1, "the publisher's, and no other");
    nodes.end_adoption(B, C);
    let shard = crate::plane::shard_of("there", 2);
    let there = nodes.net(A).connect(shard, persistent("there"));
    nodes.run();
    assert_eq!(nodes.got(A, there), ["1", "2"]);
    assert_eq!(nodes.acks(A, publisher), 2);
}

#[test]
fn what_comes_with_the_sessions_that_are_adopted_does_not_hold_them_up() {
    let mut nodes = Nodes::new();
    let shard = |text: &str| crate::plane::shard_of(text, 2);
    let topic = ["t", "u", "v", "w"].into_iter().find(|topic| shard(topic) == shard("there"));
    let topic = topic.unwrap();
    let there = nodes.join(B, persistent("there"));
    nodes.subscribe(B, there, topic);
    let also = nodes.join(C, persistent("also"));
    nodes.subscribe(C, also, topic);
    let publisher = nodes.publisher(A);
    nodes.kill(B);
    nodes.cut(A, C);
    nodes.publish(A, publisher, topic, "1", QoS::AtLeastOnce);
    nodes.begin_to_adopt_while(B, C, |nodes| {
        let frames = nodes.wires.lock().unwrap().queues.remove(&(A, C)).unwrap();
        frames.iter().for_each(|frame| nodes.meshes[&C].received(A, frame));
    });
    nodes.heal();
    nodes.end_adoption(B, C);
    assert_eq!(nodes.acks(A, publisher), 1);
    let there = nodes.join(C, persistent("there"));
    assert_eq!(nodes.got(C, there), ["1"]);
}

#[test]
fn a_node_lets_nobody_in_before_it_knows_what_the_others_listen_to() {
    let mut nodes = Nodes::new();
    nodes.kill(A);
    nodes.meshes.values().for_each(|mesh| mesh.left(A));
    let again = Node { boot: 2, ..A };
    for other in [B, C] {
        nodes.cut(other, again);
    }
    nodes.start(again);
    assert!(!nodes.has_met(again));
    nodes.wires.lock().unwrap().cut.remove(&(B, again));
    nodes.run();
    assert!(!nodes.has_met(again));
    // Who leaves tells no more.
    nodes.meshes.values().for_each(|mesh| mesh.left(C));
    assert!(nodes.has_met(again));
}

#[test]
fn a_node_that_comes_after_a_death_lets_nobody_in_before_somebody_has_the_sessions() {
    // Whether it has seen the other alive, and whether its heir knows of it when it adopts.
    for (has_seen_it, comes_first) in [(true, true), (false, true), (false, false)] {
        let mut nodes = Nodes::new();
        let there = nodes.join(A, persistent("there"));
        nodes.subscribe(A, there, "t");
        let new = Node { id: 4, boot: 1 };
        if has_seen_it {
            nodes.cut(A, new);
            nodes.start(new);
        }
        nodes.kill(A);
        if !has_seen_it {
            nodes.cut(B, new);
            nodes.start_after(new, &[A]);
        }
        assert!(!nodes.has_met(new));
        if comes_first {
            nodes.heal();
            assert!(!nodes.has_met(new));
        }
        nodes.adopt(A, B);
        nodes.heal();
        assert!(nodes.has_met(new));
        let publisher = nodes.publisher(new);
        nodes.publish(new, publisher, "t", "hello", QoS::AtLeastOnce);
        let there = nodes.join(C, persistent("there"));
        assert_eq!(nodes.got(C, there), ["hello"]);
    }
}

#[test]
fn a_node_lets_clients_in_where_all_is_done_for_a_dead_one_that_had_no_heir() {
    let mut nodes = Nodes::new();
    nodes.kill(A);
    let new = Node { id: 4, boot: 1 };
    nodes.start_after(new, &[A]);
    // What the others have said so far is heard first.
    nodes.cut(B, new);
    nodes.meshes[&new].recovered(A);
    nodes.run();
    assert!(!nodes.has_met(new));
    nodes.heal();
    assert!(nodes.has_met(new));
}

#[test]
fn what_a_session_brings_along_does_not_come_again_from_its_publisher() {
    let mut nodes = Nodes::new();
    nodes.leave_session(A);
    // The node that it goes to hears of the topic anyway.
    let other = nodes.join(B, persistent("other"));
    nodes.subscribe(B, other, "t");
    let publisher = nodes.publisher(C);
    nodes.cut(C, B);
    nodes.publish(C, publisher, "t", "1", QoS::AtLeastOnce);
    nodes.claim(A, B, 1);
    nodes.heal();
    let client = nodes.net(B).connect(crate::plane::shard_of("c", 2), persistent("c"));
    nodes.run();
    assert_eq!(nodes.got(B, client), ["1"]);
    assert_eq!(nodes.acks(C, publisher), 1);
}

#[test]
fn what_follows_a_session_comes_before_what_is_published_where_it_is_now() {
    let mut nodes = Nodes::new();
    nodes.leave_session(A);
    let publisher = nodes.publisher(B);
    nodes.cut(B, A);
    nodes.publish(B, publisher, "t", "1", QoS::AtLeastOnce);
    nodes.claim(A, B, 1);
    nodes.publish(B, publisher, "t", "2", QoS::AtLeastOnce);
    nodes.heal();
    let client = nodes.net(B).connect(crate::plane::shard_of("c", 2), persistent("c"));
    nodes.run();
    assert_eq!(nodes.got(B, client), ["1", "2"]);
    assert_eq!(nodes.acks(B, publisher), 2);
}

/// Publishes eight messages on a node, and says how many of them a client got.
fn share_of(nodes: &mut Nodes, publisher: (Node, Client), member: (Node, Client)) -> usize {
    nodes.net(member.0).packets(member.1);
    for n in 0..8 {
        nodes.publish(publisher.0, publisher.1, "t", &n.to_string(), QoS::AtLeastOnce);
    }
    nodes.got(member.0, member.1).len()
}

#[test]
fn a_member_that_comes_back_where_its_session_has_moved_gets_its_share() {
    let mut nodes = Nodes::new();
    let other = nodes.subscriber(A, "one", "$share/g/t");
    let member = nodes.join(A, persistent("c"));
    nodes.subscribe(A, member, "$share/g/t");
    nodes.lose(A, member);
    let publisher = (C, nodes.publisher(C));
    let member = nodes.join(B, persistent("c"));
    assert_eq!(share_of(&mut nodes, publisher, (B, member)), 4);
    nodes.lose(B, member);
    assert_eq!(share_of(&mut nodes, publisher, (A, other)), 8, "nothing waits for who is away");
}

#[test]
fn a_member_that_comes_back_where_its_session_is_adopted_gets_its_share() {
    let mut nodes = Nodes::new();
    nodes.subscriber(A, "one", "$share/g/t");
    let member = nodes.join(B, persistent("c"));
    nodes.subscribe(B, member, "$share/g/t");
    nodes.kill(B);
    nodes.adopt(B, C);
    let publisher = (A, nodes.publisher(A));
    let member = nodes.join(C, persistent("c"));
    assert_eq!(share_of(&mut nodes, publisher, (C, member)), 4);
}
