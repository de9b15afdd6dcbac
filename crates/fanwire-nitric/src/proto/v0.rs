//! Messages of the SDKs 0.14 to 0.16 (reference: nitric.md, section 2).

use std::collections::HashMap;

use super::structure::Struct;
use super::{Empty, QueryParams};

/// What a service sends on its stream of triggers.
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
    Init(InitRequest),
    #[prost(message, tag = "3")]
    Response(TriggerResponse),
}

/// What a stream is for.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct InitRequest {
    #[prost(oneof = "Worker", tags = "10, 11, 12, 13, 14, 15")]
    pub(crate) worker: Option<Worker>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(crate) enum Worker {
    #[prost(message, tag = "10")]
    Api(Empty),
    #[prost(message, tag = "11")]
    Subscription(Empty),
    #[prost(message, tag = "12")]
    Schedule(Empty),
    #[prost(message, tag = "13")]
    BucketNotification(Empty),
    #[prost(message, tag = "14")]
    Websocket(WebsocketWorker),
    #[prost(message, tag = "15")]
    Http(Empty),
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct WebsocketWorker {
    #[prost(string, tag = "1")]
    pub(crate) socket: String,
    /// Connect 0, disconnect 1, message 2.
    #[prost(int32, tag = "2")]
    pub(crate) event: i32,
}

/// What is sent to a service.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ServerMessage {
    #[prost(string, tag = "1")]
    pub(crate) id: String,
    #[prost(oneof = "ServerContent", tags = "3")]
    pub(crate) content: Option<ServerContent>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(crate) enum ServerContent {
    #[prost(message, tag = "3")]
    Trigger(TriggerRequest),
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct TriggerRequest {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) data: bytes::Bytes,
    #[prost(string, tag = "2")]
    pub(crate) mime_type: String,
    #[prost(oneof = "TriggerContext", tags = "6")]
    pub(crate) context: Option<TriggerContext>,
    /// The SDK reads it of every trigger.
    #[prost(message, optional, tag = "10")]
    pub(crate) trace_context: Option<TraceContext>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(crate) enum TriggerContext {
    #[prost(message, tag = "6")]
    Websocket(WebsocketTriggerContext),
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct TraceContext {
    #[prost(map = "string, string", tag = "1")]
    pub(crate) values: HashMap<String, String>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct WebsocketTriggerContext {
    #[prost(string, tag = "1")]
    pub(crate) socket: String,
    #[prost(int32, tag = "2")]
    pub(crate) event: i32,
    #[prost(string, tag = "3")]
    pub(crate) connection_id: String,
    #[prost(map = "string, message", tag = "6")]
    pub(crate) query_params: QueryParams,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct TriggerResponse {
    #[prost(oneof = "ResponseContext", tags = "13")]
    pub(crate) context: Option<ResponseContext>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(crate) enum ResponseContext {
    #[prost(message, tag = "13")]
    Websocket(WebsocketResponse),
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct WebsocketResponse {
    #[prost(bool, tag = "1")]
    pub(crate) success: bool,
}

/// A resource that a service has, or wants to know of.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ResourceRequest {
    #[prost(message, optional, tag = "1")]
    pub(crate) resource: Option<Resource>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Resource {
    /// See [`resource_kind`].
    #[prost(int32, tag = "1")]
    pub(crate) kind: i32,
    #[prost(string, tag = "2")]
    pub(crate) name: String,
}

/// A websocket, as the kind of a resource.
pub(crate) const WEBSOCKET: i32 = 11;

/// What a resource is, where Fanwire does not serve it.
pub(crate) fn not_served(kind: i32) -> Option<&'static str> {
    Some(match kind {
        0 => "API",
        2 => "bucket",
        3 => "queue",
        4 => "topic",
        5 => "schedule",
        9 => "secret",
        12 => "HTTP app",
        _ => return None,
    })
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ResourceDetails {
    #[prost(string, tag = "1")]
    pub(crate) id: String,
    #[prost(string, tag = "2")]
    pub(crate) provider: String,
    #[prost(string, tag = "3")]
    pub(crate) service: String,
    #[prost(oneof = "Details", tags = "11")]
    pub(crate) details: Option<Details>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(crate) enum Details {
    #[prost(message, tag = "11")]
    Websocket(WebsocketDetails),
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct WebsocketDetails {
    #[prost(string, tag = "1")]
    pub(crate) url: String,
}

/// A message for a client, or, without data, its goodbye.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct SocketRequest {
    #[prost(string, tag = "1")]
    pub(crate) socket: String,
    #[prost(string, tag = "2")]
    pub(crate) connection_id: String,
    #[prost(bytes = "bytes", tag = "3")]
    pub(crate) data: bytes::Bytes,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Collection {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    /// The document that it belongs to, where it is a sub-collection.
    #[prost(message, optional, boxed, tag = "2")]
    pub(crate) parent: Option<Box<Key>>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Key {
    #[prost(message, optional, tag = "1")]
    pub(crate) collection: Option<Collection>,
    #[prost(string, tag = "2")]
    pub(crate) id: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Document {
    #[prost(message, optional, tag = "1")]
    pub(crate) content: Option<Struct>,
    #[prost(message, optional, tag = "2")]
    pub(crate) key: Option<Key>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct DocumentKeyRequest {
    #[prost(message, optional, tag = "1")]
    pub(crate) key: Option<Key>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct DocumentSetRequest {
    #[prost(message, optional, tag = "1")]
    pub(crate) key: Option<Key>,
    #[prost(message, optional, tag = "3")]
    pub(crate) content: Option<Struct>,
}

/// The answer to `Get`, and each of those of `QueryStream`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct DocumentResponse {
    #[prost(message, optional, tag = "1")]
    pub(crate) document: Option<Document>,
}

/// For `Query`, and without a token for `QueryStream`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct DocumentQueryRequest {
    #[prost(message, optional, tag = "1")]
    pub(crate) collection: Option<Collection>,
    #[prost(message, repeated, tag = "3")]
    pub(crate) expressions: Vec<Expression>,
    #[prost(int32, tag = "4")]
    pub(crate) limit: i32,
    #[prost(map = "string, string", tag = "5")]
    pub(crate) paging_token: HashMap<String, String>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct DocumentQueryResponse {
    #[prost(message, repeated, tag = "1")]
    pub(crate) documents: Vec<Document>,
    #[prost(map = "string, string", tag = "2")]
    pub(crate) paging_token: HashMap<String, String>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Expression {
    #[prost(string, tag = "1")]
    pub(crate) operand: String,
    #[prost(string, tag = "2")]
    pub(crate) operator: String,
    #[prost(message, optional, tag = "3")]
    pub(crate) value: Option<ExpressionValue>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ExpressionValue {
    #[prost(oneof = "Operand", tags = "1, 2, 3, 4")]
    pub(crate) kind: Option<Operand>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(crate) enum Operand {
    #[prost(int64, tag = "1")]
    Int(i64),
    #[prost(double, tag = "2")]
    Double(f64),
    #[prost(string, tag = "3")]
    Text(String),
    #[prost(bool, tag = "4")]
    Bool(bool),
}
