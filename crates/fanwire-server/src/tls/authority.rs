//! The local certificate authority: made once for a user, and kept.

use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io::{self, ErrorKind};
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fanwire_app::serve::tls::TlsVersion;
use indexmap::IndexMap;
use jiff::{SignedDuration, Timestamp};
use rcgen::{Issuer, KeyPair};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{RootCertStore, ServerConfig};

use super::resolver::Resolver;
use super::{bundle, certificate, config, folder, validity};

/// The certificate, which may be given to anybody.
const CERTIFICATE: &str = "ca.pem";

/// The key, which must not be.
const KEY: &str = "ca-key.pem";

/// An authority that ends sooner than this is followed by a new one.
const RENEW_BEFORE: SignedDuration = SignedDuration::from_hours(30 * 24);

/// The certificate authority of this user and machine.
///
/// It signs for this machine's own names and for AWS's, and its certificate says so: see
/// [`open`](Self::open). Its key never leaves its folder.
pub struct Authority {
    folder: PathBuf,
    pem: String,
    der: CertificateDer<'static>,
    expires: Timestamp,
    issuer: Arc<Issuer<'static, KeyPair>>,
}

/// Why there is no authority, or nothing can be made with it.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The environment names no folder for it.
    #[error(
        "no folder for the local certificate authority: none of FANWIRE_HOME, XDG_DATA_HOME \
         and HOME is set; set FANWIRE_HOME to a folder of your own"
    )]
    NoFolder,
    /// A file of it cannot be read or written.
    #[error("cannot {action} {path}: {source}; another folder may be named with FANWIRE_HOME")]
    File {
        /// What was to be done: `read`, `write`, `create`, `lock`.
        action: &'static str,
        /// With which file or folder.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// Its files are not what they were when they were made.
    #[error(
        "the local certificate authority is damaged: {why}; remove {certificate} and {key} to \
         have a new one made, which browsers have to be told of: `fanwire trust`"
    )]
    Damaged {
        /// What is wrong.
        why: String,
        /// Its certificate.
        certificate: PathBuf,
        /// Its key.
        key: PathBuf,
    },
    /// A certificate could not be made, or the system gives no random numbers.
    #[error("cannot make certificates: {0}")]
    Crypto(#[source] Box<dyn std::error::Error + Send + Sync>),
}

// === impl Authority ===

impl Authority {
    /// The name that its certificate has in the stores of browsers and systems.
    pub const NAME: &str = certificate::AUTHORITY_NAME;

    /// Opens this user's authority; makes it where there is none yet, or where it is
    /// about to end.
    ///
    /// It is in `$FANWIRE_HOME`, else in `fanwire` in `$XDG_DATA_HOME`, else in
    /// `~/.local/share/fanwire` (on macOS `~/Library/Application Support/fanwire`).
    /// Processes that do this at the same time get the same one.
    ///
    /// # Errors
    ///
    /// [`TlsError`], which says what to do.
    pub fn open() -> Result<Self, TlsError> {
        Self::open_in(&Self::folder()?)
    }

    /// Where this user's authority is, or would be made.
    ///
    /// # Errors
    ///
    /// [`TlsError::NoFolder`].
    pub fn folder() -> Result<PathBuf, TlsError> {
        folder::locate(|name| std::env::var_os(name)).ok_or(TlsError::NoFolder)
    }

    /// The file that the certificate in `folder` is in, whether it is there or not.
    pub fn certificate_in(folder: &Path) -> PathBuf {
        folder.join(CERTIFICATE)
    }

    /// As [`open`](Self::open), in a folder of the caller's choice.
    ///
    /// # Errors
    ///
    /// [`TlsError`], which says what to do.
    pub fn open_in(folder: &Path) -> Result<Self, TlsError> {
        // Without a lock, so that a folder that may not be written to is good enough. A
        // process that is renewing it may make it look damaged; locked, it does not.
        if let Ok(Some(authority)) = Self::read(folder) {
            return Ok(authority);
        }
        folder::make_private(folder).map_err(failed("create", folder))?;
        let _lock = folder::lock(folder).map_err(failed("lock", folder))?;
        if let Some(authority) = Self::read(folder)? {
            return Ok(authority);
        }
        Self::create(folder)?;
        let created = Self::read(folder)?;
        created
            .ok_or_else(|| damaged(folder, "it ended as soon as it was made: is the clock right?"))
    }

    /// The authority in `folder`, or `None` where there is none or it is about to end.
    fn read(folder: &Path) -> Result<Option<Self>, TlsError> {
        let (certificate, key) = (folder.join(CERTIFICATE), folder.join(KEY));
        let pem = match fs::read_to_string(&certificate) {
            Ok(pem) => pem,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(failed("read", &certificate)(source)),
        };
        let der = CertificateDer::from_pem_slice(pem.as_bytes());
        let der = der.map_err(|_| damaged(folder, "ca.pem is no certificate"))?.into_owned();
        let expires = validity::end_of(&der);
        let expires = expires.ok_or_else(|| damaged(folder, "ca.pem is no certificate"))?;
        if Timestamp::now() > expires - RENEW_BEFORE {
            return Ok(None);
        }
        let key_pem = fs::read_to_string(&key).map_err(failed("read", &key))?;
        let signing = KeyPair::from_pem(&key_pem);
        let signing = signing.map_err(|_| damaged(folder, "ca-key.pem is no private key"))?;
        close_to_others(&key);
        let issuer = Arc::new(certificate::issuer(signing));
        let authority = Self { folder: folder.to_owned(), pem, der, expires, issuer };
        authority.verify()?;
        Ok(Some(authority))
    }

    fn create(folder: &Path) -> Result<(), TlsError> {
        let key = KeyPair::generate()?;
        let made = certificate::certify_authority(&key)?;
        // The certificate comes last: where it is, its key is.
        for (name, contents, mode) in
            [(KEY, key.serialize_pem(), 0o600), (CERTIFICATE, made.pem(), 0o644)]
        {
            let path = folder.join(name);
            folder::write(&path, contents.as_bytes(), mode).map_err(failed("write", &path))?;
        }
        Ok(())
    }

    /// Whether a client that trusts the certificate believes what the key signs. Not so
    /// where one of the two was replaced, or another version of this program made them.
    fn verify(&self) -> Result<(), TlsError> {
        let key = KeyPair::generate()?;
        let names = certificate::dns_name("localhost").into_iter().collect();
        let leaf = certificate::certify(&self.issuer, &key, names)?;
        let mut roots = RootCertStore::empty();
        let unfit = |error: rustls::Error| damaged(&self.folder, &error.to_string());
        roots.add(self.der.clone()).map_err(unfit)?;
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider());
        let verifier = verifier.build().map_err(|error| TlsError::Crypto(error.into()))?;
        // A constant, and a valid name.
        let Ok(localhost) = ServerName::try_from("localhost") else { return Ok(()) };
        let verified =
            verifier.verify_server_cert(leaf.der(), &[], &localhost, &[], UnixTime::now());
        verified
            .map_err(|_| damaged(&self.folder, "ca.pem and ca-key.pem do not belong together"))?;
        Ok(())
    }

    /// The certificate, for programs that are to trust it.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// The file that holds the certificate.
    pub fn certificate(&self) -> PathBuf {
        self.folder.join(CERTIFICATE)
    }

    /// When it ends, in RFC 3339.
    pub fn expires(&self) -> String {
        self.expires.to_string()
    }

    /// The variables by which programs in Node, Python, Rust and others come to trust it,
    /// beside all that they would trust with the environment that `inherited` reads.
    ///
    /// Node is told of one more certificate. What other runtimes read *replaces* the
    /// system's certificates, so they get a file with those and this one. A system that
    /// has none has nothing to replace: there these variables stay unset, so that a
    /// runtime with certificates of its own, such as Python's `botocore`, still reaches
    /// the real AWS.
    ///
    /// # Errors
    ///
    /// Where the files that they name cannot be written.
    pub fn environment(
        &self,
        inherited: impl Fn(&str) -> Option<OsString>,
    ) -> Result<IndexMap<String, String>, TlsError> {
        bundle::environment(&self.folder, &self.certificate(), &self.pem, inherited)
    }

    /// What a server bound to `address` is to present to its clients.
    pub(super) fn server_config(&self, address: IpAddr) -> Result<ServerConfig, TlsError> {
        let resolver = Resolver::new(Arc::clone(&self.issuer), address)?;
        Ok(config::of_clients(Arc::new(resolver), TlsVersion::default(), None)?)
    }

    /// What signs the certificates.
    pub(super) fn issuer(&self) -> Arc<Issuer<'static, KeyPair>> {
        Arc::clone(&self.issuer)
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").field("folder", &self.folder).finish_non_exhaustive()
    }
}

// === impl TlsError ===

impl From<rcgen::Error> for TlsError {
    fn from(error: rcgen::Error) -> Self {
        Self::Crypto(error.into())
    }
}

impl From<rustls::Error> for TlsError {
    fn from(error: rustls::Error) -> Self {
        Self::Crypto(error.into())
    }
}

impl From<getrandom::Error> for TlsError {
    fn from(error: getrandom::Error) -> Self {
        Self::Crypto(error.into())
    }
}

/// The one implementation of ciphers that this program has.
pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(default_provider())
}

/// What is said of a file that could not be read or written.
pub(super) fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> TlsError {
    let path = path.to_owned();
    move |source| TlsError::File { action, path, source }
}

fn damaged(folder: &Path, why: &str) -> TlsError {
    TlsError::Damaged {
        why: why.to_owned(),
        certificate: folder.join(CERTIFICATE),
        key: folder.join(KEY),
    }
}

/// A key that came out of a backup may be readable by everybody. Where that cannot be
/// helped, it is no reason not to use it.
fn close_to_others(key: &Path) {
    let open = fs::metadata(key).is_ok_and(|found| found.permissions().mode() & 0o077 != 0);
    if open {
        let _ = fs::set_permissions(key, fs::Permissions::from_mode(0o600));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn an_authority_is_made_once_and_its_key_is_its_users_alone() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("a/b");
        let first = Authority::open_in(&folder).unwrap();
        let second = Authority::open_in(&folder).unwrap();
        assert_eq!(first.pem(), second.pem());
        assert_eq!(mode(&folder), 0o700);
        assert_eq!(mode(&folder.join(KEY)), 0o600);
        assert!(!format!("{first:?}").contains("KEY"));
        fs::set_permissions(folder.join(KEY), fs::Permissions::from_mode(0o644)).unwrap();
        Authority::open_in(&folder).unwrap();
        assert_eq!(mode(&folder.join(KEY)), 0o600);
    }

    #[test]
    fn those_who_open_it_at_the_same_moment_get_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let opened: Vec<String> = std::thread::scope(|scope| {
            let all: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| Authority::open_in(path).unwrap().pem().to_owned()))
                .collect();
            all.into_iter().map(|one| one.join().unwrap()).collect()
        });
        assert!(opened.iter().all(|pem| *pem == opened[0]));
    }

    #[test]
    fn a_damaged_authority_says_what_to_remove() {
        for (name, contents) in [
            (CERTIFICATE, "scrambled"),
            (CERTIFICATE, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
            (KEY, ""),
        ] {
            let folder = tempfile::tempdir().unwrap();
            Authority::open_in(folder.path()).unwrap();
            fs::write(folder.path().join(name), contents).unwrap();
            let error = Authority::open_in(folder.path()).unwrap_err();
            assert!(matches!(error, TlsError::Damaged { .. }), "{error}");
            assert!(error.to_string().contains("remove "), "{error}");
        }
    }

    #[test]
    fn a_certificate_of_another_key_is_noticed() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        Authority::open_in(one.path()).unwrap();
        Authority::open_in(other.path()).unwrap();
        fs::copy(other.path().join(CERTIFICATE), one.path().join(CERTIFICATE)).unwrap();
        let error = Authority::open_in(one.path()).unwrap_err();
        assert!(error.to_string().contains("do not belong together"), "{error}");
    }

    #[test]
    fn an_authority_that_has_ended_is_followed_by_another() {
        let folder = tempfile::tempdir().unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::default();
        params.not_after = rcgen::date_time_ymd(2024, 1, 1);
        let ended = params.self_signed(&key).unwrap().pem();
        fs::write(folder.path().join(CERTIFICATE), &ended).unwrap();
        fs::write(folder.path().join(KEY), key.serialize_pem()).unwrap();
        let next = Authority::open_in(folder.path()).unwrap();
        assert_ne!(next.pem(), ended);
        assert!(next.expires > Timestamp::now());
    }
}
