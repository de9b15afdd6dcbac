//! The session against packets of the tests', with time in the tests' hands: a client, and what
//! it wants.

mod exactly_once;
mod session;
mod versions;

use std::num::NonZeroU16;
use std::time::{Duration, Instant};

use fanwire_wire::mqtt::{
    Ack, ConnAck, ConnAckProperties, Disconnect, Framer, Packet, PacketId, Publish, QoS,
    ReasonCode, ServerPacket, SubAck, SubscriptionIds, Version,
};

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
