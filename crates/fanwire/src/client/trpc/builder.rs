//! How a client is made.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fanwire_wire::trpc::Transformer;
use tokio::sync::watch;

use super::super::address::Address;
use super::super::connector::Connector;
use super::super::status::StatusTeller;
use super::super::websocket::encoded;
use super::super::{ConnectError, Status, Trust};
use super::call::Calls;
use super::connection::Link;
use super::driver::Driver;
use super::session::{KeepAlive, Session, SessionOptions};
use super::{ParamsSource, Trpc};

/// How long the queue of a subscription is, in events, unless said otherwise.
const QUEUE: usize = 1024;

/// How a [`Trpc`] is made.
///
/// ```no_run
/// use std::time::Duration;
///
/// use fanwire::client::{Transformer, Trpc};
///
/// # async fn token() -> fanwire::Result<String> { Ok(String::new()) }
/// # fn example() -> Result<(), fanwire::client::ConnectError> {
/// let client = Trpc::builder("wss://chat.example.org/trpc")
///     .connection_params(|| async { Ok([("token", token().await?)]) })
///     .keep_alive(Duration::from_secs(5), Duration::from_secs(1))
///     .transformer(Transformer::SuperJson)
///     .connect()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "nothing happens before `connect`"]
pub struct TrpcBuilder {
    url: String,
    query: Vec<(String, String)>,
    headers: Vec<(String, String)>,
    trust: Trust,
    params: Option<ParamsSource>,
    options: SessionOptions,
    queue: usize,
}

// === impl TrpcBuilder ===

impl TrpcBuilder {
    pub(super) fn new(url: String) -> Self {
        Self {
            url,
            query: Vec::new(),
            headers: Vec::new(),
            trust: Trust::default(),
            params: None,
            options: SessionOptions::default(),
            queue: QUEUE,
        }
    }

    /// With parameters that the server is told first (v11): asked for before each
    /// connection, so that a token may change. Where it fails, connecting does.
    pub fn connection_params<F, Fut, P, K, V>(mut self, params: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = crate::Result<P>> + Send + 'static,
        P: IntoIterator<Item = (K, V)>,
        K: Into<String>,
        V: Into<String>,
    {
        self.params = Some(Arc::new(move || {
            let params = params();
            Box::pin(async move {
                let params = params.await?.into_iter();
                Ok(params.map(|(name, value)| (name.into(), value.into())).collect())
            })
        }));
        self
    }

    /// Asks a server that has said nothing for `interval` whether it is there, and connects
    /// anew where it does not answer within `patience`. Off by default, as in `@trpc/client`,
    /// which has 5 s and 1 s when it is on. Servers of v10 do not answer.
    pub fn keep_alive(mut self, interval: Duration, patience: Duration) -> Self {
        self.options.keep_alive = Some(KeepAlive { interval, patience });
        self
    }

    /// The server's transformer. Default: none. What JSON has no word for, and `superjson` has,
    /// is one of the types of [`superjson`](crate::superjson), both ways.
    pub fn transformer(mut self, transformer: Transformer) -> Self {
        self.options.transformer = transformer;
        self
    }

    /// With a parameter in the query.
    pub fn query(mut self, name: &str, value: &str) -> Self {
        self.query.push((encoded(name), encoded(value)));
        self
    }

    /// With a header.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Whose certificates are believed. Default: the system's authorities.
    pub fn trust(mut self, trust: Trust) -> Self {
        self.trust = trust;
        self
    }

    /// How many events of one subscription may wait to be read, 1 or more; default 1,024.
    /// One more, and it ends with [`CallError::Lagged`](super::CallError::Lagged).
    pub fn queue(mut self, events: usize) -> Self {
        self.queue = events.max(1);
        self
    }

    /// Makes the client, which connects at once. To be called on a tokio runtime.
    ///
    /// # Errors
    ///
    /// Where the URL or a header is none.
    pub fn connect(self) -> Result<Trpc, ConnectError> {
        let mut address = Address::websocket(&self.url)?;
        for (name, value) in &self.query {
            address.push_query(name, value);
        }
        if self.params.is_some() {
            address.push_query("connectionParams", "1");
        }
        let connector = Connector::new(address, &self.trust)?.with_headers(&self.headers)?;
        let (status, watched) = watch::channel(Status::first());
        let status = StatusTeller::new(status);
        let (calls, inbox) = Calls::new(self.queue);
        let session = Session::new(self.options, Instant::now(), fastrand::u64(..));
        let link = Link { connector, params: self.params };
        tokio::spawn(Driver::new(session, link, status, self.queue).run(inbox));
        Ok(Trpc { calls, status: watched })
    }
}

impl std::fmt::Debug for TrpcBuilder {
    /// Without what may hold credentials.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let url = self.url.split('?').next();
        f.debug_struct("TrpcBuilder").field("url", &url).finish_non_exhaustive()
    }
}
