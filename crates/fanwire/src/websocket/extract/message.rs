//! What a client has sent.

use serde::de::DeserializeOwned;

use super::super::{Body, Event};
use super::{ExtractError, FromEvent};
use crate::{Error, Result};

/// A message, or an answer, as JSON.
///
/// As an argument: the message read into a type; one that does not fit is refused (400). As
/// what a handler returns: what the client is sent.
///
/// ```
/// use fanwire::websocket::{Json, WebSocket};
///
/// #[derive(serde::Deserialize)]
/// struct Add { a: i64, b: i64 }
///
/// WebSocket::new().route("add", async |Json(add): Json<Add>| Json(add.a + add.b));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Json<T>(pub T);

/// A message as text; one that is not UTF-8 is refused (400).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text(pub String);

impl<S: Sync, T: DeserializeOwned> FromEvent<S> for Json<T> {
    async fn from_event(event: &Event, _: &S) -> Result<Self> {
        let value = serde_json::from_slice(event.body.as_bytes());
        value.map(Self).map_err(|error| Error::new(400, ExtractError::Json(error)))
    }
}

impl<S: Sync> FromEvent<S> for Text {
    async fn from_event(event: &Event, _: &S) -> Result<Self> {
        let text = match &event.body {
            Body::Text(text) => Ok(text.as_str()),
            Body::Binary(bytes) => std::str::from_utf8(bytes),
        };
        let text = text.map_err(|_| Error::new(400, ExtractError::NotText))?;
        Ok(Self(text.to_owned()))
    }
}

impl<S: Sync> FromEvent<S> for Body {
    async fn from_event(event: &Event, _: &S) -> Result<Self> {
        Ok(event.body.clone())
    }
}
