//! What an MQTT client does, without its sockets: bytes, commands and the time go in; bytes,
//! messages and the next deadline come out. MQTT 5 (OASIS standard, 2019), and 3.1.1, which is
//! the same with less in it; the numbers in comments are sections of the former.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use fanwire_wire::mqtt::{
    Ack, AckKind, Connect, ConnectProperties, DecodeError, Disconnect, Frame, Framer, Packet,
    PacketId, Publish, QoS, ReasonCode, ServerPacket, SubAck, Subscribe, SubscribeOptions,
    Subscriptions, Unsubscribe, Version,
};

use super::super::backoff::Backoff;
use super::error::MqttError;
use super::filters::Filters;
use super::inbound::{Arrival, Delivery, Inbound};
use super::link::{Link, SocketId, Up};
use super::options::SessionOptions;
use super::outbound::{Again, Outbound, Outcome, Outgoing, Received};
use super::output::{Output, Token};
use super::{Credentials, Message};

/// How long a broker may take to answer a CONNECT, with its authorizer.
const GREETING_LIMIT: Duration = Duration::from_secs(60);

/// How long a connection lives that is good: one to be made again at once.
pub(super) const PROVEN_AFTER: Duration = Duration::from_secs(10);

/// The longest packet that is taken, in bytes: 16 MiB, and something for its header.
const MAX_PACKET: usize = 16 * 1024 * 1024 + 64 * 1024;

/// The state of a client.
#[derive(Debug)]
pub(super) struct Session {
    options: SessionOptions,
    link: Link,
    framer: Framer,
    /// Whether the next connection may go on with what the broker knows.
    resume: bool,
    /// Attempts in vain since there was a connection.
    failures: u32,
    /// Connections that were short since one was good.
    short: u32,
    backoff: Backoff,
    next_socket: u64,
    next_packet: u16,
    filters: Filters,
    /// What the broker has yet to acknowledge, but for publications.
    asked: BTreeMap<PacketId, Asked>,
    outbound: Outbound,
    inbound: Inbound,
    outputs: VecDeque<Output>,
}

/// What an acknowledgement is of.
#[derive(Debug)]
enum Asked {
    Subscribe(String),
    Unsubscribe(String),
}

// === impl Session ===

impl Session {
    /// A client that connects at once. The seed is for what varies by chance.
    pub(super) fn new(options: SessionOptions, now: Instant, seed: u64) -> Self {
        // An earlier process has counted, too, and its ids are not to be taken for ours.
        let last_subscription = if options.resume { (seed % 200_000_000) as u32 } else { 0 };
        Self {
            resume: options.resume && options.outlives_connections(),
            options,
            link: Link::Down { until: now },
            framer: Framer::new(),
            failures: 0,
            short: 0,
            backoff: Backoff::new(seed),
            next_socket: 0,
            next_packet: 0,
            filters: Filters::after(last_subscription),
            asked: BTreeMap::new(),
            outbound: Outbound::default(),
            inbound: Inbound::default(),
            outputs: VecDeque::new(),
        }
    }

    pub(super) fn is_connected(&self) -> bool {
        matches!(self.link, Link::Up(_))
    }

    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    /// How many publications have yet to be sent.
    pub(super) fn waiting(&self) -> usize {
        self.outbound.waiting()
    }

    // --- commands ---

    /// Subscribes, or asks for the retained messages of a subscription again. The id of the
    /// subscription.
    pub(super) fn subscribe(&mut self, token: Token, filter: &str, qos: QoS) -> u32 {
        let id = self.filters.add(filter, qos, token);
        for (message, delivery) in self.inbound.claim(filter) {
            let (subscriptions, delivery) = (vec![id], Some(delivery));
            self.outputs.push_back(Output::Message { message, subscriptions, delivery });
        }
        if self.is_connected() {
            self.send_subscribe(filter);
        }
        id
    }

    /// Gives a subscription back.
    pub(super) fn unsubscribe(&mut self, filter: &str) {
        if !self.filters.remove(filter) {
            return;
        }
        if self.is_connected() {
            self.send_unsubscribe(filter);
        } else {
            self.filters.forget_later(filter);
        }
    }

    /// Publishes, at once or as soon as the broker takes it.
    pub(super) fn publish(&mut self, outgoing: Outgoing) {
        self.outbound.push(outgoing);
        self.pump();
    }

    /// A message has been read.
    pub(super) fn acknowledge(&mut self, delivery: Delivery) {
        let connected = self.is_connected();
        if let Some(kind) = self.inbound.read(delivery, connected) {
            self.send_ack(kind, delivery.packet_id, ReasonCode::Success);
        }
    }

    /// Says goodbye. What callers wait for fails with [`MqttError::Closed`].
    pub(super) fn shut_down(&mut self) {
        if let Link::Up(_) = self.link {
            self.send(&Packet::Disconnect(Disconnect::default()));
        }
        if let Some(socket) = self.link.socket() {
            self.flush();
            self.outputs.push_back(Output::Close(socket));
        }
        self.link = Link::Closed;
        let waiting = self.filters.tokens().chain(self.outbound.tokens());
        let closed = waiting.map(|token| Output::Done(token, Err(MqttError::Closed)));
        self.outputs.extend(closed);
    }

    // --- the connection ---

    /// A connection is there.
    pub(super) fn opened(&mut self, socket: SocketId, who: &Credentials, now: Instant) {
        if self.link.socket() != Some(socket) {
            self.outputs.push_back(Output::Close(socket));
            return;
        }
        self.framer = Framer::new();
        self.link = Link::Greeting { socket, until: now + GREETING_LIMIT };
        let mut out = Vec::new();
        let connect = Connect {
            version: self.options.version,
            client_id: &self.options.client_id,
            clean_start: !self.resume,
            keep_alive: self.options.keep_alive,
            will: self.options.will.as_ref().map(|will| will.as_wire()),
            username: who.username.as_deref(),
            password: who.password.as_deref(),
            properties: ConnectProperties {
                session_expiry: Some(self.options.session_expiry),
                receive_maximum: Some(self.options.receive_maximum),
                ..ConnectProperties::default()
            },
        };
        connect.encode(&mut out);
        self.outputs.push_back(Output::Send(socket, out));
    }

    /// A connection has ended, or was never made.
    pub(super) fn closed(&mut self, socket: SocketId, now: Instant) {
        if self.link.socket() != Some(socket) {
            return;
        }
        let wait = match &self.link {
            Link::Up(up) if now.saturating_duration_since(up.since) >= PROVEN_AFTER => {
                self.short = 0;
                Duration::ZERO
            }
            // One is forgiven; a second one is of a broker that throws us out.
            Link::Up(_) => {
                self.short = self.short.saturating_add(1);
                self.backoff.delay(self.short - 1)
            }
            _ => {
                self.failures = self.failures.saturating_add(1);
                self.backoff.delay(self.failures)
            }
        };
        self.link = Link::Down { until: now + wait };
        self.asked.clear();
    }

    /// The connection is of no use any more.
    fn give_up(&mut self, now: Instant) {
        if let Some(socket) = self.link.socket() {
            self.flush();
            self.outputs.push_back(Output::Close(socket));
            self.closed(socket, now);
        }
    }

    /// Bytes have come.
    pub(super) fn received(&mut self, socket: SocketId, mut bytes: &[u8], now: Instant) {
        while self.link.socket() == Some(socket) {
            // Taken out, for its frames borrow from it.
            let mut framer = std::mem::take(&mut self.framer);
            let taken = match framer.next(&mut bytes, MAX_PACKET) {
                Ok(Some(frame)) => {
                    self.decoded(&frame).and_then(|packet| self.take(&packet, now)).map(|()| true)
                }
                Ok(None) => Ok(false),
                Err(error) => Err(error),
            };
            self.framer = framer;
            match taken {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => return self.refuse(error, now),
            }
        }
    }

    fn decoded<'f>(&self, frame: &'f Frame<'_>) -> Result<ServerPacket<'f>, DecodeError> {
        let version = self.options.version;
        let packet = frame.decode_from_server(version);
        // A broker that does not know the version refuses it in one of its own (4.13).
        if packet.is_err()
            && version == Version::V5
            && !self.is_connected()
            && let Ok(ServerPacket::ConnAck(refusal)) = frame.decode_from_server(Version::V3_1_1)
        {
            let what = "no MQTT 5 is spoken here; `MqttBuilder::mqtt_3_1_1` may help";
            return Err(DecodeError { reason: refusal.reason, what });
        }
        packet
    }

    /// The broker has sent what it may not.
    fn refuse(&mut self, error: DecodeError, now: Instant) {
        let reason = error.reason;
        if self.is_connected() {
            self.send(&Packet::Disconnect(Disconnect { reason, ..Disconnect::default() }));
        }
        self.outputs.push_back(Output::Refused(reason, error.what.to_owned()));
        self.give_up(now);
    }

    fn take(&mut self, packet: &ServerPacket<'_>, now: Instant) -> Result<(), DecodeError> {
        match packet {
            ServerPacket::ConnAck(connack) if !self.is_connected() => {
                let reason = connack.reason;
                if reason.is_error() {
                    let words = connack.properties.reason_string.unwrap_or(reason.name());
                    self.outputs.push_back(Output::Refused(reason, words.to_owned()));
                    self.give_up(now);
                } else if let Some(socket) = self.link.socket() {
                    self.link = Link::Up(Up::new(socket, connack, &self.options, now));
                    self.failures = 0;
                    if self.options.begins_anew() && !self.resume {
                        self.begin_anew(now);
                    } else {
                        self.go_on(connack.session_present);
                    }
                }
            }
            _ if !self.is_connected() => return Err(unexpected("a packet before CONNACK")),
            ServerPacket::Publish(publish) => self.take_publish(publish)?,
            ServerPacket::PubAck(ack) => {
                let done = self.outbound.acknowledged(ack);
                self.publish_on(done);
            }
            ServerPacket::PubRec(ack) => self.take_pubrec(ack),
            ServerPacket::PubComp(ack) => {
                let done = self.outbound.completed(ack.packet_id);
                self.publish_on(done);
            }
            ServerPacket::PubRel(ack) => {
                let reason = if self.inbound.release(ack.packet_id) {
                    ReasonCode::Success
                } else {
                    ReasonCode::PacketIdentifierNotFound
                };
                self.send_ack(AckKind::PubComp, ack.packet_id, reason);
            }
            ServerPacket::SubAck(ack) => self.take_suback(ack),
            ServerPacket::UnsubAck(ack) => _ = self.asked.remove(&ack.packet_id),
            ServerPacket::PingResp => {
                if let Link::Up(up) = &mut self.link {
                    up.ponged();
                }
            }
            ServerPacket::Disconnect(farewell) => {
                let words = farewell.reason_string.unwrap_or(farewell.reason.name());
                self.outputs.push_back(Output::Refused(farewell.reason, words.to_owned()));
                self.give_up(now);
            }
            _ => return Err(unexpected("a packet that nobody asked for")),
        }
        Ok(())
    }

    /// Before MQTT 5, a session that outlives its connection is never a new one: what an
    /// earlier process has left ends with this connection, and the next one begins.
    fn begin_anew(&mut self, now: Instant) {
        self.resume = true;
        self.send(&Packet::Disconnect(Disconnect::default()));
        if let Some(socket) = self.link.socket() {
            self.flush();
            self.outputs.push_back(Output::Close(socket));
        }
        self.link = Link::Down { until: now };
    }

    /// There is a connection: all that the broker does not have is sent.
    fn go_on(&mut self, session_present: bool) {
        self.resume = self.options.outlives_connections();
        if !session_present {
            self.inbound.forget_all();
            let done = self.outbound.forget_released();
            self.outputs
                .extend(done.into_iter().map(|(token, result)| Output::Done(token, result)));
        }
        let (forget, unknown) = self.filters.tell_all(session_present);
        for filter in forget {
            self.send_unsubscribe(&filter);
        }
        for filter in unknown {
            self.send_subscribe(&filter);
        }
        let outbound = std::mem::take(&mut self.outbound);
        for again in outbound.again() {
            match again {
                // To a broker without the session they are new (3.3.1.1).
                Again::Publish(packet_id, outgoing) => {
                    self.send_publish(outgoing, Some(packet_id), session_present);
                }
                Again::Release(packet_id) => {
                    self.send_ack(AckKind::PubRel, packet_id, ReasonCode::Success);
                }
            }
        }
        self.outbound = outbound;
        self.pump();
    }

    // --- packets in ---

    fn take_publish(&mut self, publish: &Publish<'_>) -> Result<(), DecodeError> {
        let delivery = match publish.packet_id {
            None => None,
            Some(packet_id) => {
                let (qos, limit) = (publish.qos, self.options.held_maximum);
                match self.inbound.arrive(packet_id, qos, publish.dup, limit)? {
                    Arrival::New(delivery) => Some(delivery),
                    Arrival::Known => return Ok(()),
                    Arrival::WasRead(kind) => {
                        self.send_ack(kind, packet_id, ReasonCode::Success);
                        return Ok(());
                    }
                }
            }
        };
        let message = Message::new(publish);
        let subscriptions = self.subscriptions_of(publish);
        if !subscriptions.is_empty() {
            self.outputs.push_back(Output::Message { message, subscriptions, delivery });
        } else if let Some(delivery) = delivery {
            if self.options.resume && !self.is_given_back(&message.topic) {
                // Of an earlier process: whoever subscribes to it again gets it.
                self.inbound.keep(message, delivery);
            } else {
                self.acknowledge(delivery);
            }
        }
        Ok(())
    }

    /// Whether such a message can be on its way because its subscription was there just now.
    fn is_given_back(&self, topic: &str) -> bool {
        let of = |asked: &Asked| matches!(asked, Asked::Unsubscribe(name) if super::topic::matches(name, topic));
        self.asked.values().any(of)
    }

    /// Those that a message is for: the broker says it, or it is found out.
    fn subscriptions_of(&self, publish: &Publish<'_>) -> Vec<u32> {
        let ids: BTreeSet<u32> = publish.subscription_ids.iter().collect();
        let named = self.filters.with_ids(&ids);
        if !named.is_empty() || !(ids.is_empty() || self.options.resume) {
            return named;
        }
        self.filters.matching(publish.topic)
    }

    fn take_pubrec(&mut self, ack: &Ack<'_>) {
        match self.outbound.received(ack) {
            Received::Release(reason) => self.send_ack(AckKind::PubRel, ack.packet_id, reason),
            Received::Refused(outcome) => self.publish_on(Some(outcome)),
        }
    }

    /// A publication is over, perhaps, and makes room for the next.
    fn publish_on(&mut self, done: Option<Outcome>) {
        if let Some((token, result)) = done {
            self.outputs.push_back(Output::Done(token, result));
            self.pump();
        }
    }

    fn take_suback(&mut self, ack: &SubAck<'_>) {
        let Some(Asked::Subscribe(name)) = self.asked.remove(&ack.packet_id) else { return };
        // One filter was asked for; it may have been given back since.
        let Some(reason) = ack.reasons.iter().next() else { return };
        for token in self.filters.answered(&name, reason.is_error()) {
            let refused = || MqttError::refused(&name, reason, ack.reason_string);
            let result = if reason.is_error() { Err(refused()) } else { Ok(()) };
            self.outputs.push_back(Output::Done(token, result));
        }
    }

    // --- packets out ---

    /// Sends what waits, as far as the broker takes it.
    fn pump(&mut self) {
        while let Link::Up(up) = &self.link {
            let Some(next) = self.outbound.next(up.receive_maximum) else { return };
            if let Some(error) = up.refuses(&next) {
                self.outputs.push_back(Output::Done(next.token, Err(error)));
            } else if next.publication.qos > 0 {
                let packet_id = self.free_packet_id();
                self.send_publish(&next, Some(packet_id), false);
                self.outbound.sent(packet_id, next);
            } else {
                self.send_publish(&next, None, false);
                self.outputs.push_back(Output::Done(next.token, Ok(())));
            }
        }
    }

    fn send_publish(&mut self, outgoing: &Outgoing, id: Option<PacketId>, dup: bool) {
        self.send(&Packet::Publish(outgoing.packet(id, dup)));
    }

    fn send_ack(&mut self, kind: AckKind, packet_id: PacketId, reason: ReasonCode) {
        let mut out = Vec::new();
        Ack::new(packet_id, reason).encode(kind, self.options.version, &mut out);
        self.put(&out);
    }

    fn send_subscribe(&mut self, name: &str) {
        let packet_id = self.free_packet_id();
        let Link::Up(up) = &self.link else { return };
        let Some((id, qos)) = self.filters.tell(name) else { return };
        let subscription_id = up.subscription_ids.then_some(id);
        let filters = [(name, SubscribeOptions { qos, ..SubscribeOptions::default() })];
        let subscribe = Subscribe {
            packet_id,
            subscription_id,
            user_properties: Default::default(),
            filters: Subscriptions::new(&filters),
        };
        self.asked.insert(packet_id, Asked::Subscribe(name.to_owned()));
        self.send(&Packet::Subscribe(subscribe));
    }

    fn send_unsubscribe(&mut self, name: &str) {
        let packet_id = self.free_packet_id();
        let filters = [name];
        let filters = fanwire_wire::mqtt::Filters::new(&filters);
        let unsubscribe = Unsubscribe { packet_id, user_properties: Default::default(), filters };
        self.asked.insert(packet_id, Asked::Unsubscribe(name.to_owned()));
        self.send(&Packet::Unsubscribe(unsubscribe));
    }

    /// One that nothing else has. There are 65,535, and never as many waiting.
    fn free_packet_id(&mut self) -> PacketId {
        loop {
            self.next_packet = self.next_packet.checked_add(1).unwrap_or(1);
            let Some(id) = PacketId::new(self.next_packet) else { continue };
            if !self.outbound.uses(id) && !self.asked.contains_key(&id) {
                return id;
            }
        }
    }

    fn send(&mut self, packet: &Packet<'_>) {
        let mut out = Vec::new();
        packet.encode(self.options.version, &mut out);
        self.put(&out);
    }

    fn put(&mut self, bytes: &[u8]) {
        if let Link::Up(up) = &mut self.link {
            up.out.extend_from_slice(bytes);
        }
    }

    fn flush(&mut self) {
        if let Link::Up(up) = &mut self.link
            && !up.out.is_empty()
        {
            let bytes = std::mem::take(&mut up.out);
            self.outputs.push_back(Output::Send(up.socket, bytes));
        }
    }

    // --- time ---

    /// The time has come for something, perhaps.
    pub(super) fn tick(&mut self, now: Instant) {
        let gone = match &mut self.link {
            Link::Down { until } if *until <= now => {
                self.next_socket += 1;
                let socket = SocketId(self.next_socket);
                self.link = Link::Opening(socket);
                self.outputs.push_back(Output::Connect(socket));
                false
            }
            Link::Greeting { until, .. } => *until <= now,
            Link::Up(up) => up.is_dead(now),
            _ => false,
        };
        if gone {
            self.give_up(now);
        }
    }

    /// When [`tick`](Self::tick) is next to be called.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.link.deadline()
    }

    /// What is to be done next. What was written since the last time goes out as one.
    pub(super) fn poll(&mut self, now: Instant) -> Option<Output> {
        if self.outputs.is_empty() {
            if let Link::Up(up) = &mut self.link
                && !up.out.is_empty()
            {
                up.sent(now);
            }
            self.flush();
        }
        self.outputs.pop_front()
    }
}

fn unexpected(what: &'static str) -> DecodeError {
    DecodeError { reason: ReasonCode::ProtocolError, what }
}
