//! API Gateway's events as values (reference: api-gateway.md, sections 6 and 10).

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::surroundings::Surroundings;
use crate::websocket::{Body, ConnectionInfo, Event, EventKind};

/// An event of a WebSocket API: what happened to a connection, or what its authorizer is
/// asked.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ApiEvent {
    request_context: RequestContext,
    #[serde(default)]
    headers: Option<Named<String>>,
    #[serde(default)]
    multi_value_headers: Option<Named<Vec<String>>>,
    #[serde(default)]
    query_string_parameters: Option<Named<String>>,
    #[serde(default)]
    multi_value_query_string_parameters: Option<Named<Vec<String>>>,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    is_base64_encoded: bool,
}

/// Values by name.
type Named<T> = BTreeMap<String, T>;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RequestContext {
    route_key: String,
    event_type: EventType,
    connection_id: String,
    #[serde(default)]
    api_id: String,
    #[serde(default)]
    stage: String,
    #[serde(default)]
    domain_name: String,
    #[serde(default)]
    connected_at: u64,
    #[serde(default)]
    request_id: String,
    #[serde(default)]
    identity: Identity,
    #[serde(default)]
    authorizer: Option<Map<String, Value>>,
    disconnect_status_code: Option<u16>,
    disconnect_reason: Option<String>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum EventType {
    Connect,
    Message,
    Disconnect,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Identity {
    source_ip: Option<String>,
    user_agent: Option<String>,
}

/// The close code of a connection that nobody has said anything of.
const VANISHED: u16 = 1006;

// === impl ApiEvent ===

impl ApiEvent {
    /// The event as handlers see it.
    pub(crate) fn into_event(
        self,
        surroundings: &Surroundings,
    ) -> Result<Event, base64::DecodeError> {
        let Self { request_context: context, body, is_base64_encoded, .. } = self;
        let kind = match context.event_type {
            EventType::Connect => EventKind::Connect,
            EventType::Message => EventKind::Message,
            EventType::Disconnect => EventKind::Disconnect,
        };
        let body = body.unwrap_or_default();
        let body = match is_base64_encoded {
            true => Body::Binary(STANDARD.decode(body)?.into()),
            false => Body::Text(body),
        };
        let code = context.disconnect_status_code.unwrap_or(VANISHED);
        let closed = (code, context.disconnect_reason.unwrap_or_default());
        let connection = ConnectionInfo {
            id: context.connection_id,
            api_id: context.api_id,
            stage: context.stage,
            domain: context.domain_name,
            connected_at: context.connected_at,
            source_ip: context.identity.source_ip.and_then(|ip| ip.parse().ok()),
            user_agent: context.identity.user_agent,
        };
        Ok(Event {
            kind,
            route_key: context.route_key,
            home: surroundings.home_of(&connection),
            connection: Arc::new(connection),
            request_id: context.request_id,
            headers: each(self.multi_value_headers, self.headers),
            query: each(self.multi_value_query_string_parameters, self.query_string_parameters),
            body,
            authorizer: Arc::new(context.authorizer.unwrap_or_default()),
            closed: (kind == EventKind::Disconnect).then_some(closed),
        })
    }
}

/// Each value with its name: all of them where the event has all.
fn each(all: Option<Named<Vec<String>>>, last: Option<Named<String>>) -> Vec<(String, String)> {
    let of = |(name, values): (String, Vec<String>)| {
        values.into_iter().map(move |value| (name.clone(), value))
    };
    match all {
        Some(all) => all.into_iter().flat_map(of).collect(),
        None => last.unwrap_or_default().into_iter().collect(),
    }
}
