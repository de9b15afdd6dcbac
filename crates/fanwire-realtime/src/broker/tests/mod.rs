//! Brokers without sockets: packets in, packets out, and the time is what a test says.

mod crash;
mod delivery;
mod far;
mod faults;
mod routing;
mod sessions;

use std::collections::HashMap;
use std::num::NonZeroU16;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use fanwire_app::model::{Profile, Realtime as Model};
use fanwire_hub::ConnectionId;
use fanwire_wire::mqtt::{
    Ack, AckKind, Frame, Framer, PacketId, Publish, QoS, ReasonCode, ServerPacket, Subscribe,
    SubscribeOptions, Subscriptions, Version,
};

use super::{Admission, Broker, BrokerParts, Key, Will};
use crate::directory::Directory;
use crate::notice::Notice;
use crate::retained::Retained;
use crate::settings::Settings;
use crate::{DisconnectReason, Message, Observer, Publisher, RealtimeEvent};

/// Looks away.
struct Nobody;

impl Observer for Nobody {
    fn observe(&self, _: &RealtimeEvent<'_>) {}
}

/// Brokers of some shards, and what clients have got from them.
struct Net {
    brokers: Vec<Broker>,
    now: Instant,
    links: HashMap<ConnectionId, Received>,
    next_link: u32,
    /// What other threads have told shards.
    told: Arc<Mutex<Vec<(usize, Notice)>>>,
}

/// What one connection has got.
#[derive(Default)]
struct Received {
    frames: Vec<Frame<'static>>,
    /// How many pieces they came in.
    pieces: usize,
    /// Where the bytes of each piece are in memory.
    places: Vec<*const u8>,
    closed: bool,
}

/// A client that is connected, or was.
#[derive(Clone, Copy)]
struct Client {
    shard: usize,
    key: Key,
    link: ConnectionId,
    version: Version,
}

/// How a client connects.
#[derive(Clone)]
struct Connecting<'a> {
    client_id: &'a str,
    version: Version,
    clean_start: bool,
    session_expiry: u32,
    receive_maximum: u16,
    topic_alias_maximum: u16,
    max_packet: u32,
    will: Option<(Message, u32)>,
}

/// A message as a client got it.
#[derive(Debug, PartialEq, Eq)]
struct Got {
    topic: String,
    payload: String,
    qos: QoS,
    id: Option<u16>,
    dup: bool,
    retain: bool,
}

impl<'a> Connecting<'a> {
    fn v5(client_id: &'a str) -> Self {
        Self {
            client_id,
            version: Version::V5,
            clean_start: true,
            session_expiry: 0,
            receive_maximum: u16::MAX,
            topic_alias_maximum: 0,
            max_packet: u32::MAX,
            will: None,
        }
    }

    fn v3(client_id: &'a str) -> Self {
        Self { version: Version::V3_1_1, ..Self::v5(client_id) }
    }

    fn persistent(self) -> Self {
        Self { clean_start: false, session_expiry: 3600, ..self }
    }

    /// What its handshake would have settled.
    fn admission(self) -> Box<Admission> {
        let publisher =
            Arc::new(Publisher { client_id: self.client_id.into(), principal: "".into() });
        let will = self.will.map(|(message, delay)| Box::new(Will { message, delay }));
        Box::new(Admission {
            version: self.version,
            websocket: false,
            peer: "127.0.0.1:1".parse().unwrap(),
            publisher,
            access: None,
            clean_start: self.clean_start,
            session_expiry: self.session_expiry,
            session_expiry_differs: false,
            keep_alive: 0,
            keep_alive_differs: false,
            assigned: false,
            will,
            receive_maximum: self.receive_maximum,
            max_packet: self.max_packet,
            topic_alias_maximum: self.topic_alias_maximum,
            problem_information: true,
            authorized_in: None,
            made_up: false,
        })
    }
}

/// Each message that was for a client is sent, dropped or waits.
fn assert_figures_add_up(broker: &Broker) {
    let figures = &broker.figures;
    let flows = broker.sessions.iter().filter_map(|(_, session)| session.flow.as_ref());
    let waiting: usize = flows.map(|flow| flow.queue.len()).sum();
    assert_eq!(figures.queued.get(), waiting as u64);
    let done = figures.sent.get() + figures.lost() + figures.queued.get();
    assert_eq!(figures.routed.get(), done, "{figures:?}");
    let subscriptions = broker.sessions.iter().map(|(_, session)| session.subscriptions.len());
    assert_eq!(figures.subscriptions.get(), subscriptions.sum::<usize>() as u64);
}

impl Net {
    fn new(shards: usize) -> Self {
        Self::with(shards, |_| {})
    }

    fn with(shards: usize, change: impl Fn(&mut Model)) -> Self {
        let mut model = Model::new(Profile::Open);
        change(&mut model);
        let settings = Settings::new(&model, "us-east-1", "000000000000").unwrap();
        let settings = Arc::new(settings);
        let directory = Arc::new(Directory::default());
        let retained = Arc::new(Retained::default());
        let now = Instant::now();
        let broker = |shard| {
            Broker::new(BrokerParts {
                settings: Arc::clone(&settings),
                shard,
                shards,
                directory: Arc::clone(&directory),
                retained: Arc::clone(&retained),
                figures: Arc::default(),
                observer: Arc::new(Nobody),
                keep: None,
                mesh: None,
                now,
                now_ms: 1_700_000_000_000,
            })
        };
        let brokers = (0..shards).map(broker).collect();
        let told = Arc::default();
        Self { brokers, now, links: HashMap::new(), next_link: 0, told }
    }

    fn connect(&mut self, shard: usize, how: Connecting<'_>) -> Client {
        self.next_link += 1;
        let link = link(self.next_link);
        self.links.insert(link, Received::default());
        let version = how.version;
        let broker = &mut self.brokers[shard];
        broker.begin(self.now);
        let key = broker.connect(link, how.admission()).unwrap();
        let client = Client { shard, key, link, version };
        self.settle();
        client
    }

    /// Has a client send one packet, and lets everything that follows happen.
    fn send(&mut self, client: Client, encode: impl FnOnce(Version, &mut Vec<u8>)) {
        self.send_many(client, |version, bytes| encode(version, bytes));
    }

    /// Has a client send packets in one turn.
    fn send_many(&mut self, client: Client, encode: impl FnOnce(Version, &mut Vec<u8>)) {
        let mut bytes = Vec::new();
        encode(client.version, &mut bytes);
        let mut input = bytes.as_slice();
        let mut framer = Framer::new();
        let broker = &mut self.brokers[client.shard];
        broker.begin(self.now);
        while let Some(frame) = framer.next(&mut input, 1 << 20).unwrap() {
            let packet = frame.decode(client.version).unwrap();
            if let Err(fault) = broker.packet(client.key, client.link, &packet) {
                broker.fail(client.key, client.link, &fault);
            }
        }
        self.settle();
    }

    fn subscribe(&mut self, client: Client, filter: &str, qos: QoS) {
        self.subscribe_with(client, filter, SubscribeOptions::of(qos), None);
    }

    fn subscribe_with(
        &mut self,
        client: Client,
        filter: &str,
        options: SubscribeOptions,
        subscription_id: Option<u32>,
    ) {
        let filters = [(filter, options)];
        let subscribe = Subscribe {
            packet_id: PacketId::MIN,
            subscription_id,
            user_properties: Default::default(),
            filters: Subscriptions::new(&filters),
        };
        self.send(client, |version, bytes| subscribe.encode(version, bytes));
    }

    fn publish(&mut self, client: Client, topic: &str, payload: &str, qos: QoS) {
        let publish = publication(topic, payload, qos);
        self.send(client, |version, bytes| publish.encode(version, bytes));
    }

    fn acknowledge(&mut self, client: Client, kind: AckKind, id: u16) {
        let ack = Ack::new(NonZeroU16::new(id).unwrap(), ReasonCode::Success);
        self.send(client, |version, bytes| ack.encode(kind, version, bytes));
    }

    /// The socket of a client is gone.
    fn lose(&mut self, client: Client) {
        let broker = &mut self.brokers[client.shard];
        broker.begin(self.now);
        broker.closed(client.key, client.link, DisconnectReason::ConnectionLost);
        self.settle();
    }

    fn pass(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
        for broker in &mut self.brokers {
            broker.begin(self.now);
            broker.expired();
        }
        self.settle();
    }

    /// Ends turns, and carries what shards tell each other, until nobody has anything.
    fn settle(&mut self) {
        loop {
            let mut told = Vec::new();
            for broker in &mut self.brokers {
                let output = broker.end();
                for sending in output.sendings.drain(..) {
                    let received = self.links.get_mut(&sending.link).unwrap();
                    received.take(&sending.bytes);
                }
                for link in output.closings.drain(..) {
                    self.links.get_mut(&link).unwrap().closed = true;
                }
                told.extend(output.notices.drain(..).map(|(shard, notice, _)| (shard, notice)));
                broker.tell_other_nodes();
            }
            told.append(&mut self.told.lock().unwrap());
            if told.is_empty() && !self.go_on() {
                return self.brokers.iter().for_each(assert_figures_add_up);
            }
            for (shard, notice) in told {
                self.brokers[shard].begin(self.now);
                self.brokers[shard].noticed(notice);
            }
        }
    }

    /// Has brokers do what they have left for the next turn. Says whether there was any.
    fn go_on(&mut self) -> bool {
        let mut more = false;
        for broker in &mut self.brokers {
            if broker.deadline().is_some_and(|at| at <= self.now) {
                broker.expired();
                more = true;
            }
        }
        more
    }

    /// The packets that a connection has got since the last time, as text.
    fn packets(&mut self, client: Client) -> Vec<String> {
        let received = self.links.get_mut(&client.link).unwrap();
        let frames = std::mem::take(&mut received.frames);
        let packet =
            |frame: &Frame<'_>| format!("{:?}", frame.decode_from_server(client.version).unwrap());
        frames.iter().map(packet).collect()
    }

    /// The messages that a connection has got since the last time.
    fn messages(&mut self, client: Client) -> Vec<Got> {
        let received = self.links.get_mut(&client.link).unwrap();
        let frames = std::mem::take(&mut received.frames);
        frames.iter().filter_map(|frame| got(frame, client.version)).collect()
    }

    fn payloads(&mut self, client: Client) -> Vec<String> {
        self.messages(client).into_iter().map(|got| got.payload).collect()
    }

    fn is_closed(&self, client: Client) -> bool {
        self.links[&client.link].closed
    }
}

impl Received {
    fn take(&mut self, bytes: &bytes::Bytes) {
        self.pieces += 1;
        self.places.push(bytes.as_ptr());
        let mut input = &bytes[..];
        let mut framer = Framer::new();
        while let Some(frame) = framer.next(&mut input, 1 << 20).unwrap() {
            self.frames.push(frame.into_owned());
        }
        assert!(!framer.is_partial(), "a piece ends within a packet");
    }
}

/// A connection by its number.
fn link(number: u32) -> ConnectionId {
    // Eleven bytes in base64, the last bits of which are zero.
    format!("{number:014}A=").parse().unwrap()
}

fn got(frame: &Frame<'_>, version: Version) -> Option<Got> {
    let ServerPacket::Publish(publish) = frame.decode_from_server(version).unwrap() else {
        return None;
    };
    Some(Got {
        topic: publish.topic.to_owned(),
        payload: String::from_utf8(publish.payload.to_vec()).unwrap(),
        qos: publish.qos,
        id: publish.packet_id.map(NonZeroU16::get),
        dup: publish.dup,
        retain: publish.retain,
    })
}

/// A message as a client publishes it; with an id of 1 where it needs one.
fn publication<'a>(topic: &'a str, payload: &'a str, qos: QoS) -> Publish<'a> {
    Publish {
        topic,
        payload: payload.as_bytes(),
        qos,
        packet_id: (qos > QoS::AtMostOnce).then_some(PacketId::MIN),
        ..Publish::default()
    }
}
