//! The retained messages of a new subscription (MQTT 5, 3.3.1.3). There may be a million of
//! them: they are sent piece by piece, as the client takes them, and what waits to be sent is
//! a place in the order of the topics rather than messages. It stays with the session, so that
//! a client which comes back is sent the rest; it does not survive the process, nor go to
//! another node with its session.

use std::collections::VecDeque;
use std::sync::Arc;

use fanwire_wire::mqtt::topic::SharedFilter;
use fanwire_wire::mqtt::{QoS, RetainHandling, SubscribeOptions};

use super::{Broker, Key};
use crate::retained::Found;

/// What a session's outbox may have in it before the rest waits for the next turn, in bytes.
const PIECE: usize = 64 * 1024;

/// Topics that are looked at at once.
const AT_ONCE: usize = 64;

/// Topics that a shard looks at in one turn, be it that clients may not receive or take their
/// messages: what costs time though nothing is written.
const MOST_A_TURN: usize = 1024;

/// What one session is yet to be sent.
#[derive(Debug, Default)]
pub(crate) struct Replays {
    /// Each subscription once.
    waiting: VecDeque<Replay>,
    /// It is given more in the next turn.
    scheduled: bool,
}

/// One subscription's retained messages, and how far it has got.
#[derive(Debug)]
struct Replay {
    filter: Arc<str>,
    qos: QoS,
    id: Option<u32>,
    /// The topic that was looked at last.
    after: Option<Arc<str>>,
}

/// Messages of a replay that come next, and how they go out.
struct Next {
    qos: QoS,
    id: Option<u32>,
    found: Found,
}

impl Broker {
    /// Sends the retained messages that a subscription asks for. One that is made again
    /// begins anew.
    pub(super) fn send_retained(
        &mut self,
        key: Key,
        filter: &Arc<str>,
        options: SubscribeOptions,
        new: bool,
        id: Option<u32>,
    ) {
        let wanted = match options.retain_handling {
            RetainHandling::Send => true,
            RetainHandling::SendIfNew => new,
            RetainHandling::DoNotSend => false,
        };
        let by_wildcard = self.settings.limits().retained_on_wildcards;
        let wildcard = filter.contains(['+', '#']);
        let shared = SharedFilter::parse(filter).is_some();
        if !wanted || shared || (wildcard && !by_wildcard) {
            return;
        }
        let replay = Replay { filter: Arc::clone(filter), qos: options.qos, id, after: None };
        self.forget_replay(key, filter);
        let replays = self.sessions[key as usize].replays.get_or_insert_default();
        replays.waiting.push_back(replay);
        self.replay(key);
    }

    /// Sends no more of what a subscription is yet to be sent.
    pub(super) fn forget_replay(&mut self, key: Key, filter: &str) {
        if let Some(replays) = self.replays(key) {
            replays.waiting.retain(|replay| *replay.filter != *filter);
        }
    }

    /// Goes on with the sessions that were given a piece in the turn before.
    pub(super) fn go_on_replaying(&mut self) {
        let mut waiting = std::mem::take(&mut self.replaying).into_iter();
        while self.looked_at < MOST_A_TURN
            && let Some(key) = waiting.next()
        {
            if let Some(replays) = self.replays(key) {
                replays.scheduled = false;
            }
            self.replay(key);
        }
        // Those that got nothing in this turn come first in the next.
        let again = std::mem::take(&mut self.replaying);
        self.replaying = waiting.chain(again).collect();
    }

    /// Sends a session the next piece. The rest follows in the next turn, or once the client
    /// has read, or acknowledged, what it was sent.
    pub(super) fn replay(&mut self, key: Key) {
        while let Some(Next { qos, id, found }) = self.next_of_replay(key) {
            for message in &found.messages {
                if !self.takes_more(key) {
                    return;
                }
                let live = self.sessions[key as usize].live();
                if live.is_some_and(|live| live.may_receive(&message.topic)) {
                    self.deliver_retained(key, message, qos, id);
                }
                self.replayed(key, &message.topic);
            }
            match found.go_on_behind {
                Some(topic) => self.replayed(key, &topic),
                None => self.end_replay(key),
            }
        }
    }

    /// A topic is done with for a session.
    fn replayed(&mut self, key: Key, topic: &Arc<str>) {
        if let Some(replay) = self.replays(key).and_then(|replays| replays.waiting.front_mut()) {
            replay.after = Some(Arc::clone(topic));
        }
    }

    fn replays(&mut self, key: Key) -> Option<&mut Replays> {
        self.sessions.get_mut(key as usize)?.replays.as_deref_mut()
    }

    /// Whether a session takes more in this turn; if it is only for this turn that it does
    /// not, it is given more in the next.
    fn takes_more(&mut self, key: Key) -> bool {
        let Some(session) = self.sessions.get(key as usize) else { return false };
        let Some(live) = session.live() else { return false };
        let waits = session.flow.as_ref().is_some_and(|flow| !flow.queue.is_empty());
        if session.replays.is_none() || live.congested || waits {
            return false;
        }
        let takes = session.outbox.len() < PIECE;
        if !takes {
            self.replay_in_next_turn(key);
        }
        takes
    }

    fn replay_in_next_turn(&mut self, key: Key) {
        let Some(replays) = self.replays(key) else { return };
        if !std::mem::replace(&mut replays.scheduled, true) {
            self.replaying.push(key);
        }
    }

    /// What comes next of what a session is yet to be sent, if it takes any.
    fn next_of_replay(&mut self, key: Key) -> Option<Next> {
        if !self.takes_more(key) {
            return None;
        }
        let (parent, now_ms, full) =
            (self.settings.parent(), self.now_ms, self.looked_at >= MOST_A_TURN);
        let replays = self.sessions.get(key as usize)?.replays.as_ref()?;
        let Replay { filter, qos, id, after } = replays.waiting.front()?;
        if full {
            self.replay_in_next_turn(key);
            return None;
        }
        let found = if filter.contains(['+', '#']) {
            self.looked_at += AT_ONCE;
            self.retained.find_next(filter, parent, after.as_deref(), AT_ONCE, now_ms)
        } else {
            self.looked_at += 1;
            let message = self.retained.get(filter, now_ms).filter(|_| after.is_none());
            Found { messages: message.into_iter().collect(), go_on_behind: None }
        };
        Some(Next { qos: *qos, id: *id, found })
    }

    /// Begins to count anew.
    pub(super) fn end_replaying(&mut self) {
        self.looked_at = 0;
    }

    /// A session has been sent all that its first replay has.
    fn end_replay(&mut self, key: Key) {
        let Some(session) = self.sessions.get_mut(key as usize) else { return };
        let Some(replays) = &mut session.replays else { return };
        replays.waiting.pop_front();
        // One that is scheduled still is found to have nothing left.
        if replays.waiting.is_empty() {
            session.replays = None;
        }
    }
}
