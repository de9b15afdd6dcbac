//! Subscriptions as the homes of an app serve them, their types erased.

use std::fmt;
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::{Publisher, Stored, Subscriptions};
use crate::websocket::{Event, Gateway, Reply};
use crate::{Error, Result};

/// Procedures that an app offers: [`Subscriptions`], or [`Stored`] where it is to be a
/// function, too.
#[derive(Clone)]
pub struct Endpoint {
    /// How a function serves them, where there is a store.
    pub(crate) function: Option<Function>,
}

/// What serves clients from a function.
#[derive(Clone)]
pub(crate) struct Function {
    /// What events of the WebSocket API are given to.
    pub(crate) handle: Handle,
    /// Makes what publishes, of what reaches connections.
    pub(crate) publisher: MakePublisher,
}

/// What an event is given to.
pub(crate) type Handle = Arc<dyn Fn(Event) -> BoxFuture<'static, Result<Reply>> + Send + Sync>;

/// Makes what publishes.
pub(crate) type MakePublisher = Arc<dyn Fn(Arc<dyn Gateway>) -> Publisher + Send + Sync>;

// === impl Function ===

impl Function {
    /// What serves an app's procedures from a function.
    ///
    /// # Errors
    ///
    /// Where they have no store.
    pub(crate) fn of(endpoint: Endpoint) -> Result<Self> {
        endpoint.function.ok_or_else(|| {
            Error::new(
                500,
                "a function keeps nothing, so the app's procedures need a store: \
                 `subscriptions.stored(store)`",
            )
        })
    }
}

// === impl Endpoint ===

impl<C: Send + Sync + 'static> From<Subscriptions<C>> for Endpoint {
    fn from(_: Subscriptions<C>) -> Self {
        Self { function: None }
    }
}

impl<C: Send + Sync + 'static> From<Stored<C>> for Endpoint {
    fn from(stored: Stored<C>) -> Self {
        let stored = Arc::new(stored);
        let publishing = Arc::clone(&stored);
        let handle = move |event: Event| {
            let stored = Arc::clone(&stored);
            async move { stored.handle(&event).await }.boxed()
        };
        let publisher = move |gateway| publishing.publisher(gateway);
        Self {
            function: Some(Function { handle: Arc::new(handle), publisher: Arc::new(publisher) }),
        }
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("stored", &self.function.is_some()).finish_non_exhaustive()
    }
}
