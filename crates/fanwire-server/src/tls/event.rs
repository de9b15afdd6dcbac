//! What happens to certificates, for who has to know.

use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;

use super::certificates::CertificateError;

/// Is told of what happens to certificates.
pub trait CertificateObserver: Send + Sync {
    /// Something has happened. To be told without waiting.
    fn certificates(&self, event: &CertificateEvent);
}

/// What has happened to a certificate. Its text says what to do.
#[derive(Debug)]
pub enum CertificateEvent {
    /// Files have changed, and what is in them is presented from now on.
    Reloaded {
        /// The file with the certificate, or with clients' authorities.
        path: PathBuf,
        /// The names in it; none for authorities.
        names: Vec<String>,
    },
    /// Files have changed, and cannot be used: what was there before is still presented.
    NotReloaded(CertificateError),
    /// A certificate ends soon, or has ended.
    Expiring {
        /// The names in it.
        names: Vec<String>,
        /// When it ends.
        end: Timestamp,
    },
    /// An authority is asked for a certificate.
    Ordered {
        /// For this name.
        name: String,
        /// The URL of the authority's directory.
        directory: String,
    },
    /// An authority has issued a certificate, which is presented from now on.
    Issued {
        /// For this name.
        name: String,
        /// When it ends.
        end: Timestamp,
    },
    /// An authority has issued none.
    NotIssued {
        /// For this name.
        name: String,
        /// What it says, or what went wrong.
        error: String,
        /// After how long it is asked again.
        again: Duration,
    },
}

/// What is known of a certificate that is presented.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFacts {
    /// The names in it, in lower case.
    pub names: Vec<String>,
    /// Whether an authority was asked for it, in contrast to files.
    pub by_acme: bool,
    /// When it begins.
    pub not_before: SystemTime,
    /// When it ends.
    pub not_after: SystemTime,
}

// === impl CertificateEvent ===

impl CertificateEvent {
    /// Whether somebody should do something about it.
    pub fn is_problem(&self) -> bool {
        matches!(self, Self::NotReloaded(_) | Self::Expiring { .. } | Self::NotIssued { .. })
    }
}

impl fmt::Display for CertificateEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reloaded { path, names } if names.is_empty() => {
                write!(f, "tls: {} has changed, and is in use", path.display())
            }
            Self::Reloaded { path, names } => {
                write!(
                    f,
                    "tls: {} has changed: it is presented for {}",
                    path.display(),
                    names.join(", ")
                )
            }
            Self::NotReloaded(error) => {
                write!(f, "tls: {error}; what was there before is still in use")
            }
            Self::Expiring { names, end } => {
                write!(f, "tls: the certificate for {} ends at {end}", names.join(", "))
            }
            Self::Ordered { name, directory } => {
                write!(f, "tls: asking {directory} for a certificate for {name}")
            }
            Self::Issued { name, end } => {
                write!(f, "tls: there is a certificate for {name}, until {end}")
            }
            Self::NotIssued { name, error, again } => write!(
                f,
                "tls: no certificate was issued for {name}: {error}; the next attempt is in {} s",
                again.as_secs()
            ),
        }
    }
}
