//! A client of tRPC servers over WebSockets: [`Trpc`].

mod builder;
mod call;
mod connection;
mod driver;
mod error;
mod session;
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod session_tests;
mod socket;
mod subscription;

use std::fmt;
use std::sync::Arc;

use fanwire_wire::trpc::ProcedureType;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::watch;

pub use self::builder::TrpcBuilder;
use self::call::{Calls, Happened, decoded, encoded};
pub use self::error::{CallError, ServerError};
use self::session::Request;
pub use self::subscription::{Event, Subscription};
use super::{ConnectError, Status};

/// A client of a tRPC server, Fanwire's or `@trpc/server`'s (v10 and v11): what `wsLink` of
/// `@trpc/client` is in TypeScript. Cheap to clone; it connects at once, and ends with its
/// last clone and subscription.
///
/// What is called while there is no connection is sent once there is one. When a connection
/// is lost, queries and mutations that the server had fail with
/// [`CallError::Disconnected`]; subscriptions go on after their last tracked event, and their
/// readers do not see it. Calls that are made at the same time go out as one batch.
///
/// ```
/// use fanwire::client::Trpc;
///
/// # #[cfg(feature = "server")]
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// # use fanwire::subscriptions::{Router, TrpcError};
/// # use fanwire::{App, Server, ServerOptions};
/// # let procedures = Router::new()
/// #     .query("greet", |_, name: String| async move { Ok(format!("hello {name}")) })
/// #     .stream("count", |_, to: u32| futures_util::stream::iter((1..=to).map(Ok::<_, TrpcError>)))
/// #     .context(|_| async { Ok(()) });
/// # let options = ServerOptions::default().with_address(([127, 0, 0, 1], 0));
/// # let server = Server::start(App::new("app").subscriptions(procedures), options).await.unwrap();
/// # let url = format!("ws://{}/trpc", server.address());
/// let client = Trpc::connect(url)?;
/// let greeting: String = client.query("greet", &"ada").await?;
/// assert_eq!(greeting, "hello ada");
/// let mut numbers = client.subscribe::<u32>("count", &3).await?;
/// let mut sum = 0;
/// while let Some(event) = numbers.next().await {
///     sum += event?.data;
/// }
/// assert_eq!(sum, 6);
/// # server.stop().await;
/// # Ok(())
/// # }
/// # #[cfg(feature = "server")]
/// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
/// ```
#[derive(Clone)]
pub struct Trpc {
    calls: Calls,
    status: watch::Receiver<Status>,
}

// === impl Trpc ===

impl Trpc {
    /// A client of the server at a `ws` or `wss` URL. To be called on a tokio runtime, on
    /// which it goes on connecting until it does.
    ///
    /// # Errors
    ///
    /// Where the URL is none.
    pub fn connect(url: impl Into<String>) -> Result<Self, ConnectError> {
        Self::builder(url).connect()
    }

    /// To connect with parameters, a keep-alive, a transformer and the like.
    pub fn builder(url: impl Into<String>) -> TrpcBuilder {
        TrpcBuilder::new(url.into())
    }

    /// Asks for something. The input `&()` is undefined in TypeScript's words.
    ///
    /// # Errors
    ///
    /// [`CallError`]. Dropping the future forgets the query.
    pub async fn query<O: DeserializeOwned>(
        &self,
        path: &str,
        input: &impl Serialize,
    ) -> Result<O, CallError> {
        self.ask(ProcedureType::Query, path, input).await
    }

    /// Has something changed. The input `&()` is undefined in TypeScript's words.
    ///
    /// # Errors
    ///
    /// [`CallError`]; after [`CallError::Disconnected`] it may have been done. Dropping the
    /// future forgets the mutation and does not undo it.
    pub async fn mutate<O: DeserializeOwned>(
        &self,
        path: &str,
        input: &impl Serialize,
    ) -> Result<O, CallError> {
        self.ask(ProcedureType::Mutation, path, input).await
    }

    /// Listens to something. Done when the server says that the subscription has begun.
    ///
    /// # Errors
    ///
    /// [`CallError`]: the server refuses it, or the client was closed.
    pub async fn subscribe<T: DeserializeOwned>(
        &self,
        path: &str,
        input: &impl Serialize,
    ) -> Result<Subscription<T>, CallError> {
        self.listen(path, input, None).await
    }

    /// Listens to something from a tracked event on: what came after the one with this id, as
    /// far as the server still has it. For what outlives the process.
    ///
    /// # Errors
    ///
    /// As [`subscribe`](Self::subscribe).
    pub async fn subscribe_after<T: DeserializeOwned>(
        &self,
        path: &str,
        input: &impl Serialize,
        last_event_id: impl Into<String>,
    ) -> Result<Subscription<T>, CallError> {
        self.listen(path, input, Some(last_event_id.into())).await
    }

    /// Whether it is connected, and why not.
    pub fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// Waits until it is connected.
    ///
    /// # Errors
    ///
    /// [`CallError::Closed`].
    pub async fn connected(&self) -> Result<(), CallError> {
        let mut status = self.status.clone();
        let settled = |status: &Status| matches!(status, Status::Connected | Status::Closed);
        match status.wait_for(settled).await.as_deref() {
            Ok(Status::Connected) => Ok(()),
            _ => Err(CallError::Closed),
        }
    }

    /// Closes it, and with it all clones and subscriptions.
    pub async fn close(self) {
        self.calls.close().await;
    }

    async fn ask<O: DeserializeOwned>(
        &self,
        kind: ProcedureType,
        path: &str,
        input: &impl Serialize,
    ) -> Result<O, CallError> {
        let mut call = self.calls.start(request(kind, path, input, None)?).await?;
        loop {
            match call.next().await {
                Some(Ok(Happened::Data { json, .. })) => return decoded(json.as_deref()),
                // A query does not start; nor does it stop without an answer.
                Some(Ok(Happened::Started)) => {}
                Some(Err(error)) => return Err(error),
                None => return Err(CallError::Output("there is none".to_owned())),
            }
        }
    }

    async fn listen<T: DeserializeOwned>(
        &self,
        path: &str,
        input: &impl Serialize,
        last_event_id: Option<String>,
    ) -> Result<Subscription<T>, CallError> {
        let request = request(ProcedureType::Subscription, path, input, last_event_id)?;
        Subscription::begin(self.calls.start(request).await?).await
    }
}

fn request(
    kind: ProcedureType,
    path: &str,
    input: &impl Serialize,
    last_event_id: Option<String>,
) -> Result<Request, CallError> {
    Ok(Request { kind, path: path.to_owned(), input: encoded(input)?, last_event_id })
}

impl fmt::Debug for Trpc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trpc").field("status", &self.status()).finish_non_exhaustive()
    }
}

/// What gives a client's connection parameters.
type ParamsSource = Arc<
    dyn Fn() -> futures_util::future::BoxFuture<'static, crate::Result<Vec<(String, String)>>>
        + Send
        + Sync,
>;
