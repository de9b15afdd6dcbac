//! Which files have changed, of those that somebody cares about.
//!
//! Folders are watched one by one, not whole trees: a project's `node_modules` has
//! thousands of folders, and its source a few.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::event::{AccessKind, EventKind, MetadataKind, ModifyKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc::{Receiver, channel};
use tokio::time::Instant;

/// How long files have to be quiet before a change counts: a save is often several
/// writes and a rename.
const QUIET: Duration = Duration::from_millis(25);
/// A change counts after this long even where files are never quiet.
const LATEST: Duration = Duration::from_millis(250);

/// Changed paths that may wait to be looked at. Beyond it they are lost, as the system
/// loses them too; the next save is seen again.
const MAX_WAITING: usize = 4096;

/// Folders watched at the most. The system has a limit too, often 8,192 a user.
const MAX_FOLDERS: usize = 2048;

/// Watches the folders of files.
pub(crate) struct Watcher {
    watcher: RecommendedWatcher,
    folders: HashSet<PathBuf>,
    changed: Receiver<PathBuf>,
    /// Changed paths that are not quiet yet.
    stirring: BTreeSet<PathBuf>,
}

// === impl Watcher ===

impl Watcher {
    /// Watches nothing yet.
    ///
    /// # Errors
    ///
    /// Where the system has no watches left.
    pub(crate) fn new() -> notify::Result<Self> {
        let (sender, changed) = channel(MAX_WAITING);
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            let Ok(event) = event else { return };
            if is_change(event.kind) {
                for path in event.paths {
                    // Full, or nobody looks any more.
                    let _ = sender.try_send(path);
                }
            }
        })?;
        Ok(Self { watcher, folders: HashSet::new(), changed, stirring: BTreeSet::new() })
    }

    /// Watches for changes of `files`, and no others: those that were watched before and
    /// are not among them are not watched any more. Files, and their folders, need not
    /// exist; folders are watched up to `root`, so that one that appears is noticed.
    ///
    /// # Errors
    ///
    /// Where a folder that exists cannot be watched.
    pub(crate) fn watch<'f>(
        &mut self,
        files: impl IntoIterator<Item = &'f Path>,
        root: &Path,
    ) -> notify::Result<()> {
        let mut wanted = HashSet::new();
        for file in files {
            let above = file.ancestors().skip(1);
            let up_to_root = above.clone().take_while(|folder| folder.starts_with(root));
            // A file elsewhere, such as a package beside the project: its folder alone.
            for folder in above.take(1).chain(up_to_root) {
                if wanted.len() < MAX_FOLDERS && folder.is_dir() {
                    wanted.insert(folder.to_owned());
                }
            }
        }
        for folder in self.folders.difference(&wanted) {
            // It may be gone, and its watch with it.
            let _ = self.watcher.unwatch(folder);
        }
        let mut failed = Ok(());
        for folder in &wanted {
            // Also those that are watched: one that was deleted and made again is another.
            if let Err(error) = self.watcher.watch(folder, RecursiveMode::NonRecursive) {
                failed = Err(error);
            }
        }
        self.folders = wanted;
        failed
    }

    /// The paths that have changed since the last call, once they are quiet. Cancel safe.
    pub(crate) async fn changed(&mut self) -> BTreeSet<PathBuf> {
        if self.stirring.is_empty() {
            let Some(first) = self.changed.recv().await else {
                // The watcher lives as long as this does, so there always is a sender.
                return std::future::pending().await;
            };
            self.stirring.insert(first);
        }
        let latest = Instant::now() + LATEST;
        loop {
            let quiet = (Instant::now() + QUIET).min(latest);
            match tokio::time::timeout_at(quiet, self.changed.recv()).await {
                Ok(Some(path)) => drop(self.stirring.insert(path)),
                Ok(None) | Err(_) => return std::mem::take(&mut self.stirring),
            }
        }
    }
}

/// Whether what a file holds, or whether it is there, may have changed.
fn is_change(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(AccessKind::Close(notify::event::AccessMode::Write)) => true,
        EventKind::Access(_) => false,
        EventKind::Modify(ModifyKind::Metadata(kind)) => kind == MetadataKind::WriteTime,
        EventKind::Any
        | EventKind::Create(_)
        | EventKind::Modify(_)
        | EventKind::Remove(_)
        | EventKind::Other => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_saved_file_and_one_in_a_folder_that_appears_are_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let (file, later) = (root.join("a.js"), root.join("lib/b.js"));
        std::fs::write(&file, "1").unwrap();
        let mut watcher = Watcher::new().unwrap();
        watcher.watch([file.as_path(), later.as_path()], &root).unwrap();
        std::fs::write(&file, "2").unwrap();
        assert_eq!(watcher.changed().await, BTreeSet::from([file.clone()]));
        std::fs::create_dir(root.join("lib")).unwrap();
        assert_eq!(watcher.changed().await, BTreeSet::from([root.join("lib")]));
        watcher.watch([file.as_path(), later.as_path()], &root).unwrap();
        std::fs::write(&later, "1").unwrap();
        assert_eq!(watcher.changed().await, BTreeSet::from([later]));
    }

    #[tokio::test]
    async fn a_save_by_rename_is_one_change_of_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let file = root.join("a.js");
        std::fs::write(&file, "1").unwrap();
        let mut watcher = Watcher::new().unwrap();
        watcher.watch([file.as_path()], &root).unwrap();
        let draft = root.join(".a.js.swp");
        std::fs::write(&draft, "2").unwrap();
        std::fs::rename(&draft, &file).unwrap();
        let mut seen = BTreeSet::new();
        while !seen.contains(&file) {
            seen.extend(watcher.changed().await);
        }
    }

    #[tokio::test]
    async fn reading_a_file_is_no_change() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let (read, written) = (root.join("read.js"), root.join("written.js"));
        std::fs::write(&read, "1").unwrap();
        let mut watcher = Watcher::new().unwrap();
        watcher.watch([read.as_path(), written.as_path()], &root).unwrap();
        drop(std::fs::read(&read).unwrap());
        std::fs::write(&written, "1").unwrap();
        assert_eq!(watcher.changed().await, BTreeSet::from([written]));
    }
}
