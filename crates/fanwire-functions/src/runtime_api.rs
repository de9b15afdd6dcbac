//! The Lambda Runtime API (2018-06-01) for one process: a loopback server of its own,
//! because `GET …/invocation/next` does not say which process asks.
//!
//! The process's state says which calls are allowed, as in AWS's runtime interface
//! emulator:
//!
//! ```text
//! Starting ──next──▶ Ready ──(event)──▶ Running ──response, error──▶ Answered ──next──▶ Ready
//!     └──init/error──▶ Failed
//! ```
//!
//! A call with another request id than the event's is answered 400, one that the state
//! does not allow 403.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Method, Request as HttpRequest, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio::task::JoinSet;

use crate::link::Signal;
use crate::payload;
use crate::spec::Request;

const VERSION: &str = "/2018-06-01/runtime/";
/// Connections of one process at a time. Runtime clients use one or two.
const MAX_CONNECTIONS: usize = 64;
/// The pause after a connection that could not be accepted.
const ACCEPT_AGAIN: Duration = Duration::from_millis(50);
/// A process says at most one thing per state; the server waits for nobody.
const SIGNALS: usize = 8;
/// The header that says that a response is streamed, and the trailers of one that failed
/// midway.
const RESPONSE_MODE: HeaderName = HeaderName::from_static("lambda-runtime-function-response-mode");
const ERROR_TYPE: HeaderName = HeaderName::from_static("lambda-runtime-function-error-type");
const ERROR_BODY: HeaderName = HeaderName::from_static("lambda-runtime-function-error-body");

/// The host's end of one process's Runtime API. Dropped, the server stops.
pub(crate) struct ApiLink {
    shared: Arc<Shared>,
    signals: mpsc::Receiver<Signal>,
    address: SocketAddr,
    server: tokio::task::JoinHandle<()>,
}

struct Shared {
    state: Mutex<State>,
    /// There is an event, or another `next` took over.
    changed: Notify,
    signals: mpsc::Sender<Signal>,
    arn: String,
    max_payload: usize,
}

struct State {
    phase: Phase,
    /// The event that waits for `next`.
    event: Option<Event>,
    /// The id of the event that was given last.
    current: String,
    /// How many times `next` was called: only the latest call gets the event, because
    /// a client that lost its connection calls again.
    calls: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Starting,
    Ready,
    Running,
    Answered,
    Failed,
}

struct Event {
    request: Request,
    deadline_ms: f64,
}

// === impl ApiLink ===

impl ApiLink {
    /// Starts the server, on a port of the system's choice.
    pub(crate) async fn start(arn: &str, max_payload: usize) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (sender, signals) = mpsc::channel(SIGNALS);
        let state = State { phase: Phase::Starting, event: None, current: String::new(), calls: 0 };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            changed: Notify::new(),
            signals: sender,
            arn: arn.to_owned(),
            max_payload,
        });
        let server = tokio::spawn(serve(listener, Arc::clone(&shared)));
        Ok(Self { shared, signals, address, server })
    }

    /// The value of `AWS_LAMBDA_RUNTIME_API`.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Has an event ready for the process's next `next`.
    pub(crate) fn send(&self, request: &Request, deadline_ms: f64) {
        self.shared.lock().event = Some(Event { request: request.clone(), deadline_ms });
        self.shared.changed.notify_waiters();
    }

    /// What the process says next.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Signal> {
        self.signals.poll_recv(cx).map(|signal| signal.unwrap_or(Signal::Closed))
    }
}

impl Drop for ApiLink {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Accepts connections until it is aborted, which ends them too.
async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        // The semaphore is never closed.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors, most likely: let others close theirs.
            tokio::time::sleep(ACCEPT_AGAIN).await;
            continue;
        };
        // The small answers of this API must not wait for more of them.
        let _ = stream.set_nodelay(true);
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            let service = service_fn(|request| answer(Arc::clone(&shared), request));
            // How a connection ends tells nothing: the process's end is watched itself.
            let _ = hyper::server::conn::http1::Builder::new()
                // Shell bootstraps look for headers as Lambda writes them.
                .title_case_headers(true)
                .serve_connection(TokioIo::new(stream), service)
                .await;
            drop(place);
        });
        while connections.try_join_next().is_some() {}
    }
}

/// A body longer than this is not read to its end: the connection is closed.
const MOST_READ: usize = 64 * 1024 * 1024;

type Answer = Response<Full<Bytes>>;

async fn answer(
    shared: Arc<Shared>,
    request: HttpRequest<Incoming>,
) -> Result<Answer, http::Error> {
    let path = request.uri().path().to_owned();
    let Some(path) = path.strip_prefix(VERSION) else { return not_found() };
    let parts: Vec<&str> = path.split('/').collect();
    match (request.method(), parts.as_slice()) {
        (&Method::GET, ["invocation", "next"]) => shared.next().await,
        (&Method::POST, ["invocation", id, "response"]) => shared.response(id, request).await,
        (&Method::POST, ["invocation", id, "error"]) => shared.error(id, request).await,
        (&Method::POST, ["init", "error"]) => shared.init_error(request).await,
        (
            _,
            ["invocation", "next"] | ["invocation", _, "response" | "error"] | ["init", "error"],
        ) => refusal(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", "Method not allowed"),
        _ => not_found(),
    }
}

// === impl Shared ===

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing under the lock leaves the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn say(&self, signal: Signal) {
        // Full only if the host stopped listening: then it stops this server too.
        let _ = self.signals.try_send(signal);
    }

    /// `GET /runtime/invocation/next`: blocks until there is an event.
    async fn next(&self) -> Result<Answer, http::Error> {
        let call = {
            let mut state = self.lock();
            match state.phase {
                Phase::Starting => self.say(Signal::Ready),
                Phase::Ready | Phase::Answered => {}
                Phase::Running | Phase::Failed => return state.forbid("Ready"),
            }
            state.phase = Phase::Ready;
            state.calls += 1;
            state.calls
        };
        self.changed.notify_waiters();
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Listen before looking, so that no event is missed.
            changed.as_mut().enable();
            {
                let mut state = self.lock();
                if state.calls != call {
                    return state.forbid("Ready");
                }
                if let Some(event) = state.event.take() {
                    state.phase = Phase::Running;
                    state.current.clone_from(&event.request.id);
                    return event.into_answer(&self.arn);
                }
            }
            changed.await;
        }
    }

    /// `POST /runtime/invocation/{id}/response`
    async fn response(
        &self,
        id: &str,
        request: HttpRequest<Incoming>,
    ) -> Result<Answer, http::Error> {
        let streamed = request.headers().get(RESPONSE_MODE).is_some_and(|mode| mode == "streaming");
        let body = self.collect(request.into_body()).await;
        if let Some(refusal) = self.begin_answer(id) {
            return refusal;
        }
        match body {
            Collected::Whole(body, trailers) => {
                let error = trailers.as_ref().filter(|_| streamed).and_then(midstream_error);
                self.say(error.map_or(Signal::Response(body), Signal::Error));
                accepted()
            }
            Collected::TooLarge(size) => {
                self.say(Signal::TooLarge(size));
                refusal(
                    StatusCode::PAYLOAD_TOO_LARGE,
                    "RequestEntityTooLarge",
                    &format!("Exceeded maximum allowed payload size ({} bytes).", self.max_payload),
                )
            }
            Collected::Broken => self.abandon_answer(),
        }
    }

    /// `POST /runtime/invocation/{id}/error`
    async fn error(&self, id: &str, request: HttpRequest<Incoming>) -> Result<Answer, http::Error> {
        let kind = error_type(request.headers());
        let body = self.collect(request.into_body()).await;
        if let Some(refusal) = self.begin_answer(id) {
            return refusal;
        }
        match body {
            Collected::Whole(body, _) => {
                self.say(Signal::Error(error_payload(body, &kind)));
                accepted()
            }
            Collected::TooLarge(size) => {
                self.say(Signal::Error(payload::too_large(size, self.max_payload)));
                accepted()
            }
            Collected::Broken => self.abandon_answer(),
        }
    }

    /// `POST /runtime/init/error`
    async fn init_error(&self, request: HttpRequest<Incoming>) -> Result<Answer, http::Error> {
        let kind = error_type(request.headers());
        let body = match self.collect(request.into_body()).await {
            Collected::Whole(body, _) => error_payload(body, &kind),
            Collected::TooLarge(size) => payload::too_large(size, self.max_payload),
            Collected::Broken => error_payload(Bytes::new(), &kind),
        };
        {
            let mut state = self.lock();
            if state.phase != Phase::Starting {
                return state.forbid("InitError");
            }
            state.phase = Phase::Failed;
        }
        self.say(Signal::InitError(body));
        accepted()
    }

    /// Moves on to `Answered`, or says why the call is refused.
    fn begin_answer(&self, id: &str) -> Option<Result<Answer, http::Error>> {
        let mut state = self.lock();
        if state.current != id {
            let message = "Invalid request ID";
            return Some(refusal(StatusCode::BAD_REQUEST, "InvalidRequestID", message));
        }
        if state.phase != Phase::Running {
            return Some(state.forbid("InvocationResponse"));
        }
        state.phase = Phase::Answered;
        None
    }

    /// The connection broke before the answer was whole: the process may try again.
    fn abandon_answer(&self) -> Result<Answer, http::Error> {
        self.lock().phase = Phase::Running;
        refusal(StatusCode::BAD_REQUEST, "InvalidRequest", "The body is not complete")
    }

    /// The whole body, also where the call is then refused: clients send all of it
    /// before they look at the answer. What is over the limit is thrown away.
    async fn collect(&self, mut body: Incoming) -> Collected {
        let (mut kept, mut trailers, mut size) = (BytesMut::new(), None, 0);
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else { return Collected::Broken };
            match frame.into_data() {
                Ok(data) => {
                    size += data.len();
                    if size > MOST_READ {
                        break;
                    }
                    if size <= self.max_payload {
                        kept.extend_from_slice(&data);
                    } else {
                        kept.clear();
                    }
                }
                Err(frame) => trailers = frame.into_trailers().ok(),
            }
        }
        if size > self.max_payload {
            return Collected::TooLarge(size);
        }
        Collected::Whole(kept.freeze(), trailers)
    }
}

enum Collected {
    Whole(Bytes, Option<HeaderMap>),
    TooLarge(usize),
    Broken,
}

impl State {
    fn forbid(&self, to: &str) -> Result<Answer, http::Error> {
        refusal(
            StatusCode::FORBIDDEN,
            "InvalidStateTransition",
            &format!(
                "State transition from {:?} to {to} failed for runtime. Error: State transition is not allowed",
                self.phase
            ),
        )
    }
}

impl Event {
    fn into_answer(self, arn: &str) -> Result<Answer, http::Error> {
        let Request { id, event, trace_id, client_context, .. } = self.request;
        let mut answer = Response::builder()
            .header(CONTENT_TYPE, "application/json")
            .header("lambda-runtime-aws-request-id", id)
            .header("lambda-runtime-deadline-ms", format!("{:.0}", self.deadline_ms))
            .header("lambda-runtime-invoked-function-arn", arn);
        // Both are the caller's: one that cannot be a header's value is left out.
        if let Ok(trace_id) = HeaderValue::try_from(trace_id) {
            answer = answer.header("lambda-runtime-trace-id", trace_id);
        }
        let client_context = client_context.filter(|context| !context.is_empty());
        if let Some(Ok(context)) = client_context.map(HeaderValue::try_from) {
            answer = answer.header("lambda-runtime-client-context", context);
        }
        answer.body(Full::new(event))
    }
}

fn error_type(headers: &HeaderMap) -> String {
    let kind = headers.get(ERROR_TYPE).and_then(|value| value.to_str().ok());
    kind.filter(|kind| !kind.is_empty()).unwrap_or("Runtime.Unknown").to_owned()
}

/// The payload of an error: the body, or one made of the header where there is none.
fn error_payload(body: Bytes, kind: &str) -> Bytes {
    if body.is_empty() { payload::error(kind, "") } else { body }
}

/// The error of a streamed response that failed midway.
fn midstream_error(trailers: &HeaderMap) -> Option<Bytes> {
    let kind = trailers.get(ERROR_TYPE)?.to_str().ok()?;
    let body = trailers.get(ERROR_BODY).and_then(|body| BASE64.decode(body.as_bytes()).ok());
    Some(error_payload(body.unwrap_or_default().into(), kind))
}

fn accepted() -> Result<Answer, http::Error> {
    json(StatusCode::ACCEPTED, Bytes::from_static(br#"{"status":"OK"}"#))
}

fn not_found() -> Result<Answer, http::Error> {
    refusal(StatusCode::NOT_FOUND, "NotFound", "Not served by this Runtime API")
}

fn refusal(status: StatusCode, kind: &str, message: &str) -> Result<Answer, http::Error> {
    json(status, payload::error(kind, message))
}

fn json(status: StatusCode, body: Bytes) -> Result<Answer, http::Error> {
    Response::builder()
        .status(status)
        .header(CONTENT_TYPE, "application/json")
        .body(Full::new(body))
}
