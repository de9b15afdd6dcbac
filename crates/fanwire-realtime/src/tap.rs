//! Subscribers in this process: topic rules, bridges, the command line.

use std::sync::Arc;

use crate::Message;
use crate::directory::{Directory, TapId};

/// A subscriber in this process. It is called on the thread of the shard where a message
/// comes in, once a message and subscription, and must not block: what it cannot take at
/// once it has to drop and count.
pub trait Tap: Send + Sync + 'static {
    /// A message of a topic that it subscribes to.
    fn deliver(&self, message: &Arc<Message>);
}

impl<F: Fn(&Arc<Message>) + Send + Sync + 'static> Tap for F {
    fn deliver(&self, message: &Arc<Message>) {
        self(message);
    }
}

/// Whose messages a [`Tap`] hears in a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Those that come in on this node: each message is heard on one node alone.
    Here,
    /// Those that come in on any node.
    Everywhere,
}

/// A [`Tap`]'s place among the subscribers of a filter. Dropping it unsubscribes.
#[derive(Debug)]
pub struct Subscription {
    pub(crate) directory: Arc<Directory>,
    pub(crate) filter: Box<str>,
    pub(crate) id: TapId,
}

// === impl Subscription ===

impl Subscription {
    /// The topic filter.
    pub fn filter(&self) -> &str {
        &self.filter
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.directory.remove_tap(&self.filter, self.id);
    }
}
