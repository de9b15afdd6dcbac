//! How a client is made.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fanwire_wire::mqtt::Version;
use futures_util::future::BoxFuture;
use tokio::sync::{Notify, Semaphore, mpsc, watch};

use super::super::address::Address;
use super::super::connector::Connector;
use super::super::status::StatusTeller;
use super::super::websocket::encoded;
use super::super::{ConnectError, Status, Trust};
use super::connection::Road;
use super::driver::{Driver, Inputs};
use super::message::seconds;
use super::options::SessionOptions;
use super::session::Session;
use super::{MAX_SUBSCRIPTIONS, Mqtt, Shared, Will};

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
    will: Option<Will>,
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
            will: None,
            options: SessionOptions::new(fastrand::u64(..)),
            queue: QUEUE,
        }
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
        self.options.is_named = true;
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

    /// With a message that the broker publishes if the client vanishes.
    pub fn will(mut self, will: Will) -> Self {
        self.will = Some(will);
        self
    }

    /// Speaks MQTT 3.1.1, for brokers without MQTT 5. There are no properties, and no reasons
    /// of refusals. Sessions have no expiry there: one that is to outlive its connections has
    /// to have a [`client_id`](Self::client_id), and lives until a client of that name begins
    /// anew. Without, a session ends with its connection: the client subscribes again, and
    /// what came meanwhile is lost.
    ///
    /// ```
    /// use fanwire::client::Mqtt;
    ///
    /// # #[cfg(feature = "server")]
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// # use fanwire::realtime::{Grant, Realtime};
    /// # use fanwire::{Server, ServerOptions};
    /// # let shop = Realtime::new("shop")
    /// #     .authorizer(async |_: String| Grant::new().subscribe(["*"]).publish(["*"]));
    /// # let options = ServerOptions::default().with_address(([127, 0, 0, 1], 0));
    /// # let server = Server::start(shop.into(), options).await.unwrap();
    /// # let url = format!("mqtt://{}", server.address());
    /// let worker = Mqtt::builder(url).client_id("worker-7").mqtt_3_1_1().connect()?;
    /// worker.publish_exactly_once("jobs/done", "7").await?;
    /// # worker.close().await;
    /// # server.stop().await;
    /// # Ok(())
    /// # }
    /// # #[cfg(feature = "server")]
    /// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
    /// ```
    pub fn mqtt_3_1_1(mut self) -> Self {
        self.options.version = Version::V3_1_1;
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
    /// QoS 1 and 2 the broker may send 256 before the first is read, and the rest waits there.
    /// mosquitto before 2.0.13 sends more, and is let off with it up to 4,096; so is a broker
    /// of MQTT 3.1.1, which has no such limit.
    pub fn queue(mut self, messages: usize) -> Self {
        self.queue = messages.max(1);
        self
    }

    /// Makes the client, which connects at once. To be called on a tokio runtime.
    ///
    /// # Errors
    ///
    /// Where the URL, a header or the will is none.
    pub fn connect(mut self) -> Result<Mqtt, ConnectError> {
        let will = self.will.take().map(Will::checked).transpose();
        let no_will = |why| ConnectError::Request(format!("this is no will: {why}"));
        self.options.will = will.map_err(no_will)?;
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
        let status = StatusTeller::new(status);
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
