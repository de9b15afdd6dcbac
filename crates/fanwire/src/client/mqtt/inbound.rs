//! Messages of QoS 1 that have come and are not acknowledged.

use std::collections::BTreeMap;

use fanwire_wire::mqtt::{DecodeError, PacketId, ReasonCode};

use super::{Message, topic};

/// What has come, by packet id.
#[derive(Debug, Default)]
pub(super) struct Inbound {
    held: BTreeMap<PacketId, State>,
    /// Goes on over sessions, so that what was read of an older one is not taken for newer.
    last: u64,
    /// Those that no subscription is there for.
    unclaimed: Vec<(Message, Delivery)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// It has yet to be read.
    Held(u64),
    /// It was read while there was no connection to say so on.
    Read,
}

/// A message that is to be acknowledged once it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Delivery {
    pub(super) packet_id: PacketId,
    nth: u64,
}

// === impl Inbound ===

impl Inbound {
    /// A message has come. `None`: it had come before, and is here already.
    ///
    /// # Errors
    ///
    /// Where the broker sends more than `limit` that are not acknowledged (MQTT 5, 3.3.4).
    pub(super) fn arrive(
        &mut self,
        packet_id: PacketId,
        dup: bool,
        limit: usize,
    ) -> Result<Option<Delivery>, DecodeError> {
        if self.held.contains_key(&packet_id) {
            if dup {
                return Ok(None);
            }
            self.unclaimed.retain(|(_, delivery)| delivery.packet_id != packet_id);
        } else if self.held.len() >= limit {
            let what = "more unacknowledged messages than this client takes";
            return Err(DecodeError { reason: ReasonCode::ReceiveMaximumExceeded, what });
        }
        self.last += 1;
        self.held.insert(packet_id, State::Held(self.last));
        Ok(Some(Delivery { packet_id, nth: self.last }))
    }

    /// A message was read. Whether that is to be said now.
    pub(super) fn read(&mut self, delivery: Delivery, connected: bool) -> bool {
        let Delivery { packet_id, nth } = delivery;
        if self.held.get(&packet_id) != Some(&State::Held(nth)) {
            return false;
        }
        if connected {
            self.held.remove(&packet_id);
        } else {
            self.held.insert(packet_id, State::Read);
        }
        connected
    }

    /// The broker has no session: what it sent is nothing to it any more.
    pub(super) fn forget_all(&mut self) {
        self.held.clear();
        self.unclaimed.clear();
    }

    /// Keeps a message until somebody subscribes to it.
    pub(super) fn keep(&mut self, message: Message, delivery: Delivery) {
        self.unclaimed.push((message, delivery));
    }

    /// What was kept for a filter.
    pub(super) fn claim(&mut self, filter: &str) -> Vec<(Message, Delivery)> {
        self.unclaimed
            .extract_if(.., |(message, _)| topic::matches(filter, &message.topic))
            .collect()
    }

    /// Whether a message that comes again was read: then it is to be acknowledged.
    pub(super) fn forget_if_read(&mut self, packet_id: PacketId) -> bool {
        let read = self.held.get(&packet_id) == Some(&State::Read);
        if read {
            self.held.remove(&packet_id);
        }
        read
    }
}
