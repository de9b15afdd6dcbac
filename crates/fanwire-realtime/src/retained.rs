//! The retained messages, which all shards share: the last message of each topic that was
//! published to be retained (MQTT 5, 3.3.1.3).

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::Message;
use crate::listing::RetainedInfo;
use crate::topic::{Parent, TopicMap};

/// What a retained message takes beside itself, in bytes: its place among the topics.
const PLACE_BYTES: usize = 160;

/// The same for one that expires: its place among those.
const EXPIRY_BYTES: usize = 48;

/// The retained messages.
#[derive(Debug, Default)]
pub(crate) struct Retained {
    // A std lock: held for a look-up or for the walk of one subscription, never across an
    // await.
    kept: RwLock<Kept>,
    bytes: AtomicUsize,
}

/// Messages by topic, and when those expire that do.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    topics: TopicMap<Arc<Message>>,
    expiring: BTreeSet<(u64, Arc<str>)>,
}

/// What a piece of a search has come to.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) messages: Vec<Arc<Message>>,
    /// The topic behind which there may be more.
    pub(crate) go_on_behind: Option<Arc<str>>,
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
        let mut kept = self.write();
        if message.payload.is_empty() {
            self.forget(&mut kept, &message.topic);
            return Ok(());
        }
        let freed = kept.topics.get(&message.topic).map(|before| cost(before));
        let bytes = self.bytes.load(Ordering::Relaxed) - freed.unwrap_or(0);
        let more = usize::from(freed.is_none());
        if kept.topics.len() + more > max_messages || bytes + cost(message) > max_bytes {
            return Err(Full);
        }
        self.bytes.fetch_add(cost(message), Ordering::Relaxed);
        if let Some(at) = message.expires_at() {
            kept.expiring.insert((at, Arc::clone(&message.topic)));
        }
        let before = kept.topics.insert(Arc::clone(&message.topic), Arc::clone(message));
        if let Some(before) = before {
            self.bytes.fetch_sub(cost(&before), Ordering::Relaxed);
            kept.expires_no_more(&before, message.expires_at());
        }
        Ok(())
    }

    /// Forgets messages that have expired, at most `limit` of them, and says of which topics
    /// they were. Those that expired first go first.
    pub(crate) fn forget_expired(&self, now_ms: u64, limit: usize) -> Vec<Arc<str>> {
        let mut kept = self.write();
        let expired = kept.expiring.iter().take_while(|(at, _)| *at <= now_ms).take(limit);
        let topics: Vec<Arc<str>> = expired.map(|(_, topic)| Arc::clone(topic)).collect();
        topics.iter().for_each(|topic| self.forget(&mut kept, topic));
        topics
    }

    fn forget(&self, kept: &mut Kept, topic: &str) {
        if let Some(before) = kept.topics.remove(topic) {
            self.bytes.fetch_sub(cost(&before), Ordering::Relaxed);
            kept.expires_no_more(&before, None);
        }
    }

    /// How many there are, and the bytes that they take.
    pub(crate) fn size(&self) -> (usize, usize) {
        (self.read().topics.len(), self.bytes.load(Ordering::Relaxed))
    }

    /// The message of one topic, unless it has expired.
    pub(crate) fn get(&self, topic: &str, now_ms: u64) -> Option<Arc<Message>> {
        let found = self.read().topics.get(topic).cloned()?;
        found.expiry_left(now_ms).is_some().then_some(found)
    }

    /// The messages whose topics match `filter`, by topic, at most `limit`.
    pub(crate) fn find(
        &self,
        filter: &str,
        parent: Parent,
        limit: usize,
        now_ms: u64,
    ) -> Vec<Arc<Message>> {
        let mut found = Vec::new();
        self.read().topics.find(filter, parent, |_, message| {
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

    /// The same among the next topics from behind `after`: no more than `most` are looked at.
    pub(crate) fn find_next(
        &self,
        filter: &str,
        parent: Parent,
        after: Option<&str>,
        most: usize,
        now_ms: u64,
    ) -> Found {
        let mut messages = Vec::new();
        let kept = self.read();
        let go_on_behind = kept.topics.find_after(filter, parent, after, most, |_, message| {
            if message.expiry_left(now_ms).is_some() {
                messages.push(Arc::clone(message));
            }
        });
        Found { messages, go_on_behind: go_on_behind.cloned() }
    }

    /// Facts about messages in the order of their topics, from behind `after`.
    pub(crate) fn list(&self, after: Option<&str>, limit: usize, now_ms: u64) -> Vec<RetainedInfo> {
        let kept = self.read();
        let listed = kept.topics.list_after(after);
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
    pub(crate) fn current(&self) -> RwLockReadGuard<'_, Kept> {
        self.read()
    }

    fn read(&self) -> RwLockReadGuard<'_, Kept> {
        self.kept.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Kept> {
        self.kept.write().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Kept ===

impl Kept {
    /// The message of a topic, whether or not it has expired.
    pub(crate) fn get(&self, topic: &str) -> Option<&Arc<Message>> {
        self.topics.get(topic)
    }

    /// A message has gone from its topic, in whose place one is that expires at `next`.
    fn expires_no_more(&mut self, before: &Message, next: Option<u64>) {
        if let Some(at) = before.expires_at().filter(|at| Some(*at) != next) {
            self.expiring.remove(&(at, Arc::clone(&before.topic)));
        }
    }
}

/// What a retained message takes, in bytes.
fn cost(message: &Message) -> usize {
    PLACE_BYTES + message.cost() + message.expires_at().map_or(0, |_| EXPIRY_BYTES)
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

    #[test]
    fn what_has_expired_is_forgotten_and_nothing_that_came_in_its_place() {
        let retained = retained(&[("a", Some(1)), ("b", Some(2)), ("c", None), ("d", Some(1))]);
        for again in [message("d", Some(9)), message("b", Some(2)), message("b", Some(2))] {
            retained.put(&again, usize::MAX, usize::MAX).unwrap();
        }
        assert_eq!(retained.forget_expired(NOW + 999, 9).len(), 0);
        assert_eq!(retained.forget_expired(NOW + 2000, 1), ["a".into()]);
        assert_eq!(retained.forget_expired(NOW + 2000, 9), ["b".into()]);
        assert_eq!(retained.forget_expired(NOW + 2000, 9).len(), 0);
        let forget = |topic| retained.put(&Arc::new(Message::new(topic, "")), 0, 0).unwrap();
        ["c", "d"].into_iter().for_each(forget);
        assert_eq!((retained.size(), retained.read().expiring.len()), ((0, 0), 0));
    }
}
