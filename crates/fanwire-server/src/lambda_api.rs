//! Lambda's Invoke API, so that handlers call each other with unmodified AWS SDKs
//! (reference: lambda.md, section 1).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use fanwire_functions::{InvokeError, InvokeOptions, Outcome};
use http::header::{CONTENT_TYPE, HeaderName};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};

use crate::response::{self, Answer};
use crate::router::{BodyError, CallBody, Router};

/// The most a synchronous event may hold, in bytes.
pub(crate) const MAX_SYNC_BYTES: usize = 6 * 1024 * 1024;
/// The most an asynchronous event may hold, in bytes.
const MAX_ASYNC_BYTES: usize = 1024 * 1024;
/// The most the client context may hold, in bytes of base64.
const MAX_CLIENT_CONTEXT_BYTES: usize = 3583;

const INVOCATION_TYPE: HeaderName = HeaderName::from_static("x-amz-invocation-type");
const LOG_TYPE: HeaderName = HeaderName::from_static("x-amz-log-type");
const CLIENT_CONTEXT: HeaderName = HeaderName::from_static("x-amz-client-context");
const TRACE_ID: HeaderName = HeaderName::from_static("x-amzn-trace-id");
const FUNCTION_ERROR: HeaderName = HeaderName::from_static("x-amz-function-error");
const LOG_RESULT: HeaderName = HeaderName::from_static("x-amz-log-result");
const EXECUTED_VERSION: HeaderName = HeaderName::from_static("x-amz-executed-version");

/// How the caller wants its function run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum InvocationType {
    RequestResponse,
    Event,
    DryRun,
}

/// An error that SDKs turn into an exception.
#[derive(Debug)]
struct LambdaError {
    status: StatusCode,
    error_type: &'static str,
    text: String,
}

impl Router {
    /// Answers `POST /2015-03-31/functions/{name}/invocations`.
    pub(crate) async fn invoke(&self, name: &str, request: Request<CallBody>) -> Answer {
        self.try_invoke(name, request).await.unwrap_or_else(LambdaError::into_answer)
    }

    /// Answers `POST /2014-11-13/functions/{name}/invoke-async`.
    pub(crate) async fn invoke_async(&self, name: &str, request: Request<CallBody>) -> Answer {
        let invoked = async {
            let key = self.function(name)?;
            let event = self.event(request, MAX_ASYNC_BYTES).await?;
            self.functions()
                .invoke_event(&key, event, InvokeOptions::default())
                .map_err(|error| refused(&error))
        };
        match invoked.await {
            Ok(_) => response::json(StatusCode::ACCEPTED, r#"{"Status":202}"#),
            Err(refused) => refused.into_answer(),
        }
    }

    async fn try_invoke(
        &self,
        name: &str,
        request: Request<CallBody>,
    ) -> Result<Answer, LambdaError> {
        if request.method() != Method::POST {
            let status = StatusCode::METHOD_NOT_ALLOWED;
            return Err(lambda_error(status, "InvalidParameterValueException", "expected POST"));
        }
        let key = self.function(name)?;
        let kind = invocation_type(request.headers())?;
        let options = options(request.headers())?;
        let limit = if kind == InvocationType::Event { MAX_ASYNC_BYTES } else { MAX_SYNC_BYTES };
        let event = self.event(request, limit).await?;
        match kind {
            InvocationType::DryRun => Ok(response::json(StatusCode::NO_CONTENT, "")),
            InvocationType::Event => {
                let id = self.functions().invoke_event(&key, event, options);
                let id = id.map_err(|error| refused(&error))?;
                Ok(with_request_id(response::json(StatusCode::ACCEPTED, ""), &id))
            }
            InvocationType::RequestResponse => {
                let outcome = self.functions().invoke(&key, event, options).await;
                Ok(answer(outcome.map_err(|error| refused(&error))?))
            }
        }
    }

    fn function(&self, name: &str) -> Result<String, LambdaError> {
        let known = self.functions().resolve(name);
        known.ok_or_else(|| {
            let text = format!("Function not found: {}", self.arn_of_unknown(name));
            lambda_error(StatusCode::NOT_FOUND, "ResourceNotFoundException", &text)
        })
    }

    /// The event: JSON, or nothing, which stands for an empty object.
    async fn event(&self, request: Request<CallBody>, limit: usize) -> Result<Bytes, LambdaError> {
        let body = self.body(request, limit).await.map_err(|error| {
            let text = error.to_string();
            match error {
                BodyError::TooLarge { .. } => {
                    let status = StatusCode::PAYLOAD_TOO_LARGE;
                    lambda_error(status, "RequestTooLargeException", &text)
                }
                BodyError::TimedOut | BodyError::Broken => {
                    let status = StatusCode::BAD_REQUEST;
                    lambda_error(status, "InvalidRequestContentException", &text)
                }
            }
        })?;
        if body.is_empty() {
            return Ok(Bytes::from_static(b"{}"));
        }
        match serde_json::from_slice::<serde::de::IgnoredAny>(&body) {
            Ok(_) => Ok(body),
            Err(error) => {
                let text = format!("Could not parse request body into json: {error}");
                let status = StatusCode::BAD_REQUEST;
                Err(lambda_error(status, "InvalidRequestContentException", &text))
            }
        }
    }
}

fn invocation_type(headers: &HeaderMap) -> Result<InvocationType, LambdaError> {
    match headers.get(INVOCATION_TYPE).map(HeaderValue::as_bytes) {
        None | Some(b"RequestResponse") => Ok(InvocationType::RequestResponse),
        Some(b"Event") => Ok(InvocationType::Event),
        Some(b"DryRun") => Ok(InvocationType::DryRun),
        Some(other) => {
            let text = format!(
                "`{}` is not an invocation type; expected RequestResponse, Event or DryRun",
                String::from_utf8_lossy(other)
            );
            let status = StatusCode::BAD_REQUEST;
            Err(lambda_error(status, "InvalidParameterValueException", &text))
        }
    }
}

fn options(headers: &HeaderMap) -> Result<InvokeOptions, LambdaError> {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let client_context = match text(CLIENT_CONTEXT) {
        None => None,
        Some(encoded) => {
            let decoded = Some(encoded)
                .filter(|encoded| encoded.len() <= MAX_CLIENT_CONTEXT_BYTES)
                .and_then(|encoded| STANDARD.decode(encoded).ok())
                .and_then(|bytes| String::from_utf8(bytes).ok());
            Some(decoded.ok_or_else(|| {
                let text = "the client context is not base64 of JSON of at most 3583 bytes";
                let status = StatusCode::BAD_REQUEST;
                lambda_error(status, "InvalidRequestContentException", text)
            })?)
        }
    };
    Ok(InvokeOptions {
        trace_id: text(TRACE_ID).map(str::to_owned),
        client_context,
        want_log_tail: text(LOG_TYPE) == Some("Tail"),
    })
}

fn answer(outcome: Outcome) -> Answer {
    let mut response = response::json(StatusCode::OK, outcome.payload);
    let headers = response.headers_mut();
    headers.insert(EXECUTED_VERSION, HeaderValue::from_static("$LATEST"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(kind) = outcome.error {
        headers.insert(FUNCTION_ERROR, HeaderValue::from_static(kind.as_str()));
    }
    if let Some(tail) = outcome.log_tail
        && let Ok(tail) = HeaderValue::from_str(&STANDARD.encode(tail))
    {
        headers.insert(LOG_RESULT, tail);
    }
    with_request_id(response, &outcome.request_id)
}

fn refused(error: &InvokeError) -> LambdaError {
    let text = error.to_string();
    match error {
        InvokeError::NotFound { .. } => {
            lambda_error(StatusCode::NOT_FOUND, "ResourceNotFoundException", &text)
        }
        InvokeError::Throttled { .. } => {
            lambda_error(StatusCode::TOO_MANY_REQUESTS, "TooManyRequestsException", &text)
        }
        InvokeError::PayloadTooLarge { .. } => {
            lambda_error(StatusCode::PAYLOAD_TOO_LARGE, "RequestTooLargeException", &text)
        }
        _ => lambda_error(StatusCode::INTERNAL_SERVER_ERROR, "ServiceException", &text),
    }
}

// === impl LambdaError ===

impl LambdaError {
    fn into_answer(self) -> Answer {
        let kind = if self.status.is_server_error() { "Service" } else { "User" };
        let body = serde_json::json!({ "Type": kind, "Message": self.text });
        response::error(self.status, self.error_type, body.to_string())
    }
}

fn lambda_error(status: StatusCode, error_type: &'static str, text: &str) -> LambdaError {
    LambdaError { status, error_type, text: text.to_owned() }
}

fn with_request_id(mut response: Answer, id: &str) -> Answer {
    if let Ok(value) = HeaderValue::from_str(id) {
        response.headers_mut().insert(response::REQUEST_ID, value);
    }
    response
}
