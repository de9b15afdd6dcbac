//! What the plane tells about its requests, to whoever prints or stores it.

use std::time::Duration;

use fanwire_app::model::WebSocketApi;
use fanwire_wire::trace::{Span, TraceContext};

use crate::event::EventType;
use crate::traffic::Traffic;

/// Told of every request, on whichever thread it ends. Must not block.
pub trait Observer: Send + Sync + 'static {
    /// A handshake, message or disconnect is done with.
    fn request(&self, record: &RequestRecord<'_>);

    /// A line of an API's access log, without its end.
    fn access(&self, api: &WebSocketApi, line: &str);

    /// A line of an API's execution log, without its end.
    fn execution(&self, api: &WebSocketApi, request_id: &str, line: &str);

    /// Something that an API, or a handler of it, got wrong and that no request shows.
    fn trouble(&self, api: &WebSocketApi, text: &str);

    /// A request begins that its client says is part of a trace, or of none: its span,
    /// kept or not, where traces are made.
    fn span(&self, _parent: Option<TraceContext>) -> Option<Span> {
        None
    }

    /// Whether [`traffic`](Self::traffic) is wanted now. Asked for every frame, event
    /// and result, so it has to cost nothing.
    fn wants_traffic(&self) -> bool {
        false
    }

    /// Something passed the plane. Only called while it is wanted.
    fn traffic(&self, _traffic: &Traffic<'_>) {}
}

/// What became of one request.
#[derive(Debug, Clone, Copy)]
pub struct RequestRecord<'a> {
    /// The API that it was for.
    pub api: &'a WebSocketApi,
    /// What it was.
    pub event_type: EventType,
    /// The route that was selected. A message that no route takes shows the key that
    /// it asked for.
    pub route_key: &'a str,
    /// Its connection.
    pub connection_id: &'a str,
    /// The gateway's id for it.
    pub request_id: &'a str,
    /// The key of the function behind the route, if a function was called.
    pub function: Option<&'a str>,
    /// The function's own id for the event.
    pub invocation_id: Option<&'a str>,
    /// The status that the client sees, or the log where the client sees none.
    pub status: u16,
    /// From the request's arrival to its end.
    pub duration: Duration,
    /// Why it failed, for people. `None` where it did not.
    pub error: Option<&'a str>,
    /// How the connection ended, for disconnects: the close code and reason.
    pub closed: Option<(u16, &'a str)>,
    /// The [span](Observer::span) that it was begun with. Functions' are parts of it.
    pub span: Option<Span>,
}
