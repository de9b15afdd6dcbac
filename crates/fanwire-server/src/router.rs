//! Which of the HTTP APIs answers a request.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use fanwire_dynamodb::DynamoDb;
use fanwire_functions::Functions;
use fanwire_websocket::{Arrival, Plane, Rejection, request_id};
use http::header::{HOST, ORIGIN, ToStrError};
use http::{HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use tokio::sync::Notify;

use crate::address::{self, Target};
use crate::control::Control;
use crate::dynamodb;
use crate::head_tap::Head;
use crate::response::{self, Answer};

/// How long a client may take to send the body of a request.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// What requests are answered with.
pub(crate) struct Router {
    plane: Plane,
    functions: Functions,
    /// The embedded DynamoDB, where the App uses it.
    tables: Option<DynamoDb>,
    /// Told when expired items are to go at once.
    sweep: Arc<Notify>,
    /// The port that the server listens on.
    port: u16,
    region: String,
    account_id: String,
    control: Control,
    stopping: AtomicBool,
}

/// Why a body could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    #[error("the body is over {limit} bytes")]
    TooLarge { limit: usize },
    #[error("the body did not arrive within {BODY_TIMEOUT:?}")]
    TimedOut,
    #[error("the body did not arrive whole")]
    Broken,
}

impl Router {
    pub(crate) fn new(
        plane: Plane,
        functions: Functions,
        tables: Option<DynamoDb>,
        port: u16,
        region: String,
        account_id: String,
        control: Control,
    ) -> Self {
        let stopping = AtomicBool::new(false);
        let sweep = Arc::default();
        Self { plane, functions, tables, sweep, port, region, account_id, control, stopping }
    }

    pub(crate) fn plane(&self) -> &Plane {
        &self.plane
    }

    pub(crate) fn functions(&self) -> &Functions {
        &self.functions
    }

    pub(crate) fn tables(&self) -> Option<&DynamoDb> {
        self.tables.as_ref()
    }

    pub(crate) fn sweep(&self) -> &Arc<Notify> {
        &self.sweep
    }

    /// Moves the clock of connections and tables ahead; says how far it is in all.
    pub(crate) fn advance_clock(&self, by: Duration) -> Duration {
        let ahead = self.plane.advance_clock(by);
        self.sweep.notify_one();
        ahead
    }

    pub(crate) fn control_parts(&self) -> &Control {
        &self.control
    }

    /// Refuses handshakes from now on. Other requests are still answered: handlers
    /// of `$disconnect` need them.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    pub(crate) fn arrival(&self, peer: SocketAddr, tls: bool) -> Arrival {
        Arrival { source_ip: peer.ip(), port: self.port, tls }
    }

    pub(crate) fn arn_of_unknown(&self, name: &str) -> String {
        if name.starts_with("arn:") {
            return name.to_owned();
        }
        format!("arn:aws:lambda:{}:{}:function:{name}", self.region, self.account_id)
    }

    pub(crate) async fn answer(
        &self,
        request: Request<Incoming>,
        head: &Head,
        peer: SocketAddr,
    ) -> Answer {
        let host = request.headers().get(HOST).map(HeaderValue::to_str);
        let host = host.and_then(Result::<&str, ToStrError>::ok).unwrap_or_default();
        let target = if dynamodb::is_meant(request.headers()) {
            Target::DynamoDb
        } else {
            address::resolve(self.plane.apis().iter(), host, request.uri().path())
        };
        if target.is_privileged() && request.headers().contains_key(ORIGIN) {
            // Any website can make a visitor's browser send a request to a server on the
            // visitor's machine. Browsers say so by this header; SDKs do not send it.
            let body = response::message("this API does not answer web pages");
            return response::error(StatusCode::FORBIDDEN, "ForbiddenException", body);
        }
        match target {
            Target::Api(api) => self.upgrade(api, request, head, peer).await,
            Target::Connection(api, id) => self.connection(api, &id, request).await,
            Target::Connections(api) => self.connections(api, request).await,
            Target::Invoke(name) => self.invoke(&name, request).await,
            Target::InvokeAsync(name) => self.invoke_async(&name, request).await,
            Target::DynamoDb => self.dynamodb(request).await,
            Target::IotData => response::not_served_yet("the IoT data plane"),
            Target::Control(path) => self.control(&path, &request).await,
            Target::Health => response::json(StatusCode::OK, r#"{"message":"healthy"}"#),
            Target::Unknown => response::rejected(Rejection::unknown_stage(&request_id())),
        }
    }

    /// Reads the body of a request.
    pub(crate) async fn body(
        &self,
        request: Request<Incoming>,
        limit: usize,
    ) -> Result<Bytes, BodyError> {
        self.body_of(request.into_body(), limit).await
    }

    /// Reads a body of at most `limit` bytes.
    pub(crate) async fn body_of(&self, body: Incoming, limit: usize) -> Result<Bytes, BodyError> {
        let reading = Limited::new(body, limit).collect();
        match tokio::time::timeout(BODY_TIMEOUT, reading).await {
            Ok(Ok(body)) => Ok(body.to_bytes()),
            Ok(Err(error)) if error.is::<LengthLimitError>() => Err(BodyError::TooLarge { limit }),
            Ok(Err(_)) => Err(BodyError::Broken),
            Err(_) => Err(BodyError::TimedOut),
        }
    }
}
