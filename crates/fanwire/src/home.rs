//! What an app reaches the rest of its system by. Every home brings its own.

#[cfg(feature = "server")]
pub(crate) mod server;

use std::sync::Arc;

use crate::realtime::Broker;
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
}

// === impl Home ===

impl Home {
    /// A home of these parts: for tests, and for homes of one's own.
    pub fn new(gateway: Arc<dyn Gateway>, broker: Arc<dyn Broker>) -> Self {
        Self { parts: Arc::new(Parts { gateway, broker }) }
    }

    /// What keeps the connections of WebSocket APIs.
    pub fn gateway(&self) -> &Arc<dyn Gateway> {
        &self.parts.gateway
    }

    /// What keeps the topics.
    pub fn broker(&self) -> &Arc<dyn Broker> {
        &self.parts.broker
    }
}
