//! The end of the process at any moment: brokers with a store, of which a crash takes what it
//! had not written, and clients that keep to the standard, connect again and go on.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::sync::mpsc::{self, Receiver, Sender};

use fanwire_app::model::RealtimeLimits;
use fanwire_store::{Batch, Durability, Refused, Store, StoreOptions};
use fanwire_wire::mqtt::QoS::{AtLeastOnce, AtMostOnce, ExactlyOnce};

use super::*;
use crate::broker::Keep;
use crate::durable::Durable;
use crate::notice::Notice;
use crate::plane::shard_of;
use crate::topic::Parent;

const SHARDS: usize = 2;
const SHARED: &str = "$share/g/t/+";
const TABLES: [&str; 5] = ["retained", "sessions", "queues", "messages", "transits"];
const NOW_MS: u64 = 1_700_000_000_000;

/// A table's name, a key and its value.
type Record = (&'static str, Vec<u8>, Vec<u8>);

/// One life of the process.
struct Process {
    _folder: tempfile::TempDir,
    store: Store,
    brokers: Vec<Broker>,
    retained: Arc<Retained>,
    now: Instant,
    /// What shards have told each other and not heard.
    notices: Vec<VecDeque<Notice>>,
    /// What the store has said: of a shard, its ticket.
    told: Receiver<(usize, u64)>,
    /// What has been sent to connections, and not been received.
    sent: HashMap<ConnectionId, VecDeque<Frame<'static>>>,
    /// What the disk has: what the store had written when it was last looked at.
    disk: Vec<Record>,
    next_link: u32,
}

/// What a client does with QoS 2 that comes in (MQTT 5, 4.3.3, figure 4.3).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Method {
    /// Takes a message when it is released.
    AtRelease,
    /// Takes it when it comes, and remembers its id until it is released.
    AtOnce,
}

/// A client whose session outlives connections and processes.
struct Peer {
    client_id: String,
    method: Method,
    /// What it subscribes to, with QoS 2.
    filter: Option<&'static str>,
    /// Its connection.
    client: Option<Client>,
    /// Packets that are not sent yet.
    outgoing: VecDeque<Vec<u8>>,
    /// What it has published: by packet id, which message, and whether that is received.
    publishing: BTreeMap<u16, (u32, bool)>,
    next: u32,
    /// What has come and is not released: by packet id.
    held: BTreeMap<u16, String>,
    taken: Vec<String>,
}

// === impl Process ===

impl Process {
    /// Begins with what the disk has.
    fn begin(disk: Vec<Record>) -> Self {
        Self::with(disk, StoreOptions::default().max_waiting_bytes)
    }

    /// The same, with a store for which so many bytes may wait.
    fn with(disk: Vec<Record>, max_waiting_bytes: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let durability = Durability::Process;
        let options = StoreOptions { durability, max_waiting_bytes, ..StoreOptions::default() };
        let store = Store::open(folder.path(), options).unwrap();
        let mut batch = Batch::new();
        for (table, key, value) in &disk {
            batch.put(store.table(table).unwrap(), key, value);
        }
        written(&store, batch);
        let durable = Durable::open(&store).unwrap();
        let recovered = durable.load(NOW_MS, Parent::Matches).unwrap();
        let retained = Arc::new(Retained::default());
        for message in &recovered.retained {
            retained.put(message, usize::MAX, usize::MAX).unwrap();
        }
        let now = Instant::now();
        let (tell, told) = mpsc::channel();
        let settings = Settings::new(&Model::new(Profile::Open), "us-east-1", "000000000000");
        let settings = Arc::new(settings.unwrap());
        let directory = Arc::new(Directory::default());
        let broker = |shard| {
            let parts = BrokerParts {
                settings: Arc::clone(&settings),
                shard,
                shards: SHARDS,
                directory: Arc::clone(&directory),
                retained: Arc::clone(&retained),
                figures: Arc::default(),
                observer: Arc::new(Nobody),
                keep: Some(keep(&durable, shard, tell.clone())),
                mesh: None,
                now,
                now_ms: NOW_MS,
            };
            Broker::new(parts)
        };
        let mut brokers: Vec<Broker> = (0..SHARDS).map(broker).collect();
        for session in recovered.sessions {
            brokers[shard_of(&session.client_id, SHARDS)].restore(session);
        }
        let notices = (0..SHARDS).map(|_| VecDeque::new()).collect();
        let sent = HashMap::new();
        Self {
            _folder: folder,
            store,
            brokers,
            retained,
            now,
            notices,
            told,
            sent,
            disk,
            next_link: 0,
        }
    }

    /// Has the store write what it has been given, but tells nobody.
    fn write(&mut self) {
        written(&self.store, Batch::new());
        self.disk.clear();
        for name in TABLES {
            let table = self.store.table(name).unwrap();
            let each =
                |key: &[u8], value: &[u8]| self.disk.push((name, key.to_vec(), value.to_vec()));
            self.store.for_each(table, &[], each).unwrap();
        }
    }

    /// Has the store write, and says so.
    fn tell_kept(&mut self) {
        self.write();
        for (shard, ticket) in self.told.try_iter() {
            self.notices[shard].push_back(Notice::Kept { ticket, ok: true });
        }
    }

    /// Has a shard hear the next that it was told.
    fn hear(&mut self, shard: usize) -> bool {
        let Some(notice) = self.notices[shard].pop_front() else { return false };
        self.brokers[shard].begin(self.now);
        self.brokers[shard].noticed(notice);
        true
    }

    /// Ends a shard's turn.
    fn end(&mut self, shard: usize) -> bool {
        let output = self.brokers[shard].end();
        let more = !output.sendings.is_empty() || !output.notices.is_empty();
        for sending in output.sendings.drain(..) {
            let mut input = &sending.bytes[..];
            let mut framer = Framer::new();
            while let Some(frame) = framer.next(&mut input, 1 << 20).unwrap() {
                let sent = self.sent.entry(sending.link).or_default();
                sent.push_back(frame.into_owned());
            }
        }
        output.closings.clear();
        for (to, notice, _) in output.notices.drain(..) {
            self.notices[to].push_back(notice);
        }
        more
    }

    /// Has the first shard serve with other limits.
    fn limit(&mut self, change: impl FnOnce(&mut RealtimeLimits)) {
        let mut model = Model::new(Profile::Open);
        change(&mut model.limits);
        let settings = Settings::new(&model, "us-east-1", "000000000000").unwrap();
        self.brokers[0].noticed(Notice::Settings(Arc::new(settings)));
    }

    /// The first shard publishes a message of the server's, in a turn of its own.
    fn publish(&mut self, mut message: Message, expiry: Option<u32>) {
        message.properties.get_or_insert_default().message_expiry = expiry;
        self.brokers[0].begin(self.now);
        message.published_at = self.brokers[0].now_ms;
        self.brokers[0].publish_own(&Arc::new(message));
        self.end(0);
    }

    /// Connects a client, in a turn of its own.
    fn connect(&mut self, client_id: &str) -> Client {
        let shard = shard_of(client_id, SHARDS);
        self.next_link += 1;
        let link = link(self.next_link);
        let how = Connecting { receive_maximum: 3, ..Connecting::v5(client_id).persistent() };
        let version = how.version;
        let broker = &mut self.brokers[shard];
        broker.begin(self.now);
        let key = broker.connect(link, how.admission()).unwrap();
        self.end(shard);
        Client { shard, key, link, version }
    }

    /// A packet of a client comes in.
    fn take(&mut self, client: Client, mut bytes: &[u8]) {
        let frame = Framer::new().next(&mut bytes, 1 << 20).unwrap().unwrap();
        let broker = &mut self.brokers[client.shard];
        broker.begin(self.now);
        let packet = frame.decode(client.version).unwrap();
        broker.packet(client.key, client.link, &packet).unwrap();
    }

    /// Lets everything happen that is to happen. Says whether something did.
    fn settle(&mut self) -> bool {
        let mut settled = false;
        loop {
            let mut more = false;
            for shard in 0..SHARDS {
                while self.hear(shard) {
                    more = true;
                }
                more |= self.end(shard);
            }
            self.tell_kept();
            more |= self.notices.iter().any(|notices| !notices.is_empty());
            if !more {
                return settled;
            }
            settled = true;
        }
    }
}

/// Waits until a batch is written, and those before it.
fn written(store: &Store, mut batch: Batch) {
    let (done, written) = mpsc::channel();
    loop {
        let done = done.clone();
        match store.commit(batch, move |result| done.send(result).unwrap()) {
            Err(Refused::Full(refused)) => batch = refused,
            other => break other.unwrap(),
        }
        store.flush().unwrap();
    }
    written.recv().unwrap().unwrap();
}

fn keep(durable: &Durable, shard: usize, tell: Sender<(usize, u64)>) -> Keep {
    // Nobody listens any more once the process has ended.
    Keep::new(
        durable.keeper(),
        Arc::new(move |ticket, _| {
            let _ = tell.send((shard, ticket));
        }),
    )
}

// === impl Peer ===

impl Peer {
    fn new(client_id: &str, method: Method, filter: Option<&'static str>) -> Self {
        Self {
            client_id: client_id.to_owned(),
            method,
            filter,
            client: None,
            outgoing: VecDeque::new(),
            publishing: BTreeMap::new(),
            next: 0,
            held: BTreeMap::new(),
            taken: Vec::new(),
        }
    }

    /// Connects, or connects again, and sends again what it has not finished.
    fn connect(&mut self, process: &mut Process) {
        self.outgoing.clear();
        let client = process.connect(&self.client_id);
        self.client = Some(client);
        let unfinished: Vec<_> = self.publishing.iter().map(|(id, at)| (*id, *at)).collect();
        // In the order in which they were published.
        let ordered: BTreeMap<u32, (u16, bool)> = unfinished
            .into_iter()
            .map(|(id, (number, received))| (number, (id, received)))
            .collect();
        for (number, (id, received)) in ordered {
            if received {
                self.acknowledge(AckKind::PubRel, id);
            } else {
                self.send_message(id, number, true);
            }
        }
    }

    fn subscribe(&mut self) {
        let Some(filter) = self.filter else { return };
        let filters = [(filter, SubscribeOptions::of(ExactlyOnce))];
        let subscribe = Subscribe {
            packet_id: PacketId::new(999).unwrap(),
            subscription_id: None,
            user_properties: Default::default(),
            filters: Subscriptions::new(&filters),
        };
        let mut bytes = Vec::new();
        subscribe.encode(Version::V5, &mut bytes);
        self.outgoing.push_back(bytes);
    }

    /// Publishes, if it has an id for that.
    fn publish(&mut self) {
        let Some(id) = (1..=4).find(|id| !self.publishing.contains_key(id)) else { return };
        self.next += 1;
        self.publishing.insert(id, (self.next, false));
        self.send_message(id, self.next, false);
    }

    fn send_message(&mut self, id: u16, number: u32, dup: bool) {
        // Some are stored apart from the queues that they are in.
        let padding = if number.is_multiple_of(3) { 600 } else { 0 };
        let payload = format!("{} {number}{}", self.client_id, " ".repeat(padding));
        let packet_id = PacketId::new(id);
        let publish = Publish { dup, packet_id, ..publication("t/x", &payload, ExactlyOnce) };
        let mut bytes = Vec::new();
        publish.encode(Version::V5, &mut bytes);
        self.outgoing.push_back(bytes);
    }

    fn acknowledge(&mut self, kind: AckKind, id: u16) {
        let mut bytes = Vec::new();
        let ack = Ack::new(NonZeroU16::new(id).unwrap(), ReasonCode::Success);
        ack.encode(kind, Version::V5, &mut bytes);
        self.outgoing.push_back(bytes);
    }

    /// Sends its next packet.
    fn send(&mut self, process: &mut Process) -> bool {
        let (Some(client), Some(packet)) = (self.client, self.outgoing.pop_front()) else {
            return false;
        };
        process.take(client, &packet);
        true
    }

    /// Acts on all that it has been sent.
    fn receive(&mut self, process: &mut Process) {
        let sent = self.client.and_then(|client| process.sent.get_mut(&client.link));
        for frame in sent.map(std::mem::take).unwrap_or_default() {
            match frame.decode_from_server(Version::V5).unwrap() {
                ServerPacket::Publish(publish) => self.message(&publish),
                ServerPacket::PubRec(ack) => {
                    let id = ack.packet_id.get();
                    if let Some((_, received)) = self.publishing.get_mut(&id) {
                        *received = true;
                        self.acknowledge(AckKind::PubRel, id);
                    }
                }
                ServerPacket::PubComp(ack) => {
                    self.publishing.remove(&ack.packet_id.get());
                }
                ServerPacket::PubRel(ack) => {
                    let id = ack.packet_id.get();
                    let released = self.held.remove(&id);
                    self.taken.extend(released.filter(|_| self.method == Method::AtRelease));
                    self.acknowledge(AckKind::PubComp, id);
                }
                _ => {}
            }
        }
    }

    fn message(&mut self, publish: &Publish<'_>) {
        assert_eq!(publish.qos, ExactlyOnce);
        let id = publish.packet_id.unwrap().get();
        let payload = std::str::from_utf8(publish.payload).unwrap().trim_end().to_owned();
        match self.method {
            Method::AtRelease => drop(self.held.insert(id, payload)),
            Method::AtOnce if self.held.contains_key(&id) => {}
            Method::AtOnce => {
                self.taken.push(payload.clone());
                self.held.insert(id, payload);
            }
        }
        self.acknowledge(AckKind::PubRec, id);
    }
}

/// Clients and the process, in all its lives.
struct World {
    process: Process,
    peers: Vec<Peer>,
}

impl World {
    fn new() -> Self {
        let mut process = Process::begin(Vec::new());
        let ids = |shard| {
            let names = (0..).map(|n| format!("c{n}"));
            names.filter(move |name| shard_of(name, SHARDS) == shard).take(4).collect::<Vec<_>>()
        };
        let mut peers = Vec::new();
        for (shard, other) in [(0, Method::AtOnce), (1, Method::AtRelease)] {
            let ids = ids(shard);
            peers.push(Peer::new(&ids[0], Method::AtOnce, None));
            peers.push(Peer::new(&ids[1], Method::AtOnce, Some("t/+")));
            peers.push(Peer::new(&ids[2], Method::AtRelease, Some("t/+")));
            peers.push(Peer::new(&ids[3], other, Some(SHARED)));
        }
        for peer in &mut peers {
            peer.connect(&mut process);
            peer.subscribe();
        }
        let mut world = Self { process, peers };
        world.settle();
        world
    }

    /// The process ends, having told clients what it has told them, and another begins.
    fn crash(&mut self) {
        let disk = std::mem::take(&mut self.process.disk);
        self.process = Process::begin(disk);
        for peer in &mut self.peers {
            peer.connect(&mut self.process);
        }
    }

    fn settle(&mut self) {
        loop {
            let mut more = false;
            for peer in &mut self.peers {
                peer.receive(&mut self.process);
                while peer.send(&mut self.process) {
                    more = true;
                }
            }
            more |= self.process.settle();
            if !more {
                return;
            }
        }
    }

    /// Something happens.
    fn step(&mut self, random: &mut fastrand::Rng, slow: u8) {
        let at = random.usize(..self.peers.len());
        let shard = random.usize(..SHARDS);
        match random.u8(..32) {
            // The first of each shard publishes.
            0..4 => self.peers[shard * 4].publish(),
            4..16 => drop(self.peers[at].send(&mut self.process)),
            16..22 => drop(self.process.end(shard)),
            22..26 => drop(self.process.hear(shard)),
            26 => self.process.write(),
            27..30 if random.u8(..slow) == 0 => self.process.tell_kept(),
            30 => self.peers[at].connect(&mut self.process),
            _ if random.u8(..4) == 0 => self.crash(),
            _ => {}
        }
        for peer in &mut self.peers {
            peer.receive(&mut self.process);
        }
    }

    /// What each of those that subscribe by themselves has taken, and what those that share a
    /// subscription have together.
    fn taken(&self) -> Vec<Vec<&String>> {
        let of = |filter| self.peers.iter().filter(move |peer| peer.filter == Some(filter));
        let mut taken: Vec<Vec<_>> = of("t/+").map(|peer| peer.taken.iter().collect()).collect();
        taken.push(of(SHARED).flat_map(|peer| &peer.taken).collect());
        taken
    }
}

#[test]
fn a_message_of_qos_2_comes_exactly_once_whenever_the_process_ends() {
    for seed in 0..16 {
        let mut random = fastrand::Rng::with_seed(seed);
        // How slow the store is.
        let slow = [1, 4, 16][random.usize(..3)];
        let mut world = World::new();
        for _ in 0..600 {
            world.step(&mut random, slow);
        }
        world.settle();
        let published: BTreeSet<String> = (world.peers.iter())
            .flat_map(|peer| (1..=peer.next).map(|number| format!("{} {number}", peer.client_id)))
            .collect();
        for taken in world.taken() {
            let different: HashSet<_> = taken.iter().collect();
            assert_eq!(taken.len(), different.len(), "twice, with seed {seed}: {taken:?}");
            assert_eq!(taken.len(), published.len(), "lost, with seed {seed}: {taken:?}");
        }
        world.process.write();
        let rest = world.process.disk.iter().filter(|(table, ..)| *table != "sessions");
        assert_eq!(rest.count(), 0, "with seed {seed}: {:?}", world.process.disk);
    }
}

#[test]
fn a_message_that_is_repeated_is_acknowledged_no_sooner_than_it_is_kept_that_it_came() {
    let mut world = World::new();
    let World { process, peers } = &mut world;
    let publisher = &mut peers[0];
    let received = |publisher: &Peer| publisher.publishing[&1].1;
    publisher.publish();
    publisher.send(process);
    process.end(0);
    publisher.connect(process);
    publisher.send(process);
    process.end(0);
    publisher.receive(process);
    assert!(!received(publisher));
    process.tell_kept();
    while process.hear(0) {}
    process.end(0);
    publisher.receive(process);
    assert!(received(publisher));
}

#[test]
fn only_what_is_of_qos_2_waits_to_be_kept() {
    let mut world = World::new();
    let World { process, peers } = &mut world;
    let client = peers[1].client.unwrap();
    for (qos, packets) in [(AtMostOnce, 1), (AtLeastOnce, 1), (ExactlyOnce, 0)] {
        let mut message = Message::new("t/x", "x");
        message.qos = qos;
        process.brokers[0].begin(process.now);
        process.brokers[0].publish_own(&Arc::new(message));
        process.end(0);
        let sent = process.sent.get_mut(&client.link).map(std::mem::take).unwrap_or_default();
        assert_eq!(sent.len(), packets, "{qos:?}");
    }
}

#[test]
fn of_two_retained_messages_of_a_topic_the_one_that_is_kept_is_the_one_that_is_retained() {
    for (payloads, kept) in
        [(["old", "new"], Some("new")), (["old", ""], None), (["", "new"], Some("new"))]
    {
        let mut process = Process::begin(Vec::new());
        for (shard, payload) in payloads.into_iter().enumerate() {
            let mut message = Message::new("t", payload);
            message.retain = true;
            process.brokers[shard].begin(process.now);
            process.brokers[shard].publish_own(&Arc::new(message));
        }
        // The shard of the newer message is the first to commit.
        process.end(1);
        process.end(0);
        process.write();
        let process = Process::begin(process.disk);
        let found = process.retained.get("t", NOW_MS);
        assert_eq!(found.as_ref().map(|found| &found.payload[..]), kept.map(str::as_bytes));
    }
}

#[test]
fn a_retained_message_that_has_expired_makes_room_for_another_in_memory_and_on_the_disk() {
    let mut process = Process::begin(Vec::new());
    process.limit(|limits| limits.max_retained_messages = 1);
    for (topic, expiry, seconds) in [("old", Some(5), 0), ("no room", None, 4), ("new", None, 2)] {
        process.now += Duration::from_secs(seconds);
        process.publish(Message { retain: true, ..Message::new(topic, "x") }, expiry);
    }
    process.write();
    let kept = process.disk.iter().filter(|(table, ..)| *table == "retained");
    assert_eq!(kept.map(|(_, key, _)| &key[..]).collect::<Vec<_>>(), [b"new"]);
    assert_eq!(process.retained.size().0, 1);
}

#[test]
fn what_has_expired_of_a_queue_makes_room_on_the_disk_too() {
    let mut process = Process::begin(Vec::new());
    process.limit(|limits| limits.max_queued_messages = 1);
    let mut subscriber = Peer::new("c0", Method::AtOnce, Some("t/x"));
    subscriber.connect(&mut process);
    subscriber.subscribe();
    subscriber.send(&mut process);
    let Client { shard, key, link, .. } = subscriber.client.unwrap();
    assert_eq!(shard, 0);
    process.brokers[0].closed(key, link, DisconnectReason::ConnectionLost);
    for (expiry, seconds) in [(Some(5), 0), (None, 6)] {
        process.now += Duration::from_secs(seconds);
        // Stored apart from the queue.
        let message = Message::new("t/x", vec![b'x'; 600]);
        process.publish(Message { qos: AtLeastOnce, ..message }, expiry);
    }
    process.write();
    let kept = |name| process.disk.iter().filter(|(table, ..)| *table == name).count();
    assert_eq!((kept("queues"), kept("messages")), (1, 1));
}

#[test]
fn nothing_is_handed_to_another_shard_before_it_is_committed_that_it_is() {
    let mut process = Process::with(Vec::new(), 1000);
    let mut publisher = Peer::new("c0", Method::AtOnce, None);
    publisher.connect(&mut process);
    assert_eq!(shard_of("c0", SHARDS), 0);
    let subscriber = (1..).map(|n| format!("s{n}")).find(|id| shard_of(id, SHARDS) == 1).unwrap();
    let mut subscriber = Peer::new(&subscriber, Method::AtOnce, Some("t/x"));
    subscriber.connect(&mut process);
    subscriber.subscribe();
    subscriber.send(&mut process);
    process.settle();
    // The store is at work, and has so much more to write that it takes nothing.
    let (at_work, begun) = mpsc::channel();
    let (release, held) = mpsc::channel::<()>();
    let work = move |_| {
        at_work.send(()).unwrap();
        let _ = held.recv();
    };
    process.store.commit(Batch::new(), work).unwrap();
    begun.recv().unwrap();
    let mut batch = Batch::new();
    batch.put(process.store.table("messages").unwrap(), &[9; 8], &[0; 2000]);
    process.store.commit(batch, |_| {}).unwrap();
    publisher.publish();
    publisher.send(&mut process);
    process.end(0);
    assert!(process.brokers[0].is_behind() && process.notices[1].is_empty());
    drop(release);
    written(&process.store, Batch::new());
    process.end(0);
    assert!(!process.brokers[0].is_behind() && process.notices[1].len() == 1);
}
