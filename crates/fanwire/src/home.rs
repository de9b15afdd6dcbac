//! What an app reaches the rest of its system by. Every home brings its own.

#[cfg(feature = "lambda")]
pub(crate) mod lambda;
#[cfg(feature = "server")]
pub(crate) mod server;

use std::sync::Arc;

use crate::realtime::Broker;
use crate::subscriptions::Publisher;
use crate::websocket::Gateway;

/// Where an app runs, as its handlers see it: connections, topics and subscriptions are
/// reached through it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Home {
    parts: Arc<Parts>,
}

#[derive(Debug)]
struct Parts {
    gateway: Arc<dyn Gateway>,
    broker: Arc<dyn Broker>,
    publisher: Option<Publisher>,
}

// === impl Home ===

impl Home {
    /// A home of these parts: for tests, and for homes of one's own.
    pub fn new(gateway: Arc<dyn Gateway>, broker: Arc<dyn Broker>) -> Self {
        Self { parts: Arc::new(Parts { gateway, broker, publisher: None }) }
    }

    /// With what publishes to the subscribers of procedures.
    #[must_use]
    pub fn with_publisher(self, publisher: Publisher) -> Self {
        let (gateway, broker) = (Arc::clone(&self.parts.gateway), Arc::clone(&self.parts.broker));
        Self { parts: Arc::new(Parts { gateway, broker, publisher: Some(publisher) }) }
    }

    /// With another gateway in the place of its own.
    pub(crate) fn with_gateway(&self, gateway: Arc<dyn Gateway>) -> Self {
        let (broker, publisher) = (Arc::clone(&self.parts.broker), self.parts.publisher.clone());
        Self { parts: Arc::new(Parts { gateway, broker, publisher }) }
    }

    /// The home that the environment names, for code that is given no events: jobs, tools,
    /// other services. `AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI` is the URL of a WebSocket
    /// API with its stage; `AWS_ENDPOINT_URL_IOT_DATA_PLANE` that of topics, if not AWS's
    /// own in `AWS_REGION`. Credentials are those of `AWS_ACCESS_KEY_ID` and its fellows;
    /// Fanwire needs none unless it is told to look at them.
    ///
    /// ```
    /// let home = fanwire::Home::from_env();
    /// ```
    #[cfg(feature = "lambda")]
    pub fn from_env() -> Self {
        lambda::Surroundings::from_env().home()
    }

    /// What keeps the connections of WebSocket APIs.
    pub fn gateway(&self) -> &Arc<dyn Gateway> {
        &self.parts.gateway
    }

    /// What keeps the topics.
    pub fn broker(&self) -> &Arc<dyn Broker> {
        &self.parts.broker
    }

    /// What publishes to the subscribers of the app's procedures; `None` where it has none.
    pub fn publisher(&self) -> Option<&Publisher> {
        self.parts.publisher.as_ref()
    }
}
