//! An app: what it answers to.

use crate::realtime::Realtime;
use crate::websocket::{Endpoint, WebSocket};

/// What one program offers: a WebSocket API, a realtime endpoint, subscriptions; each once,
/// and any of them may be left out.
#[derive(Clone, Debug)]
pub struct App {
    pub(crate) name: String,
    pub(crate) websocket: Option<Endpoint>,
    pub(crate) realtime: Option<Realtime>,
}

// === impl App ===

impl App {
    /// An app that offers nothing yet.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), websocket: None, realtime: None }
    }

    /// With a WebSocket API.
    #[must_use]
    pub fn websocket<S>(mut self, websocket: WebSocket<S>) -> Self
    where
        S: Clone + Send + Sync + 'static,
    {
        self.websocket = Some(websocket.into_endpoint());
        self
    }

    /// With a realtime endpoint.
    #[must_use]
    pub fn realtime(mut self, realtime: Realtime) -> Self {
        self.realtime = Some(realtime);
        self
    }
}

impl<S> From<WebSocket<S>> for App
where
    S: Clone + Send + Sync + 'static,
{
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
