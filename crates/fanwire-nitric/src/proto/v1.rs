//! Messages of the SDKs since 1.0 (reference: nitric.md, section 3). Those of the
//! key-value stores of 1.0 and of later ones have the same layout.

use super::structure::Struct;
use super::{Empty, QueryParams};

/// What a service sends on its stream of a socket's events.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ClientMessage {
    #[prost(string, tag = "1")]
    pub(crate) id: String,
    #[prost(oneof = "ClientContent", tags = "2, 3")]
    pub(crate) content: Option<ClientContent>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(crate) enum ClientContent {
    #[prost(message, tag = "2")]
    Registration(RegistrationRequest),
    #[prost(message, tag = "3")]
    Response(EventResponse),
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct RegistrationRequest {
    #[prost(string, tag = "1")]
    pub(crate) socket_name: String,
    /// Connect 0, disconnect 1, message 2.
    #[prost(int32, tag = "2")]
    pub(crate) event_type: i32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct EventResponse {
    #[prost(oneof = "ResponseContent", tags = "10")]
    pub(crate) content: Option<ResponseContent>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(crate) enum ResponseContent {
    #[prost(message, tag = "10")]
    Connection(ConnectionResponse),
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ConnectionResponse {
    #[prost(bool, tag = "1")]
    pub(crate) reject: bool,
}

/// What is sent to a service.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ServerMessage {
    #[prost(string, tag = "1")]
    pub(crate) id: String,
    #[prost(oneof = "ServerContent", tags = "2, 3")]
    pub(crate) content: Option<ServerContent>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(crate) enum ServerContent {
    #[prost(message, tag = "2")]
    Registered(Empty),
    #[prost(message, tag = "3")]
    Event(EventRequest),
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct EventRequest {
    #[prost(string, tag = "1")]
    pub(crate) socket_name: String,
    #[prost(string, tag = "2")]
    pub(crate) connection_id: String,
    #[prost(oneof = "EventContent", tags = "10, 11, 12")]
    pub(crate) event: Option<EventContent>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(crate) enum EventContent {
    #[prost(message, tag = "10")]
    Connection(ConnectionEvent),
    #[prost(message, tag = "11")]
    Disconnection(Empty),
    #[prost(message, tag = "12")]
    Message(MessageEvent),
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ConnectionEvent {
    #[prost(map = "string, message", tag = "1")]
    pub(crate) query_params: QueryParams,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct MessageEvent {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) body: bytes::Bytes,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct DeclareRequest {
    #[prost(message, optional, tag = "1")]
    pub(crate) id: Option<ResourceIdentifier>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ResourceIdentifier {
    #[prost(int32, tag = "1")]
    pub(crate) kind: i32,
    #[prost(string, tag = "2")]
    pub(crate) name: String,
}

/// A websocket, as the kind of a resource.
pub(crate) const WEBSOCKET: i32 = 10;

/// What a resource is, where Fanwire does not serve it.
pub(crate) fn not_served(kind: i32) -> Option<&'static str> {
    Some(match kind {
        0 => "API",
        2 => "bucket",
        3 => "topic",
        4 => "schedule",
        8 => "secret",
        11 => "HTTP app",
        13 => "queue",
        14 => "SQL database",
        15 => "batch",
        16 => "job",
        17 => "website",
        _ => return None,
    })
}

/// A message for a client, or, without data, its goodbye.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct SocketRequest {
    #[prost(string, tag = "1")]
    pub(crate) socket_name: String,
    #[prost(string, tag = "2")]
    pub(crate) connection_id: String,
    #[prost(bytes = "bytes", tag = "3")]
    pub(crate) data: bytes::Bytes,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct SocketDetailsRequest {
    #[prost(string, tag = "1")]
    pub(crate) socket_name: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct SocketDetails {
    #[prost(string, tag = "1")]
    pub(crate) url: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ValueRef {
    #[prost(string, tag = "1")]
    pub(crate) store: String,
    #[prost(string, tag = "2")]
    pub(crate) key: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Value {
    #[prost(message, optional, tag = "1")]
    pub(crate) reference: Option<ValueRef>,
    #[prost(message, optional, tag = "2")]
    pub(crate) content: Option<Struct>,
}

/// For `GetValue` and `DeleteKey`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ValueRequest {
    #[prost(message, optional, tag = "1")]
    pub(crate) reference: Option<ValueRef>,
}

/// `value` is left out where there is none.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ValueResponse {
    #[prost(message, optional, tag = "1")]
    pub(crate) value: Option<Value>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct SetValueRequest {
    #[prost(message, optional, tag = "1")]
    pub(crate) reference: Option<ValueRef>,
    #[prost(message, optional, tag = "3")]
    pub(crate) content: Option<Struct>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ScanKeysRequest {
    #[prost(message, optional, tag = "1")]
    pub(crate) store: Option<Store>,
    #[prost(string, tag = "2")]
    pub(crate) prefix: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Store {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ScanKeysResponse {
    #[prost(string, tag = "1")]
    pub(crate) key: String,
}
