//! Messages to one client (SendDirectMessage).

use std::time::Duration;

use fanwire_realtime::DirectError;
use http::Request;
use serde_json::json;

use super::error::trace_id;
use super::parameters::boolean;
use super::{DataError, MAX_PAYLOAD, Parameters, message, ok, unreadable};
use crate::query::Query;
use crate::realtime::Endpoint;
use crate::response::Answer;
use crate::router::{CallBody, Router};

/// How long a client has to acknowledge a message where the caller says nothing, in seconds.
const DEFAULT_TIMEOUT: u64 = 5;

/// The longest time that a caller can ask for, in seconds.
const MAX_TIMEOUT: u64 = 15;

impl Router {
    /// `POST /connections/{clientId}/messages`.
    pub(super) async fn send_direct_message(
        &self,
        endpoint: &Endpoint,
        client_id: &str,
        request: Request<CallBody>,
    ) -> Result<Answer, DataError> {
        let query = Query::new(request.uri().query());
        let topic = query.get("topic").filter(|topic| !topic.is_empty());
        let topic = topic.ok_or_else(|| DataError::invalid("expected a topic in the query"))?;
        let confirmed = boolean(query, "confirmation")?;
        // Without a confirmation the timeout is not looked at, as on AWS.
        let seconds = if confirmed { timeout(query)? } else { DEFAULT_TIMEOUT };
        let mut parameters = Parameters::read(request.uri(), request.headers())?;
        parameters.qos = u8::from(confirmed);
        parameters.retain = false;
        parameters.message_expiry = None;
        let payload = self.body(request, MAX_PAYLOAD).await.map_err(|error| unreadable(&error))?;
        let message = message(topic, payload, parameters);
        let patience = Duration::from_secs(seconds);
        endpoint.plane.send_direct(client_id, message, patience).await?;
        Ok(ok(&json!({ "message": "OK", "traceId": trace_id() })))
    }
}

fn timeout(query: Query<'_>) -> Result<u64, DataError> {
    let Some(text) = query.get("timeout") else { return Ok(DEFAULT_TIMEOUT) };
    let seconds = text.parse().ok().filter(|seconds| (1..=MAX_TIMEOUT).contains(seconds));
    seconds.ok_or_else(|| {
        DataError::invalid(format!("`{text}` is not a value of timeout; expected 1 to 15"))
    })
}

impl From<DirectError> for DataError {
    fn from(error: DirectError) -> Self {
        let text = error.to_string();
        match error {
            DirectError::Message(error) => error.into(),
            DirectError::Away => Self::not_found(text),
            DirectError::Unreachable(_) => Self::unavailable(text),
            DirectError::Forbidden => Self::forbidden(text),
            DirectError::Busy => Self::busy(text),
            DirectError::TooLong => Self::too_large(text),
            DirectError::Unconfirmed => Self::timed_out(text),
            _ => Self::internal(text),
        }
    }
}
