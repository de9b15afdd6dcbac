//! What planes have registered for what happens to nodes, and how the driver is told to
//! begin and to end.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::{BoxFuture, join_all};
use tokio::sync::{Notify, watch};

use crate::{Incarnation, Peer, limits};

type Joined = Arc<dyn Fn(Incarnation) + Send + Sync>;
type Fenced = Arc<dyn Fn(Incarnation) -> BoxFuture<'static, ()> + Send + Sync>;
type Recover = Arc<dyn Fn(Peer) -> BoxFuture<'static, bool> + Send + Sync>;

/// What planes have registered.
#[derive(Default)]
pub(crate) struct Hooks {
    // A std lock, held for a look only.
    registered: Mutex<Registered>,
    started: watch::Sender<bool>,
}

#[derive(Default)]
struct Registered {
    joined: Vec<Joined>,
    fenced: Vec<Fenced>,
    recover: Vec<Recover>,
}

/// Tells the driver that the node leaves.
#[derive(Debug, Default)]
pub(crate) struct Stop {
    pub(crate) wanted: Notify,
    left: watch::Sender<bool>,
    /// It is about to.
    retired: AtomicBool,
    /// A std lock, held to look.
    parting: Mutex<Parting>,
}

/// How a node leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Parting {
    /// All is done.
    #[default]
    Done,
    /// Something is left for the others.
    Owing,
}

// === impl Hooks ===

impl Hooks {
    fn registered(&self) -> MutexGuard<'_, Registered> {
        self.registered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn on_joined(&self, joined: Joined) {
        self.registered().joined.push(joined);
    }

    pub(crate) fn on_fenced(&self, fenced: Fenced) {
        self.registered().fenced.push(fenced);
    }

    pub(crate) fn on_recovery(&self, recover: Recover) {
        self.registered().recover.push(recover);
    }

    pub(crate) fn start(&self) {
        self.started.send_replace(true);
    }

    /// Whether the node listens. Waits for it.
    pub(crate) async fn started(&self) {
        // The sender lives as long as this does.
        let _ = self.started.subscribe().wait_for(|started| *started).await;
    }

    pub(crate) fn joined(&self, who: Incarnation) {
        let joined = self.registered().joined.clone();
        for joined in joined {
            joined(who);
        }
    }

    /// Waits until all planes have let go, or patience ends.
    pub(crate) async fn fenced(&self, who: Incarnation) {
        let fenced = self.registered().fenced.clone();
        let all = join_all(fenced.iter().map(|fenced| fenced(who)));
        let _ = tokio::time::timeout(limits::FENCE_PATIENCE, all).await;
    }

    /// Waits until all planes have done what they owe, as far as they can. Says whether that
    /// is all.
    pub(crate) async fn recover(&self, peer: &Peer) -> bool {
        let recover = self.registered().recover.clone();
        let done = join_all(recover.iter().map(|recover| recover(peer.clone()))).await;
        done.into_iter().all(|done| done)
    }
}

// === impl Stop ===

impl Stop {
    /// The driver is to claim nobody from now on.
    pub(crate) fn retire(&self) {
        self.retired.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Relaxed)
    }

    /// Asks the driver to end, and waits until it has.
    pub(crate) async fn leave(&self, parting: Parting) {
        *self.parting.lock().unwrap_or_else(PoisonError::into_inner) = parting;
        let mut left = self.left.subscribe();
        self.wanted.notify_one();
        let done = left.wait_for(|left| *left);
        let _ = tokio::time::timeout(limits::JOIN_PATIENCE, done).await;
    }

    pub(crate) fn parting(&self) -> Parting {
        *self.parting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn left(&self) {
        self.left.send_replace(true);
    }
}
