//! What a server sends.

use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::value::RawValue;

use super::client::{ParseError, ProcedureType};
use super::envelope::Envelope;
use super::error_code::ErrorCode;
use super::transformer::Transformer;

/// The text that asks the other side whether it is there. Since v11.
pub const PING: &str = "PING";

/// The text that answers it.
pub const PONG: &str = "PONG";

/// What a server says, but for the envelope of the request that it answers. Encoded once for
/// any number of requests; clones share it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response(Content);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Content {
    Fixed(&'static str),
    Encoded(Arc<str>),
}

/// The answer to a query or mutation, or an event of a subscription.
#[derive(Debug, Clone, Copy, Default)]
pub struct Data<'a> {
    /// The value. `None`: undefined, which JSON has no word for.
    pub json: Option<&'a RawValue>,
    /// What `superjson` is to know of the value: its `meta.values`, such as
    /// `{"sentAt":["Date"]}`. Left out with another transformer.
    pub meta: Option<&'a RawValue>,
    /// The id of a tracked event: a client that comes back names the last one it had.
    pub event_id: Option<&'a str>,
}

/// Why a call failed, as its caller is told it.
#[derive(Debug, Clone, Copy)]
pub struct ErrorShape<'a> {
    /// What kind of failure it is.
    pub code: ErrorCode,
    /// The failure in words. It may hold JSON, as those of validators do.
    pub message: &'a str,
    /// The path of the procedure that was called, if one was.
    pub path: Option<&'a str>,
    /// An object whose members `data` gets too: what an error formatter adds in tRPC.
    pub data: Option<&'a RawValue>,
}

// === impl Response ===

impl Response {
    /// A subscription has begun.
    pub const STARTED: Self = Self(Content::Fixed(r#""result":{"type":"started"}}"#));

    /// A subscription is over.
    pub const STOPPED: Self = Self(Content::Fixed(r#""result":{"type":"stopped"}}"#));

    /// The server asks the client to connect anew. Sent in an envelope without an id.
    pub const RECONNECT: Self = Self(Content::Fixed(r#""method":"reconnect"}"#));

    /// Data.
    pub fn data(data: &Data<'_>, transformer: Transformer) -> Self {
        let value = data.json.map(RawValue::get);
        let mut out = String::with_capacity(value.map_or(0, str::len) + 64);
        out.push_str(r#""result":{"type":"data""#);
        data.write(transformer, &mut out);
        if let Some(id) = data.event_id {
            out.push_str(r#","id":"#);
            push_string(&mut out, id);
        }
        out.push_str("}}");
        Self(Content::Encoded(out.into()))
    }

    /// A failure. Of a subscription that has begun, [`STOPPED`](Self::STOPPED) follows.
    pub fn error(error: &ErrorShape<'_>, transformer: Transformer) -> Self {
        let mut out = String::with_capacity(error.message.len() + 128);
        out.push_str(r#""error":"#);
        transformer.write(|out| error.write(out), None, &mut out);
        out.push('}');
        Self(Content::Encoded(out.into()))
    }

    /// The answer to a text message that could not be read. Sent in an envelope without an id.
    pub fn unparsable(why: &ParseError, transformer: Transformer) -> Self {
        Self::error(&ErrorShape::new(ErrorCode::ParseError, &why.to_string()), transformer)
    }

    /// The answer to a message whose id is `null`. Sent in its envelope.
    pub fn missing_id(transformer: Transformer) -> Self {
        Self::error(&ErrorShape::new(ErrorCode::ParseError, "`id` is required"), transformer)
    }

    /// The answer to each message of a batch that is longer than the server takes.
    pub fn batch_too_long(transformer: Transformer) -> Self {
        let why = "Batch call exceeds maximum size";
        Self::error(&ErrorShape::new(ErrorCode::BadRequest, why), transformer)
    }

    /// The text to send to the client whose request had this envelope.
    pub fn encode(&self, envelope: &Envelope) -> String {
        let content = match &self.0 {
            Content::Fixed(text) => text,
            Content::Encoded(text) => &**text,
        };
        let mut out = String::with_capacity(content.len() + 40);
        out.push_str(r#"{"id":"#);
        match &envelope.id {
            // Writing to a string does not fail.
            Some(id) => _ = write!(out, "{id}"),
            None => out.push_str("null"),
        }
        out.push_str(if envelope.jsonrpc { r#","jsonrpc":"2.0","# } else { "," });
        out.push_str(content);
        out
    }

    /// How many bytes it takes, but for the envelope.
    pub fn len(&self) -> usize {
        match &self.0 {
            Content::Fixed(text) => text.len(),
            Content::Encoded(text) => text.len(),
        }
    }

    /// Whether there is nothing in it, which is never so.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

// === impl Data ===

impl<'a> Data<'a> {
    /// A value.
    pub fn new(json: &'a RawValue) -> Self {
        Self { json: Some(json), ..Self::default() }
    }

    /// A tracked event.
    pub fn tracked(event_id: &'a str, json: &'a RawValue) -> Self {
        Self { event_id: Some(event_id), ..Self::new(json) }
    }

    /// Writes the member `data`. An event's id stands beside its value within.
    fn write(&self, transformer: Transformer, out: &mut String) {
        let undefined = self.json.is_none() && self.event_id.is_none();
        if undefined && transformer == Transformer::None {
            return;
        }
        let meta = self.meta_of_envelope(undefined);
        let value = |out: &mut String| match (self.event_id, self.json) {
            (None, json) => out.push_str(json.map_or("null", RawValue::get)),
            (Some(id), json) => {
                out.push_str(r#"{"id":"#);
                push_string(out, id);
                if let Some(json) = json {
                    out.push_str(r#","data":"#);
                    out.push_str(json.get());
                }
                out.push('}');
            }
        };
        out.push_str(r#","data":"#);
        transformer.write(value, meta.as_deref(), out);
    }

    /// The `meta` of what the transformer gets, in the format that `superjson` 2 calls 1.
    fn meta_of_envelope(&self, undefined: bool) -> Option<String> {
        if undefined {
            return Some(r#"{"values":["undefined"],"v":1}"#.to_owned());
        }
        let values = self.meta?.get();
        Some(match self.event_id {
            None => format!(r#"{{"values":{values},"v":1}}"#),
            Some(_) => format!(r#"{{"values":{{"data":{values}}},"v":1}}"#),
        })
    }
}

// === impl ErrorShape ===

impl<'a> ErrorShape<'a> {
    /// A failure of no procedure.
    pub fn new(code: ErrorCode, message: &'a str) -> Self {
        Self { code, message, path: None, data: None }
    }

    /// What a call of a procedure that there is not is told.
    pub fn no_such_procedure(kind: ProcedureType, path: &str) -> String {
        format!("No \"{kind}\"-procedure on path \"{path}\"")
    }

    fn write(&self, out: &mut String) {
        out.push_str(r#"{"message":"#);
        push_string(out, self.message);
        let (number, key, status) = (self.code.number(), self.code.key(), self.code.http_status());
        // Writing to a string does not fail.
        let _ = write!(out, r#","code":{number},"data":{{"code":"{key}","httpStatus":{status}"#);
        if let Some(path) = self.path {
            out.push_str(r#","path":"#);
            push_string(out, path);
        }
        if let Some(members) = self.data.and_then(members_of) {
            out.push(',');
            out.push_str(members);
        }
        out.push_str("}}");
    }
}

/// What stands between the braces of an object; `None` where that is nothing.
fn members_of(object: &RawValue) -> Option<&str> {
    let members = object.get().trim_ascii().strip_prefix('{')?.strip_suffix('}')?.trim_ascii();
    (!members.is_empty()).then_some(members)
}

fn push_string(out: &mut String, text: &str) {
    // A string always has a JSON.
    out.push_str(&serde_json::to_string(text).unwrap_or_default());
}
