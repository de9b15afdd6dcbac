//! A client comes: its session is made, or found again (MQTT 5, 3.1 and 3.2).

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use fanwire_hub::ConnectionId;
use fanwire_policy::Access;
use fanwire_wire::mqtt::{ConnAck, ConnAckProperties, ReasonCode, Version};

use super::session::{Aliases, Away, Form, Key, Live, Presence, Session, Will};
use super::{Broker, Fault};
use crate::{DisconnectReason, Publisher, RealtimeEvent};

/// What a handshake has settled: a client that may connect.
#[derive(Debug)]
pub(crate) struct Admission {
    pub(crate) version: Version,
    pub(crate) websocket: bool,
    pub(crate) peer: SocketAddr,
    pub(crate) publisher: Arc<Publisher>,
    pub(crate) access: Option<Arc<Access>>,
    pub(crate) clean_start: bool,
    /// How many seconds the session outlives the connection.
    pub(crate) session_expiry: u32,
    /// Whether that is not what the client asked for.
    pub(crate) session_expiry_differs: bool,
    /// In seconds; 0 for none.
    pub(crate) keep_alive: u16,
    /// Whether that is not what the client asked for.
    pub(crate) keep_alive_differs: bool,
    /// Whether the server has made up the client id.
    pub(crate) assigned: bool,
    /// Whether the principal is made up, another one at each connection.
    pub(crate) made_up: bool,
    pub(crate) will: Option<Box<Will>>,
    pub(crate) receive_maximum: u16,
    pub(crate) max_packet: u32,
    pub(crate) topic_alias_maximum: u16,
    pub(crate) problem_information: bool,
    pub(crate) authorized_in: Option<std::time::Duration>,
}

impl Broker {
    /// Connects an admitted client over `link`: takes the session over from its older
    /// connection, if it has one, resumes it or begins it anew, and says so.
    ///
    /// # Errors
    ///
    /// Where there is no room for another session.
    pub(crate) fn connect(
        &mut self,
        link: ConnectionId,
        mut admission: Box<Admission>,
    ) -> Result<Key, Fault> {
        self.flush_burst();
        let client_id = Arc::clone(&admission.publisher.client_id);
        let existing = self.by_client.get(&client_id).copied();
        if let Some(key) = existing {
            self.take_over(key);
        }
        // The older connection's end may have been its session's end.
        let existing = self.by_client.get(&client_id).copied();
        let resumed = existing.filter(|key| self.resumes(*key, &admission));
        if let (Some(key), None) = (existing, resumed) {
            self.remove(key);
        }
        if resumed.is_none() && self.sessions.len() >= self.settings.limits().max_sessions {
            return Err(Fault {
                reason: ReasonCode::QuotaExceeded,
                cause: DisconnectReason::Throttled,
                what: "there are too many sessions (realtime.limits.max_sessions)".into(),
            });
        }
        let will = admission.will.take();
        let live = self.live(link, &admission, will);
        let key = match resumed {
            Some(key) => {
                self.resume(key, live, &admission);
                key
            }
            None => self.begin_session(client_id, live, &admission),
        };
        self.keep_session(key);
        self.write_connack(key, &admission, resumed.is_some());
        self.announce_connected(key, resumed.is_some(), admission.authorized_in);
        if resumed.is_some() {
            self.send_again(key);
            self.pump(key);
            self.replay(key);
        }
        Ok(key)
    }

    /// Ends the older connection of a session (MQTT 5, 3.1.4, "Session taken over").
    pub(super) fn take_over(&mut self, key: Key) {
        if self.sessions[key as usize].live().is_some() {
            let fault = Fault {
                reason: ReasonCode::SessionTakenOver,
                cause: DisconnectReason::DuplicateClientId,
                what: "another connection has the client id now".into(),
            };
            self.expel(key, &fault);
        }
    }

    fn resumes(&self, key: Key, admission: &Admission) -> bool {
        let session = &self.sessions[key as usize];
        let family = |version: Version| version == Version::V5;
        let compatible = self.settings.limits().resume_across_versions
            || family(session.version) == family(admission.version);
        let before = match &session.presence {
            Presence::Here(live) => live.owner(),
            Presence::Away(away) => &away.principal,
        };
        // What is nobody's is anybody's who has the client id.
        let same = before.is_empty() || *before == *admission.publisher.principal;
        !admission.clean_start && compatible && same
    }

    fn live(
        &mut self,
        link: ConnectionId,
        admission: &Admission,
        will: Option<Box<Will>>,
    ) -> Box<Live> {
        self.connections += 1;
        let v5 = admission.version == Version::V5;
        let aliases =
            Aliases { outbound_maximum: admission.topic_alias_maximum, ..Aliases::default() };
        Box::new(Live {
            link,
            form: Form { v5, websocket: admission.websocket },
            peer: admission.peer,
            connected_at: self.now_ms,
            clean_start: admission.clean_start,
            keep_alive: admission.keep_alive,
            publisher: Arc::clone(&admission.publisher),
            made_up: admission.made_up,
            access: admission.access.clone(),
            will,
            receive_maximum: admission.receive_maximum,
            max_packet: admission.max_packet,
            problem_information: admission.problem_information,
            aliases,
            permitted: Vec::new(),
            pending: std::collections::VecDeque::new(),
            congested: false,
            dirty: false,
        })
    }

    fn begin_session(
        &mut self,
        client_id: Arc<str>,
        live: Box<Live>,
        admission: &Admission,
    ) -> Key {
        let session = Session {
            client_id: Arc::clone(&client_id),
            version: admission.version,
            expiry: admission.session_expiry,
            subscriptions: Vec::new(),
            flow: None,
            unreleased: Vec::new(),
            replays: None,
            presence: Presence::Here(live),
            outbox: Vec::new(),
            online: None,
            dropped: 0,
            moves_to: None,
            arriving: None,
        };
        // A slab of sessions is bounded by `max_sessions`, far below 2^32.
        let key = Key::try_from(self.sessions.insert(session)).unwrap_or(Key::MAX);
        self.by_client.insert(client_id, key);
        key
    }

    fn resume(&mut self, key: Key, live: Box<Live>, admission: &Admission) {
        if admission.session_expiry == 0 {
            // It ends with this connection, whatever becomes of the process.
            self.forget_kept(key);
        }
        let session = &mut self.sessions[key as usize];
        session.moves_to = None;
        session.version = admission.version;
        session.expiry = admission.session_expiry;
        let before = std::mem::replace(&mut session.presence, Presence::Here(live));
        if let Some(online) = &session.online {
            online.store(true, Ordering::Relaxed);
        }
        if let Presence::Away(away) = before {
            self.queued_bytes -= session.flow.as_ref().map_or(0, |flow| flow.in_flight_bytes());
            self.forget_deadlines(key, &away);
        }
        self.tell_presence(key);
        self.forget_routes_of(key);
    }

    fn forget_deadlines(&mut self, key: Key, away: &Away) {
        let will = away.will.as_ref().map(|(at, _)| *at);
        for at in will.into_iter().chain(away.ends_at) {
            self.deadlines.remove(&(at, key));
        }
    }

    fn write_connack(&mut self, key: Key, admission: &Admission, session_present: bool) {
        let limits = self.settings.limits().clone();
        let maximum_qos = self.settings.max_qos();
        self.write(key, |outbox, session| {
            let properties = ConnAckProperties {
                session_expiry: admission.session_expiry_differs.then_some(session.expiry),
                receive_maximum: std::num::NonZeroU16::new(limits.receive_maximum),
                maximum_qos,
                retain_available: limits.max_retained_messages > 0,
                maximum_packet_size: u32::try_from(limits.max_packet_bytes)
                    .ok()
                    .and_then(std::num::NonZeroU32::new),
                assigned_client_id: admission.assigned.then_some(&*session.client_id),
                topic_alias_maximum: limits.topic_alias_maximum,
                shared_subscription_available: limits.shared_subscriptions,
                subscription_ids_available: limits.subscription_identifiers,
                server_keep_alive: admission.keep_alive_differs.then_some(admission.keep_alive),
                ..ConnAckProperties::default()
            };
            let ack = ConnAck { session_present, reason: ReasonCode::Success, properties };
            ack.encode(admission.version, outbox);
        });
    }

    fn announce_connected(
        &mut self,
        key: Key,
        resumed: bool,
        authorized_in: Option<std::time::Duration>,
    ) {
        let session = &self.sessions[key as usize];
        if let Some(live) = session.live() {
            let event = RealtimeEvent::Connected {
                client_id: &session.client_id,
                principal: &live.publisher.principal,
                source_ip: live.peer.ip(),
                protocol: protocol_name(session.version, live.form.websocket),
                resumed,
                authorized_in,
            };
            self.observer.observe(&event);
        }
        self.publish_connected(key);
    }
}

/// A protocol for people.
pub(crate) fn protocol_name(version: Version, websocket: bool) -> &'static str {
    match (version, websocket) {
        (Version::V3_1, false) => "MQTT 3.1",
        (Version::V3_1, true) => "MQTT 3.1 over WebSocket",
        (Version::V3_1_1, false) => "MQTT 3.1.1",
        (Version::V3_1_1, true) => "MQTT 3.1.1 over WebSocket",
        (Version::V5, false) => "MQTT 5",
        (Version::V5, true) => "MQTT 5 over WebSocket",
    }
}
