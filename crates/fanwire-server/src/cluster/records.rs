//! What the realtime plane keeps of sessions and retained messages, in JetStream.
//!
//! A session's records are under the stay of the node that it lives on: a node that was
//! declared dead may go on writing, but not into what another has adopted meanwhile. Where a
//! session moves, its new node says under the old one's stay that it is there no more.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use fanwire_cluster::{
    Change, Cluster, Incarnation, JoinError, Key, Records, RecordsError, RecordsWatch, Write,
};
use fanwire_realtime::mesh::{
    Done, Mesh, Node, Record, RecordKey, RetainedRecords, SessionPieces, SessionRecords,
};
use tokio::sync::{mpsc, oneshot};

/// The buckets.
const SESSIONS: &str = "sessions";
const RETAINED: &str = "retained";

/// What may wait to be written before clients are read from no more, in bytes.
const BEHIND_BYTES: usize = 16 * 1024 * 1024;

/// Commits that are written in one go, at the most.
const COMMITS_AT_ONCE: usize = 512;

/// How long a server that stops waits for what it has of sessions to be kept.
const SETTLE_PATIENCE: Duration = Duration::from_secs(5);

/// Between two attempts at what JetStream did not take.
const RETRY: Duration = Duration::from_millis(200);

/// Writes records in the order in which it is told, the latest of each where several wait.
struct Writer {
    jobs: mpsc::UnboundedSender<Job>,
    bytes: Arc<AtomicUsize>,
}

/// A record's new value.
#[derive(Clone)]
struct Value {
    bytes: Bytes,
    /// How long it lives, where it ends by itself.
    life: Option<Duration>,
}

/// Records and their new values, where they have any.
type Changes = Vec<(Key, Option<Value>)>;

/// Changes that somebody waits for.
struct Job {
    /// The stay of this node that they were made in, where it has to be the same still.
    stay: Option<Incarnation>,
    changes: Changes,
    bytes: usize,
    done: Done,
}

/// What sessions leave for other nodes.
pub(super) struct Sessions {
    cluster: Cluster,
    writer: Writer,
    records: Records,
}

/// The retained messages that all nodes have.
pub(super) struct Retained {
    writer: Writer,
    records: Records,
}

// === impl Writer ===

impl Writer {
    fn start(cluster: &Cluster, records: Records) -> Self {
        let (jobs, to_do) = mpsc::unbounded_channel();
        let bytes = Arc::new(AtomicUsize::new(0));
        tokio::spawn(write(cluster.clone(), records, to_do, Arc::clone(&bytes)));
        Self { jobs, bytes }
    }

    fn write(&self, stay: Option<Incarnation>, changes: Changes, done: Done) {
        let length = |value: &Value| value.bytes.len();
        let bytes = changes
            .iter()
            .map(|(key, value)| key.as_str().len() + value.as_ref().map_or(0, length));
        let bytes = bytes.sum();
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        if let Err(mpsc::error::SendError(job)) = self.jobs.send(Job { stay, changes, bytes, done })
        {
            (job.done)(false);
        }
    }

    fn is_behind(&self) -> bool {
        self.bytes.load(Ordering::Relaxed) > BEHIND_BYTES
    }
}

async fn write(
    cluster: Cluster,
    records: Records,
    mut to_do: mpsc::UnboundedReceiver<Job>,
    bytes: Arc<AtomicUsize>,
) {
    let mut jobs = Vec::new();
    while to_do.recv_many(&mut jobs, COMMITS_AT_ONCE).await > 0 {
        let stay = jobs.iter().rev().find_map(|job| job.stay);
        let mut latest = BTreeMap::new();
        for job in &mut jobs {
            for (key, value) in &mut job.changes {
                latest.insert(key.as_str().to_owned(), (key.clone(), value.take()));
            }
        }
        let latest = latest.into_values().collect();
        let refused = write_latest(&cluster, &records, stay, latest).await;
        let settled = match (stay, &refused) {
            (_, None) => false,
            (Some(stay), Some(_)) => cluster.settled(stay).await,
            (None, Some(_)) => true,
        };
        for job in jobs.drain(..) {
            bytes.fetch_sub(job.bytes, Ordering::Relaxed);
            let is_refused = |(key, _): &(Key, _)| refused.iter().any(|them| them.contains(key));
            let kept = settled && !job.changes.iter().any(is_refused);
            (job.done)(kept && (job.stay.is_none() || job.stay == stay));
        }
    }
}

/// Writes until all is written that NATS takes, and says what it does not: what is too large.
/// `None` where this node is no longer who it was.
async fn write_latest(
    cluster: &Cluster,
    records: &Records,
    stay: Option<Incarnation>,
    mut left: Changes,
) -> Option<Vec<Key>> {
    let mut refused = Vec::new();
    loop {
        let writes = left.iter().map(|(key, value)| match value {
            Some(Value { bytes, life }) => {
                Write { life: *life, ..Write::put(key.clone(), bytes.clone()) }
            }
            None => Write::delete(key.clone()),
        });
        let mut written = records.write(writes.collect()).await.into_iter();
        left.retain(|(key, _)| match written.next() {
            Some(Err(RecordsError::TooLarge { .. })) => {
                refused.push(key.clone());
                false
            }
            one => one.is_some_and(|one| one.is_err()),
        });
        if left.is_empty() {
            return Some(refused);
        }
        if stay.is_some() && cluster.me() != stay {
            return None;
        }
        tokio::time::sleep(RETRY).await;
    }
}

// === impl Sessions ===

impl Sessions {
    pub(super) async fn open(cluster: &Cluster) -> Result<Arc<Self>, JoinError> {
        let records = cluster.records(SESSIONS).await?;
        let writer = Writer::start(cluster, records.clone());
        Ok(Arc::new(Self { cluster: cluster.clone(), writer, records }))
    }

    /// Waits until all that was to be kept so far is, for a while. Says whether it is.
    pub(super) async fn settle(&self) -> bool {
        let (done, kept) = oneshot::channel();
        let told = Box::new(move |ok| {
            // Whoever waited may have stopped.
            let _ = done.send(ok);
        });
        self.writer.write(self.cluster.me(), Vec::new(), told);
        tokio::time::timeout(SETTLE_PATIENCE, kept).await.is_ok_and(|kept| kept == Ok(true))
    }

    /// Reads the sessions of a node in one of its stays, however long JetStream is away.
    pub(super) async fn load(&self, of: Incarnation) -> (Vec<SessionPieces>, Vec<Key>) {
        let prefix = Key::new(of.to_string());
        let records = loop {
            match self.records.load(Some(&prefix)).await {
                Ok(records) => break records,
                Err(_) => tokio::time::sleep(RETRY).await,
            }
        };
        let mut sessions: HashMap<String, SessionPieces> = HashMap::new();
        let mut keys = Vec::new();
        for record in records {
            keys.push(record.key.clone());
            let Some((client, piece)) = split(record.key.as_str()) else { continue };
            let session = sessions.entry(client.to_owned()).or_default();
            match piece {
                RecordKey::Session => {
                    let Some((client_id, value)) = named(&record.value) else { continue };
                    session.client_id = client_id.into();
                    session.pieces.push((piece, value.to_vec()));
                }
                _ => session.pieces.push((piece, record.value.to_vec())),
            }
        }
        // Pieces without a session are of one that has ended.
        let sessions = sessions.into_values().filter(|session| !session.client_id.is_empty());
        (sessions.collect(), keys)
    }

    /// Deletes records of a node whose sessions live elsewhere now.
    pub(super) async fn delete(&self, mut keys: Vec<Key>) {
        loop {
            let writes = keys.iter().cloned().map(Write::delete).collect();
            let mut written = self.records.write(writes).await.into_iter();
            keys.retain(|_| written.next().is_some_and(|one| one.is_err()));
            if keys.is_empty() {
                return;
            }
            tokio::time::sleep(RETRY).await;
        }
    }
}

impl SessionRecords for Sessions {
    fn commit(&self, changes: Vec<Record>, done: Done) {
        let Some(stay) = self.cluster.me() else { return done(false) };
        let changes = changes.into_iter().map(|Record { client_id, key, value }| {
            let value = value.map(|value| match key {
                RecordKey::Session => [client_id.as_bytes(), &[0], &value].concat().into(),
                _ => Bytes::from(value),
            });
            let value = value.map(|bytes| Value { bytes, life: None });
            (key_of(stay, &client_id, key), value)
        });
        self.writer.write(Some(stay), changes.collect(), done);
    }

    fn forget_left(&self, at: Node, client_id: &str, done: Done) {
        let Some(stay) = self.cluster.me() else { return done(false) };
        let key = key_of(super::realtime::incarnation(at), client_id, RecordKey::Session);
        self.writer.write(Some(stay), vec![(key, None)], done);
    }

    fn is_behind(&self) -> bool {
        self.writer.is_behind()
    }
}

// === impl Retained ===

impl Retained {
    pub(super) async fn open(cluster: &Cluster) -> Result<Arc<Self>, JoinError> {
        let records = cluster.records(RETAINED).await?;
        let writer = Writer::start(cluster, records.clone());
        Ok(Arc::new(Self { writer, records }))
    }

    /// Begins to tell of what is retained.
    pub(super) async fn watch(&self) -> RecordsWatch {
        loop {
            match self.records.watch(None).await {
                Ok(watch) => return watch,
                Err(_) => tokio::time::sleep(RETRY).await,
            }
        }
    }
}

/// Has the plane know of the next change. Says whether it knows all that was there.
pub(super) fn tell(mesh: &Mesh, change: Change) -> bool {
    match change {
        // Its topic is in it: a long one is not in its key.
        Change::Put(record) => mesh.retained_changed(&record.value),
        Change::Deleted(key, _) => {
            let topic = key.parts().next().flatten().map(String::from_utf8);
            if let Some(Ok(topic)) = topic {
                mesh.retained_forgotten(&topic);
            }
        }
        Change::Current => return true,
    }
    false
}

impl RetainedRecords for Retained {
    fn set(&self, topic: &str, message: Vec<u8>, gone: bool, life: Option<Duration>, done: Done) {
        let key = Key::new(topic);
        // Of a key that is a hash nobody would know which topic it was.
        let deleted = gone && key.parts().all(|part| part.is_some());
        let value = (!deleted).then(|| Value { bytes: message.into(), life });
        self.writer.write(None, vec![(key, value)], done);
    }
}

fn key_of(stay: Incarnation, client_id: &str, key: RecordKey) -> Key {
    let (kind, number) = key.parts();
    Key::new(stay.to_string()).child(client_id).child(format!("{}{number}", char::from(kind)))
}

/// The client's part of a key, as it is there, and which piece of the session it is.
fn split(key: &str) -> Option<(&str, RecordKey)> {
    let (rest, piece) = key.rsplit_once('.')?;
    let (_, client) = rest.rsplit_once('.')?;
    let kind = *piece.as_bytes().first()?;
    Some((client, RecordKey::of_parts(kind, piece.get(1..)?.parse().ok()?)?))
}

/// The client id that a session's record begins with.
fn named(value: &[u8]) -> Option<(&str, &[u8])> {
    // Client ids have no U+0000 in them.
    let end = value.iter().position(|byte| *byte == 0)?;
    Some((std::str::from_utf8(&value[..end]).ok()?, &value[end + 1..]))
}

#[cfg(test)]
mod tests {
    use fanwire_cluster::fixture::NatsServer;

    use super::*;

    #[tokio::test]
    async fn a_record_that_nats_does_not_take_keeps_no_other_from_being_kept() {
        let server = NatsServer::start().await;
        let cluster = Cluster::join(server.options("a")).await.unwrap();
        let records = cluster.records(SESSIONS).await.unwrap();
        let writer = Writer::start(&cluster, records.clone());
        // The task that writes has not run yet: both are written in one go.
        let told = [("large", 2 << 20), ("small", 1)].map(|(name, length)| {
            let (done, told) = oneshot::channel();
            let value = Value { bytes: vec![b'x'; length].into(), life: None };
            let done = Box::new(move |kept| done.send(kept).unwrap());
            writer.write(None, vec![(Key::new(name), Some(value))], done);
            told
        });
        let [large, small] = told;
        assert_eq!((large.await, small.await), (Ok(false), Ok(true)));
        assert!(records.get(&Key::new("small")).await.unwrap().is_some());
    }
}
