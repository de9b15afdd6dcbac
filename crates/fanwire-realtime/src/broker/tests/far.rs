//! Several nodes without a network: what they send each other arrives when a test says so.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;

use super::*;
use crate::broker::Keep;
use crate::durable::Keeper;
use crate::mesh::{Links, Mesh, MeshParts, Node};

/// What is on its way between nodes, and which ways are cut.
#[derive(Default)]
struct Wires {
    queues: BTreeMap<(Node, Node), VecDeque<Bytes>>,
    cut: BTreeSet<(Node, Node)>,
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
        let mut nodes = Self { nets: BTreeMap::new(), meshes: BTreeMap::new(), wires };
        for node in [A, B, C] {
            nodes.start(node);
        }
        nodes
    }

    fn start(&mut self, node: Node) {
        let links = Arc::new(Wire { from: node, wires: Arc::clone(&self.wires) });
        let parts = MeshParts { node, links, sessions: None, retained: None };
        let (net, mesh) = net(parts);
        for (other, known) in &self.meshes {
            known.joined(node);
            mesh.joined(*other);
        }
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
        let client = net.connect(usize::from(id.len() % 2 == 0), Connecting::v5(id));
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
            observer: Arc::new(Nobody),
            keep: Some(Keep::new(Keeper::of_nothing(), Arc::new(kept))),
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
    nodes.subscriber(B, "there", "t");
    let publisher = nodes.publisher(A);
    nodes.cut(A, B);
    nodes.publish(A, publisher, "t", "1", QoS::AtLeastOnce);
    nodes.kill(B);
    nodes.publish(A, publisher, "t", "2", QoS::AtLeastOnce);
    assert_eq!(nodes.acks(A, publisher), 0);
    let heir = nodes.subscriber(C, "there", "t");
    nodes.meshes[&C].adopted(B);
    nodes.run();
    let mut got = nodes.got(C, heir);
    got.dedup();
    assert!(got.contains(&"1".to_owned()) && got.contains(&"2".to_owned()), "{got:?}");
    assert_eq!(nodes.acks(A, publisher), 2);
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
