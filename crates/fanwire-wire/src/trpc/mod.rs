//! The WebSocket protocol of tRPC, v10 and v11, both sides of it.
//!
//! Everything is JSON in text messages (reference: trpc.md, section 2). A client sends one
//! [`ClientMessage`] at a time or a batch of them; [`ClientFrame::parse`] reads both, and the
//! bare `PING` and `PONG` of v11. A server answers each message by itself: a [`Response`],
//! sent in the [`Envelope`] of the message that it answers, so that what goes to many clients
//! is encoded once and only their ids differ.
//!
//! The client's side is [`CallRequest`] and its like, which write what [`ClientFrame`] reads,
//! and [`ServerFrame`], which reads what [`Response`] writes.
//!
//! ```
//! use fanwire_wire::trpc::{ClientFrame, Data, Method, ParseOptions, Response, Transformer};
//! use serde_json::value::to_raw_value;
//!
//! let text = r#"{"id":7,"method":"subscription","params":{"path":"room.messages","input":"a"}}"#;
//! let ClientFrame::Messages(messages) = ClientFrame::parse(text, &ParseOptions::default())?
//! else {
//!     unreachable!("this is neither PING nor PONG, and no long batch");
//! };
//! let [message] = &messages[..] else { unreachable!("it is no batch") };
//! let Method::Call(call) = &message.method else { unreachable!("it is a call") };
//! assert_eq!((&*call.path, call.input.map(|input| input.get())), ("room.messages", Some("\"a\"")));
//!
//! let said = to_raw_value("hello")?;
//! let response = Response::data(&Data::tracked("3", &said), Transformer::None);
//! assert_eq!(
//!     response.encode(&message.envelope),
//!     r#"{"id":7,"result":{"type":"data","data":{"id":"3","data":"hello"},"id":"3"}}"#,
//! );
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Strictness
//!
//! What `parseTRPCMessage` of `@trpc/server` 11 refuses is refused in its words. Where v10 took
//! more, a call without an id, v11 holds: nobody could have been answered.
//!
//! # Memory
//!
//! Parsing copies no input: texts and inputs are borrowed from the message, unless an escape
//! has to be undone. A batch is not read beyond [`ParseOptions::max_batch`].

mod client;
mod connection_params;
mod envelope;
mod error_code;
mod members;
mod request;
mod response;
mod server;
#[cfg(test)]
mod tests;
mod transformer;

pub use self::client::{
    Call, ClientFrame, ClientMessage, Method, ParseError, ParseOptions, ProcedureType,
};
pub use self::connection_params::{ConnectionParams, ConnectionParamsError, connection_params};
pub use self::envelope::{Envelope, Id, MAX_ID_BYTES};
pub use self::error_code::ErrorCode;
pub use self::request::{CallRequest, encode_batch, encode_connection_params, encode_stop};
pub use self::response::{Data, ErrorShape, PING, PONG, Response};
pub use self::server::{Event, Failure, Outcome, ServerFrame, ServerFrameError};
pub use self::transformer::Transformer;
