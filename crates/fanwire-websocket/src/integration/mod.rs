//! Running what stands behind a route: a function, an HTTP backend or a mock.

pub(crate) mod http;

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use fanwire_app::model::{Integration, MockIntegration};
use fanwire_functions::{Functions, InvokeError, InvokeOptions};

use self::http::{HttpBackend, HttpRequest};
use crate::result::{Body, ProxyResult};

/// What an integration is given.
#[derive(Debug)]
pub(crate) struct Input<'a> {
    /// The event, for functions.
    pub(crate) event: Bytes,
    /// The message's body, for HTTP backends and mocks; empty for handshakes.
    pub(crate) body: &'a str,
    /// Whether `body` is base64 of a binary message.
    pub(crate) is_base64_encoded: bool,
    /// Whether the API has binary messages.
    pub(crate) binary: bool,
    /// What request parameters of HTTP integrations may refer to.
    pub(crate) parameters: &'a dyn Parameters,
    /// The trace header that goes along.
    pub(crate) trace_id: Option<String>,
}

/// The values that a request parameter can be mapped from.
pub(crate) trait Parameters: Sync + std::fmt::Debug {
    /// The value of `context.…`, `stageVariables.…` or `route.request.…`.
    fn get(&self, source: &str) -> Option<String>;
}

/// What an integration answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Body,
    pub(crate) run: Run,
}

/// How an integration failed.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The status of a handshake that fails so: 500, 502 or 504.
    pub(crate) status: u16,
    /// For logs and people; clients get the gateway's own words.
    pub(crate) why: String,
    pub(crate) run: Run,
}

/// How long it took, and under which id.
#[derive(Debug, Default)]
pub(crate) struct Run {
    pub(crate) latency: Duration,
    pub(crate) invocation_id: Option<String>,
}

/// What integrations are run with.
pub(crate) struct Integrations {
    pub(crate) functions: Functions,
    pub(crate) http: HttpBackend,
}

// === impl Integrations ===

impl Integrations {
    /// Runs an integration for at most `timeout`. A function goes on after that, as
    /// it does on AWS, but nobody hears of its result.
    pub(crate) async fn run(
        &self,
        integration: &Integration,
        input: Input<'_>,
        timeout: Duration,
    ) -> Result<Answer, Failure> {
        let started = Instant::now();
        let running = async {
            match integration {
                Integration::Function { function } => self.function(function, input).await,
                Integration::Http(http) => {
                    let request = HttpRequest { body: input.body, parameters: input.parameters };
                    self.http.call(http, request).await
                }
                Integration::Mock(mock) => Ok(answer_of_mock(mock, &input)),
            }
        };
        let mut outcome = match tokio::time::timeout(timeout, running).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Failure {
                status: 504,
                why: format!("no answer within the integration time-out of {timeout:?}"),
                run: Run::default(),
            }),
        };
        let run = match &mut outcome {
            Ok(answer) => &mut answer.run,
            Err(failure) => &mut failure.run,
        };
        run.latency = started.elapsed();
        outcome
    }

    async fn function(&self, key: &str, input: Input<'_>) -> Result<Answer, Failure> {
        let binary = input.binary;
        let options = InvokeOptions { trace_id: input.trace_id, ..InvokeOptions::default() };
        let outcome = self.functions.invoke(key, input.event, options).await.map_err(|error| {
            // Lambda refuses, so the gateway may not call it or cannot.
            let status = if matches!(error, InvokeError::Unreachable { .. }) { 502 } else { 500 };
            Failure { status, why: error.to_string(), run: Run::default() }
        })?;
        let run = Run { latency: Duration::ZERO, invocation_id: Some(outcome.request_id) };
        if outcome.error.is_some() {
            return Err(Failure { status: 502, why: error_message(&outcome.payload), run });
        }
        let malformed = || {
            "the result is not a proxy result: expected an object with statusCode \
            and, if wanted, headers, multiValueHeaders, body (a string) and isBase64Encoded"
        };
        let Some(result) = ProxyResult::parse(&outcome.payload) else {
            return Err(Failure { status: 502, why: malformed().to_owned(), run });
        };
        let status = result.status_code;
        let headers = result.headers().map(|(name, value)| (name.to_owned(), value)).collect();
        match result.into_body(binary) {
            Some(body) => Ok(Answer { status, headers, body, run }),
            None => Err(Failure { status: 502, why: malformed().to_owned(), run }),
        }
    }
}

/// A mock's answer; `$input.body` in its body stands for the message, and as the whole
/// of it for a binary one too.
fn answer_of_mock(mock: &MockIntegration, input: &Input<'_>) -> Answer {
    const INPUT: &str = "$input.body";
    let echoed = Some(input.body)
        .filter(|_| input.is_base64_encoded && mock.body == INPUT)
        .and_then(|body| STANDARD.decode(body).ok());
    let body = match echoed {
        Some(bytes) => Body::Binary(bytes),
        None => Body::Text(mock.body.replace(INPUT, input.body)),
    };
    Answer { status: mock.status, headers: Vec::new(), body, run: Run::default() }
}

/// `errorType: errorMessage` of a function error, for logs.
pub(crate) fn error_message(payload: &[u8]) -> String {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Payload {
        error_type: Option<String>,
        error_message: Option<String>,
    }
    let Ok(payload) = serde_json::from_slice::<Payload>(payload) else {
        return "the function failed".to_owned();
    };
    let message = payload.error_message.unwrap_or_default();
    match payload.error_type {
        Some(kind) if !kind.is_empty() => format!("{kind}: {message}"),
        _ => message,
    }
}
