//! Files that are read again when they change.
//!
//! They are looked at every few seconds, and not watched: certificates come by mounts,
//! links that are swapped (as Kubernetes does it), and file systems of other machines, whose
//! changes the system does not tell of. A change of what a path leads to is seen by the
//! file's number, size and time.

use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

/// What makes a value of files.
type Read<T, E> = Box<dyn Fn(&[PathBuf]) -> Result<T, E> + Send>;

/// What is read from files, and is read again when they change.
pub(super) struct Followed<T, E> {
    paths: Vec<PathBuf>,
    read: Read<T, E>,
    value: T,
    stamp: Stamp,
    /// The files as they were when they could not be read, and whether that was told.
    doubtful: Option<(Stamp, bool)>,
}

/// What another look at the files has brought.
#[derive(Debug)]
pub(super) enum Look<E> {
    /// Nothing that has to be told.
    Same,
    /// There is another value.
    Changed,
    /// They have changed, and cannot be used; the value is what it was.
    Broken(E),
}

/// What tells whether files are still those that they were.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp(Vec<Option<[u64; 5]>>);

// === impl Followed ===

impl<T, E> Followed<T, E> {
    /// Reads `paths`.
    ///
    /// # Errors
    ///
    /// What `read` says.
    pub(super) fn open(
        paths: Vec<PathBuf>,
        read: impl Fn(&[PathBuf]) -> Result<T, E> + Send + 'static,
    ) -> Result<Self, E> {
        // Before they are read: what changes in between is seen by the next look.
        let stamp = Stamp::of(&paths);
        let value = read(&paths)?;
        Ok(Self { paths, read: Box::new(read), value, stamp, doubtful: None })
    }

    /// What was read last.
    pub(super) fn value(&self) -> &T {
        &self.value
    }

    /// Reads the files where they have changed. Files that cannot be used are told of once,
    /// when a second look finds them the same: who replaces two does one after the other.
    pub(super) fn look(&mut self) -> Look<E> {
        let stamp = Stamp::of(&self.paths);
        if stamp == self.stamp {
            self.doubtful = None;
            return Look::Same;
        }
        let again = self.doubtful.as_ref().is_some_and(|(seen, _)| *seen == stamp);
        if again && self.doubtful.as_ref().is_some_and(|(_, told)| *told) {
            return Look::Same;
        }
        match (self.read)(&self.paths) {
            Ok(value) => {
                (self.value, self.stamp, self.doubtful) = (value, stamp, None);
                Look::Changed
            }
            Err(error) => {
                self.doubtful = Some((stamp, again));
                if again { Look::Broken(error) } else { Look::Same }
            }
        }
    }
}

// === impl Stamp ===

impl Stamp {
    fn of(paths: &[PathBuf]) -> Self {
        let of = |path: &PathBuf| {
            let found = std::fs::metadata(path).ok()?;
            let (seconds, nanoseconds) = (found.mtime(), found.mtime_nsec());
            let time = [seconds.cast_unsigned(), nanoseconds.cast_unsigned()];
            Some([found.dev(), found.ino(), found.size(), time[0], time[1]])
        };
        Self(paths.iter().map(of).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    /// Files whose contents have to be alike.
    fn follow(folder: &Path) -> Followed<String, String> {
        let paths = vec![folder.join("one"), folder.join("other")];
        Followed::open(paths, |paths| {
            let read = |path: &PathBuf| fs::read_to_string(path).map_err(|error| error.to_string());
            let (one, other) = (read(&paths[0])?, read(&paths[1])?);
            if one == other { Ok(one) } else { Err(format!("{one} is not {other}")) }
        })
        .unwrap()
    }

    fn write(folder: &Path, one: &str, other: &str) {
        fs::write(folder.join("one"), one).unwrap();
        fs::write(folder.join("other"), other).unwrap();
    }

    #[test]
    fn half_a_change_is_waited_for_and_a_broken_one_is_told_once() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "a", "a");
        let mut followed = follow(folder.path());
        assert!(matches!(followed.look(), Look::Same));
        write(folder.path(), "long", "a");
        assert!(matches!(followed.look(), Look::Same), "the other may come yet");
        write(folder.path(), "long", "long");
        assert!(matches!(followed.look(), Look::Changed));
        assert_eq!(followed.value(), "long");
        fs::remove_file(folder.path().join("one")).unwrap();
        assert!(matches!(followed.look(), Look::Same));
        assert!(matches!(followed.look(), Look::Broken(_)));
        assert!(matches!(followed.look(), Look::Same), "once is enough");
        assert_eq!(followed.value(), "long", "what was good is kept");
        write(folder.path(), "again", "again");
        assert!(matches!(followed.look(), Look::Changed));
    }

    #[test]
    fn a_folder_that_a_link_leads_to_elsewhere_is_a_change() {
        // What Kubernetes does to a Secret that is mounted: `..data` is swapped.
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        for version in ["1", "2"] {
            fs::create_dir(path.join(version)).unwrap();
            write(&path.join(version), version, version);
        }
        symlink("1", path.join("..data")).unwrap();
        for name in ["one", "other"] {
            symlink(Path::new("..data").join(name), path.join(name)).unwrap();
        }
        let mut followed = follow(path);
        symlink("2", path.join("..data_tmp")).unwrap();
        fs::rename(path.join("..data_tmp"), path.join("..data")).unwrap();
        assert!(matches!(followed.look(), Look::Changed));
        assert_eq!(followed.value(), "2");
    }
}
