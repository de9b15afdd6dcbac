//! The store's folder: which format it is of, and who has it.
//!
//! ```text
//! FORMAT   which version of this crate's layout, as text; there once the store is whole
//! owner    locked by the process that has the store, and names it
//! data/    the engine's files
//! ```

use std::fs::{self, File, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use crate::error::StoreError;

/// The format that this version writes. It changes when an older version could no longer
/// make sense of the folder; what tables hold is versioned by their owners.
const FORMAT: u32 = 1;

/// Bytes with which the engine marks a database that it has finished making.
const MARKER_BYTES: u64 = 4;

/// Where a store lives. No other process can have it while this is held.
pub(crate) struct Folder {
    path: PathBuf,
    /// Carries the lock. The engine's own would do, but is taken only after it has looked at
    /// its files.
    _owner: File,
}

// === impl Folder ===

impl Folder {
    /// Makes the folder if need be, takes it, and sees that this version may open what is
    /// there.
    pub(crate) fn take(path: &Path) -> Result<Self, StoreError> {
        fs::create_dir_all(path).map_err(|source| io_error("create", path, source))?;
        let folder = Self { path: path.to_owned(), _owner: lock(path)? };
        let format = folder.path.join("FORMAT");
        match fs::read_to_string(&format) {
            Ok(text) => folder.check(&text)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => folder.clear_unfinished()?,
            Err(source) => return Err(io_error("read", &format, source)),
        }
        Ok(folder)
    }

    /// Marks the store as whole, before anything in it is acknowledged.
    pub(crate) fn finish(&self) -> Result<(), StoreError> {
        let format = self.path.join("FORMAT");
        if format.exists() {
            return Ok(());
        }
        write_whole(&format, &format!("{FORMAT}\n"))
            .map_err(|source| io_error("write", &format, source))
    }

    /// Where the engine's files are.
    pub(crate) fn data(&self) -> PathBuf {
        self.path.join("data")
    }

    /// Says what is wrong with it.
    pub(crate) fn damaged(&self, what: impl Into<String>) -> StoreError {
        StoreError::Damaged { folder: self.path.clone(), what: what.into() }
    }

    /// Says that somebody else has it.
    pub(crate) fn in_use(&self) -> StoreError {
        StoreError::InUse { folder: self.path.clone(), owner: None }
    }

    fn check(&self, text: &str) -> Result<(), StoreError> {
        match text.trim().parse::<u32>() {
            Ok(found) if found > FORMAT => {
                Err(StoreError::Newer { folder: self.path.clone(), found, known: FORMAT })
            }
            Ok(_) => Ok(()),
            Err(_) => Err(self.damaged("FORMAT does not hold a number")),
        }
    }

    /// Takes away what a process left that was killed while it made the database: the engine
    /// would stumble over it. Nothing was acknowledged from there.
    fn clear_unfinished(&self) -> Result<(), StoreError> {
        let marker = self.data().join("version");
        if fs::metadata(&marker).is_ok_and(|marker| marker.len() >= MARKER_BYTES) {
            return Ok(());
        }
        for file in [marker, self.data().join("0.jnl")] {
            match fs::remove_file(&file) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(io_error("remove", &file, error));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// Whether another process, or this one, has the store of a folder right now.
///
/// To be asked by who would rather wait than hear [`StoreError::InUse`]; somebody else may be
/// quicker to open it after that.
pub fn holder(folder: &Path) -> Option<Holder> {
    let mut file = File::open(folder.join("owner")).ok()?;
    if !matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)) {
        return None;
    }
    let mut text = String::new();
    let _ = file.read_to_string(&mut text);
    Some(Holder { pid: text.trim().parse().ok() })
}

/// Who has a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holder {
    /// The process's id, where it has said so by now.
    pub pid: Option<u32>,
}

/// Locks the folder and writes into the lock who has it.
fn lock(folder: &Path) -> Result<File, StoreError> {
    let path = folder.join("owner");
    let opened = File::options().read(true).write(true).create(true).truncate(false).open(&path);
    let mut file = opened.map_err(|source| io_error("open", &path, source))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            let _ = file.read_to_string(&mut text);
            let owner = text.trim().parse().ok();
            return Err(StoreError::InUse { folder: folder.to_owned(), owner });
        }
        Err(TryLockError::Error(source)) => return Err(io_error("lock", &path, source)),
    }
    file.set_len(0)
        .and_then(|()| file.write_all(format!("{}\n", std::process::id()).as_bytes()))
        .map_err(|source| io_error("write", &path, source))?;
    Ok(file)
}

/// Writes a file so that it is there as a whole or not at all, also after a power cut.
fn write_whole(path: &Path, text: &str) -> io::Result<()> {
    let partial = path.with_extension("partial");
    let mut file = File::create(&partial)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&partial, path)?;
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

fn io_error(doing: &'static str, path: &Path, source: io::Error) -> StoreError {
    StoreError::Io { doing, path: path.to_owned(), source }
}
