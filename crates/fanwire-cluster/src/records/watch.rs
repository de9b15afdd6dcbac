//! What happens to records, as it happens.

use async_nats::jetstream::consumer::{DeliverPolicy, push};
use futures_util::StreamExt;
use tokio::sync::watch;

use super::{Key, Record, Records, Revision};
use crate::RecordsError;

/// Between two attempts to begin again.
const RETRY: std::time::Duration = std::time::Duration::from_millis(500);

/// What happens to records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A record has this value now.
    Put(Record),
    /// A record is there no more.
    Deleted(Key, Revision),
    /// All that was there when the watch began has been told. Told once.
    Current,
}

/// Tells of records as they are, and as they change. Goes on where it was when NATS was away;
/// begins anew, without a word of what is gone, where NATS has lost the bucket.
pub struct RecordsWatch {
    records: Records,
    prefix: Option<Key>,
    messages: Option<push::Ordered>,
    /// How many are to come before what was there is told; `None` once it is.
    pending: Option<u64>,
    seen: Revision,
    /// When the bucket was made that this is of.
    made: i128,
    made_again: watch::Receiver<()>,
}

// === impl RecordsWatch ===

impl RecordsWatch {
    pub(super) async fn begin(records: Records, prefix: Option<Key>) -> Result<Self, RecordsError> {
        let (made_again, made) = (records.nats.buckets_made_again(), records.made().await?);
        let begun = records.consume(prefix.as_ref(), DeliverPolicy::LastPerSubject).await?;
        let (pending, messages) = begun;
        let (messages, pending) = (Some(messages), Some(pending));
        Ok(Self { records, prefix, messages, pending, seen: 0, made, made_again })
    }

    /// The next change.
    pub async fn next(&mut self) -> Change {
        loop {
            if self.pending == Some(0) {
                self.pending = None;
                return Change::Current;
            }
            let Some(messages) = &mut self.messages else {
                self.begin_again().await;
                continue;
            };
            let next = tokio::select! {
                next = messages.next() => next,
                // It may be another one, whose revisions are lower than those that were seen.
                _ = self.made_again.changed() => None,
            };
            match next {
                Some(Ok(message)) => {
                    if let Some(pending) = &mut self.pending {
                        *pending = pending.saturating_sub(1);
                    }
                    if let Some(change) = self.records.change(&message) {
                        self.seen = change.revision().unwrap_or(self.seen);
                        return change;
                    }
                }
                Some(Err(_)) | None => self.messages = None,
            }
        }
    }

    async fn begin_again(&mut self) {
        if self.try_again().await.is_err() {
            tokio::time::sleep(RETRY).await;
        }
    }

    async fn try_again(&mut self) -> Result<(), RecordsError> {
        let made = self.records.made().await?;
        if made != self.made {
            (self.made, self.seen) = (made, 0);
        }
        let policy = match self.seen {
            0 => DeliverPolicy::LastPerSubject,
            seen => DeliverPolicy::ByStartSequence { start_sequence: seen + 1 },
        };
        let (pending, messages) = self.records.consume(self.prefix.as_ref(), policy).await?;
        self.pending = self.pending.map(|_| pending);
        self.messages = Some(messages);
        Ok(())
    }
}

impl std::fmt::Debug for RecordsWatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RecordsWatch").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

// === impl Change ===

impl Change {
    fn revision(&self) -> Option<Revision> {
        match self {
            Self::Put(record) => Some(record.revision),
            Self::Deleted(_, revision) => Some(*revision),
            Self::Current => None,
        }
    }
}
