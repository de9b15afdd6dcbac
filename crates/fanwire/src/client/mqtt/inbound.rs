//! Messages of QoS 1 that have come and are not acknowledged.

use std::collections::BTreeMap;

use fanwire_wire::mqtt::PacketId;

/// What has come, by packet id. As many as the client's receive maximum, for the broker may
/// not send more.
#[derive(Debug, Default)]
pub(super) struct Inbound {
    held: BTreeMap<PacketId, State>,
    /// Goes on over sessions, so that what was read of an older one is not taken for newer.
    last: u64,
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
    pub(super) fn arrive(&mut self, packet_id: PacketId, dup: bool) -> Option<Delivery> {
        if dup && self.held.contains_key(&packet_id) {
            return None;
        }
        self.last += 1;
        self.held.insert(packet_id, State::Held(self.last));
        Some(Delivery { packet_id, nth: self.last })
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
