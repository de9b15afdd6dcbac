//! The address where metrics and health are told, apart from where clients connect: to
//! whatever watches the machine, and without a key.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, ALLOW, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

use super::export::{self, Form};
use super::{Telemetry, health};
use crate::listener::{Sharing, listen_with_others, told_to};
use crate::response::{self, Answer};

/// Who may ask at once; others wait in the system's queue.
const MAX_CLIENTS: usize = 64;

/// How long a client may take with the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a client may keep a connection, whatever it asks.
const MAX_LIFE: Duration = Duration::from_secs(600);

/// What answers.
struct Answering {
    telemetry: Arc<Telemetry>,
    registry: Registry,
}

/// Answers who comes to an address, until `stopped`. Says which address it is, where any port
/// would do. To be called on a runtime.
///
/// # Errors
///
/// Where the address is taken, or not ours.
pub(crate) fn open(
    address: SocketAddr,
    sharing: Sharing,
    telemetry: &Arc<Telemetry>,
    stopped: watch::Receiver<bool>,
) -> std::io::Result<SocketAddr> {
    let listener = listen_with_others(address, sharing)?;
    let address = listener.local_addr()?;
    let registry = export::registry(telemetry);
    let answering = Arc::new(Answering { telemetry: Arc::clone(telemetry), registry });
    tokio::spawn(accept(listener, answering, stopped));
    Ok(address)
}

async fn accept(
    listener: TcpListener,
    answering: Arc<Answering>,
    mut stopped: watch::Receiver<bool>,
) {
    let places = Arc::new(Semaphore::new(MAX_CLIENTS));
    loop {
        // It is never closed.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let stream = tokio::select! {
            accepted = listener.accept() => accepted,
            () = told_to(&mut stopped) => return,
        };
        let Ok((stream, _)) = stream else {
            // Out of descriptors: others need them first.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let (answering, mut stopped) = (Arc::clone(&answering), stopped.clone());
        tokio::spawn(async move {
            let service = service_fn(|request| {
                let answer = answering.answer(&request);
                async move { Ok::<_, Infallible>(answer) }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIMEOUT)
                .serve_connection(TokioIo::new(stream), service);
            tokio::select! {
                // What goes wrong here is the client's doing.
                _ = tokio::time::timeout(MAX_LIFE, connection) => {}
                () = told_to(&mut stopped) => {}
            }
            drop(place);
        });
    }
}

// === impl Answering ===

impl Answering {
    fn answer(&self, request: &Request<Incoming>) -> Answer {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let body = response::message("expected GET");
            let mut answer = response::json(StatusCode::METHOD_NOT_ALLOWED, body);
            answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return answer;
        }
        match request.uri().path() {
            "/metrics" => {
                let accept = request.headers().get(ACCEPT).and_then(|accept| accept.to_str().ok());
                self.metrics(Form::accepted(accept.unwrap_or_default()))
            }
            "/healthz" => health::alive(),
            "/readyz" => self.telemetry.readiness().into_answer(),
            _ => {
                let body = response::message("here are /metrics, /healthz and /readyz");
                response::json(StatusCode::NOT_FOUND, body)
            }
        }
    }

    fn metrics(&self, form: Form) -> Answer {
        let Ok(written) = export::write(&self.registry, form) else {
            let body = response::message("the metrics cannot be written");
            return response::json(StatusCode::INTERNAL_SERVER_ERROR, body);
        };
        let mut answer = response::json(StatusCode::OK, written);
        let content_type = HeaderValue::from_static(form.content_type());
        answer.headers_mut().insert(CONTENT_TYPE, content_type);
        answer
    }
}
