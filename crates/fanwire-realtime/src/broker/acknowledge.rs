//! What a client acknowledges, what it gets for that, and what it gets again.

use std::sync::Arc;

use fanwire_hub::ConnectionId;
use fanwire_wire::mqtt::{Ack, AckKind, PacketId, ReasonCode, Version};

use super::deliver::When;
use super::flow::{InFlight, Step};
use super::session::{Presence, Session};
use super::{Broker, Key};
use crate::{DropReason, RealtimeEvent};

impl Broker {
    /// Sends what waits for a session, as far as it takes it.
    pub(super) fn pump(&mut self, key: Key) {
        self.resend_waiting(key);
        let max_in_flight = self.settings.limits().max_in_flight;
        let now_ms = self.now_ms;
        let Some(session) = self.sessions.get_mut(key as usize) else { return };
        let persists = session.persists();
        let client_id = Arc::clone(&session.client_id);
        let (Presence::Here(live), Some(flow)) = (&mut session.presence, &mut session.flow) else {
            return;
        };
        let window = live.window(max_in_flight);
        let mut held = Vec::new();
        while !live.congested && flow.in_flight.len() < window {
            let Some(queued) = flow.dequeue() else { break };
            self.queued_bytes -= queued.message.cost();
            self.figures.queued.sub(1);
            let (id, seq) = (flow.take_id(), queued.seq);
            let step = Step::first(queued.qos);
            let when = When::of(step, seq);
            let outbox = if when == When::Kept { &mut held } else { &mut session.outbox };
            let sent = match queued.message.expiry_left(now_ms) {
                Some(expiry) if live.may_receive(&queued.message.topic) => {
                    let written = live.write_queued(&queued, id, expiry, false, when, outbox);
                    self.figures.written(written);
                    written
                }
                Some(_) => {
                    self.figures.lose(DropReason::Forbidden, 1);
                    false
                }
                None => {
                    self.figures.lose(DropReason::Expired, 1);
                    false
                }
            };
            if let (Some(seq), Some(keep)) = (seq, &mut self.keep) {
                match (sent, step) {
                    (true, Step::Receive) => keep.keeper.sent(&client_id, seq, id),
                    (true, _) => {}
                    (false, _) => keep.keeper.dequeue(&client_id, seq, &queued.message),
                }
            }
            if sent {
                let copy = persists.then(|| Box::new(queued));
                flow.in_flight.push_back(InFlight { id, step, waits: false, seq, copy });
            }
        }
        self.write_once_kept(key, &held);
        self.mark(key);
    }

    /// Sends again what a resumed session has not acknowledged, in the order in which it
    /// was sent (MQTT 5, 4.4): releases at once, messages as the client takes them.
    pub(super) fn send_again(&mut self, key: Key) {
        let Some(session) = self.sessions.get_mut(key as usize) else { return };
        let (Presence::Here(live), Some(flow)) = (&mut session.presence, &mut session.flow) else {
            return;
        };
        flow.in_flight.retain(|sent| sent.step == Step::Complete || sent.copy.is_some());
        flow.waiting = 0;
        let mut held = Vec::new();
        for sent in &mut flow.in_flight {
            sent.waits = sent.step != Step::Complete;
            if sent.waits {
                flow.waiting += 1;
            } else {
                let release = Ack::new(sent.id, ReasonCode::Success);
                let outbox = if sent.seq.is_some() { &mut held } else { &mut session.outbox };
                release.encode(AckKind::PubRel, live.form.version(), outbox);
            }
        }
        self.write_once_kept(key, &held);
        self.mark(key);
    }

    /// Sends again what has waited for that, as far as the client takes it.
    fn resend_waiting(&mut self, key: Key) {
        let max_in_flight = self.settings.limits().max_in_flight;
        let now_ms = self.now_ms;
        let Some(session) = self.sessions.get_mut(key as usize) else { return };
        let (Presence::Here(live), Some(flow)) = (&mut session.presence, &mut session.flow) else {
            return;
        };
        let (mut held, mut given_up) = (Vec::new(), Vec::new());
        let window = live.window(max_in_flight);
        while !live.congested && flow.sent() < window {
            let Some(at) = flow.next_waiting() else { break };
            let InFlight { id, step, seq, copy, .. } = &flow.in_flight[at];
            let when = When::of(*step, *seq);
            let outbox = if when == When::Kept { &mut held } else { &mut session.outbox };
            let again = copy.as_ref().is_some_and(|copy| {
                let expiry = copy.message.expiry_left(now_ms).unwrap_or(Some(0));
                live.write_queued(copy, *id, expiry, true, when, outbox)
            });
            if again {
                flow.no_longer_waits(at);
            } else {
                given_up.extend(flow.take(at));
            }
        }
        let client_id = Arc::clone(&session.client_id);
        self.write_once_kept(key, &held);
        self.kept(|keeper| {
            for InFlight { seq, copy, .. } in &given_up {
                if let (Some(seq), Some(copy)) = (seq, copy) {
                    keeper.dequeue(&client_id, *seq, &copy.message);
                    keeper.completed(&client_id, *seq);
                }
            }
        });
    }

    /// A client has acknowledged a message (PUBACK, PUBREC), or that it is released
    /// (PUBCOMP): `by` says which.
    pub(super) fn acknowledged(&mut self, key: Key, id: PacketId, by: Step, reason: ReasonCode) {
        let refused = reason as u8 >= 0x80;
        let Some(session) = self.sessions.get_mut(key as usize) else { return };
        let flow = session.flow.get_or_insert_default();
        let found = flow.find(id).filter(|at| flow.in_flight[*at].step == by);
        if by == Step::Receive && !refused {
            return self.received(key, id, found);
        }
        let sent = found.and_then(|at| flow.take(at));
        let client_id = Arc::clone(&session.client_id);
        if sent.is_some() {
            self.confirm(key, id);
        }
        if let Some((seq, sent)) = sent.and_then(|sent| Some((sent.seq?, sent))) {
            self.kept(|keeper| {
                if let Some(copy) = &sent.copy {
                    keeper.dequeue(&client_id, seq, &copy.message);
                }
                if by != Step::Acknowledge {
                    keeper.completed(&client_id, seq);
                }
            });
        }
        let session = &mut self.sessions[key as usize];
        if session.flow().is_empty() && !session.persists() {
            // An idle session keeps no queues; its ids begin again.
            session.flow = None;
        } else {
            self.pump(key);
        }
        self.replay(key);
    }

    /// A client has received a message of QoS 2, which is released. What is not known any
    /// more is released all the same, so that the client can let go of it (MQTT 5, 4.3.3).
    fn received(&mut self, key: Key, id: PacketId, found: Option<usize>) {
        let session = &mut self.sessions[key as usize];
        let (version, client_id) = (session.version, Arc::clone(&session.client_id));
        let flow = session.flow();
        let mut reason = ReasonCode::Success;
        match found {
            Some(at) => {
                flow.no_longer_waits(at);
                let sent = &mut flow.in_flight[at];
                sent.step = Step::Complete;
                let copy = sent.copy.take();
                if let Some((seq, copy)) = sent.seq.zip(copy) {
                    self.kept(|keeper| keeper.received(&client_id, seq, id, &copy.message));
                }
            }
            None if version == Version::V5 && flow.find(id).is_none() => {
                reason = ReasonCode::PacketIdentifierNotFound;
            }
            None => {}
        }
        // A client that has been told to release it takes what comes under its id for another.
        let mut release = Vec::with_capacity(5);
        Ack::new(id, reason).encode(AckKind::PubRel, version, &mut release);
        if self.keeps(&self.sessions[key as usize]) {
            self.write_once_kept(key, &release);
        } else {
            self.write(key, |outbox, _| outbox.extend_from_slice(&release));
        }
    }

    /// A connection has taken all that was sent to it.
    pub(crate) fn drained(&mut self, key: Key, link: ConnectionId) {
        let Some(live) = self.on_link(key, link).and_then(Session::live_mut) else { return };
        if std::mem::replace(&mut live.congested, false) {
            self.pump(key);
            self.replay(key);
        }
    }

    /// A connection does not read what is sent to it, and more waits than it may have.
    pub(crate) fn congested(&mut self, key: Key, link: ConnectionId) {
        let Some(session) = self.on_link(key, link) else { return };
        let client_id = Arc::clone(&session.client_id);
        let Some(live) = session.live_mut() else { return };
        if !std::mem::replace(&mut live.congested, true) {
            let event = RealtimeEvent::Dropped {
                client_id: &client_id,
                messages: 0,
                why: "it does not read what it is sent; until it does, it gets no messages of QoS 0 (realtime.limits.max_outbound_bytes)",
            };
            self.observer.observe(&event);
        }
    }
}
