//! What the sessions of the shards have done, for metrics. Each shard counts for itself,
//! without a lock; who asks adds up.

use fanwire_hub::Tally;

/// What the plane has done since the start, over all shards. Of messages for clients there are
/// as many `routed` as `sent` and dropped together; one for many clients counts once for each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WebSocketStats {
    /// Messages that clients sent.
    pub received: u64,
    /// Messages that were for a connection.
    pub routed: u64,
    /// Messages that were given to the connection.
    pub sent: u64,
    /// Messages that were not, because the client does not read what it is sent.
    pub slow_client: u64,
    /// Replies that were not, because the connection was being closed.
    pub closing: u64,
}

/// What one shard counts. Its thread alone writes.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    pub(crate) received: Tally,
    pub(crate) routed: Tally,
    pub(crate) sent: Tally,
    pub(crate) slow_client: Tally,
    pub(crate) closing: Tally,
}

/// What every shard counts.
#[derive(Debug)]
pub(crate) struct AllFigures {
    shards: Box<[Figures]>,
    /// For a shard that is none.
    none: Figures,
}

// === impl AllFigures ===

impl AllFigures {
    pub(crate) fn new(shards: usize) -> Self {
        Self { shards: (0..shards).map(|_| Figures::default()).collect(), none: Figures::default() }
    }

    /// What a shard counts with.
    pub(crate) fn of(&self, shard: usize) -> &Figures {
        self.shards.get(shard).unwrap_or(&self.none)
    }

    /// All together.
    pub(crate) fn sum(&self) -> WebSocketStats {
        let mut sum = WebSocketStats::default();
        for shard in &self.shards {
            sum.received += shard.received.get();
            sum.routed += shard.routed.get();
            sum.sent += shard.sent.get();
            sum.slow_client += shard.slow_client.get();
            sum.closing += shard.closing.get();
        }
        sum
    }
}
