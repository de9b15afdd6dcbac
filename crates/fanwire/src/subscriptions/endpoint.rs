//! Subscriptions as the homes of an app serve them, their types erased.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use fanwire_wire::trpc::Transformer;

use super::{Answer, Call, ErrorCode, Opening, Publisher, Stored, Subscriptions, TrpcError};
use crate::websocket::{Event, Gateway, Reply};
use crate::{Error, Result};

/// Procedures that an app offers: [`Subscriptions`], or [`Stored`] where it is to be a
/// function, too.
#[derive(Clone)]
pub struct Endpoint {
    /// How a function serves them, where there is a store.
    pub(crate) function: Option<Function>,
    /// What a server calls.
    pub(crate) procedures: Arc<dyn AnyProcedures>,
}

/// Procedures whose context may be of any type.
#[cfg_attr(not(feature = "server"), expect(dead_code, reason = "what servers need"))]
pub(crate) trait AnyProcedures: Send + Sync {
    /// Makes the context of a client.
    fn open(&self, opening: Opening) -> BoxFuture<'static, Result<Context, TrpcError>>;

    /// Calls a procedure with a context that `open` has made.
    fn call(&self, context: Context, call: Call) -> BoxFuture<'static, Result<Answer, TrpcError>>;

    /// What clients put between values and JSON.
    fn transformer(&self) -> Transformer;

    /// Tells of an error, and the path of the procedure that was called.
    fn report(&self, error: &TrpcError, path: Option<&str>);
}

/// A context of any type.
pub(crate) type Context = Arc<dyn Any + Send + Sync>;

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
    fn from(subscriptions: Subscriptions<C>) -> Self {
        Self { function: None, procedures: Arc::new(subscriptions) }
    }
}

impl<C: Send + Sync + 'static> From<Stored<C>> for Endpoint {
    fn from(stored: Stored<C>) -> Self {
        let procedures = Arc::new(stored.subscriptions().clone());
        let stored = Arc::new(stored);
        let publishing = Arc::clone(&stored);
        let handle = move |event: Event| {
            let stored = Arc::clone(&stored);
            async move { stored.handle(&event).await }.boxed()
        };
        let publisher = move |gateway| publishing.publisher(gateway);
        Self {
            procedures,
            function: Some(Function { handle: Arc::new(handle), publisher: Arc::new(publisher) }),
        }
    }
}

impl<C: Send + Sync + 'static> AnyProcedures for Subscriptions<C> {
    fn open(&self, opening: Opening) -> BoxFuture<'static, Result<Context, TrpcError>> {
        let opened = Self::open(self, opening);
        async { opened.await.map(|context| context as Context) }.boxed()
    }

    fn call(&self, context: Context, call: Call) -> BoxFuture<'static, Result<Answer, TrpcError>> {
        match context.downcast() {
            Ok(context) => Self::call(self, context, call),
            // Whoever calls has the context from `open`.
            Err(_) => {
                let error = TrpcError::new(ErrorCode::InternalServerError, "a context of others");
                std::future::ready(Err(error)).boxed()
            }
        }
    }

    fn transformer(&self) -> Transformer {
        Self::transformer(self)
    }

    fn report(&self, error: &TrpcError, path: Option<&str>) {
        Self::report(self, error, path);
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("stored", &self.function.is_some()).finish_non_exhaustive()
    }
}
