//! What can go wrong, and what to do about it.

use std::path::PathBuf;
use std::sync::Arc;

use crate::batch::Batch;

/// Why a store cannot be opened or read.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has it open, or this one has already.
    #[error(
        "{} is in use by {}: stop it, or name another folder", folder.display(),
        owner.map_or_else(|| "another process".to_owned(), |id| format!("process {id}"))
    )]
    InUse {
        /// The store's folder.
        folder: PathBuf,
        /// The process that said that it is the owner.
        owner: Option<u32>,
    },
    /// A later version of this program has written it.
    #[error(
        "{} was written by a newer fanwire (format {found}, this one reads up to {known}): \
         use that version, or name another folder", folder.display()
    )]
    Newer {
        /// The store's folder.
        folder: PathBuf,
        /// The format it is of.
        found: u32,
        /// The latest format that this version reads.
        known: u32,
    },
    /// There is something in the folder that is not a store, or no longer.
    #[error("{} is damaged ({what}): restore it from a copy, or move it away to begin anew", folder.display())]
    Damaged {
        /// The store's folder.
        folder: PathBuf,
        /// What does not fit.
        what: String,
    },
    /// The file system says no.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        /// What was attempted: "create", "read".
        doing: &'static str,
        /// With which file or folder.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
}

/// Why a batch was not written. The store writes nothing more until it is opened anew.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the store can no longer write ({0}): look at the disk, then restart")]
pub struct WriteError(pub(crate) Arc<str>);

/// Why a batch was not even taken.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// More bytes wait than may: writing is slower than what comes. The batch is given back,
    /// to be tried again when a callback has come.
    #[error("too much waits to be written")]
    Full(Batch),
    /// A key or a value in it is of a size that the engine has no room for (see the crate's
    /// bounds). A defect of the caller: the batch is gone.
    #[error("a key of {key} bytes with a value of {value} bytes cannot be stored")]
    Size {
        /// Bytes of the key.
        key: usize,
        /// Bytes of the value.
        value: usize,
    },
}

/// Why nothing should be added now. Deletions are always welcome.
#[derive(Clone, Debug, thiserror::Error)]
pub enum NoRoom {
    /// Half of what may wait, waits: what comes now may be refused.
    #[error("too much waits to be written")]
    Busy,
    /// The store takes as much of the disk as it may.
    #[error("the store takes {bytes} bytes of disk of the {limit} it may")]
    Disk {
        /// Bytes taken.
        bytes: u64,
        /// Bytes it may take.
        limit: u64,
    },
    /// A write has failed.
    #[error(transparent)]
    Failed(#[from] WriteError),
}
