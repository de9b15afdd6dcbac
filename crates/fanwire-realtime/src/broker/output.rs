//! What a turn of the broker leads to outside of it.

use std::sync::Arc;

use bytes::Bytes;
use fanwire_hub::ConnectionId;
use fanwire_wire::ws;

use super::session::{Form, Session};
use super::{Broker, Key};
use crate::Message;
use crate::durable::Transit;
use crate::mesh::Outgoing;
use crate::notice::{Notice, Part};
use crate::promise::Promise;

/// What is to be done once a turn is over. Emptied by whoever does it.
#[derive(Debug, Default)]
pub(crate) struct Output {
    /// In this order.
    pub(crate) sendings: Vec<Sending>,
    /// After the sendings.
    pub(crate) closings: Vec<ConnectionId>,
    /// For other shards: which, what, and how many bytes it carries.
    pub(crate) notices: Vec<(usize, Notice, usize)>,
    /// For other nodes.
    pub(crate) outgoing: Outgoing,
}

// === impl Output ===

impl Output {
    pub(super) fn is_empty(&self) -> bool {
        self.sendings.is_empty()
            && self.closings.is_empty()
            && self.notices.is_empty()
            && self.outgoing.is_empty()
    }

    /// What nobody is told of any more is not kept.
    pub(super) fn break_promises(&self) {
        self.notices.iter().for_each(|(_, notice, _)| notice.break_promises());
        self.outgoing.sent.iter().for_each(|(_, sent)| sent.break_promise());
    }

    /// Has another shard deliver a message to its sessions that have come from a node that died.
    pub(super) fn forward_to_adopted(
        &mut self,
        shard: usize,
        message: &Arc<Message>,
        promise: Option<&Arc<Promise>>,
    ) {
        let part = Part { promises: promise.cloned().into_iter().collect(), ..Part::default() };
        let notice = Notice::ForAdopted(Arc::clone(message), part);
        self.notices.push((shard, notice, message.cost()));
    }

    /// Has a message delivered to the subscribers of another shard. Those of one turn go
    /// together.
    pub(super) fn forward(
        &mut self,
        shard: usize,
        message: &Arc<Message>,
        promise: Option<&Arc<Promise>>,
        transit: Option<Transit>,
    ) {
        let bytes = message.cost();
        let last = self.notices.iter_mut().rev().find(|(to, ..)| *to == shard);
        if let Some((_, Notice::Forwarded(messages, part), total)) = last {
            messages.push(Arc::clone(message));
            // Nearly all of a turn have the same.
            let known = |promise: &&Arc<Promise>| {
                !part.promises.last().is_some_and(|last| Arc::ptr_eq(last, promise))
            };
            part.promises.extend(promise.filter(known).cloned());
            part.transits.extend(transit);
            *total += bytes;
        } else {
            let transits = transit.into_iter().collect();
            let part = Part { promises: promise.cloned().into_iter().collect(), transits };
            self.notices.push((shard, Notice::Forwarded(vec![Arc::clone(message)], part), bytes));
        }
    }
}

/// Bytes for a connection.
#[derive(Debug)]
pub(crate) struct Sending {
    pub(crate) key: Key,
    pub(crate) link: ConnectionId,
    pub(crate) bytes: Bytes,
}

impl Broker {
    /// Hands the small packets that a session has collected to its connection.
    pub(super) fn flush_outbox(&mut self, key: Key) {
        let Some(session) = self.sessions.get_mut(key as usize) else { return };
        let outbox = std::mem::take(&mut session.outbox);
        let Some(live) = session.live_mut() else { return };
        live.dirty = false;
        if outbox.is_empty() {
            return;
        }
        let bytes = framed(outbox, live.form);
        let link = live.link;
        self.output.sendings.push(Sending { key, link, bytes });
    }

    /// Appends to what a session is sent in this turn.
    pub(super) fn write(&mut self, key: Key, f: impl FnOnce(&mut Vec<u8>, &Session)) {
        let Some(session) = self.sessions.get_mut(key as usize) else { return };
        let mut outbox = std::mem::take(&mut session.outbox);
        f(&mut outbox, session);
        session.outbox = outbox;
        self.mark(key);
    }
}

/// Packets as a connection takes them.
fn framed(packets: Vec<u8>, form: Form) -> Bytes {
    if form.websocket { ws::encode(ws::Opcode::Binary, &packets) } else { Bytes::from(packets) }
}
