//! `@connections` over HTTP, for unmodified AWS SDKs
//! (reference: api-gateway.md, section 13).

use fanwire_websocket::{ApiIndex, ManagementError, Post, request_id};
use fanwire_wire::ws::CloseCode;
use http::{Method, Request, StatusCode};

use crate::query::Query;
use crate::response::{self, Answer};
use crate::router::{BodyError, CallBody, Router};

/// The most bytes read of a body; whether they are too many is the API's to say.
pub(crate) const MAX_BODY_BYTES: usize = 32 * 1024 * 1024;

impl Router {
    /// Answers a call about one connection.
    pub(crate) async fn connection(
        &self,
        api: ApiIndex,
        id: &str,
        request: Request<CallBody>,
    ) -> Answer {
        let gateway_id = request_id();
        let done = match *request.method() {
            Method::POST => self.post(api, id, request).await,
            Method::GET => self.get(api, id).await,
            Method::DELETE => self.delete(api, id, request.uri().query()).await,
            _ => Ok(not_allowed("POST, GET or DELETE")),
        };
        let answer = done.unwrap_or_else(|error| refused(&error, id, &gateway_id));
        response::with_gateway_ids(answer, &gateway_id)
    }

    async fn post(
        &self,
        api: ApiIndex,
        id: &str,
        request: Request<CallBody>,
    ) -> Result<Answer, ManagementError> {
        match self.body(request, MAX_BODY_BYTES).await {
            Ok(body) => {
                self.plane().post(api, id, Post::Body(&body)).await?;
                Ok(response::json(StatusCode::OK, ""))
            }
            Err(error) => Ok(unreadable(&error)),
        }
    }

    async fn get(&self, api: ApiIndex, id: &str) -> Result<Answer, ManagementError> {
        let info = self.plane().inspect(api, id).await?;
        // Strings only: this cannot fail.
        Ok(response::json(StatusCode::OK, serde_json::to_vec(&info).unwrap_or_default()))
    }

    /// Takes `code` and `reason` from the query, which AWS does not have: a backend
    /// there cannot say why it closes.
    async fn delete(
        &self,
        api: ApiIndex,
        id: &str,
        query: Option<&str>,
    ) -> Result<Answer, ManagementError> {
        let close = match close_of(Query::new(query)) {
            Ok(close) => close,
            Err(text) => {
                let body = response::message(&text);
                return Ok(response::error(StatusCode::BAD_REQUEST, "BadRequestException", body));
            }
        };
        self.plane().delete(api, id, close).await?;
        Ok(response::json(StatusCode::NO_CONTENT, ""))
    }
}

/// The longest close reason, in bytes (RFC 6455, section 5.5.1).
const MAX_REASON_BYTES: usize = 123;

fn close_of(query: Query<'_>) -> Result<Option<(CloseCode, String)>, String> {
    let reason = query.get("reason").unwrap_or_default();
    if reason.len() > MAX_REASON_BYTES {
        return Err(format!("the reason is over {MAX_REASON_BYTES} bytes"));
    }
    let Some(code) = query.get("code") else { return Ok(None) };
    match code.parse().ok().and_then(CloseCode::new) {
        Some(code) => Ok(Some((code, reason))),
        None => Err(format!("`{code}` is not a close code; expected 1000 or 3000-4999")),
    }
}

pub(crate) fn refused(error: &ManagementError, id: &str, gateway_id: &str) -> Answer {
    let message = response::message(&error.to_string());
    match error {
        // Real AWS sends no body with this one.
        ManagementError::Gone => response::error(StatusCode::GONE, "GoneException", ""),
        ManagementError::InvalidId(_) => {
            let body = serde_json::json!({
                "message": error.to_string(), "connectionId": id, "requestId": gateway_id,
            });
            let status = StatusCode::BAD_REQUEST;
            response::error(status, "BadRequestException", body.to_string())
        }
        ManagementError::NotText | ManagementError::TooMany { .. } | ManagementError::Group(_) => {
            response::error(StatusCode::BAD_REQUEST, "BadRequestException", message)
        }
        ManagementError::TooLarge { .. } => {
            response::error(StatusCode::PAYLOAD_TOO_LARGE, "PayloadTooLargeException", message)
        }
        ManagementError::Busy => {
            response::error(StatusCode::TOO_MANY_REQUESTS, "LimitExceededException", message)
        }
        ManagementError::Away => {
            response::error(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailableException", message)
        }
        ManagementError::Forbidden => {
            response::error(StatusCode::FORBIDDEN, "ForbiddenException", message)
        }
    }
}

pub(crate) fn unreadable(error: &BodyError) -> Answer {
    let message = response::message(&error.to_string());
    match error {
        BodyError::TooLarge { .. } => {
            response::error(StatusCode::PAYLOAD_TOO_LARGE, "PayloadTooLargeException", message)
        }
        BodyError::TimedOut | BodyError::Broken => {
            response::error(StatusCode::BAD_REQUEST, "BadRequestException", message)
        }
    }
}

pub(crate) fn not_allowed(expected: &str) -> Answer {
    let body = response::message(&format!("expected {expected}"));
    response::error(StatusCode::METHOD_NOT_ALLOWED, "ForbiddenException", body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_close_code_and_reason_are_read_from_the_query() {
        let close_of = |query| close_of(Query::new(Some(query)));
        let (code, reason) = close_of("code=4401&reason=bad%20token").unwrap().unwrap();
        assert_eq!((code.get(), reason.as_str()), (4401, "bad token"));
        assert_eq!(close_of("").unwrap(), None);
        assert!(close_of("code=1005").is_err());
        assert!(close_of("code=x").is_err());
        assert!(close_of(&format!("code=4000&reason={}", "x".repeat(124))).is_err());
    }
}
