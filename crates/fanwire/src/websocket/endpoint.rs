//! An app as its homes see it: handlers behind one function.

use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::{Allow, Event, Reply};
use crate::Result;

/// A WebSocket app whose types are gone.
#[derive(Clone)]
#[cfg_attr(
    not(any(feature = "lambda", feature = "server")),
    allow(dead_code, reason = "homes read it, and without one there is none")
)]
pub(crate) struct Endpoint {
    /// Keys of the custom routes, in the order in which they were added.
    pub(crate) routes: Vec<String>,
    /// Whether somebody wants to see `$connect`. Where nobody does, a home may leave it out.
    pub(crate) has_connect: bool,
    /// Whether somebody wants to see `$disconnect`.
    pub(crate) has_disconnect: bool,
    /// Whether there is a handler for messages of no other route.
    pub(crate) has_default: bool,
    /// Whether the app chooses routes in a way of its own: then all messages have to come
    /// as `$default`.
    pub(crate) selects: bool,
    /// What is asked before `$connect`.
    pub(crate) authorizer: Option<Call<Allow>>,
    /// What takes the events. Messages that come as `$default` are given to the route that
    /// they choose; one that chooses none is answered with API Gateway's frame.
    pub(crate) service: Call<Reply>,
}

/// What an event is given to.
pub(crate) type Call<T> = Arc<dyn Fn(Event) -> BoxFuture<'static, Result<T>> + Send + Sync>;

// === impl Endpoint ===

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("routes", &self.routes)
            .field("has_connect", &self.has_connect)
            .field("has_disconnect", &self.has_disconnect)
            .field("has_default", &self.has_default)
            .field("selects", &self.selects)
            .finish_non_exhaustive()
    }
}
