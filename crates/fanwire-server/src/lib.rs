//! One App, served: a listener, the HTTP APIs behind it, and the planes.
//!
//! # Brief overview
//!
//! - [`Server::start`] binds, starts the hub, the functions host and the planes, and
//!   [`Server::stop`] takes them down again in bounded time.
//! - `listener` accepts connections and speaks HTTP/1.1; a WebSocket handshake leaves
//!   HTTP there and its socket goes to a shard.
//! - `tls` is what makes the same port speak TLS: [`Authority`] is where its certificates
//!   come from.
//! - `address` says which API a URL means; `upgrade`, `management`, `lambda_api`
//!   and `dynamodb` answer for it, and `control` for what AWS has not: what the
//!   `fanwire` command asks.

mod address;
mod control;
mod dynamodb;
mod endpoints;
mod head_tap;
mod lambda_api;
mod listener;
mod management;
mod response;
mod router;
mod server;
mod tls;
mod upgrade;

pub use self::control::{Feed, Listening, Logs};
pub use self::server::{Observers, Server, ServerOptions, StartError};
pub use self::tls::{Authority, TlsError};
