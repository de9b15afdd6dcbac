//! Lifecycle events: messages on `$aws/events/…` that tell of clients that come, go and
//! subscribe (reference: iot.md, section 6).

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::Broker;
use super::session::{Key, Live};
use crate::settings::Settings;
use crate::{DisconnectReason, Message};

/// How long after a client has gone its next connection still counts on.
const VERSION_KEPT: Duration = Duration::from_secs(3600);

/// Clients whose version numbers are kept. Beyond, those of the clients that went longest
/// ago begin anew.
const MAX_VERSIONS: usize = 100_000;

/// Numbers the connections of each client, so that who hears of them out of order can tell
/// which is the latest.
#[derive(Debug, Default)]
pub(super) struct Versions {
    by_client: HashMap<Arc<str>, (u64, Instant), foldhash::fast::RandomState>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Presence<'a> {
    client_id: &'a str,
    timestamp: u64,
    event_type: &'a str,
    session_identifier: String,
    principal_identifier: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ip_address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_initiated_disconnect: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    disconnect_reason: Option<&'static str>,
    version_number: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ConnectFailed<'a> {
    client_id: &'a str,
    timestamp: u64,
    event_type: &'a str,
    session_identifier: String,
    principal_identifier: &'a str,
    connect_failure_reason: &'a str,
    ip_address: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Subscriptions<'a> {
    client_id: &'a str,
    timestamp: u64,
    event_type: &'a str,
    session_identifier: String,
    principal_identifier: &'a str,
    topics: Vec<&'a str>,
}

impl Broker {
    pub(super) fn publish_connected(&mut self, key: Key) {
        let Some((client_id, _)) = self.told_of(key) else { return };
        let version_number = self.versions.next(&client_id, self.now);
        let Some((_, live)) = self.told_of(key) else { return };
        let event = Presence {
            client_id: &client_id,
            timestamp: self.now_ms,
            event_type: "connected",
            session_identifier: live.session_identifier(),
            principal_identifier: &live.publisher.principal,
            ip_address: Some(live.peer.ip().to_string()),
            client_initiated_disconnect: None,
            disconnect_reason: None,
            version_number,
        };
        let payload = json(&event);
        self.publish_event("presence/connected", &client_id, payload);
    }

    pub(super) fn publish_disconnected(&mut self, key: Key, live: &Live, cause: DisconnectReason) {
        let client_id = Arc::clone(&self.sessions[key as usize].client_id);
        if !self.tells_of(&client_id) {
            return;
        }
        let version_number = self.versions.current(&client_id, self.now);
        let event = Presence {
            client_id: &client_id,
            timestamp: self.now_ms,
            event_type: "disconnected",
            session_identifier: live.session_identifier(),
            principal_identifier: &live.publisher.principal,
            ip_address: None,
            client_initiated_disconnect: Some(cause == DisconnectReason::ClientInitiated),
            disconnect_reason: Some(cause.as_str()),
            version_number,
        };
        let payload = json(&event);
        self.publish_event("presence/disconnected", &client_id, payload);
    }

    pub(super) fn publish_subscribed<'f>(
        &mut self,
        key: Key,
        topics: impl Iterator<Item = &'f str>,
    ) {
        self.publish_subscriptions(key, "subscribed", topics);
    }

    pub(super) fn publish_unsubscribed<'f>(
        &mut self,
        key: Key,
        topics: impl Iterator<Item = &'f str>,
    ) {
        self.publish_subscriptions(key, "unsubscribed", topics);
    }

    fn publish_subscriptions<'f>(
        &mut self,
        key: Key,
        event_type: &str,
        topics: impl Iterator<Item = &'f str>,
    ) {
        let topics: Vec<&str> = topics.collect();
        let Some((client_id, live)) = self.told_of(key).filter(|_| !topics.is_empty()) else {
            return;
        };
        let event = Subscriptions {
            client_id: &client_id,
            timestamp: self.now_ms,
            event_type,
            session_identifier: live.session_identifier(),
            principal_identifier: &live.publisher.principal,
            topics,
        };
        let payload = json(&event);
        let kind = format!("subscriptions/{event_type}");
        self.publish_event(&kind, &client_id, payload);
    }

    /// A connected client, where events tell of it.
    fn told_of(&self, key: Key) -> Option<(Arc<str>, &Live)> {
        let session = self.sessions.get(key as usize)?;
        let client_id = Arc::clone(&session.client_id);
        self.tells_of(&client_id).then_some((client_id, session.live()?))
    }

    /// Whether events tell of a client, and anybody may hear them.
    fn tells_of(&self, client_id: &str) -> bool {
        self.directory.hears_events() && tells_of(&self.settings, client_id)
    }

    fn publish_event(&mut self, kind: &str, client_id: &str, payload: Vec<u8>) {
        self.publish_own(&Arc::new(message(kind, client_id, payload, self.now_ms)));
    }
}

/// Whether events tell of a client. Of one whose id would be a wildcard in their topic
/// they do not.
pub(crate) fn tells_of(settings: &Settings, client_id: &str) -> bool {
    settings.limits().lifecycle_events && !client_id.contains(['#', '+'])
}

/// What tells of a client that was not allowed to connect.
pub(crate) fn connect_failed(
    client_id: &str,
    principal: &str,
    source_ip: IpAddr,
    now_ms: u64,
) -> Message {
    let event = ConnectFailed {
        client_id,
        timestamp: now_ms,
        event_type: "connect_failed",
        session_identifier: format!("{:032x}", fastrand::u128(..)),
        principal_identifier: principal,
        connect_failure_reason: "AUTHORIZATION_FAILED",
        ip_address: source_ip.to_string(),
    };
    message("presence/connect_failed", client_id, json(&event), now_ms)
}

fn message(kind: &str, client_id: &str, payload: Vec<u8>, now_ms: u64) -> Message {
    let mut message = Message::new(format!("$aws/events/{kind}/{client_id}"), payload);
    // A subscriber gets it with the quality of service that it asked for.
    message.qos = fanwire_wire::mqtt::QoS::AtLeastOnce;
    message.published_at = now_ms;
    message
}

fn json(event: &impl Serialize) -> Vec<u8> {
    // Text and numbers only: this cannot fail.
    serde_json::to_vec(event).unwrap_or_default()
}

// === impl Live ===

impl Live {
    /// Names the connection in events: 32 hexadecimal digits, the same in all of them.
    fn session_identifier(&self) -> String {
        let hash = |seed: u64| {
            use std::hash::BuildHasher as _;
            foldhash::quality::FixedState::with_seed(seed).hash_one((self.link, self.connected_at))
        };
        format!("{:016x}{:016x}", hash(1), hash(2))
    }
}

// === impl Versions ===

impl Versions {
    /// The number of a client's new connection.
    fn next(&mut self, client_id: &Arc<str>, now: Instant) -> u64 {
        if self.by_client.len() >= MAX_VERSIONS {
            self.by_client.retain(|_, (_, at)| now < *at + VERSION_KEPT);
        }
        if self.by_client.len() >= MAX_VERSIONS {
            self.by_client.clear();
        }
        let version = match self.by_client.get(client_id) {
            Some((version, at)) if now < *at + VERSION_KEPT => version + 1,
            _ => 0,
        };
        self.by_client.insert(Arc::clone(client_id), (version, now));
        version
    }

    /// The number of the connection that a client has, or had last. One that came before
    /// anybody heard of it counts as the first.
    fn current(&mut self, client_id: &Arc<str>, now: Instant) -> u64 {
        match self.by_client.get_mut(client_id) {
            Some((version, at)) => {
                *at = now;
                *version
            }
            None => self.next(client_id, now),
        }
    }
}
