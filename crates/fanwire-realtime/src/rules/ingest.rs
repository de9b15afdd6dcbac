//! Basic Ingest: messages that are published to a rule (reference: iot.md section 8). The
//! rule's filter is not asked; subscribers get nothing, since no client may subscribe to
//! these topics.

use std::sync::{Arc, Weak};

use arc_swap::ArcSwap;
use fanwire_rules::basic_ingest;

use super::ByName;
use crate::tap::Tap;
use crate::{Message, Observer, RealtimeEvent};

/// The topics of all rules.
pub(super) const FILTER: &str = "$aws/rules/+/#";

/// Gives messages to the rules that their topics name.
pub(super) struct BasicIngest {
    /// Not held: the rules hold subscriptions, and a subscriber that held them could come
    /// to end one within the directory's lock.
    followed: Weak<ArcSwap<ByName>>,
    observer: Arc<dyn Observer>,
}

// === impl BasicIngest ===

impl BasicIngest {
    pub(super) fn new(followed: &Arc<ArcSwap<ByName>>, observer: Arc<dyn Observer>) -> Self {
        Self { followed: Arc::downgrade(followed), observer }
    }
}

impl Tap for BasicIngest {
    fn deliver(&self, message: &Arc<Message>) {
        // `$aws/rules/NAME` alone also matches, by the standard, and is no rule's topic.
        let Some((name, topic)) = basic_ingest(&message.topic) else { return };
        let Some(followed) = self.followed.upgrade() else { return };
        match followed.load().get(name) {
            Some(rule) => rule.feed.push(message, message.topic.len() - topic.len()),
            None => self.observer.observe(&RealtimeEvent::Rule {
                rule: name,
                topic: &message.topic,
                why: "there is no topic rule of this name that is enabled; the message is dropped",
            }),
        }
    }
}
