//! The certificates of a server that is on a network: from files, and from an authority that
//! issues them.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use fanwire_app::serve::tls::{CertificateFiles, Tls};
use indexmap::IndexMap;
use jiff::{SignedDuration, Timestamp};
use rustls::server::danger::ClientCertVerifier;
use tokio::sync::watch;

use super::acme::{AcmeError, Renewal};
use super::chooser::{Choice, Chooser};
use super::config::{self, Configs};
use super::event::{CertificateEvent, CertificateFacts, CertificateObserver};
use super::followed::{Followed, Look};
use super::pair::{self, Pair, PairError};
use super::resolver::Resolver;
use super::stream::Acceptor;
use super::{Authority, TlsError};
use crate::listener::told_to;

/// How often files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// A certificate that ends sooner than this is told of, once a day.
const EXPIRING: SignedDuration = SignedDuration::from_hours(14 * 24);
const TELL_EVERY: SignedDuration = SignedDuration::from_hours(24);

/// What is presented to clients, kept up to date.
pub struct Certificates {
    tls: Tls,
    observer: Arc<dyn CertificateObserver>,
    chooser: Arc<Chooser>,
    configs: Arc<Configs>,
    /// A std lock, because it is held while files are read, and never across a wait.
    state: Mutex<State>,
    renewal: Option<Renewal>,
}

struct State {
    files: Vec<Followed<Pair, CertificateError>>,
    clients: Option<Followed<Arc<dyn ClientCertVerifier>, CertificateError>>,
    /// What an authority has issued, by name.
    issued: IndexMap<String, Pair>,
    /// When it was told of a certificate's end, by its names.
    told: HashMap<Vec<String>, Timestamp>,
}

/// Why there are no certificates to be presented.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A certificate in files is none.
    #[error("cannot use {}: {source}", path.display())]
    File {
        /// The file that is to blame, or that with the certificate.
        path: PathBuf,
        /// What is wrong with it.
        source: PairError,
    },
    /// The file with clients' authorities has none.
    #[error("cannot use client_ca {}: {source}", path.display())]
    ClientCa {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: PairError,
    },
    /// The authority cannot be asked.
    #[error(transparent)]
    Acme(#[from] AcmeError),
    /// No handshake can be done.
    #[error("cannot speak TLS: {0}")]
    Tls(#[from] rustls::Error),
}

// === impl Certificates ===

impl Certificates {
    /// Reads what there is. An authority is asked only when the server runs, since it looks
    /// there whether the names are ours; what it issues is kept in `folder`.
    ///
    /// # Errors
    ///
    /// Where a file cannot be used, or `folder` cannot be written to.
    pub fn open(
        tls: &Tls,
        folder: &Path,
        observer: Arc<dyn CertificateObserver>,
    ) -> Result<Arc<Self>, CertificateError> {
        let files = tls.certificates.iter().map(follow).collect::<Result<Vec<_>, _>>()?;
        let demand = tls.client_certificates;
        let clients = tls.client_ca.clone().map(|path| {
            Followed::open(vec![path], move |paths| config::client_verifier(&paths[0], demand))
        });
        let clients = clients.transpose()?;
        let renewal = tls.acme.clone().map(|acme| Renewal::open(acme, folder)).transpose()?;
        let issued = renewal.as_ref().map(Renewal::kept).unwrap_or_default();
        let chooser = Arc::new(Chooser::default());
        let verifier = clients.as_ref().map(|clients| Arc::clone(clients.value()));
        let config = config::of_clients(Arc::clone(&chooser) as _, tls.min_version, verifier)?;
        let challenges = renewal.as_ref().map(|renewal| renewal.challenges());
        let challenges = challenges.map(|found| config::of_challenges(found).map(Arc::new));
        let configs = Arc::new(Configs {
            clients: ArcSwap::from_pointee(config),
            challenges: challenges.transpose()?,
        });
        let state = State { files, clients, issued, told: HashMap::new() };
        let opened = Self {
            tls: tls.clone(),
            observer,
            chooser,
            configs,
            state: Mutex::new(state),
            renewal,
        };
        opened.present(&opened.lock());
        Ok(Arc::new(opened))
    }

    /// What is presented, the files' first.
    pub fn facts(&self) -> Vec<CertificateFacts> {
        let state = self.lock();
        let facts = |pair: &Pair, by_acme| CertificateFacts {
            names: pair.names.clone(),
            by_acme,
            not_before: pair.period.begin.into(),
            not_after: pair.period.end.into(),
        };
        let files = state.files.iter().map(|file| facts(file.value(), false));
        files.chain(state.issued.values().map(|pair| facts(pair, true))).collect()
    }

    /// Looks at the files now. What has changed is presented; what cannot be used is told.
    pub fn look(&self) {
        self.look_at(Timestamp::now());
    }

    fn look_at(&self, now: Timestamp) {
        let mut events = Vec::new();
        {
            let mut state = self.lock();
            let state = &mut *state;
            let mut changed = false;
            for (file, named) in state.files.iter_mut().zip(&self.tls.certificates) {
                let looked = file.look();
                let names = || file.value().names.clone();
                changed |= matches!(looked, Look::Changed);
                events.extend(told_of(looked, &named.certificate, names));
            }
            if changed {
                self.present(state);
            }
            if let (Some(clients), Some(path)) = (&mut state.clients, &self.tls.client_ca) {
                let mut looked = clients.look();
                if matches!(looked, Look::Changed)
                    && let Err(error) = self.check_clients(Arc::clone(clients.value()))
                {
                    looked = Look::Broken(error.into());
                }
                events.extend(told_of(looked, path, Vec::new));
            }
            events.extend(state.expiring(now));
        }
        events.iter().for_each(|event| self.observer.certificates(event));
    }

    /// Has clients checked by another verifier from now on. Who was here before proves it
    /// anew: tickets of before are of no use any more.
    fn check_clients(&self, verifier: Arc<dyn ClientCertVerifier>) -> Result<(), rustls::Error> {
        let resolver = Arc::clone(&self.chooser) as _;
        let config = config::of_clients(resolver, self.tls.min_version, Some(verifier))?;
        self.configs.clients.store(Arc::new(config));
        Ok(())
    }

    /// Keeps the certificates up to date until the server stops.
    pub(crate) async fn keep(self: Arc<Self>, mut stopped: watch::Receiver<bool>) {
        let following = async {
            let mut ticks = tokio::time::interval(LOOK_EVERY);
            loop {
                ticks.tick().await;
                let me = Arc::clone(&self);
                // It fails only where it panics, which would be a defect; the next look may
                // succeed.
                let _ = tokio::task::spawn_blocking(move || me.look()).await;
            }
        };
        let renewing = async {
            if let Some(renewal) = &self.renewal {
                renewal.run(&self).await;
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = following => {}
            () = renewing => {}
            () = told_to(&mut stopped) => {}
        }
    }

    /// What does handshakes for a server that is bound to `address`. With an authority of
    /// this machine its names are certified, too: functions call by them.
    pub(crate) fn acceptor(
        &self,
        authority: Option<&Authority>,
        address: IpAddr,
    ) -> Result<Acceptor, TlsError> {
        if let Some(authority) = authority {
            self.chooser.certify_local(Resolver::new(authority.issuer(), address)?);
        }
        Ok(Acceptor::with(Arc::clone(&self.configs)))
    }

    /// Presents what an authority has issued, in place of what it had before.
    pub(super) fn issued(&self, name: &str, pair: Pair) {
        let end = pair.period.end;
        {
            let mut state = self.lock();
            state.issued.insert(name.to_owned(), pair);
            self.present(&state);
        }
        self.tell(&CertificateEvent::Issued { name: name.to_owned(), end });
    }

    /// When what an authority has issued for `name` is valid, if there is anything.
    pub(super) fn period_of(&self, name: &str) -> Option<super::validity::Period> {
        self.lock().issued.get(name).map(|pair| pair.period)
    }

    /// What orders certificates.
    #[cfg(test)]
    pub(super) fn renewal_for_tests(&self) -> &Renewal {
        self.renewal.as_ref().unwrap()
    }

    pub(super) fn tell(&self, event: &CertificateEvent) {
        self.observer.certificates(event);
    }

    fn present(&self, state: &State) {
        let files = state.files.iter().map(Followed::value);
        self.chooser.replace(Choice::new(files.chain(state.issued.values())));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Certificates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificates").field("facts", &self.facts()).finish_non_exhaustive()
    }
}

// === impl State ===

impl State {
    /// The certificates that end soon and were not told of today.
    fn expiring(&mut self, now: Timestamp) -> Vec<CertificateEvent> {
        let Self { files, issued, told, .. } = self;
        let pairs = files.iter().map(Followed::value).chain(issued.values());
        let expiring: Vec<&Pair> = pairs.filter(|pair| pair.period.end - EXPIRING < now).collect();
        told.retain(|names, _| expiring.iter().any(|pair| pair.names == *names));
        let mut events = Vec::new();
        for pair in expiring {
            if told.get(&pair.names).is_some_and(|last| now < *last + TELL_EVERY) {
                continue;
            }
            told.insert(pair.names.clone(), now);
            let (names, end) = (pair.names.clone(), pair.period.end);
            events.push(CertificateEvent::Expiring { names, end });
        }
        events
    }
}

/// Reads a certificate and its key, and follows them.
fn follow(files: &CertificateFiles) -> Result<Followed<Pair, CertificateError>, CertificateError> {
    let paths = vec![files.certificate.clone(), files.key.clone()];
    Followed::open(paths, |paths| {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| CertificateError::File { path, source }
        };
        let [certificate, key] = [&paths[0], &paths[1]];
        let chain = pair::read(certificate).map_err(failed(certificate))?;
        let secret = pair::read(key).map_err(failed(key))?;
        Pair::from_pem(&chain, &secret).map_err(|error| match error {
            PairError::NoKey => failed(key)(error),
            error => failed(certificate)(error),
        })
    })
}

/// What is told of a look at `path`.
fn told_of(
    looked: Look<CertificateError>,
    path: &Path,
    names: impl FnOnce() -> Vec<String>,
) -> Option<CertificateEvent> {
    match looked {
        Look::Same => None,
        Look::Changed => Some(CertificateEvent::Reloaded { path: path.to_owned(), names: names() }),
        Look::Broken(error) => Some(CertificateEvent::NotReloaded(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_certificates::make;
    use super::*;
    use std::fs;

    #[derive(Default)]
    struct Told(Mutex<Vec<String>>);

    impl CertificateObserver for Told {
        fn certificates(&self, event: &CertificateEvent) {
            self.0.lock().unwrap().push(event.to_string());
        }
    }

    impl Told {
        fn take(&self) -> Vec<String> {
            std::mem::take(&mut *self.0.lock().unwrap())
        }
    }

    fn write(folder: &Path, name: &str) {
        let made = make(&[name]);
        fs::write(folder.join("cert.pem"), made.chain).unwrap();
        fs::write(folder.join("key.pem"), made.key).unwrap();
    }

    fn tls(folder: &Path) -> Tls {
        let (certificate, key) = (folder.join("cert.pem"), folder.join("key.pem"));
        Tls { certificates: vec![CertificateFiles { certificate, key }], ..Tls::default() }
    }

    #[test]
    fn changed_files_are_presented_and_broken_ones_are_told_of() {
        let folder = tempfile::tempdir().unwrap();
        let (folder, told) = (folder.path(), Arc::new(Told::default()));
        write(folder, "a.com");
        let opened = Certificates::open(&tls(folder), folder, Arc::clone(&told) as _).unwrap();
        assert_eq!(opened.facts()[0].names, ["a.com"]);
        write(folder, "b.com");
        opened.look();
        assert_eq!(opened.facts()[0].names, ["b.com"]);
        assert!(told.take()[0].contains("presented for b.com"));
        fs::write(folder.join("key.pem"), "nothing").unwrap();
        for _ in 0..3 {
            opened.look();
        }
        let said = told.take();
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].contains("key.pem") && said[0].contains("no private key"), "{said:?}");
        assert_eq!(opened.facts()[0].names, ["b.com"]);
    }

    #[test]
    fn a_certificate_that_ends_soon_is_told_of_once_a_day() {
        let folder = tempfile::tempdir().unwrap();
        let (folder, told) = (folder.path(), Arc::new(Told::default()));
        write(folder, "a.com");
        let opened = Certificates::open(&tls(folder), folder, Arc::clone(&told) as _).unwrap();
        let end = Timestamp::try_from(opened.facts()[0].not_after).unwrap();
        let hours = SignedDuration::from_hours;
        opened.look_at(end - hours(15 * 24));
        assert_eq!(told.take(), Vec::<String>::new());
        for (hour, expected) in [(0, 1), (1, 0), (23, 0), (24, 1), (30, 0)] {
            opened.look_at(end - hours(13 * 24) + hours(hour));
            let said = told.take();
            assert_eq!(said.len(), expected, "{hour}");
            assert!(said.iter().all(|text| text.contains("for a.com ends at")), "{said:?}");
        }
    }

    #[test]
    fn a_file_that_is_none_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = Certificates::open(&tls(folder.path()), folder.path(), Arc::<Told>::default());
        let said = error.unwrap_err().to_string();
        assert!(said.contains("cert.pem") && said.contains("cannot be read"), "{said}");
    }
}
