//! The handle, and what it needs of its surroundings.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use fanwire_store::{Store, StoreError};
use futures_util::future::BoxFuture;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::sync::watch;

use crate::items::{Items, ItemsError, OpenError};
use crate::proto::{QueryParams, QueryValue};
use crate::sockets::{Content, Handlers, SocketEvent};

/// What JavaScript's `encodeURIComponent` leaves as it is: the SDKs call its opposite.
const LEFT_ALONE: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'!')
    .remove(b'~')
    .remove(b'*')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')');

/// The clients of sockets, as services reach them.
pub trait Gateway: Send + Sync + 'static {
    /// Opens a socket to clients, if it is not open yet. Services may declare it several
    /// times, at any time.
    fn open<'a>(&'a self, socket: &'a str) -> BoxFuture<'a, Result<(), GatewayError>>;

    /// The URL that clients connect to, of a socket that is open.
    fn url(&self, socket: &str) -> Option<String>;

    /// Sends a message to a client: text where it is UTF-8, else bytes.
    fn send<'a>(
        &'a self,
        socket: &'a str,
        connection: &'a str,
        data: Bytes,
    ) -> BoxFuture<'a, Result<(), GatewayError>>;

    /// Closes a client's connection.
    fn close<'a>(
        &'a self,
        socket: &'a str,
        connection: &'a str,
    ) -> BoxFuture<'a, Result<(), GatewayError>>;
}

/// Why a gateway does not do what a service asks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GatewayError {
    /// There is no such connection, or not any more.
    #[error("could not get connection {0}")]
    NoConnection(String),
    /// There is no such socket.
    #[error("there is no websocket `{0}`; declare it first")]
    NoSocket(String),
    /// Anything else, in words for people.
    #[error("{0}")]
    Refused(String),
}

/// Who is told of what a developer should know.
pub trait Observer: Send + Sync + 'static {
    /// Something that a service wants cannot be had, in words for people.
    fn trouble(&self, text: &str);
}

/// What a [`Nitric`] is started with.
pub struct NitricParts {
    /// Where the clients of sockets are.
    pub gateway: Arc<dyn Gateway>,
    /// Who is told of troubles.
    pub observer: Arc<dyn Observer>,
    /// Where collections and key-value stores are kept. `None`: they end with the process.
    pub store: Option<Store>,
}

/// Why it does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// What is kept cannot be read.
    #[error("cannot read what Nitric services have stored: {0}")]
    Store(#[from] StoreError),
    /// What is kept makes no sense.
    #[error("cannot read what Nitric services have stored: {0}")]
    Items(#[from] ItemsError),
}

impl From<OpenError> for StartError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Store(error) => Self::Store(error),
            OpenError::Items(error) => Self::Items(error),
        }
    }
}

/// Why an event has not been handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotHandled {
    /// No service has a handler for it, and none had.
    #[error("no service handles this event")]
    NoHandler,
    /// The service that handled such events is gone, and has not come back in time.
    #[error("the service that handles this event is not running")]
    Away,
    /// The service went while it had the event.
    #[error("the service ended while it had this event")]
    Lost,
    /// The handler said no, or failed.
    #[error("the handler refused this event, or failed")]
    Refused,
}

/// What services have done so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Activity {
    /// Connections of services that have called something.
    pub connections: usize,
    /// Declarations and registrations so far.
    pub announcements: u64,
}

/// The host of Nitric services. Cheap to clone.
#[derive(Clone)]
pub struct Nitric {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) handlers: Handlers,
    pub(crate) items: Items,
    pub(crate) gateway: Arc<dyn Gateway>,
    pub(crate) activity: watch::Sender<Activity>,
    /// True once streams are to end.
    pub(crate) stopping: watch::Sender<bool>,
    observer: Arc<dyn Observer>,
    /// What the observer has been told, so that it is told once.
    told: Mutex<HashSet<String>>,
}

/// Troubles that are remembered; beyond, they are told again.
const MAX_TOLD: usize = 1024;

// === impl Nitric ===

impl Nitric {
    /// Reads what is kept. Blocks on the disk.
    ///
    /// # Errors
    ///
    /// [`StartError`].
    pub fn start(parts: NitricParts) -> Result<Self, StartError> {
        let NitricParts { gateway, observer, store } = parts;
        let shared = Shared {
            handlers: Handlers::new(),
            items: Items::open(store)?,
            gateway,
            activity: watch::Sender::default(),
            stopping: watch::Sender::new(false),
            observer,
            told: Mutex::default(),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Asks the service whether a client may connect. `query` has the parameters of the
    /// URL, decoded; a name may occur several times.
    ///
    /// # Errors
    ///
    /// [`NotHandled`]: it may not.
    pub async fn connect<'q>(
        &self,
        socket: &str,
        connection: &str,
        query: impl Iterator<Item = (&'q str, &'q str)>,
    ) -> Result<(), NotHandled> {
        self.ask(socket, connection, Content::Connect(encoded(query))).await
    }

    /// Gives the service a message, whatever kind of frame it came in, and waits until it
    /// is done with it.
    ///
    /// # Errors
    ///
    /// [`NotHandled`].
    pub async fn message(
        &self,
        socket: &str,
        connection: &str,
        body: Bytes,
    ) -> Result<(), NotHandled> {
        self.ask(socket, connection, Content::Message(body)).await
    }

    /// Tells the service that a connection is gone.
    ///
    /// # Errors
    ///
    /// [`NotHandled`].
    pub async fn disconnect(&self, socket: &str, connection: &str) -> Result<(), NotHandled> {
        self.ask(socket, connection, Content::Disconnect).await
    }

    /// What services have done so far, and whenever that changes.
    pub fn activity(&self) -> watch::Receiver<Activity> {
        self.shared.activity.subscribe()
    }

    /// Ends the streams on which services are asked, as the SDKs expect it of a host that
    /// stops. Events find no handler from then on.
    pub fn stop(&self) {
        self.shared.stopping.send_replace(true);
    }

    async fn ask(
        &self,
        socket: &str,
        connection: &str,
        content: Content,
    ) -> Result<(), NotHandled> {
        let (socket, connection) = (socket.to_owned(), connection.to_owned());
        let event = SocketEvent { socket, connection, content };
        match self.shared.handlers.ask(event).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(NotHandled::Refused),
            Err(not_handled) => Err(not_handled),
        }
    }
}

impl std::fmt::Debug for Nitric {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let activity = *self.shared.activity.borrow();
        f.debug_struct("Nitric").field("activity", &activity).finish_non_exhaustive()
    }
}

// === impl Shared ===

impl Shared {
    /// Tells of a trouble, once.
    pub(crate) fn trouble(&self, text: &str) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() >= MAX_TOLD {
            told.clear();
        }
        if told.insert(text.to_owned()) {
            drop(told);
            self.observer.trouble(text);
        }
    }

    /// Waits until streams are to end.
    pub(crate) async fn stopped(&self) {
        let mut stopping = self.stopping.subscribe();
        // The sender is in `self`.
        let _ = stopping.wait_for(|stopping| *stopping).await;
    }

    /// A service has declared or registered something.
    pub(crate) fn announced(&self) {
        self.activity.send_modify(|activity| activity.announcements += 1);
    }
}

/// A query as services get it: percent-encoded, because the SDKs decode it. A `%` in a
/// value that is passed as it is would make them fail (reference: nitric.md, section 4).
fn encoded<'q>(query: impl Iterator<Item = (&'q str, &'q str)>) -> QueryParams {
    let mut params: HashMap<String, QueryValue> = HashMap::new();
    for (name, value) in query {
        let value = utf8_percent_encode(value, LEFT_ALONE).to_string();
        params.entry(name.to_owned()).or_default().value.push(value);
    }
    params
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_a_query_are_encoded_as_the_sdks_decode_them() {
        let query = [("a", "100% é"), ("a", "b&c"), ("d", "")];
        let params = encoded(query.into_iter());
        assert_eq!(params["a"].value, ["100%25%20%C3%A9", "b%26c"]);
        assert_eq!(params["d"].value, [""]);
    }
}
