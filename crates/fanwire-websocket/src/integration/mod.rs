//! Running what stands behind a route: a function, an HTTP backend or a mock. A function may
//! be one of this process.

pub(crate) mod http;

use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use fanwire_app::model::{Integration, MockIntegration};
use fanwire_functions::{Functions, InvokeError, InvokeOptions, Outcome};
use fanwire_hub::ConnectionId;
use fanwire_wire::trace::TraceContext;
use futures_util::future::BoxFuture;
use tokio::runtime::Handle;

use self::http::{HttpBackend, HttpRequest};
use crate::native::{
    Native, NativeBody, NativeError, NativeEvent, NativeReply, NativeResult, Natives,
};
use crate::observer::Observer;
use crate::result::{Body, ProxyResult};
use crate::traffic::{Answered, Id, Traffic};

/// What an integration is given.
#[derive(Debug)]
pub(crate) struct Input<'a> {
    /// What it is about, for recordings.
    pub(crate) about: About<'a>,
    /// The event, as the integration takes it.
    pub(crate) event: Event<'a>,
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

/// An event in the form that an integration takes.
#[derive(Debug)]
pub(crate) enum Event<'a> {
    /// For functions that are processes, or elsewhere.
    Json(Bytes),
    /// For those of this process.
    Native(&'a Arc<dyn Native>, NativeEvent<'a>),
    /// HTTP backends and mocks take none.
    None,
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
    /// `None` where there is nothing to say to the client.
    pub(crate) body: Option<Body>,
    pub(crate) run: Run,
}

/// How an integration failed.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The status of a handshake that fails so: 500, 502 or 504, or what a function of this
    /// process says.
    pub(crate) status: u16,
    /// For logs and people; clients get the gateway's own words, or these.
    pub(crate) why: String,
    pub(crate) words: Option<String>,
    /// Whether the functions took no more events: this one was not tried.
    pub(crate) shutting_down: bool,
    pub(crate) run: Run,
}

/// How long it took, and under which id.
#[derive(Debug, Default)]
pub(crate) struct Run {
    pub(crate) latency: Duration,
    pub(crate) invocation_id: Option<String>,
}

/// The request that an event belongs to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct About<'a> {
    pub(crate) connection: ConnectionId,
    /// The gateway's id for it.
    pub(crate) request: &'a str,
}

/// What integrations are run with.
pub(crate) struct Integrations {
    /// Who may want to see events and results.
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) functions: Functions,
    pub(crate) natives: Natives,
    pub(crate) http: HttpBackend,
    /// Where functions of this process run.
    pub(crate) runtime: Handle,
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
                Integration::Function { function } => match input.event {
                    Event::Native(native, event) => self.native(native.handle(event)).await,
                    Event::Json(event) => {
                        self.function(function, input.about, event, input.binary, input.trace_id)
                            .await
                    }
                    // Events are made for what the integration is.
                    Event::None => Err(Failure::of_function("no event was made".to_owned())),
                },
                Integration::Http(http) => {
                    let (body, parameters) = (input.body, input.parameters);
                    let trace = input.trace_id.as_deref().and_then(TraceContext::from_xray);
                    let request = HttpRequest { body, parameters, trace };
                    self.http.call(http, request).await
                }
                Integration::Mock(mock) => Ok(answer_of_mock(mock, &input)),
            }
        };
        let mut outcome = match tokio::time::timeout(timeout, running).await {
            Ok(outcome) => outcome,
            Err(_) => {
                let why = format!("no answer within the integration time-out of {timeout:?}");
                Err(Failure::new(504, why))
            }
        };
        let run = match &mut outcome {
            Ok(answer) => &mut answer.run,
            Err(failure) => &mut failure.run,
        };
        run.latency = started.elapsed();
        outcome
    }

    /// Gives a function an event. Whoever records what passes sees both the event and
    /// what comes of it.
    pub(crate) async fn invoke(
        &self,
        about: About<'_>,
        key: &str,
        event: Bytes,
        options: InvokeOptions,
    ) -> Result<Outcome, InvokeError> {
        if !self.observer.wants_traffic() {
            return self.functions.invoke(key, event, options).await;
        }
        let About { connection, request } = about;
        let (connection, function) = (Id(connection), key);
        // Events are written by the gateway, as JSON.
        if let Ok(event) = serde_json::from_slice(&event) {
            self.observer.traffic(&Traffic::Event { connection, request, function, event });
        }
        let outcome = self.functions.invoke(key, event, options).await;
        let why = outcome.as_ref().err().map(ToString::to_string).unwrap_or_default();
        let (failed, result) = match &outcome {
            Ok(outcome) => (outcome.error.is_some(), Answered(&outcome.payload)),
            Err(_) => (true, Answered(why.as_bytes())),
        };
        self.observer.traffic(&Traffic::Result { connection, request, function, failed, result });
        outcome
    }

    /// The function of this process that an integration names.
    pub(crate) fn native_of(&self, integration: &Integration) -> Option<&Arc<dyn Native>> {
        match integration {
            Integration::Function { function } => self.natives.get(function),
            _ => None,
        }
    }

    /// Waits for a function of this process. It runs as a task of its own: it goes on where
    /// nobody waits any more, and takes nobody along who panics.
    async fn native(
        &self,
        running: BoxFuture<'static, NativeResult<NativeReply>>,
    ) -> Result<Answer, Failure> {
        match self.runtime.spawn(running).await {
            Ok(Ok(NativeReply { status, headers, body })) => {
                let body = body.map(|body| match body {
                    NativeBody::Text(text) => Body::Text(text),
                    NativeBody::Binary(bytes) => Body::Binary(bytes.into()),
                });
                Ok(Answer { status, headers, body, run: Run::default() })
            }
            Ok(Err(NativeError { status, why, words })) => {
                Err(Failure { words, ..Failure::new(status, why) })
            }
            Err(panic) => Err(Failure::of_function(format!("the handler panicked: {panic}"))),
        }
    }

    async fn function(
        &self,
        key: &str,
        about: About<'_>,
        event: Bytes,
        binary: bool,
        trace_id: Option<String>,
    ) -> Result<Answer, Failure> {
        let options = InvokeOptions { trace_id, ..InvokeOptions::default() };
        let outcome = self.invoke(about, key, event, options).await;
        let outcome = outcome.map_err(|error| {
            // Lambda refuses, so the gateway may not call it or cannot.
            let status = if matches!(error, InvokeError::Unreachable { .. }) { 502 } else { 500 };
            let shutting_down = matches!(error, InvokeError::ShuttingDown);
            Failure { shutting_down, ..Failure::new(status, error.to_string()) }
        })?;
        let run = Run { latency: Duration::ZERO, invocation_id: Some(outcome.request_id) };
        if outcome.error.is_some() {
            let why = error_message(&outcome.payload);
            return Err(Failure { run, ..Failure::of_function(why) });
        }
        let malformed = || {
            "the result is not a proxy result: expected an object with statusCode \
            and, if wanted, headers, multiValueHeaders, body (a string) and isBase64Encoded"
        };
        let Some(result) = ProxyResult::parse(&outcome.payload) else {
            return Err(Failure { run, ..Failure::of_function(malformed().to_owned()) });
        };
        let status = result.status_code;
        let headers = result.headers().map(|(name, value)| (name.to_owned(), value)).collect();
        match result.into_body(binary) {
            Some(body) => Ok(Answer { status, headers, body: Some(body), run }),
            None => Err(Failure { run, ..Failure::of_function(malformed().to_owned()) }),
        }
    }
}

impl Failure {
    /// A function that did not do its work.
    fn of_function(why: String) -> Self {
        Self::new(502, why)
    }

    fn new(status: u16, why: String) -> Self {
        Self { status, why, words: None, shutting_down: false, run: Run::default() }
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
    Answer { status: mock.status, headers: Vec::new(), body: Some(body), run: Run::default() }
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
