//! Who was declared dead, or has left: nobody listens to them any more, whatever they still
//! have to say.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};

use crate::{Incarnation, NodeId, limits};

/// Those that are gone, the last [`limits::REMEMBERED_DEATHS`] of them.
#[derive(Debug, Default)]
pub(crate) struct Deaths(Mutex<Remembered>);

#[derive(Debug, Default)]
struct Remembered {
    gone: HashSet<Incarnation>,
    order: VecDeque<Incarnation>,
    /// Numbers that nobody has since their last node has gone.
    free: HashSet<NodeId>,
}

// === impl Deaths ===

impl Deaths {
    pub(crate) fn add(&self, who: Incarnation) {
        let mut remembered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !remembered.gone.insert(who) {
            return;
        }
        remembered.free.insert(who.node);
        remembered.order.push_back(who);
        if remembered.order.len() > limits::REMEMBERED_DEATHS
            && let Some(oldest) = remembered.order.pop_front()
        {
            remembered.gone.remove(&oldest);
        }
    }

    /// A node has come: its number is somebody's.
    pub(crate) fn came(&self, who: Incarnation) {
        let mut remembered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        remembered.free.remove(&who.node);
    }

    /// Whether a number is known to be nobody's: NATS may still take messages for it, to a
    /// machine that hangs.
    pub(crate) fn is_free(&self, node: NodeId) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).free.contains(&node)
    }

    pub(crate) fn contains(&self, who: Incarnation) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).gone.contains(&who)
    }
}
