//! Counting what the planes, the functions and the guard tell, on its way to who is told of it
//! anyway.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use fanwire_app::model::WebSocketApi;
use fanwire_functions::{FunctionEvent, Invocation};
use fanwire_realtime::{RealtimeEvent, TracedCall};
use fanwire_websocket::{EventType, RequestRecord, Traffic};
use fanwire_wire::trace::{Span, TraceContext};

use super::Telemetry;
use crate::guard::{GuardEvent, GuardObserver};

/// Counts what is told, and passes it on.
pub(crate) struct Counting<O: ?Sized> {
    pub(crate) telemetry: Arc<Telemetry>,
    pub(crate) inner: Arc<O>,
}

impl fanwire_functions::Observer for Counting<dyn fanwire_functions::Observer> {
    fn observe(&self, event: FunctionEvent<'_>) {
        self.telemetry.counts.function(&event);
        self.inner.observe(event);
    }

    fn wants_spans(&self) -> bool {
        self.telemetry.traces().is_some()
    }

    fn traced(&self, invocation: &Invocation<'_>) {
        if let Some(traces) = self.telemetry.traces() {
            traces.invocation(invocation);
        }
    }
}

impl fanwire_realtime::Observer for Counting<dyn fanwire_realtime::Observer> {
    fn observe(&self, event: &RealtimeEvent<'_>) {
        let counts = &self.telemetry.counts;
        match event {
            RealtimeEvent::Connected { .. } => counts.realtime_handshakes.count("accepted"),
            RealtimeEvent::Refused { .. } => counts.realtime_handshakes.count("refused"),
            RealtimeEvent::Disconnected { reason, .. } => {
                counts.disconnects.count(reason.as_str());
            }
            RealtimeEvent::Denied { .. } => {
                counts.denied.fetch_add(1, Ordering::Relaxed);
            }
            _ => {}
        }
        self.inner.observe(event);
    }

    fn span(&self, parent: Option<TraceContext>) -> Option<Span> {
        Some(self.telemetry.traces()?.begin(parent))
    }

    fn traced(&self, call: &TracedCall<'_>) {
        if let Some(traces) = self.telemetry.traces() {
            traces.realtime(call);
        }
    }
}

impl fanwire_websocket::Observer for Counting<dyn fanwire_websocket::Observer> {
    fn request(&self, record: &RequestRecord<'_>) {
        let counts = &self.telemetry.counts;
        let is_well = record.status < 400 && record.error.is_none();
        let request = match (record.event_type, is_well) {
            (EventType::Connect, true) => "connect ok",
            (EventType::Connect, false) => "connect error",
            (EventType::Message, true) => "message ok",
            (EventType::Message, false) => "message error",
            (EventType::Disconnect, true) => "disconnect ok",
            (EventType::Disconnect, false) => "disconnect error",
        };
        counts.requests.count(request);
        if let Some(traces) = self.telemetry.traces() {
            traces.request(record);
        }
        self.inner.request(record);
    }

    fn span(&self, parent: Option<TraceContext>) -> Option<Span> {
        Some(self.telemetry.traces()?.begin(parent))
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

    fn wants_traffic(&self) -> bool {
        self.inner.wants_traffic()
    }

    fn traffic(&self, traffic: &Traffic<'_>) {
        self.inner.traffic(traffic);
    }
}

/// Counts calls, writes them down, and passes them on.
pub(crate) struct CountingCalls {
    pub(crate) telemetry: Arc<Telemetry>,
    pub(crate) inner: Option<Arc<dyn GuardObserver>>,
}

impl GuardObserver for CountingCalls {
    fn observe(&self, event: &GuardEvent<'_>) {
        let calls = &self.telemetry.counts.calls;
        match event {
            GuardEvent::Allowed { .. } => calls.count("allowed"),
            GuardEvent::Denied { .. } => calls.count("denied"),
            _ => {}
        }
        if let Some(audit) = &self.telemetry.audit {
            audit.write(event);
        }
        if let Some(inner) = &self.inner {
            inner.observe(event);
        }
    }

    fn wants_open_calls(&self) -> bool {
        self.telemetry.audit.is_some()
    }
}
