//! One message to one session: now, or when its turn comes.

use std::sync::Arc;

use fanwire_wire::mqtt::{MessageProperties, PacketId, Publish, QoS, SubscriptionIds};

use super::flow::{Ids, InFlight, Queued, Step};
use super::route::{Route, Target};
use super::session::{Live, Presence};
use super::{Broker, Key};
use crate::directory::{Choice, Elsewhere, Group, Member};
use crate::durable::Entry;
use crate::mesh::Mesh;
use crate::notice::{Chosen, Notice, Part};
use crate::promise::Promise;
use crate::{DropReason, Message, Origin, Publisher};

/// A message that is being distributed. It borrows from the packet that it came in, and is
/// made into one of its own when somebody has to keep it.
pub(super) struct Publication<'a> {
    pub(super) topic: &'a Arc<str>,
    pub(super) payload: &'a [u8],
    pub(super) qos: QoS,
    pub(super) retain: bool,
    pub(super) properties: MessageProperties<'a>,
    pub(super) published_at: u64,
    /// The session that published it, for subscriptions that do not want their own.
    pub(super) from: Option<Key>,
    pub(super) publisher: Option<&'a Arc<Publisher>>,
    /// Its id is kept as that of a message of QoS 2 that has come: in the same commit it is
    /// handed over to the other shards that have to keep it.
    pub(super) handed_over: bool,
    pub(super) kept: Option<Arc<Message>>,
    /// Which one of a cluster's it is.
    pub(super) origin: Option<Origin>,
    /// It was on its way to where a session was before: others are held until such have come.
    pub(super) was_waited_for: bool,
}

/// When a message is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    /// With what else the turn writes.
    Now,
    /// Once it is kept that it is.
    Kept,
}

/// How a message goes to one session.
#[derive(Debug, Clone, Copy)]
pub(super) struct Manner<'a> {
    qos: QoS,
    retain: bool,
    ids: Option<&'a [u32]>,
}

// === impl When ===

impl When {
    /// One of QoS 2 under `seq` is sent once that and its packet id are kept: after a crash
    /// the id would else be free for another message, which the client, that has this one,
    /// would take for it.
    pub(super) fn of(step: Step, seq: Option<u64>) -> Self {
        if step == Step::Receive && seq.is_some() { Self::Kept } else { Self::Now }
    }
}

// === impl Manner ===

impl<'a> Manner<'a> {
    pub(super) fn new(qos: QoS, retain: bool, ids: Option<&'a [u32]>) -> Self {
        Self { qos, retain, ids }
    }

    /// What is kept of a message for one session.
    pub(super) fn entry(self, message: &'a Arc<Message>) -> Entry<'a> {
        Entry { message, qos: self.qos, retain: self.retain, ids: self.ids }
    }

    /// A message for one session, to be sent later or again.
    pub(super) fn copy(self, publication: &mut Publication<'_>) -> Queued {
        Queued {
            message: Arc::clone(publication.keep()),
            qos: self.qos,
            retain: self.retain,
            ids: self.ids.map(Box::from),
            seq: None,
        }
    }
}

// === impl Chosen ===

impl Chosen {
    fn manner<'a>(&self, ids: Option<&'a [u32; 1]>) -> Manner<'a> {
        Manner {
            qos: self.message.qos.min(self.qos),
            retain: self.message.retain && self.retain_as_published,
            ids: ids.map(<[u32; 1]>::as_slice),
        }
    }
}

// === impl Publication ===

impl<'a> Publication<'a> {
    pub(super) fn of(message: &'a Arc<Message>) -> Self {
        Self {
            topic: &message.topic,
            payload: &message.payload,
            qos: message.qos,
            retain: message.retain,
            properties: message.view(),
            published_at: message.published_at,
            from: None,
            publisher: message.publisher.as_ref(),
            handed_over: false,
            kept: Some(Arc::clone(message)),
            origin: message.origin,
            was_waited_for: false,
        }
    }

    /// Gives it a name that all nodes know it by, where it has none.
    fn name(&mut self, mesh: &Mesh) {
        if self.origin.is_none() {
            self.origin = Some(mesh.name());
            if let Some(kept) = &mut self.kept {
                *kept = Arc::new(Message { origin: self.origin, ..Message::clone(kept) });
            }
        }
    }

    /// The message, to be kept.
    pub(super) fn keep(&mut self) -> &Arc<Message> {
        self.kept.get_or_insert_with(|| {
            Arc::new(Message {
                topic: Arc::clone(self.topic),
                payload: bytes::Bytes::copy_from_slice(self.payload),
                qos: self.qos,
                retain: self.retain,
                properties: crate::message::Properties::of(&self.properties),
                publisher: self.publisher.cloned(),
                published_at: self.published_at,
                origin: self.origin,
            })
        })
    }

    fn packet<'p>(&'p self, manner: Manner<'p>) -> Publish<'p> {
        Publish {
            dup: false,
            qos: manner.qos,
            retain: manner.retain,
            topic: self.topic,
            packet_id: None,
            topic_alias: None,
            subscription_ids: SubscriptionIds::new(manner.ids.unwrap_or_default()),
            properties: self.properties,
            payload: self.payload,
        }
    }
}

impl Broker {
    /// Gives a message to everybody who subscribes to its topic.
    pub(super) fn distribute(&mut self, route: &Arc<Route>, publication: &mut Publication<'_>) {
        if let Some(mesh) = &self.mesh
            && publication.qos > QoS::AtMostOnce
        {
            // Before anybody gets it: it may come to one session by several ways.
            publication.name(mesh);
        }
        self.distribute_here(route, publication);
        let elsewhere = &route.elsewhere;
        if elsewhere.is_nowhere() {
            return;
        }
        let message = Arc::clone(publication.keep());
        for (_, tap) in &elsewhere.taps {
            tap.deliver(&message);
        }
        for group in &elsewhere.groups {
            match group.choose(&[]) {
                Some(Choice::Member(member)) => {
                    let handed_over = publication.handed_over;
                    self.deliver_to_member(group, member, &message, handed_over, None);
                }
                Some(Choice::Node(node)) => self.send_to_group(group, node, &message, Vec::new()),
                None => {}
            }
        }
        if !elsewhere.nodes.is_empty() {
            self.send_to_nodes(&elsewhere.nodes, &message);
        }
        self.forward(elsewhere, &message, publication.handed_over);
    }

    /// Gives a message to other shards of this node.
    fn forward(&mut self, elsewhere: &Elsewhere, message: &Arc<Message>, handed_over: bool) {
        if elsewhere.shards.is_empty() {
            return;
        }
        let promise = self.promise_of(message, handed_over);
        let entry = Entry { message, qos: message.qos, retain: false, ids: None };
        for shard in elsewhere.shards.iter(self.shards, self.shard) {
            let transit = handed_over.then(|| self.hand_over(shard, None, &entry));
            self.output.forward(shard, message, promise.as_ref(), transit.flatten());
        }
    }

    /// What other shards keep of a message is part of what is acknowledged here, unless it is
    /// handed over to them.
    fn promise_of(&mut self, message: &Message, handed_over: bool) -> Option<Arc<Promise>> {
        let tracked = message.qos > QoS::AtMostOnce && !handed_over;
        if tracked { self.promise() } else { None }
    }

    /// Gives a message to the sessions of this shard that subscribe to its topic.
    pub(super) fn distribute_here(
        &mut self,
        route: &Arc<Route>,
        publication: &mut Publication<'_>,
    ) {
        let everyday = publication.qos == QoS::AtMostOnce && route.plain > 1;
        if everyday {
            let Some(expiry) = left(publication, self.now_ms) else { return };
            let manner = Manner { qos: QoS::AtMostOnce, retain: false, ids: None };
            let mut packet = publication.packet(manner);
            packet.properties.message_expiry = expiry;
            self.push_burst(route, &packet);
        } else {
            self.flush_burst();
        }
        for target in route.targets.iter().filter(|target| !(everyday && target.plain)) {
            self.deliver_to_target(target, publication);
        }
    }

    pub(super) fn deliver_to_target(&mut self, target: &Target, publication: &mut Publication<'_>) {
        if target.no_local && publication.from == Some(target.key) {
            return;
        }
        let manner = Manner {
            qos: publication.qos.min(target.qos),
            retain: publication.retain && target.retain_as_published,
            ids: target.ids.as_deref(),
        };
        if manner.qos == QoS::AtMostOnce && self.own_bytes.are_full() {
            return self.drop_for_turn(target.key);
        }
        self.counting_own_bytes(target.key, |broker| {
            broker.deliver(target.key, publication, manner);
        });
    }

    /// Delivers what came in on another shard.
    pub(super) fn deliver_forwarded(&mut self, message: &Arc<Message>) {
        let (_, route) = self.route(&message.topic);
        self.distribute_here(&route, &mut Publication::of(message));
    }

    pub(super) fn deliver_to_member(
        &mut self,
        group: &Arc<Group>,
        member: Member,
        message: &Arc<Message>,
        handed_over: bool,
        theirs: Option<&Arc<Promise>>,
    ) {
        let Member { shard, client_id, qos, retain_as_published, subscription_id, .. } = member;
        let (group, message) = (Arc::clone(group), Arc::clone(message));
        let chosen =
            Chosen { group, client_id, message, qos, retain_as_published, subscription_id };
        if shard == self.shard {
            self.take_part(Part {
                promises: theirs.into_iter().cloned().collect(),
                transits: Vec::new(),
            });
            return self.deliver_chosen(&chosen);
        }
        let shard = usize::from(shard);
        let promise = match theirs {
            Some(theirs) => Some(Arc::clone(theirs)),
            None => self.promise_of(&chosen.message, handed_over),
        };
        let transit = handed_over.then(|| {
            let ids = chosen.subscription_id.map(|id| [id]);
            let entry = chosen.manner(ids.as_ref()).entry(&chosen.message);
            self.hand_over(shard, Some(&chosen.client_id), &entry)
        });
        let transits = transit.flatten().into_iter().collect();
        let part = Part { promises: promise.into_iter().collect(), transits };
        let bytes = chosen.message.cost();
        self.output.notices.push((shard, Notice::Chosen(chosen, part), bytes));
    }

    /// Delivers to the session that was chosen among those of a shared subscription.
    pub(super) fn deliver_chosen(&mut self, chosen: &Chosen) {
        let message = &chosen.message;
        let Some(&key) = self.by_client.get(&chosen.client_id) else {
            return self.choose_another(chosen);
        };
        let live = self.sessions[key as usize].live();
        if live.is_some_and(|live| !live.may_receive(&message.topic)) {
            return;
        }
        self.flush_burst();
        let ids = chosen.subscription_id.map(|id| [id]);
        let manner = chosen.manner(ids.as_ref());
        // What a shared subscription gets comes one way, beside what others get.
        let mut publication = Publication { origin: None, ..Publication::of(message) };
        self.deliver(key, &mut publication, manner);
    }

    /// Delivers a retained message to a new subscription.
    pub(super) fn deliver_retained(
        &mut self,
        key: Key,
        message: &Arc<Message>,
        qos: QoS,
        id: Option<u32>,
    ) {
        let ids = id.map(|id| [id]);
        let manner = Manner {
            qos: message.qos.min(qos),
            retain: true,
            ids: ids.as_ref().map(<[u32; 1]>::as_slice),
        };
        self.deliver(key, &mut Publication::of(message), manner);
    }

    fn deliver(&mut self, key: Key, publication: &mut Publication<'_>, manner: Manner<'_>) {
        if manner.qos == QoS::AtMostOnce {
            self.deliver_once(key, publication, manner);
        } else {
            self.deliver_tracked(key, publication, manner);
        }
    }

    /// QoS 0: now or never.
    fn deliver_once(&mut self, key: Key, publication: &Publication<'_>, manner: Manner<'_>) {
        let arriving = self.sessions.get(key as usize).is_some_and(|s| s.arriving.is_some());
        if arriving && self.has_got(key, publication.origin) {
            return;
        }
        let Some(session) = self.sessions.get_mut(key as usize) else { return };
        let Presence::Here(live) = &mut session.presence else { return };
        self.figures.routed.add(1);
        if live.congested {
            session.dropped += 1;
            return self.figures.lose(DropReason::SlowClient, 1);
        }
        let Some(expiry) = left(publication, self.now_ms) else {
            return self.figures.lose(DropReason::Expired, 1);
        };
        let mut packet = publication.packet(manner);
        packet.properties.message_expiry = expiry;
        let written = live.write_publish(packet, When::Now, &mut session.outbox);
        self.figures.written(written);
        if written {
            self.mark(key);
        }
    }

    /// QoS 1 and 2: now where there is a place among those in flight, else later.
    pub(super) fn deliver_tracked(
        &mut self,
        key: Key,
        publication: &mut Publication<'_>,
        manner: Manner<'_>,
    ) {
        let max_in_flight = self.settings.limits().max_in_flight;
        let Some(expiry) = left(publication, self.now_ms) else { return };
        let Some(session) = self.sessions.get(key as usize) else { return };
        if session.moves_to.is_some() {
            return self.send_after(key, publication, manner);
        }
        if session.arriving.is_some()
            && (self.holds_for_later(key, publication, manner)
                || self.has_got(key, publication.origin))
        {
            return;
        }
        let Some(session) = self.sessions.get(key as usize) else { return };
        self.figures.routed.add(1);
        let mut at_once = session.takes_at_once(max_in_flight);
        if at_once && self.own_bytes.are_full() {
            at_once = false;
            self.own_bytes.hold_back(key);
        }
        let mut copy = (session.persists() || !at_once).then(|| manner.copy(publication));
        if let Some(copy) = &mut copy {
            if !at_once && !self.has_room(key, copy.message.cost()) {
                return self.drop_for(key);
            }
            copy.seq = self.keep_entry(key, &copy.entry());
        }
        match copy {
            Some(copy) if !at_once => {
                self.queued_bytes += copy.message.cost();
                self.figures.queued.add(1);
                self.sessions[key as usize].flow().enqueue(copy);
            }
            copy => self.send_tracked(key, publication, manner, expiry, copy),
        }
    }

    fn send_tracked(
        &mut self,
        key: Key,
        publication: &Publication<'_>,
        manner: Manner<'_>,
        expiry: Option<u32>,
        copy: Option<Queued>,
    ) {
        let session = &mut self.sessions[key as usize];
        let flow = session.flow.get_or_insert_default();
        let Presence::Here(live) = &mut session.presence else { return };
        let id = flow.take_id();
        let seq = copy.as_ref().and_then(|copy| copy.seq);
        let mut packet = publication.packet(manner);
        packet.packet_id = Some(id);
        packet.properties.message_expiry = expiry;
        let step = Step::first(manner.qos);
        let when = When::of(step, seq);
        let mut held = Vec::new();
        let outbox = if when == When::Kept { &mut held } else { &mut session.outbox };
        let written = live.write_publish(packet, when, outbox);
        self.figures.written(written);
        if written {
            flow.in_flight.push_back(InFlight {
                id,
                step,
                waits: false,
                seq,
                copy: copy.map(Box::new),
            });
            let client_id = Arc::clone(&session.client_id);
            if let (Some(seq), Step::Receive) = (seq, step) {
                self.kept(|keeper| keeper.sent(&client_id, seq, id));
            }
            self.write_once_kept(key, &held);
            self.mark(key);
        } else if let Some((seq, copy)) = seq.zip(copy) {
            let client_id = Arc::clone(&session.client_id);
            self.kept(|keeper| keeper.dequeue(&client_id, seq, &copy.message));
        }
    }
}

/// What is left of a message's expiry interval; `None` where it is past.
fn left(publication: &Publication<'_>, now_ms: u64) -> Option<Option<u32>> {
    match (publication.properties.message_expiry, &publication.kept) {
        (None, _) => Some(None),
        (Some(_), Some(kept)) => kept.expiry_left(now_ms),
        // It has just come in.
        (expiry @ Some(_), None) => Some(expiry),
    }
}

// === impl Live ===

impl Live {
    /// Writes a message. Says whether it did: one that is too long for the client is never
    /// sent (MQTT 5, 3.1.2.11.4).
    pub(super) fn write_publish(
        &mut self,
        mut packet: Publish<'_>,
        when: When,
        outbox: &mut Vec<u8>,
    ) -> bool {
        let version = self.form.version();
        if self.form.v5 && self.aliases.outbound_maximum > 0 {
            let known = self.aliases.outbound.iter().position(|topic| **topic == *packet.topic);
            match known {
                Some(at) => {
                    packet.topic_alias = alias(at);
                    packet.topic = "";
                }
                // What is written later may be sent before it, and must not use its alias.
                None if when == When::Now && self.aliases.have_room_for(packet.topic) => {
                    packet.topic_alias = alias(self.aliases.outbound.len());
                    self.aliases.outbound.push(Arc::from(packet.topic));
                }
                None => {}
            }
        }
        if self.max_packet != u32::MAX && packet.encoded_len(version) > self.max_packet as usize {
            if !packet.topic.is_empty() && packet.topic_alias.is_some() {
                // The client never hears of this alias.
                self.aliases.outbound.pop();
            }
            return false;
        }
        packet.encode(version, outbox);
        true
    }

    pub(super) fn write_queued(
        &mut self,
        queued: &Queued,
        id: PacketId,
        expiry: Option<u32>,
        dup: bool,
        when: When,
        outbox: &mut Vec<u8>,
    ) -> bool {
        let message = &queued.message;
        let ids: &Ids = &queued.ids;
        let mut properties = message.view();
        properties.message_expiry = expiry;
        let packet = Publish {
            dup,
            qos: queued.qos,
            retain: queued.retain,
            topic: &message.topic,
            packet_id: Some(id),
            topic_alias: None,
            subscription_ids: SubscriptionIds::new(ids.as_deref().unwrap_or_default()),
            properties,
            payload: &message.payload,
        };
        self.write_publish(packet, when, outbox)
    }
}

/// The alias at a place among them, which are numbered from 1.
fn alias(at: usize) -> Option<std::num::NonZeroU16> {
    u16::try_from(at + 1).ok().and_then(std::num::NonZeroU16::new)
}
