//! The observer that the plane is given: passes on what it is told, and writes the
//! plane's traffic to a feed while somebody listens.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use fanwire_app::model::WebSocketApi;
use fanwire_websocket::{Observer, RequestRecord, Traffic};
use fanwire_wire::trace::{Span, TraceContext};
use serde::Serialize;

use super::Feed;

/// An observer of the WebSocket plane that also feeds recordings.
pub(crate) struct Tap {
    pub(crate) inner: Arc<dyn Observer>,
    pub(crate) traffic: Feed,
}

/// A line of a recording.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    traffic: &'a Traffic<'a>,
    /// Milliseconds since the epoch.
    at: u64,
}

impl Observer for Tap {
    fn request(&self, record: &RequestRecord<'_>) {
        self.inner.request(record);
    }

    fn access(&self, api: &WebSocketApi, line: &str) {
        self.inner.access(api, line);
    }

    fn execution(&self, api: &WebSocketApi, request_id: &str, line: &str) {
        self.inner.execution(api, request_id, line);
    }

    fn trouble(&self, api: &WebSocketApi, text: &str) {
        self.inner.trouble(api, text);
    }

    fn span(&self, parent: Option<TraceContext>) -> Option<Span> {
        self.inner.span(parent)
    }

    fn wants_traffic(&self) -> bool {
        self.traffic.is_heard()
    }

    fn traffic(&self, traffic: &Traffic<'_>) {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let at = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        // All of it is text and numbers: this cannot fail.
        let Ok(mut line) = serde_json::to_vec(&Line { traffic, at }) else { return };
        line.push(b'\n');
        self.traffic.publish(&line.into());
    }
}
