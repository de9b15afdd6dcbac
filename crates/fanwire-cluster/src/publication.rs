//! Messages to several nodes, at most once: what QoS 0 needs and costs.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use tokio::sync::mpsc;

use crate::addressees::{filter_of, subjects_of};
use crate::cluster::Shared;
use crate::facts::count;
use crate::request::{head_of, with_head};
use crate::{Incarnation, NodeId, PublishError, SubscribeError};

/// Publications that wait for the connection to NATS.
const WAITING: usize = 8_192;

/// What was published by another node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publication {
    /// Who has published it.
    pub from: Incarnation,
    /// What.
    pub payload: Bytes,
}

/// What other nodes publish to a node, until it is dropped.
pub struct Subscription {
    shared: Arc<Shared>,
    subscriber: async_nats::Subscriber,
}

/// The queue of what is to be published.
#[derive(Default)]
pub(crate) struct Publications {
    queue: OnceLock<mpsc::Sender<(String, Bytes)>>,
}

// === impl Publications ===

impl Publications {
    pub(crate) fn publish(
        shared: &Arc<Shared>,
        to: &[NodeId],
        bytes: &[u8],
    ) -> Result<(), PublishError> {
        let published = Self::try_publish(shared, to, bytes);
        match published {
            Ok(()) => count(&shared.counters.published, 1),
            Err(_) => count(&shared.counters.publications_dropped, 1),
        }
        published
    }

    fn try_publish(shared: &Arc<Shared>, to: &[NodeId], bytes: &[u8]) -> Result<(), PublishError> {
        let me = shared.me.borrow().ok_or(PublishError::Away)?;
        let limit = shared.nats.max_message();
        if !shared.is_joined() {
            return Err(PublishError::Away);
        }
        if bytes.len() > limit {
            return Err(PublishError::TooLarge { limit });
        }
        let queue = shared.publications.queue.get_or_init(|| pump(shared));
        let message = with_head(me, bytes);
        for subject in subjects_of(to) {
            let subject = shared.nats.publication_subject(&subject);
            queue.try_send((subject, message.clone())).map_err(|_| PublishError::Busy)?;
        }
        Ok(())
    }

    pub(crate) async fn subscribe(
        shared: &Arc<Shared>,
        node: NodeId,
    ) -> Result<Subscription, SubscribeError> {
        let subject = shared.nats.publication_subject(&filter_of(node));
        let subscriber = shared.nats.client.subscribe(subject.clone()).await;
        let subscriber =
            subscriber.map_err(|error| SubscribeError { subject, cause: error.to_string() })?;
        Ok(Subscription { shared: Arc::clone(shared), subscriber })
    }
}

/// Takes what is queued to NATS: whoever publishes is on a shard, and must not wait.
fn pump(shared: &Arc<Shared>) -> mpsc::Sender<(String, Bytes)> {
    let (queue, mut queued) = mpsc::channel::<(String, Bytes)>(WAITING);
    let client = shared.nats.client.clone();
    shared.runtime.spawn(async move {
        while let Some((subject, bytes)) = queued.recv().await {
            // At most once.
            let _ = client.publish(subject, bytes).await;
        }
    });
    queue
}

// === impl Subscription ===

impl Stream for Subscription {
    type Item = Publication;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Publication>> {
        loop {
            let Some(message) = std::task::ready!(self.subscriber.poll_next_unpin(cx)) else {
                return Poll::Ready(None);
            };
            let Some((from, payload)) = head_of(message.payload) else { continue };
            // What this node published itself has been where it belongs already.
            let is_own = *self.shared.me.borrow() == Some(from);
            if !is_own && !self.shared.deaths.contains(from) {
                return Poll::Ready(Some(Publication { from, payload }));
            }
        }
    }
}

impl std::fmt::Debug for Subscription {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subscription").finish_non_exhaustive()
    }
}
