//! `@connections` over HTTP, for unmodified AWS SDKs
//! (reference: api-gateway.md, section 13).

use fanwire_websocket::{ApiIndex, ManagementError, request_id};
use fanwire_wire::ws::CloseCode;
use http::{Method, Request, StatusCode};
use hyper::body::Incoming;

use crate::response::{self, Answer};
use crate::router::{BodyError, Router};

/// The most bytes read of a body; whether they are too many is the API's to say.
const MAX_BODY_BYTES: usize = 32 * 1024 * 1024;

impl Router {
    /// Answers a call about one connection.
    pub(crate) async fn connection(
        &self,
        api: ApiIndex,
        id: &str,
        request: Request<Incoming>,
    ) -> Answer {
        let gateway_id = request_id();
        let done = match *request.method() {
            Method::POST => self.post(api, id, request).await,
            Method::GET => self.get(api, id).await,
            Method::DELETE => self.delete(api, id, request.uri().query()).await,
            _ => Ok(not_allowed()),
        };
        let answer = done.unwrap_or_else(|error| refused(&error, id, &gateway_id));
        response::with_gateway_ids(answer, &gateway_id)
    }

    /// Answers a call about all connections of an API: a broadcast, where it allows
    /// one. AWS has no such address.
    pub(crate) async fn connections(&self, api: ApiIndex, request: Request<Incoming>) -> Answer {
        let gateway_id = request_id();
        let answer = if request.method() == Method::POST {
            match self.body(request, MAX_BODY_BYTES).await {
                Ok(body) => match self.plane().broadcast(api, &body) {
                    Ok(()) => response::json(StatusCode::OK, ""),
                    Err(error) => refused(&error, "", &gateway_id),
                },
                Err(error) => unreadable(&error),
            }
        } else {
            not_allowed()
        };
        response::with_gateway_ids(answer, &gateway_id)
    }

    async fn post(
        &self,
        api: ApiIndex,
        id: &str,
        request: Request<Incoming>,
    ) -> Result<Answer, ManagementError> {
        match self.body(request, MAX_BODY_BYTES).await {
            Ok(body) => {
                self.plane().post(api, id, &body).await?;
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
        let close = match close_of(query.unwrap_or_default()) {
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

fn close_of(query: &str) -> Result<Option<(CloseCode, String)>, String> {
    let mut code = None;
    let mut reason = String::new();
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = percent_encoding::percent_decode_str(value).decode_utf8_lossy();
        match name {
            "code" => {
                let number = value.parse().ok().and_then(CloseCode::new);
                let number = number.ok_or_else(|| {
                    format!("`{value}` is not a close code; expected 1000 or 3000-4999")
                })?;
                code = Some(number);
            }
            "reason" if value.len() <= MAX_REASON_BYTES => reason = value.into_owned(),
            "reason" => return Err(format!("the reason is over {MAX_REASON_BYTES} bytes")),
            _ => {}
        }
    }
    Ok(code.map(|code| (code, reason)))
}

fn refused(error: &ManagementError, id: &str, gateway_id: &str) -> Answer {
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
        ManagementError::NotText => {
            response::error(StatusCode::BAD_REQUEST, "BadRequestException", message)
        }
        ManagementError::TooLarge { .. } => {
            response::error(StatusCode::PAYLOAD_TOO_LARGE, "PayloadTooLargeException", message)
        }
        ManagementError::Busy => {
            response::error(StatusCode::TOO_MANY_REQUESTS, "LimitExceededException", message)
        }
        ManagementError::Forbidden => {
            response::error(StatusCode::FORBIDDEN, "ForbiddenException", message)
        }
    }
}

fn unreadable(error: &BodyError) -> Answer {
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

fn not_allowed() -> Answer {
    let body = response::message("expected POST, GET or DELETE");
    response::error(StatusCode::METHOD_NOT_ALLOWED, "ForbiddenException", body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_close_code_and_reason_are_read_from_the_query() {
        let (code, reason) = close_of("code=4401&reason=bad%20token").unwrap().unwrap();
        assert_eq!((code.get(), reason.as_str()), (4401, "bad token"));
        assert_eq!(close_of("").unwrap(), None);
        assert!(close_of("code=1005").is_err());
        assert!(close_of("code=x").is_err());
        assert!(close_of(&format!("code=4000&reason={}", "x".repeat(124))).is_err());
    }
}
