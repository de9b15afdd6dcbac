//! The retained messages, which all shards share: the last message of each topic that was
//! published to be retained (MQTT 5, 3.3.1.3).

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::Message;
use crate::listing::RetainedInfo;
use crate::topic::{Parent, TopicMap};

/// What a retained message takes beside itself, in bytes: its place among the topics.
const PLACE_BYTES: usize = 160;

/// The retained messages.
#[derive(Debug, Default)]
pub(crate) struct Retained {
    // A std lock: held for a look-up or for the walk of one subscription, never across an
    // await.
    topics: RwLock<TopicMap<Arc<Message>>>,
    bytes: AtomicUsize,
}

/// There is no room for another retained message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full;

// === impl Retained ===

impl Retained {
    /// Retains a message, or with an empty payload forgets the one of its topic.
    pub(crate) fn put(
        &self,
        message: &Arc<Message>,
        max_messages: usize,
        max_bytes: usize,
    ) -> Result<(), Full> {
        let mut topics = self.write();
        let before = if message.payload.is_empty() {
            topics.remove(&message.topic)
        } else {
            let cost = PLACE_BYTES + message.cost();
            let freed = topics.get(&message.topic).map(|before| PLACE_BYTES + before.cost());
            let bytes = self.bytes.load(Ordering::Relaxed) - freed.unwrap_or(0);
            let more = usize::from(freed.is_none());
            if topics.len() + more > max_messages || bytes + cost > max_bytes {
                return Err(Full);
            }
            self.bytes.fetch_add(cost, Ordering::Relaxed);
            topics.insert(Arc::clone(&message.topic), Arc::clone(message))
        };
        if let Some(before) = before {
            self.bytes.fetch_sub(PLACE_BYTES + before.cost(), Ordering::Relaxed);
        }
        Ok(())
    }

    /// How many there are, and the bytes that they take.
    pub(crate) fn size(&self) -> (usize, usize) {
        (self.read().len(), self.bytes.load(Ordering::Relaxed))
    }

    /// The message of one topic, unless it has expired.
    pub(crate) fn get(&self, topic: &str, now_ms: u64) -> Option<Arc<Message>> {
        let found = self.read().get(topic).cloned()?;
        found.expiry_left(now_ms).is_some().then_some(found)
    }

    /// The messages whose topics match `filter`, by topic, from behind `after`, at most
    /// `limit`.
    pub(crate) fn find(
        &self,
        filter: &str,
        parent: Parent,
        after: Option<&str>,
        limit: usize,
        now_ms: u64,
    ) -> Vec<Arc<Message>> {
        let mut found = Vec::new();
        self.read().find_after(filter, parent, after, |_, message| {
            if found.len() == limit {
                return ControlFlow::Break(());
            }
            if message.expiry_left(now_ms).is_some() {
                found.push(Arc::clone(message));
            }
            ControlFlow::Continue(())
        });
        found
    }

    /// Facts about messages in the order of their topics, from behind `after`.
    pub(crate) fn list(&self, after: Option<&str>, limit: usize, now_ms: u64) -> Vec<RetainedInfo> {
        let topics = self.read();
        let listed = topics.list_after(after);
        listed
            .filter(|(_, message)| message.expiry_left(now_ms).is_some())
            .take(limit)
            .map(|(_, message)| RetainedInfo {
                topic: Arc::clone(&message.topic),
                payload_size: message.payload.len(),
                qos: message.qos,
                last_modified_time: message.published_at,
            })
            .collect()
    }

    /// What is retained now, which does not change as long as this is held.
    pub(crate) fn current(&self) -> RwLockReadGuard<'_, TopicMap<Arc<Message>>> {
        self.read()
    }

    fn read(&self) -> RwLockReadGuard<'_, TopicMap<Arc<Message>>> {
        self.topics.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, TopicMap<Arc<Message>>> {
        self.topics.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Properties;

    const NOW: u64 = 1_700_000_000_000;

    fn message(topic: &str, expiry: Option<u32>) -> Arc<Message> {
        let properties = Properties { message_expiry: expiry, ..Properties::default() };
        let properties = expiry.map(|_| Box::new(properties));
        Arc::new(Message { properties, published_at: NOW, ..Message::new(topic, "x") })
    }

    fn retained(messages: &[(&str, Option<u32>)]) -> Retained {
        let retained = Retained::default();
        for (topic, expiry) in messages {
            retained.put(&message(topic, *expiry), usize::MAX, usize::MAX).unwrap();
        }
        retained
    }

    #[test]
    fn a_page_of_a_list_is_full_whatever_has_expired_in_it() {
        let retained = retained(&[("a", Some(1)), ("b", None), ("c", Some(1)), ("d", None)]);
        let list = |after, limit| {
            let listed = retained.list(after, limit, NOW + 1000).into_iter();
            listed.map(|info| info.topic.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(list(None, 2), ["b", "d"]);
        assert_eq!(list(None, 1), ["b"]);
        assert_eq!(list(Some("b"), 2), ["d"]);
    }
}
