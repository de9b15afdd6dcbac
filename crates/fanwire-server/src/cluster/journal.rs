//! What is owed to connections when their node is gone: a record of each that somebody is to
//! hear the end of, in JetStream from before its client hears that it is connected until its
//! end was told.
//!
//! While NATS is away, connections are taken all the same, and recorded when it is back. Only
//! if their node dies in between is nobody told of their ends.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use fanwire_cluster::{
    Change, Cluster, Incarnation, JoinError, Key, Record, Records, State, Write,
};
use fanwire_hub::ConnectionId;
use fanwire_websocket::{Plane, Stay};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{mpsc, oneshot};

use super::stay;

/// The bucket.
const BUCKET: &str = "connections";

/// How long a handshake waits for its record. What takes longer is tried again behind it.
const KEEP_PATIENCE: Duration = Duration::from_secs(2);

/// Records that are deleted, or written after all, in one go.
const BATCH: usize = 1_024;

/// Ends of a dead node's connections that are being told at once. The plane has a bound of
/// its own, for all that it tells.
const ENDS_AT_ONCE: usize = 64;

/// Between two attempts at what JetStream did not do.
const RETRY: Duration = Duration::from_millis(500);

/// How long a server that stops waits for its records to be deleted.
const SETTLE_PATIENCE: Duration = Duration::from_secs(5);

/// The records of connections.
pub(super) struct Journal {
    cluster: Cluster,
    records: Records,
    /// Records that JetStream has not confirmed yet. Bounded by the connections.
    // A std lock, held for a look-up only.
    unwritten: Mutex<HashMap<Key, Bytes>>,
    /// Held to write some of those: what another one has written meanwhile would be taken for
    /// what was told of meanwhile.
    writing: tokio::sync::Mutex<()>,
    /// Connections of this stay whose ends are not told yet.
    owed: AtomicUsize,
    work: mpsc::UnboundedSender<Work>,
}

/// What the journal's task does. Bounded by the connections.
enum Work {
    Delete(Key),
    /// Tell when all before is done.
    Settle(oneshot::Sender<()>),
}

// === impl Journal ===

impl Journal {
    pub(super) async fn open(cluster: &Cluster) -> Result<Arc<Self>, JoinError> {
        let records = cluster.records(BUCKET).await?;
        let (work, to_do) = mpsc::unbounded_channel();
        let journal = Arc::new(Self {
            cluster: cluster.clone(),
            records: records.clone(),
            unwritten: Mutex::default(),
            writing: tokio::sync::Mutex::default(),
            owed: AtomicUsize::new(0),
            work,
        });
        tokio::spawn(delete_all(records, to_do));
        tokio::spawn(write_late(Arc::downgrade(&journal), cluster.clone()));
        Ok(journal)
    }

    /// Keeps a connection's record. `None` where this node is in no cluster just now.
    pub(super) async fn keep(&self, id: ConnectionId, record: Bytes) -> Option<Stay> {
        let me = self.cluster.me()?;
        // Between two stays the hub may have had another number.
        if me.node.0 != id.node() {
            return None;
        }
        self.owed.fetch_add(1, Ordering::Relaxed);
        let key = key(me, id);
        let written = async {
            // Those before it first: who sees it connected may rely on theirs.
            while !self.unwritten().is_empty() && self.write_some().await {}
            self.records.put(&key, record.clone()).await
        };
        let written = tokio::time::timeout(KEEP_PATIENCE, written).await;
        if !matches!(written, Ok(Ok(_))) {
            self.unwritten().insert(key, record);
        }
        Some(stay(me))
    }

    /// The end of a connection was told.
    pub(super) fn forget(&self, id: ConnectionId, of: Stay) {
        let key = key(super::incarnation(of), id);
        self.unwritten().remove(&key);
        let less = |owed: usize| Some(owed.saturating_sub(1));
        let _ = self.owed.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        // The task ends with the process.
        let _ = self.work.send(Work::Delete(key));
    }

    /// This node was declared dead: whoever did so has its records.
    pub(super) fn drop_all(&self) {
        self.unwritten().clear();
        self.owed.store(0, Ordering::Relaxed);
    }

    /// Waits until what was told is deleted. Says whether nothing is owed any more.
    pub(super) async fn settle(&self) -> bool {
        let (done, settled) = oneshot::channel();
        let _ = self.work.send(Work::Settle(done));
        let settled = tokio::time::timeout(SETTLE_PATIENCE, settled).await;
        settled.is_ok() && self.owed.load(Ordering::Relaxed) == 0
    }

    /// Tells the ends of a dead node's connections, those not told yet. Says whether all are
    /// told now: a node that stops tells no more.
    pub(super) async fn tell_ends(&self, plane: &Plane, of: Incarnation) -> bool {
        let prefix = Key::new(of.to_string());
        let mut watch = loop {
            match self.records.watch(Some(&prefix)).await {
                Ok(watch) => break watch,
                Err(_) => tokio::time::sleep(RETRY).await,
            }
        };
        let mut telling = FuturesUnordered::new();
        let mut all = true;
        while all {
            tokio::select! {
                change = watch.next(), if telling.len() < ENDS_AT_ONCE => match change {
                    Change::Put(record) => telling.push(self.tell_end(plane, record)),
                    Change::Deleted(..) => {}
                    Change::Current => break,
                },
                Some(told) = telling.next(), if !telling.is_empty() => all &= told,
            }
        }
        while let Some(told) = telling.next().await {
            all &= told;
        }
        all
    }

    /// Says whether it is told. Where it is not, because this node is about to leave, its record
    /// is for who takes the dead node over then.
    async fn tell_end(&self, plane: &Plane, record: Record) -> bool {
        if !plane.tell_end(&record.value).await {
            return false;
        }
        // Where it is not deleted, and this node dies too, it would be told once more.
        while self.records.write_all(vec![Write::delete(record.key.clone())]).await.is_err() {
            tokio::time::sleep(RETRY).await;
        }
        true
    }

    fn unwritten(&self) -> MutexGuard<'_, HashMap<Key, Bytes>> {
        self.unwritten.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes some of what was not confirmed. Says whether there may be more that can be.
    async fn write_some(&self) -> bool {
        let _alone = self.writing.lock().await;
        let some: Vec<(Key, Bytes)> = {
            let unwritten = self.unwritten();
            unwritten.iter().take(BATCH).map(|(key, value)| (key.clone(), value.clone())).collect()
        };
        let writes = some.iter().map(|(key, value)| Write::put(key.clone(), value.clone()));
        let written = self.records.write(writes.collect()).await;
        let mut went_well = !some.is_empty();
        for ((key, _), written) in some.into_iter().zip(written) {
            went_well &= written.is_ok();
            if written.is_ok() && self.unwritten().remove(&key).is_none() {
                // Its end was told meanwhile, and its record, if any, deleted before this.
                let _ = self.work.send(Work::Delete(key));
            }
        }
        went_well
    }
}

fn key(of: Incarnation, id: ConnectionId) -> Key {
    Key::new(of.to_string()).child(id.to_string())
}

/// Writes what could not be written in time, whenever it can.
async fn write_late(journal: std::sync::Weak<Journal>, cluster: Cluster) {
    let mut state = cluster.state();
    loop {
        if state.wait_for(|state| *state == State::Joined).await.is_err() {
            return;
        }
        let Some(journal) = journal.upgrade() else { return };
        while journal.write_some().await {}
        drop(journal);
        tokio::time::sleep(KEEP_PATIENCE).await;
    }
}

/// Deletes the records of connections whose ends were told.
async fn delete_all(records: Records, mut to_do: mpsc::UnboundedReceiver<Work>) {
    let mut some = Vec::new();
    while to_do.recv_many(&mut some, BATCH).await > 0 {
        let mut keys = Vec::new();
        let mut settled = Vec::new();
        for work in some.drain(..) {
            match work {
                Work::Delete(key) => keys.push(key),
                Work::Settle(done) => settled.push(done),
            }
        }
        while !keys.is_empty() {
            let writes = keys.iter().cloned().map(Write::delete).collect();
            let written = records.write(writes).await;
            let mut written = written.into_iter();
            keys.retain(|_| written.next().is_some_and(|written| written.is_err()));
            if !keys.is_empty() {
                tokio::time::sleep(RETRY).await;
            }
        }
        for done in settled {
            // Whoever waited may have stopped.
            let _ = done.send(());
        }
    }
}

#[cfg(test)]
mod tests {
    use fanwire_cluster::fixture::NatsServer;

    use super::*;

    #[tokio::test]
    async fn records_that_are_written_late_by_two_at_once_stay() {
        let server = NatsServer::start().await;
        let cluster = Cluster::join(server.options("a")).await.unwrap();
        let journal = Journal::open(&cluster).await.unwrap();
        let key = |number: u32| Key::new("stay").child(number.to_string());
        for number in 0..100 {
            journal.unwritten().insert(key(number), "record".into());
        }
        tokio::join!(journal.write_some(), journal.write_some());
        assert!(journal.unwritten().is_empty());
        assert!(journal.settle().await);
        let records = journal.records.load(Some(&Key::new("stay"))).await.unwrap();
        assert_eq!(records.len(), 100);
    }
}
