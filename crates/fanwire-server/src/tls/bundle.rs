//! The files by which functions come to trust the authority.

use std::ffi::OsString;
use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use indexmap::IndexMap;

use super::TlsError;
use super::authority::failed;
use super::folder;

/// Variables that name all that is trusted: of AWS's SDKs, of Python's `requests`, and of
/// OpenSSL, which Python's `ssl`, Ruby, Go and Rust read as well.
const REPLACING: [&str; 3] = ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"];

/// What the names of our files begin with.
const PREFIX: &str = "trusted-";

/// A file that no start has asked for in so long belongs to no running process.
const KEPT_FOR: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// The variables: see [`Authority::environment`](super::Authority::environment).
pub(super) fn environment(
    home: &Path,
    certificate: &Path,
    pem: &str,
    inherited: impl Fn(&str) -> Option<OsString>,
) -> Result<IndexMap<String, String>, TlsError> {
    remove_forgotten(home);
    let given = |name: &str| {
        let path = inherited(name).filter(|value| !value.is_empty())?;
        // What cannot be read now could not be read by the function either.
        let text = fs::read_to_string(path).ok()?;
        text.contains("BEGIN ").then_some(text)
    };
    let mut variables = IndexMap::new();
    let node = match given("NODE_EXTRA_CA_CERTS") {
        Some(theirs) => with_ours(home, &theirs, pem)?,
        None => certificate.to_owned(),
    };
    set(&mut variables, "NODE_EXTRA_CA_CERTS", &node);
    let system = system_roots();
    for name in REPLACING {
        // The system's are those of the inherited SSL_CERT_FILE, if there is one.
        let theirs = given(name).filter(|_| name != "SSL_CERT_FILE");
        if let Some(trusted) = theirs.as_ref().or(system.as_ref()) {
            set(&mut variables, name, &with_ours(home, trusted, pem)?);
        }
    }
    Ok(variables)
}

fn set(variables: &mut IndexMap<String, String>, name: &str, path: &Path) {
    // A variable cannot hold a path that is no text; Node and Python would not take it.
    if let Some(path) = path.to_str() {
        variables.insert(name.to_owned(), path.to_owned());
    }
}

/// The certificates that this system trusts; `None` where it has none.
fn system_roots() -> Option<String> {
    let found = rustls_native_certs::load_native_certs().certs;
    let mut text = String::new();
    for certificate in &found {
        text.push_str("-----BEGIN CERTIFICATE-----\n");
        let encoded = STANDARD.encode(certificate);
        // Base64 is ASCII, so that every byte is a character.
        for line in encoded.as_bytes().chunks(64) {
            text.push_str(&String::from_utf8_lossy(line));
            text.push('\n');
        }
        text.push_str("-----END CERTIFICATE-----\n");
    }
    (!found.is_empty()).then_some(text)
}

/// A file with `trusted` and our certificate. Its name says what is in it: who changes
/// what he trusts gets another, and processes that run keep theirs.
fn with_ours(home: &Path, trusted: &str, ours: &str) -> Result<PathBuf, TlsError> {
    let text = format!("{}\n{ours}", trusted.trim_end());
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    let path = home.join(format!("{PREFIX}{:016x}.pem", hasher.finish()));
    if fs::read(&path).is_ok_and(|there| there == text.as_bytes()) {
        // Says that it is still asked for; a folder that may only be read forgets nothing.
        let _ = fs::File::open(&path).and_then(|file| file.set_modified(SystemTime::now()));
    } else {
        folder::write(&path, text.as_bytes(), 0o644).map_err(failed("write", &path))?;
    }
    Ok(path)
}

/// Removes files that no start has asked for in a long time. What goes wrong here only
/// leaves them there.
fn remove_forgotten(home: &Path) {
    let Ok(entries) = fs::read_dir(home) else { return };
    for entry in entries.flatten() {
        let ours = entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX));
        let modified = entry.metadata().and_then(|found| found.modified());
        let forgotten = modified.is_ok_and(|at| at.elapsed().is_ok_and(|age| age > KEPT_FOR));
        if ours && forgotten {
            let _ = fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = "-----BEGIN CERTIFICATE-----\nours\n-----END CERTIFICATE-----\n";
    const THEIRS: &str = "-----BEGIN CERTIFICATE-----\ntheirs\n-----END CERTIFICATE-----\n";

    fn variables(home: &Path, inherited: &[(&str, &Path)]) -> IndexMap<String, String> {
        let inherited = |name: &str| {
            let found = inherited.iter().find(|(each, _)| *each == name);
            found.map(|(_, path)| path.as_os_str().to_owned())
        };
        environment(home, &home.join("ca.pem"), OURS, inherited).unwrap()
    }

    #[test]
    fn what_was_trusted_before_is_trusted_still() {
        let home = tempfile::tempdir().unwrap();
        let theirs = home.path().join("theirs.pem");
        fs::write(&theirs, THEIRS).unwrap();
        let made = variables(
            home.path(),
            &[("NODE_EXTRA_CA_CERTS", &theirs), ("REQUESTS_CA_BUNDLE", &theirs)],
        );
        for name in ["NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE"] {
            assert_eq!(fs::read_to_string(&made[name]).unwrap(), format!("{THEIRS}{OURS}"));
        }
    }

    #[test]
    fn node_gets_our_certificate_alone_where_it_had_no_other() {
        let home = tempfile::tempdir().unwrap();
        let missing = home.path().join("missing.pem");
        let made = variables(home.path(), &[("NODE_EXTRA_CA_CERTS", &missing)]);
        assert_eq!(Path::new(&made["NODE_EXTRA_CA_CERTS"]), home.path().join("ca.pem"));
    }

    #[test]
    fn the_same_certificates_are_the_same_file_and_a_forgotten_one_is_removed() {
        let home = tempfile::tempdir().unwrap();
        let first = with_ours(home.path(), THEIRS, OURS).unwrap();
        assert_eq!(with_ours(home.path(), THEIRS, OURS).unwrap(), first);
        let old = home.path().join(format!("{PREFIX}0.pem"));
        fs::write(&old, THEIRS).unwrap();
        let long_ago = SystemTime::now() - KEPT_FOR - Duration::from_secs(1);
        fs::File::open(&old).unwrap().set_modified(long_ago).unwrap();
        remove_forgotten(home.path());
        assert!(first.exists() && !old.exists());
    }
}
