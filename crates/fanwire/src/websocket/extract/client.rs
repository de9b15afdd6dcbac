//! What is known of a client.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::super::Event;
use super::{ExtractError, FromEvent, values};
use crate::{Error, Result};

/// The query of a handshake, read into a type: text, numbers and booleans as they are, a
/// parameter that comes several times as a list. Where one is wanted, it is the last. One
/// that does not fit is refused (400).
///
/// Messages have no query: what is needed later is kept, in a
/// [`Collection`](crate::collection::Collection) or as the authorizer's context.
///
/// ```
/// use fanwire::websocket::{Query, Reply, WebSocket};
///
/// #[derive(serde::Deserialize)]
/// struct Hello { name: String, #[serde(default)] rooms: Vec<u32> }
///
/// WebSocket::new().connect(async |Query(hello): Query<Hello>| {
///     if hello.rooms.len() > 10 { Reply::status(400) } else { Reply::default() }
/// });
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Query<T>(pub T);

/// The headers of a handshake. Messages have none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(pub Vec<(String, String)>);

/// Who the client is, by what its authorizer has said. A client without one is refused
/// (401), unless the handler has an `Option<Principal>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal(pub String);

/// What the authorizer has said about the client, read into a type. API Gateway makes
/// strings of numbers and booleans; they are read as what they were.
///
/// ```
/// use fanwire::websocket::{Authorized, WebSocket};
///
/// #[derive(serde::Deserialize)]
/// struct User { name: String, admin: bool }
///
/// WebSocket::new().message(async |Authorized(user): Authorized<User>| {
///     if user.admin { format!("at your service, {}", user.name) } else { "no".to_owned() }
/// });
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Authorized<T>(pub T);

/// How a connection has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// The close code, such as 1001; 1005 where the client has given none, 1006 where it
    /// has vanished.
    pub code: u16,
    /// What the client has said of it; mostly nothing.
    pub reason: String,
}

impl<S: Sync, T: DeserializeOwned> FromEvent<S> for Query<T> {
    async fn from_event(event: &Event, _: &S) -> Result<Self> {
        let pairs = event.query.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let query = values::from_pairs(pairs);
        let refused =
            |error: values::Fault| Error::new(400, ExtractError::Query(error.to_string()));
        query.map(Self).map_err(refused)
    }
}

// === impl Headers ===

impl Headers {
    /// The first header of a name, in whatever case.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// All headers of a name, in whatever case.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let named = move |(known, _): &&(String, String)| known.eq_ignore_ascii_case(name);
        self.0.iter().filter(named).map(|(_, value)| value.as_str())
    }

    /// The subprotocols that the client offers, its favourite first. The handler of
    /// `connect` chooses one by [`Reply::subprotocol`](super::super::Reply::subprotocol).
    pub fn subprotocols(&self) -> impl Iterator<Item = &str> {
        let offers = self.all("sec-websocket-protocol");
        offers.flat_map(|offers| offers.split(',')).map(str::trim).filter(|offer| !offer.is_empty())
    }
}

impl<S: Sync> FromEvent<S> for Headers {
    async fn from_event(event: &Event, _: &S) -> Result<Self> {
        Ok(Self(event.headers.clone()))
    }
}

// === impl Principal ===

impl Principal {
    fn of(event: &Event) -> Option<Self> {
        let principal = event.authorizer.get("principalId").and_then(Value::as_str);
        principal.map(|principal| Self(principal.to_owned()))
    }
}

impl<S: Sync> FromEvent<S> for Principal {
    async fn from_event(event: &Event, _: &S) -> Result<Self> {
        Self::of(event).ok_or_else(|| Error::new(401, ExtractError::NoPrincipal))
    }
}

impl<S: Sync> FromEvent<S> for Option<Principal> {
    async fn from_event(event: &Event, _: &S) -> Result<Self> {
        Ok(Principal::of(event))
    }
}

impl<S: Sync, T: DeserializeOwned> FromEvent<S> for Authorized<T> {
    async fn from_event(event: &Event, _: &S) -> Result<Self> {
        let texts = event.authorizer.iter().map(|(name, value)| match value {
            Value::String(text) => (name.as_str(), text.clone()),
            other => (name.as_str(), other.to_string()),
        });
        let context = values::from_pairs(texts);
        let fault =
            |error: values::Fault| Error::new(500, ExtractError::Authorizer(error.to_string()));
        context.map(Self).map_err(fault)
    }
}

impl<S: Sync> FromEvent<S> for Closed {
    async fn from_event(event: &Event, _: &S) -> Result<Self> {
        let closed = event.closed.clone();
        let (code, reason) = closed.ok_or_else(|| Error::new(500, ExtractError::NotClosed))?;
        Ok(Self { code, reason })
    }
}
