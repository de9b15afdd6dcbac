//! How a client is made.

use std::fmt;
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use tokio::sync::{Notify, Semaphore, mpsc, watch};

use super::super::address::Address;
use super::super::connector::Connector;
use super::super::websocket::encoded;
use super::super::{ConnectError, Status, Trust};
use super::connection::Road;
use super::driver::{Driver, Inputs};
use super::session::Session;
use super::{MAX_SUBSCRIPTIONS, Mqtt, Shared};

/// How long a session outlives a connection, unless said otherwise: an hour, as AWS IoT has it.
const SESSION_EXPIRY: Duration = Duration::from_secs(3600);

/// After how long without a packet the broker is asked whether it is there.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// How many messages of QoS 1 the broker may send before the first is read.
const RECEIVE_MAXIMUM: NonZeroU16 = NonZeroU16::MIN.saturating_add(255);

/// How many it is let off with. mosquitto before 2.0.13 sends up to a receive maximum more for
/// each acknowledgement (its `db__message_delete_outgoing` counts from the place of the message
/// that is acknowledged): to leave it for that, as the standard allows (MQTT 5, 4.9), is to be
/// sent all of it again by the next connection, for ever.
const HELD_MAXIMUM: usize = 16 * 256;

/// How many messages of QoS 0 may wait in a subscription.
const QUEUE: usize = 1024;

/// The most commands that wait for the driver. Who has one more waits.
const COMMANDS: usize = 256;

/// The name of AWS IoT's parameter that says which authorizer is asked (reference: iot.md,
/// section 1).
const AUTHORIZER: &str = "x-amz-customauthorizer-name";

/// Who a client says it is. Its `Debug` form shows no secrets.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    /// The user name.
    pub username: Option<String>,
    /// What proves it: a password, or a token.
    pub password: Option<Vec<u8>>,
}

/// How a client behaves.
#[derive(Debug, Clone)]
pub(super) struct SessionOptions {
    pub(super) client_id: String,
    /// Whether a session of an earlier process is gone on with.
    pub(super) resume: bool,
    /// For how many seconds the session outlives a connection.
    pub(super) session_expiry: u32,
    /// After how many seconds without a packet the broker is asked whether it is there.
    pub(super) keep_alive: u16,
    /// How many messages of QoS 1 the broker may send before the first is read.
    pub(super) receive_maximum: NonZeroU16,
    /// How many it is let off with.
    pub(super) held_maximum: usize,
}

/// What gives a client's credentials.
pub(super) type CredentialsSource =
    Arc<dyn Fn() -> BoxFuture<'static, crate::Result<Credentials>> + Send + Sync>;

/// How an [`Mqtt`] is made.
///
/// ```no_run
/// use fanwire::client::{Credentials, Mqtt};
///
/// # async fn token() -> fanwire::Result<String> { Ok(String::new()) }
/// # fn example() -> Result<(), fanwire::client::ConnectError> {
/// // As an app of SST's connects: over WebSockets, to its authorizer, with its token.
/// let client = Mqtt::builder("wss://iot.example.org/mqtt")
///     .authorizer("chat")
///     .credentials_with(|| async { Ok(Credentials::new("", token().await?)) })
///     .client_id("worker-1")
///     .resume()
///     .connect()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "nothing happens before `connect`"]
pub struct MqttBuilder {
    url: String,
    query: Vec<(String, String)>,
    headers: Vec<(String, String)>,
    trust: Trust,
    credentials: Option<CredentialsSource>,
    /// What follows the user name, or stands in the query of a WebSocket.
    authorizer: Vec<(String, String)>,
    options: SessionOptions,
    queue: usize,
}

// === impl Credentials ===

impl Credentials {
    /// A user name and a password.
    pub fn new(username: impl Into<String>, password: impl Into<Vec<u8>>) -> Self {
        Self { username: Some(username.into()), password: Some(password.into()) }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // User names may carry tokens.
        f.debug_struct("Credentials").finish_non_exhaustive()
    }
}

// === impl MqttBuilder ===

impl MqttBuilder {
    pub(super) fn new(url: String) -> Self {
        Self {
            url,
            query: Vec::new(),
            headers: Vec::new(),
            trust: Trust::default(),
            credentials: None,
            authorizer: Vec::new(),
            options: SessionOptions {
                client_id: format!("fanwire-{:016x}", fastrand::u64(..)),
                resume: false,
                session_expiry: seconds(SESSION_EXPIRY),
                keep_alive: 0,
                receive_maximum: RECEIVE_MAXIMUM,
                held_maximum: HELD_MAXIMUM,
            },
            queue: QUEUE,
        }
        .keep_alive(KEEP_ALIVE)
    }

    /// With a user name and a password.
    pub fn credentials(self, username: impl Into<String>, password: impl Into<Vec<u8>>) -> Self {
        let credentials = Credentials::new(username, password);
        self.credentials_with(move || std::future::ready(Ok(credentials.clone())))
    }

    /// With credentials that are asked for before each connection, so that a token may
    /// change. Where that fails, connecting does.
    pub fn credentials_with<F, Fut>(mut self, credentials: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = crate::Result<Credentials>> + Send + 'static,
    {
        self.credentials = Some(Arc::new(move || Box::pin(credentials())));
        self
    }

    /// Has this custom authorizer of AWS IoT, or of Fanwire, asked: named in the query of a
    /// WebSocket, after the user name elsewhere.
    pub fn authorizer(self, name: &str) -> Self {
        self.authorizer_parameter(AUTHORIZER, name)
    }

    /// With a further parameter for the authorizer, such as the token under the name of its
    /// `tokenKeyName`.
    pub fn authorizer_parameter(mut self, name: &str, value: &str) -> Self {
        // The names are known to need no encoding, and AWS decodes none.
        self.authorizer.push((name.to_owned(), encoded(value)));
        self
    }

    /// With a parameter in the query of a WebSocket.
    pub fn query(mut self, name: &str, value: &str) -> Self {
        self.query.push((encoded(name), encoded(value)));
        self
    }

    /// With a header of a WebSocket's handshake.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Whose certificates are believed. Default: the system's authorities.
    pub fn trust(mut self, trust: Trust) -> Self {
        self.trust = trust;
        self
    }

    /// The name of the session. Default: one by chance. Two clients with one name throw each
    /// other out.
    pub fn client_id(mut self, id: impl Into<String>) -> Self {
        self.options.client_id = id.into();
        self
    }

    /// Goes on with the session that an earlier process has left under the client id. What
    /// the broker has for it with QoS 1 waits for the filter that it is of to be subscribed to
    /// again. Subscriptions of that process that nobody wants any more are still there: their
    /// messages wait in vain, and in the end keep others from coming.
    pub fn resume(mut self) -> Self {
        self.options.resume = true;
        self
    }

    /// How long the session outlives a connection, in whole seconds. Default an hour; the
    /// broker may shorten it.
    pub fn session_expiry(mut self, expiry: Duration) -> Self {
        self.options.session_expiry = seconds(expiry);
        self
    }

    /// After how long without a packet the broker is asked whether it is there, in whole
    /// seconds; zero: never. Default 30 s; the broker may want another.
    pub fn keep_alive(mut self, interval: Duration) -> Self {
        self.options.keep_alive = u16::try_from(interval.as_secs()).unwrap_or(u16::MAX);
        self
    }

    /// How many messages of QoS 0 of one subscription may wait to be read, 1 or more; default
    /// 1,024. More are lost, and [`lost`](super::MqttSubscription::lost) counts them. Of
    /// QoS 1, 256 may wait, and the rest does so at the broker.
    pub fn queue(mut self, messages: usize) -> Self {
        self.queue = messages.max(1);
        self
    }

    /// Makes the client, which connects at once. To be called on a tokio runtime.
    ///
    /// # Errors
    ///
    /// Where the URL or a header is none.
    pub fn connect(self) -> Result<Mqtt, ConnectError> {
        let mut address = Address::parse(&self.url)?;
        let over_websocket = address.scheme.is_websocket();
        let query = self.query.iter().chain(self.authorizer.iter().filter(|_| over_websocket));
        for (name, value) in query {
            address.push_query(name, value);
        }
        let connector = Connector::new(address, &self.trust)?
            .with_headers(&self.headers)?
            .with_protocols(vec!["mqtt".to_owned()]);
        let suffix = if over_websocket { String::new() } else { suffix_of(&self.authorizer) };
        let road = Road { connector, credentials: self.credentials, suffix };
        let (status, watched) = watch::channel(Status::first());
        let (commands, command_receiver) = mpsc::channel(COMMANDS);
        let (dropped, dropped_receiver) = mpsc::unbounded_channel();
        let closing = Arc::new(Notify::new());
        let inputs = Inputs {
            commands: command_receiver,
            dropped: dropped_receiver,
            closing: Arc::clone(&closing),
        };
        let room = (self.queue, self.options.held_maximum);
        let session = Session::new(self.options, Instant::now(), fastrand::u64(..));
        let driver = Driver::new(session, road, status, room, dropped.downgrade());
        tokio::spawn(driver.run(inputs));
        let permits = Arc::new(Semaphore::new(MAX_SUBSCRIPTIONS));
        let shared = Shared { commands, _dropped: dropped, closing, status: watched, permits };
        Ok(Mqtt { shared: Arc::new(shared) })
    }
}

impl fmt::Debug for MqttBuilder {
    /// Without what may hold credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = self.url.split('?').next();
        f.debug_struct("MqttBuilder").field("url", &url).finish_non_exhaustive()
    }
}

fn seconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(u32::MAX)
}

/// What follows the user name (reference: iot.md, section 1).
fn suffix_of(parameters: &[(String, String)]) -> String {
    let mut suffix = String::new();
    for (nth, (name, value)) in parameters.iter().enumerate() {
        suffix.push(if nth == 0 { '?' } else { '&' });
        suffix.push_str(name);
        suffix.push('=');
        suffix.push_str(value);
    }
    suffix
}
