//! Subscriptions, as their readers have them.

use std::fmt;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use futures_util::Stream;
use tokio::sync::OwnedSemaphorePermit;

use super::driver::Inbox;
use super::{Message, Mqtt};

/// The messages of a subscription. Dropped, it is given back.
///
/// It ends with the client, or where the broker refuses it after a session was lost.
#[must_use = "a subscription that is dropped is given back"]
pub struct MqttSubscription {
    inbox: Inbox,
    /// A client goes on as long as somebody reads.
    _client: Mqtt,
    _permit: OwnedSemaphorePermit,
}

// === impl MqttSubscription ===

impl MqttSubscription {
    pub(super) fn new(inbox: Inbox, client: Mqtt, permit: OwnedSemaphorePermit) -> Self {
        Self { inbox, _client: client, _permit: permit }
    }

    /// The next message, which is acknowledged by that. `None`: it is over.
    ///
    /// Cancel safe: no message is lost.
    pub async fn next(&mut self) -> Option<Message> {
        Some(self.inbox.messages.recv().await?.message)
    }

    /// How many messages were lost here, because more came than were read: of QoS 0; and of
    /// QoS 1 only where the broker has lost the session while the queue was full.
    pub fn lost(&self) -> u64 {
        self.inbox.lost.load(Ordering::Relaxed)
    }
}

impl Stream for MqttSubscription {
    type Item = Message;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Message>> {
        self.inbox.messages.poll_recv(context).map(|queued| Some(queued?.message))
    }
}

impl fmt::Debug for MqttSubscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MqttSubscription").field("lost", &self.lost()).finish_non_exhaustive()
    }
}
