//! A client of MQTT brokers: [`Mqtt`].
//!
//! On `fanwire-wire`'s codec, which the broker and the load generators use, too. rumqttc 0.25
//! would bring second versions of rustls-webpki and tungstenite for TLS and WebSockets.

mod builder;
mod connection;
mod driver;
mod error;
mod filters;
mod inbound;
mod link;
mod message;
mod options;
mod outbound;
mod output;
mod session;
mod subscription;
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
mod topic;
mod will;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use fanwire_wire::mqtt::QoS;
use fanwire_wire::mqtt::topic::{check_filter, check_name};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use serde::Serialize;
use tokio::sync::{Notify, Semaphore, mpsc, oneshot, watch};

pub use self::builder::{Credentials, MqttBuilder};
use self::driver::{Command, Dropped};
pub use self::error::MqttError;
use self::message::CheckedProperties;
pub use self::message::{Message, MessageProperties};
pub use self::subscription::MqttSubscription;
pub use self::will::Will;
use super::{ConnectError, Status};
use crate::realtime::{Broker, Publication, PublishError};

/// The most subscriptions of one client.
const MAX_SUBSCRIPTIONS: usize = 10_000;

/// A client of an MQTT broker, Fanwire's, AWS IoT or anybody's, of MQTT 5 or 3.1.1, over TCP,
/// TLS or WebSockets. Cheap to clone; it connects at once, and ends with its last clone and
/// subscription.
///
/// Its session outlives its connections: what is published while there is none is sent once
/// there is one, and what the broker has for it meanwhile comes then. A message of QoS 1 is
/// acknowledged once it is read, and so may come twice, and is not lost. One of QoS 2 comes
/// once, however often the connection is lost, as long as the broker keeps the session and
/// this process lives; both ways.
///
/// ```
/// use fanwire::client::Mqtt;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct Order { item: String }
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
/// let client = Mqtt::connect(url)?;
/// let mut orders = client.subscribe("shop/+/orders").await?;
/// client.publish_json("shop/7/orders", &Order { item: "tea".into() }).await?;
/// let message = orders.next().await.ok_or("the client was closed")?;
/// assert_eq!(message.topic, "shop/7/orders");
/// assert_eq!(message.json::<Order>()?.item, "tea");
/// # client.close().await;
/// # server.stop().await;
/// # Ok(())
/// # }
/// # #[cfg(feature = "server")]
/// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
/// ```
#[derive(Clone)]
pub struct Mqtt {
    shared: Arc<Shared>,
}

struct Shared {
    commands: mpsc::Sender<Command>,
    /// What those tell the driver who cannot wait: at most one word of each subscription, and
    /// of each message that the broker may have unacknowledged. They have it weakly, and the
    /// driver ends when it is gone.
    _dropped: mpsc::UnboundedSender<Dropped>,
    closing: Arc<Notify>,
    status: watch::Receiver<Status>,
    permits: Arc<Semaphore>,
}

// === impl Mqtt ===

impl Mqtt {
    /// A client of the broker at an `mqtt`, `mqtts`, `ws` or `wss` URL. To be called on a
    /// tokio runtime, on which it goes on connecting until it does.
    ///
    /// # Errors
    ///
    /// Where the URL is none.
    pub fn connect(url: impl Into<String>) -> Result<Self, ConnectError> {
        Self::builder(url).connect()
    }

    /// To connect with credentials, a client id and the like.
    pub fn builder(url: impl Into<String>) -> MqttBuilder {
        MqttBuilder::new(url.into())
    }

    /// Subscribes to a topic filter, with QoS 1. Done when the broker has agreed.
    ///
    /// # Errors
    ///
    /// [`MqttError::Refused`], where a policy is against it.
    pub async fn subscribe(
        &self,
        filter: impl Into<String>,
    ) -> Result<MqttSubscription, MqttError> {
        self.subscribe_with(filter, QoS::AtLeastOnce).await
    }

    /// Subscribes with QoS 0: what comes while there is no connection, or faster than it is
    /// read, is lost.
    ///
    /// # Errors
    ///
    /// As [`subscribe`](Self::subscribe).
    pub async fn subscribe_at_most_once(
        &self,
        filter: impl Into<String>,
    ) -> Result<MqttSubscription, MqttError> {
        self.subscribe_with(filter, QoS::AtMostOnce).await
    }

    /// Subscribes with QoS 2: each message that is published so is read once, however often
    /// the connection is lost.
    ///
    /// # Errors
    ///
    /// As [`subscribe`](Self::subscribe).
    pub async fn subscribe_exactly_once(
        &self,
        filter: impl Into<String>,
    ) -> Result<MqttSubscription, MqttError> {
        self.subscribe_with(filter, QoS::ExactlyOnce).await
    }

    /// Publishes a message with QoS 1. Done when the broker has it.
    ///
    /// # Errors
    ///
    /// [`MqttError::Refused`], where a policy is against it. Dropping the future does not
    /// take the message back.
    pub async fn publish(
        &self,
        topic: impl Into<String>,
        payload: impl Into<Bytes>,
    ) -> Result<(), MqttError> {
        let (topic, payload) = (topic.into(), payload.into());
        self.send(Publication { topic, payload, qos: 1, retain: false }).await
    }

    /// Publishes a message with QoS 2, which those who are subscribed so read once, however
    /// often the connection is lost. Done when the broker has said that it is done.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish); and the broker takes no QoS 2, as AWS IoT does not.
    pub async fn publish_exactly_once(
        &self,
        topic: impl Into<String>,
        payload: impl Into<Bytes>,
    ) -> Result<(), MqttError> {
        let (topic, payload) = (topic.into(), payload.into());
        self.send(Publication { topic, payload, qos: 2, retain: false }).await
    }

    /// Publishes a message as JSON, as [`publish`](Self::publish) does.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish); or the message has no JSON.
    pub async fn publish_json<T: Serialize + ?Sized>(
        &self,
        topic: impl Into<String>,
        message: &T,
    ) -> Result<(), MqttError> {
        let json = serde_json::to_vec(message);
        self.publish(topic, json.map_err(|error| MqttError::Json(error.to_string()))?).await
    }

    /// Publishes a message of any kind: QoS 0, which is done when it is on its way, 1 or 2;
    /// retained or not. This is what typed topics and [`Broker`] lead to.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish).
    pub async fn send(&self, publication: Publication) -> Result<(), MqttError> {
        self.send_with(publication, MessageProperties::default()).await
    }

    /// Publishes a message of any kind with what it carries beside its payload.
    ///
    /// ```
    /// use fanwire::client::{MessageProperties, Mqtt};
    /// use fanwire::realtime::Publication;
    ///
    /// # #[cfg(feature = "server")]
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// # use fanwire::realtime::{Grant, Realtime};
    /// # use fanwire::{Server, ServerOptions};
    /// # let shop = Realtime::new("shop")
    /// #     .authorizer(async |_: String| Grant::new().subscribe(["*"]).publish(["*"]));
    /// # let options = ServerOptions::default().with_address(([127, 0, 0, 1], 0));
    /// # let server = Server::start(shop.into(), options).await.unwrap();
    /// # let client = Mqtt::connect(format!("mqtt://{}", server.address()))?;
    /// // Whoever is asked answers to `answers/7`, and says which question that is for.
    /// let mut answers = client.subscribe_exactly_once("answers/7").await?;
    /// # let mut questions = client.subscribe("questions").await?;
    /// let question = Publication {
    ///     topic: "questions".to_owned(),
    ///     payload: "what time is it?".into(),
    ///     qos: 2,
    ///     retain: false,
    /// };
    /// let properties = MessageProperties {
    ///     response_topic: Some("answers/7".to_owned()),
    ///     correlation_data: Some("1".into()),
    ///     ..MessageProperties::default()
    /// };
    /// client.send_with(question, properties).await?;
    /// # let question = questions.next().await.ok_or("closed")?;
    /// # let Some(topic) = question.properties.response_topic else { panic!("it came along") };
    /// # let payload = "noon".into();
    /// # let answer = MessageProperties {
    /// #     correlation_data: question.properties.correlation_data,
    /// #     ..MessageProperties::default()
    /// # };
    /// # client.send_with(Publication { topic, payload, qos: 2, retain: false }, answer).await?;
    /// let answer = answers.next().await.ok_or("the client was closed")?;
    /// assert_eq!(answer.properties.correlation_data.as_deref(), Some(&b"1"[..]));
    /// # client.close().await;
    /// # server.stop().await;
    /// # Ok(())
    /// # }
    /// # #[cfg(feature = "server")]
    /// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish); or no packet can carry the properties.
    pub async fn send_with(
        &self,
        publication: Publication,
        properties: MessageProperties,
    ) -> Result<(), MqttError> {
        let invalid = |why: String| {
            let topic = publication.topic.clone();
            Err(MqttError::Invalid { topic, why })
        };
        if let Err(error) = check_name(&publication.topic) {
            return invalid(error.to_string());
        }
        if publication.qos > 2 {
            return invalid("there are QoS 0, 1 and 2".to_owned());
        }
        let properties = match CheckedProperties::new(properties) {
            Ok(properties) => properties,
            Err(why) => return invalid(why),
        };
        let (done, answer) = oneshot::channel();
        self.command(Command::Publish { publication, properties, done }).await?;
        answer.await.unwrap_or(Err(MqttError::Closed))
    }

    /// Whether it is connected, and why not.
    pub fn status(&self) -> Status {
        self.shared.status.borrow().clone()
    }

    /// Waits until it is connected.
    ///
    /// # Errors
    ///
    /// [`MqttError::Closed`].
    pub async fn connected(&self) -> Result<(), MqttError> {
        let mut status = self.shared.status.clone();
        let settled = |status: &Status| matches!(status, Status::Connected | Status::Closed);
        match status.wait_for(settled).await.as_deref() {
            Ok(Status::Connected) => Ok(()),
            _ => Err(MqttError::Closed),
        }
    }

    /// Says goodbye to the broker, which keeps the session as long as was agreed. Clones and
    /// subscriptions end with it.
    pub async fn close(self) {
        self.shared.closing.notify_one();
        self.shared.commands.closed().await;
    }

    async fn subscribe_with(
        &self,
        filter: impl Into<String>,
        qos: QoS,
    ) -> Result<MqttSubscription, MqttError> {
        let filter = filter.into();
        if let Err(error) = check_filter(&filter) {
            return Err(MqttError::Invalid { topic: filter, why: error.to_string() });
        }
        let permit = Arc::clone(&self.shared.permits).try_acquire_owned();
        let permit = permit.map_err(|_| MqttError::TooMany { limit: MAX_SUBSCRIPTIONS })?;
        let (done, answer) = oneshot::channel();
        self.command(Command::Subscribe { filter, qos, done }).await?;
        // Where this future is dropped, the driver finds nobody to give the subscription to.
        let inbox = answer.await.unwrap_or(Err(MqttError::Closed))?;
        Ok(MqttSubscription::new(inbox, self.clone(), permit))
    }

    async fn command(&self, command: Command) -> Result<(), MqttError> {
        self.shared.commands.send(command).await.map_err(|_| MqttError::Closed)
    }
}

impl fmt::Debug for Mqtt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mqtt").field("status", &self.status()).finish_non_exhaustive()
    }
}

/// So that what publishes to a [`Broker`] can do so from any process.
impl Broker for Mqtt {
    fn publish(&self, publication: Publication) -> BoxFuture<'_, Result<(), PublishError>> {
        async {
            self.send(publication).await.map_err(|error| match error {
                MqttError::Invalid { topic, why } | MqttError::Refused { topic, why, .. } => {
                    PublishError::Refused { topic, why }
                }
                other => PublishError::Failed(other.to_string()),
            })
        }
        .boxed()
    }
}
