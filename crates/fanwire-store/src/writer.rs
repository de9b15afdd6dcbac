//! The one thread that writes.
//!
//! It takes what waits, all of it up to the size of a group, writes it as one batch of the
//! engine, and calls the callbacks. While it writes, the next group gathers: under load
//! groups grow and the cost of a commit falls.

use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::batch::{Batch, Change};
use crate::engine::Engine;
use crate::error::{Refused, WriteError};
use crate::store::{Durability, StoreOptions};

/// Bytes of batches written as one group, unless a single one is larger: bounds what a
/// commit may wait for.
const GROUP_BYTES: usize = 4 * 1024 * 1024;

/// How often the disk is measured while something is written, and how long after it.
const MEASURE_EVERY: Duration = Duration::from_secs(1);

/// How long nothing is written before memory is given back.
const SETTLE_AFTER: Duration = Duration::from_secs(2);

/// Deletions that make it worth merging all files when the disk is full, and the shortest
/// time between two such merges.
const COMPACT_DELETIONS: usize = 1_000;
const COMPACT_EVERY: Duration = Duration::from_secs(10);

/// What is called when a batch is written, or cannot be.
pub(crate) type Done = Box<dyn FnOnce(Result<(), WriteError>) + Send>;

/// What the writer tells the handles.
#[derive(Default)]
pub(crate) struct Shared {
    /// Bytes of batches that wait, with those of the group that is being written.
    pub(crate) waiting_bytes: AtomicUsize,
    pub(crate) batches: AtomicU64,
    pub(crate) groups: AtomicU64,
    pub(crate) written_bytes: AtomicU64,
    pub(crate) disk_bytes: AtomicU64,
    /// Set once and for all by the first failure.
    pub(crate) failed: OnceLock<WriteError>,
}

/// The handles' end.
pub(crate) struct Writer {
    /// None only while it is dropped: hanging up is what ends the thread.
    orders: Option<Sender<Order>>,
    thread: Option<JoinHandle<()>>,
    shared: Arc<Shared>,
}

enum Order {
    Commit(Batch, Done),
    /// To be answered when everything before it is on the disk.
    Flush(Sender<Result<(), WriteError>>),
}

/// The thread's state.
struct Thread {
    engine: Arc<Engine>,
    shared: Arc<Shared>,
    orders: Receiver<Order>,
    durability: Durability,
    /// When the disk has to have what was written since it last was made to write.
    sync_at: Option<Instant>,
    /// When memory is given back, if nothing is written until then. Only after there was
    /// enough for a file: else a trickle of writes would become a trickle of files.
    settle_at: Option<Instant>,
    /// When the disk is measured: something has changed since it was.
    measure_at: Option<Instant>,
    compacting: Compacting,
}

/// Merging all files because the disk is full.
struct Compacting {
    /// Bytes of disk beyond which it is.
    limit: u64,
    /// Since the last time.
    deletions: usize,
    began: Option<Instant>,
    thread: Option<JoinHandle<()>>,
}

/// Batches that are written as one.
#[derive(Default)]
struct Group {
    changes: Batch,
    callbacks: Vec<Done>,
    /// Who waits for the disk.
    flushes: Vec<Sender<Result<(), WriteError>>>,
}

// === impl Shared ===

impl Shared {
    /// Looks at how much of the disk is taken.
    pub(crate) fn measure(&self, engine: &Engine) {
        if let Some(bytes) = engine.disk_bytes() {
            self.disk_bytes.store(bytes, Relaxed);
        }
    }

    fn check(&self) -> Result<(), WriteError> {
        self.failed.get().map_or(Ok(()), |error| Err(error.clone()))
    }
}

// === impl Writer ===

impl Writer {
    /// Starts the thread.
    pub(crate) fn start(
        engine: Arc<Engine>,
        shared: Arc<Shared>,
        options: &StoreOptions,
    ) -> std::io::Result<Self> {
        let (sender, orders) = mpsc::channel();
        let compacting =
            Compacting { limit: options.max_disk_bytes, deletions: 0, began: None, thread: None };
        let thread = Thread {
            engine,
            shared: Arc::clone(&shared),
            orders,
            durability: options.durability,
            sync_at: None,
            settle_at: None,
            measure_at: None,
            compacting,
        };
        let thread = thread::Builder::new().name("store".to_owned()).spawn(|| thread.run())?;
        Ok(Self { orders: Some(sender), thread: Some(thread), shared })
    }

    /// Lets a batch wait, unless more than `max` bytes then would.
    pub(crate) fn commit(&self, batch: Batch, done: Done, max: usize) -> Result<(), Refused> {
        let bytes = batch.bytes();
        let add = |waiting: usize| {
            // A single batch that is larger than all that may wait has to get through, too.
            (waiting == 0 || waiting.saturating_add(bytes) <= max).then_some(waiting + bytes)
        };
        if self.shared.waiting_bytes.fetch_update(AcqRel, Acquire, add).is_err() {
            return Err(Refused::Full(batch));
        }
        self.send(Order::Commit(batch, done));
        Ok(())
    }

    /// Waits until the disk has everything.
    pub(crate) fn flush(&self) -> Result<(), WriteError> {
        let (sender, answer) = mpsc::channel();
        self.send(Order::Flush(sender));
        answer.recv().unwrap_or_else(|_| Err(WriteError("the store's thread has ended".into())))
    }

    fn send(&self, order: Order) {
        // The thread ends when the sender is dropped, and not before.
        if let Some(Err(lost)) = self.orders.as_ref().map(|orders| orders.send(order))
            && let Order::Commit(_, done) = lost.0
        {
            done(Err(WriteError("the store's thread has ended".into())));
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.orders = None;
        let Some(thread) = self.thread.take() else { return };
        // A callback may hold the last handle: a thread cannot wait for itself.
        if thread.thread().id() != thread::current().id() {
            let _ = thread.join();
        }
    }
}

// === impl Thread ===

impl Thread {
    fn run(mut self) {
        loop {
            let due = [self.sync_at, self.settle_at, self.measure_at];
            let order = match due.into_iter().flatten().min() {
                None => self.orders.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(at) => self.orders.recv_timeout(at.saturating_duration_since(Instant::now())),
            };
            match order {
                Ok(order) => {
                    let group = self.gather(order);
                    self.write(group);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.sync_if_due();
            self.settle_if_due();
            self.measure_if_due();
        }
        let _ = self.sync();
        if let Some(thread) = self.compacting.thread.take() {
            let _ = thread.join();
        }
    }

    /// Takes what waits, up to the size of a group.
    fn gather(&self, first: Order) -> Group {
        let mut group = Group::default();
        let mut next = Some(first);
        while let Some(order) = next {
            match order {
                Order::Commit(batch, done) => {
                    group.changes.append(batch);
                    group.callbacks.push(done);
                }
                Order::Flush(answer) => group.flushes.push(answer),
            }
            next = (group.changes.bytes() < GROUP_BYTES)
                .then(|| self.orders.try_recv().ok())
                .flatten();
        }
        group
    }

    fn write(&mut self, group: Group) {
        let bytes = group.changes.bytes();
        let changes = last_of_each_key(group.changes.changes);
        let mut result = self.write_changes(changes);
        if result.is_ok() && !group.flushes.is_empty() {
            result = self.sync();
        }
        self.shared.batches.fetch_add(group.callbacks.len() as u64, Relaxed);
        self.shared.groups.fetch_add(1, Relaxed);
        self.shared.written_bytes.fetch_add(bytes as u64, Relaxed);
        self.shared.waiting_bytes.fetch_sub(bytes, AcqRel);
        for done in group.callbacks {
            let result = result.clone();
            // What a callback breaks is its own: the next batch's owner waits for an answer.
            let _ = panic::catch_unwind(AssertUnwindSafe(|| done(result)));
        }
        for answer in group.flushes {
            let _ = answer.send(result.clone());
        }
        self.measure_later();
    }

    fn write_changes(&mut self, changes: Vec<Change>) -> Result<(), WriteError> {
        self.shared.check()?;
        if changes.is_empty() {
            return Ok(());
        }
        self.compacting.deletions += changes.iter().filter(|change| change.value.is_none()).count();
        let engine = &self.engine;
        let written = panic::catch_unwind(AssertUnwindSafe(|| {
            engine.write(changes)?;
            engine.rotate_full()
        }));
        if self.note(written.unwrap_or(Err(fjall::Error::Poisoned)))? || self.settle_at.is_some() {
            self.settle_at = Some(Instant::now() + SETTLE_AFTER);
        }
        match self.durability {
            Durability::Process => Ok(()),
            Durability::Power { every } => {
                self.sync_at.get_or_insert_with(|| Instant::now() + every);
                Ok(())
            }
            Durability::Always => self.sync(),
        }
    }

    fn sync_if_due(&mut self) {
        if self.sync_at.is_some_and(|at| at <= Instant::now()) {
            let _ = self.sync();
        }
    }

    fn sync(&mut self) -> Result<(), WriteError> {
        self.sync_at = None;
        self.shared.check()?;
        self.note(self.engine.sync())
    }

    fn settle_if_due(&mut self) {
        if self.settle_at.is_some_and(|at| at <= Instant::now()) {
            self.settle_at = None;
            let _ = self.note(self.engine.settle());
            self.measure_later();
        }
    }

    /// Remembers the first failure, for good.
    fn note<T>(&self, result: fjall::Result<T>) -> Result<T, WriteError> {
        result.map_err(|error| {
            let error = WriteError(error.to_string().into());
            self.shared.failed.get_or_init(|| error).clone()
        })
    }

    fn measure_later(&mut self) {
        self.measure_at.get_or_insert_with(|| Instant::now() + MEASURE_EVERY);
    }

    fn measure_if_due(&mut self) {
        if self.measure_at.is_some_and(|at| at <= Instant::now()) {
            self.measure_at = None;
            self.shared.measure(&self.engine);
            self.compact_if_full();
        }
    }

    /// Makes room where deletions have left some. In its own thread, for it may take long.
    fn compact_if_full(&mut self) {
        let (compacting, disk) = (&mut self.compacting, &self.shared.disk_bytes);
        if disk.load(Relaxed) <= compacting.limit
            || compacting.deletions < COMPACT_DELETIONS
            || compacting.began.is_some_and(|began| began.elapsed() < COMPACT_EVERY)
            || compacting.thread.as_ref().is_some_and(|thread| !thread.is_finished())
        {
            return;
        }
        (compacting.deletions, compacting.began) = (0, Some(Instant::now()));
        let (engine, shared) = (Arc::clone(&self.engine), Arc::clone(&self.shared));
        let compact = move || {
            // Where it fails, the engine will refuse the next write and say why.
            let _ = panic::catch_unwind(AssertUnwindSafe(|| engine.compact()));
            shared.measure(&engine);
        };
        compacting.thread =
            thread::Builder::new().name("store-compact".to_owned()).spawn(compact).ok();
    }
}

/// Leaves the last change of each key: the engine gives all changes of a batch one sequence
/// number and would keep any of them.
fn last_of_each_key(mut changes: Vec<Change>) -> Vec<Change> {
    let same = |one: &Change, other: &Change| one.table == other.table && one.key == other.key;
    changes.reverse();
    // Stable: of equal keys the last change now comes first, and is the one that stays.
    changes.sort_by(|one, other| (one.table, &one.key).cmp(&(other.table, &other.key)));
    changes.dedup_by(|later, kept| same(later, kept));
    changes
}
