//! Records for machines: one JSON object a line.

use std::time::Instant;

use serde_json::json;

use super::Renderer;
use super::record::Record;

/// Prints each record at once.
pub(crate) struct Json;

impl Renderer for Json {
    fn render(&mut self, record: Record, _now: Instant, out: &mut String) {
        let value = match record {
            Record::Request(request) => json!({
                "type": "request",
                "eventType": request.event_type,
                "routeKey": request.route_key,
                "connectionId": request.connection_id,
                "requestId": request.request_id,
                "function": request.function,
                "functionRequestId": request.invocation_id,
                "status": request.status,
                "durationMs": request.duration.as_secs_f64() * 1000.0,
                "outcome": request.error.as_deref().unwrap_or("ok"),
                "disconnectStatusCode": request.closed.as_ref().map(|(code, _)| code),
                "disconnectReason": request.closed.as_ref().map(|(_, reason)| reason),
            }),
            Record::Line { function, request_id, stderr, text } => json!({
                "type": "line",
                "function": function,
                "requestId": request_id,
                "stream": if stderr { "stderr" } else { "stdout" },
                "text": text,
            }),
            Record::FunctionNote { function, text } => {
                json!({ "type": "function", "function": function, "text": text })
            }
            Record::Access { line, .. } => json!({ "type": "access", "line": line }),
            Record::Execution(line) => json!({ "type": "execution", "line": line }),
            Record::Note(text) => json!({ "type": "note", "text": text }),
            Record::Dropped(count) => json!({ "type": "dropped", "records": count }),
            Record::Text(text) => return out.push_str(&text),
            Record::End => return,
        };
        out.push_str(&value.to_string());
        out.push('\n');
    }

    fn tick(&mut self, _now: Instant, _out: &mut String) {}
}
