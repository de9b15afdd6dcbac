//! Handlers in this process: what a route has behind it where the App is Rust and the
//! gateway is a part of it. They get what events hold as values, never as JSON.

use std::collections::HashMap;
use std::fmt::Debug;
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use fanwire_hub::ConnectionId;
use futures_util::future::BoxFuture;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::api::Api;
use crate::event::{EventType, Request};
use crate::handshake::ClientRequest;
use crate::peer::Peer;

/// A function of the App that is Rust in this process.
///
/// It has the semantics of any other: it runs on after its time is up, though nobody hears
/// of its result, and one that panics has failed.
pub trait Native: Debug + Send + Sync + 'static {
    /// Takes an event of a route.
    fn handle(&self, event: NativeEvent<'_>) -> BoxFuture<'static, NativeResult<NativeReply>>;

    /// Decides, as an authorizer, whether a client may connect.
    fn authorize(&self, event: NativeEvent<'_>) -> BoxFuture<'static, NativeResult<NativeGrant>>;
}

/// What a native function returns.
pub type NativeResult<T> = Result<T, NativeError>;

/// The native functions of an App by the keys that its routes and authorizers name.
pub type Natives = HashMap<String, Arc<dyn Native>>;

/// An event: a handshake, a message or a disconnect.
#[derive(Debug)]
pub struct NativeEvent<'a> {
    /// What it is.
    pub kind: EventType,
    /// The route that takes it.
    pub route_key: &'a str,
    /// The gateway's id for it.
    pub request_id: &'a str,
    /// The connection's id.
    pub connection: ConnectionId,
    /// The API's id.
    pub api_id: &'a str,
    /// The API's stage.
    pub stage: &'a str,
    /// The host, with its port, that the client connected to.
    pub domain: &'a str,
    /// When it connected, in milliseconds since the epoch.
    pub connected_at: u64,
    /// The client's address.
    pub source_ip: IpAddr,
    /// What the client says that it is.
    pub user_agent: Option<&'a str>,
    /// Headers of a handshake; `None` for others.
    pub client: Option<NativeClient<'a>>,
    /// The message; an empty text for others.
    pub body: NativeBody,
    /// What the authorizer said: an object of strings.
    pub authorizer: Option<&'a RawValue>,
    /// How the connection ended: the close code and its reason.
    pub closed: Option<(u16, &'a str)>,
}

/// The request that opens a connection.
#[derive(Debug, Clone, Copy)]
pub struct NativeClient<'a>(&'a ClientRequest);

/// What a message carries, either way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NativeBody {
    /// Text.
    Text(String),
    /// Bytes.
    Binary(Bytes),
}

/// What a handler answers.
#[derive(Debug)]
pub struct NativeReply {
    /// For handshakes: 200 to 299 accepts.
    pub status: u16,
    /// Headers of the handshake's answer.
    pub headers: Vec<(String, String)>,
    /// What goes to the client, where the route has a response; `None`: nothing.
    pub body: Option<NativeBody>,
}

/// A client may connect.
#[derive(Debug)]
pub struct NativeGrant {
    /// Who it is; not empty.
    pub principal: String,
    /// What handlers are told of it.
    pub context: Map<String, Value>,
}

/// A native function has failed.
#[derive(Debug, thiserror::Error)]
#[error("{why}")]
pub struct NativeError {
    /// The status that a handshake is refused with. 500 stands for a defect of the function.
    pub status: u16,
    /// What went wrong, for logs.
    pub why: String,
    /// What the client of a handshake that is refused reads, in place of the gateway's own
    /// words.
    pub words: Option<String>,
}

// === impl NativeEvent ===

impl<'a> NativeEvent<'a> {
    /// An event without body, client and cause.
    pub(crate) fn of(
        api: &'a Api,
        peer: &'a Peer,
        request: &'a Request,
        route_key: &'a str,
    ) -> Self {
        let context = api.context();
        Self {
            kind: request.kind,
            route_key,
            request_id: &request.id,
            connection: peer.id,
            api_id: context.api_id,
            stage: context.stage,
            domain: &peer.domain,
            connected_at: peer.connected_at,
            source_ip: peer.source_ip,
            user_agent: peer.user_agent.as_deref(),
            client: None,
            body: NativeBody::default(),
            authorizer: peer.authorizer.as_ref().map(|authorized| &*authorized.context),
            closed: None,
        }
    }

    /// With the request that opens the connection.
    pub(crate) fn with_client(self, client: &'a ClientRequest) -> Self {
        Self { client: Some(NativeClient(client)), ..self }
    }
}

// === impl NativeClient ===

impl<'a> NativeClient<'a> {
    /// Headers as `$connect` events show them, in their order.
    pub fn headers(self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0.event_headers()
    }

    /// Headers as authorizers see them: those of the connection itself, too.
    pub fn all_headers(self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0.authorizer_headers()
    }

    /// The query, decoded.
    pub fn query(self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0.query()
    }
}

// === impl NativeError ===

impl NativeError {
    /// An error that clients are told of in the gateway's words.
    pub fn new(status: u16, why: impl Into<String>) -> Self {
        Self { status, why: why.into(), words: None }
    }
}

// === impl NativeBody ===

impl Default for NativeBody {
    /// An empty text.
    fn default() -> Self {
        Self::Text(String::new())
    }
}
