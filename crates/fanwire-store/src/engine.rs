//! The engine, fjall: the only module that knows its API, apart from its byte slices.

use std::panic::{self, AssertUnwindSafe};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use fjall::{AbstractTree as _, Database, Keyspace, KeyspaceCreateOptions, PersistMode};

use crate::batch::{Change, Table};
use crate::error::StoreError;
use crate::folder::Folder;

/// Bytes of blocks kept in memory. Tables are read once, at the start, so this serves
/// compactions only.
const CACHE_BYTES: u64 = 8 * 1024 * 1024;

/// Bytes of a table's changes in memory (its memtable) before they are written as a file. The
/// engine stops taking writes when four more wait to be written.
const MEMTABLE_BYTES: u64 = 4 * 1024 * 1024;

/// Bytes of journals before the engine writes out old tables in order to drop some. A journal
/// takes 64 MB from the moment it is made, most of it a hole.
const JOURNAL_BYTES: u64 = 128 * 1024 * 1024;

/// Files kept open. The process needs its descriptors for connections.
const OPEN_FILES: usize = 64;

/// Threads that write tables to files and merge them. One alone could be busy merging while
/// memory fills up.
const WORKERS: usize = 2;

/// An open database and its tables.
pub(crate) struct Engine {
    /// By the number in [`Table`]. Written when a table is asked for, at the start.
    tables: RwLock<Vec<(&'static str, Keyspace)>>,
    database: Database,
    /// Last, so that the database is closed before the folder is free.
    folder: Folder,
}

// === impl Engine ===

impl Engine {
    /// Opens or makes the database in `folder`.
    pub(crate) fn open(folder: Folder) -> Result<Self, StoreError> {
        // Recovery asserts what it expects of the files: a damaged one must not end the process.
        let opened = panic::catch_unwind(|| {
            Database::builder(folder.data())
                .cache_size(CACHE_BYTES)
                .max_journaling_size(JOURNAL_BYTES)
                .max_cached_files(Some(OPEN_FILES))
                .worker_threads(WORKERS)
                .manual_journal_persist(true)
                .open()
        });
        match opened {
            Ok(Ok(database)) => {
                folder.finish()?;
                Ok(Self { folder, database, tables: RwLock::default() })
            }
            Ok(Err(error)) => Err(explain(&folder, error)),
            Err(_) => Err(folder.damaged("the engine cannot make sense of its files")),
        }
    }

    /// Finds or makes a table.
    pub(crate) fn table(&self, name: &'static str) -> Result<Table, StoreError> {
        let mut tables = self.tables.write().unwrap_or_else(PoisonError::into_inner);
        let number = match tables.iter().position(|(other, _)| *other == name) {
            Some(known) => known,
            None => {
                let made = self.database.keyspace(name, KeyspaceCreateOptions::default);
                tables.push((name, made.map_err(|error| explain(&self.folder, error))?));
                tables.len() - 1
            }
        };
        // Names are literals in the program's text: there are a handful.
        Ok(Table(u16::try_from(number).unwrap_or(u16::MAX)))
    }

    /// Calls `each` with every key that begins with `prefix` and its value, in order.
    pub(crate) fn for_each(
        &self,
        table: Table,
        prefix: &[u8],
        mut each: impl FnMut(&[u8], &[u8]),
    ) -> Result<(), StoreError> {
        let keyspace =
            self.tables().get(usize::from(table.0)).map(|(_, keyspace)| keyspace.clone());
        let Some(keyspace) = keyspace else { return Ok(()) };
        // As in `open`: reading a damaged block may panic.
        let read = panic::catch_unwind(AssertUnwindSafe(|| {
            for guard in keyspace.prefix(prefix) {
                let (key, value) = guard.into_inner()?;
                each(&key, &value);
            }
            Ok(())
        }));
        match read {
            Ok(done) => done.map_err(|error| explain(&self.folder, error)),
            Err(_) => Err(self.folder.damaged("a table cannot be read")),
        }
    }

    /// Writes changes together and hands them to the operating system. Each key may be there
    /// once only: all get the same sequence number.
    pub(crate) fn write(&self, changes: Vec<Change>) -> fjall::Result<()> {
        let mut batch = self.database.batch().durability(Some(PersistMode::Buffer));
        {
            let tables = self.tables();
            for change in changes {
                let Some((_, keyspace)) = tables.get(usize::from(change.table.0)) else {
                    return Err(fjall::Error::KeyspaceDeleted);
                };
                match change.value {
                    Some(value) => batch.insert(keyspace, change.key, value),
                    None => batch.remove(keyspace, change.key),
                }
            }
        }
        batch.commit()
    }

    /// Waits until the disk says that it has everything written so far.
    pub(crate) fn sync(&self) -> fjall::Result<()> {
        self.database.persist(PersistMode::SyncData)
    }

    /// Has memtables that are full written to files. The engine would do it by itself, but
    /// by way of the threads that merge files: while those are busy, memory would grow. Says
    /// whether there was one.
    pub(crate) fn rotate_full(&self) -> fjall::Result<bool> {
        self.rotate(MEMTABLE_BYTES)
    }

    /// Has all memtables written to files, and lets go of those that the engine has kept for
    /// readers of the past, of whom there are none.
    pub(crate) fn settle(&self) -> fjall::Result<()> {
        self.rotate(0).map(drop)
    }

    /// Merges the files of every table into one level, so that what is deleted takes no room.
    /// Takes as long as it takes to copy them.
    pub(crate) fn compact(&self) -> fjall::Result<()> {
        let keyspaces = self.tables().iter().map(|(_, table)| table.clone()).collect::<Vec<_>>();
        for keyspace in keyspaces {
            keyspace.rotate_memtable_and_wait()?;
            keyspace.major_compact()?;
        }
        Ok(())
    }

    /// Bytes of all files, journals with their holes.
    pub(crate) fn disk_bytes(&self) -> Option<u64> {
        self.database.disk_space().ok()
    }

    /// Bytes of all tables' changes that are in memory and in no file yet.
    #[cfg(test)]
    pub(crate) fn memtable_bytes(&self) -> u64 {
        self.tables().iter().map(|(_, keyspace)| keyspace.tree.active_memtable().size()).sum()
    }

    fn rotate(&self, beyond: u64) -> fjall::Result<bool> {
        let mut any = false;
        for (_, keyspace) in self.tables().iter() {
            if keyspace.tree.active_memtable().size() > beyond {
                any |= keyspace.rotate_memtable()?;
            }
        }
        Ok(any)
    }

    fn tables(&self) -> RwLockReadGuard<'_, Vec<(&'static str, Keyspace)>> {
        self.tables.read().unwrap_or_else(PoisonError::into_inner)
    }
}

fn explain(folder: &Folder, error: fjall::Error) -> StoreError {
    match error {
        fjall::Error::Locked => folder.in_use(),
        fjall::Error::Io(source) => StoreError::Io { doing: "open", path: folder.data(), source },
        other => folder.damaged(other.to_string()),
    }
}
