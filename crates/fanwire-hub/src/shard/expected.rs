//! Connections whose peers may know that they are connected, but whose sockets are not here
//! yet: what is sent to them in between waits.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::{Audience, ConnectionId, Session};

/// What waits for one connection at the most. It is here within the time that a socket takes
/// to change hands.
const MAX_WAITING: usize = 1_024;

/// What is sent to a connection that is not here yet.
pub(super) enum Early<S: Session> {
    Command(S::Command),
    Message(Arc<S::Message>),
}

/// The connections of a shard that are not here yet, by their slots.
pub(crate) struct Expected<S: Session> {
    by_slot: BTreeMap<u32, Waiting<S>>,
}

struct Waiting<S: Session> {
    id: ConnectionId,
    audience: Audience,
    early: Vec<Early<S>>,
}

// === impl Expected ===

impl<S: Session> Expected<S> {
    pub(super) fn add(&mut self, id: ConnectionId, audience: Audience) {
        self.by_slot.insert(id.slot, Waiting { id, audience, early: Vec::new() });
    }

    /// Takes out what waits for a connection that has come, or does not come.
    pub(super) fn take(&mut self, id: ConnectionId) -> Vec<Early<S>> {
        let waiting = self.by_slot.remove(&id.slot).filter(|waiting| waiting.id == id);
        waiting.map(|waiting| waiting.early).unwrap_or_default()
    }

    /// The audience of a connection, where it is expected.
    pub(crate) fn audience(&self, id: ConnectionId) -> Option<Audience> {
        let waiting = self.by_slot.get(&id.slot).filter(|waiting| waiting.id == id);
        waiting.map(|waiting| waiting.audience)
    }

    /// Keeps a command, where its connection is expected and has room. Else it is dropped, as
    /// for a connection that is gone. Says whether it is kept.
    pub(crate) fn command(&mut self, id: ConnectionId, command: S::Command) -> bool {
        let waiting = self.by_slot.get_mut(&id.slot).filter(|waiting| waiting.id == id);
        let Some(waiting) = waiting.filter(|waiting| waiting.early.len() < MAX_WAITING) else {
            return false;
        };
        waiting.early.push(Early::Command(command));
        true
    }

    /// Keeps messages for all of an audience. Says how many connections that is, and which
    /// have no room.
    pub(super) fn broadcast(
        &mut self,
        audience: Audience,
        messages: &[Arc<S::Message>],
    ) -> (usize, Vec<ConnectionId>) {
        let (mut kept, mut full) = (0, Vec::new());
        let of_audience = |waiting: &&mut Waiting<S>| waiting.audience == audience;
        for waiting in self.by_slot.values_mut().filter(of_audience) {
            if waiting.early.len() + messages.len() > MAX_WAITING {
                full.push(waiting.id);
                continue;
            }
            kept += 1;
            waiting
                .early
                .extend(messages.iter().map(|message| Early::Message(Arc::clone(message))));
        }
        (kept, full)
    }
}

impl<S: Session> Default for Expected<S> {
    fn default() -> Self {
        Self { by_slot: BTreeMap::new() }
    }
}
