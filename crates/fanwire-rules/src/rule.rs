//! A statement, ready for messages.

use std::borrow::Cow;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::ast::Query;
use crate::error::{EvaluateError, SqlError};
use crate::evaluate::Evaluation;
use crate::message::Message;
use crate::parser;
use crate::value::{self, Value};
use crate::version::SqlVersion;

/// A rule's statement. Parsed once, evaluated for every message.
#[derive(Debug)]
pub struct Rule {
    pub(crate) filter: Option<String>,
    pub(crate) query: Query,
    pub(crate) version: SqlVersion,
    /// `SELECT *` alone: the payload is passed on as it is.
    pub(crate) whole: bool,
    /// The statement names members of the payload.
    pub(crate) names: bool,
}

/// What a rule makes of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selected<'m> {
    /// One JSON value. Borrowed: the payload, as it is.
    Json(Cow<'m, [u8]>),
    /// The payload of `SELECT *`, which is not JSON. A function cannot take it.
    Raw(&'m [u8]),
}

// === impl Rule ===

impl Rule {
    /// Reads a statement.
    pub fn parse(sql: &str, version: SqlVersion) -> Result<Self, SqlError> {
        parser::parse(sql, version)
    }

    /// The topic filter of FROM. `None` where there is none: the rule then takes only
    /// what is published to it by [`basic_ingest`](crate::basic_ingest).
    pub fn filter(&self) -> Option<&str> {
        self.filter.as_deref()
    }

    /// What the rule makes of a message whose topic its filter matches; `None` where its
    /// WHERE is not true.
    pub fn evaluate<'m>(
        &self,
        message: &Message<'m>,
    ) -> Result<Option<Selected<'m>>, EvaluateError> {
        if self.whole && self.query.condition.is_none() {
            return Ok(Some(whole(message.payload)));
        }
        let payload = self.read(message)?;
        let mut evaluation = Evaluation::new(message, self.version);
        if !evaluation.takes(&self.query, &payload)? {
            return Ok(None);
        }
        if self.whole {
            return Ok(Some(whole(message.payload)));
        }
        let json = evaluation.select(&self.query, &payload)?.to_json();
        if json.len() > crate::MAX_RESULT_BYTES {
            return Err(EvaluateError::TooLong);
        }
        Ok(Some(Selected::Json(Cow::Owned(json.into_bytes()))))
    }

    /// The payload as a value. Where it is not JSON, and nothing asks for members of it,
    /// it is its bytes in base64.
    fn read(&self, message: &Message<'_>) -> Result<Value, EvaluateError> {
        if self.whole && !self.names {
            return Ok(Value::Undefined);
        }
        if message.payload.len() > crate::MAX_RESULT_BYTES {
            return Err(EvaluateError::TooLong);
        }
        match value::read(message.payload, self.version) {
            Some(value) => Ok(value),
            None if self.names => Err(EvaluateError::NotJson),
            None => Ok(Value::String(BASE64_STANDARD.encode(message.payload))),
        }
    }
}

/// The payload, byte for byte: numbers, order and white space stay what they are.
fn whole(payload: &[u8]) -> Selected<'_> {
    if value::is_json(payload) {
        Selected::Json(Cow::Borrowed(payload))
    } else {
        Selected::Raw(payload)
    }
}
