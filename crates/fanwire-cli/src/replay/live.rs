//! What passes the gateway during a check, and waiting for it.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::recording::{Side, Step};
use crate::client::{CommandError, JsonLines};

/// What steps are told apart by: those with the same key have an order among themselves.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) kind: Kind,
    /// The number of the connection, from 1; 0 where it is about none.
    pub(super) connection: usize,
    /// The function, or the API of a broadcast.
    pub(super) name: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Kind {
    Connect,
    Answer,
    FrameIn,
    Event,
    Result,
    FrameOut,
    Broadcast,
    CloseByClient,
    CloseByServer,
}

/// Connections by the order in which they were asked for.
#[derive(Debug, Default)]
pub(super) struct Numbers(HashMap<String, usize>);

/// The traffic of the server under check.
#[derive(Debug)]
pub(super) struct Live {
    lines: JsonLines,
    pub(super) numbers: Numbers,
    pub(super) steps: Vec<(Key, Step)>,
    counts: HashMap<Key, usize>,
}

// === impl Numbers ===

impl Numbers {
    /// The key of a step, which for a handshake numbers its connection. `None` for what
    /// is about a connection that was there before.
    pub(super) fn key(&mut self, step: &Step) -> Option<Key> {
        if let Step::Connect { connection, .. } = step {
            let next = self.0.len() + 1;
            self.0.entry(connection.clone()).or_insert(next);
        }
        let (kind, connection, name) = match step {
            Step::Connect { connection, .. } => (Kind::Connect, connection, ""),
            Step::Connected { connection } | Step::Refused { connection, .. } => {
                (Kind::Answer, connection, "")
            }
            Step::FrameIn { connection, .. } => (Kind::FrameIn, connection, ""),
            Step::Event { connection, function, .. } => {
                (Kind::Event, connection, function.as_str())
            }
            Step::Result { connection, function, .. } => {
                (Kind::Result, connection, function.as_str())
            }
            Step::FrameOut { connection, .. } => (Kind::FrameOut, connection, ""),
            Step::Close { connection, by: Side::Client, .. } => {
                (Kind::CloseByClient, connection, "")
            }
            Step::Close { connection, by: Side::Server, .. } => {
                (Kind::CloseByServer, connection, "")
            }
            Step::Broadcast { api, .. } => {
                return Some(Key { kind: Kind::Broadcast, connection: 0, name: api.clone() });
            }
            Step::Dropped {} => return None,
        };
        let connection = *self.0.get(connection)?;
        Some(Key { kind, connection, name: name.to_owned() })
    }

    /// The id of a connection.
    pub(super) fn id(&self, number: usize) -> Option<&str> {
        self.iter().find(|(_, other)| *other == number).map(|(id, _)| id)
    }

    /// The connections' ids and numbers.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, usize)> {
        self.0.iter().map(|(id, number)| (id.as_str(), *number))
    }
}

// === impl Live ===

impl Live {
    pub(super) fn new(lines: JsonLines) -> Self {
        Self { lines, numbers: Numbers::default(), steps: Vec::new(), counts: HashMap::new() }
    }

    /// Waits until `count` steps with this key have come; false where they have not in
    /// time.
    pub(super) async fn wait_for(
        &mut self,
        key: &Key,
        count: usize,
        patience: Duration,
    ) -> Result<bool, CommandError> {
        let deadline = Instant::now() + patience;
        while self.counts.get(key).copied().unwrap_or_default() < count {
            if !self.take_one(deadline).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Waits until nothing has come for a while.
    pub(super) async fn settle(&mut self, quiet: Duration) -> Result<(), CommandError> {
        while self.take_one(Instant::now() + quiet).await? {}
        Ok(())
    }

    async fn take_one(&mut self, deadline: Instant) -> Result<bool, CommandError> {
        let Ok(line) = timeout_at(deadline, self.lines.next()).await else { return Ok(false) };
        let Some(line) = line? else { return Err(CommandError::Ended) };
        let step: Step = serde_json::from_value(line).map_err(CommandError::broken)?;
        if matches!(step, Step::Dropped {}) {
            let why = "the check was too slow for the server, and lost records; try again";
            return Err(CommandError::Failed(why.to_owned()));
        }
        if let Some(key) = self.numbers.key(&step) {
            *self.counts.entry(key.clone()).or_default() += 1;
            self.steps.push((key, step));
        }
        Ok(true)
    }
}
