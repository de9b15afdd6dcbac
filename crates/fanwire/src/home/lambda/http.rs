//! HTTP as handlers call AWS's APIs, and Fanwire's in their place: one pool of connections,
//! calls that are signed, and tried again where that can help.

use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::{Connect, HttpConnector};
use hyper_util::client::legacy::{Client, Error as ClientError};
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::sign::{Credentials, Scope, SignError};

/// How long a connection may take to be made.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// How long a call may take, each time that it is tried.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// An unused connection is kept this long. Servers close theirs later.
const KEEP_IDLE: Duration = Duration::from_secs(20);
/// Unused connections that are kept for one host.
const MAX_IDLE: usize = 64;
/// The longest answer that is read: 10,000 ids that are gone.
const MAX_ANSWER: usize = 1024 * 1024;
/// How often a call is tried in all.
const TRIES: u32 = 6;
/// How long the first new try waits at most; each waits up to twice as long as the last.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// No new try waits longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The connections of this process.
#[derive(Default)]
pub(crate) struct Http {
    plain: OnceLock<Client<HttpConnector, Full<Bytes>>>,
    /// Made when it is first needed: reading the machine's root certificates takes
    /// longer than the rest of a start.
    tls: OnceLock<Client<HttpsConnector<HttpConnector>, Full<Bytes>>>,
}

/// A call.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) url: String,
    pub(crate) content_type: Option<&'static str>,
    pub(crate) body: Bytes,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Bytes,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HttpError {
    #[error("`{url}` cannot be called: {why}")]
    Url { url: String, why: http::Error },
    #[error(transparent)]
    Sign(#[from] SignError),
    #[error("the machine's root certificates cannot be read: {0}")]
    Roots(#[from] std::io::Error),
    #[error("{url} cannot be reached: {}", causes(.error))]
    Connection { url: String, error: ClientError },
    #[error("the answer of {url} broke off: {why}")]
    Body { url: String, why: Box<dyn std::error::Error + Send + Sync> },
    #[error("{url} has not answered within {} s", ANSWER_WITHIN.as_secs())]
    TimedOut { url: String },
}

// === impl Http ===

impl Http {
    /// Makes a call. One that is throttled (429), and one whose connection had ended before
    /// it was sent, is tried again, at growing intervals.
    pub(crate) async fn call(
        &self,
        call: &Call,
        credentials: &Credentials,
        scope: Scope<'_>,
    ) -> Result<Answer, HttpError> {
        let mut pause = FIRST_PAUSE;
        for _ in 1..TRIES {
            match self.try_once(call, credentials, scope).await {
                Ok(answer) if answer.status == StatusCode::TOO_MANY_REQUESTS => {}
                Err(HttpError::Connection { error, .. }) if never_sent(&error) => {}
                done => return done,
            }
            // Anything up to the pause, so that those who were throttled together do not
            // come back together.
            tokio::time::sleep(pause.mul_f64(fastrand::f64())).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        self.try_once(call, credentials, scope).await
    }

    async fn try_once(
        &self,
        call: &Call,
        credentials: &Credentials,
        scope: Scope<'_>,
    ) -> Result<Answer, HttpError> {
        let mut request = Request::builder().method(&call.method).uri(&call.url);
        if let Some(content_type) = call.content_type {
            request = request.header("content-type", content_type);
        }
        let url = |why| HttpError::Url { url: call.url.clone(), why };
        let mut request = request.body(Full::new(call.body.clone())).map_err(url)?;
        credentials.sign(&mut request, &call.body, scope, SystemTime::now())?;
        let exchange = self.exchange(request, &call.url);
        let late = |_| HttpError::TimedOut { url: call.url.clone() };
        tokio::time::timeout(ANSWER_WITHIN, exchange).await.map_err(late)?
    }

    async fn exchange(
        &self,
        request: Request<Full<Bytes>>,
        url: &str,
    ) -> Result<Answer, HttpError> {
        let response = if request.uri().scheme_str() == Some("https") {
            self.tls()?.request(request)
        } else {
            self.plain.get_or_init(|| pooled(connector())).request(request)
        };
        let failed = |error| HttpError::Connection { url: url.to_owned(), error };
        let (head, body) = response.await.map_err(failed)?.into_parts();
        let broken = |why| HttpError::Body { url: url.to_owned(), why };
        let body = Limited::new(body, MAX_ANSWER).collect().await.map_err(broken)?;
        Ok(Answer { status: head.status, body: body.to_bytes() })
    }

    fn tls(&self) -> Result<&Client<HttpsConnector<HttpConnector>, Full<Bytes>>, HttpError> {
        if let Some(client) = self.tls.get() {
            return Ok(client);
        }
        let mut connector = connector();
        connector.enforce_http(false);
        let connector = HttpsConnectorBuilder::new()
            .with_native_roots()?
            .https_only()
            .enable_http1()
            .wrap_connector(connector);
        Ok(self.tls.get_or_init(|| pooled(connector)))
    }
}

fn connector() -> HttpConnector {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(CONNECT_WITHIN));
    connector
}

fn pooled<C>(connector: C) -> Client<C, Full<Bytes>>
where
    C: Connect + Clone,
{
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(KEEP_IDLE)
        .pool_max_idle_per_host(MAX_IDLE)
        .build(connector)
}

/// Whether a request did not reach the server: it could not be connected to, or it had
/// closed a connection that was kept, which while a function is frozen nobody notices.
fn never_sent(error: &ClientError) -> bool {
    let hyper =
        std::error::Error::source(error).and_then(|source| source.downcast_ref::<hyper::Error>());
    error.is_connect()
        || hyper.is_some_and(|error| {
            error.is_canceled() || error.is_closed() || error.is_incomplete_message()
        })
}

/// The client's own text says only where it failed; the causes say why.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

impl std::fmt::Debug for Http {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Http")
    }
}
