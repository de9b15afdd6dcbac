//! Access logs that go to files.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// The files that access logs are appended to, opened when first written to. There are
/// as many as the App's APIs name.
#[derive(Debug, Default)]
pub(crate) struct AccessFiles {
    open: HashMap<PathBuf, File>,
}

impl AccessFiles {
    /// Appends a line, in one write, so that several servers may share a file.
    ///
    /// # Errors
    ///
    /// The system's, for a file that cannot be opened or written to; the next line tries
    /// again.
    pub(crate) fn append(&mut self, path: &Path, line: &str) -> io::Result<()> {
        if !self.open.contains_key(path) {
            let file = OpenOptions::new().create(true).append(true).open(path)?;
            self.open.insert(path.to_owned(), file);
        }
        let written = match self.open.get_mut(path) {
            Some(file) => file.write_all(format!("{line}\n").as_bytes()),
            None => Ok(()),
        };
        if written.is_err() {
            self.open.remove(path);
        }
        written
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_appended_to_what_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        std::fs::write(&path, "before\n").unwrap();
        let mut files = AccessFiles::default();
        files.append(&path, "one").unwrap();
        files.append(&path, "two").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "before\none\ntwo\n");
        assert!(files.append(&folder.path().join("no/such/folder"), "x").is_err());
    }
}
