//! What has to survive the process, and the acknowledgements that wait until it does.
//!
//! Everything that a turn changes in retained messages and in sessions that outlive their
//! connections is committed together at the turn's end. What the turn would acknowledge
//! waits for that commit, and for those of other shards that have a part in it: all of them
//! hold the turn's promise.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use fanwire_hub::ConnectionId;
use fanwire_wire::mqtt::ReasonCode;
use tokio::sync::oneshot;

use super::session::{Key, PendingAck, Presence, Session};
use super::{Broker, Fault};
use crate::durable::{
    Destination, Entry, Keeper, StoredSession, StoredSubscription, StoredWill, Transit,
};
use crate::notice::{Notice, Part};
use crate::promise::{Promise, Told};
use crate::retained::Kept;
use crate::{DisconnectReason, Message, RealtimeEvent};

/// How long a commit that the store had no room for waits to be tried again.
const AGAIN: Duration = Duration::from_millis(10);

/// A shard's part in what is kept.
pub(crate) struct Keep {
    pub(super) keeper: Keeper,
    told: Told,
    /// The last that was given.
    last_ticket: u64,
    /// Of the promise of this turn, where there is one.
    ticket: u64,
    promise: Option<Arc<Promise>>,
    /// Promises, our own and others', that this turn's changes are part of.
    owed: Vec<Arc<Promise>>,
    /// From where on those are what is being acted on is part of.
    acting_from: usize,
    /// Tickets of ours that are not kept yet.
    outstanding: BTreeSet<u64>,
    /// Who waits for them: connections, and callers in this process.
    connections: BTreeMap<u64, Vec<(Key, ConnectionId)>>,
    callers: BTreeMap<u64, Vec<Caller>>,
    /// When to try a commit again.
    again: Option<Instant>,
    /// What was retained in this turn, where other shards may have retained something else.
    retained: Vec<Arc<Message>>,
    /// Something of this turn is handed over to another shard.
    hands_over: bool,
    /// What other shards are told once that is committed.
    held_back: Vec<(usize, Notice, usize)>,
    pub(super) far: Far,
}

/// Somebody in this process who waits until something is kept here, and by other nodes.
#[derive(Debug)]
struct Caller {
    ticket: Option<u64>,
    far: Option<u64>,
    done: oneshot::Sender<bool>,
}

/// What other nodes of a cluster have to do with what is acknowledged here.
#[derive(Default)]
pub(super) struct Far {
    /// Tickets of promises that other nodes have a part in, and are not kept yet.
    outstanding: BTreeMap<u64, (Instant, Patience)>,
    /// When they are given up.
    due: BTreeSet<(Instant, u64)>,
    /// What the answer to the packet that is being acted on has to wait for.
    pub(super) current: Option<u64>,
    /// The promise of the messages that one client has published in this turn.
    pub(super) shared: Option<(Key, u64, Arc<Promise>)>,
}

/// What becomes of a promise that other nodes do not keep in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    /// It is broken: nobody may rely on what it stands for.
    Breaks,
    /// It is taken for kept: what it stands for is as good as it gets.
    Yields,
}

// === impl Keep ===

impl Keep {
    pub(crate) fn new(keeper: Keeper, told: Told) -> Self {
        Self {
            keeper,
            told,
            last_ticket: 0,
            ticket: 0,
            promise: None,
            owed: Vec::new(),
            acting_from: 0,
            outstanding: BTreeSet::new(),
            connections: BTreeMap::new(),
            callers: BTreeMap::new(),
            again: None,
            retained: Vec::new(),
            hands_over: false,
            held_back: Vec::new(),
            far: Far::default(),
        }
    }

    /// A promise that other nodes have a part in: it is told of by `until` at the latest.
    pub(super) fn far_promise(
        &mut self,
        until: Instant,
        patience: Patience,
    ) -> (u64, Arc<Promise>) {
        self.last_ticket += 1;
        let ticket = self.last_ticket;
        self.far.outstanding.insert(ticket, (until, patience));
        self.far.due.insert((until, ticket));
        (ticket, Promise::new(ticket, Arc::clone(&self.told)))
    }

    /// Has what others have retained in the place of this turn's messages written in their
    /// place, too: theirs may have been committed before.
    fn retain_newer(&mut self, current: &Kept) {
        for message in &self.retained {
            let now = current.get(&message.topic);
            let newer = match now {
                Some(now) => !Arc::ptr_eq(now, message),
                None => !message.payload.is_empty(),
            };
            if newer {
                self.keeper.retain(&message.topic, now.map(|now| &**now));
            }
        }
    }

    /// Other shards are told of nothing before what is handed over to them is committed: they
    /// would commit first that they have it.
    fn hold_back(&mut self, notices: &mut Vec<(usize, Notice, usize)>) {
        if self.hands_over {
            self.held_back.append(notices);
        } else if !self.held_back.is_empty() {
            self.held_back.append(notices);
            std::mem::swap(&mut self.held_back, notices);
        }
    }

    /// What comes next is not part of what this turn was part of so far.
    pub(super) fn act_on_next(&mut self) {
        self.acting_from = self.owed.len();
    }

    /// What that which is being acted on is part of.
    pub(super) fn owed(&self) -> Vec<Arc<Promise>> {
        self.owed.get(self.acting_from..).unwrap_or_default().to_vec()
    }

    fn is_outstanding(&self, ticket: u64) -> bool {
        self.outstanding.contains(&ticket) || self.far.outstanding.contains_key(&ticket)
    }

    fn wait(&mut self, caller: Caller) {
        if let Some(ticket) = caller.ticket.or(caller.far) {
            self.callers.entry(ticket).or_default().push(caller);
        }
    }

    /// What a caller has waited for is kept, or not: it may have to wait for more.
    fn tell(&mut self, mut caller: Caller, ticket: u64, kept: bool) {
        caller.ticket = caller.ticket.filter(|waits| *waits != ticket);
        caller.far = caller.far.filter(|waits| *waits != ticket && self.is_outstanding(*waits));
        if kept && (caller.ticket.is_some() || caller.far.is_some()) {
            self.wait(caller);
        } else {
            // Where nobody waits any more, nobody has to be told.
            let _ = caller.done.send(kept);
        }
    }

    /// What is not on its way to be kept is not.
    fn break_uncommitted(&mut self) {
        if !self.keeper.is_empty() {
            self.owed.iter().chain(&self.promise).for_each(|promise| promise.break_it());
        }
        self.held_back.iter().for_each(|(_, notice, _)| notice.break_promises());
    }

    /// This turn's promise.
    fn promise(&mut self) -> &Arc<Promise> {
        self.promise.get_or_insert_with(|| {
            self.last_ticket += 1;
            self.ticket = self.last_ticket;
            self.outstanding.insert(self.ticket);
            Promise::new(self.ticket, Arc::clone(&self.told))
        })
    }
}

impl Broker {
    /// Whether what becomes of a session is kept.
    pub(super) fn keeps(&self, session: &Session) -> bool {
        self.keep.is_some() && session.persists()
    }

    /// Changes what is kept, if anything is.
    pub(super) fn kept(&mut self, change: impl FnOnce(&mut Keeper)) {
        if let Some(keep) = &mut self.keep {
            change(&mut keep.keeper);
        }
    }

    /// Whether there is no room on the disk for more.
    pub(super) fn disk_is_full(&self) -> bool {
        self.keep.as_ref().is_some_and(|keep| keep.keeper.is_full())
    }

    /// This turn's promise, for another shard that has a part in what is acknowledged.
    pub(super) fn promise(&mut self) -> Option<Arc<Promise>> {
        self.keep.as_mut().map(|keep| Arc::clone(keep.promise()))
    }

    /// Keeps what another shard is about to be handed, until that has kept its part: for all
    /// its sessions that subscribe to the topic, or for one.
    pub(super) fn hand_over(
        &mut self,
        shard: usize,
        client_id: Option<&str>,
        entry: &Entry<'_>,
    ) -> Option<Transit> {
        let keep = self.keep.as_mut()?;
        keep.hands_over = true;
        // A hub has at most 256 shards.
        let shard = u8::try_from(shard).unwrap_or(u8::MAX);
        let to = Destination { shard, shards: self.shards, client_id };
        keep.keeper.hand_over(&to, entry)
    }

    /// What this turn changes is part of another shard's promise, or handed over by it.
    pub(super) fn take_part(&mut self, part: Part) {
        let Some(keep) = &mut self.keep else { return };
        keep.owed.extend(part.promises);
        part.transits.iter().for_each(|transit| keep.keeper.take_over(transit));
    }

    /// Keeps what has been retained, or forgotten, in memory.
    pub(super) fn keep_retained(&mut self, message: &Arc<Message>) {
        let Some(keep) = self.keep.as_mut().filter(|keep| keep.keeper.hands_over()) else { return };
        let kept = Some(&**message).filter(|message| !message.payload.is_empty());
        keep.keeper.retain(&message.topic, kept);
        if self.shards > 1 {
            keep.retained.push(Arc::clone(message));
        }
    }

    /// The ticket that an acknowledgement of this turn has to wait for, if any.
    fn ticket(&mut self) -> Option<u64> {
        let keep = self.keep.as_mut()?;
        if keep.promise.is_none() && keep.keeper.is_empty() {
            return None;
        }
        keep.promise();
        Some(keep.ticket)
    }

    /// The ticket of what other nodes have to do with the packet that is being acted on.
    fn far_ticket(&mut self) -> Option<u64> {
        let far = &mut self.keep.as_mut()?.far;
        far.current.take().filter(|ticket| far.outstanding.contains_key(ticket))
    }

    /// The next time at which a promise that other nodes have a part in is given up.
    pub(super) fn far_due(&self) -> Option<Instant> {
        self.keep.as_ref()?.far.due.first().map(|(at, _)| *at)
    }

    /// Gives up what other nodes have not kept in time.
    pub(super) fn give_up_far(&mut self) {
        while let Some(keep) = &mut self.keep
            && let Some(&(at, ticket)) = keep.far.due.first()
            && at <= self.now
        {
            keep.far.due.pop_first();
            let patience = keep.far.outstanding.get(&ticket).copied();
            if let Some((_, patience)) = patience {
                self.promise_kept(ticket, patience == Patience::Yields);
            }
        }
    }

    /// Writes an acknowledgement to a client: now, or once what it stands for, and what was
    /// to be acknowledged before, is kept.
    pub(super) fn answer(&mut self, key: Key, packet: &[u8]) {
        let (ticket, far) = (self.ticket(), self.far_ticket());
        self.write_after(ticket, far, key, packet);
    }

    /// The same for what is acknowledged of an exchange of QoS 2: where the session is kept,
    /// it may repeat what an earlier turn has left to be kept, on a connection that is gone.
    pub(super) fn answer_exchange(&mut self, key: Key, packet: &[u8]) {
        let kept = self.sessions.get(key as usize).is_some_and(|session| self.keeps(session));
        if kept {
            let (ticket, far) = (self.kept_ticket(), self.far_ticket());
            let last = |keep: &Keep| keep.far.outstanding.last_key_value().map(|(last, _)| *last);
            let far = far.or_else(|| self.keep.as_ref().and_then(last));
            self.write_after(ticket, far, key, packet);
        } else {
            self.answer(key, packet);
        }
    }

    /// Writes packets to the client of a session that is kept, once all that has changed in it
    /// so far is.
    pub(super) fn write_once_kept(&mut self, key: Key, packets: &[u8]) {
        if packets.is_empty() {
            return;
        }
        let ticket = self.kept_ticket();
        self.write_after(ticket, None, key, packets);
    }

    /// The ticket of all that has changed so far: commits are written in their order.
    fn kept_ticket(&mut self) -> Option<u64> {
        let last = |keep: &Keep| keep.outstanding.last().copied();
        self.ticket().or_else(|| self.keep.as_ref().and_then(last))
    }

    fn write_after(&mut self, ticket: Option<u64>, far: Option<u64>, key: Key, packet: &[u8]) {
        let Some(session) = self.sessions.get_mut(key as usize) else { return };
        let Some(live) = session.live_mut() else { return };
        if ticket.is_none() && far.is_none() && live.pending.is_empty() {
            session.outbox.extend_from_slice(packet);
            return self.mark(key);
        }
        let link = live.link;
        let tickets = [ticket.unwrap_or(0), far.unwrap_or(0)];
        live.pending.push_back(PendingAck { tickets, packet: packet.into() });
        let Some(keep) = &mut self.keep else { return };
        for ticket in ticket.into_iter().chain(far) {
            let waiting = keep.connections.entry(ticket).or_default();
            if waiting.last() != Some(&(key, link)) {
                waiting.push((key, link));
            }
        }
    }

    /// Answers somebody in this process: now, or once what it stands for is kept.
    pub(super) fn answer_caller(&mut self, done: oneshot::Sender<bool>) {
        let (ticket, far) = (self.ticket(), self.far_ticket());
        match &mut self.keep {
            Some(keep) if ticket.is_some() || far.is_some() => {
                keep.wait(Caller { ticket, far, done });
            }
            // Where nobody waits any more, nobody has to be told.
            _ => drop(done.send(true)),
        }
    }

    /// A promise of ours is kept, or broken.
    pub(super) fn promise_kept(&mut self, ticket: u64, kept: bool) {
        let Some(keep) = &mut self.keep else { return };
        let given_up_at = keep.far.outstanding.remove(&ticket);
        let far = given_up_at.is_some();
        if let Some((until, _)) = given_up_at {
            keep.far.due.remove(&(until, ticket));
        }
        if !keep.outstanding.remove(&ticket) && !far {
            // It was given up long ago.
            return;
        }
        for caller in keep.callers.remove(&ticket).unwrap_or_default() {
            keep.tell(caller, ticket, kept);
        }
        let connections = keep.connections.remove(&ticket).unwrap_or_default();
        for (key, link) in connections {
            if kept { self.release_acks(key, link) } else { self.disappoint(key, link) }
        }
    }

    /// Writes the acknowledgements at the front that wait for nothing any more.
    fn release_acks(&mut self, key: Key, link: ConnectionId) {
        let Some(session) = self.sessions.get_mut(key as usize).filter(|s| s.is_on(link)) else {
            return;
        };
        let Presence::Here(live) = &mut session.presence else { return };
        let keep = self.keep.as_ref();
        let waits = |ack: &PendingAck| {
            keep.is_some_and(|keep| ack.tickets.iter().any(|ticket| keep.is_outstanding(*ticket)))
        };
        while let Some(ack) = live.pending.pop_front_if(|ack| !waits(ack)) {
            session.outbox.extend_from_slice(&ack.packet);
        }
        self.mark(key);
    }

    /// What a client sent cannot be kept: it must not think that it is.
    fn disappoint(&mut self, key: Key, link: ConnectionId) {
        let fault = Fault {
            reason: ReasonCode::ServerBusy,
            cause: DisconnectReason::ServerError,
            what: "what was sent could not be kept".into(),
        };
        self.fail(key, link, &fault);
    }

    /// Commits what this turn has changed.
    pub(super) fn commit(&mut self) {
        let Some(keep) = &mut self.keep else { return };
        keep.again = None;
        keep.owed.extend(keep.promise.take());
        if keep.keeper.is_empty() {
            keep.owed.clear();
            keep.act_on_next();
            return;
        }
        let (owed, observer) = (keep.owed.clone(), Arc::clone(&self.observer));
        let settle = move |kept: bool| {
            if !kept && !owed.is_empty() {
                owed.iter().for_each(|promise| promise.break_it());
                let why = "the store can no longer write; look at the disk, then restart";
                observer.observe(&RealtimeEvent::StoreFailed { why });
            }
        };
        // Until what is retained is on its way to the store, no other shard changes it.
        let retained = (!keep.retained.is_empty()).then(|| self.retained.current());
        if let Some(retained) = &retained {
            keep.retain_newer(retained);
        }
        let committed = keep.keeper.commit(settle);
        drop(retained);
        if committed.is_ok() {
            keep.owed.clear();
            keep.retained.clear();
            keep.hands_over = false;
        } else {
            keep.again = Some(self.now + AGAIN);
        }
        keep.act_on_next();
        keep.hold_back(&mut self.output.notices);
    }

    /// What waits here, and is not on its way to be kept, is not.
    pub(super) fn break_all(&mut self) {
        let keys: Vec<Key> = self.by_client.values().copied().collect();
        keys.into_iter().for_each(|key| self.break_held(key));
        self.output.break_promises();
        if let Some(keep) = &mut self.keep {
            keep.break_uncommitted();
        }
    }

    /// When a commit is to be tried again.
    pub(super) fn commit_again_at(&self) -> Option<Instant> {
        self.keep.as_ref()?.again
    }

    /// Whether so much waits to be kept that clients had better send no more for now.
    pub(crate) fn is_behind(&self) -> bool {
        self.keep.as_ref().is_some_and(|keep| keep.again.is_some())
            || self.mesh.as_ref().is_some_and(|mesh| mesh.is_behind())
    }

    /// Keeps a session as it is now, if it outlives its connection.
    pub(super) fn keep_session(&mut self, key: Key) {
        let Some(session) = self.sessions.get(key as usize) else { return };
        // What ends with its connection has a will at most, for when its node dies.
        let has_will = session.live().is_some_and(|live| live.will.is_some());
        if !self.keeps(session) && (self.mesh.is_none() || !has_will) {
            return;
        }
        let stored = self.stored(session);
        let client_id = Arc::clone(&session.client_id);
        self.kept(|keeper| keeper.session(&client_id, &stored));
    }

    pub(super) fn stored(&self, session: &Session) -> StoredSession {
        let subscriptions = session.subscriptions.iter().map(|subscription| StoredSubscription {
            filter: Arc::clone(&subscription.filter),
            options: subscription.options,
            id: subscription.id,
        });
        let (away_since, principal, will) = match &session.presence {
            Presence::Here(live) => {
                // Should this node die, another one counts from then.
                let will = live.will.as_ref().filter(|_| self.mesh.is_some()).map(|will| {
                    let due = u64::from(will.delay) * 1000;
                    Box::new(StoredWill { due, message: will.message.clone() })
                });
                (None, live.owner().into(), will)
            }
            Presence::Away(away) => {
                let will = away.will.as_ref().map(|(at, message)| {
                    let wait = at.saturating_duration_since(self.now).as_millis();
                    let due = self.now_ms + u64::try_from(wait).unwrap_or(u64::MAX);
                    Box::new(StoredWill { due, message: Message::clone(message) })
                });
                (Some(away.since), away.principal.clone(), will)
            }
        };
        StoredSession {
            version: session.version,
            expiry: session.expiry,
            away_since,
            principal,
            subscriptions: subscriptions.collect(),
            will,
        }
    }

    /// Forgets what is kept of a session, which goes on without it or ends.
    pub(super) fn forget_kept(&mut self, key: Key) {
        let (Some(keep), Some(session)) = (&mut self.keep, self.sessions.get_mut(key as usize))
        else {
            return;
        };
        if !session.persists() {
            // Nothing of it is kept.
            return;
        }
        let client_id = Arc::clone(&session.client_id);
        if let Some(flow) = &mut session.flow {
            let in_flight = flow.in_flight.iter_mut();
            for (seq, copy) in in_flight.filter_map(|sent| Some((sent.seq.take()?, &mut sent.copy)))
            {
                match copy {
                    Some(copy) => {
                        copy.seq = None;
                        keep.keeper.dequeue(&client_id, seq, &copy.message);
                        keep.keeper.completed(&client_id, seq);
                    }
                    None => keep.keeper.completed(&client_id, seq),
                }
            }
            for queued in &mut flow.queue {
                if let Some(seq) = queued.seq.take() {
                    keep.keeper.dequeue(&client_id, seq, &queued.message);
                }
            }
        }
        for id in &session.unreleased {
            keep.keeper.release(&client_id, *id);
        }
        keep.keeper.end_session(&client_id);
    }

    /// Keeps a message for a session, under its next number.
    pub(super) fn keep_entry(&mut self, key: Key, entry: &Entry<'_>) -> Option<u64> {
        let session = self.sessions.get_mut(key as usize)?;
        if self.keep.is_none() || !session.persists() {
            return None;
        }
        let seq = session.flow().take_seq();
        let client_id = Arc::clone(&session.client_id);
        self.kept(|keeper| keeper.enqueue(&client_id, seq, entry));
        Some(seq)
    }
}
