//! Certificates for tests, signed by themselves or by a private authority.

use rcgen::{CertificateParams, KeyPair};

/// A certificate and its key, in PEM.
pub(super) struct Made {
    pub(super) chain: String,
    pub(super) key: String,
}

/// A certificate for `names` that vouches for itself.
pub(super) fn make(names: &[&str]) -> Made {
    let key = KeyPair::generate().unwrap();
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let made = CertificateParams::new(names).unwrap().self_signed(&key).unwrap();
    Made { chain: made.pem(), key: key.serialize_pem() }
}
