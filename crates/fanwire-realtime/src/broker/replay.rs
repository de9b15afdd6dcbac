//! The retained messages of a new subscription (MQTT 5, 3.3.1.3). There may be a million of
//! them: they are sent piece by piece, as the client takes them, and what waits to be sent is
//! a place in the order of the topics rather than messages.

use std::collections::VecDeque;
use std::sync::Arc;

use fanwire_wire::mqtt::topic::SharedFilter;
use fanwire_wire::mqtt::{QoS, RetainHandling, SubscribeOptions};

use super::session::{Presence, Session};
use super::{Broker, Key};
use crate::Message;

/// What a session's outbox may have in it before the rest waits for the next turn, in bytes.
const PIECE: usize = 64 * 1024;

/// Messages that are looked up at once.
const LOOKED_UP: usize = 64;

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
    /// The topic of the message that was sent last.
    after: Option<Arc<str>>,
}

/// Messages of a replay that come next, and how they go out.
struct Next {
    qos: QoS,
    id: Option<u32>,
    messages: Vec<Arc<Message>>,
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
        if let Some(live) = self.sessions[key as usize].live_mut() {
            live.replays.get_or_insert_default().waiting.push_back(replay);
        }
        self.replay(key);
    }

    /// Sends no more of what a subscription is yet to be sent.
    pub(super) fn forget_replay(&mut self, key: Key, filter: &str) {
        let live = self.sessions.get_mut(key as usize).and_then(Session::live_mut);
        let Some(live) = live else { return };
        if let Some(replays) = &mut live.replays {
            replays.waiting.retain(|replay| *replay.filter != *filter);
        }
    }

    /// Goes on with the sessions that were given a piece in the turn before.
    pub(super) fn go_on_replaying(&mut self) {
        for key in std::mem::take(&mut self.replaying) {
            let live = self.sessions.get_mut(key as usize).and_then(Session::live_mut);
            if let Some(replays) = live.and_then(|live| live.replays.as_mut()) {
                replays.scheduled = false;
            }
            self.replay(key);
        }
    }

    /// Sends a session the next piece. The rest follows in the next turn, or once the client
    /// has read, or acknowledged, what it was sent.
    pub(super) fn replay(&mut self, key: Key) {
        while let Some(Next { qos, id, messages }) = self.next_of_replay(key) {
            for message in &messages {
                if !self.takes_more(key) {
                    return;
                }
                let live = self.sessions[key as usize].live();
                if live.is_some_and(|live| live.may_receive(&message.topic)) {
                    self.deliver_retained(key, message, qos, id);
                }
                self.replayed(key, &message.topic);
            }
            if messages.len() < LOOKED_UP {
                self.end_replay(key);
            }
        }
    }

    /// A session has been sent the message of a topic.
    fn replayed(&mut self, key: Key, topic: &Arc<str>) {
        let live = self.sessions.get_mut(key as usize).and_then(Session::live_mut);
        let replays = live.and_then(|live| live.replays.as_mut());
        if let Some(replay) = replays.and_then(|replays| replays.waiting.front_mut()) {
            replay.after = Some(Arc::clone(topic));
        }
    }

    /// Whether a session takes more in this turn; if it is only for this turn that it does
    /// not, it is given more in the next.
    fn takes_more(&mut self, key: Key) -> bool {
        let Some(session) = self.sessions.get_mut(key as usize) else { return false };
        let Presence::Here(live) = &mut session.presence else { return false };
        let Some(replays) = &mut live.replays else { return false };
        let waits = session.flow.as_ref().is_some_and(|flow| !flow.queue.is_empty());
        if live.congested || waits {
            return false;
        }
        if session.outbox.len() < PIECE {
            return true;
        }
        if !std::mem::replace(&mut replays.scheduled, true) {
            self.replaying.push(key);
        }
        false
    }

    /// The messages that come next of what a session is yet to be sent, if it takes any.
    fn next_of_replay(&mut self, key: Key) -> Option<Next> {
        if !self.takes_more(key) {
            return None;
        }
        let live = self.sessions.get(key as usize)?.live()?;
        let Replay { filter, qos, id, after } = live.replays.as_ref()?.waiting.front()?;
        let messages = if filter.contains(['+', '#']) {
            let parent = self.settings.parent();
            self.retained.find(filter, parent, after.as_deref(), LOOKED_UP, self.now_ms)
        } else if after.is_none() {
            self.retained.get(filter, self.now_ms).into_iter().collect()
        } else {
            Vec::new()
        };
        Some(Next { qos: *qos, id: *id, messages })
    }

    /// A session has been sent all that its first replay has.
    fn end_replay(&mut self, key: Key) {
        let Some(live) = self.sessions.get_mut(key as usize).and_then(Session::live_mut) else {
            return;
        };
        let Some(replays) = &mut live.replays else { return };
        replays.waiting.pop_front();
        // One that is scheduled still is found to have nothing left.
        if replays.waiting.is_empty() {
            live.replays = None;
        }
    }
}
