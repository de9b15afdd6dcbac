//! A request whose route is found, and the event that the route's integration takes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use fanwire_app::model::{Integration, Route};

use crate::api::Api;
use crate::event::{self, DisconnectCause, Request};
use crate::integration::Event;
use crate::native::{NativeBody, NativeEvent};
use crate::peer::Peer;

/// What a client has sent, if it has.
pub(crate) enum Incoming {
    Nothing,
    Text(String),
    Binary(Bytes),
}

/// A request and the route that takes it.
pub(crate) struct Selected<'a> {
    pub(crate) api: &'a Api,
    pub(crate) peer: &'a Peer,
    pub(crate) request: &'a Request,
    pub(crate) route_key: &'a str,
    pub(crate) route: &'a Route,
    /// How the connection ended, for `$disconnect`.
    pub(crate) cause: Option<&'a DisconnectCause>,
}

// === impl Incoming ===

impl Incoming {
    /// As it goes into an event: text as it came, bytes in base64; and whether it is that.
    pub(crate) fn encoded(self) -> (String, bool) {
        match self {
            Self::Nothing => (String::new(), false),
            Self::Text(text) => (text, false),
            Self::Binary(bytes) => (STANDARD.encode(bytes), true),
        }
    }
}

// === impl Selected ===

impl<'a> Selected<'a> {
    /// The event as a function that is a process takes it; nothing for what takes none.
    pub(crate) fn json(&self, body: &str, is_base64_encoded: bool) -> Event<'a> {
        let Self { api, peer, request, route_key, route, cause } = *self;
        if !matches!(route.integration, Integration::Function { .. }) {
            return Event::None;
        }
        let context = api.context();
        Event::Json(match cause {
            Some(cause) => event::disconnect(context, peer, request, cause),
            None => event::message(context, peer, request, route_key, body, is_base64_encoded),
        })
    }

    /// The event as a function of this process takes it.
    pub(crate) fn values(&self, incoming: Incoming) -> NativeEvent<'a> {
        let body = match incoming {
            Incoming::Nothing => NativeBody::default(),
            Incoming::Text(text) => NativeBody::Text(text),
            Incoming::Binary(bytes) => NativeBody::Binary(bytes),
        };
        let closed = self.cause.map(|cause| (cause.code, &*cause.reason));
        let event = NativeEvent::of(self.api, self.peer, self.request, self.route_key);
        NativeEvent { body, closed, ..event }
    }
}
