//! Sessions that come from another node, or from one that died, until all that was on its way
//! to them there has come.
//!
//! Others keep what they have for a dead node until another has its sessions, and send it
//! then; what comes for a session that has moved is sent after it by its old node. From when a
//! session is there, its node hears of the same topics, too: what is published now may come
//! before what was published then. It is held until nothing more can come the other way, and
//! what comes both ways is known by its origin.

use std::sync::Arc;
use std::time::Instant;

use super::deliver::{Manner, Publication};
use super::flow::Queued;
use super::moving::{ARRIVING, FOLLOWING};
use super::session::{Arriving, Key};
use super::{Broker, Keep};
use crate::mesh::Node;
use crate::notice::Part;
use crate::promise::Promise;

/// What a session has to wait with.
#[derive(Debug, Default)]
pub(crate) struct Holding {
    messages: Vec<Held>,
    bytes: usize,
    /// Nodes that its client connects at meanwhile: who asks, under which number, and whether
    /// the session ends.
    claims: Vec<(Node, u64, bool)>,
}

/// A message that waits, and what it is part of: none of it is acknowledged meanwhile.
#[derive(Debug)]
struct Held {
    copy: Queued,
    promises: Vec<Arc<Promise>>,
}

impl Broker {
    /// Has a message wait where its session waits for older ones. Says whether it does. Beyond
    /// what may wait for a session at all, messages come at once, and may come too early.
    pub(super) fn holds_for_later(
        &mut self,
        key: Key,
        publication: &mut Publication<'_>,
        manner: Manner<'_>,
    ) -> bool {
        // What comes to this session alone is not in the order of what others get, too.
        if publication.was_waited_for || publication.origin.is_none() {
            return false;
        }
        let (bytes, messages) = {
            let limits = self.settings.limits();
            (limits.max_queued_bytes, limits.max_queued_messages)
        };
        let Some(holding) = self.holding(key) else { return false };
        let copy = manner.copy(publication);
        let cost = copy.message.cost();
        if holding.bytes + cost > bytes || holding.messages.len() >= messages {
            return false;
        }
        let promises = self.joint_parts();
        let Some(holding) = self.holding(key) else { return false };
        holding.bytes += cost;
        holding.messages.push(Held { copy, promises });
        true
    }

    /// Has a node that a session's client connects at wait where the session waits for what
    /// was on its way to it. Says whether it does.
    pub(super) fn hold_claim(&mut self, client_id: &str, claim: (Node, u64, bool)) -> bool {
        let Some(&key) = self.by_client.get(client_id) else { return false };
        let Some(holding) = self.holding(key) else { return false };
        holding.claims.push(claim);
        true
    }

    /// Nothing comes any more of what was on its way to a node that died.
    pub(super) fn adoption_ended(&mut self, dead: Node) {
        let of_dead = |arriving: &Arriving| arriving.adopted == Some(dead);
        let waiting = self.sessions.iter().filter_map(|(key, session)| {
            // Keys are made of a u32.
            let key = Key::try_from(key).ok()?;
            session.arriving.as_deref().filter(|arriving| of_dead(arriving)).map(|_| key)
        });
        for key in waiting.collect::<Vec<_>>() {
            self.release_held(key);
        }
    }

    /// Nothing comes any more of what came for a session where it was before.
    pub(super) fn all_has_followed(&mut self, client_id: &str) {
        let Some(&key) = self.by_client.get(client_id) else { return };
        if self.is_followed(key) {
            self.release_held(key);
        }
    }

    /// What waits for something that does not come waits no longer.
    pub(super) fn hold_no_longer(&mut self, key: Key, at: Instant) {
        let arriving = self.sessions.get(key as usize).and_then(|it| it.arriving.as_ref());
        let is_due = arriving.is_some_and(|it| it.until <= at + ARRIVING - FOLLOWING);
        if is_due && self.is_followed(key) {
            self.release_held(key);
        }
    }

    /// Whether a session has come from a node that lives, and sends on what comes for it.
    fn is_followed(&self, key: Key) -> bool {
        let arriving = self.sessions.get(key as usize).and_then(|it| it.arriving.as_ref());
        arriving.is_some_and(|it| it.adopted.is_none() && it.holding.is_some())
    }

    fn release_held(&mut self, key: Key) {
        let Some(session) = self.sessions.get_mut(key as usize) else { return };
        let client_id = Arc::clone(&session.client_id);
        let holding = session.arriving.as_mut().and_then(|arriving| arriving.holding.take());
        let Some(Holding { messages, claims, .. }) = holding else { return };
        self.flush_burst();
        for Held { copy, promises } in messages {
            self.take_part(Part { promises, ..Part::default() });
            let manner = Manner::new(copy.qos, copy.retain, copy.ids.as_deref());
            self.counting_own_bytes(key, |broker| {
                broker.deliver_tracked(key, &mut Publication::of(&copy.message), manner);
            });
        }
        for (from, number, clean) in claims {
            self.claimed(&client_id, from, number, clean);
        }
    }

    /// Others look after a session now: what waits for it is not kept here.
    pub(super) fn break_held(&mut self, key: Key) {
        let Some(holding) = self.holding(key) else { return };
        let promises = holding.messages.iter().flat_map(|held| &held.promises);
        promises.for_each(|promise| promise.break_it());
    }

    fn holding(&mut self, key: Key) -> Option<&mut Holding> {
        self.sessions.get_mut(key as usize)?.arriving.as_mut()?.holding.as_mut()
    }

    /// All that what is acted on is part of: of other shards and nodes, and of this turn.
    fn joint_parts(&mut self) -> Vec<Arc<Promise>> {
        let mut parts = self.keep.as_ref().map_or_else(Vec::new, Keep::owed);
        parts.extend(self.promise());
        parts
    }
}
