//! Ordered tables that survive a crash, in an embedded engine.
//!
//! A plane keeps in memory what it works with, and here what has to outlive the process.
//! So this store is written all the time and read once, at the start: there is no `get`.
//!
//! # Brief overview
//!
//! - [`Store`] is the cheap handle: [`open`](Store::open) a folder, alone;
//!   [`table`](Store::table) finds or makes an ordered table;
//!   [`for_each`](Store::for_each) reads one; [`commit`](Store::commit) writes.
//! - [`Batch`] is what is written together or not at all, over any tables.
//! - `writer` is the one thread that writes: it takes every batch that waits, writes them
//!   as one (a *group*), and calls each batch's callback, in the order of the commits.
//! - `engine` is the only module that knows the engine, [fjall].
//!
//! ```
//! use fanwire_store::{Batch, Store, StoreOptions};
//!
//! let folder = tempfile::tempdir().unwrap();
//! let store = Store::open(folder.path(), StoreOptions::default())?;
//! let retained = store.table("retained")?;
//!
//! let mut batch = Batch::new();
//! batch.put(retained, b"sport/tennis", b"6-4");
//! store.commit(batch, |result| assert!(result.is_ok())).unwrap();
//! store.flush().unwrap();
//!
//! let mut seen = Vec::new();
//! store.for_each(retained, b"sport/", |key, value| seen.push((key.to_vec(), value.to_vec())))?;
//! assert_eq!(seen, [(b"sport/tennis".to_vec(), b"6-4".to_vec())]);
//! # Ok::<(), fanwire_store::StoreError>(())
//! ```
//!
//! # Durability
//!
//! A batch whose callback got `Ok` has been handed to the operating system: it is there
//! after the process has ended, however that came (`SIGKILL`, a panic, out of memory).
//! What a crash of the *machine* may take is up to [`Durability`]: by default the last
//! 100 ms. Groups are written in order and each is whole or absent, so what a power cut
//! takes is always the newest groups.
//!
//! After a write has failed nothing is acknowledged any more until the store is opened
//! anew: an operating system that has failed to write a page may report the next attempt
//! as a success without having written anything ("Can Applications Recover from fsync
//! Failures?", USENIX ATC 2020).
//!
//! # Bounds
//!
//! | what | at most |
//! |---|---|
//! | bytes of batches that wait | [`StoreOptions::max_waiting_bytes`], 64 MB; beyond: [`Refused::Full`] |
//! | a group | 4 MB, or one batch |
//! | memory of a table that is not in files yet | 4 MB and a group; five times that while the disk cannot follow |
//! | cache of blocks read | 8 MB |
//! | files open | 64 |
//! | a key, a value | 1 to 65,535 bytes, 256 MB; beyond: [`Refused::Size`] |
//! | disk | [`StoreOptions::max_disk_bytes`], asked for with [`Store::room`]; up to 192 MB of it are journals |
//!
//! After writing 256 MB as fast as it goes, in values of 256 B to 64 KB, a process had peaked
//! at 30 MB above what it began with. Opening a store takes none of it: what has not been
//! written to files is read from the journal, at most 64 MB of it.
//!
//! [fjall]: https://docs.rs/fjall

mod batch;
mod engine;
mod error;
mod folder;
mod store;
mod writer;

pub use self::batch::{Batch, Table};
pub use self::error::{NoRoom, Refused, StoreError, WriteError};
pub use self::folder::{Holder, holder};
pub use self::store::{Durability, Store, StoreFigures, StoreOptions, StoreStats};
