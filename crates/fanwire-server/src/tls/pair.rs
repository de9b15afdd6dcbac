//! A certificate with its key, as files have it: read, checked, and ready to be presented.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use webpki::EndEntityCert;

use super::authority::provider;
use super::validity::{self, Period};

/// The longest file that is read, in bytes: a chain has a few kilobytes.
pub(super) const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// A certificate with its chain and its key.
#[derive(Debug, Clone)]
pub(super) struct Pair {
    /// What handshakes are done with.
    pub(super) certified: Arc<CertifiedKey>,
    /// The names of hosts that it is for, in lower case; `*.` stands for one label.
    pub(super) names: Vec<String>,
    /// When it is valid.
    pub(super) period: Period,
}

/// Why files are no certificate and key.
#[derive(Debug, thiserror::Error)]
pub enum PairError {
    /// A file cannot be read.
    #[error("it cannot be read: {0}")]
    Unreadable(#[source] io::Error),
    /// A file is far too long.
    #[error("it has more than {MAX_FILE_BYTES} bytes")]
    TooLong,
    /// There is nothing in it that begins with `-----BEGIN CERTIFICATE-----`.
    #[error("there is no certificate in PEM in it")]
    NoCertificate,
    /// The private key is missing, or in a form that is not known.
    #[error(
        "there is no private key in PEM in it; one that is encrypted has to be decrypted, for \
         instance with `openssl pkey`"
    )]
    NoKey,
    /// They are of two pairs, perhaps because only one has been replaced yet.
    #[error("the certificate and the key do not belong together")]
    Mismatched,
    /// What they say is not understood.
    #[error("it cannot be used: {0}")]
    Unusable(#[source] rustls::Error),
    /// The certificate is no certificate of X.509.
    #[error("the certificate is damaged")]
    Damaged,
}

// === impl Pair ===

impl Pair {
    /// Reads a chain and a key, both in PEM. A certificate whose time is over is taken: it
    /// is told of, and better than none.
    pub(super) fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, PairError> {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(chain).collect();
        let chain = chain.map_err(|_| PairError::Damaged)?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_: pem::Error| PairError::NoKey)?;
        let first = chain.first().ok_or(PairError::NoCertificate)?;
        let names = names_of(first)?;
        let period = validity::period_of(first).ok_or(PairError::Damaged)?;
        let certified =
            CertifiedKey::from_der(chain, key, &provider()).map_err(|error| match error {
                rustls::Error::InconsistentKeys(_) => PairError::Mismatched,
                error => PairError::Unusable(error),
            })?;
        Ok(Self { certified: Arc::new(certified), names, period })
    }
}

/// Reads a file of bounded length.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, PairError> {
    let mut contents = Vec::new();
    let file = File::open(path).map_err(PairError::Unreadable)?;
    let read = file.take(MAX_FILE_BYTES + 1).read_to_end(&mut contents);
    let read = read.map_err(PairError::Unreadable)?;
    if read as u64 > MAX_FILE_BYTES { Err(PairError::TooLong) } else { Ok(contents) }
}

fn names_of(certificate: &CertificateDer<'_>) -> Result<Vec<String>, PairError> {
    let parsed = EndEntityCert::try_from(certificate).map_err(|_| PairError::Damaged)?;
    Ok(parsed.valid_dns_names().map(str::to_ascii_lowercase).collect())
}

#[cfg(test)]
mod tests {
    use super::super::test_certificates::{Made, make};
    use super::*;

    #[test]
    fn names_and_times_are_those_of_the_certificate() {
        let Made { chain, key } = make(&["Chat.example.com", "*.example.org"]);
        let pair = Pair::from_pem(chain.as_bytes(), key.as_bytes()).unwrap();
        assert_eq!(pair.names, ["chat.example.com", "*.example.org"]);
        assert!(pair.period.begin < pair.period.end);
    }

    #[test]
    fn what_is_wrong_with_files_is_said() {
        let (one, other) = (make(&["a.com"]), make(&["a.com"]));
        let read = |chain: &str, key: &str| {
            Pair::from_pem(chain.as_bytes(), key.as_bytes()).unwrap_err().to_string()
        };
        assert!(read(&one.chain, &other.key).contains("do not belong together"));
        assert!(read("", &one.key).contains("no certificate"));
        assert!(read(&one.chain, "").contains("no private key"));
        assert!(read(&one.chain, &one.chain).contains("no private key"));
        let cut = one.chain.replace("MII", "MIJ");
        assert!(read(&cut, &one.key).contains("damaged"));
    }
}
