//! An app: what it answers to.

use crate::realtime::Realtime;
use crate::subscriptions;
use crate::websocket::{Endpoint, WebSocket};

/// What one program offers: a WebSocket API, a realtime endpoint, and procedures that clients
/// subscribe to; each once, and any may be left out.
///
/// ```
/// use fanwire::App;
/// use fanwire::realtime::{Grant, Realtime};
/// use fanwire::websocket::{Text, WebSocket};
///
/// let app = App::new("chat")
///     .websocket(WebSocket::new().message(async |Text(text): Text| text))
///     .realtime(Realtime::new("chat").authorizer(async |_: String| Grant::new().subscribe(["*"])));
/// # let _ = app;
/// ```
#[derive(Debug)]
#[must_use = "an app does nothing until it is run"]
pub struct App {
    pub(crate) name: String,
    pub(crate) websocket: Option<Endpoint>,
    pub(crate) realtime: Option<Realtime>,
    pub(crate) subscriptions: Option<subscriptions::Endpoint>,
}

// === impl App ===

impl App {
    /// An app that offers nothing yet.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), websocket: None, realtime: None, subscriptions: None }
    }

    /// With a WebSocket API.
    pub fn websocket<S: Send + Sync + 'static>(mut self, websocket: WebSocket<S>) -> Self {
        self.websocket = Some(websocket.into_endpoint());
        self
    }

    /// With a realtime endpoint.
    pub fn realtime(mut self, realtime: Realtime) -> Self {
        self.realtime = Some(realtime);
        self
    }

    /// With procedures: [`Subscriptions`](subscriptions::Subscriptions), or
    /// [`Stored`](subscriptions::Stored) where the app is to be a function, too. A server
    /// needs no store to find subscribers.
    pub fn subscriptions(mut self, procedures: impl Into<subscriptions::Endpoint>) -> Self {
        self.subscriptions = Some(procedures.into());
        self
    }
}

impl<S: Send + Sync + 'static> From<WebSocket<S>> for App {
    /// An app that is only this, called `app`.
    fn from(websocket: WebSocket<S>) -> Self {
        Self::new("app").websocket(websocket)
    }
}

impl From<Realtime> for App {
    /// An app that is only this, called `app`.
    fn from(realtime: Realtime) -> Self {
        Self::new("app").realtime(realtime)
    }
}
