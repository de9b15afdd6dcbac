//! The handle.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed};
use std::time::Duration;

use crate::batch::{Batch, Table};
use crate::engine::Engine;
use crate::error::{NoRoom, Refused, StoreError, WriteError};
use crate::folder::Folder;
use crate::writer::{Done, Shared, Writer};

/// How a store is kept.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// What an acknowledgement promises beyond the end of the process.
    pub durability: Durability,
    /// Bytes of batches that may wait to be written, 64 MB. Beyond it commits are refused.
    pub max_waiting_bytes: usize,
    /// Bytes of disk beyond which [`Store::room`] says no, 4 GB. Journals take up to 192 MB
    /// of it, and room that deletions make is there when the engine has merged its files.
    pub max_disk_bytes: u64,
}

/// What a crash of the machine may take of what was acknowledged. The end of the process
/// alone never takes anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Whatever the operating system had not written by itself, some 30 s. Costs nothing.
    Process,
    /// What was acknowledged in the last `every`: the disk is made to write that often while
    /// there is something to write.
    Power {
        /// How often, 100 ms unless said otherwise.
        every: Duration,
    },
    /// Nothing: a group is acknowledged once the disk has it. Costs a disk's write for each
    /// group, and groups grow while one is under way.
    Always,
}

/// What a store has done and holds.
#[derive(Clone, Debug)]
pub struct StoreStats {
    /// Bytes of batches that wait to be written.
    pub waiting_bytes: usize,
    /// Batches written.
    pub batches: u64,
    /// Groups that they were written in.
    pub groups: u64,
    /// Bytes of batches written.
    pub written_bytes: u64,
    /// Bytes of disk taken, measured every second while something is written, and a second
    /// after.
    pub disk_bytes: u64,
    /// Why nothing can be written any more.
    pub failed: Option<WriteError>,
}

/// Tells what a store has done, and does not keep it open.
#[derive(Clone)]
pub struct StoreFigures(Arc<Shared>);

/// An open store. Clones are handles to the same one; when the last is dropped, everything
/// that waits is written, the disk has it, and the folder is free.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    /// Before the engine: it writes what waits when it is dropped.
    writer: Writer,
    engine: Arc<Engine>,
    shared: Arc<Shared>,
    options: StoreOptions,
}

// === impl StoreOptions ===

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            durability: Durability::Power { every: Duration::from_millis(100) },
            max_waiting_bytes: 64 * 1024 * 1024,
            max_disk_bytes: 4 * 1024 * 1024 * 1024,
        }
    }
}

// === impl Store ===

impl Store {
    /// Opens the store in `folder`, which is made if it does not exist. Reads what had not
    /// yet been written to tables from the journal: at most a second or two.
    ///
    /// # Errors
    ///
    /// When another process has the folder, a newer version wrote it, or its files make no
    /// sense.
    pub fn open(folder: &Path, options: StoreOptions) -> Result<Self, StoreError> {
        let engine = Arc::new(Engine::open(Folder::take(folder)?)?);
        let shared = Arc::new(Shared::default());
        shared.measure(&engine);
        let writer = Writer::start(Arc::clone(&engine), Arc::clone(&shared), &options).map_err(
            |source| StoreError::Io {
                doing: "start a thread for",
                path: folder.to_owned(),
                source,
            },
        )?;
        Ok(Self(Arc::new(Inner { writer, engine, shared, options })))
    }

    /// The table of that name, made if it does not exist. To be called once for each table,
    /// at the start.
    ///
    /// # Errors
    ///
    /// When it cannot be made.
    pub fn table(&self, name: &'static str) -> Result<Table, StoreError> {
        self.0.engine.table(name)
    }

    /// Calls `each` with every key of `table` that begins with `prefix`, and its value, in
    /// the order of the keys. Blocks on the disk: meant for the start.
    ///
    /// # Errors
    ///
    /// When the table cannot be read to its end.
    pub fn for_each(
        &self,
        table: Table,
        prefix: &[u8],
        each: impl FnMut(&[u8], &[u8]),
    ) -> Result<(), StoreError> {
        self.0.engine.for_each(table, prefix, each)
    }

    /// Has `batch` written, and calls `done` on the store's thread when it is as safe as
    /// [`Durability`] says, or cannot be. Callbacks come in the order of the commits; one
    /// that takes long holds up the others, one that panics does not. Never blocks.
    ///
    /// # Errors
    ///
    /// When too much waits, or something in it is too large; `done` is then not called.
    pub fn commit(
        &self,
        batch: Batch,
        done: impl FnOnce(Result<(), WriteError>) + Send + 'static,
    ) -> Result<(), Refused> {
        if let Some((key, value)) = batch.misfit {
            return Err(Refused::Size { key, value });
        }
        let done: Done = Box::new(done);
        self.0.writer.commit(batch, done, self.0.options.max_waiting_bytes)
    }

    /// Waits until everything that was committed before is on the disk, whatever
    /// [`Durability`] says. Blocks: for the end, and for tests. Not for callbacks, which run
    /// on the thread that would have to do it.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn flush(&self) -> Result<(), WriteError> {
        self.0.writer.flush()
    }

    /// Whether something may be added now: to be asked before something is accepted that
    /// will have to be stored. What is already accepted, and deletions, are committed
    /// without asking. A few atomic reads.
    ///
    /// # Errors
    ///
    /// When it would wait too long, not fit, or never be written.
    pub fn room(&self) -> Result<(), NoRoom> {
        if let Some(error) = self.0.shared.failed.get() {
            return Err(NoRoom::Failed(error.clone()));
        }
        if self.0.shared.waiting_bytes.load(Relaxed) > self.0.options.max_waiting_bytes / 2 {
            return Err(NoRoom::Busy);
        }
        let (bytes, limit) =
            (self.0.shared.disk_bytes.load(Relaxed), self.0.options.max_disk_bytes);
        if bytes > limit { Err(NoRoom::Disk { bytes, limit }) } else { Ok(()) }
    }

    /// What it has done and holds.
    #[must_use]
    pub fn stats(&self) -> StoreStats {
        self.figures().stats()
    }

    /// Who can be asked what it has done, and does not keep it open.
    #[must_use]
    pub fn figures(&self) -> StoreFigures {
        StoreFigures(Arc::clone(&self.0.shared))
    }
}

// === impl StoreFigures ===

impl StoreFigures {
    /// What the store has done and holds.
    #[must_use]
    pub fn stats(&self) -> StoreStats {
        let shared = &self.0;
        StoreStats {
            waiting_bytes: shared.waiting_bytes.load(Acquire),
            batches: shared.batches.load(Relaxed),
            groups: shared.groups.load(Relaxed),
            written_bytes: shared.written_bytes.load(Relaxed),
            disk_bytes: shared.disk_bytes.load(Relaxed),
            failed: shared.failed.get().cloned(),
        }
    }
}

impl std::fmt::Debug for StoreFigures {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("StoreFigures").field(&self.stats()).finish()
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("Store").field(&self.stats()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn memory_is_given_back_once_nothing_is_written_any_more() {
        let folder = tempfile::tempdir().unwrap();
        let options = StoreOptions { durability: Durability::Process, ..StoreOptions::default() };
        let store = Store::open(folder.path(), options).unwrap();
        let table = store.table("t").unwrap();
        // More than fits into one file's worth of memory, which is what is given back only
        // after a while.
        for number in 0..500u32 {
            let mut batch = Batch::new();
            batch.put(table, &number.to_be_bytes(), &[b'v'; 16 * 1024]);
            store.commit(batch, |_| {}).unwrap();
        }
        store.flush().unwrap();
        assert!(store.0.engine.memtable_bytes() > 0);
        let end = Instant::now() + Duration::from_secs(30);
        while store.0.engine.memtable_bytes() > 0 {
            assert!(Instant::now() < end, "memory is kept for ever");
            std::thread::yield_now();
        }
    }
}
