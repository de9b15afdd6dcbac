//! Sessions that go to another node, and that come from one.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use fanwire_wire::mqtt::QoS;

use super::adopting::Holding;
use super::deliver::{Manner, Publication};
use super::flow::Step;
use super::session::{Arriving, Key, Presence};
use super::{Broker, Fault};
use crate::durable::{Found, RecoveredSession, encode_reached};
use crate::mesh::{Answer, Item, Node, RecordKey, Sent, Target, encode_session};
use crate::notice::{Part, Restored};
use crate::promise::Promise;
use crate::{DisconnectReason, Message, Origin};

/// How long what a session gets that has come from another node may come both ways: from
/// there, and from whoever sent it.
pub(super) const ARRIVING: Duration = Duration::from_secs(30);

/// How long what is published waits for what follows a session that has come from another
/// node. Beyond, it is not held up any more: a node may be out of reach.
pub(super) const FOLLOWING: Duration = Duration::from_secs(2);

/// Messages that are remembered for that, at the most; beyond, some may come twice.
const MAX_ARRIVING: usize = 16_384;

impl Broker {
    /// A client connects at another node: its connection here ends, and its session, unless
    /// that is to begin anew, goes there.
    pub(super) fn claimed(&mut self, client_id: &str, from: Node, number: u64, clean: bool) {
        if self.hold_claim(client_id, (from, number, clean)) {
            return;
        }
        let answer = self.let_go_of(client_id, from, clean);
        if let Some(mesh) = &self.mesh {
            mesh.answer(from, number, answer);
        }
    }

    fn let_go_of(&mut self, client_id: &str, to: Node, clean: bool) -> Answer {
        let Some(&key) = self.by_client.get(client_id) else { return Answer::Nothing };
        self.flush_burst();
        self.take_over(key);
        // The connection's end may have been the session's.
        let Some(&key) = self.by_client.get(client_id) else { return Answer::Nothing };
        if clean {
            self.remove(key);
            return Answer::Nothing;
        }
        if self.sessions[key as usize].moves_to.is_some_and(|at| at != to) {
            // It is where it went, and that node is asked, too.
            return Answer::Nothing;
        }
        // A node that asks again may not have got it: what it has already it does not take twice.
        let (pieces, got) = (self.pieces_of(key), self.got_by(key));
        let session = &mut self.sessions[key as usize];
        session.moves_to = Some(to);
        if let Presence::Away(away) = &mut session.presence
            && let Some((at, _)) = away.will.take()
        {
            self.deadlines.remove(&(at, key));
        }
        Answer::Moves(encode_session(client_id, &pieces, &got))
    }

    /// A session, and what is on its way to it and from it, piece by piece.
    fn pieces_of(&self, key: Key) -> Vec<(RecordKey, Vec<u8>)> {
        let session = &self.sessions[key as usize];
        let mut pieces = vec![(RecordKey::Session, self.stored(session).encode())];
        for id in &session.unreleased {
            pieces.push((RecordKey::Unreleased(*id), Vec::new()));
        }
        let Some(flow) = &session.flow else { return pieces };
        for sent in &flow.in_flight {
            let Some(seq) = sent.seq else { continue };
            if sent.step != Step::Acknowledge {
                let received = sent.step == Step::Complete;
                pieces.push((RecordKey::InFlight(seq), encode_reached(sent.id, received)));
            }
            if let Some(copy) = &sent.copy {
                pieces.push((RecordKey::Queued(seq), copy.entry().encode(None)));
            }
        }
        for queued in &flow.queue {
            if let Some(seq) = queued.seq {
                pieces.push((RecordKey::Queued(seq), queued.entry().encode(None)));
            }
        }
        pieces
    }

    /// Which messages a session brings along: another node may have some of them on their way
    /// to where it goes.
    fn got_by(&self, key: Key) -> HashSet<Origin> {
        let session = &self.sessions[key as usize];
        let mut got = session.arriving.as_ref().map_or_else(HashSet::new, |it| it.got.clone());
        if let Some(flow) = &session.flow {
            let sent = flow.in_flight.iter().filter_map(|sent| sent.copy.as_deref());
            let brought = sent.chain(&flow.queue).filter_map(|queued| queued.message.origin);
            got.extend(brought.take(MAX_ARRIVING));
        }
        got
    }

    /// A session has come from another node, or is one of a node that died.
    pub(super) fn take_in_session(
        &mut self,
        mut recovered: RecoveredSession,
        how: Restored,
        promise: Arc<Promise>,
    ) {
        self.take_part(Part { promises: vec![promise], ..Part::default() });
        let (adopted, got, known) = match how {
            Restored::Adopted(dead) => (Some(dead), Vec::new(), None),
            Restored::Moved { got, known } => (None, got, Some(known)),
        };
        if adopted.is_some() && !self.is_to_be_adopted(&mut recovered) {
            return;
        }
        if let Some(&key) = self.by_client.get(&recovered.client_id) {
            if self.sessions[key as usize].moves_to.is_none() {
                // It has come before: whoever sent it again hears of it no sooner.
                self.keep_session(key);
                return self.once_known(known);
            }
            // It went elsewhere and comes back.
            self.remove(key);
        }
        let client_id = Arc::clone(&recovered.client_id);
        self.restore(recovered);
        let Some(&key) = self.by_client.get(&client_id) else { return };
        let pieces = self.pieces_of(key);
        self.kept(|keeper| {
            // The session itself last: without it, pieces are nothing.
            for (record, value) in pieces.into_iter().rev() {
                keeper.put(&client_id, record, value);
            }
        });
        let until = self.now + ARRIVING;
        self.sessions[key as usize].arriving = Some(Box::new(Arriving {
            until,
            got: got.into_iter().collect(),
            adopted,
            holding: Some(Holding::default()),
        }));
        if adopted.is_none() {
            self.deadlines.insert((self.now + FOLLOWING, key));
        }
        self.once_known(known);
    }

    fn once_known(&self, promise: Option<Arc<Promise>>) {
        if let (Some(promise), Some(mesh)) = (promise, &self.mesh) {
            mesh.once_known(promise);
        }
    }

    /// Whether there is anything of a dead node's session that is to live on. Its client was
    /// connected there at most: its will is due then, in a while where it is delayed.
    fn is_to_be_adopted(&mut self, recovered: &mut RecoveredSession) -> bool {
        let session = &mut recovered.session;
        if session.away_since.is_none()
            && let Some(will) = &mut session.will
        {
            will.due += self.now_ms;
        }
        session.away_since.get_or_insert(self.now_ms);
        let ended = session.ends_at(self.now_ms).is_some_and(|end| end <= self.now_ms);
        let is_here = self.by_client.contains_key(&recovered.client_id);
        if !ended && !is_here {
            return true;
        }
        if let Some(will) = session.will.take() {
            self.publish_will(will.message);
        }
        false
    }

    /// The session of a client that went to a node is kept there, and nothing more can come for
    /// it here.
    pub(super) fn session_arrived(&mut self, client_id: &str, at: Node) {
        if let Some(mesh) = &self.mesh {
            self.output.outgoing.passing.push(mesh.nothing_follows(at, client_id));
        }
        let Some(&key) = self.by_client.get(client_id) else { return };
        let session = &self.sessions[key as usize];
        if session.moves_to == Some(at) && session.live().is_none() {
            self.remove(key);
        }
    }

    /// Whether a session that has come from another node has got a message already.
    pub(super) fn has_got(&mut self, key: Key, origin: Option<Origin>) -> bool {
        let Some(session) = self.sessions.get_mut(key as usize) else { return false };
        let (Some(arriving), Some(origin)) = (&mut session.arriving, origin) else { return false };
        if arriving.until <= self.now && arriving.holding.is_none() {
            session.arriving = None;
            return false;
        }
        if arriving.got.len() >= MAX_ARRIVING {
            arriving.got.clear();
        }
        !arriving.got.insert(origin)
    }

    /// A node has died: what went there and had not arrived stays. That node may have
    /// [forgotten](crate::mesh::SessionRecords::forget_left) here that there is such a session.
    pub(super) fn node_died(&mut self, node: Node) {
        let mut stay = Vec::new();
        for (key, session) in &mut self.sessions {
            if session.moves_to == Some(node) {
                session.moves_to = None;
                // Keys are made of a u32.
                stay.extend(Key::try_from(key));
            }
        }
        stay.into_iter().for_each(|key| self.keep_session(key));
    }

    /// This node was taken for dead: others look after its clients. What it has of them ends
    /// without a word to anybody but themselves.
    pub(super) fn let_go_of_all(&mut self) {
        let keys: Vec<Key> = self.by_client.values().copied().collect();
        for key in keys {
            let fault = Fault {
                reason: fanwire_wire::mqtt::ReasonCode::ServerBusy,
                cause: DisconnectReason::ServerError,
                what: "this node was out of reach for too long; connect again".into(),
            };
            let Some(session) = self.sessions.get_mut(key as usize) else { continue };
            if let Some(live) = session.live_mut() {
                live.will = None;
                self.expel(key, &fault);
            }
            let Some(session) = self.sessions.get_mut(key as usize) else { continue };
            if let Presence::Away(away) = &mut session.presence
                && let Some((at, _)) = away.will.take()
            {
                self.deadlines.remove(&(at, key));
            }
            self.break_held(key);
            self.remove(key);
        }
    }

    /// Sends a message after a session that goes to another node.
    pub(super) fn send_after(
        &mut self,
        key: Key,
        publication: &mut Publication<'_>,
        manner: Manner<'_>,
    ) {
        let session = &self.sessions[key as usize];
        let Some(to) = session.moves_to else { return };
        let client_id = Arc::clone(&session.client_id);
        let message = Arc::clone(publication.keep());
        let entry = manner.entry(&message).encode(Some(0));
        // What is for this session alone has a name of its own.
        let message = match publication.origin {
            Some(_) => message,
            None => Arc::new(Message { origin: None, ..Message::clone(&message) }),
        };
        let Some(message) = self.named(&message) else { return };
        let promise = self.joint_promise();
        let item = Item { message, target: Target::Session { client_id, entry } };
        self.output.outgoing.sent.push((to, Sent { item, promise, none_of: Vec::new() }));
    }

    /// A promise that is part of all that this turn is part of so far.
    pub(super) fn joint_promise(&mut self) -> Option<Arc<Promise>> {
        let far = self.far_promise();
        let mut parts = self.keep.as_ref().map_or_else(Vec::new, super::Keep::owed);
        parts.extend(far);
        let told = move |_, kept: bool| {
            if !kept {
                parts.iter().for_each(|part: &Arc<Promise>| part.break_it());
            }
        };
        Some(Promise::new(0, Arc::new(told)))
    }

    /// A message that was sent after a session which is here now.
    pub(super) fn take_in_for_session(
        &mut self,
        client_id: &str,
        message: &Arc<Message>,
        entry: &[u8],
    ) {
        let (Some(&key), Ok(found)) = (self.by_client.get(client_id), Found::decode(entry)) else {
            return;
        };
        if found.qos > QoS::AtMostOnce {
            let manner = Manner::new(found.qos, found.retain, found.ids.as_deref());
            let mut publication = Publication { was_waited_for: true, ..Publication::of(message) };
            self.deliver_tracked(key, &mut publication, manner);
        }
    }
}
