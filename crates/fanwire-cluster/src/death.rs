//! Who was declared dead, or has left: nobody listens to them any more, whatever they still
//! have to say.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};

use crate::{Incarnation, limits};

/// Those that are gone, the last [`limits::REMEMBERED_DEATHS`] of them.
#[derive(Debug, Default)]
pub(crate) struct Deaths(Mutex<Remembered>);

#[derive(Debug, Default)]
struct Remembered {
    gone: HashSet<Incarnation>,
    order: VecDeque<Incarnation>,
}

// === impl Deaths ===

impl Deaths {
    pub(crate) fn add(&self, who: Incarnation) {
        let mut remembered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !remembered.gone.insert(who) {
            return;
        }
        remembered.order.push_back(who);
        if remembered.order.len() > limits::REMEMBERED_DEATHS
            && let Some(oldest) = remembered.order.pop_front()
        {
            remembered.gone.remove(&oldest);
        }
    }

    pub(crate) fn contains(&self, who: Incarnation) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).gone.contains(&who)
    }
}
