//! What an MQTT client does, without its sockets: bytes, commands and the time go in; bytes,
//! messages and the next deadline come out. MQTT 5 (OASIS standard, 2019); the numbers in
//! comments are its sections.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;
use fanwire_wire::mqtt::{
    Ack, AckKind, Connect, ConnectProperties, DecodeError, Disconnect, Framer, Packet, PacketId,
    Publish, QoS, ReasonCode, ServerPacket, SubAck, Subscribe, SubscribeOptions, Subscriptions,
    Unsubscribe, Version,
};

use super::super::backoff::Backoff;
use super::builder::SessionOptions;
use super::error::MqttError;
use super::inbound::{Delivery, Inbound};
use super::link::{Link, SocketId, Up};
use super::output::{Output, Token};
use super::{Credentials, Message};
use crate::realtime::Publication;

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
    next_subscription: u32,
    filters: BTreeMap<String, Filter>,
    /// Filters that the broker is to forget, of which it has not been told.
    dropped: BTreeSet<String>,
    /// What the broker has yet to acknowledge, but for publications.
    asked: BTreeMap<PacketId, Asked>,
    /// Publications that it has yet to acknowledge, in the order in which they were sent.
    unacknowledged: VecDeque<(PacketId, Token, Publication)>,
    /// Publications that have yet to be sent.
    waiting: VecDeque<(Token, Publication)>,
    inbound: Inbound,
    outputs: VecDeque<Output>,
}

/// A subscription, as the broker has it or is to have it.
#[derive(Debug)]
struct Filter {
    id: u32,
    qos: QoS,
    /// Whether the broker has said that it has it.
    confirmed: bool,
    /// Whether it may have it.
    sent: bool,
    waiting: Vec<Token>,
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
        let next_subscription = if options.resume { (seed % 200_000_000) as u32 } else { 0 };
        Self {
            resume: options.resume,
            options,
            link: Link::Down { until: now },
            framer: Framer::new(),
            failures: 0,
            short: 0,
            backoff: Backoff::new(seed),
            next_socket: 0,
            next_packet: 0,
            next_subscription,
            filters: BTreeMap::new(),
            dropped: BTreeSet::new(),
            asked: BTreeMap::new(),
            unacknowledged: VecDeque::new(),
            waiting: VecDeque::new(),
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
        self.waiting.len()
    }

    // --- commands ---

    /// Subscribes, or asks for the retained messages of a subscription again. The id of the
    /// subscription.
    pub(super) fn subscribe(&mut self, token: Token, filter: &str, qos: QoS) -> u32 {
        self.dropped.remove(filter);
        if !self.filters.contains_key(filter) {
            // Ids have 28 bits (2.2.2.2) and begin with 1; one a second lasts eight years.
            self.next_subscription = self.next_subscription % 268_435_455 + 1;
            let id = self.next_subscription;
            let new = Filter { id, qos, confirmed: false, sent: false, waiting: Vec::new() };
            self.filters.insert(filter.to_owned(), new);
        }
        let id = self.filters.get_mut(filter).map_or(0, |known| {
            known.qos = known.qos.max(qos);
            known.waiting.push(token);
            known.id
        });
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
        let Some(known) = self.filters.remove(filter) else { return };
        if !known.sent {
            return;
        }
        if self.is_connected() {
            self.send_unsubscribe(filter);
        } else {
            self.dropped.insert(filter.to_owned());
        }
    }

    /// Publishes, at once or as soon as the broker takes it.
    pub(super) fn publish(&mut self, token: Token, publication: Publication) {
        self.waiting.push_back((token, publication));
        self.pump();
    }

    /// A message has been read.
    pub(super) fn acknowledge(&mut self, delivery: Delivery) {
        let connected = self.is_connected();
        if self.inbound.read(delivery, connected) {
            self.send_puback(delivery.packet_id);
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
        let subscribers = self.filters.values().flat_map(|filter| &filter.waiting).copied();
        let publishers = self.unacknowledged.iter().map(|(_, token, _)| *token);
        let waiting = self.waiting.iter().map(|(token, _)| *token);
        for token in subscribers.chain(publishers).chain(waiting) {
            self.outputs.push_back(Output::Done(token, Err(MqttError::Closed)));
        }
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
            version: Version::V5,
            client_id: &self.options.client_id,
            clean_start: !self.resume,
            keep_alive: self.options.keep_alive,
            will: None,
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
                Ok(Some(frame)) => frame
                    .decode_from_server(Version::V5)
                    .and_then(|packet| self.take(&packet, now))
                    .map(|()| true),
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
                    let up = Up::new(socket, &connack.properties, self.options.keep_alive, now);
                    self.link = Link::Up(up);
                    self.failures = 0;
                    self.go_on(connack.session_present);
                }
            }
            _ if !self.is_connected() => return Err(unexpected("a packet before CONNACK")),
            ServerPacket::Publish(publish) => self.take_publish(publish)?,
            ServerPacket::PubAck(ack) => self.take_puback(ack),
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
            _ => return Err(unexpected("a packet of QoS 2, or one that nobody asked for")),
        }
        Ok(())
    }

    /// There is a connection: all that the broker does not have is sent.
    fn go_on(&mut self, session_present: bool) {
        self.resume = true;
        if !session_present {
            self.inbound.forget_all();
            self.dropped.clear();
        }
        for filter in std::mem::take(&mut self.dropped) {
            self.send_unsubscribe(&filter);
        }
        let unknown: Vec<String> = self
            .filters
            .iter()
            .filter(|(_, filter)| {
                !session_present || !filter.confirmed || !filter.waiting.is_empty()
            })
            .map(|(name, _)| name.clone())
            .collect();
        for filter in unknown {
            self.send_subscribe(&filter);
        }
        let again = std::mem::take(&mut self.unacknowledged);
        for (packet_id, _, publication) in &again {
            // To a broker without the session they are new (3.3.1.1).
            self.send_publish(publication, Some(*packet_id), session_present);
        }
        self.unacknowledged = again;
        self.pump();
    }

    // --- packets in ---

    fn take_publish(&mut self, publish: &Publish<'_>) -> Result<(), DecodeError> {
        let delivery = match (publish.qos, publish.packet_id) {
            (QoS::AtMostOnce, _) => None,
            (QoS::AtLeastOnce, Some(packet_id)) => {
                let limit = self.options.held_maximum;
                let delivery = self.inbound.arrive(packet_id, publish.dup, limit)?;
                if delivery.is_none() {
                    // It was read while there was no connection, or is about to be.
                    if self.inbound.forget_if_read(packet_id) {
                        self.send_puback(packet_id);
                    }
                    return Ok(());
                }
                delivery
            }
            _ => return Err(unexpected("QoS 2, which no subscription has asked for")),
        };
        let message = Message {
            topic: publish.topic.to_owned(),
            payload: Bytes::copy_from_slice(publish.payload),
            qos: publish.qos as u8,
            retained: publish.retain,
            duplicate: publish.dup,
        };
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
        let of = |filter: &Filter| filter.id;
        let ids: BTreeSet<u32> = publish.subscription_ids.iter().collect();
        let named: Vec<u32> = self.filters.values().map(of).filter(|id| ids.contains(id)).collect();
        if !named.is_empty() || !(ids.is_empty() || self.options.resume) {
            return named;
        }
        let matching =
            self.filters.iter().filter(|(name, _)| super::topic::matches(name, publish.topic));
        matching.map(|(_, filter)| of(filter)).collect()
    }

    fn take_puback(&mut self, ack: &Ack<'_>) {
        let mut waiting = self.unacknowledged.iter();
        let Some(place) = waiting.position(|(packet_id, ..)| *packet_id == ack.packet_id) else {
            return;
        };
        if let Some((_, token, publication)) = self.unacknowledged.remove(place) {
            let result = if ack.reason.is_error() {
                Err(MqttError::refused(&publication.topic, ack.reason, ack.reason_string))
            } else {
                Ok(())
            };
            self.outputs.push_back(Output::Done(token, result));
        }
        self.pump();
    }

    fn take_suback(&mut self, ack: &SubAck<'_>) {
        let Some(Asked::Subscribe(name)) = self.asked.remove(&ack.packet_id) else { return };
        // One filter was asked for; it may have been given back since.
        let Some(reason) = ack.reasons.iter().next() else { return };
        let Some(filter) = self.filters.get_mut(&name) else { return };
        let waiting = std::mem::take(&mut filter.waiting);
        filter.confirmed = !reason.is_error();
        if reason.is_error() {
            self.filters.remove(&name);
        }
        for token in waiting {
            let refused = || MqttError::refused(&name, reason, ack.reason_string);
            let result = if reason.is_error() { Err(refused()) } else { Ok(()) };
            self.outputs.push_back(Output::Done(token, result));
        }
    }

    // --- packets out ---

    /// Sends what waits, as far as the broker takes it.
    fn pump(&mut self) {
        while let Link::Up(up) = &self.link {
            let Some((_, next)) = self.waiting.front() else { return };
            let acknowledged = next.qos > 0;
            if acknowledged && self.unacknowledged.len() >= up.receive_maximum {
                return;
            }
            let refused = up.refuses(next);
            let Some((token, publication)) = self.waiting.pop_front() else { return };
            if let Some(error) = refused {
                self.outputs.push_back(Output::Done(token, Err(error)));
            } else if acknowledged {
                let packet_id = self.free_packet_id();
                self.send_publish(&publication, Some(packet_id), false);
                self.unacknowledged.push_back((packet_id, token, publication));
            } else {
                self.send_publish(&publication, None, false);
                self.outputs.push_back(Output::Done(token, Ok(())));
            }
        }
    }

    fn send_publish(&mut self, publication: &Publication, id: Option<PacketId>, dup: bool) {
        self.send(&Packet::Publish(super::link::publish_of(publication, id, dup)));
    }

    fn send_puback(&mut self, packet_id: PacketId) {
        let mut out = Vec::new();
        Ack::new(packet_id, ReasonCode::Success).encode(AckKind::PubAck, Version::V5, &mut out);
        self.put(&out);
    }

    fn send_subscribe(&mut self, name: &str) {
        let packet_id = self.free_packet_id();
        let Link::Up(up) = &self.link else { return };
        let Some(filter) = self.filters.get_mut(name) else { return };
        filter.sent = true;
        let subscription_id = up.subscription_ids.then_some(filter.id);
        let filters = [(name, SubscribeOptions { qos: filter.qos, ..SubscribeOptions::default() })];
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
            let published = self.unacknowledged.iter().any(|(packet_id, ..)| *packet_id == id);
            if !published && !self.asked.contains_key(&id) {
                return id;
            }
        }
    }

    fn send(&mut self, packet: &Packet<'_>) {
        let mut out = Vec::new();
        packet.encode(Version::V5, &mut out);
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
