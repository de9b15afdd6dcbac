//! What clients send.

use std::borrow::Cow;
use std::fmt;

use serde_json::value::RawValue;

use super::Transformer;
use super::envelope::{Envelope, Id};
use super::members::{elements, members, string};
use super::response::{PING, PONG};

/// One text message of a client.
#[derive(Debug, Clone)]
pub enum ClientFrame<'a> {
    /// `PING`, to be answered with [`PONG`] at once: a client that waits in vain disconnects.
    Ping,
    /// The answer to a `PING` of ours.
    Pong,
    /// Messages, in their order: one, those of a batch, or none, for v10 clients send `[]`
    /// when they connect.
    Messages(Vec<ClientMessage<'a>>),
    /// A batch longer than is taken, of which nothing is to be done. Those of its first
    /// messages that wait for a response get
    /// [`Response::batch_too_long`](super::Response::batch_too_long); where there is none, an
    /// envelope without an id does.
    TooLong(Vec<Envelope>),
}

/// What a client wants.
#[derive(Debug, Clone)]
pub struct ClientMessage<'a> {
    /// What the response to it repeats. Without an id it cannot be answered but by a
    /// [`Response::missing_id`](super::Response::missing_id).
    pub envelope: Envelope,
    /// What it wants.
    pub method: Method<'a>,
}

/// What a message wants.
#[derive(Debug, Clone)]
pub enum Method<'a> {
    /// A procedure is called.
    Call(Call<'a>),
    /// A subscription is over: the one that was begun with the same id. Clients also send it
    /// for those that have ended, and for some that never began.
    Stop,
}

/// The call of a procedure.
#[derive(Debug, Clone)]
pub struct Call<'a> {
    /// How it is called.
    pub kind: ProcedureType,
    /// Its path, such as `room.messages`.
    pub path: Cow<'a, str>,
    /// Its input, the transformer undone. `None`: undefined.
    pub input: Option<&'a RawValue>,
    /// The id of the last tracked event that a client had which subscribes again.
    pub last_event_id: Option<Cow<'a, str>>,
}

/// How a procedure is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProcedureType {
    /// It is asked for something.
    Query,
    /// It is told to change something.
    Mutation,
    /// It is listened to.
    Subscription,
}

/// How clients are understood.
#[derive(Debug, Clone, Copy)]
pub struct ParseOptions {
    /// The transformer of the router.
    pub transformer: Transformer,
    /// The most messages of one batch, 2,048. A client that comes back sends all of its
    /// subscriptions in one.
    pub max_batch: usize,
}

/// Why a text message is none of tRPC: the sentence that its sender gets with
/// [`ErrorCode::ParseError`](super::ErrorCode::ParseError), and no id.
#[derive(Debug, thiserror::Error)]
pub enum ParseError {
    /// It is no JSON.
    #[error("{0}")]
    Json(serde_json::Error),
    /// Neither an object nor an array of objects.
    #[error("Not an object")]
    NotAnObject,
    /// The id is neither a number nor a string nor `null`, or too long.
    #[error("Invalid request id")]
    Id,
    /// `jsonrpc` is something else than `"2.0"`.
    #[error("Must be JSONRPC 2.0")]
    Version,
    /// The method is none of tRPC's.
    #[error("Invalid procedure type")]
    Method,
    /// The path or `lastEventId` is no string.
    #[error("Invalid string")]
    NotAString,
    /// The input is not what the router's transformer makes.
    #[error("the input is not what the transformer of this router makes; give the client the same")]
    Input,
}

// === impl ClientFrame ===

impl<'a> ClientFrame<'a> {
    /// Reads a text message. One that is wrong anywhere is refused as a whole, as the server
    /// of tRPC does it.
    ///
    /// # Errors
    ///
    /// [`ParseError`], which the client is told by
    /// [`Response::unparsable`](super::Response::unparsable).
    pub fn parse(text: &'a str, options: &ParseOptions) -> Result<Self, ParseError> {
        match text {
            PING => return Ok(Self::Ping),
            PONG => return Ok(Self::Pong),
            _ => {}
        }
        if !text.trim_ascii_start().starts_with('[') {
            return Ok(Self::Messages(vec![ClientMessage::parse(text, options)?]));
        }
        let (batch, count) = elements(text, options.max_batch).map_err(ParseError::Json)?;
        if count > batch.len() {
            let waiting = batch.iter().filter_map(|message| waiting(message.get()));
            return Ok(Self::TooLong(waiting.collect()));
        }
        let messages = batch.into_iter().map(|raw| ClientMessage::parse(raw.get(), options));
        messages.collect::<Result<_, _>>().map(Self::Messages)
    }
}

/// The envelope of a message that somebody waits for a response to.
fn waiting(message: &str) -> Option<Envelope> {
    let [id, jsonrpc, method] = members(message, ["id", "jsonrpc", "method"]).ok()?;
    if method.is_some_and(|method| method.get() == r#""subscription.stop""#) {
        return None;
    }
    let jsonrpc = jsonrpc.is_some_and(|version| version.get() == r#""2.0""#);
    Some(Envelope { id: Some(Id::new(id?)?), jsonrpc })
}

// === impl ClientMessage ===

impl<'a> ClientMessage<'a> {
    /// Reads one message, in the order in which the server of tRPC finds fault with it.
    fn parse(json: &'a str, options: &ParseOptions) -> Result<Self, ParseError> {
        let names = ["id", "jsonrpc", "method", "params"];
        let [id, jsonrpc, method, params] = members(json, names).map_err(not_an_object)?;
        let id = match id.ok_or(ParseError::Id)? {
            null if null.get() == "null" => None,
            id => Some(Id::new(id).ok_or(ParseError::Id)?),
        };
        if jsonrpc.is_some_and(|version| version.get() != r#""2.0""#) {
            return Err(ParseError::Version);
        }
        let envelope = Envelope { id, jsonrpc: jsonrpc.is_some() };
        let method = match &*method.and_then(string).ok_or(ParseError::Method)? {
            "subscription.stop" => Method::Stop,
            name => {
                let kind = ProcedureType::of(name).ok_or(ParseError::Method)?;
                Method::Call(Call::parse(kind, params.ok_or(ParseError::NotAnObject)?, options)?)
            }
        };
        Ok(Self { envelope, method })
    }
}

fn not_an_object(error: serde_json::Error) -> ParseError {
    if error.is_data() { ParseError::NotAnObject } else { ParseError::Json(error) }
}

// === impl Call ===

impl<'a> Call<'a> {
    fn parse(
        kind: ProcedureType,
        params: &'a RawValue,
        options: &ParseOptions,
    ) -> Result<Self, ParseError> {
        let names = ["input", "path", "lastEventId"];
        let [input, path, last_event_id] =
            members(params.get(), names).map_err(|_| ParseError::NotAnObject)?;
        let path = path.and_then(string).ok_or(ParseError::NotAString)?;
        let last_event_id =
            last_event_id.map(|id| string(id).ok_or(ParseError::NotAString)).transpose()?;
        let input = options.transformer.input(input).map_err(|()| ParseError::Input)?;
        Ok(Self { kind, path, input, last_event_id })
    }
}

// === impl ProcedureType ===

impl ProcedureType {
    fn of(method: &str) -> Option<Self> {
        [Self::Query, Self::Mutation, Self::Subscription].into_iter().find(|k| k.as_str() == method)
    }

    /// The name that stands in `method`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Query => "query",
            Self::Mutation => "mutation",
            Self::Subscription => "subscription",
        }
    }
}

impl fmt::Display for ProcedureType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

// === impl ParseOptions ===

impl Default for ParseOptions {
    fn default() -> Self {
        Self { transformer: Transformer::None, max_batch: 2048 }
    }
}
