//! What servers send, as clients read it.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::members::{members, string};
use super::response::{PING, PONG};
use super::{ErrorCode, Id, Transformer};

/// One text message of a server.
///
/// ```
/// use fanwire_wire::trpc::{Outcome, ServerFrame, Transformer};
///
/// let text = r#"{"id":7,"result":{"type":"data","data":{"id":"3","data":"hello"},"id":"3"}}"#;
/// let ServerFrame::Response { outcome: Outcome::Data(event), .. } =
///     ServerFrame::parse(text, Transformer::None)?
/// else {
///     unreachable!("it is an event");
/// };
/// assert_eq!(event.event_id.as_deref(), Some("3"));
/// assert_eq!(event.json.map(|json| json.get()), Some(r#""hello""#));
/// # Ok::<(), fanwire_wire::trpc::ServerFrameError>(())
/// ```
#[derive(Debug, Clone)]
pub enum ServerFrame<'a> {
    /// `PING`, to be answered with [`PONG`].
    Ping,
    /// The answer to a `PING` of ours.
    Pong,
    /// The client is asked to connect anew.
    Reconnect,
    /// An answer.
    Response {
        /// Of the message that it answers. `None`: it concerns the connection.
        id: Option<Id>,
        /// What is said.
        outcome: Outcome<'a>,
    },
    /// Something that this version does not know, to be ignored.
    Unknown,
}

/// What a server answers.
#[derive(Debug, Clone)]
pub enum Outcome<'a> {
    /// A subscription has begun.
    Started,
    /// A subscription is over.
    Stopped,
    /// An event of a subscription, or what a query or mutation gives.
    Data(Event<'a>),
    /// The call has failed.
    Error(Failure<'a>),
}

/// Data that has arrived, the transformer undone.
#[derive(Debug, Clone, Default)]
pub struct Event<'a> {
    /// The value. `None`: undefined.
    pub json: Option<&'a RawValue>,
    /// The id of a tracked event.
    pub event_id: Option<Cow<'a, str>>,
}

/// Why a call failed, in the server's words.
#[derive(Debug, Clone)]
pub struct Failure<'a> {
    /// The number that JSON-RPC has for it.
    pub number: i64,
    /// What kind of failure it is, where the server names one that is known.
    pub code: Option<ErrorCode>,
    /// The failure in words.
    pub message: Cow<'a, str>,
    /// The object `data`, with whatever else the server has put there.
    pub data: Option<&'a RawValue>,
}

/// Why a text is no message of a tRPC server.
#[derive(Debug, thiserror::Error)]
pub enum ServerFrameError {
    /// It is no JSON object.
    #[error("not a message of a tRPC server: {0}")]
    Json(#[from] serde_json::Error),
    /// Something in it is not what it has to be.
    #[error("not a message of a tRPC server: {0}")]
    Shape(&'static str),
    /// The data is not what the transformer makes.
    #[error("the data is not what this client's transformer makes; give it the server's")]
    Transformer,
}

// === impl ServerFrame ===

impl<'a> ServerFrame<'a> {
    /// Reads a text message.
    ///
    /// # Errors
    ///
    /// [`ServerFrameError`]. The clients of tRPC ignore such a message.
    pub fn parse(text: &'a str, transformer: Transformer) -> Result<Self, ServerFrameError> {
        match text {
            PING => return Ok(Self::Ping),
            PONG => return Ok(Self::Pong),
            // `members` would refuse it; to the clients of tRPC it is nothing.
            _ if text.trim_ascii_start().starts_with('[') => return Ok(Self::Unknown),
            _ => {}
        }
        let [id, method, result, error] = members(text, ["id", "method", "result", "error"])?;
        if let Some(method) = method {
            let reconnect = string(method).is_some_and(|method| method == "reconnect");
            return Ok(if reconnect { Self::Reconnect } else { Self::Unknown });
        }
        let id = id.and_then(Id::new);
        let outcome = match (result, error) {
            (Some(result), _) => Outcome::of_result(result, transformer)?,
            (None, Some(error)) => Some(Outcome::Error(Failure::parse(error, transformer)?)),
            (None, None) => None,
        };
        Ok(outcome.map_or(Self::Unknown, |outcome| Self::Response { id, outcome }))
    }
}

// === impl Outcome ===

impl<'a> Outcome<'a> {
    /// `None`: of a type that is not known.
    fn of_result(
        result: &'a RawValue,
        transformer: Transformer,
    ) -> Result<Option<Self>, ServerFrameError> {
        let [kind, data, id] = members(result.get(), ["type", "data", "id"])?;
        // Over HTTP a result has no type, and servers have been lazy here, too.
        let kind = kind.and_then(string).unwrap_or(Cow::Borrowed("data"));
        Ok(match &*kind {
            "started" => Some(Self::Started),
            "stopped" => Some(Self::Stopped),
            "data" => Some(Self::Data(Event::parse(data, id, transformer)?)),
            _ => None,
        })
    }
}

// === impl Event ===

impl<'a> Event<'a> {
    fn parse(
        data: Option<&'a RawValue>,
        id: Option<&'a RawValue>,
        transformer: Transformer,
    ) -> Result<Self, ServerFrameError> {
        let json = transformer.input(data).map_err(|()| ServerFrameError::Transformer)?;
        let Some(id) = id.filter(|id| id.get() != "null") else {
            return Ok(Self { json, event_id: None });
        };
        // A number is a string to the clients of tRPC.
        let event_id = string(id).unwrap_or(Cow::Borrowed(id.get()));
        let tracked = json.ok_or(ServerFrameError::Shape("a tracked event without its data"))?;
        // The value stands within, beside the id.
        let [json] = members(tracked.get(), ["data"])?;
        Ok(Self { json, event_id: Some(event_id) })
    }
}

// === impl Failure ===

impl<'a> Failure<'a> {
    fn parse(error: &'a RawValue, transformer: Transformer) -> Result<Self, ServerFrameError> {
        let error = transformer.input(Some(error)).map_err(|()| ServerFrameError::Transformer)?;
        let error = error.ok_or(ServerFrameError::Transformer)?;
        let [code, message, data] = members(error.get(), ["code", "message", "data"])?;
        let number = code.and_then(|code| code.get().parse().ok());
        let number = number.ok_or(ServerFrameError::Shape("an error whose code is no number"))?;
        let key = data.and_then(|data| members(data.get(), ["code"]).ok());
        let code = key.and_then(|[key]| string(key?)?.parse().ok());
        let message = message.and_then(string).unwrap_or_default();
        Ok(Self { number, code, message, data })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::value::to_raw_value;

    use super::super::{Data, Envelope, ErrorShape, ProcedureType, Response};
    use super::*;

    fn outcome(text: &str) -> Outcome<'_> {
        match ServerFrame::parse(text, Transformer::None) {
            Ok(ServerFrame::Response { outcome, .. }) => outcome,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn bare_texts_and_notifications_are_told_apart() {
        let parse = |text| ServerFrame::parse(text, Transformer::None);
        assert!(matches!(parse("PING"), Ok(ServerFrame::Ping)));
        assert!(matches!(parse("PONG"), Ok(ServerFrame::Pong)));
        let reconnect = Response::RECONNECT.encode(&Envelope::default());
        assert!(matches!(parse(&reconnect), Ok(ServerFrame::Reconnect)));
        for text in ["[]", "[1]", r#"{"id":1}"#, r#"{"id":null,"method":"dance"}"#] {
            assert!(matches!(parse(text), Ok(ServerFrame::Unknown)), "{text}");
        }
        for text in ["", "hello", "1", "\"a\"", "{"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_a_gateway_says_of_a_failed_handler_is_no_message_of_trpc() {
        let text = r#"{"message":"Internal server error","connectionId":"c","requestId":"r"}"#;
        let frame = ServerFrame::parse(text, Transformer::None);
        assert!(matches!(frame, Ok(ServerFrame::Unknown)));
    }

    #[test]
    fn errors_have_a_code_and_keep_what_else_is_said() {
        let message = ErrorShape::no_such_procedure(ProcedureType::Query, "nope");
        let shape =
            ErrorShape { path: Some("nope"), ..ErrorShape::new(ErrorCode::NotFound, &message) };
        let text = Response::error(&shape, Transformer::None).encode(&Id::from(1).into());
        let Outcome::Error(failure) = outcome(&text) else { panic!("{text}") };
        assert_eq!((failure.number, failure.code), (-32004, Some(ErrorCode::NotFound)));
        assert_eq!(failure.message, r#"No "query"-procedure on path "nope""#);
        assert!(failure.data.unwrap().get().contains(r#""path":"nope""#));
        let text = r#"{"id":1,"error":{"code":"x","message":"m"}}"#;
        assert!(ServerFrame::parse(text, Transformer::None).is_err());
    }

    #[test]
    fn undefined_is_nothing() {
        let text = Response::data(&Data::default(), Transformer::SuperJson);
        let text = text.encode(&Id::from(1).into());
        let frame = ServerFrame::parse(&text, Transformer::SuperJson).unwrap();
        let ServerFrame::Response { outcome: Outcome::Data(event), .. } = frame else { panic!() };
        assert!(event.json.is_none());
    }

    proptest! {
        #[test]
        fn what_a_server_writes_is_what_a_client_reads(
            value in ".*",
            event_id in proptest::option::of(".*"),
            number: u64,
            superjson: bool,
        ) {
            let transformer = if superjson { Transformer::SuperJson } else { Transformer::None };
            let json = to_raw_value(&value).unwrap();
            let data = Data { json: Some(&json), meta: None, event_id: event_id.as_deref() };
            let text = Response::data(&data, transformer).encode(&Id::from(number).into());
            let frame = ServerFrame::parse(&text, transformer).unwrap();
            let ServerFrame::Response { id, outcome: Outcome::Data(event) } = frame else {
                panic!("{text}");
            };
            prop_assert_eq!(id, Some(Id::from(number)));
            prop_assert_eq!(event.event_id.as_deref(), event_id.as_deref());
            prop_assert_eq!(event.json.unwrap().get(), json.get());
        }

        #[test]
        fn nothing_that_a_server_sends_is_a_panic(text in ".*") {
            let _ = ServerFrame::parse(&text, Transformer::None);
            let _ = ServerFrame::parse(&text, Transformer::SuperJson);
        }
    }
}
