//! The folder that the authority lives in, and files in it that are whole or not there.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// Where this user's authority is: `$FANWIRE_HOME`, or `fanwire` among the user's data.
/// `None` where the environment names no place at all.
pub(super) fn locate(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let named = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(folder) = named("FANWIRE_HOME") {
        return Some(folder);
    }
    // A relative path is to be ignored, says the XDG specification.
    if let Some(data) = named("XDG_DATA_HOME").filter(|path| path.is_absolute()) {
        return Some(data.join("fanwire"));
    }
    let data =
        if cfg!(target_os = "macos") { "Library/Application Support" } else { ".local/share" };
    Some(named("HOME")?.join(data).join("fanwire"))
}

/// Makes a folder that only its user may look into. One that is there stays as it is.
pub(super) fn make_private(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Keeps other processes that do the same away until the result is dropped, or this
/// process has ended, however it ends.
pub(super) fn lock(folder: &Path) -> io::Result<File> {
    let path = folder.join("lock");
    let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
    file.lock()?;
    Ok(file)
}

/// Tells temporary files of one process apart.
static NEXT: AtomicU32 = AtomicU32::new(0);

/// Writes a file that others see whole or not at all.
pub(super) fn write(path: &Path, contents: &[u8], mode: u32) -> io::Result<()> {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    name.push(format!(".{}-{number}", std::process::id()));
    let temporary = path.with_file_name(name);
    // What a process with our number left behind when it was killed.
    let _ = fs::remove_file(&temporary);
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&temporary)
        .and_then(|mut file| {
            file.write_all(contents)?;
            file.sync_all()
        })
        .and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    fn located(variables: &[(&str, &str)]) -> Option<PathBuf> {
        locate(|name| {
            let found = variables.iter().find(|(each, _)| *each == name);
            found.map(|(_, value)| OsString::from(value))
        })
    }

    #[test]
    #[cfg(not(target_os = "macos"))]
    fn the_most_specific_variable_decides() {
        let home = ("HOME", "/home/a");
        let data = ("XDG_DATA_HOME", "/data");
        assert_eq!(located(&[home, data, ("FANWIRE_HOME", "/f")]).unwrap(), Path::new("/f"));
        assert_eq!(located(&[home, data]).unwrap(), Path::new("/data/fanwire"));
        let expected = Path::new("/home/a/.local/share/fanwire");
        assert_eq!(located(&[home]).unwrap(), expected);
        assert_eq!(located(&[home, ("XDG_DATA_HOME", "data")]).unwrap(), expected);
        assert_eq!(located(&[home, ("FANWIRE_HOME", "")]).unwrap(), expected);
        assert_eq!(located(&[]), None);
    }
}
