//! Publishing to topics, from handlers and from any other code.

use std::future::IntoFuture;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;

use super::{Broker, Encode, Publication, PublishError, Topic};
use crate::Home;

/// What publishes to topics. Cheap to clone. Handlers have [`Home::publish`], and so has
/// any other process: `Home::from_env().publish(…)`.
#[derive(Clone, Debug)]
pub struct Publisher {
    broker: Arc<dyn Broker>,
}

/// A message that is published when it is awaited: with QoS 0 and not retained, where
/// nothing else is said.
#[derive(Debug)]
#[must_use = "a message is published when it is awaited"]
pub struct Publish {
    broker: Arc<dyn Broker>,
    publication: Result<Publication, PublishError>,
}

// === impl Publisher ===

impl Publisher {
    /// Publishes through a broker.
    pub fn new(broker: Arc<dyn Broker>) -> Self {
        Self { broker }
    }

    /// Publishes to a typed topic. Done when the broker has taken it.
    ///
    /// # Errors
    ///
    /// When awaited: [`PublishError::Refused`] where a parameter cannot be a level of a
    /// topic or the payload cannot be written, and what the broker says.
    pub fn publish<T: Topic>(&self, topic: &T, payload: &T::Payload) -> Publish {
        let refused = |why: String| PublishError::Refused { topic: T::TEMPLATE.to_owned(), why };
        let publication = topic
            .name()
            .map_err(|error| refused(error.to_string()))
            .and_then(|name| Ok((name, payload.encode().map_err(|e| refused(e.to_string()))?)));
        self.publication(publication)
    }

    /// Publishes bytes to a topic by its name.
    ///
    /// # Errors
    ///
    /// When awaited: what the broker says.
    pub fn publish_bytes(&self, topic: impl Into<String>, payload: impl Into<Bytes>) -> Publish {
        self.publication(Ok((topic.into(), payload.into())))
    }

    fn publication(&self, named: Result<(String, Bytes), PublishError>) -> Publish {
        let publication =
            named.map(|(topic, payload)| Publication { topic, payload, qos: 0, retain: false });
        Publish { broker: Arc::clone(&self.broker), publication }
    }
}

impl Home {
    /// What publishes to topics, for code that needs nothing else.
    pub fn topics(&self) -> Publisher {
        Publisher::new(Arc::clone(self.broker()))
    }

    /// Publishes to a typed topic. Done when the broker has taken it.
    ///
    /// ```
    /// # use fanwire::Home;
    /// # use fanwire::realtime::PublishError;
    /// fanwire::topic! {
    ///     struct Room { name: String } = "chat/{name}": String
    /// }
    ///
    /// async fn greet(home: &Home) -> Result<(), PublishError> {
    ///     let lobby = Room { name: "lobby".into() };
    ///     home.publish(&lobby, &"hello".into()).await?;
    ///     home.publish(&lobby, &"for who comes later".into()).retained().await
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// When awaited: [`PublishError::Refused`] where a parameter cannot be a level of a
    /// topic or the payload cannot be written, and what the broker says.
    pub fn publish<T: Topic>(&self, topic: &T, payload: &T::Payload) -> Publish {
        self.topics().publish(topic, payload)
    }
}

// === impl Publish ===

impl Publish {
    /// With QoS 1: subscribers that asked for it acknowledge the message.
    pub fn at_least_once(mut self) -> Self {
        if let Ok(publication) = &mut self.publication {
            publication.qos = 1;
        }
        self
    }

    /// Kept for those who subscribe later, in place of what was kept before.
    pub fn retained(mut self) -> Self {
        if let Ok(publication) = &mut self.publication {
            publication.retain = true;
        }
        self
    }
}

impl IntoFuture for Publish {
    type Output = Result<(), PublishError>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.broker.publish(self.publication?).await })
    }
}
