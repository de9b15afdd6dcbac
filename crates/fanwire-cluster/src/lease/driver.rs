//! The one task that keeps a node in its cluster.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::bucket::{Bucket, Found, Observed, Watch};
use super::{Parting, become_member, take_number};
use crate::cluster::{Event, Shared, State};
use crate::facts::count;
use crate::membership::{Action, Lease, Membership};
use crate::nats::Reach;
use crate::{Incarnation, NodeId, Peer, RecordsError, Revision, link};

/// Between two attempts at what NATS did not do.
const RETRY: Duration = Duration::from_millis(500);

/// Between two measurements of the ways to peers.
const MEASURE: Duration = Duration::from_secs(5);

pub(crate) struct Driver {
    shared: Arc<Shared>,
    bucket: Bucket,
    membership: Membership,
    reach: mpsc::UnboundedReceiver<Reach>,
    /// What is being read and written.
    running: FuturesUnordered<BoxFuture<'static, Outcome>>,
    /// The tasks that listen for this incarnation.
    listening: Vec<AbortHandle>,
    connected: bool,
    measure_at: Instant,
}

/// What has become of something that was begun.
enum Outcome {
    Renewed { sent: Instant, result: Result<Revision, RecordsError> },
    Looked(Result<Found, RecordsError>),
    Claimed { node: NodeId, result: Result<Revision, RecordsError> },
    Recovered,
    Watching(Option<Watch>),
}

// === impl Driver ===

impl Driver {
    pub(crate) fn new(
        shared: Arc<Shared>,
        bucket: Bucket,
        membership: Membership,
        reach: mpsc::UnboundedReceiver<Reach>,
    ) -> Self {
        Self {
            shared,
            bucket,
            membership,
            reach,
            running: FuturesUnordered::new(),
            listening: Vec::new(),
            connected: true,
            measure_at: Instant::now(),
        }
    }

    /// Keeps the node in the cluster until it leaves. A stay that ends by a fence is
    /// followed by another.
    pub(crate) async fn run(mut self) {
        loop {
            self.begin_listening();
            let stays = self.stay().await;
            self.end_stay();
            if !stays {
                self.shared.stop.left();
                return;
            }
            self.join_again().await;
        }
    }

    /// One stay. Says whether another follows.
    async fn stay(&mut self) -> bool {
        let shared = Arc::clone(&self.shared);
        let mut watch: Option<Watch> = None;
        self.running.clear();
        self.begin_watch();
        loop {
            let now = Instant::now();
            if shared.stop.is_retired() {
                self.membership.retire();
            }
            let actions = self.membership.tick(now);
            if self.act(actions).await {
                return true;
            }
            self.tell_state(now);
            let tick = self.membership.next_tick(now);
            tokio::select! {
                () = shared.stop.wanted.notified() => {
                    self.leave().await;
                    return false;
                }
                () = tokio::time::sleep_until(tick) => {}
                Some(reach) = self.reach.recv() => self.reached(reach),
                seen = next(&mut watch) => match seen {
                    Some(Observed { node, revision, lease, is_current }) => {
                        let now = Instant::now();
                        let actions = self.membership.observed(node, revision, lease, now);
                        if self.act(actions).await {
                            return true;
                        }
                        if is_current {
                            shared.knows_peers.send_replace(true);
                        }
                    }
                    None => {
                        watch = None;
                        self.begin_watch();
                    }
                },
                Some(outcome) = self.running.next() => {
                    if let Outcome::Watching(begun) = outcome {
                        watch = begun;
                        if watch.is_none() {
                            self.begin_watch();
                        }
                    } else {
                        let actions = self.ended(outcome);
                        if self.act(actions).await {
                            return true;
                        }
                    }
                }
            }
        }
    }

    fn begin_watch(&self) {
        let bucket = self.bucket.clone();
        let watching = async move {
            match bucket.watch().await {
                Ok(watch) => Outcome::Watching(Some(watch)),
                Err(_) => {
                    tokio::time::sleep(RETRY).await;
                    Outcome::Watching(None)
                }
            }
        };
        self.running.push(watching.boxed());
    }

    /// Does what the state machine says. `true`: this node is fenced.
    async fn act(&mut self, actions: Vec<Action>) -> bool {
        // First, so that whoever hears of one that is gone does not find it here.
        let is_change = |action: &Action| {
            use Action::{Dead, Joined, Left, Recovered};
            matches!(action, Joined(_) | Left(_) | Dead(..) | Recovered(_))
        };
        if actions.iter().any(is_change) {
            self.tell_peers();
        }
        for action in actions {
            match action {
                Action::Renew(expected) => self.renew(expected),
                Action::Look => self.look(),
                Action::Claim(lease, expected) => self.claim(lease, expected),
                Action::Recover(peer, revision) => self.recover(peer, revision),
                Action::Fenced => return true,
                Action::Joined(peer) => {
                    self.shared.deaths.came(peer.incarnation);
                    self.shared.tell(Event::PeerJoined(peer));
                }
                Action::Left(peer) => {
                    self.gone(peer.incarnation);
                    self.shared.tell(Event::PeerLeft(peer));
                }
                Action::Dead(peer, by) => {
                    self.gone(peer.incarnation);
                    self.shared.tell(Event::PeerDead { peer, by });
                }
                Action::Recovered(who) => {
                    self.gone(who);
                    self.shared.tell(Event::PeerRecovered(who));
                }
            }
        }
        false
    }

    fn gone(&self, who: Incarnation) {
        self.shared.deaths.add(who);
        self.shared.links.end(who);
    }

    fn tell_peers(&self) {
        // Before the peers: whoever has died is at no time in neither.
        self.shared.unrecovered.send_replace(self.membership.unrecovered().collect());
        let peers = self.membership.peers();
        let peers: BTreeMap<_, _> =
            peers.map(|peer| (peer.incarnation.node, peer.clone())).collect();
        self.shared.peers.send_replace(Arc::new(peers));
    }

    fn renew(&self, expected: Revision) {
        let (bucket, own) = (self.bucket.clone(), self.membership.own().clone());
        let renewing = async move {
            let sent = Instant::now();
            let node = own.peer.incarnation.node;
            let result = bucket.write(node, Some(&own), expected).await;
            Outcome::Renewed { sent, result }
        };
        self.running.push(renewing.boxed());
    }

    fn look(&self) {
        let (bucket, node) = (self.bucket.clone(), self.me().node);
        self.running.push(async move { Outcome::Looked(bucket.read(node).await) }.boxed());
    }

    fn claim(&self, lease: Lease, expected: Revision) {
        let bucket = self.bucket.clone();
        let claiming = async move {
            let node = lease.peer.incarnation.node;
            let result = bucket.write(node, Some(&lease), expected).await;
            Outcome::Claimed { node, result }
        };
        self.running.push(claiming.boxed());
    }

    /// Has the planes do what they owe a dead node's clients, and gives its number free. Where
    /// they cannot do all of it they try again, unless this node leaves: it is another's then.
    fn recover(&self, peer: Peer, revision: Revision) {
        count(&self.shared.counters.claims, 1);
        let (shared, bucket) = (Arc::clone(&self.shared), self.bucket.clone());
        let recovering = async move {
            shared.hooks.started().await;
            loop {
                let (planes, of_planes) = (Arc::clone(&shared), peer.clone());
                let recovering =
                    shared.runtime.spawn(async move { planes.hooks.recover(&of_planes).await });
                let _end = AbortOnDrop(recovering.abort_handle());
                // A plane that panics has done what it could.
                if recovering.await.unwrap_or(true) {
                    break;
                }
                if shared.stop.is_retired() {
                    return Outcome::Recovered;
                }
                tokio::time::sleep(RETRY).await;
            }
            let node = peer.incarnation.node;
            loop {
                match bucket.write(node, None, revision).await {
                    Ok(_) | Err(RecordsError::Conflict) => return Outcome::Recovered,
                    Err(_) => tokio::time::sleep(RETRY).await,
                }
            }
        };
        self.running.push(recovering.boxed());
    }

    fn ended(&mut self, outcome: Outcome) -> Vec<Action> {
        let now = Instant::now();
        match outcome {
            Outcome::Renewed { sent, result: Ok(revision) } => {
                self.membership.renewed(revision, sent);
                let until = self.membership.safe_until();
                let mut safe_until =
                    self.shared.safe_until.lock().unwrap_or_else(PoisonError::into_inner);
                *safe_until = Some(until);
                Vec::new()
            }
            // JetStream refuses where it has lost the bucket, too.
            Outcome::Renewed {
                result: Err(RecordsError::Conflict | RecordsError::JetStream(_)),
                ..
            } => self.membership.renewal_refused(),
            Outcome::Looked(Ok(Found { revision, lease })) => {
                self.membership.looked(lease.map(|lease| (revision, lease)), now)
            }
            Outcome::Renewed { result: Err(_), .. } | Outcome::Looked(Err(_)) => {
                self.membership.renewal_failed(now);
                Vec::new()
            }
            Outcome::Claimed { node, result: Ok(revision) } => {
                self.membership.claimed(node, revision, now)
            }
            Outcome::Claimed { node, result: Err(_) } => {
                self.membership.claim_failed(node, now);
                Vec::new()
            }
            Outcome::Recovered | Outcome::Watching(_) => Vec::new(),
        }
    }

    fn reached(&mut self, reach: Reach) {
        match reach {
            Reach::Connected => {
                self.connected = true;
                self.shared.links.resend();
            }
            Reach::Disconnected => self.connected = false,
            Reach::Slow => count(&self.shared.counters.slow, 1),
        }
    }

    /// Tells whether what needs the others works, where that has changed.
    fn tell_state(&mut self, now: Instant) {
        let works = self.connected && now < self.membership.safe_until();
        let state = if works { State::Joined } else { State::Away };
        let before = self.shared.state.send_replace(state);
        if before != state {
            self.shared.tell(if works { Event::Back } else { Event::Away });
        }
        if works && self.measure_at <= now {
            self.measure_at = now + MEASURE;
            self.shared.links.measure();
        }
    }

    /// Listens for this incarnation once the planes are ready.
    fn begin_listening(&mut self) {
        let (shared, me) = (Arc::clone(&self.shared), self.me());
        let listening = tokio::spawn(async move {
            shared.hooks.started().await;
            let subject = shared.nats.link_subject(me);
            loop {
                if let Ok(subscriber) = shared.nats.client.subscribe(subject.clone()).await {
                    link::listen(Arc::clone(&shared), me, subscriber).await;
                }
                tokio::time::sleep(RETRY).await;
            }
        });
        self.listening.push(listening.abort_handle());
        let (shared, me) = (Arc::clone(&self.shared), self.me());
        let answering = tokio::spawn(async move {
            shared.hooks.started().await;
            crate::request::Requests::answer(shared, me).await;
        });
        self.listening.push(answering.abort_handle());
    }

    /// Nothing is listened to, or promised, any more.
    fn end_stay(&mut self) {
        for listening in self.listening.drain(..) {
            listening.abort();
        }
        self.running.clear();
        *self.shared.safe_until.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.shared.me.send_replace(None);
        self.shared.knows_peers.send_replace(false);
        self.shared.peers.send_replace(Arc::default());
        self.shared.unrecovered.send_replace(Vec::new());
        self.shared.state.send_replace(State::Out);
        self.shared.links.end_all();
    }

    /// This node was declared dead: the planes let go, and it comes again as another.
    async fn join_again(&mut self) {
        let former = self.me();
        count(&self.shared.counters.fences, 1);
        self.shared.deaths.add(former);
        self.shared.tell(Event::Fenced(former));
        self.shared.hooks.fenced(former).await;
        self.membership = loop {
            // Where NATS has lost everything, the buckets too: whoever is let in by the next stay
            // counts on them.
            let reopened = self.bucket.reopen().await;
            if reopened.is_ok()
                && let Ok(membership) = take_number(&self.shared, &self.bucket).await
            {
                break membership;
            }
            tokio::time::sleep(RETRY).await;
        };
        become_member(&self.shared, &self.membership);
        self.tell_peers();
        self.shared.tell(Event::Rejoined(self.me()));
    }

    async fn leave(&mut self) {
        let node = self.me().node;
        let (revision, last) = match self.shared.stop.parting() {
            Parting::Done => (self.membership.leave(), None),
            Parting::Owing => {
                let (revision, last) = self.membership.resign();
                (revision, Some(last))
            }
        };
        // Where it does not go, the others find out as if this node had died.
        let _ = self.bucket.write(node, last.as_ref(), revision).await;
    }

    fn me(&self) -> Incarnation {
        self.membership.own().peer.incarnation
    }
}

/// Ends a task when it is dropped.
struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The next of what is watched; for ever nothing where nothing is.
async fn next(watch: &mut Option<Watch>) -> Option<Observed> {
    match watch {
        Some(watch) => watch.next().await,
        None => std::future::pending().await,
    }
}
