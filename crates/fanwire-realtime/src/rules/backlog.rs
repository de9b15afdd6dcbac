//! What waits for a rule: bounded in messages and in bytes. Filled on shards, which must
//! not block; emptied by the rule's task.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TryRecvError;

use crate::Message;
use crate::tap::Tap;

/// How much may wait for one rule (`realtime.limits.max_rule_events`, `max_rule_bytes`).
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Bounds {
    pub(super) messages: usize,
    pub(super) bytes: usize,
}

/// What became of the messages of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct RuleStats {
    /// Messages that its filter, or Basic Ingest, brought and the backlog took.
    pub taken: u64,
    /// Events that its function has taken.
    pub called: u64,
    /// Messages that it could make no event of, or that its function could not take.
    pub failed: u64,
    /// Messages that the backlog had no room for.
    pub dropped: u64,
}

/// A message that waits.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) message: Arc<Message>,
    /// Where in the message's topic the topic begins that the rule sees.
    pub(super) topic_at: usize,
    /// What it takes of the bytes that may wait.
    cost: usize,
}

/// The rule's end of the backlog: as long as it is there, messages are taken.
#[derive(Debug)]
pub(super) struct Feed {
    sender: mpsc::Sender<Waiting>,
    counters: Arc<Counters>,
}

/// The subscriber's end. It outlives its rule where a shard still remembers it, and then
/// does nothing.
#[derive(Debug)]
pub(super) struct FeedTap {
    sender: mpsc::WeakSender<Waiting>,
    counters: Arc<Counters>,
}

/// The task's end.
#[derive(Debug)]
pub(super) struct Backlog {
    receiver: mpsc::Receiver<Waiting>,
    pub(super) counters: Arc<Counters>,
}

/// Bounds and counts of a rule. Each stands for itself, so none is ordered with another.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) bounds: Bounds,
    waiting_bytes: AtomicUsize,
    taken: AtomicU64,
    called: AtomicU64,
    failed: AtomicU64,
    dropped: AtomicU64,
}

// === impl Backlog ===

impl Backlog {
    /// The two ends of an empty backlog.
    pub(super) fn new(bounds: Bounds) -> (Feed, Self) {
        let (sender, receiver) = mpsc::channel(bounds.messages.max(1));
        let counters = Arc::new(Counters { bounds, ..Counters::default() });
        (Feed { sender, counters: Arc::clone(&counters) }, Self { receiver, counters })
    }

    /// The next message. `None` when the rule is gone, and all is done. The message counts
    /// as waiting until it is [`done`](Self::done).
    pub(super) async fn next(&mut self) -> Option<Waiting> {
        self.receiver.recv().await
    }

    /// Makes room where a message was.
    pub(super) fn done(&self, waiting: &Waiting) {
        self.counters.waiting_bytes.fetch_sub(waiting.cost, Ordering::Relaxed);
    }

    /// Takes no more, and drops what waits.
    pub(super) fn close(&mut self) {
        self.receiver.close();
        loop {
            match self.receiver.try_recv() {
                Ok(waiting) => {
                    self.done(&waiting);
                    self.counters.dropped();
                }
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => return,
            }
        }
    }
}

// === impl Feed ===

impl Feed {
    /// A subscriber that fills the backlog.
    pub(super) fn tap(&self) -> FeedTap {
        FeedTap { sender: self.sender.downgrade(), counters: Arc::clone(&self.counters) }
    }

    /// Takes a message, or drops and counts it.
    pub(super) fn push(&self, message: &Arc<Message>, topic_at: usize) {
        push(&self.sender, &self.counters, message, topic_at);
    }

    pub(super) fn stats(&self) -> RuleStats {
        self.counters.stats()
    }
}

// === impl FeedTap ===

impl Tap for FeedTap {
    fn deliver(&self, message: &Arc<Message>) {
        if let Some(sender) = self.sender.upgrade() {
            push(&sender, &self.counters, message, 0);
        }
    }
}

fn push(
    sender: &mpsc::Sender<Waiting>,
    counters: &Counters,
    message: &Arc<Message>,
    topic_at: usize,
) {
    let cost = message.cost();
    let waiting = Waiting { message: Arc::clone(message), topic_at, cost };
    let before = counters.waiting_bytes.fetch_add(cost, Ordering::Relaxed);
    if before + cost <= counters.bounds.bytes && sender.try_send(waiting).is_ok() {
        counters.taken.fetch_add(1, Ordering::Relaxed);
    } else {
        counters.waiting_bytes.fetch_sub(cost, Ordering::Relaxed);
        counters.dropped();
    }
}

// === impl Counters ===

impl Counters {
    pub(super) fn called(&self) {
        self.called.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn failed(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn dropped(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn stats(&self) -> RuleStats {
        RuleStats {
            taken: self.taken.load(Ordering::Relaxed),
            called: self.called.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            dropped: self.dropped.load(Ordering::Relaxed),
        }
    }
}
