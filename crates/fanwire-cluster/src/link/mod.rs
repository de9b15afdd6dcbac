//! Links: what takes messages to another node in order, acknowledged, and once.
//!
//! NATS alone delivers at most once: what is on its way when a connection breaks is lost. So
//! each message has a number, is kept until the peer says that its handler is done with it,
//! and goes again until the peer says that it has come. A link is between two
//! *incarnations*: a peer that was declared dead and comes again has a new one, so what was
//! meant for the old one is never handled by the new.
//!
//! `outgoing` and `incoming` are the two ends as state machines, `frame` is what they say
//! on the wire, and this module drives them: a task for each peer that something is sent to
//! and one for each that something comes from.

pub(crate) mod frame;
mod incoming;
mod outgoing;
mod receiving;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use self::outgoing::Outgoing;
pub(crate) use self::receiving::listen;
use crate::cluster::Shared;
use crate::facts::count;
use crate::{Incarnation, Peer, PeerFacts, SendError, limits};

/// What a channel does with a message.
pub(crate) type Handler = Arc<dyn Fn(Incarnation, Bytes) -> BoxFuture<'static, ()> + Send + Sync>;

/// All links of this node.
#[derive(Default)]
pub(crate) struct Links {
    // Std locks: both are held for a look-up or a queue's end only.
    to: Mutex<HashMap<Incarnation, Arc<Sender>>>,
    handlers: RwLock<HashMap<&'static str, Handler>>,
}

/// The link to one peer.
struct Sender {
    to: Incarnation,
    outgoing: Mutex<Outgoing<oneshot::Sender<()>>>,
    /// Something is to be sent, or the peer is gone.
    work: Notify,
}

/// A message on its way. Done when the peer's handler is done with it; may be dropped.
#[derive(Debug)]
pub struct Sending {
    to: Incarnation,
    done: oneshot::Receiver<()>,
}

// === impl Links ===

impl Links {
    pub(crate) fn on(&self, channel: &'static str, handler: Handler) {
        assert!(channel.len() <= usize::from(u8::MAX), "a channel's name is short");
        self.handlers.write().unwrap_or_else(PoisonError::into_inner).insert(channel, handler);
    }

    fn handler(&self, channel: &[u8]) -> Option<Handler> {
        let channel = str::from_utf8(channel).ok()?;
        let handlers = self.handlers.read().unwrap_or_else(PoisonError::into_inner);
        handlers.get(channel).cloned()
    }

    fn links(&self) -> MutexGuard<'_, HashMap<Incarnation, Arc<Sender>>> {
        self.to.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn send(
        shared: &Arc<Shared>,
        to: Incarnation,
        channel: &'static str,
        payload: Bytes,
    ) -> Result<Sending, SendError> {
        let Some(me) = *shared.me.borrow() else { return Err(SendError::NotJoined) };
        let limit = shared.nats.max_message();
        if payload.len() > limit {
            return Err(SendError::TooLarge { bytes: payload.len(), limit });
        }
        let sender = Self::sender(shared, me, to)?;
        let (waiting, done) = oneshot::channel();
        let pushed = sender.outgoing().push(channel, payload, waiting, Instant::now());
        pushed.map_err(|_| SendError::WindowFull(to))?;
        count(&shared.counters.link_sent, 1);
        sender.work.notify_one();
        Ok(Sending { to, done })
    }

    /// The link to a peer, begun where there is none.
    fn sender(
        shared: &Arc<Shared>,
        me: Incarnation,
        to: Incarnation,
    ) -> Result<Arc<Sender>, SendError> {
        let mut links = shared.links.links();
        if let Some(sender) = links.get(&to) {
            return Ok(Arc::clone(sender));
        }
        // Under the lock: who is remembered as dead before has no link that would be left.
        if shared.deaths.contains(to) {
            return Err(SendError::PeerDead(to));
        }
        let outgoing = Mutex::new(Outgoing::new(Instant::now()));
        let sender = Arc::new(Sender { to, outgoing, work: Notify::new() });
        links.insert(to, Arc::clone(&sender));
        // Shards send, and are no threads of the runtime.
        shared.runtime.spawn(run(Arc::clone(shared), me, Arc::clone(&sender)));
        Ok(sender)
    }

    /// A peer is gone: whoever waits for it is told.
    pub(crate) fn end(&self, to: Incarnation) {
        let sender = self.links().remove(&to);
        if let Some(sender) = sender {
            // Dropping them tells.
            drop(sender.outgoing().drain());
            sender.work.notify_one();
        }
    }

    /// This node is no longer who it was: all links of its former self end.
    pub(crate) fn end_all(&self) {
        let links = std::mem::take(&mut *self.links());
        for sender in links.into_values() {
            drop(sender.outgoing().drain());
            sender.work.notify_one();
        }
    }

    /// NATS is back: what has not arrived goes again.
    pub(crate) fn resend(&self) {
        for sender in self.links().values() {
            sender.outgoing().go_back();
            sender.work.notify_one();
        }
    }

    /// Measures the way to those that there is a link to.
    pub(crate) fn measure(&self) {
        for sender in self.links().values() {
            sender.outgoing().want_probe();
            sender.work.notify_one();
        }
    }

    pub(crate) fn facts(&self, peer: &Peer) -> PeerFacts {
        let sender = self.links().get(&peer.incarnation).cloned();
        let outgoing = sender.as_ref().map(|sender| sender.outgoing());
        let of = outgoing.as_ref();
        PeerFacts {
            peer: peer.clone(),
            round_trip: of.and_then(|outgoing| outgoing.round_trip()),
            window_bytes: of.map_or(0, |outgoing| outgoing.bytes()),
            window_messages: of.map_or(0, |outgoing| outgoing.unfinished()),
        }
    }

    fn has(&self, sender: &Arc<Sender>) -> bool {
        self.links().get(&sender.to).is_some_and(|known| Arc::ptr_eq(known, sender))
    }
}

// === impl Sender ===

impl Sender {
    fn outgoing(&self) -> MutexGuard<'_, Outgoing<oneshot::Sender<()>>> {
        self.outgoing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sends what waits for a peer, until it is gone.
async fn run(shared: Arc<Shared>, me: Incarnation, sender: Arc<Sender>) {
    let subject = shared.nats.link_subject(sender.to);
    while shared.links.has(&sender) {
        loop {
            let frame = {
                let mut outgoing = sender.outgoing();
                let frame = outgoing.next_frame(limits::LINK_FRAME_BYTES, Instant::now());
                count(&shared.counters.link_resent, outgoing.take_resent());
                frame
            };
            let Some(frame) = frame else { break };
            let bytes = frame::encode(me, &frame);
            // What does not go now goes again later.
            let _ = shared.nats.client.publish(subject.clone(), bytes).await;
        }
        let deadline = sender.outgoing().deadline();
        tokio::select! {
            () = sender.work.notified() => {}
            () = until(deadline) => sender.outgoing().expired(Instant::now()),
        }
    }
}

/// Waits until then, or for ever.
async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

// === impl Sending ===

impl Future for Sending {
    type Output = Result<(), SendError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let to = self.to;
        Pin::new(&mut self.done).poll(cx).map(|done| done.map_err(|_| SendError::PeerDead(to)))
    }
}
