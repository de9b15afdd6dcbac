//! The HTTP client that all functions elsewhere share.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

/// How long a connection may take to be made.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// An unused connection is kept this long.
const KEEP_IDLE: Duration = Duration::from_secs(60);
/// Unused connections that are kept for one host.
const MAX_IDLE: usize = 64;

/// An HTTP/1.1 client with TLS by the machine's root certificates.
#[derive(Debug, Clone)]
pub struct HttpClient {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

/// Why a request got no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RequestError {
    #[error("{}", with_causes(.0))]
    Connection(#[from] hyper_util::client::legacy::Error),
    #[error("the answer broke off: {0}")]
    Body(Box<dyn std::error::Error + Send + Sync>),
    #[error("no answer within {} s", .0.as_secs_f32())]
    TimedOut(Duration),
    #[error("the answer is longer than {0} bytes")]
    TooLarge(usize),
}

// === impl HttpClient ===

impl HttpClient {
    /// A client without connections.
    ///
    /// # Errors
    ///
    /// Where the machine's root certificates cannot be read.
    pub fn new() -> std::io::Result<Self> {
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT_WITHIN));
        let connector = HttpsConnectorBuilder::new()
            .with_native_roots()?
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(KEEP_IDLE)
            .pool_max_idle_per_host(MAX_IDLE)
            .build(connector);
        Ok(Self { client })
    }

    /// Sends a request, and waits for its answer: at most `max_body` bytes, within `limit`,
    /// whatever its status.
    ///
    /// # Errors
    ///
    /// In words, whose fault is the peer's, the network's or the URL's.
    pub async fn request(
        &self,
        request: Request<Full<Bytes>>,
        max_body: usize,
        limit: Duration,
    ) -> Result<Response<Bytes>, String> {
        self.send(request, max_body, limit).await.map_err(|error| error.to_string())
    }

    /// Gets what is at an `http://` or `https://` URL: at most `max_body` bytes, within
    /// `limit`. Redirects are not followed.
    ///
    /// # Errors
    ///
    /// In words, whose fault is the peer's, the network's or the URL's.
    pub async fn get(&self, url: &str, max_body: usize, limit: Duration) -> Result<Bytes, String> {
        let request = Request::get(url).body(Full::default());
        let request = request.map_err(|error| format!("`{url}` is not a URL: {error}"))?;
        match self.send(request, max_body, limit).await {
            Ok(answer) if answer.status().is_success() => Ok(answer.into_body()),
            Ok(answer) => Err(format!("{url} answered {}", answer.status())),
            Err(error) => Err(format!("{url}: {error}")),
        }
    }

    /// Sends a request and takes its whole answer, which is at most `max_body` long and
    /// there within `limit`.
    pub(crate) async fn send(
        &self,
        request: Request<Full<Bytes>>,
        max_body: usize,
        limit: Duration,
    ) -> Result<Response<Bytes>, RequestError> {
        let exchange = async {
            let (parts, body) = self.client.request(request).await?.into_parts();
            match Limited::new(body, max_body).collect().await {
                Ok(collected) => Ok(Response::from_parts(parts, collected.to_bytes())),
                Err(error) if error.is::<LengthLimitError>() => {
                    Err(RequestError::TooLarge(max_body))
                }
                Err(error) => Err(RequestError::Body(error)),
            }
        };
        tokio::time::timeout(limit, exchange).await.unwrap_or(Err(RequestError::TimedOut(limit)))
    }
}

/// The client's own text says only where it failed; the causes say why.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}
