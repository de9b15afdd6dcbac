//! What outlives the process of an authority's: the account, and the certificates.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use instant_acme::AccountCredentials;

use super::super::folder;
use super::super::pair::{self, Pair};
use super::AcmeError;

/// The file with the account and its key.
const ACCOUNT: &str = "account.json";

/// A file that is written to see whether one can be, more than a certificate with its key takes.
const TRIAL: &str = "trial";
const TRIAL_BYTES: usize = 32 * 1024;

/// A folder for one authority: what a test authority has issued is never taken for more.
pub(super) struct Store(PathBuf);

// === impl Store ===

impl Store {
    /// The store for the authority whose directory is at the URL `directory`, in `folder`.
    pub(super) fn open(folder: &Path, directory: &str) -> Result<Self, AcmeError> {
        let host = directory.strip_prefix("https://").unwrap_or(directory);
        let keep = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' };
        let name: String = host.chars().map(keep).collect();
        let path = folder.join(name.trim_matches(['.', '-']));
        folder::make_private(&path).map_err(failed("create", &path))?;
        Ok(Self(path))
    }

    /// Finds out whether anything can be kept, by keeping something.
    pub(super) fn try_to_keep(&self) -> Result<(), AcmeError> {
        let path = self.0.join(TRIAL);
        let kept = folder::write(&path, &[0; TRIAL_BYTES], 0o600);
        kept.and_then(|()| fs::remove_file(&path)).map_err(failed("write", &path))
    }

    /// The account, if there is one.
    pub(super) fn account(&self) -> Result<Option<AccountCredentials>, AcmeError> {
        let path = self.0.join(ACCOUNT);
        match fs::read(&path) {
            Ok(contents) => {
                let parsed = serde_json::from_slice(&contents).map_err(io::Error::from);
                Ok(Some(parsed.map_err(failed("read", &path))?))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("read", &path)(error)),
        }
    }

    pub(super) fn keep_account(&self, account: &AccountCredentials) -> Result<(), AcmeError> {
        let path = self.0.join(ACCOUNT);
        let contents = serde_json::to_vec(account).map_err(io::Error::from);
        let contents = contents.map_err(failed("write", &path))?;
        folder::write(&path, &contents, 0o600).map_err(failed("write", &path))
    }

    /// Forgets an account that the authority does not know any more.
    pub(super) fn forget_account(&self) -> Result<(), AcmeError> {
        let path = self.0.join(ACCOUNT);
        fs::remove_file(&path).map_err(failed("remove", &path))
    }

    /// What was issued for `name`. What cannot be used is as good as nothing: it is ordered
    /// anew.
    pub(super) fn certificate(&self, name: &str) -> Option<Pair> {
        let contents = pair::read(&self.file_of(name)).ok()?;
        Pair::from_pem(&contents, &contents).ok()
    }

    /// Keeps a certificate with its key: in one file, so that they are of one another.
    pub(super) fn keep_certificate(
        &self,
        name: &str,
        key: &str,
        chain: &str,
    ) -> Result<(), AcmeError> {
        let path = self.file_of(name);
        let contents = format!("{}\n{chain}", key.trim_end());
        folder::write(&path, contents.as_bytes(), 0o600).map_err(failed("write", &path))
    }

    /// Names have been checked to be of letters, digits, dots and hyphens.
    fn file_of(&self, name: &str) -> PathBuf {
        self.0.join(format!("{name}.pem"))
    }
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> AcmeError {
    let path = path.to_owned();
    move |source| AcmeError::File { action, path, source }
}

#[cfg(test)]
mod tests {
    use super::super::super::test_certificates::make;
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn what_is_kept_is_read_again_and_is_nobody_else_s_to_read() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), "https://a.example.com/acme/../dir").unwrap();
        assert_eq!(store.0, folder.path().join("a.example.com-acme-..-dir"));
        assert!(store.certificate("a.com").is_none());
        let made = make(&["a.com"]);
        store.keep_certificate("a.com", &made.key, &made.chain).unwrap();
        assert_eq!(store.certificate("a.com").unwrap().names, ["a.com"]);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&store.0), mode(&store.file_of("a.com"))), (0o700, 0o600));
        fs::write(store.file_of("a.com"), "damaged").unwrap();
        assert!(store.certificate("a.com").is_none());
    }

    #[test]
    fn it_is_found_out_before_whether_anything_can_be_kept() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), "https://a.example.com/dir").unwrap();
        store.try_to_keep().unwrap();
        assert_eq!(fs::read_dir(&store.0).unwrap().count(), 0);
        fs::remove_dir(&store.0).unwrap();
        let refused = store.try_to_keep().unwrap_err();
        assert!(matches!(refused, AcmeError::File { action: "write", .. }), "{refused}");
    }
}
