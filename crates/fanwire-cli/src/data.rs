//! The folder in each app's folder that Fanwire keeps things in. It also says where the
//! app's running server is.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use fanwire_app::App;
use rustix::process::{Pid, test_kill_process};
use serde::{Deserialize, Serialize};

/// The folder in an app's folder, where nothing else is said.
pub(crate) const DEFAULT: &str = ".fanwire";

/// The file in it that a running `dev` writes.
const ANNOUNCEMENT: &str = "dev.json";

/// The file that it becomes while the server sends its clients away.
const FAREWELL: &str = "leaving.json";

/// Where a running server is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Announcement {
    pub(crate) port: u16,
    pub(crate) pid: i32,
    pub(crate) url: String,
}

/// An announcement that stands for as long as this lives.
#[derive(Debug)]
pub(crate) struct Announced {
    file: PathBuf,
    announcement: Announcement,
    /// Locked from when the server begins to leave.
    leaving: Option<File>,
}

/// Where the App's tables are, and what else is kept between runs: `given`, or the folder
/// beside the App.
pub(crate) fn folder(app: &App, given: Option<&Path>) -> PathBuf {
    given.map_or_else(|| app.root.join(DEFAULT), Path::to_owned)
}

/// Makes the folder, with all in it kept out of version control.
pub(crate) fn make_folder(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let ignore = folder.join(".gitignore");
    if ignore.exists() { Ok(()) } else { fs::write(ignore, "*\n") }
}

/// Says in `folder` where this process serves.
pub(crate) fn announce(folder: &Path, port: u16, url: String) -> io::Result<Announced> {
    let pid = rustix::process::getpid().as_raw_nonzero().get();
    let announcement = Announcement { port, pid, url };
    let file = folder.join(ANNOUNCEMENT);
    // Written aside and moved, so that nobody reads half of it.
    let aside = folder.join(format!("{ANNOUNCEMENT}.{pid}"));
    fs::write(&aside, serde_json::to_vec(&announcement)?)?;
    fs::rename(&aside, &file)?;
    Ok(Announced { file, announcement, leaving: None })
}

/// What the server of `folder` announces, if it still runs.
pub(crate) fn announced(folder: &Path) -> Option<Announcement> {
    let text = fs::read(folder.join(ANNOUNCEMENT)).ok()?;
    let found: Announcement = serde_json::from_slice(&text).ok()?;
    let pid = Pid::from_raw(found.pid)?;
    // A process of another user cannot be asked, but is there.
    match test_kill_process(pid) {
        Ok(()) | Err(rustix::io::Errno::PERM) => Some(found),
        Err(_) => None,
    }
}

/// The process that is sending the clients of a server of `folder` away, and has closed its
/// listeners or is about to.
pub(crate) fn leaving(folder: &Path) -> Option<u32> {
    let file = folder.join(FAREWELL);
    // The lock ends with the process; its id may be another one's by now, as in containers.
    let locked = File::open(&file).ok()?.try_lock_shared();
    if !matches!(locked, Err(TryLockError::WouldBlock)) {
        return None;
    }
    let found: Announcement = serde_json::from_slice(&fs::read(file).ok()?).ok()?;
    found.pid.try_into().ok()
}

// === impl Announced ===

impl Announced {
    /// Says that the server is leaving, and is not where it was any more.
    pub(crate) fn leave(&mut self) {
        let farewell = self.file.with_file_name(FAREWELL);
        let text = serde_json::to_vec(&self.announcement).unwrap_or_default();
        let locked = fs::write(&farewell, text).and_then(|()| File::open(&farewell));
        // Where it cannot be had, whoever takes over listens a little later.
        self.leaving = locked.ok().filter(|file| file.try_lock().is_ok());
        self.remove();
        if self.leaving.is_some() {
            self.file = farewell;
        }
    }

    fn remove(&self) {
        // Another server may have taken this one's place in the meantime.
        let text = fs::read(&self.file).ok();
        let found = text.and_then(|text| serde_json::from_slice::<Announcement>(&text).ok());
        if found.as_ref() == Some(&self.announcement) {
            // What cannot be removed is stale, and known by its dead process.
            let _ = fs::remove_file(&self.file);
        }
    }
}

impl Drop for Announced {
    fn drop(&mut self) {
        self.remove();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_announcement_stands_while_its_server_lives() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("app/.fanwire");
        make_folder(&folder).unwrap();
        assert_eq!(fs::read_to_string(folder.join(".gitignore")).unwrap(), "*\n");
        assert_eq!(announced(&folder), None);
        let announced_here = announce(&folder, 4000, "http://localhost:4000".to_owned()).unwrap();
        assert_eq!(announced(&folder).unwrap().port, 4000);
        let mut announced_here = announced_here;
        assert_eq!(leaving(&folder), None);
        announced_here.leave();
        assert_eq!(announced(&folder), None);
        assert_eq!(leaving(&folder), Some(std::process::id()));
        drop(announced_here);
        assert_eq!(leaving(&folder), None);
        assert_eq!(announced(&folder), None);
    }

    #[test]
    fn the_announcement_of_a_dead_process_is_ignored() {
        let folder = tempfile::tempdir().unwrap();
        let mut child = std::process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        let text = format!(r#"{{"port":1,"pid":{},"url":"http://localhost:1"}}"#, child.id());
        fs::write(folder.path().join(ANNOUNCEMENT), text).unwrap();
        assert_eq!(announced(folder.path()), None);
    }
}
