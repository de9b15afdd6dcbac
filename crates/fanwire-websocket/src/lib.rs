//! The WebSocket plane: API Gateway's WebSocket APIs, to the letter where a client
//! or handler can see it.
//!
//! # Brief overview
//!
//! - [`Plane`] is the handle: it takes handshakes through authorizer and `$connect`
//!   ([`Plane::connect`]), and does what the management API asks
//!   ([`Plane::post`], [`Plane::inspect`], [`Plane::delete`]). [`Plane::update`] gives
//!   it other APIs while connections are live.
//! - `session` is the state machine of one connection on its shard.
//! - `dispatch` takes a message to its route and the result back.
//! - `groups` are what connections can be addressed by besides their ids, tags and topics;
//!   `many` is one call for many of them, and `topics` brings messages of a broker.
//! - `nodes` is the seam to other nodes that serve the same App: `errand` is what they ask each
//!   other, `record` what is kept of a connection in case its node is gone.
//! - [`Native`] is a function that is Rust in this process, and gets events as values.
//! - `event`, `result`, `frame` and `rejection` hold what goes over the wire, key by
//!   key; `policy` and `authorizer` decide who may connect.
//! - An [`Observer`] is told of every request, and of all [`Traffic`] if it wants to be.
//!
//! A message's way: session (shard thread) → dispatch (a task) → integration → frame
//! → session → socket. Nothing on the way blocks a shard.

mod access_log;
mod api;
mod apis;
mod authorizer;
mod dispatch;
mod drops;
mod errand;
mod event;
mod figures;
mod first_groups;
mod frame;
mod gateway_id;
mod groups;
mod handshake;
mod integration;
mod listing;
mod management;
mod many;
mod native;
mod nodes;
mod notice;
mod observer;
mod peer;
mod plane;
mod policy;
mod record;
mod rejection;
mod result;
mod selected;
mod session;
mod timestamp;
mod topics;
mod traffic;

pub use self::apis::Apis;
pub use self::event::EventType;
pub use self::figures::WebSocketStats;
pub use self::gateway_id::request_id;
pub use self::groups::{Group, GroupError};
pub use self::handshake::{Arrival, ClientRequest, Voucher};
pub use self::listing::ListedConnection;
pub use self::management::{ConnectionInfo, ManagementError, Post};
pub use self::many::{Delivered, Recipients};
pub use self::native::{
    Native, NativeBody, NativeClient, NativeError, NativeEvent, NativeGrant, NativeReply,
    NativeResult, Natives,
};
pub use self::nodes::{NodeError, Nodes, Stay};
pub use self::observer::{Observer, RequestRecord};
pub use self::peer::ApiIndex;
pub use self::plane::{Handshake, Pending, Plane, PlaneParts};
pub use self::rejection::Rejection;
pub use self::session::WebSocketSession;
pub use self::topics::{Deliver, TopicSource, TopicSubscription};
pub use self::traffic::{Answered, Id, Payload, Side, Traffic};
