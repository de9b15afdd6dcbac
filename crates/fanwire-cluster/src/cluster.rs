//! The handle that everything else holds.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::{broadcast, watch};
use tokio::time::Instant;

use crate::death::Deaths;
use crate::facts::Counters;
use crate::home::Home;
use crate::lease::{Hooks, Parting, Stop};
use crate::link::{Links, Sending};
use crate::nats::Nats;
use crate::publication::Publications;
use crate::request::Requests;
use crate::{
    ClusterOptions, Facts, Incarnation, JoinError, NodeId, Peer, Peers, PublishError, Records,
    RequestError, SendError, SubscribeError, Subscription, lease, limits,
};

/// A node's place in its cluster. Cheap to clone. When the last clone is dropped the node is
/// gone, as if its process had ended; [`leave`](Cluster::leave) is the way in good order.
#[derive(Clone)]
pub struct Cluster {
    pub(crate) shared: Arc<Shared>,
    /// Where the node is kept in the cluster for as long as anybody has this.
    _home: Arc<Home>,
}

pub(crate) struct Shared {
    pub(crate) options: ClusterOptions,
    pub(crate) nats: Nats,
    /// Where the planes' handlers run.
    pub(crate) runtime: Handle,
    /// Who this node is; `None` between a stay and the next.
    pub(crate) me: watch::Sender<Option<Incarnation>>,
    pub(crate) peers: watch::Sender<Arc<Peers>>,
    /// Whether these are all that were there when this node came.
    pub(crate) knows_peers: watch::Sender<bool>,
    pub(crate) unrecovered: watch::Sender<Vec<Incarnation>>,
    pub(crate) state: watch::Sender<State>,
    pub(crate) events: broadcast::Sender<Event>,
    /// Until when nobody can have declared this node dead.
    pub(crate) safe_until: Mutex<Option<Instant>>,
    pub(crate) deaths: Deaths,
    pub(crate) hooks: Hooks,
    pub(crate) links: Links,
    pub(crate) requests: Requests,
    pub(crate) publications: Publications,
    pub(crate) counters: Counters,
    pub(crate) stop: Stop,
}

/// Whether what needs the other nodes works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// NATS is reached, and this node is in the cluster.
    Joined,
    /// NATS is not reached, or does not confirm that this node is in the cluster. What
    /// needs no other node goes on.
    Away,
    /// This node was declared dead and joins again, or has left.
    Out,
}

/// What happens in the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A node has come.
    PeerJoined(Peer),
    /// A node has left by itself: nothing of it is left to do.
    PeerLeft(Peer),
    /// A node was declared dead by `by`, which does what is to be done for it.
    PeerDead {
        /// The node that is gone.
        peer: Peer,
        /// Who declared it dead. May be this node.
        by: Incarnation,
    },
    /// All that was to be done for a node that was declared dead is done.
    PeerRecovered(Incarnation),
    /// This node was declared dead itself. See [`Cluster::on_fenced`].
    Fenced(Incarnation),
    /// This node has joined again, as this.
    Rejoined(Incarnation),
    /// NATS is not reached any more.
    Away,
    /// NATS is reached again.
    Back,
}

/// What happens in the cluster, from now on.
#[derive(Debug)]
pub struct Events(broadcast::Receiver<Event>);

// === impl Cluster ===

impl Cluster {
    /// Connects to NATS and takes a number that no other node has. Others see this node from
    /// now on; what they send to it waits until [`start`](Self::start).
    ///
    /// # Errors
    ///
    /// Where NATS is not reached or will not do, or the settings are wrong.
    pub async fn join(options: ClusterOptions) -> Result<Self, JoinError> {
        if options.lease < Duration::from_secs(2) {
            return Err(JoinError::Settings("`lease` is under two seconds".to_owned()));
        }
        let home = Home::start()?;
        let runtime = Handle::current();
        let shared = home.run(Shared::join(options, runtime)).await?;
        Ok(Self { shared, _home: Arc::new(home) })
    }

    /// Begins to listen to the others. Call it once, when everything is registered.
    pub fn start(&self) {
        self.shared.hooks.start();
    }

    /// Who this node is. After it was declared dead it is another, see
    /// [`on_joined`](Self::on_joined). `None` in between.
    pub fn me(&self) -> Option<Incarnation> {
        *self.shared.me.borrow()
    }

    /// The nodes that are in the cluster now, but for this one.
    pub fn peers(&self) -> watch::Receiver<Arc<Peers>> {
        self.shared.peers.subscribe()
    }

    /// Waits until [`peers`](Self::peers) has all nodes that were there when this one came.
    pub async fn knows_peers(&self) {
        // The sender is part of what this has.
        let _ = self.shared.knows_peers.subscribe().wait_for(|knows| *knows).await;
    }

    /// The nodes that were declared dead, and for which not all is done. Whoever wants these
    /// and the peers asks for the peers first, and so misses nobody who dies in between.
    pub fn unrecovered(&self) -> Vec<Incarnation> {
        self.shared.unrecovered.borrow().clone()
    }

    /// Whether what needs the other nodes works.
    pub fn state(&self) -> watch::Receiver<State> {
        self.shared.state.subscribe()
    }

    /// What happens from now on.
    pub fn events(&self) -> Events {
        Events(self.shared.events.subscribe())
    }

    /// Whether nobody can have declared this node dead yet. While it is so, this node alone
    /// acts for its own connections; while it is not, another may have begun to.
    pub fn is_safe(&self) -> bool {
        self.safe_until().is_some_and(|until| Instant::now() < until)
    }

    /// Until when nobody can have declared this node dead.
    pub fn safe_until(&self) -> Option<Instant> {
        *self.shared.safe_until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until this is known: `true` where the node is still `incarnation` and nobody can
    /// have declared it dead, `false` where somebody has.
    pub async fn settled(&self, incarnation: Incarnation) -> bool {
        let mut state = self.shared.state.subscribe();
        loop {
            state.borrow_and_update();
            if self.me() != Some(incarnation) {
                return false;
            }
            if self.is_safe() {
                return true;
            }
            if state.changed().await.is_err() {
                return false;
            }
        }
    }

    /// Has `joined` called when this node has a number: at once, and each time that it has
    /// joined again. It must not block.
    pub fn on_joined(&self, joined: impl Fn(Incarnation) + Send + Sync + 'static) {
        if let Some(me) = self.me() {
            joined(me);
        }
        self.shared.hooks.on_joined(Arc::new(joined));
    }

    /// Has `fenced` called when this node was declared dead, and waits for its end (bounded
    /// by [`limits::FENCE_PATIENCE`]) before the node joins again. The plane lets go of
    /// all that it had under that incarnation, and tells nobody: another node does.
    pub fn on_fenced<F>(&self, fenced: impl Fn(Incarnation) -> F + Send + Sync + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.shared.hooks.on_fenced(Arc::new(move |who| Box::pin(fenced(who))));
    }

    /// Has `recover` called for each node that this one has declared dead. It does what the
    /// plane owes the clients of that node, and ends with `true` when all is done: then the
    /// node's number is free again. With `false`, because this node is about to leave, another
    /// is called once it has. So is where this node dies on the way: what was done has to be
    /// recorded as it is done.
    pub fn on_recovery<F>(&self, recover: impl Fn(Peer) -> F + Send + Sync + 'static)
    where
        F: Future<Output = bool> + Send + 'static,
    {
        self.shared.hooks.on_recovery(Arc::new(move |peer| Box::pin(recover(peer))));
    }

    /// Takes the messages of a channel, such as `mqtt`. `handle` is called in the order in
    /// which a peer has sent them; a message is acknowledged when its future is done, and
    /// several may be on their way to that.
    pub fn on<F>(
        &self,
        channel: &'static str,
        handle: impl Fn(Incarnation, Bytes) -> F + Send + Sync + 'static,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        self.shared.links.on(channel, Arc::new(move |from, bytes| Box::pin(handle(from, bytes))));
    }

    /// Sends a message to a peer. It arrives after those sent before, once, however often
    /// NATS is lost on the way. What is returned is done when the peer's handler is.
    ///
    /// # Errors
    ///
    /// Where nothing was queued. What is returned fails only when the peer is gone.
    pub fn send(
        &self,
        to: Incarnation,
        channel: &'static str,
        bytes: Bytes,
    ) -> Result<Sending, SendError> {
        Links::send(&self.shared, to, channel, bytes)
    }

    /// Answers the requests of a channel.
    pub fn on_request<F>(
        &self,
        channel: &'static str,
        answer: impl Fn(Incarnation, Bytes) -> F + Send + Sync + 'static,
    ) where
        F: Future<Output = Bytes> + Send + 'static,
    {
        let answer = Arc::new(move |from, bytes| Box::pin(answer(from, bytes)) as _);
        self.shared.requests.on(channel, answer);
    }

    /// Asks the node of a number, whichever stay it is in. Once, at most.
    ///
    /// # Errors
    ///
    /// [`RequestError::Gone`] at once where no node has that number.
    pub async fn request(
        &self,
        to: NodeId,
        channel: &'static str,
        bytes: Bytes,
        patience: Duration,
    ) -> Result<Bytes, RequestError> {
        Requests::ask(&self.shared, to, channel, bytes, patience).await
    }

    /// Publishes to the nodes of these numbers, at most once, and what one node publishes in
    /// order: one message of NATS for as many of them as one can be for. It does not block.
    ///
    /// # Errors
    ///
    /// Where the message is dropped, for some of them at least.
    pub fn publish(&self, to: &[NodeId], bytes: &[u8]) -> Result<(), PublishError> {
        Publications::publish(&self.shared, to, bytes)
    }

    /// Listens to what other nodes publish to the node of a number, this one's, until what is
    /// returned is dropped. Outlives the loss of NATS, but for what is published meanwhile.
    ///
    /// # Errors
    ///
    /// Where NATS will not do.
    pub async fn subscribe(&self, node: NodeId) -> Result<Subscription, SubscribeError> {
        Publications::subscribe(&self.shared, node).await
    }

    /// Waits until the NATS server that this node is connected to knows of all subscriptions
    /// made so far.
    ///
    /// # Errors
    ///
    /// Where NATS is away.
    pub async fn flush(&self) -> Result<(), PublishError> {
        self.shared.nats.round_trip().await.then_some(()).ok_or(PublishError::Away)
    }

    /// A bucket of records, made where it is not there yet. A name has letters, digits, `_`
    /// and `-`.
    ///
    /// # Errors
    ///
    /// Where JetStream does not give it as it is needed.
    pub async fn records(&self, bucket: &str) -> Result<Records, JoinError> {
        Records::open(self.shared.nats.clone(), bucket).await
    }

    /// What is to be seen of the cluster now, for metrics.
    pub fn facts(&self) -> Facts {
        Facts::of(&self.shared)
    }

    /// This node is about to leave: it declares nobody dead any more. Call it before the
    /// planes end.
    pub fn retire(&self) {
        self.shared.stop.retire();
    }

    /// Leaves the cluster: nothing of this node is left to do. Call it when the planes have
    /// ended.
    pub async fn leave(&self) {
        self.shared.stop.leave(Parting::Done).await;
    }

    /// Leaves the cluster, and to the others what this node has not done: one of them declares
    /// it dead at once, with no lease to wait for, and [recovers](Self::on_recovery) the rest.
    /// Call it when the planes have ended, and all that they record is recorded.
    pub async fn resign(&self) {
        self.shared.stop.leave(Parting::Owing).await;
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster").field("me", &self.me()).finish_non_exhaustive()
    }
}

// === impl Shared ===

impl Shared {
    async fn join(options: ClusterOptions, runtime: Handle) -> Result<Arc<Self>, JoinError> {
        let (nats, reach) = Nats::connect(&options).await?;
        let bucket = lease::Bucket::open(&nats).await?;
        let shared = Arc::new(Self {
            nats,
            runtime,
            me: watch::Sender::new(None),
            peers: watch::Sender::default(),
            knows_peers: watch::Sender::default(),
            unrecovered: watch::Sender::default(),
            state: watch::Sender::new(State::Out),
            events: broadcast::Sender::new(limits::UNREAD_EVENTS),
            safe_until: Mutex::default(),
            deaths: Deaths::default(),
            hooks: Hooks::default(),
            links: Links::default(),
            requests: Requests::default(),
            publications: Publications::default(),
            counters: Counters::default(),
            stop: Stop::default(),
            options,
        });
        lease::begin(&shared, bucket, reach).await?;
        Ok(shared)
    }

    pub(crate) fn tell(&self, event: Event) {
        // Nobody has to listen.
        let _ = self.events.send(event);
    }

    pub(crate) fn is_joined(&self) -> bool {
        *self.state.borrow() == State::Joined
    }
}

// === impl Events ===

impl Events {
    /// The next event. `None` once the cluster is left. Where [`limits::UNREAD_EVENTS`] were
    /// left unread, the oldest are missed; [`Cluster::peers`] tells how it is.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            match self.0.recv().await {
                Ok(event) => return Some(event),
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }
}
