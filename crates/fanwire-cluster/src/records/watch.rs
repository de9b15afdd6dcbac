//! What happens to records, as it happens.

use async_nats::jetstream::consumer::{DeliverPolicy, push};
use futures_util::StreamExt;

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

/// Tells of records as they are, and as they change. Goes on where it was when NATS was away.
pub struct RecordsWatch {
    records: Records,
    prefix: Option<Key>,
    messages: Option<push::Ordered>,
    /// How many are to come before what was there is told; `None` once it is.
    pending: Option<u64>,
    seen: Revision,
}

// === impl RecordsWatch ===

impl RecordsWatch {
    pub(super) async fn begin(records: Records, prefix: Option<Key>) -> Result<Self, RecordsError> {
        let begun = records.consume(prefix.as_ref(), DeliverPolicy::LastPerSubject).await?;
        let (pending, messages) = begun;
        let (messages, pending) = (Some(messages), Some(pending));
        Ok(Self { records, prefix, messages, pending, seen: 0 })
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
            match messages.next().await {
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
        let policy = match self.seen {
            0 => DeliverPolicy::LastPerSubject,
            seen => DeliverPolicy::ByStartSequence { start_sequence: seen + 1 },
        };
        match self.records.consume(self.prefix.as_ref(), policy).await {
            Ok((pending, messages)) => {
                self.pending = self.pending.map(|_| pending);
                self.messages = Some(messages);
            }
            Err(_) => tokio::time::sleep(RETRY).await,
        }
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
