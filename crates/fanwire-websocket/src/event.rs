//! The events that functions get, key by key as API Gateway sends them
//! (reference: api-gateway.md, sections 6 and 10).
//!
//! Which keys are there matters as much as what they hold: handlers tell a
//! WebSocket event by them, and test for the absence of others.

use bytes::Bytes;
use fanwire_wire::trace::Span;
use indexmap::IndexMap;
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::value::RawValue;

use crate::gateway_id;
use crate::handshake::ClientRequest;
use crate::peer::Peer;
use crate::timestamp;

/// One request to the gateway: a handshake, a message or a disconnect.
#[derive(Debug)]
pub(crate) struct Request {
    /// `requestId` and `extendedRequestId`, which are the same.
    pub(crate) id: String,
    /// When it came, in milliseconds since the epoch.
    pub(crate) at: u64,
    /// Only messages have one.
    pub(crate) message_id: Option<String>,
    pub(crate) kind: EventType,
    /// What it is as part of a trace, where traces are made.
    pub(crate) span: Option<Span>,
}

/// `requestContext.eventType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum EventType {
    /// A handshake.
    Connect,
    /// A message from the client.
    Message,
    /// The end of a connection that was established.
    Disconnect,
}

/// The parts of an event that belong to the API and not to the request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ApiContext<'a> {
    pub(crate) api_id: &'a str,
    pub(crate) stage: &'a str,
    pub(crate) stage_variables: &'a IndexMap<String, String>,
}

/// How a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DisconnectCause {
    pub(crate) code: u16,
    pub(crate) reason: Box<str>,
}

// === impl Request ===

impl Request {
    /// A request that came at `at`, in milliseconds since the epoch.
    pub(crate) fn new(kind: EventType, at: u64, span: Option<Span>) -> Self {
        let message_id = (kind == EventType::Message).then(gateway_id::request_id);
        Self { id: gateway_id::request_id(), at, message_id, kind, span }
    }

    /// The X-Ray header that its function gets.
    pub(crate) fn trace_id(&self) -> String {
        match &self.span {
            Some(span) => span.context.xray(),
            None => gateway_id::trace_header(self.at),
        }
    }
}

impl EventType {
    /// As in events and logs: `CONNECT`, `MESSAGE`, `DISCONNECT`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "CONNECT",
            Self::Message => "MESSAGE",
            Self::Disconnect => "DISCONNECT",
        }
    }
}

/// The event of `$connect`.
pub(crate) fn connect(
    api: ApiContext<'_>,
    peer: &Peer,
    request: &Request,
    client: &ClientRequest,
) -> Bytes {
    to_json(&ConnectEvent {
        headers: Single(client.event_headers()),
        multi_value_headers: Multi(client.event_headers()),
        query_string_parameters: client.has_query().then(|| Single(client.query())),
        multi_value_query_string_parameters: client.has_query().then(|| Multi(client.query())),
        request_context: RequestContext::of(api, peer, request, "$connect"),
        stage_variables: some_if_any(api.stage_variables),
        is_base64_encoded: false,
    })
}

/// The event of a REQUEST authorizer.
pub(crate) fn authorizer(
    api: ApiContext<'_>,
    peer: &Peer,
    request: &Request,
    client: &ClientRequest,
    method_arn: &str,
) -> Bytes {
    to_json(&AuthorizerEvent {
        kind: "REQUEST",
        method_arn,
        headers: Single(client.authorizer_headers()),
        multi_value_headers: Multi(client.authorizer_headers()),
        query_string_parameters: Single(client.query()),
        multi_value_query_string_parameters: Multi(client.query()),
        stage_variables: api.stage_variables,
        request_context: RequestContext::of(api, peer, request, "$connect"),
    })
}

/// The event of a message. `body` is the text as it came, or base64 of a binary
/// message where the API takes those.
pub(crate) fn message(
    api: ApiContext<'_>,
    peer: &Peer,
    request: &Request,
    route_key: &str,
    body: &str,
    is_base64_encoded: bool,
) -> Bytes {
    to_json(&MessageEvent {
        request_context: RequestContext::of(api, peer, request, route_key),
        stage_variables: some_if_any(api.stage_variables),
        body,
        is_base64_encoded,
    })
}

/// The event of `$disconnect`.
pub(crate) fn disconnect(
    api: ApiContext<'_>,
    peer: &Peer,
    request: &Request,
    cause: &DisconnectCause,
) -> Bytes {
    let headers = || {
        [("Host", &*peer.domain), ("x-api-key", ""), ("X-Forwarded-For", ""), ("x-restapi", "")]
            .into_iter()
    };
    let mut context = RequestContext::of(api, peer, request, "$disconnect");
    context.disconnect_status_code = Some(cause.code);
    context.disconnect_reason = Some(&cause.reason);
    to_json(&ConnectEvent {
        headers: Single(headers()),
        multi_value_headers: Multi(headers()),
        query_string_parameters: None::<Single<std::iter::Empty<(&str, &str)>>>,
        multi_value_query_string_parameters: None::<Multi<std::iter::Empty<(&str, &str)>>>,
        request_context: context,
        stage_variables: some_if_any(api.stage_variables),
        is_base64_encoded: false,
    })
}

fn to_json(event: &impl Serialize) -> Bytes {
    // Strings, numbers and maps with string keys: nothing here can fail to serialise.
    serde_json::to_vec(event).unwrap_or_default().into()
}

fn some_if_any(map: &IndexMap<String, String>) -> Option<&IndexMap<String, String>> {
    (!map.is_empty()).then_some(map)
}

/// CONNECT and DISCONNECT events have the same shape.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ConnectEvent<'a, H, M, Q, N>
where
    H: Serialize,
    M: Serialize,
    Q: Serialize,
    N: Serialize,
{
    headers: H,
    multi_value_headers: M,
    #[serde(skip_serializing_if = "Option::is_none")]
    query_string_parameters: Option<Q>,
    #[serde(skip_serializing_if = "Option::is_none")]
    multi_value_query_string_parameters: Option<N>,
    request_context: RequestContext<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stage_variables: Option<&'a IndexMap<String, String>>,
    is_base64_encoded: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AuthorizerEvent<'a, H, M, Q, N>
where
    H: Serialize,
    M: Serialize,
    Q: Serialize,
    N: Serialize,
{
    #[serde(rename = "type")]
    kind: &'a str,
    method_arn: &'a str,
    headers: H,
    multi_value_headers: M,
    query_string_parameters: Q,
    multi_value_query_string_parameters: N,
    stage_variables: &'a IndexMap<String, String>,
    request_context: RequestContext<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MessageEvent<'a> {
    request_context: RequestContext<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stage_variables: Option<&'a IndexMap<String, String>>,
    body: &'a str,
    is_base64_encoded: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RequestContext<'a> {
    route_key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    authorizer: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    disconnect_status_code: Option<u16>,
    event_type: EventType,
    extended_request_id: &'a str,
    request_time: String,
    message_direction: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    disconnect_reason: Option<&'a str>,
    stage: &'a str,
    connected_at: u64,
    request_time_epoch: u64,
    identity: Identity<'a>,
    request_id: &'a str,
    domain_name: &'a str,
    connection_id: String,
    api_id: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Identity<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<&'a str>,
    source_ip: std::net::IpAddr,
    /// What is known by a signature or an API key.
    #[serde(flatten)]
    known: Known<'a>,
}

/// Pairs as members of the object around them.
struct Known<'a>(&'a [(&'static str, String)]);

impl Serialize for Known<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (*name, value)))
    }
}

impl<'a> RequestContext<'a> {
    fn of(api: ApiContext<'a>, peer: &'a Peer, request: &'a Request, route_key: &'a str) -> Self {
        Self {
            route_key,
            authorizer: peer.authorizer.as_ref().map(|authorized| &*authorized.context),
            message_id: request.message_id.as_deref(),
            disconnect_status_code: None,
            event_type: request.kind,
            extended_request_id: &request.id,
            request_time: timestamp::common_log(request.at),
            message_direction: "IN",
            disconnect_reason: None,
            stage: api.stage,
            connected_at: peer.connected_at,
            request_time_epoch: request.at,
            identity: Identity {
                user_agent: peer.user_agent.as_deref(),
                source_ip: peer.source_ip,
                known: Known(&peer.identity),
            },
            request_id: &request.id,
            domain_name: &peer.domain,
            connection_id: peer.id.to_string(),
            api_id: api.api_id,
        }
    }
}

/// Pairs as a JSON object that holds the last value of each name.
struct Single<I>(I);

impl<'a, I: Iterator<Item = (&'a str, &'a str)> + Clone> Serialize for Single<I> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let last: IndexMap<&str, &str> = self.0.clone().collect();
        let mut map = serializer.serialize_map(Some(last.len()))?;
        for (name, value) in last {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// Pairs as a JSON object that holds the list of values of each name.
struct Multi<I>(I);

impl<'a, I: Iterator<Item = (&'a str, &'a str)> + Clone> Serialize for Multi<I> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut all: IndexMap<&str, Vec<&str>> = IndexMap::new();
        for (name, value) in self.0.clone() {
            all.entry(name).or_default().push(value);
        }
        let mut map = serializer.serialize_map(Some(all.len()))?;
        for (name, values) in all {
            map.serialize_entry(name, &values)?;
        }
        map.end()
    }
}
