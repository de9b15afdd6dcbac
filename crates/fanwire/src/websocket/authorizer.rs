//! What decides who may connect.

use serde_json::{Map, Value};

use crate::{Error, Result};

/// The answer of an authorizer that lets a client connect: who it is, and what handlers are
/// told about it for as long as it is connected.
///
/// One that refuses it returns an error: [`Error::new`] with 401 where the client has to say
/// who it is, with 403 where that does not help (reference: api-gateway.md, section 10).
///
/// ```
/// use fanwire::websocket::{Allow, Query, WebSocket};
/// use fanwire::Error;
///
/// #[derive(serde::Deserialize)]
/// struct Credentials { token: String }
///
/// WebSocket::new().authorizer(async |Query(client): Query<Credentials>| {
///     match client.token.as_str() {
///         "open sesame" => Ok(Allow::new("ali").context("room", "cave")),
///         _ => Err(Error::new(401, "wrong token")),
///     }
/// });
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Allow {
    /// Who the client is.
    pub principal: String,
    /// What else is known of it: strings, numbers and booleans. API Gateway makes strings
    /// of them all.
    pub context: Map<String, Value>,
}

/// What an authorizer may return: [`Allow`], or a `Result` of it.
pub trait IntoAllow {
    /// The decision.
    fn into_allow(self) -> Result<Allow>;
}

/// An answer that API Gateway would not take.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum AllowError {
    /// The principal is empty.
    #[error("the authorizer lets a client connect without saying who it is: name a principal")]
    NoPrincipal,
    /// A value of the context is a list, a map or nothing.
    #[error(
        "the authorizer's context `{name}` is no string, number or boolean; write it as JSON text"
    )]
    Nested {
        /// Its name.
        name: String,
    },
    /// The answer is too long.
    #[error("the authorizer's answer is {bytes} bytes long; API Gateway takes {MAX_BYTES}")]
    TooLong {
        /// How long it is, without the policy.
        bytes: usize,
    },
}

/// The longest answer, with the policy that it is sent in (reference: api-gateway.md,
/// section 2).
const MAX_BYTES: usize = 8 * 1024;

// === impl Allow ===

impl Allow {
    /// Lets the client connect, as `principal`.
    pub fn new(principal: impl Into<String>) -> Self {
        Self { principal: principal.into(), context: Map::new() }
    }

    /// Adds to what handlers are told of the client: a string, a number or a boolean. API
    /// Gateway takes no others, and 8 KB in all.
    #[must_use]
    pub fn context(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.context.insert(name.into(), value.into());
        self
    }

    /// Holds the answer to what API Gateway takes, in every home: else an app would be
    /// found out when it comes to AWS.
    fn checked(self) -> Result<Self, AllowError> {
        if self.principal.is_empty() {
            return Err(AllowError::NoPrincipal);
        }
        let mut bytes = self.principal.len();
        for (name, value) in &self.context {
            bytes += name.len();
            match value {
                Value::String(text) => bytes += text.len(),
                Value::Number(_) | Value::Bool(_) => bytes += value.to_string().len(),
                _ => return Err(AllowError::Nested { name: name.clone() }),
            }
        }
        if bytes > MAX_BYTES { Err(AllowError::TooLong { bytes }) } else { Ok(self) }
    }
}

// === impl IntoAllow ===

impl IntoAllow for Allow {
    fn into_allow(self) -> Result<Allow> {
        Ok(self.checked()?)
    }
}

impl<E: Into<Error>> IntoAllow for Result<Allow, E> {
    fn into_allow(self) -> Result<Allow> {
        self.map_err(Into::into)?.into_allow()
    }
}
