//! What the brokers of the shards have done and hold, for metrics. Each shard counts for itself,
//! without a lock; who asks adds up.

use std::sync::Arc;

use fanwire_hub::Tally;

/// Why a message does not go to a client that it was for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DropReason {
    /// The client does not read what it is sent.
    SlowClient,
    /// As many messages wait for the session as may.
    QueueFull,
    /// Too much was to be written in one turn.
    TurnFull,
    /// Its expiry interval was over before its turn came.
    Expired,
    /// It is longer than the client takes.
    TooLong,
    /// The client may not receive it any more.
    Forbidden,
    /// The session ended while it waited.
    SessionEnded,
}

/// What the brokers have done since the start, and what they hold now, over all shards. Of
/// messages for clients there are as many `routed` as `sent`, `dropped` and `queued` together;
/// one for many clients counts once for each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RealtimeStats {
    /// Sessions now, with and without a client.
    pub sessions: u64,
    /// Subscriptions of sessions now, shared ones included.
    pub subscriptions: u64,
    /// Messages of QoS 1 and 2 that wait for their turn now.
    pub queued: u64,
    /// Bytes of those, with what is in flight to clients that are away.
    pub queued_bytes: u64,
    /// Messages that clients published.
    pub published: u64,
    /// Messages that were for a client, with those that waited when the process began.
    pub routed: u64,
    /// Messages that were given to a client's connection for the first time.
    pub sent: u64,
    /// Messages that were not, by [`DropReason`].
    pub dropped: [u64; DropReason::ALL.len()],
    /// Retained messages now.
    pub retained: usize,
    /// Bytes of those.
    pub retained_bytes: usize,
}

/// What one shard counts. Its thread alone writes.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    pub(crate) sessions: Tally,
    pub(crate) subscriptions: Tally,
    pub(crate) queued: Tally,
    pub(crate) queued_bytes: Tally,
    pub(crate) published: Tally,
    pub(crate) routed: Tally,
    pub(crate) sent: Tally,
    dropped: [Tally; DropReason::ALL.len()],
}

/// What every shard counts.
#[derive(Debug)]
pub(crate) struct AllFigures(Box<[Arc<Figures>]>);

// === impl DropReason ===

impl DropReason {
    /// All of them, in the order of [`RealtimeStats::dropped`].
    pub const ALL: [Self; 7] = [
        Self::SlowClient,
        Self::QueueFull,
        Self::TurnFull,
        Self::Expired,
        Self::TooLong,
        Self::Forbidden,
        Self::SessionEnded,
    ];

    /// Its name in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SlowClient => "slow_client",
            Self::QueueFull => "queue_full",
            Self::TurnFull => "turn_full",
            Self::Expired => "expired",
            Self::TooLong => "too_long",
            Self::Forbidden => "forbidden",
            Self::SessionEnded => "session_ended",
        }
    }
}

// === impl Figures ===

impl Figures {
    /// Counts messages that were for a client and do not go there.
    pub(crate) fn lose(&self, reason: DropReason, messages: u64) {
        self.dropped[reason as usize].add(messages);
    }

    /// All that were lost, for whatever reason.
    #[cfg(test)]
    pub(crate) fn lost(&self) -> u64 {
        self.dropped.iter().map(Tally::get).sum()
    }

    /// Counts a message for a client that was written to it, or would not fit into what it
    /// takes.
    pub(crate) fn written(&self, was: bool) {
        if was { self.sent.add(1) } else { self.lose(DropReason::TooLong, 1) }
    }
}

// === impl AllFigures ===

impl AllFigures {
    pub(crate) fn new(shards: usize) -> Self {
        Self((0..shards).map(|_| Arc::default()).collect())
    }

    /// What a shard counts with.
    pub(crate) fn of(&self, shard: usize) -> Arc<Figures> {
        self.0.get(shard).map(Arc::clone).unwrap_or_default()
    }

    /// All together.
    pub(crate) fn sum(&self) -> RealtimeStats {
        let mut sum = RealtimeStats::default();
        for shard in &self.0 {
            sum.sessions += shard.sessions.get();
            sum.subscriptions += shard.subscriptions.get();
            sum.queued += shard.queued.get();
            sum.queued_bytes += shard.queued_bytes.get();
            sum.published += shard.published.get();
            sum.routed += shard.routed.get();
            sum.sent += shard.sent.get();
            for (total, counted) in sum.dropped.iter_mut().zip(&shard.dropped) {
                *total += counted.get();
            }
        }
        sum
    }
}
