//! A function behind a URL: the event is posted as JSON, and the body of the answer is
//! the result.
//!
//! That is enough for `cargo lambda watch`, AWS's runtime interface emulator and hosts of
//! people's own. `X-Amz-Function-Error` on an answer marks its body as an error payload.
//! What is part of a trace says so in W3C's `traceparent`, too, which is what servers read.
//!
//! An answer outside 200–299 means that the function was not run, so the function is
//! [`Unreachable`](InvokeError::Unreachable). One that takes longer than the function's
//! time-out is a function error, as on Lambda.

use std::time::Instant;

use fanwire_wire::trace::TraceContext;
use http::header::CONTENT_TYPE;
use http::{Request as HttpRequest, Response, Uri};
use http_body_util::Full;

use super::client::{HttpClient, RequestError};
use super::function_error;
use crate::outcome::{FunctionErrorKind, InvokeError, Outcome};
use crate::payload;
use crate::spec::{Request, Spec};

/// How much of a refusal's body is told.
const TOLD: usize = 200;

/// A function behind a URL.
pub(crate) struct HttpFunction {
    client: HttpClient,
    url: Uri,
}

impl HttpFunction {
    pub(crate) fn new(client: HttpClient, url: &str) -> Result<Self, String> {
        let parsed: Uri = url.parse().map_err(|error| format!("`{url}` is not a URL: {error}"))?;
        match parsed.scheme_str() {
            Some("http" | "https") if parsed.host().is_some() => Ok(Self { client, url: parsed }),
            _ => Err(format!("`{url}` is not an http:// or https:// URL")),
        }
    }

    pub(crate) async fn invoke(
        &self,
        spec: &Spec,
        request: &Request,
    ) -> Result<Outcome, InvokeError> {
        let unreachable = |source: Box<dyn std::error::Error + Send + Sync>| {
            let (key, address) = (spec.key.clone(), self.url.to_string());
            InvokeError::Unreachable { key, address, source }
        };
        let started = Instant::now();
        let mut posted = HttpRequest::post(self.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header("x-amzn-requestid", &request.id)
            .header("x-amzn-trace-id", &request.trace_id);
        if let Some(context) = TraceContext::from_xray(&request.trace_id) {
            posted = posted.header("traceparent", context.traceparent());
        }
        let posted = posted
            .body(Full::new(request.event.clone()))
            .map_err(|error| unreachable(error.into()))?;
        let limit = spec.options.max_payload;
        let (payload, error) = match self.client.send(posted, limit, spec.timeout()).await {
            Ok(answer) if answer.status().is_success() => {
                let error = function_error(answer.headers());
                (answer.into_body(), error)
            }
            Ok(answer) => return Err(unreachable(refusal(&answer).into())),
            Err(RequestError::TimedOut(limit)) => {
                (payload::timed_out(&request.id, limit), Some(FunctionErrorKind::Unhandled))
            }
            Err(RequestError::TooLarge(limit)) => {
                (payload::too_large(limit + 1, limit), Some(FunctionErrorKind::Unhandled))
            }
            Err(error) => return Err(unreachable(error.into())),
        };
        Ok(Outcome {
            request_id: request.id.clone(),
            payload,
            error,
            log_tail: None,
            duration: started.elapsed(),
            init_duration: None,
        })
    }
}

/// An answer's status, and the start of what it says.
pub(super) fn refusal(answer: &Response<bytes::Bytes>) -> String {
    let body = String::from_utf8_lossy(answer.body());
    let told: String = body.trim().chars().take(TOLD).collect();
    format!("answered {}: {told}", answer.status())
}
