//! Serving clients from functions, which keep nothing: who is subscribed to what is in a
//! store, where every publisher finds it.

mod aws_trpc;
mod connection;
mod delivery;
mod history;
mod message;
mod records;
mod resume;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

pub use self::delivery::StoredDelivery;
pub use self::records::Layout;
use super::{Publisher, Subscriptions};
use crate::Result;
use crate::store::Store;
use crate::websocket::{Event, EventKind, Gateway, Reply};

/// How long records last unless there is activity: 4 hours, as in `aws-trpc-subscriptions`.
const LIFETIME: Duration = Duration::from_secs(4 * 3600);

/// How many subscriptions a connection may have unless said otherwise: as many as on a server.
const MAX_SUBSCRIPTIONS: usize = 1024;

/// Serves clients from functions: what the routes `$connect`, `$disconnect` and `$default`
/// of a WebSocket API call.
///
/// Answers go through the gateway, one text message each, as tRPC has them; so the routes
/// need no response. Clients may send queries and mutations too, and v11 clients their
/// `connectionParams`, and `PING`.
///
/// ```
/// # use fanwire::store::Memory;
/// # use fanwire::subscriptions::Router;
/// # use fanwire::websocket::{Event, Reply};
/// # fn app() {
/// let subscriptions = Router::<()>::new()
///     .query("greeting", |_ctx, name: String| async move { Ok(format!("hello {name}")) })
///     .context(|_| async { Ok(()) })
///     .stored(Memory::new());
///
/// let main = async move |event: Event| -> fanwire::Result<Reply> {
///     subscriptions.handle(&event).await
/// };
/// # let _ = main;
/// # }
/// ```
///
/// # Races
///
/// A gateway may have two messages of a connection under way at once. A subscription that is
/// begun while a connection says its `connectionParams` waits for them, for 5 seconds. A
/// `subscription.stop` that overtakes its subscription is lost, and the client then ignores
/// what it is sent. Who resumes while events are published gets each of them once, in their
/// order but for those of the moment at which the last one that was missed has been sent; and
/// nobody misses one, as long as the clocks of publishers agree to the time that passes
/// between two events, and no publication takes longer than a minute. One is missed whose
/// publication was under way when the connection ended, where another that began later had been
/// sent by then: whoever resumes says that it has seen the later one, and so all before.
pub struct Stored<C> {
    subscriptions: Subscriptions<C>,
    store: Arc<dyn Store>,
    layout: Layout,
    lifetime: Duration,
    max_subscriptions: usize,
    /// How a context is written, where the layout has contexts.
    write_context: Option<fn(&C) -> serde_json::Result<Value>>,
}

// === impl Stored ===

impl<C: Send + Sync + 'static> Stored<C> {
    pub(super) fn new(subscriptions: Subscriptions<C>, store: Arc<dyn Store>) -> Self {
        Self {
            subscriptions,
            store,
            layout: Layout::default(),
            lifetime: LIFETIME,
            max_subscriptions: MAX_SUBSCRIPTIONS,
            write_context: None,
        }
    }

    /// Has records last so long, 4 hours unless said otherwise. They are written anew by
    /// activity, so that it is the time without any after which a connection is forgotten
    /// that ended unnoticed.
    #[must_use]
    pub fn with_lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// Lets a connection have so many subscriptions, 1,024 unless said otherwise. One more
    /// fails with [`ErrorCode::TooManyRequests`](super::ErrorCode::TooManyRequests).
    ///
    /// They are counted once for each message that begins some, by a query of the
    /// connection's records; those that two messages begin at the same moment do not see each
    /// other.
    #[must_use]
    pub fn with_max_subscriptions(mut self, most: usize) -> Self {
        self.max_subscriptions = most;
        self
    }

    /// Does what an event asks for: [`connect`](Self::connect),
    /// [`disconnect`](Self::disconnect) or [`handler`](Self::handler).
    ///
    /// # Errors
    ///
    /// As those.
    pub async fn handle(&self, event: &Event) -> Result<Reply> {
        match event.kind {
            EventKind::Connect => self.connect(event).await,
            EventKind::Disconnect => self.disconnect(event).await,
            EventKind::Message => self.handler(event).await,
        }
    }

    /// Lets a client in: for the route `$connect`.
    ///
    /// # Errors
    ///
    /// When the store fails: the client is then refused.
    pub async fn connect(&self, event: &Event) -> Result<Reply> {
        connection::connect(self, event).await?;
        Ok(Reply::default())
    }

    /// Forgets a connection and its subscriptions: for the route `$disconnect`.
    ///
    /// # Errors
    ///
    /// When the store fails: what is left then expires.
    pub async fn disconnect(&self, event: &Event) -> Result<Reply> {
        self.forget(&event.connection.id).await?;
        Ok(Reply::default())
    }

    /// Answers a message: for the route `$default`.
    ///
    /// # Errors
    ///
    /// When the store or the gateway fails; what is wrong with a call, its caller is told.
    pub async fn handler(&self, event: &Event) -> Result<Reply> {
        message::answer(self, event).await?;
        Ok(Reply::default())
    }

    /// The procedures.
    pub(crate) fn subscriptions(&self) -> &Subscriptions<C> {
        &self.subscriptions
    }

    /// A publisher for the clients that are subscribed here.
    pub fn publisher(&self, gateway: Arc<dyn Gateway>) -> Publisher {
        Publisher::new(
            StoredDelivery::new(Arc::clone(&self.store), gateway)
                .with_layout(self.layout)
                .with_transformer(self.subscriptions.transformer()),
        )
    }

    async fn forget(&self, connection: &str) -> Result<(), crate::store::StoreError> {
        let filters = |path: &str| self.subscriptions.filters(path);
        delivery::forget(&*self.store, self.layout, connection, &filters).await
    }
}

impl<C: Serialize + Send + Sync + 'static> Stored<C> {
    /// Says how records stand in the store. A table has one layout; publishers have to have
    /// the same.
    #[must_use]
    pub fn with_layout(mut self, layout: Layout) -> Self {
        self.layout = layout;
        self.write_context = match layout {
            Layout::Fanwire => None,
            Layout::AwsTrpcSubscriptions => Some(|context| serde_json::to_value(context)),
        };
        self
    }
}

impl<C> fmt::Debug for Stored<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stored")
            .field("subscriptions", &self.subscriptions)
            .field("store", &self.store)
            .field("layout", &self.layout)
            .field("lifetime", &self.lifetime)
            .field("max_subscriptions", &self.max_subscriptions)
            .finish()
    }
}
