//! Procedures as those see them who do not know their types: the stored mode, and the plane
//! of a server.

use std::fmt;
use std::sync::Arc;

use fanwire_wire::trpc::ProcedureType;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::filter::encode_key;
use super::typescript::Signature;
use super::{FilterInfo, Output, Scalar, TrpcError};
use crate::superjson::annotations;

/// The call of a procedure.
#[derive(Clone, Debug)]
pub struct Call {
    /// How it is called.
    pub kind: ProcedureType,
    /// Its path, such as `room.messages`.
    pub path: String,
    /// Its input, the transformer undone. `None`: undefined.
    pub input: Option<Box<RawValue>>,
    /// The id of the last tracked event that a client had which subscribes again.
    pub last_event_id: Option<String>,
}

/// What came of a call.
pub enum Answer {
    /// The answer to a query or mutation.
    Value(Payload),
    /// The client is to be sent what is published to the procedure from now on.
    Subscribed(Interest),
    /// The client is to be sent what comes out of the stream.
    Stream(BoxStream<'static, Result<Sent, TrpcError>>),
}

/// What a subscriber is to be sent.
#[derive(Clone, Debug)]
pub struct Interest {
    /// The path of the procedure.
    pub path: &'static str,
    /// Its filters.
    pub filters: &'static [FilterInfo],
    /// The subscriber's values for each of them.
    pub values: Vec<Vec<Scalar>>,
    /// Whether its events have ids.
    pub tracked: bool,
}

/// Something that a subscriber is sent.
#[derive(Clone, Debug)]
pub struct Sent {
    /// The id of a tracked event.
    pub event_id: Option<String>,
    /// What the client's code gets.
    pub data: Payload,
}

/// A value for clients, as JSON.
#[derive(Clone, Debug)]
pub struct Payload {
    /// The value.
    pub json: Box<RawValue>,
    /// Which parts of it are what JSON has no word for: its `meta.values`, for clients with
    /// [`superjson`](crate::superjson). `None`: there are none.
    pub meta: Option<Box<RawValue>>,
}

/// A procedure of a router whose context is `C`.
pub(crate) struct Procedure<C> {
    pub(crate) kind: ProcedureType,
    /// Whether its path is whole, whatever router it is put into.
    pub(crate) placed: bool,
    pub(crate) filters: &'static [FilterInfo],
    pub(crate) signature: Signature,
    pub(crate) run: Run<C>,
}

/// Runs a procedure.
pub(crate) type Run<C> =
    Arc<dyn Fn(Arc<C>, Call) -> BoxFuture<'static, Result<Answer, TrpcError>> + Send + Sync>;

// === impl Interest ===

impl Interest {
    /// Which of the procedure's filters, and the subscriber's key for it. Publishing to the
    /// first fields of a filter is for those whose key begins with those fields' key, and
    /// no key of all fields is the beginning of another one.
    pub fn keys(&self) -> impl Iterator<Item = (u16, Vec<u8>)> {
        (0..).zip(self.values.iter().map(|values| encode_key(values).into_bytes()))
    }
}

// === impl Sent ===

impl Sent {
    /// What is sent of `output`.
    ///
    /// # Errors
    ///
    /// When it cannot be written as JSON, such as a map whose keys are no strings.
    pub fn of<O: Output>(output: &O) -> Result<Self, TrpcError> {
        let data = Payload::of(output.data())?;
        Ok(Self { event_id: output.event_id().map(str::to_owned), data })
    }
}

// === impl Payload ===

impl Payload {
    /// A value.
    ///
    /// # Errors
    ///
    /// When it cannot be written as JSON, such as a map whose keys are no strings.
    pub fn of<T: Serialize + ?Sized>(value: &T) -> serde_json::Result<Self> {
        Ok(Self { json: to_raw_value(value)?, meta: annotations(value)? })
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(value) => f.debug_tuple("Value").field(&value.json.get()).finish(),
            Self::Subscribed(interest) => f.debug_tuple("Subscribed").field(interest).finish(),
            Self::Stream(_) => f.write_str("Stream"),
        }
    }
}
