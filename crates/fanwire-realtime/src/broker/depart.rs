//! A client goes: what it is told, what becomes of its session, and its will (MQTT 5, 3.14
//! and 4.13).

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use fanwire_hub::ConnectionId;
use fanwire_wire::mqtt::topic::SharedFilter;
use fanwire_wire::mqtt::{Disconnect, Version};

use super::deliver::Publication;
use super::session::{Away, Key, Live, Presence, Session, Will};
use super::{Broker, Fault};
use crate::message::without_publisher;
use crate::settings::NEVER;
use crate::{DisconnectReason, DropReason, Message, RealtimeEvent};

/// How much longer than they say wills wait and sessions last. Clients count in whole
/// seconds, from before this side knows that they are gone: one that comes back just in time
/// is not late.
const GRACE: Duration = Duration::from_millis(500);

/// Reasons in words that are longer are cut off, in bytes.
const MAX_WORDS: usize = 1024;

impl Broker {
    /// Ends a connection from this side, unless its session has another one already: the
    /// key may be another session's by now.
    pub(crate) fn fail(&mut self, key: Key, link: ConnectionId, fault: &Fault) {
        if self.on_link(key, link).is_some() {
            self.expel(key, fault);
        }
    }

    /// Ends the connection of a session from this side: MQTT 5 clients are told why.
    pub(super) fn expel(&mut self, key: Key, fault: &Fault) {
        self.write(key, |outbox, session| {
            if let Some(live) = session.live().filter(|live| live.form.v5) {
                write_disconnect(fault, live, outbox);
            }
        });
        self.depart(key, fault.cause, &fault.what, true);
    }

    /// A connection is gone, for `cause`, unless its session has another one already.
    pub(crate) fn closed(&mut self, key: Key, link: ConnectionId, cause: DisconnectReason) {
        if self.on_link(key, link).is_some() {
            self.depart(key, cause, "", true);
        }
    }

    /// A client has said goodbye.
    pub(super) fn goodbye(&mut self, key: Key, with_will: bool, session_expiry: Option<u32>) {
        if let Some(expiry) = session_expiry {
            let expiry = self.cap_expiry(expiry);
            if expiry == 0 {
                self.forget_kept(key);
            }
            self.sessions[key as usize].expiry = expiry;
        }
        self.depart(key, DisconnectReason::ClientInitiated, "", with_will);
    }

    /// The longest session expiry interval that is allowed, at the most `wanted`.
    fn cap_expiry(&self, wanted: u32) -> u32 {
        let max = self.settings.limits().session_expiry_max;
        let max = max.map_or(NEVER, |max| u32::try_from(max.as_secs()).unwrap_or(NEVER));
        wanted.min(max)
    }

    /// Takes a session from its connection, which is closed once what it was sent is
    /// written.
    fn depart(&mut self, key: Key, cause: DisconnectReason, detail: &str, with_will: bool) {
        self.flush_burst();
        self.flush_outbox(key);
        self.forget_routes_of(key);
        self.forget_confirmations(key);
        let session = &mut self.sessions[key as usize];
        let away = Presence::Away(Box::new(Away {
            since: self.now_ms,
            reason: Some(cause),
            principal: "".into(),
            ends_at: None,
            will: None,
        }));
        let Presence::Here(mut live) = std::mem::replace(&mut session.presence, away) else {
            return;
        };
        self.connections -= 1;
        if let Some(online) = &session.online {
            online.store(false, Ordering::Relaxed);
        }
        let event = RealtimeEvent::Disconnected {
            client_id: &session.client_id,
            principal: &live.publisher.principal,
            reason: cause,
            detail,
        };
        self.observer.observe(&event);
        self.output.closings.push(live.link);
        self.tell_presence(key);
        self.publish_disconnected(key, &live, cause);
        if live.will.is_some() && self.mesh.is_some() && !self.sessions[key as usize].persists() {
            // It was kept in case that this node dies.
            let client_id = Arc::clone(&self.sessions[key as usize].client_id);
            self.kept(|keeper| keeper.end_session(&client_id));
        }
        let will = live.will.take().filter(|_| with_will);
        if let Presence::Away(away) = &mut self.sessions[key as usize].presence {
            away.principal = live.owner().into();
        }
        match will.map(|will| *will) {
            Some(Will { message, delay })
                if delay > 0 && self.sessions[key as usize].persists() =>
            {
                self.delay_will(key, message, delay);
            }
            Some(Will { message, .. }) => self.publish_will(message),
            None => {}
        }
        self.expire_later(key);
        self.keep_session(key);
    }

    /// Ends a session in its time: at once where it does not outlive its connection.
    fn expire_later(&mut self, key: Key) {
        let now = self.now;
        let Some(session) = self.sessions.get_mut(key as usize) else { return };
        if !session.persists() {
            return self.remove(key);
        }
        // What a session that stays away sends again, it sends in full.
        if let Some(flow) = &mut session.flow {
            flow.in_flight
                .retain(|sent| sent.copy.is_some() || sent.step == super::flow::Step::Complete);
            self.queued_bytes += flow.in_flight_bytes();
        }
        let expiry = session.expiry;
        if let (Presence::Away(away), true) = (&mut session.presence, expiry != NEVER) {
            let at = now + Duration::from_secs(u64::from(expiry)) + GRACE;
            away.ends_at = Some(at);
            self.deadlines.insert((at, key));
        }
    }

    fn delay_will(&mut self, key: Key, message: Message, delay: u32) {
        let session = &mut self.sessions[key as usize];
        // It is due when the session ends at the latest (MQTT 5, 3.1.3.2.2).
        let delay = Duration::from_secs(u64::from(delay.min(session.expiry)));
        let at = self.now + delay + GRACE;
        if let Presence::Away(away) = &mut session.presence {
            away.will = Some((at, Box::new(message)));
            self.deadlines.insert((at, key));
        }
    }

    pub(super) fn publish_will(&mut self, mut message: Message) {
        self.settings.publish_now(&mut message, self.now_ms);
        self.publish_own(&Arc::new(message));
    }

    /// Publishes a message that no packet of a connected client brings.
    pub(super) fn publish_own(&mut self, message: &Arc<Message>) {
        let named = self.with_publisher(message);
        let message = named.as_ref().unwrap_or(message);
        if message.retain {
            self.retain(message);
        }
        let (_, route) = self.route(&message.topic);
        self.distribute(&route, &mut Publication::of(message));
    }

    /// The message with user properties that tell who published it, where that is to be told:
    /// what comes in no PUBLISH is as little able to pass for somebody else's as what does.
    fn with_publisher(&self, message: &Arc<Message>) -> Option<Arc<Message>> {
        let publisher = message.publisher.as_ref();
        let told = publisher.is_some() || message.properties.is_some();
        if !told || !self.settings.limits().publisher_properties {
            return None;
        }
        let mut named = Message::clone(message);
        let properties = named.properties.get_or_insert_default();
        let sent = properties.user.as_list();
        properties.user = match publisher {
            Some(publisher) => publisher.named(&sent),
            None => without_publisher(&sent),
        };
        Some(Arc::new(named))
    }

    /// Acts on the deadlines that have come, and goes on with what takes several turns.
    pub(crate) fn expired(&mut self) {
        while let Some(&(at, key)) = self.deadlines.first()
            && at <= self.now
        {
            self.deadlines.pop_first();
            self.due(key, at);
        }
        self.give_up_far();
        self.go_on_with_held_back();
        self.go_on_replaying();
    }

    fn due(&mut self, key: Key, at: Instant) {
        self.hold_no_longer(key, at);
        let session = self.sessions.get_mut(key as usize);
        let Some(Session { presence: Presence::Away(away), .. }) = session else { return };
        let will = away.will.take_if(|(due, _)| *due <= at);
        let ended = away.ends_at.is_some_and(|ends_at| ends_at <= at);
        if let Some((_, message)) = will {
            self.publish_will(*message);
            self.keep_session(key);
        }
        if ended {
            self.remove(key);
        }
    }

    /// Ends a session that has no connection: its will is due now, and nothing is left.
    pub(super) fn remove(&mut self, key: Key) {
        self.forget_kept(key);
        let subscriptions = std::mem::take(&mut self.sessions[key as usize].subscriptions);
        for subscription in &subscriptions {
            self.unsubscribe_from(key, &subscription.filter);
        }
        let session = self.sessions.remove(key as usize);
        if let Some(flow) = &session.flow {
            // What was in flight is counted as long as a session waits for its client.
            let in_flight = if session.persists() { flow.in_flight_bytes() } else { 0 };
            self.queued_bytes -= flow.queued_bytes + in_flight;
            let waiting = flow.queue.len() as u64;
            self.figures.queued.sub(waiting);
            self.figures.lose(DropReason::SessionEnded, waiting);
        }
        self.by_client.remove(&session.client_id);
        if let Presence::Away(away) = session.presence {
            let will = away.will.as_ref().map(|(at, _)| *at);
            for at in will.into_iter().chain(away.ends_at) {
                self.deadlines.remove(&(at, key));
            }
            if let Some((_, message)) = away.will {
                self.publish_will(*message);
            }
        }
    }

    /// Takes a session out of the subscribers of a filter.
    pub(super) fn unsubscribe_from(&mut self, key: Key, filter: &str) {
        self.figures.subscriptions.sub(1);
        if let Some(SharedFilter { group, filter }) = SharedFilter::parse(filter) {
            let client_id = Arc::clone(&self.sessions[key as usize].client_id);
            return self.directory.leave(group, filter, &client_id);
        }
        if let Some(subscribers) = self.index.get_mut(filter) {
            subscribers.retain(|subscriber| subscriber.key != key);
            if subscribers.is_empty() {
                self.index.remove(filter);
            }
        }
        self.directory.remove_interest(filter, self.shard);
        let parent = self.settings.parent();
        self.routes.forget(Some(filter), parent);
    }
}

/// Writes why a connection ends: in words where the client wants them and they fit into what
/// it takes (MQTT 5, 3.14.2.2.3).
fn write_disconnect(fault: &Fault, live: &Live, outbox: &mut Vec<u8>) {
    let words = match fault.cause {
        // What a policy says is nobody's business but the operator's.
        DisconnectReason::ForbiddenAccess => "not allowed; the server's log says why",
        _ => &fault.what[..fault.what.floor_char_boundary(MAX_WORDS)],
    };
    let start = outbox.len();
    for words in [Some(words).filter(|_| live.problem_information), None] {
        outbox.truncate(start);
        let reason_string = words;
        let disconnect =
            Disconnect { reason: fault.reason, reason_string, ..Disconnect::default() };
        disconnect.encode(Version::V5, outbox);
        if outbox.len() - start <= live.max_packet as usize {
            return;
        }
    }
    outbox.truncate(start);
}
