//! What a server that is part of the app tells its operator: failures, on standard error, a
//! line each. What went well is not told.

use std::fmt::Display;
use std::io::Write as _;
use std::sync::Arc;

use fanwire_app::model::WebSocketApi;
use fanwire_functions::Silent;
use fanwire_realtime::RealtimeEvent;
use fanwire_server::Observers;
use fanwire_websocket::RequestRecord;

/// Writes to standard error.
#[derive(Clone, Copy, Debug)]
pub(super) struct Log;

// === impl Log ===

impl Log {
    /// The observers of a server that tells no more than failures.
    pub(super) fn observers() -> Observers {
        Observers {
            websocket: Arc::new(Self),
            functions: Arc::new(Silent),
            realtime: Arc::new(Self),
            nitric: None,
            logs: None,
        }
    }

    /// Writes a line.
    pub(super) fn line(self, text: impl Display) {
        // Where nobody reads it, there is nobody to tell.
        let _ = writeln!(std::io::stderr().lock(), "fanwire: {text}");
    }
}

impl fanwire_websocket::Observer for Log {
    fn request(&self, record: &RequestRecord<'_>) {
        let RequestRecord { route_key, connection_id, status, .. } = record;
        if let Some(why) = record.error {
            self.line(format_args!("{route_key} of {connection_id} failed ({status}): {why}"));
        }
    }

    fn access(&self, _: &WebSocketApi, line: &str) {
        self.line(line);
    }

    fn execution(&self, _: &WebSocketApi, request_id: &str, line: &str) {
        self.line(format_args!("({request_id}) {line}"));
    }

    fn trouble(&self, _: &WebSocketApi, text: &str) {
        self.line(text);
    }
}

impl fanwire_realtime::Observer for Log {
    fn observe(&self, event: &RealtimeEvent<'_>) {
        match event {
            RealtimeEvent::Refused { client_id, source_ip, why } => {
                self.line(format_args!("client `{client_id}` from {source_ip} refused: {why}"));
            }
            RealtimeEvent::Denied { client_id, explanation, .. } => {
                self.line(format_args!("client `{client_id}` denied: {explanation}"));
            }
            RealtimeEvent::Note { client_id, note } => {
                self.line(format_args!("client `{client_id}`: {note}"));
            }
            RealtimeEvent::Dropped { client_id, messages, why } => {
                self.line(format_args!("{messages} messages for `{client_id}` dropped: {why}"));
            }
            RealtimeEvent::StoreFailed { why } | RealtimeEvent::KeysFailed { why } => {
                self.line(why);
            }
            RealtimeEvent::Rule { rule, topic, why } => {
                self.line(format_args!("rule `{rule}`, message of `{topic}`: {why}"));
            }
            _ => {}
        }
    }
}
