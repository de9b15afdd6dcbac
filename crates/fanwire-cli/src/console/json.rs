//! Records for machines: one JSON object a line, which can be read again.

use std::time::{Duration, Instant};

use fanwire_websocket::EventType;
use jiff::Timestamp;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use super::record::{Entry, Record, Request};
use super::{RealtimeRecord, Renderer};

/// Prints each record at once.
pub(crate) struct Json;

impl Renderer for Json {
    fn render(&mut self, entry: &Entry, _now: Instant, out: &mut String) {
        match &entry.record {
            Record::Text(text) => out.push_str(text),
            _ => write(entry, out),
        }
    }

    fn tick(&mut self, _now: Instant, _out: &mut String) {}
}

/// Appends a record as a line of JSON; nothing for what only steers the printer.
pub(super) fn write(entry: &Entry, out: &mut String) {
    if let Record::Realtime(record) = &entry.record {
        let timed = Timed { record, time: Time(entry.at) };
        // Text, numbers and flags under names that are text: this cannot fail.
        out.push_str(&serde_json::to_string(&timed).unwrap_or_default());
        return out.push('\n');
    }
    let mut value = match &entry.record {
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
            "outcome": request.error.as_deref().unwrap_or(OK),
            "disconnectStatusCode": request.closed.as_ref().map(|(code, _)| code),
            "disconnectReason": request.closed.as_ref().map(|(_, reason)| reason),
        }),
        Record::Line { function, request_id, stderr, text } => json!({
            "type": "line",
            "function": function,
            "requestId": request_id,
            "stream": if *stderr { "stderr" } else { "stdout" },
            "text": text,
        }),
        Record::FunctionNote { function, text } => {
            json!({ "type": "function", "function": function, "text": text })
        }
        Record::Access { line, .. } => json!({ "type": "access", "line": line }),
        Record::Execution(line) => json!({ "type": "execution", "line": line }),
        Record::News(text) => json!({ "type": "news", "text": text }),
        Record::Note(text) => json!({ "type": "note", "text": text }),
        Record::Dropped(count) => json!({ "type": "dropped", "records": count }),
        Record::Realtime(_) | Record::Text(_) | Record::End => return,
    };
    value["time"] = json!(Time(entry.at));
    out.push_str(&value.to_string());
    out.push('\n');
}

/// A record with its time, written without the detour of a value of JSON: of these there may
/// be thousands a second.
#[derive(Serialize)]
struct Timed<'a> {
    #[serde(flatten)]
    record: &'a RealtimeRecord,
    time: Time,
}

/// When something happened, to the millisecond.
struct Time(Timestamp);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:.3}", self.0))
    }
}

/// What stands for the outcome of a request that did not fail.
const OK: &str = "ok";

/// Reads what [`write()`] wrote. `None` for what it did not write.
pub(crate) fn read(line: &Value) -> Option<Entry> {
    let text = |key: &str| line[key].as_str().map(str::to_owned);
    let record = match line["type"].as_str()? {
        "request" => Record::Request(Box::new(Request {
            event_type: match line["eventType"].as_str()? {
                "CONNECT" => EventType::Connect,
                "DISCONNECT" => EventType::Disconnect,
                _ => EventType::Message,
            },
            route_key: text("routeKey")?,
            connection_id: text("connectionId")?,
            request_id: text("requestId")?,
            function: text("function"),
            invocation_id: text("functionRequestId"),
            status: line["status"].as_u64()?.try_into().ok()?,
            duration: Duration::try_from_secs_f64(line["durationMs"].as_f64()? / 1000.0).ok()?,
            error: text("outcome").filter(|outcome| outcome != OK),
            closed: closed(line),
        })),
        "line" => Record::Line {
            function: text("function")?,
            request_id: text("requestId"),
            stderr: line["stream"] == "stderr",
            text: text("text")?,
        },
        "function" => Record::FunctionNote { function: text("function")?, text: text("text")? },
        "realtime" => Record::Realtime(Box::new(RealtimeRecord::of_json(line)?)),
        "access" => Record::Access { file: None, line: text("line")? },
        "execution" => Record::Execution(text("line")?),
        "news" => Record::News(text("text")?),
        "note" => Record::Note(text("text")?),
        "dropped" => Record::Dropped(line["records"].as_u64()?),
        _ => return None,
    };
    let at: Option<Timestamp> = line["time"].as_str().and_then(|time| time.parse().ok());
    Some(Entry { at: at.unwrap_or_else(Timestamp::now), record })
}

fn closed(line: &Value) -> Option<(u16, String)> {
    let code = line["disconnectStatusCode"].as_u64()?.try_into().ok()?;
    Some((code, line["disconnectReason"].as_str().unwrap_or_default().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_the_same_again() {
        let request = Request {
            event_type: EventType::Disconnect,
            route_key: "$disconnect".to_owned(),
            connection_id: "c=".to_owned(),
            request_id: "r".to_owned(),
            function: Some("f".to_owned()),
            invocation_id: None,
            status: 500,
            duration: Duration::from_micros(1500),
            error: Some("boom".to_owned()),
            closed: Some((1006, String::new())),
        };
        let line = Record::Line {
            function: "f".to_owned(),
            request_id: Some("i".to_owned()),
            stderr: true,
            text: "two\nlines".to_owned(),
        };
        for record in [
            Record::Request(Box::new(request)),
            line,
            Record::FunctionNote { function: "f".to_owned(), text: "crashed".to_owned() },
            Record::Access { file: None, line: "a".to_owned() },
            Record::Execution("e".to_owned()),
            Record::News("x changed".to_owned()),
            Record::Note("n".to_owned()),
            Record::Dropped(3),
        ] {
            let mut once = String::new();
            write(&Entry::new(record), &mut once);
            let entry = read(&serde_json::from_str(&once).unwrap()).unwrap();
            let mut twice = String::new();
            write(&entry, &mut twice);
            assert_eq!(once, twice);
        }
    }
}
