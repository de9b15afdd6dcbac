//! Retained messages, which all nodes have: each tells what it has been sent, and takes in
//! what has become of every topic.

use std::sync::Arc;
use std::time::Duration;

use super::state::Mesh;
use crate::Message;
use crate::durable::record::{decode_message, encode_message};
use crate::promise::Promise;

impl Mesh {
    /// Whether what is retained here is retained by all nodes.
    pub(crate) fn shares_retained(&self) -> bool {
        self.retained_records.is_some()
    }

    /// Has all nodes retain a message, or with an empty payload forget that of its topic.
    pub(crate) fn retain(&self, message: &Message, promise: Option<Arc<Promise>>) {
        let Some(records) = &self.retained_records else { return };
        let done = move |kept: bool| {
            if let (false, Some(promise)) = (kept, &promise) {
                promise.break_it();
            }
        };
        let gone = message.payload.is_empty();
        // It has just been published.
        let seconds = message.properties.as_ref().and_then(|properties| properties.message_expiry);
        let life = seconds.map(|seconds| Duration::from_secs(seconds.into()));
        records.set(&message.topic, encode_message(message), gone, life, Box::new(done));
    }

    /// This is the message of its topic now, or with an empty payload it has none.
    pub fn retained_changed(&self, message: &[u8]) {
        // What makes no sense is one of a later version's.
        let Ok(message) = decode_message(message) else { return };
        // What all have is within the limits of the node where it came in.
        let _ = self.retained.put(&Arc::new(message), usize::MAX, usize::MAX);
    }

    /// A topic has no retained message any more.
    pub fn retained_forgotten(&self, topic: &str) {
        let _ = self.retained.put(&Arc::new(Message::new(topic, "")), usize::MAX, usize::MAX);
    }
}
