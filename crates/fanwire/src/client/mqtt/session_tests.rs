//! The session against packets of the test's, with time in the test's hands.

use std::num::NonZeroU16;
use std::time::{Duration, Instant};

use fanwire_wire::mqtt::{
    Ack, ConnAck, ConnAckProperties, Disconnect, Framer, Packet, PacketId, Publish, QoS,
    ReasonCode, ServerPacket, SubAck, SubscriptionIds, Version,
};
use proptest::prelude::*;

use super::error::MqttError;
use super::inbound::Delivery;
use super::link::SocketId;
use super::message::CheckedProperties;
use super::options::SessionOptions;
use super::outbound::Outgoing;
use super::output::Output;
use super::session::Session;
use super::{Credentials, Message};
use crate::realtime::Publication;

fn options() -> SessionOptions {
    SessionOptions { held_maximum: 10, ..SessionOptions::new(1) }
}

/// A client, and what it has wanted so far.
struct Client {
    session: Session,
    version: Version,
    now: Instant,
    connects: Vec<SocketId>,
    /// Packets in words.
    sent: Vec<String>,
    closes: Vec<SocketId>,
    messages: Vec<(Message, Vec<u32>, Option<Delivery>)>,
    done: Vec<(u64, Result<(), MqttError>)>,
    refused: Vec<ReasonCode>,
}

impl Client {
    fn new() -> Self {
        Self::with(options())
    }

    fn with(options: SessionOptions) -> Self {
        let now = Instant::now();
        let mut client = Self {
            version: options.version,
            session: Session::new(options, now, 1),
            now,
            connects: Vec::new(),
            sent: Vec::new(),
            closes: Vec::new(),
            messages: Vec::new(),
            done: Vec::new(),
            refused: Vec::new(),
        };
        client.pass(Duration::ZERO);
        client
    }

    fn connected() -> Self {
        let mut client = Self::new();
        client.open(1);
        client.accept(1, false);
        client.sent.clear();
        client
    }

    fn open(&mut self, socket: u64) {
        assert_eq!(self.connects.pop(), Some(SocketId(socket)));
        self.session.opened(SocketId(socket), &Credentials::default(), self.now);
        self.settle();
    }

    fn accept(&mut self, socket: u64, session_present: bool) {
        let receive_maximum = NonZeroU16::new(2);
        let properties = ConnAckProperties { receive_maximum, ..ConnAckProperties::default() };
        let connack = ConnAck { session_present, properties, ..ConnAck::default() };
        self.hear(socket, &ServerPacket::ConnAck(connack));
    }

    /// Loses the connection and makes the next one, `socket`.
    fn reconnect(&mut self, socket: u64, session_present: bool) {
        self.lose(socket - 1);
        self.wait();
        self.open(socket);
        self.sent.clear();
        self.accept(socket, session_present);
    }

    fn hear(&mut self, socket: u64, packet: &ServerPacket<'_>) {
        let mut bytes = Vec::new();
        packet.encode(self.version, &mut bytes);
        self.session.received(SocketId(socket), &bytes, self.now);
        self.settle();
    }

    fn puback(&mut self, socket: u64, id: u16) {
        let ack = Ack::new(PacketId::new(id).unwrap(), ReasonCode::Success);
        self.hear(socket, &ServerPacket::PubAck(ack));
    }

    fn pubrec(&mut self, socket: u64, id: u16, reason: ReasonCode) {
        self.hear(socket, &ServerPacket::PubRec(Ack::new(PacketId::new(id).unwrap(), reason)));
    }

    fn pubrel(&mut self, socket: u64, id: u16) {
        let ack = Ack::new(PacketId::new(id).unwrap(), ReasonCode::Success);
        self.hear(socket, &ServerPacket::PubRel(ack));
    }

    fn pubcomp(&mut self, socket: u64, id: u16) {
        let ack = Ack::new(PacketId::new(id).unwrap(), ReasonCode::Success);
        self.hear(socket, &ServerPacket::PubComp(ack));
    }

    fn suback(&mut self, socket: u64, id: u16, reason: ReasonCode) {
        let reasons = [reason];
        let ack = SubAck::new(PacketId::new(id).unwrap(), &reasons);
        self.hear(socket, &ServerPacket::SubAck(ack));
    }

    fn message(&mut self, socket: u64, id: u16, dup: bool, ids: &[u32]) {
        self.message_of(QoS::AtLeastOnce, socket, id, dup, ids);
    }

    fn message_of(&mut self, qos: QoS, socket: u64, id: u16, dup: bool, ids: &[u32]) {
        self.hear(
            socket,
            &ServerPacket::Publish(Publish {
                dup,
                qos,
                topic: "a/b",
                packet_id: PacketId::new(id),
                subscription_ids: SubscriptionIds::new(ids),
                payload: b"x",
                ..Publish::default()
            }),
        );
    }

    fn subscribe(&mut self, token: u64, filter: &str) -> u32 {
        let id = self.session.subscribe(token, filter, QoS::AtLeastOnce);
        self.settle();
        id
    }

    fn publish(&mut self, token: u64, qos: u8) {
        let (topic, payload) = ("t".to_owned(), token.to_string().into());
        let publication = Publication { topic, payload, qos, retain: false };
        let properties = CheckedProperties::default();
        self.session.publish(Outgoing { token, publication, properties });
        self.settle();
    }

    fn read(&mut self) {
        let (_, _, delivery) = self.messages.remove(0);
        self.session.acknowledge(delivery.unwrap());
        self.settle();
    }

    fn lose(&mut self, socket: u64) {
        self.session.closed(SocketId(socket), self.now);
        self.settle();
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.session.tick(self.now);
        self.settle();
    }

    fn wait(&mut self) -> Duration {
        let wait = self.session.deadline().unwrap() - self.now;
        self.pass(wait);
        wait
    }

    fn settle(&mut self) {
        while let Some(output) = self.session.poll(self.now) {
            match output {
                Output::Connect(socket) => self.connects.push(socket),
                Output::Send(_, bytes) => self.sent.extend(in_words(&bytes, self.version)),
                Output::Close(socket) => self.closes.push(socket),
                Output::Message { message, subscriptions, delivery } => {
                    self.messages.push((message, subscriptions, delivery));
                }
                Output::Done(token, result) => self.done.push((token, result)),
                Output::Refused(reason, _) => self.refused.push(reason),
            }
        }
    }

    fn sent(&mut self) -> Vec<String> {
        std::mem::take(&mut self.sent)
    }

    /// Who has been told that all is well.
    fn done(&mut self) -> Vec<u64> {
        let done = std::mem::take(&mut self.done).into_iter();
        done.map(|(token, result)| result.map(|()| token).unwrap()).collect()
    }
}

fn in_words(mut bytes: &[u8], version: Version) -> Vec<String> {
    let mut framer = Framer::new();
    let mut words = Vec::new();
    while let Some(frame) = framer.next(&mut bytes, 1 << 20).unwrap() {
        words.push(match frame.decode(version).unwrap() {
            Packet::Connect(connect) => format!("connect clean={}", connect.clean_start),
            Packet::Publish(publish) => {
                let dup = if publish.dup { " dup" } else { "" };
                let id = publish.packet_id.map_or(0, PacketId::get);
                format!("publish {id} {}{dup}", String::from_utf8_lossy(publish.payload))
            }
            Packet::PubAck(ack) => format!("puback {}", ack.packet_id),
            Packet::PubRec(ack) => format!("pubrec {} {}", ack.packet_id, ack.reason as u8),
            Packet::PubRel(ack) => format!("pubrel {} {}", ack.packet_id, ack.reason as u8),
            Packet::PubComp(ack) => format!("pubcomp {} {}", ack.packet_id, ack.reason as u8),
            Packet::Subscribe(subscribe) => {
                let (filter, _) = subscribe.filters().next().unwrap();
                format!(
                    "subscribe {} {filter} as {:?}",
                    subscribe.packet_id, subscribe.subscription_id
                )
            }
            Packet::Unsubscribe(unsubscribe) => {
                format!("unsubscribe {}", unsubscribe.filters().next().unwrap())
            }
            Packet::PingReq => "ping".to_owned(),
            Packet::Disconnect(farewell) => format!("disconnect {}", farewell.reason as u8),
            other => panic!("{other:?}"),
        });
    }
    words
}

#[test]
fn what_waits_for_the_connection_is_sent_when_the_broker_accepts() {
    let mut client = Client::new();
    client.subscribe(1, "a/+");
    client.publish(2, 0);
    client.open(1);
    assert_eq!(client.sent(), ["connect clean=true"]);
    client.accept(1, false);
    assert_eq!(client.sent(), ["subscribe 1 a/+ as Some(1)", "publish 0 2"]);
    assert_eq!(client.done(), [2]);
    client.suback(1, 1, ReasonCode::GrantedQoS1);
    assert_eq!(client.done(), [1]);
}

#[test]
fn no_more_publications_are_under_way_than_the_broker_takes() {
    let mut client = Client::connected();
    for token in 1..=4 {
        client.publish(token, 1);
    }
    assert_eq!(client.sent(), ["publish 1 1", "publish 2 2"]);
    assert_eq!(client.session.waiting(), 2);
    client.puback(1, 1);
    assert_eq!(client.sent(), ["publish 3 3"]);
    assert_eq!(client.done(), [1]);
    // Of one that is not under way.
    client.puback(1, 99);
    assert!(client.done().is_empty() && client.sent().is_empty());
}

#[test]
fn a_session_that_is_there_is_gone_on_with() {
    let mut client = Client::connected();
    client.subscribe(1, "a/b");
    client.suback(1, 1, ReasonCode::GrantedQoS1);
    client.publish(2, 1);
    client.publish(3, 1);
    client.publish(4, 1);
    client.lose(1);
    client.session.unsubscribe("never known");
    assert_eq!(client.wait(), Duration::ZERO);
    client.sent.clear();
    client.open(2);
    assert_eq!(client.sent(), ["connect clean=false"]);
    client.accept(2, true);
    assert_eq!(client.sent(), ["publish 2 2 dup", "publish 3 3 dup"]);
    client.puback(2, 2);
    assert_eq!(client.sent(), ["publish 4 4"]);
}

#[test]
fn a_session_that_is_lost_is_made_again() {
    let mut client = Client::connected();
    client.subscribe(1, "a/b");
    client.suback(1, 1, ReasonCode::GrantedQoS1);
    client.publish(2, 1);
    client.reconnect(2, false);
    assert_eq!(client.sent(), ["subscribe 3 a/b as Some(1)", "publish 2 2"]);
    // Given back while there is no connection, it is given back when there is.
    client.lose(2);
    client.session.unsubscribe("a/b");
    client.wait();
    client.open(3);
    client.sent.clear();
    client.accept(3, true);
    assert_eq!(client.sent(), ["unsubscribe a/b", "publish 2 2 dup"]);
}

#[test]
fn a_message_is_acknowledged_when_it_is_read() {
    let mut client = Client::connected();
    let id = client.subscribe(1, "a/b");
    client.sent.clear();
    client.message(1, 7, false, &[id]);
    assert!(client.sent().is_empty());
    client.read();
    assert_eq!(client.sent(), ["puback 7"]);
    // Nobody has subscribed to this: it is nothing, and no reason to send it again.
    client.message(1, 8, false, &[99]);
    assert!(client.messages.is_empty());
    assert_eq!(client.sent(), ["puback 8"]);
}

#[test]
fn a_message_that_comes_again_is_not_told_again() {
    let mut client = Client::connected();
    let id = client.subscribe(1, "a/b");
    client.suback(1, 1, ReasonCode::GrantedQoS1);
    client.message(1, 7, false, &[id]);
    client.message(1, 8, false, &[id]);
    client.lose(1);
    // Read while nobody can be told.
    client.read();
    client.wait();
    client.open(2);
    client.accept(2, true);
    client.sent.clear();
    client.message(2, 7, true, &[id]);
    client.message(2, 8, true, &[id]);
    assert_eq!(client.messages.len(), 1);
    assert_eq!(client.sent(), ["puback 7"]);
    client.read();
    assert_eq!(client.sent(), ["puback 8"]);
    // What was read of a session that is lost is not said to the next.
    client.message(2, 9, false, &[id]);
    client.reconnect(3, false);
    client.sent.clear();
    client.message(3, 9, false, &[id]);
    client.read();
    assert!(client.sent().is_empty());
    client.read();
    assert_eq!(client.sent(), ["puback 9"]);
}

#[test]
fn what_an_earlier_process_was_sent_waits_for_whoever_subscribes_again() {
    let mut client = Client::with(SessionOptions { resume: true, ..options() });
    client.open(1);
    assert_eq!(client.sent(), ["connect clean=false"]);
    client.accept(1, true);
    client.message(1, 1, true, &[1]);
    client.message(1, 2, true, &[1]);
    assert!(client.messages.is_empty() && client.sent().is_empty());
    client.subscribe(1, "c");
    assert!(client.messages.is_empty());
    let id = client.subscribe(2, "a/+");
    assert_eq!(client.messages.len(), 2);
    assert!(client.messages.iter().all(|(_, subscriptions, _)| *subscriptions == [id]));
    client.sent.clear();
    client.read();
    client.read();
    assert_eq!(client.sent(), ["puback 1", "puback 2"]);
    // What was on its way when it was given back is nothing to wait for.
    client.session.unsubscribe("a/+");
    client.settle();
    client.sent.clear();
    client.message(1, 3, false, &[id]);
    assert_eq!(client.sent(), ["puback 3"]);
}

#[test]
fn a_publication_of_qos_2_is_done_when_its_id_is_free() {
    let mut client = Client::connected();
    client.publish(1, 2);
    client.publish(2, 2);
    client.publish(3, 2);
    assert_eq!(client.sent(), ["publish 1 1", "publish 2 2"]);
    client.pubrec(1, 1, ReasonCode::Success);
    assert_eq!(client.sent(), ["pubrel 1 0"]);
    assert!(client.done().is_empty());
    // The broker has the first, and has to be told of the second again; in their order.
    client.reconnect(2, true);
    assert_eq!(client.sent(), ["pubrel 1 0", "publish 2 2 dup"]);
    client.pubcomp(2, 1);
    assert_eq!((client.done(), client.sent()), (vec![1], vec!["publish 3 3".to_owned()]));
    client.pubrec(2, 2, ReasonCode::QuotaExceeded);
    let (2, Err(MqttError::Refused { reason: Some(151), .. })) = client.done.remove(0) else {
        panic!("it is refused");
    };
    // What it says of ids that are not in use.
    client.pubrec(2, 9, ReasonCode::Success);
    assert_eq!(client.sent(), ["pubrel 9 146"]);
    client.pubcomp(2, 9);
    client.pubcomp(2, 3);
    assert!(client.done().is_empty());
    // To a broker that has lost the session what it had is done, and the rest new.
    client.publish(4, 2);
    client.pubrec(2, 3, ReasonCode::Success);
    client.reconnect(3, false);
    assert_eq!((client.done(), client.sent()), (vec![3], vec!["publish 4 4".to_owned()]));
}

#[test]
fn a_message_of_qos_2_is_told_once() {
    let mut client = Client::connected();
    let id = client.subscribe(1, "a/b");
    client.suback(1, 1, ReasonCode::GrantedQoS2);
    client.sent.clear();
    let twice = QoS::ExactlyOnce;
    client.message_of(twice, 1, 7, false, &[id]);
    client.message_of(twice, 1, 8, false, &[id]);
    client.message_of(twice, 1, 9, false, &[id]);
    assert!(client.sent().is_empty());
    client.read();
    assert_eq!(client.sent(), ["pubrec 7 0"]);
    client.lose(1);
    // Read while nobody can be told.
    client.read();
    client.wait();
    client.open(2);
    client.accept(2, true);
    client.sent.clear();
    for packet_id in [7, 8, 9] {
        client.message_of(twice, 2, packet_id, true, &[id]);
    }
    assert_eq!(client.messages.len(), 1);
    assert_eq!(client.sent(), ["pubrec 7 0", "pubrec 8 0"]);
    client.pubrel(2, 7);
    client.pubrel(2, 7);
    assert_eq!(client.sent(), ["pubcomp 7 0", "pubcomp 7 146"]);
    // The id is free, and another message has it.
    client.message_of(twice, 2, 7, false, &[id]);
    assert_eq!(client.messages.len(), 2);
}

#[test]
fn mqtt_3_1_1_has_no_properties() {
    let options = SessionOptions { version: Version::V3_1_1, ..options() };
    let mut client = Client::with(options.clone());
    client.publish(1, 2);
    client.subscribe(2, "a/b");
    client.open(1);
    assert_eq!(client.sent(), ["connect clean=true"]);
    client.accept(1, false);
    assert_eq!(client.sent(), ["subscribe 1 a/b as None", "publish 2 1"]);
    client.message_of(QoS::AtLeastOnce, 1, 1, false, &[]);
    assert_eq!(client.messages.len(), 1);
    // The session has ended with its connection.
    client.lose(1);
    client.wait();
    client.open(2);
    assert_eq!(client.sent(), ["connect clean=true"]);
}

#[test]
fn before_mqtt_5_a_session_begins_anew_by_a_connection_of_its_own() {
    let options = SessionOptions { version: Version::V3_1_1, is_named: true, ..options() };
    let mut client = Client::with(options.clone());
    client.publish(1, 1);
    client.open(1);
    client.accept(1, false);
    assert_eq!(client.sent(), ["connect clean=true", "disconnect 0"]);
    assert!(!client.session.is_connected());
    assert_eq!((client.closes.len(), client.wait()), (1, Duration::ZERO));
    client.open(2);
    client.accept(2, false);
    assert_eq!(client.sent(), ["connect clean=false", "publish 1 1"]);
    let mut client = Client::with(SessionOptions { resume: true, ..options });
    client.open(1);
    client.accept(1, true);
    assert_eq!(client.sent(), ["connect clean=false"]);
    assert!(client.session.is_connected());
}

#[test]
fn a_broker_without_mqtt_5_is_told_from_one_that_refuses_the_client() {
    let mut client = Client::new();
    client.open(1);
    // CONNACK of 3.1.1: unacceptable protocol version.
    client.session.received(SocketId(1), &[0x20, 2, 0, 1], client.now);
    client.settle();
    assert_eq!(client.refused, [ReasonCode::UnsupportedProtocolVersion]);
}

#[test]
fn a_broker_that_sends_much_more_than_it_may_is_left() {
    let mut client = Client::connected();
    let id = client.subscribe(1, "a/b");
    for packet_id in 1..=11 {
        client.message(1, packet_id, false, &[id]);
    }
    assert_eq!(client.messages.len(), 10);
    assert_eq!(client.refused, [ReasonCode::ReceiveMaximumExceeded]);
    assert_eq!(client.sent().last().unwrap(), "disconnect 147");
    assert_eq!(client.closes, [SocketId(1)]);
}

#[test]
fn without_ids_the_topic_says_who_is_meant() {
    let mut client = Client::connected();
    let (one, _, all) =
        (client.subscribe(1, "a/b"), client.subscribe(2, "c"), client.subscribe(3, "$share/g/#"));
    client.message(1, 1, false, &[]);
    let (_, mut subscriptions, _) = client.messages.remove(0);
    subscriptions.sort_unstable();
    assert_eq!(subscriptions, [one, all]);
}

#[test]
fn a_filter_that_is_refused_is_forgotten() {
    let mut client = Client::connected();
    client.subscribe(1, "a/b");
    client.suback(1, 1, ReasonCode::NotAuthorized);
    let (1, Err(MqttError::Refused { topic, reason, .. })) = client.done.remove(0) else {
        panic!("it is refused");
    };
    assert_eq!((&*topic, reason), ("a/b", Some(0x87)));
    client.reconnect(2, false);
    assert!(client.sent().is_empty());
}

#[test]
fn a_silent_broker_is_asked_and_given_up() {
    let mut client = Client::connected();
    client.pass(Duration::from_secs(29));
    assert!(client.sent().is_empty());
    client.pass(Duration::from_secs(1));
    assert_eq!(client.sent(), ["ping"]);
    client.hear(1, &ServerPacket::PingResp);
    client.pass(Duration::from_secs(30));
    assert_eq!(client.sent(), ["ping"]);
    client.pass(Duration::from_secs(10));
    assert_eq!(client.closes, [SocketId(1)]);
    assert!(!client.session.is_connected());
}

#[test]
fn a_broker_that_throws_us_out_again_and_again_is_given_time() {
    let mut client = Client::connected();
    let taken_over = Disconnect { reason: ReasonCode::SessionTakenOver, ..Disconnect::default() };
    let mut waits = Vec::new();
    for socket in 1..=4 {
        client.hear(socket, &ServerPacket::Disconnect(taken_over));
        waits.push(client.wait().as_secs());
        client.open(socket + 1);
        client.accept(socket + 1, true);
    }
    assert_eq!(client.refused, [ReasonCode::SessionTakenOver; 4]);
    assert!(
        waits[0] == 0 && (1..=2).contains(&waits[1]) && (6..=8).contains(&waits[3]),
        "{waits:?}"
    );
    client.pass(super::session::PROVEN_AFTER);
    client.lose(5);
    assert_eq!(client.wait(), Duration::ZERO);
}

#[test]
fn who_is_not_let_in_hears_why() {
    let mut client = Client::new();
    client.open(1);
    let connack = ConnAck { reason: ReasonCode::NotAuthorized, ..ConnAck::default() };
    client.hear(1, &ServerPacket::ConnAck(connack));
    assert_eq!(client.refused, [ReasonCode::NotAuthorized]);
    assert_eq!((client.closes.len(), client.session.failures()), (1, 1));
    assert!(client.wait() > Duration::from_secs(1));
}

#[test]
fn shutting_down_says_goodbye_and_ends_what_waits() {
    let mut client = Client::connected();
    client.subscribe(1, "a");
    client.publish(2, 1);
    client.sent.clear();
    client.session.shut_down();
    client.settle();
    assert_eq!(client.sent(), ["disconnect 0"]);
    assert_eq!(client.closes, [SocketId(1)]);
    let closed =
        |(_, result): &(u64, Result<(), MqttError>)| matches!(result, Err(MqttError::Closed));
    assert!(client.done.len() == 2 && client.done.iter().all(closed));
    assert_eq!(client.session.deadline(), None);
}

proptest! {
    #[test]
    fn nothing_that_a_broker_sends_is_a_panic(
        pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..8),
        accepted: bool,
    ) {
        let mut client = if accepted { Client::connected() } else { Client::new() };
        if !accepted {
            client.open(1);
        }
        client.subscribe(1, "#");
        for piece in pieces {
            client.session.received(SocketId(1), &piece, client.now);
            client.settle();
        }
    }
}
