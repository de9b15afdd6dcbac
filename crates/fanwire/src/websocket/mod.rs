//! WebSocket apps, as API Gateway, lawcket and Nitric have them.
//!
//! [`WebSocket`] is an app: [handlers](Handler) by route, whose arguments are
//! [made from the event](extract) and whose results are [replies](IntoReply).
//! [Plugins](Plugin) run beside them, `tower`'s layers around them.

mod authorizer;
mod builder;
mod connection;
mod endpoint;
mod event;
pub mod extract;
mod gateway;
mod handler;
mod pending;
mod plugin;
mod reply;
mod service;
mod sync;
#[cfg(test)]
mod tests;

pub use self::authorizer::{Allow, AllowError, IntoAllow};
pub use self::builder::{AppService, WebSocket};
pub use self::connection::{Audience, Connection, Peer};
pub(crate) use self::endpoint::{Call, Endpoint};
pub use self::event::{Body, ConnectionInfo, Event, EventKind};
pub use self::extract::{
    Authorized, Closed, ExtractError, FromEvent, FromRef, Headers, Json, Principal, Query, State,
    Text,
};
pub use self::gateway::{Delivered, Gateway, Group, Recipients, SendError};
pub use self::handler::Handler;
pub use self::plugin::Plugin;
pub use self::reply::{IntoReply, Reply};
pub use self::sync::ConnectionSync;
