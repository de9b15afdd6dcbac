//! Messages of QoS 1 and 2 that have come, until their exchanges with the broker are over.

use std::collections::BTreeMap;

use fanwire_wire::mqtt::{AckKind, DecodeError, PacketId, QoS, ReasonCode};

use super::{Message, topic};

/// What has come, by packet id.
///
/// A message is acknowledged when it is read, and one of QoS 2 is known by its id until the
/// broker releases that: so it is told once, however often it is sent.
#[derive(Debug, Default)]
pub(super) struct Inbound {
    held: BTreeMap<PacketId, Held>,
    /// Goes on over sessions, so that what was read of an older one is not taken for newer.
    last: u64,
    /// Those that no subscription is there for.
    unclaimed: Vec<(Message, Delivery)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Held {
    /// 1 or 2.
    qos: QoS,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// It has yet to be read.
    Unread(u64),
    /// It was read while there was no connection to say so on.
    Read,
    /// Of QoS 2: it is acknowledged, and its id has yet to be released.
    Acknowledged,
}

/// A message that is to be acknowledged once it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Delivery {
    pub(super) packet_id: PacketId,
    nth: u64,
}

/// What to do with a message that has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arrival {
    /// It is for whoever reads.
    New(Delivery),
    /// It is here already, and has yet to be read.
    Known,
    /// It was read: that is to be said.
    WasRead(AckKind),
}

// === impl Inbound ===

impl Inbound {
    /// A message of QoS 1 or 2 has come.
    ///
    /// # Errors
    ///
    /// Where the broker sends more than `limit` that are not acknowledged (MQTT 5, 3.3.4).
    pub(super) fn arrive(
        &mut self,
        packet_id: PacketId,
        qos: QoS,
        dup: bool,
        limit: usize,
    ) -> Result<Arrival, DecodeError> {
        match self.held.get(&packet_id) {
            // With QoS 2 an id is one message's until it is released (4.3.3).
            Some(held) if held.qos == qos && (dup || qos == QoS::ExactlyOnce) => {
                return Ok(self.arrive_again(packet_id, *held));
            }
            Some(_) => self.unclaimed.retain(|(_, delivery)| delivery.packet_id != packet_id),
            None if self.held.len() >= limit => {
                let what = "more unacknowledged messages than this client takes";
                return Err(DecodeError { reason: ReasonCode::ReceiveMaximumExceeded, what });
            }
            None => {}
        }
        self.last += 1;
        self.held.insert(packet_id, Held { qos, state: State::Unread(self.last) });
        Ok(Arrival::New(Delivery { packet_id, nth: self.last }))
    }

    fn arrive_again(&mut self, packet_id: PacketId, held: Held) -> Arrival {
        match held.state {
            State::Unread(_) => Arrival::Known,
            State::Read | State::Acknowledged => {
                Arrival::WasRead(self.acknowledge(packet_id, held.qos))
            }
        }
    }

    /// A message was read. What is to be said of it now.
    pub(super) fn read(&mut self, delivery: Delivery, connected: bool) -> Option<AckKind> {
        let Delivery { packet_id, nth } = delivery;
        let held = self.held.get_mut(&packet_id)?;
        if held.state != State::Unread(nth) {
            return None;
        }
        if !connected {
            held.state = State::Read;
            return None;
        }
        let qos = held.qos;
        Some(self.acknowledge(packet_id, qos))
    }

    fn acknowledge(&mut self, packet_id: PacketId, qos: QoS) -> AckKind {
        if qos == QoS::ExactlyOnce {
            self.held.insert(packet_id, Held { qos, state: State::Acknowledged });
            return AckKind::PubRec;
        }
        self.held.remove(&packet_id);
        AckKind::PubAck
    }

    /// The broker sends no message under this id any more. Whether it had.
    pub(super) fn release(&mut self, packet_id: PacketId) -> bool {
        self.held.remove(&packet_id).is_some()
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
}
