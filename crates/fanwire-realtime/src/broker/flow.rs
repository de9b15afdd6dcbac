//! Messages of QoS 1 and 2 on their way to a client: those in flight, in the order in
//! which they were sent, and those that wait for a place among them (MQTT 5, 4.3 and 4.9).

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use fanwire_wire::mqtt::{PacketId, QoS};

use crate::Message;
use crate::durable::Entry;

/// What is on its way to one client.
#[derive(Debug, Default)]
pub(crate) struct Flow {
    pub(crate) in_flight: VecDeque<InFlight>,
    /// How many of them wait to be sent again.
    pub(crate) waiting: usize,
    pub(crate) queue: VecDeque<Queued>,
    /// What the messages of the queue take, in bytes.
    pub(crate) queued_bytes: usize,
    pub(crate) last_id: u16,
    /// A message has been in flight for a whole round of ids, so that those in use are in no
    /// order any more.
    pub(crate) lapped: bool,
    /// When the queue was last looked through for what has expired, for want of room.
    pub(crate) looked_through: Option<Instant>,
    /// Names what is kept of this session, in order.
    pub(crate) next_seq: u64,
}

/// A message that was sent and is not acknowledged.
#[derive(Debug, Clone)]
pub(crate) struct InFlight {
    pub(crate) id: PacketId,
    pub(crate) step: Step,
    /// It was sent on an earlier connection, and waits to be sent again on this one.
    pub(crate) waits: bool,
    /// Under which it is kept, where it is.
    pub(crate) seq: Option<u64>,
    /// To be sent again to a session that is resumed. `None` for one that never is.
    pub(crate) copy: Option<Box<Queued>>,
}

/// What the client has yet to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// PUBACK.
    Acknowledge,
    /// PUBREC.
    Receive,
    /// PUBCOMP.
    Complete,
}

/// A message for one client.
#[derive(Debug, Clone)]
pub(crate) struct Queued {
    pub(crate) message: Arc<Message>,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
    pub(crate) ids: Ids,
    /// Under which it is kept, where it is.
    pub(crate) seq: Option<u64>,
}

/// The identifiers of the subscriptions that a message matched.
pub(crate) type Ids = Option<Box<[u32]>>;

// === impl Step ===

impl Step {
    pub(crate) fn first(qos: QoS) -> Self {
        if qos == QoS::ExactlyOnce { Self::Receive } else { Self::Acknowledge }
    }
}

// === impl Queued ===

impl Queued {
    /// What of it is kept.
    pub(crate) fn entry(&self) -> Entry<'_> {
        Entry {
            message: &self.message,
            qos: self.qos,
            retain: self.retain,
            ids: self.ids.as_deref(),
        }
    }
}

// === impl Flow ===

impl Flow {
    /// A packet id that is not in use. There always is one: fewer are in flight than there
    /// are ids. Ids are given round and round, so what is in flight has them in that order,
    /// and the next can only meet the oldest; once it has, all are looked at.
    pub(crate) fn take_id(&mut self) -> PacketId {
        self.lapped &= !self.in_flight.is_empty();
        loop {
            self.last_id = self.last_id.wrapping_add(1);
            let Some(id) = PacketId::new(self.last_id) else { continue };
            self.lapped |= self.in_flight.front().is_some_and(|oldest| oldest.id == id);
            if !self.lapped || self.find(id).is_none() {
                return id;
            }
        }
    }

    /// Finds what was sent under an id. Clients mostly acknowledge in order, so it is
    /// mostly the first.
    pub(crate) fn find(&self, id: PacketId) -> Option<usize> {
        self.in_flight.iter().position(|sent| sent.id == id)
    }

    /// How many messages the client has been sent and has not acknowledged, on its connection.
    pub(crate) fn sent(&self) -> usize {
        self.in_flight.len() - self.waiting
    }

    /// Takes out what is in flight at a place.
    pub(crate) fn take(&mut self, at: usize) -> Option<InFlight> {
        self.no_longer_waits(at);
        self.in_flight.remove(at)
    }

    /// What is in flight at a place has been sent again, or need not be.
    pub(crate) fn no_longer_waits(&mut self, at: usize) {
        let sent = self.in_flight.get_mut(at);
        if sent.is_some_and(|sent| std::mem::take(&mut sent.waits)) {
            self.waiting -= 1;
        }
    }

    /// What the copies of messages in flight take, in bytes.
    pub(crate) fn in_flight_bytes(&self) -> usize {
        self.in_flight
            .iter()
            .filter_map(|sent| sent.copy.as_ref())
            .map(|it| it.message.cost())
            .sum()
    }

    /// The next that waits to be sent again.
    pub(crate) fn next_waiting(&self) -> Option<usize> {
        if self.waiting == 0 {
            return None;
        }
        self.in_flight.iter().position(|sent| sent.waits)
    }

    /// Puts a message at the end of the queue.
    pub(crate) fn enqueue(&mut self, queued: Queued) {
        self.queued_bytes += queued.message.cost();
        self.queue.push_back(queued);
    }

    /// Takes the message at the front of the queue.
    pub(crate) fn dequeue(&mut self) -> Option<Queued> {
        let queued = self.queue.pop_front()?;
        self.queued_bytes -= queued.message.cost();
        Some(queued)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.in_flight.is_empty() && self.queue.is_empty()
    }

    /// The number for the next thing that is kept.
    pub(crate) fn take_seq(&mut self) -> u64 {
        self.next_seq += 1;
        self.next_seq
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_in_use_is_not_given_again() {
        let mut flow = Flow::default();
        let first = flow.take_id();
        flow.in_flight.push_back(InFlight {
            id: first,
            step: Step::Acknowledge,
            waits: false,
            seq: None,
            copy: None,
        });
        flow.last_id = u16::MAX;
        assert_eq!(flow.take_id().get(), 2);
    }

    #[test]
    fn ids_of_messages_that_are_never_acknowledged_are_passed_over_in_every_round() {
        let mut flow = Flow { last_id: 64_999, ..Flow::default() };
        let send = |flow: &mut Flow| {
            let id = flow.take_id();
            assert_eq!(flow.find(id), None, "{id} is in use");
            flow.in_flight.push_back(InFlight {
                id,
                step: Step::Acknowledge,
                waits: false,
                seq: None,
                copy: None,
            });
        };
        // 65,000 and 3 stay; the others are acknowledged at once.
        for _ in 0..200_000 {
            send(&mut flow);
            flow.in_flight.retain(|sent| [65_000, 3].contains(&sent.id.get()));
        }
        assert_eq!(flow.in_flight.len(), 2);
    }
}
