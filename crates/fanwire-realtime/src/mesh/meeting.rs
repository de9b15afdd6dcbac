//! A node that comes to the others: before it lets anybody in it knows who they are, and what
//! each of them listens to. Else it would tell publishers that a message is kept everywhere
//! while it does not know where that is, and let clients in whose sessions others have.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::Node;
use super::state::Mesh;

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
    /// These have not told what they listen to.
    Meets(BTreeSet<Node>),
    /// It knows all. Who comes later tells it in time: its clients' subscriptions wait for that.
    Met,
}

impl Mesh {
    /// Whoever was there when this node came has [joined](Self::joined) here.
    pub fn knows_all(&self) {
        // Held meanwhile, so that whoever dies is taken out again.
        let mut stage = self.meeting.stage();
        let mut meets: BTreeSet<Node> = self.state().living().collect();
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        meets.retain(|node| !heard.contains_key(node));
        drop(heard);
        *stage = Stage::Meets(meets);
        drop(stage);
        self.meeting.go_on(None);
    }

    /// Waits until this node knows what all others listen to that were there when it came and
    /// have not died since.
    pub async fn met(&self) {
        loop {
            let mut over = std::pin::pin!(self.meeting.over.notified());
            // From now on its end is noticed.
            over.as_mut().enable();
            if matches!(*self.meeting.stage(), Stage::Met) {
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

    /// Another node has told what it listens to, or is gone.
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
