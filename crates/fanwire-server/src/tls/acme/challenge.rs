//! What is shown to an authority that looks whether a name is ours (RFC 8737, section 3).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rcgen::{CertificateParams, CustomExtension, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::super::authority::provider;
use super::AcmeError;

/// The certificates of the challenges that are open, by name.
#[derive(Debug, Default)]
pub(in crate::tls) struct Challenges(Mutex<HashMap<String, Arc<CertifiedKey>>>);

/// A challenge that is open until this is dropped.
pub(super) struct Shown<'c> {
    challenges: &'c Challenges,
    name: String,
}

// === impl Challenges ===

impl Challenges {
    /// Shows authorities that ask for `name` the hash of a key authorization.
    pub(super) fn show(&self, name: &str, hash: &[u8; 32]) -> Result<Shown<'_>, AcmeError> {
        let certified = certify(name, hash).map_err(AcmeError::Crypto)?;
        self.lock().insert(name.to_owned(), Arc::new(certified));
        Ok(Shown { challenges: self, name: name.to_owned() })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<CertifiedKey>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ResolvesServerCert for Challenges {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name()?.to_ascii_lowercase();
        self.lock().get(&name).cloned()
    }
}

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        self.challenges.lock().remove(&self.name);
    }
}

fn certify(
    name: &str,
    hash: &[u8; 32],
) -> Result<CertifiedKey, Box<dyn std::error::Error + Send + Sync>> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(vec![name.to_owned()])?;
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(hash)];
    let made = params.self_signed(&key)?;
    let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    // Not checked against each other: what reads certificates here refuses the extension,
    // which has to be critical.
    let signing = provider().key_provider.load_private_key(der)?;
    Ok(CertifiedKey::new(vec![made.der().clone()], signing))
}
