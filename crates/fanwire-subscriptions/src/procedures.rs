//! What an app brings: procedures, and what a call of one can be answered with.

use std::any::Any;
use std::net::SocketAddr;
use std::sync::Arc;

use fanwire_hub::ConnectionId;
use fanwire_wire::trpc::{ConnectionParams, ErrorCode, ProcedureType};
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use http::HeaderMap;
use serde_json::value::RawValue;

use crate::Payload;

/// The procedures of an app: what a tRPC router is.
///
/// Both functions run on the tokio runtime that the plane was started with. What they return
/// owns all it needs, so that it can outlive the connection that asked.
pub trait Procedures: Send + Sync + 'static {
    /// What the procedures are to know of a client, made once for each connection. Where it
    /// fails the client is told why, without an id, and disconnected.
    fn context(&self, opening: Opening) -> BoxFuture<'static, Result<Context, CallError>>;

    /// A call of a procedure. A call that takes longer than
    /// [`Limits::call_timeout`](crate::Limits::call_timeout) is dropped, and so is that of a
    /// subscription whose client does not want it any more; queries and mutations run on
    /// where their client has left.
    fn call(&self, context: Context, call: Call) -> BoxFuture<'static, Result<Answer, CallError>>;
}

/// What the procedures know of a client.
pub type Context = Arc<dyn Any + Send + Sync>;

/// The events of a subscription, as a stream. Where it ends, the subscription does.
pub type EventStream = BoxStream<'static, Result<StreamEvent, CallError>>;

/// A client that has connected.
#[derive(Debug, Clone)]
pub struct Opening {
    /// The connection.
    pub connection: ConnectionId,
    /// Where it comes from: the client, or the nearest proxy.
    pub peer: SocketAddr,
    /// The headers of its handshake.
    pub headers: HeaderMap,
    /// The query of its URL, as it was sent; empty where there is none.
    pub query: String,
    /// What a v11 client said of itself. `None`: nothing.
    pub connection_params: ConnectionParams,
}

/// A call of a procedure.
#[derive(Debug, Clone)]
pub struct Call {
    /// How it is called.
    pub kind: ProcedureType,
    /// Its path, such as `room.messages`.
    pub path: String,
    /// Its input as JSON, the transformer undone. `None`: undefined.
    pub input: Option<Box<RawValue>>,
    /// The id of the last event that a client had which subscribes again. The server of tRPC
    /// puts it into an input that is an object.
    pub last_event_id: Option<String>,
    /// Who calls.
    pub connection: ConnectionId,
}

/// What a call is answered with.
pub enum Answer {
    /// The result of a query or mutation.
    Value(Payload),
    /// The caller is subscribed to what is published from now on.
    Subscribed(Interest),
    /// The caller is subscribed to what this stream gives. It is not asked for more while the
    /// caller does not take what there is.
    Stream(EventStream),
}

/// What a subscriber wants to have of what is published.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Interest {
    /// The path that is published to: mostly that of the procedure.
    pub path: String,
    /// The subscriber's keys: for each of the path's filters, by the number that the app gives
    /// it, what the subscriber is found by. A subscriber may have several keys for one filter.
    ///
    /// Keys are bytes that only the app reads. A publication reaches those whose key begins
    /// with the bytes that it names, so fields are to be encoded in their order, each such
    /// that none is the beginning of another.
    pub keys: Vec<(u16, Vec<u8>)>,
    /// The id of the last event that the client had: what came after is sent first. `None`: it
    /// begins with what is published from now on.
    pub after: Option<String>,
}

/// One event of a stream.
#[derive(Debug, Clone)]
pub struct StreamEvent {
    /// The id of a tracked event: a client that comes back names the last one that it had in
    /// [`Call::last_event_id`], and the app takes it from there.
    pub id: Option<String>,
    /// The value.
    pub data: Payload,
}

/// Why a call fails, as its caller is told.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message} ({code})")]
pub struct CallError {
    /// What kind of failure it is.
    pub code: ErrorCode,
    /// The failure in words, for the client.
    pub message: String,
    /// An object whose members the client finds in `error.data`: what an error formatter adds
    /// in tRPC.
    pub data: Option<Box<RawValue>>,
}

// === impl CallError ===

impl CallError {
    /// A failure, in words that the client may read.
    ///
    /// ```
    /// use fanwire_subscriptions::{CallError, ErrorCode};
    ///
    /// let error = CallError::new(ErrorCode::Forbidden, "the room is closed");
    /// assert_eq!(error.to_string(), "the room is closed (FORBIDDEN)");
    /// ```
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), data: None }
    }

    /// What the call of a procedure that there is not is told, in tRPC's words.
    pub fn no_such_procedure(kind: ProcedureType, path: &str) -> Self {
        let message = fanwire_wire::trpc::ErrorShape::no_such_procedure(kind, path);
        Self::new(ErrorCode::NotFound, message)
    }
}
