//! Who is in the cluster: the state machine of leases. It has neither clock nor network:
//! what was seen, and when, goes in; what is to be done comes out.
//!
//! Every node keeps a record of itself and writes it again each sixth of its lease. Whoever
//! sees no new writing for a whole lease may write into the record, if it is still as it
//! was, that the node is dead and who says so. One of those who try is first; the others
//! are refused by the store. A node whose own writing is refused looks why, and where it
//! was declared dead is *fenced*.
//!
//! Time counts only while the observer sees its own writings come back: who hears nothing at
//! all cannot tell whether others are gone, and gives everybody a whole lease after it
//! hears again.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::{Incarnation, NodeId, Peer, Revision};

/// Writings a lease.
const BEATS: u32 = 6;

/// Writings of one's own that may be missing before what is seen is not trusted.
const BEATS_MISSED: u32 = 3;

/// The record of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Lease {
    /// The node.
    #[serde(flatten)]
    pub(crate) peer: Peer,
    /// After how many milliseconds without a new writing it may be declared dead.
    pub(crate) lease_ms: u64,
    /// Who has declared it dead, and does what is to be done for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) dead_by: Option<Incarnation>,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    /// Write the own record again where it still has this revision.
    Renew(Revision),
    /// Read the own record: a writing was refused.
    Look,
    /// Write this record where the node's still has the revision: it is dead, and we say so.
    Claim(Lease, Revision),
    /// A node has come.
    Joined(Peer),
    /// A node has left by itself.
    Left(Peer),
    /// A node was declared dead.
    Dead(Peer, Incarnation),
    /// A node is ours to do what is to be done for it; its record has this revision.
    Recover(Peer, Revision),
    /// All is done for a node that was declared dead.
    Recovered(Incarnation),
    /// We were declared dead.
    Fenced,
}

/// One node's view of who is in the cluster.
#[derive(Debug)]
pub(crate) struct Membership {
    own: Lease,
    /// The revision of the own record.
    revision: Revision,
    renewal: Renewal,
    /// Until when nobody can have declared us dead.
    safe_until: Instant,
    seen: BTreeMap<NodeId, Seen>,
    own_seen: OwnSeen,
    /// We are about to leave, and take nothing on any more.
    retired: bool,
}

/// How it is with the own record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Renewal {
    /// Written; the next is due then.
    Due(Instant),
    /// Being written, or looked at, since then. What is not answered is tried again a beat
    /// later: an answer that is lost must not cost the lease.
    Running(Instant),
    /// We are fenced, or have left.
    Over,
}

/// The record of another node.
#[derive(Debug)]
struct Seen {
    lease: Lease,
    revision: Revision,
    /// When this revision was seen first.
    since: Instant,
    /// We are trying to write that it is dead.
    claiming: bool,
    /// It is ours, and what is to be done for it has begun.
    recovering: bool,
}

/// Whether what is seen can be trusted to be how it is.
#[derive(Debug, Clone, Copy)]
struct OwnSeen {
    /// Since when own writings come back as they should.
    since: Option<Instant>,
    last: Option<Instant>,
}

// === impl Lease ===

impl Lease {
    fn length(&self) -> Duration {
        Duration::from_millis(self.lease_ms)
    }

    fn who(&self) -> Incarnation {
        self.peer.incarnation
    }
}

// === impl Membership ===

impl Membership {
    /// A node that has just written its record, having begun to at `now`.
    pub(crate) fn new(own: Lease, revision: Revision, now: Instant) -> Self {
        let safe_until = now + safe_time(own.length());
        let renewal = Renewal::Due(now + own.length() / BEATS);
        let own_seen = OwnSeen { since: None, last: None };
        let seen = BTreeMap::new();
        Self { own, revision, renewal, safe_until, seen, own_seen, retired: false }
    }

    /// The own record, as it is to be written.
    pub(crate) fn own(&self) -> &Lease {
        &self.own
    }

    /// Until when nobody can have declared us dead.
    pub(crate) fn safe_until(&self) -> Instant {
        self.safe_until
    }

    /// The nodes that are in the cluster, but for this one.
    pub(crate) fn peers(&self) -> impl Iterator<Item = &Peer> {
        let alive = self.seen.values().filter(|seen| seen.lease.dead_by.is_none());
        alive.map(|seen| &seen.lease.peer)
    }

    /// Those that were declared dead, and for which not all is done.
    pub(crate) fn unrecovered(&self) -> impl Iterator<Item = Incarnation> {
        let dead = self.seen.values().filter(|seen| seen.lease.dead_by.is_some());
        dead.map(|seen| seen.lease.who())
    }

    /// A record was seen to be this; `None`: to be there no more.
    pub(crate) fn observed(
        &mut self,
        node: NodeId,
        revision: Revision,
        lease: Option<Lease>,
        now: Instant,
    ) -> Vec<Action> {
        if node == self.own.who().node {
            return self.own_observed(revision, lease, now);
        }
        if self.seen.get(&node).is_some_and(|seen| seen.revision >= revision) {
            return Vec::new();
        }
        let before = match &lease {
            Some(lease) => self.seen.insert(node, Seen::new(lease.clone(), revision, now)),
            None => self.seen.remove(&node),
        };
        let before = before.map(|seen| seen.lease);
        let mut actions = gone(before.as_ref(), lease.as_ref());
        let Some(lease) = lease else { return actions };
        let is_same = before.as_ref().is_some_and(|before| before.who() == lease.who());
        let was_dead = is_same && before.is_some_and(|before| before.dead_by.is_some());
        match lease.dead_by {
            Some(by) if !was_dead => actions.push(Action::Dead(lease.peer.clone(), by)),
            None if !is_same => actions.push(Action::Joined(lease.peer.clone())),
            _ => {}
        }
        // Of a claim of ours this may be all that we hear.
        if lease.dead_by == Some(self.own.who()) {
            actions.extend(self.recover(node));
        }
        actions
    }

    /// Begins what is to be done for a node that is ours.
    fn recover(&mut self, node: NodeId) -> Option<Action> {
        let is_over = self.retired || self.renewal == Renewal::Over;
        let seen = self.seen.get_mut(&node).filter(|seen| !seen.recovering && !is_over)?;
        seen.recovering = true;
        Some(Action::Recover(seen.lease.peer.clone(), seen.revision))
    }

    fn own_observed(
        &mut self,
        revision: Revision,
        lease: Option<Lease>,
        now: Instant,
    ) -> Vec<Action> {
        if self.renewal == Renewal::Over {
            return Vec::new();
        }
        let is_own =
            lease.is_some_and(|lease| lease.who() == self.own.who() && lease.dead_by.is_none());
        if is_own {
            let patience = self.own.length() / BEATS * BEATS_MISSED;
            let OwnSeen { since, last } = self.own_seen;
            let goes_on = last.is_some_and(|last| now < last + patience);
            self.own_seen.since = since.filter(|_| goes_on).or(Some(now));
            self.own_seen.last = Some(now);
            return Vec::new();
        }
        // What was there before us is seen first where we took the number of another.
        if revision > self.revision { self.fence() } else { Vec::new() }
    }

    /// The own record was written, at a revision, having been sent at `sent`.
    pub(crate) fn renewed(&mut self, revision: Revision, sent: Instant) {
        // One that is late may be older than what we have looked at since.
        if self.renewal == Renewal::Over || revision <= self.revision {
            return;
        }
        self.revision = revision;
        self.renewal = Renewal::Due(sent + self.own.length() / BEATS);
        self.safe_until = sent + safe_time(self.own.length());
    }

    /// The own record was not written because NATS is away, or nobody knows. Tried again with
    /// the next beat.
    pub(crate) fn renewal_failed(&mut self, now: Instant) {
        if let Renewal::Running(_) = self.renewal {
            self.renewal = Renewal::Due(now + self.own.length() / (BEATS * 2));
        }
    }

    /// The own record was not written because it is not as we thought.
    pub(crate) fn renewal_refused(&mut self) -> Vec<Action> {
        if self.renewal == Renewal::Over { Vec::new() } else { vec![Action::Look] }
    }

    /// The own record was looked at: this is how it is. A writing that we took for lost may
    /// have been late.
    pub(crate) fn looked(&mut self, found: Option<(Revision, Lease)>, now: Instant) -> Vec<Action> {
        match found {
            Some((revision, lease)) if lease.who() == self.own.who() && lease.dead_by.is_none() => {
                self.revision = self.revision.max(revision);
                if let Renewal::Running(_) = self.renewal {
                    self.renewal = Renewal::Due(now);
                }
                Vec::new()
            }
            _ if self.renewal == Renewal::Over => Vec::new(),
            _ => self.fence(),
        }
    }

    fn fence(&mut self) -> Vec<Action> {
        self.renewal = Renewal::Over;
        vec![Action::Fenced]
    }

    /// The claim on a node was written: it is ours.
    pub(crate) fn claimed(
        &mut self,
        node: NodeId,
        revision: Revision,
        now: Instant,
    ) -> Vec<Action> {
        let own = self.own.who();
        let Some(seen) = self.seen.get_mut(&node) else { return Vec::new() };
        // What has been seen already has been acted on.
        if seen.revision >= revision {
            return Vec::new();
        }
        let was_dead = seen.lease.dead_by.is_some();
        let mut lease = seen.lease.clone();
        lease.dead_by = Some(own);
        let dead = (!was_dead).then(|| Action::Dead(lease.peer.clone(), own));
        *seen = Seen::new(lease, revision, now);
        dead.into_iter().chain(self.recover(node)).collect()
    }

    /// The claim on a node was refused, or not heard of: whoever was first will be seen.
    pub(crate) fn claim_failed(&mut self, node: NodeId, now: Instant) {
        if let Some(seen) = self.seen.get_mut(&node) {
            seen.claiming = false;
            seen.since = seen.since.max(now - self.own.length().min(seen.lease.length()) / 2);
        }
    }

    /// We are about to leave: what is to be done for others who die is theirs who stay.
    pub(crate) fn retire(&mut self) {
        self.retired = true;
    }

    /// We leave: nothing more is written.
    pub(crate) fn leave(&mut self) -> Revision {
        self.renewal = Renewal::Over;
        self.revision
    }

    /// We leave, and something to do for the others: a record that is over as soon as they see
    /// it.
    pub(crate) fn resign(&mut self) -> (Revision, Lease) {
        let revision = self.leave();
        (revision, Lease { lease_ms: 0, ..self.own.clone() })
    }

    /// What is due now.
    pub(crate) fn tick(&mut self, now: Instant) -> Vec<Action> {
        let mut actions = Vec::new();
        let due = match self.renewal {
            Renewal::Due(due) => Some(due),
            Renewal::Running(since) => Some(since + self.own.length() / BEATS),
            Renewal::Over => None,
        };
        if due.is_some_and(|due| due <= now) {
            self.renewal = Renewal::Running(now);
            actions.push(Action::Renew(self.revision));
        }
        if self.renewal != Renewal::Over && !self.retired {
            self.claims(now, &mut actions);
        }
        actions
    }

    /// Those that have been silent for a whole lease while we would have heard them.
    fn claims(&mut self, now: Instant, actions: &mut Vec<Action>) {
        let beat = self.own.length() / BEATS;
        let hears = self.own_seen.last.is_some_and(|last| now < last + beat * BEATS_MISSED);
        let Some(hears_since) = self.own_seen.since.filter(|_| hears) else { return };
        let own = self.own.who();
        let alive: Vec<_> = self.peers().map(|peer| peer.incarnation).collect();
        for seen in self.seen.values_mut().filter(|seen| !seen.claiming) {
            let silent = now.saturating_duration_since(seen.since.max(hears_since));
            // Who has claimed it goes on with it as long as it is there itself.
            let in_care = seen.lease.dead_by.is_some_and(|by| by == own || alive.contains(&by));
            if !in_care && silent >= seen.lease.length() {
                seen.claiming = true;
                let lease = Lease { dead_by: Some(own), ..seen.lease.clone() };
                actions.push(Action::Claim(lease, seen.revision));
            }
        }
    }

    /// When `tick` wants to be called again.
    pub(crate) fn next_tick(&self, now: Instant) -> Instant {
        let beat = self.own.length() / (BEATS * 2);
        match self.renewal {
            Renewal::Due(due) => due.min(now + beat),
            _ => now + beat,
        }
    }
}

/// What became of what a record said before.
fn gone(before: Option<&Lease>, after: Option<&Lease>) -> Vec<Action> {
    let Some(before) = before else { return Vec::new() };
    if after.is_some_and(|after| after.who() == before.who()) {
        return Vec::new();
    }
    vec![match before.dead_by {
        Some(_) => Action::Recovered(before.who()),
        None => Action::Left(before.peer.clone()),
    }]
}

/// For how long after a writing was sent nobody can have declared us dead, with something
/// to spare for what was begun just before.
fn safe_time(lease: Duration) -> Duration {
    lease - lease / BEATS
}

// === impl Seen ===

impl Seen {
    fn new(lease: Lease, revision: Revision, since: Instant) -> Self {
        Self { lease, revision, since, claiming: false, recovering: false }
    }
}
