//! A certificate for whatever name a client asks for.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use indexmap::IndexMap;
use rcgen::{Issuer, KeyPair, SanType};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::{CertifiedKey, SigningKey};

use super::TlsError;
use super::authority::provider;
use super::certificate;

/// Certificates kept at the most. An app has a handful of names; the rest are somebody's
/// who tries what happens.
const MAX_KEPT: usize = 256;

/// Makes certificates for the names that clients ask for, and keeps them.
pub(super) struct Resolver {
    issuer: Arc<Issuer<'static, KeyPair>>,
    /// One key for all, made anew at every start and never written down.
    key: KeyPair,
    signing: Arc<dyn SigningKey>,
    /// For clients that ask for no name, or for one that is not ours to certify.
    default: Arc<CertifiedKey>,
    // A std lock, because it is held for a look-up or an insertion.
    made: Mutex<IndexMap<String, Arc<CertifiedKey>>>,
}

// === impl Resolver ===

impl Resolver {
    /// For a server that is bound to `address`.
    pub(super) fn new(
        issuer: Arc<Issuer<'static, KeyPair>>,
        address: IpAddr,
    ) -> Result<Self, TlsError> {
        let key = KeyPair::generate()?;
        let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let signing = provider().key_provider.load_private_key(der)?;
        let default = certified(&issuer, &key, &signing, certificate::default_names(address))?;
        Ok(Self { issuer, key, signing, default, made: Mutex::default() })
    }

    fn for_name(&self, name: &str) -> Option<Arc<CertifiedKey>> {
        let name = name.to_ascii_lowercase();
        if !certificate::is_permitted(&name) {
            return None;
        }
        if let Some(kept) = self.lock().get(&name) {
            return Some(Arc::clone(kept));
        }
        // Made without the lock: two clients who ask at once get one each.
        let names = vec![certificate::dns_name(&name)?];
        let made = certified(&self.issuer, &self.key, &self.signing, names).ok()?;
        let mut kept = self.lock();
        if kept.len() >= MAX_KEPT {
            kept.shift_remove_index(0);
        }
        kept.insert(name, Arc::clone(&made));
        Some(made)
    }

    /// The certificate for a name of this machine or of AWS; `None` for every other.
    pub(super) fn for_local_name(&self, name: &str) -> Option<Arc<CertifiedKey>> {
        if name == "localhost" { Some(Arc::clone(&self.default)) } else { self.for_name(name) }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, IndexMap<String, Arc<CertifiedKey>>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let named = hello.server_name().filter(|name| *name != "localhost");
        let made = named.and_then(|name| self.for_name(name));
        Some(made.unwrap_or_else(|| Arc::clone(&self.default)))
    }
}

impl std::fmt::Debug for Resolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resolver").finish_non_exhaustive()
    }
}

fn certified(
    issuer: &Issuer<'static, KeyPair>,
    key: &KeyPair,
    signing: &Arc<dyn SigningKey>,
    names: Vec<SanType>,
) -> Result<Arc<CertifiedKey>, TlsError> {
    let made = certificate::certify(issuer, key, names)?;
    Ok(Arc::new(CertifiedKey::new(vec![made.der().clone()], Arc::clone(signing))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_are_kept_by_name_and_their_number_is_bounded() {
        let issuer = Arc::new(certificate::issuer(KeyPair::generate().unwrap()));
        let resolver = Resolver::new(issuer, [127, 0, 0, 1].into()).unwrap();
        let first = resolver.for_name("App.localhost").unwrap();
        assert!(Arc::ptr_eq(&first, &resolver.for_name("app.localhost").unwrap()));
        assert!(resolver.for_name("example.com").is_none());
        for number in 0..MAX_KEPT + 10 {
            resolver.for_name(&format!("a{number}.localhost")).unwrap();
        }
        assert_eq!(resolver.lock().len(), MAX_KEPT);
        assert!(!Arc::ptr_eq(&first, &resolver.for_name("app.localhost").unwrap()));
    }
}
