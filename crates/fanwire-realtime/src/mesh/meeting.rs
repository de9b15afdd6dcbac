//! A node that comes to the others: before it lets anybody in it knows who they are, and what
//! each of them listens to. Else it would tell publishers that a message is kept everywhere
//! while it does not know where that is, and let clients in whose sessions others have.
//!
//! A node that has died tells no more. Its sessions are nowhere until another has adopted
//! them: so that is waited for, too.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::Node;
use super::state::Mesh;
use crate::promise::Promise;

/// How far this node is with meeting the others.
#[derive(Debug, Default)]
pub(super) struct Meeting {
    // A std lock, held to look.
    stage: Mutex<Stage>,
    over: Notify,
}

#[derive(Debug, Default)]
enum Stage {
    /// It does not know who there is.
    #[default]
    Alone,
    /// These have not told what they listen to, or have died and nobody has their sessions.
    Meets(BTreeSet<Node>),
    /// It knows all. Who comes later tells it in time: its clients' subscriptions wait for that.
    Met,
}

impl Mesh {
    /// Whoever was there when this node came has [joined](Self::joined) here, and these had died
    /// before without all being [done for them](Self::recovered).
    pub fn knows_all(&self, dead: impl IntoIterator<Item = Node>) {
        // Held meanwhile, so that whoever leaves is taken out again.
        let mut stage = self.meeting.stage();
        let state = self.state();
        let mut meets: BTreeSet<Node> =
            dead.into_iter().filter(|node| state.heir_of(*node).is_none()).collect();
        meets.extend(state.peers.keys());
        drop(state);
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        meets.retain(|node| !heard.contains_key(node));
        drop(heard);
        *stage = Stage::Meets(meets);
        drop(stage);
        self.meeting.go_on(None);
    }

    /// All is done for a node that has died: its sessions, where it had any, are another's.
    pub fn recovered(self: &Arc<Self>, dead: Node) {
        if !self.meeting.meets(dead) {
            return;
        }
        let mesh = Arc::clone(self);
        // Whoever has them has told so, but by another way.
        let told = Promise::new(0, Arc::new(move |_, _| mesh.meeting.go_on(Some(dead))));
        self.have_nodes_pass(told);
    }

    /// Waits until this node knows what all others listen to that were there when it came, and
    /// until somebody has the sessions of those that have died.
    pub async fn met(&self) {
        loop {
            let mut over = std::pin::pin!(self.meeting.over.notified());
            // From now on its end is noticed.
            over.as_mut().enable();
            if self.meeting.is_over() {
                return;
            }
            over.await;
        }
    }
}

// === impl Meeting ===

impl Meeting {
    /// This node is nobody, and is to meet the others again.
    pub(super) fn begin_anew(&self) {
        *self.stage() = Stage::Alone;
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(*self.stage(), Stage::Met)
    }

    fn meets(&self, node: Node) -> bool {
        matches!(&*self.stage(), Stage::Meets(meets) if meets.contains(&node))
    }

    /// Another node has told what it listens to, or has nothing to tell any more.
    pub(super) fn go_on(&self, with: Option<Node>) {
        let mut stage = self.stage();
        let Stage::Meets(meets) = &mut *stage else { return };
        if let Some(node) = with {
            meets.remove(&node);
        }
        if meets.is_empty() {
            *stage = Stage::Met;
            drop(stage);
            self.over.notify_waiters();
        }
    }

    fn stage(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
