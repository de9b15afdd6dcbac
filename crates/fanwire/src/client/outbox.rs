//! What waits to be written to a connection.

use std::collections::{BTreeMap, VecDeque};

use tokio::sync::mpsc;

/// The most that a connection's task has before it.
const AHEAD: usize = 16;

/// The most that waits behind that. A server that leaves more is none.
const BEHIND: usize = 4096;

/// The way to one connection's task. Dropped, the connection is closed.
#[derive(Debug)]
pub(super) struct Outbox<T> {
    sender: mpsc::Sender<T>,
    behind: VecDeque<T>,
}

/// The server does not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stuck;

// === impl Outbox ===

impl<T> Outbox<T> {
    pub(super) fn new() -> (Self, mpsc::Receiver<T>) {
        let (sender, receiver) = mpsc::channel(AHEAD);
        (Self { sender, behind: VecDeque::new() }, receiver)
    }

    /// Whether nothing waits but what the connection's task has.
    pub(super) fn has_room(&self) -> bool {
        self.behind.is_empty() && self.sender.capacity() > 0
    }

    pub(super) fn put(&mut self, item: T) -> Result<(), Stuck> {
        if self.behind.len() >= BEHIND {
            return Err(Stuck);
        }
        self.behind.push_back(item);
        while let Ok(permit) = self.sender.try_reserve()
            && let Some(next) = self.behind.pop_front()
        {
            permit.send(next);
        }
        Ok(())
    }
}

/// Gives a connection's task what waits, once it has room. Never done while nothing waits.
///
/// Cancel safe.
pub(super) async fn pass_on<K: Ord, T>(outboxes: &mut BTreeMap<K, Outbox<T>>) {
    // The newest first: those before it are about to end.
    let waiting = outboxes.values_mut().rev().find(|outbox| !outbox.behind.is_empty());
    let Some(outbox) = waiting else { return std::future::pending().await };
    match outbox.sender.reserve().await {
        Ok(permit) => {
            if let Some(next) = outbox.behind.pop_front() {
                permit.send(next);
            }
        }
        // It has ended, which its task tells by itself.
        Err(_) => outbox.behind.clear(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_does_not_fit_waits_in_its_order_and_has_a_limit() {
        let (outbox, mut receiver) = Outbox::new();
        let mut outboxes = BTreeMap::from([(1, outbox)]);
        for n in 0..AHEAD + BEHIND {
            outboxes.get_mut(&1).unwrap().put(n).unwrap();
        }
        assert!(!outboxes[&1].has_room());
        assert_eq!(outboxes.get_mut(&1).unwrap().put(0), Err(Stuck));
        for n in 0..AHEAD + BEHIND {
            assert_eq!(receiver.recv().await, Some(n));
            if n < BEHIND {
                pass_on(&mut outboxes).await;
            }
        }
        assert!(outboxes[&1].has_room());
    }
}
