//! Certificates that an authority issues by ACME (RFC 8555), such as Let's Encrypt.
//!
//! An order for a name is answered with a challenge: the authority connects to the name's
//! port 443, asks for the protocol `acme-tls/1`, and wants to be shown a certificate that
//! only the account's key could have led to (TLS-ALPN-01, RFC 8737). So no other port has to
//! be open, and nothing but a listener with TLS is needed. Each name has a certificate of
//! its own: one that cannot be had keeps no other from being renewed.
//!
//! - `order` is one order, from beginning to end.
//! - `schedule` says when the next one is due.
//! - `store` keeps the account and what was issued, so that a restart orders nothing.
//! - `challenge` shows what authorities look for.

mod challenge;
mod client;
mod order;
mod schedule;
mod store;
#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use fanwire_app::serve::tls::Acme;
use indexmap::IndexMap;
use jiff::{SignedDuration, Timestamp};
use tokio::time::{sleep, timeout};

use self::challenge::Challenges;
use self::store::Store;
use super::certificates::Certificates;
use super::event::CertificateEvent;
use super::pair::{Pair, PairError};

/// How long an order may take in all.
const ORDER_TIMEOUT: Duration = Duration::from_secs(300);

/// The least time between two orders for one name that succeed.
const MIN_INTERVAL: SignedDuration = SignedDuration::from_mins(1);

/// How long to sleep at a time: the clock of a machine that was asleep itself jumps.
const MAX_SLEEP: Duration = Duration::from_secs(600);

/// Why an authority has issued no certificate.
#[derive(Debug, thiserror::Error)]
pub enum AcmeError {
    /// What is kept cannot be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    File {
        /// What was to be done: `read`, `write`, `create`.
        action: &'static str,
        /// With which file or folder.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A file that the settings name cannot be used.
    #[error("cannot use {}: {source}", path.display())]
    Setting {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: PairError,
    },
    /// The key of the external account is no base64url.
    #[error("the key in {} is not in base64url, as authorities give it", path.display())]
    ExternalKey {
        /// The file.
        path: PathBuf,
    },
    /// The system trusts nobody, so the authority cannot be spoken to.
    #[error(
        "this system has no certificates to trust; install its package ca-certificates, or \
         name them by directory_ca in [tls.acme]"
    )]
    NoRoots,
    /// The authority refuses, or cannot be reached.
    #[error("{0}")]
    Authority(#[source] Box<instant_acme::Error>),
    /// It offers no challenge that is answered here.
    #[error("the authority offers no challenge TLS-ALPN-01 for this name")]
    NoChallenge,
    /// It has not found that the name is ours.
    #[error(
        "the authority does not accept that the name is this server's: {0}; its port 443 has \
         to lead to a listener with TLS here"
    )]
    NotOurs(String),
    /// What it has issued is of no use.
    #[error("what the authority has issued cannot be used: {0}")]
    Issued(#[source] PairError),
    /// Keys and requests cannot be made.
    #[error("cannot make a key or a request: {0}")]
    Crypto(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It took too long.
    #[error("it took longer than {ORDER_TIMEOUT:?}")]
    TimedOut,
}

/// Gets and renews certificates.
pub(super) struct Renewal {
    acme: Acme,
    store: Store,
    challenges: Arc<Challenges>,
}

/// A name, and when its certificate is to be ordered.
struct Due {
    name: String,
    at: Timestamp,
    /// Orders in a row that came to nothing.
    failures: u32,
}

// === impl Renewal ===

impl Renewal {
    /// Keeps what is issued in `folder`.
    pub(super) fn open(acme: Acme, folder: &Path) -> Result<Self, AcmeError> {
        let store = Store::open(folder, &acme.directory)?;
        Ok(Self { acme, store, challenges: Arc::default() })
    }

    /// What authorities are shown that look whether a name is ours.
    pub(super) fn challenges(&self) -> Arc<Challenges> {
        Arc::clone(&self.challenges)
    }

    /// What was issued before, by name.
    pub(super) fn kept(&self) -> IndexMap<String, Pair> {
        let kept = |name: &String| Some((name.clone(), self.store.certificate(name)?));
        self.acme.domains.iter().filter_map(kept).collect()
    }

    /// Orders certificates when they are due, one after the other, for ever.
    pub(super) async fn run(&self, certificates: &Certificates) {
        let first = |name: &String| {
            let period = certificates.period_of(name);
            let at = period.map(|period| schedule::renew_at(period, schedule::chance()));
            Due { name: name.clone(), at: at.unwrap_or_else(Timestamp::now), failures: 0 }
        };
        let mut due: Vec<Due> = self.acme.domains.iter().map(first).collect();
        while let Some(next) = due.iter_mut().min_by_key(|due| due.at) {
            sleep_until(next.at).await;
            let (name, directory) = (next.name.clone(), self.acme.directory.clone());
            certificates.tell(&CertificateEvent::Ordered { name, directory });
            match self.order(&next.name).await {
                Ok(pair) => {
                    let at = schedule::renew_at(pair.period, schedule::chance());
                    next.at = at.max(Timestamp::now() + MIN_INTERVAL);
                    next.failures = 0;
                    certificates.issued(&next.name, pair);
                }
                Err(error) => {
                    next.failures = next.failures.saturating_add(1);
                    let again = schedule::back_off(next.failures, schedule::chance());
                    // It fits: it is a few hours.
                    next.at =
                        Timestamp::now() + SignedDuration::try_from(again).unwrap_or_default();
                    let (name, error) = (next.name.clone(), error.to_string());
                    certificates.tell(&CertificateEvent::NotIssued { name, error, again });
                }
            }
        }
    }

    async fn order(&self, name: &str) -> Result<Pair, AcmeError> {
        let ordering = order::order(&self.acme, &self.store, &self.challenges, name);
        timeout(ORDER_TIMEOUT, ordering).await.unwrap_or(Err(AcmeError::TimedOut))
    }
}

// === impl AcmeError ===

impl From<instant_acme::Error> for AcmeError {
    fn from(error: instant_acme::Error) -> Self {
        Self::Authority(Box::new(error))
    }
}

async fn sleep_until(at: Timestamp) {
    while let Ok(left) = Duration::try_from(at.duration_since(Timestamp::now())) {
        if left.is_zero() {
            return;
        }
        sleep(left.min(MAX_SLEEP)).await;
    }
}
