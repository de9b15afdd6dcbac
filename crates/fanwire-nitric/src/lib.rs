//! What the services of a Nitric project call: sockets, collections and key-value stores,
//! over gRPC. The services are programs of their own, which have Nitric's SDK in them; to
//! them this is the host that `nitric start` would be.
//!
//! # Brief overview
//!
//! - [`Nitric`] is the handle: it serves both generations of the SDK on one port
//!   ([`Nitric::serve`]), and takes the events of sockets to the services that handle them
//!   ([`Nitric::connect`], [`Nitric::message`], [`Nitric::disconnect`]).
//! - A [`Gateway`] is what it reaches the clients of sockets by. It knows no WebSocket
//!   itself: who embeds it puts the two together.
//! - `api` says which method answers a request; `proto` has the messages.
//! - `sockets` knows which service handles which event, and `events` is the stream that
//!   each handler is asked on.
//! - `documents` and `values` are collections and key-value stores, over `items`: an
//!   ordered map in memory, kept in an embedded store.
//!
//! Methods and their meaning follow nitric.md (sections 2 to 4) of the reference. What is
//! not served answers `UNIMPLEMENTED`, while its declaration succeeds: the rest of an app
//! runs.

mod api;
mod documents;
mod events;
mod items;
mod nitric;
mod proto;
mod query;
mod resources;
mod server;
mod sockets;
mod values;

pub use self::items::ItemsError;
pub use self::nitric::{
    Activity, Gateway, GatewayError, Nitric, NitricParts, NotHandled, Observer, StartError,
};
