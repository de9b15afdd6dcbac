//! Facts about sessions, for people and APIs.

use super::Broker;
use super::connect::protocol_name;
use super::session::{Presence, Session};
use crate::listing::{SessionInfo, SubscriptionInfo};

impl Broker {
    pub(super) fn session_info(&self, client_id: &str) -> Option<SessionInfo> {
        let key = self.by_client.get(client_id)?;
        Some(info(&self.sessions[*key as usize]))
    }

    pub(super) fn session_infos(&self, limit: usize) -> Vec<SessionInfo> {
        self.sessions.iter().take(limit).map(|(_, session)| info(session)).collect()
    }
}

fn info(session: &Session) -> SessionInfo {
    let live = session.live();
    let away = match &session.presence {
        Presence::Here(_) => None,
        Presence::Away(away) => Some(away),
    };
    let principal = match (live, away) {
        (Some(live), _) => live.publisher.principal.to_string(),
        (None, Some(away)) => away.principal.to_string(),
        (None, None) => String::new(),
    };
    let subscriptions = session.subscriptions.iter().map(|subscription| SubscriptionInfo {
        filter: subscription.filter.clone(),
        qos: subscription.options.qos as u8,
    });
    let websocket = live.is_some_and(|live| live.form.websocket);
    SessionInfo {
        node: None,
        moving: session.moves_to.is_some(),
        client_id: session.client_id.clone(),
        principal,
        connected: live.is_some(),
        protocol: protocol_name(session.version, websocket).to_owned(),
        peer: live.map(|live| live.peer),
        connected_at: live.map(|live| live.connected_at),
        disconnected_at: away.map(|away| away.since),
        disconnect_reason: away.and_then(|away| away.reason).map(|reason| reason.as_str().into()),
        keep_alive: live.map_or(0, |live| live.keep_alive),
        clean_start: live.is_some_and(|live| live.clean_start),
        session_expiry: session.expiry,
        subscriptions: subscriptions.collect(),
        queued: session.flow.as_ref().map_or(0, |flow| flow.queue.len()),
        in_flight: session.flow.as_ref().map_or(0, |flow| flow.in_flight.len()),
        dropped: session.dropped,
        access: live.and_then(|live| live.access.clone()),
    }
}
