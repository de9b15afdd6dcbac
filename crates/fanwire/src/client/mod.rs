//! Clients, for tests, tools and services: of WebSocket APIs, of MQTT brokers and of tRPC
//! servers, whether Fanwire's, AWS's or anybody's.
//!
//! - [`WebSocket`] is one connection: messages in and out, and how it ended.
//! - [`Trpc`] is what `@trpc/client` is in TypeScript: queries, mutations and subscriptions
//!   that outlive their connections.
//! - [`Mqtt`] is a session with a broker that outlives its connections.
//!
//! # Reconnecting
//!
//! [`Trpc`] and [`Mqtt`] connect at once and go on until they are dropped or closed: after a
//! connection is lost immediately, then after 2, 4, 8, 16 and 30 seconds, each less up to a
//! fifth so that the clients of a server that comes back do not all come at once. What can
//! wait for the connection does; `tokio::time::timeout` says for how long. [`Status`] says
//! what they wait for.
//!
//! # Bounds
//!
//! Whatever waits does so in a queue with a limit that its builder states.

mod address;
mod backoff;
mod connector;
mod error;
mod mqtt;
mod outbox;
mod status;
mod tls;
mod trpc;
mod websocket;

pub use self::error::ConnectError;
pub use self::mqtt::{
    Credentials, Message, MessageProperties, Mqtt, MqttBuilder, MqttError, MqttSubscription, Will,
};
pub use self::status::Status;
pub use fanwire_wire::trpc::{ErrorCode, Transformer};

pub use self::tls::{Trust, TrustError};
pub use self::trpc::{CallError, Event, ServerError, Subscription, Trpc, TrpcBuilder};
pub use self::websocket::{CloseReason, WebSocket, WebSocketBuilder, WebSocketError};
