//! What handlers may have for arguments. Each is made from the event by [`FromEvent`].
//!
//! | argument | what it is |
//! |---|---|
//! | [`Connection`](super::Connection) | the connection, to send to it and to others |
//! | [`Json<T>`](Json), [`Text`], [`Bytes`], [`Body`](super::Body) | the message |
//! | [`Query<T>`](Query), [`Headers`] | the query and the headers of a handshake |
//! | [`Principal`], [`Authorized<T>`](Authorized) | what the authorizer has said about the client |
//! | [`Closed`] | how a connection has ended |
//! | [`State<T>`](State) | the app's state, or a part of it |
//! | [`Event`], [`Home`] | all of it |
//!
//! `Result<T>` of any of them hands the error to the handler.

mod client;
mod message;
mod state;
mod values;

use bytes::Bytes;

pub use self::client::{Authorized, Closed, Headers, Principal, Query};
pub use self::message::{Json, Text};
pub use self::state::{FromRef, State};
use super::Event;
use crate::{Home, Result};

/// What can be made from an event, in an app whose state is `S`.
///
/// ```
/// use fanwire::websocket::{Event, FromEvent, Headers};
/// use fanwire::{Error, Result};
///
/// /// The page that the client is on.
/// struct Origin(String);
///
/// impl<S: Sync> FromEvent<S> for Origin {
///     async fn from_event(event: &Event, state: &S) -> Result<Self> {
///         let headers = Headers::from_event(event, state).await?;
///         let origin = headers.get("origin").ok_or_else(|| Error::new(403, "not from a page"))?;
///         Ok(Self(origin.to_owned()))
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be made from an event of an app whose state is `{S}`"
)]
pub trait FromEvent<S>: Sized {
    /// Makes it. The error refuses the handshake, or the message.
    fn from_event(event: &Event, state: &S) -> impl Future<Output = Result<Self>> + Send;
}

/// Why an argument could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExtractError {
    /// The message is not the JSON that the handler takes (400).
    #[error("the message is not what this route takes: {0}")]
    Json(#[source] serde_json::Error),
    /// The message is not text (400).
    #[error("the message is not text in UTF-8")]
    NotText,
    /// The query is not what the handler takes (400).
    #[error("the query is not what this app takes: {0}")]
    Query(String),
    /// Nobody has said who the client is (401).
    #[error("the client has no principal: give the API an authorizer")]
    NoPrincipal,
    /// The authorizer has said something else than what the handler takes (500).
    #[error("the authorizer's context is not what this handler takes: {0}")]
    Authorizer(String),
    /// The connection has not ended (500).
    #[error("the connection has not ended: `Closed` is for the handler of `disconnect`")]
    NotClosed,
}

impl<S: Sync> FromEvent<S> for Event {
    async fn from_event(event: &Event, _: &S) -> Result<Self> {
        Ok(event.clone())
    }
}

impl<S: Sync> FromEvent<S> for Home {
    async fn from_event(event: &Event, _: &S) -> Result<Self> {
        Ok(event.home.clone())
    }
}

impl<S: Sync> FromEvent<S> for Bytes {
    async fn from_event(event: &Event, _: &S) -> Result<Self> {
        Ok(event.body.clone().into_bytes())
    }
}

impl<S: Sync, T: FromEvent<S>> FromEvent<S> for Result<T> {
    async fn from_event(event: &Event, state: &S) -> Result<Self> {
        Ok(T::from_event(event, state).await)
    }
}
