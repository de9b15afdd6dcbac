//! What a connected client sends: messages, acknowledgements, its goodbye.

use std::borrow::Cow;
use std::sync::Arc;

use fanwire_app::model::Denied;
use fanwire_hub::ConnectionId;
use fanwire_policy::{Action, Resource};
use fanwire_wire::mqtt::{
    Ack, AckKind, Disconnect, Packet, PacketId, Publish, QoS, ReasonCode, Version,
};

use super::Broker;
use super::deliver::Publication;
use super::flow::Step;
use super::session::{Key, Live, MAX_ALIAS_BYTES};
use crate::{DisconnectReason, Message, RealtimeEvent};

/// Topics whose permission is remembered for one connection.
const MAX_PERMITTED: usize = 32;

/// A longer topic name is not remembered: the policy is asked each time.
const MAX_PERMITTED_BYTES: usize = 512;

/// Retained messages that have expired are forgotten so many at a time, until there is room.
const EXPIRED_AT_ONCE: usize = 1024;

/// Why a connection is ended from this side.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    /// What an MQTT 5 client is told.
    pub(crate) reason: ReasonCode,
    /// What others are told.
    pub(crate) cause: DisconnectReason,
    /// What exactly it was.
    pub(crate) what: Cow<'static, str>,
}

/// What becomes of a message that has come in.
enum Verdict {
    Publish,
    /// It is acknowledged with this reason, and goes nowhere.
    Acknowledge(ReasonCode),
    /// It is not even acknowledged.
    Ignore,
}

// === impl Fault ===

impl Fault {
    /// The client broke the protocol, or a limit that ends the connection.
    pub(crate) fn client(reason: ReasonCode, what: impl Into<Cow<'static, str>>) -> Self {
        Self { reason, cause: DisconnectReason::ClientError, what: what.into() }
    }

    fn forbidden(what: impl Into<Cow<'static, str>>) -> Self {
        let cause = DisconnectReason::ForbiddenAccess;
        Self { reason: ReasonCode::NotAuthorized, cause, what: what.into() }
    }
}

impl Broker {
    /// Takes a packet of a connected client.
    ///
    /// # Errors
    ///
    /// Where the connection is to be ended for it.
    pub(crate) fn packet(
        &mut self,
        key: Key,
        link: ConnectionId,
        packet: &Packet<'_>,
    ) -> Result<(), Fault> {
        if self.on_link(key, link).is_none() {
            return Ok(());
        }
        match packet {
            Packet::Publish(publish) => self.inbound(key, publish),
            Packet::PubAck(ack) => {
                self.acknowledged(key, ack.packet_id, Step::Acknowledge, ack.reason);
                Ok(())
            }
            Packet::PubRec(ack) => {
                self.acknowledged(key, ack.packet_id, Step::Receive, ack.reason);
                Ok(())
            }
            Packet::PubComp(ack) => {
                self.acknowledged(key, ack.packet_id, Step::Complete, ack.reason);
                Ok(())
            }
            Packet::PubRel(ack) => {
                self.released(key, ack.packet_id);
                Ok(())
            }
            Packet::Subscribe(subscribe) => self.subscribe(key, subscribe),
            Packet::Unsubscribe(unsubscribe) => self.unsubscribe(key, unsubscribe),
            Packet::PingReq => {
                self.write(key, |outbox, _| fanwire_wire::mqtt::encode_ping_response(outbox));
                Ok(())
            }
            Packet::Disconnect(disconnect) => self.disconnect(key, disconnect),
            Packet::Connect(_) => Err(Fault::client(ReasonCode::ProtocolError, "a second CONNECT")),
            Packet::Auth(_) => Err(Fault::client(
                ReasonCode::ProtocolError,
                "AUTH, where no authentication method was agreed on",
            )),
        }
    }

    fn disconnect(&mut self, key: Key, packet: &Disconnect<'_>) -> Result<(), Fault> {
        let session = &self.sessions[key as usize];
        // MQTT 5, 3.14.2.2.2.
        if packet.session_expiry.is_some_and(|expiry| expiry > 0) && !session.persists() {
            let what = "a session expiry interval in DISCONNECT, after none in CONNECT";
            return Err(Fault::client(ReasonCode::ProtocolError, what));
        }
        let with_will = packet.reason != ReasonCode::Success;
        self.goodbye(key, with_will, packet.session_expiry);
        Ok(())
    }

    fn inbound(&mut self, key: Key, publish: &Publish<'_>) -> Result<(), Fault> {
        self.published += 1;
        self.figures.published.set(self.published);
        let name = self.name_of(key, publish)?;
        let name = name.as_deref().unwrap_or(publish.topic);
        self.check(publish, name)?;
        let (name, route) = self.route(name);
        if self.is_repeated(key, publish) {
            return Ok(());
        }
        let verdict = self.judge(key, publish, &name)?;
        let session = &mut self.sessions[key as usize];
        let publisher = match session.live() {
            Some(live) => Arc::clone(&live.publisher),
            None => return Ok(()),
        };
        match verdict {
            Verdict::Publish => {}
            Verdict::Acknowledge(reason) => {
                if let Some(id) = publish.packet_id {
                    self.acknowledge(key, id, publish.qos, reason);
                }
                return Ok(());
            }
            Verdict::Ignore => return Ok(()),
        }
        if publish.qos > QoS::AtMostOnce && self.disk_is_full() {
            return self.refuse_for_room(key, publish);
        }
        let handed_over = self.hold(key, publish)?;
        let mut publication = Publication {
            topic: &name,
            payload: publish.payload,
            qos: publish.qos,
            retain: publish.retain,
            properties: publish.properties,
            published_at: self.now_ms,
            from: Some(key),
            publisher: Some(&publisher),
            handed_over,
            kept: None,
            origin: None,
            was_waited_for: false,
        };
        publication.properties.message_expiry = self.cap_message_expiry(&publish.properties);
        let named = self.settings.limits().publisher_properties;
        let named = named.then(|| publisher.named(&publish.properties.user_properties));
        if let Some(named) = &named {
            publication.properties.user_properties = named.as_list();
        }
        self.publishing = Some(key);
        if publish.retain {
            let message = Arc::clone(publication.keep());
            self.retain(&message);
        }
        self.distribute(&route, &mut publication);
        self.publishing = None;
        if let Some(id) = publish.packet_id {
            self.acknowledge(key, id, publish.qos, ReasonCode::Success);
        }
        Ok(())
    }

    /// The topic name that an alias stands for; `None` where the packet has it. Takes in
    /// new aliases (MQTT 5, 3.3.2.3.4).
    fn name_of(&mut self, key: Key, publish: &Publish<'_>) -> Result<Option<Arc<str>>, Fault> {
        let Some(alias) = publish.topic_alias else { return Ok(None) };
        let maximum = self.settings.limits().topic_alias_maximum;
        let invalid = |what| Fault::client(ReasonCode::TopicAliasInvalid, what);
        if alias.get() > maximum {
            return Err(invalid("a topic alias over the topic alias maximum"));
        }
        let Some(live) = self.sessions[key as usize].live_mut() else { return Ok(None) };
        let aliases = &mut live.aliases.inbound;
        let at = usize::from(alias.get()) - 1;
        if publish.topic.is_empty() {
            let known = aliases.get(at).cloned().flatten();
            return known.map(Some).ok_or_else(|| {
                Fault::client(ReasonCode::ProtocolError, "a topic alias that stands for nothing")
            });
        }
        if aliases.len() <= at {
            aliases.resize(at + 1, None);
        }
        let others = aliases.iter().enumerate().filter(|(other, _)| *other != at);
        let bytes: usize = others.filter_map(|(_, topic)| topic.as_ref()).map(|it| it.len()).sum();
        if bytes + publish.topic.len() > MAX_ALIAS_BYTES {
            let what = "topic aliases that stand for more than 64 KB of topic names";
            return Err(Fault::client(ReasonCode::QuotaExceeded, what));
        }
        aliases[at] = Some(Arc::from(publish.topic));
        Ok(None)
    }

    /// Checks a message against what every client has to keep to.
    fn check(&self, publish: &Publish<'_>, name: &str) -> Result<(), Fault> {
        let limits = self.settings.limits();
        if publish.payload.len() > limits.max_payload_bytes {
            let what = "a payload over realtime.limits.max_payload_bytes";
            return Err(Fault::client(ReasonCode::PacketTooLarge, what));
        }
        if publish.retain && limits.max_retained_messages == 0 {
            return Err(Fault::client(ReasonCode::RetainNotSupported, "a message to be retained"));
        }
        self.settings.fits(name).map_err(|why| {
            Fault::client(ReasonCode::TopicNameInvalid, format!("publishing to `{name}`: {why}"))
        })?;
        let reserved = !limits.dollar_topics && name.starts_with('$');
        if reserved && !name.starts_with("$aws/rules/") {
            let what = format!("publishing to `{name}`, a reserved topic");
            return Err(Fault::client(ReasonCode::TopicNameInvalid, what));
        }
        if !self.settings.has_room_for(&publish.properties) {
            let what = "properties over the limits of realtime.limits";
            return Err(Fault::client(ReasonCode::QuotaExceeded, what));
        }
        Ok(())
    }

    /// Whether the client may publish this.
    fn judge(
        &mut self,
        key: Key,
        publish: &Publish<'_>,
        name: &Arc<str>,
    ) -> Result<Verdict, Fault> {
        let limits = self.settings.limits();
        let session = &mut self.sessions[key as usize];
        let v5 = session.version == Version::V5;
        if publish.qos as u8 > limits.max_qos && !limits.qos2_downgrade {
            if v5 {
                let what = "a message of a QoS over the maximum QoS";
                return Err(Fault::client(ReasonCode::QoSNotSupported, what));
            }
            return Ok(Verdict::Ignore);
        }
        let Some(live) = session.live_mut() else { return Ok(Verdict::Ignore) };
        if live.may_publish(name, publish.retain) {
            return Ok(Verdict::Publish);
        }
        let how = limits.denied_publish;
        let denied = self.denied(key, publish.retain, name);
        let acknowledged = publish.qos > QoS::AtMostOnce;
        match (how, v5) {
            (Denied::Close, _) | (Denied::ByVersion, false) => Err(Fault::forbidden(denied)),
            (Denied::ByVersion, true) if !acknowledged => Err(Fault::forbidden(denied)),
            (Denied::Conceal, _) => Ok(Verdict::Acknowledge(ReasonCode::UnspecifiedError)),
            _ => Ok(Verdict::Acknowledge(ReasonCode::NotAuthorized)),
        }
    }

    /// What would have to be stored finds no room: the client is told, so that it can try
    /// again later. MQTT 3 has no way to say so but to end the connection.
    fn refuse_for_room(&mut self, key: Key, publish: &Publish<'_>) -> Result<(), Fault> {
        let what = "the disk that messages may take is full (realtime.limits.max_disk_bytes)";
        let session = &self.sessions[key as usize];
        let event =
            RealtimeEvent::Dropped { client_id: &session.client_id, messages: 1, why: what };
        self.observer.observe(&event);
        if session.version != Version::V5 {
            let (reason, cause) = (ReasonCode::QuotaExceeded, DisconnectReason::ServerError);
            return Err(Fault { reason, cause, what: what.into() });
        }
        if let Some(id) = publish.packet_id {
            self.acknowledge(key, id, publish.qos, ReasonCode::QuotaExceeded);
        }
        Ok(())
    }

    /// Tells of a publication that is denied, and why.
    fn denied(&self, key: Key, retain: bool, name: &str) -> String {
        let Some(live) = self.sessions[key as usize].live() else { return String::new() };
        let Some(access) = &live.access else { return String::new() };
        let resource = Resource::Topic(name);
        let publish = access.explain(Action::Publish, resource);
        let decision = if publish.allowed && retain {
            access.explain(Action::RetainPublish, resource)
        } else {
            publish
        };
        let explanation = decision.to_string();
        self.tell_denied(live, &explanation);
        explanation
    }

    pub(super) fn tell_denied(&self, live: &Live, explanation: &str) {
        let event = RealtimeEvent::Denied {
            client_id: &live.publisher.client_id,
            principal: &live.publisher.principal,
            explanation,
        };
        self.observer.observe(&event);
    }

    /// Whether a message of QoS 2 has come before (MQTT 5, 4.3.3). Then it is acknowledged
    /// again, whatever would become of it now: an error would let the client use the id for
    /// another message, which would pass for this one.
    fn is_repeated(&mut self, key: Key, publish: &Publish<'_>) -> bool {
        let id = publish.packet_id.filter(|_| publish.qos == QoS::ExactlyOnce);
        let session = &self.sessions[key as usize];
        let Some(id) = id.filter(|id| session.unreleased.contains(id)) else { return false };
        self.acknowledge(key, id, QoS::ExactlyOnce, ReasonCode::Success);
        true
    }

    /// Holds the id of a message of QoS 2 until the client releases it. Says whether it is
    /// kept, together with what the message leaves behind: sent again after a crash, it is not
    /// distributed again.
    fn hold(&mut self, key: Key, publish: &Publish<'_>) -> Result<bool, Fault> {
        let Some(id) = publish.packet_id.filter(|_| publish.qos == QoS::ExactlyOnce) else {
            return Ok(false);
        };
        let maximum = usize::from(self.settings.limits().receive_maximum);
        let session = &mut self.sessions[key as usize];
        if session.unreleased.len() >= maximum {
            let what = "more messages of QoS 2 than the receive maximum";
            return Err(Fault::client(ReasonCode::ReceiveMaximumExceeded, what));
        }
        session.unreleased.push(id);
        let client_id = Arc::clone(&session.client_id);
        // Where several nodes have a part in it, the id is not kept before they have kept theirs:
        // else a client that sends the message again would be told that it has come.
        let keeps = self.keeps(&self.sessions[key as usize])
            && self.keep.as_ref().is_some_and(|keep| keep.keeper.hands_over());
        if keeps {
            self.kept(|keeper| keeper.hold(&client_id, id));
        }
        Ok(keeps)
    }

    /// A client releases a message of QoS 2.
    fn released(&mut self, key: Key, id: PacketId) {
        let session = &mut self.sessions[key as usize];
        let known = session.unreleased.iter().position(|unreleased| *unreleased == id);
        if let Some(at) = known {
            session.unreleased.swap_remove(at);
            let client_id = Arc::clone(&session.client_id);
            if self.keeps(&self.sessions[key as usize]) {
                self.kept(|keeper| keeper.release(&client_id, id));
            }
        }
        let reason = match known {
            Some(_) => ReasonCode::Success,
            None => ReasonCode::PacketIdentifierNotFound,
        };
        // The client uses the id for another message from then on: once it is known to be free.
        let mut packet = Vec::with_capacity(5);
        let version = self.sessions[key as usize].version;
        Ack::new(id, reason).encode(AckKind::PubComp, version, &mut packet);
        self.answer_exchange(key, &packet);
    }

    /// Acknowledges a message, once what it left behind is kept.
    fn acknowledge(&mut self, key: Key, id: PacketId, qos: QoS, reason: ReasonCode) {
        let exactly_once = qos == QoS::ExactlyOnce;
        let kind = if exactly_once { AckKind::PubRec } else { AckKind::PubAck };
        let mut packet = Vec::with_capacity(5);
        let version = self.sessions[key as usize].version;
        Ack::new(id, reason).encode(kind, version, &mut packet);
        if exactly_once {
            self.answer_exchange(key, &packet);
        } else {
            self.answer(key, &packet);
        }
    }

    /// Keeps a message for those who subscribe to its topic later, or with an empty one
    /// forgets it.
    pub(super) fn retain(&mut self, message: &Arc<Message>) {
        if message.topic.starts_with('$') && !self.settings.limits().dollar_topics {
            return;
        }
        if !self.put_retained(message) {
            let client_id = message.publisher.as_ref().map_or("", |who| &who.client_id);
            let event = RealtimeEvent::Dropped {
                client_id,
                messages: 1,
                why: "there is no room for another retained message (realtime.limits.max_retained_messages, max_retained_bytes)",
            };
            self.observer.observe(&event);
            return;
        }
        self.keep_retained(message);
        let mesh = self.mesh.clone().filter(|mesh| mesh.shares_retained());
        if let Some(mesh) = mesh {
            mesh.retain(message, self.far_promise());
        }
    }

    /// Retains a message, if need be in the place of some that have expired. Says whether there
    /// is room.
    fn put_retained(&mut self, message: &Arc<Message>) -> bool {
        let limits = self.settings.limits();
        let (messages, bytes) = (limits.max_retained_messages, limits.max_retained_bytes);
        while self.retained.put(message, messages, bytes).is_err() {
            let expired = self.retained.forget_expired(self.now_ms, EXPIRED_AT_ONCE);
            if expired.is_empty() {
                return false;
            }
            for topic in expired {
                // Other nodes do so for themselves: one may have retained something newer.
                self.keep_retained(&Arc::new(Message::new(topic, "")));
            }
        }
        true
    }

    fn cap_message_expiry(
        &self,
        properties: &fanwire_wire::mqtt::MessageProperties<'_>,
    ) -> Option<u32> {
        let expiry = properties.message_expiry?;
        let Some(max) = self.settings.limits().message_expiry_max else { return Some(expiry) };
        // IoT Core takes 0 for one second (reference: iot.md, section 4).
        Some(expiry.clamp(1, u32::try_from(max.as_secs()).unwrap_or(u32::MAX)))
    }
}

// === impl Live ===

impl Live {
    /// Whether its policy lets it publish to a topic. Asked once a topic, as long as that
    /// is among the last few.
    fn may_publish(&mut self, name: &Arc<str>, retain: bool) -> bool {
        let Some(access) = &self.access else { return true };
        let known = self
            .permitted
            .iter()
            .any(|(known, with_retain)| Arc::ptr_eq(known, name) && (*with_retain || !retain));
        if known {
            return true;
        }
        let resource = Resource::Topic(name);
        let allowed = access.allows(Action::Publish, resource)
            && (!retain || access.allows(Action::RetainPublish, resource));
        if allowed && name.len() <= MAX_PERMITTED_BYTES {
            if self.permitted.len() == MAX_PERMITTED {
                self.permitted.remove(0);
            }
            self.permitted.push((Arc::clone(name), retain));
        }
        allowed
    }
}
