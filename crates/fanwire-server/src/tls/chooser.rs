//! Which certificate a client is shown: the one for the name that it asks for.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use rustls::SignatureScheme;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::pair::Pair;
use super::resolver::Resolver;

/// Chooses among certificates, which may be replaced while handshakes go on.
#[derive(Debug, Default)]
pub(super) struct Chooser {
    choice: ArcSwap<Choice>,
    /// For this machine's own names and AWS's, by which functions call.
    local: OnceLock<Resolver>,
}

/// The certificates that there are, by the names in them.
#[derive(Debug, Default)]
pub(super) struct Choice {
    /// Several where they differ by their keys: RSA for old clients, ECDSA for the rest.
    by_name: HashMap<String, Vec<Arc<CertifiedKey>>>,
    /// For clients that ask for no name, or for one that no certificate has.
    default: Option<Arc<CertifiedKey>>,
}

// === impl Chooser ===

impl Chooser {
    /// Certifies this machine's own names, too. What it did before remains.
    pub(super) fn certify_local(&self, local: Resolver) {
        // The one that is there does the same.
        let _ = self.local.set(local);
    }

    /// Shows other certificates from now on.
    pub(super) fn replace(&self, choice: Choice) {
        self.choice.store(Arc::new(choice));
    }

    fn for_name(
        &self,
        name: Option<&str>,
        schemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        let choice = self.choice.load();
        let name = name.map(str::to_ascii_lowercase);
        name.as_deref()
            .and_then(|name| choice.for_name(name, schemes).or_else(|| self.local(name)))
            .or_else(|| choice.default.clone())
    }

    fn local(&self, name: &str) -> Option<Arc<CertifiedKey>> {
        self.local.get()?.for_local_name(name)
    }
}

impl ResolvesServerCert for Chooser {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.for_name(hello.server_name(), hello.signature_schemes())
    }
}

// === impl Choice ===

impl Choice {
    /// Among `pairs`, of which the first is the default. Where two have a name and the same
    /// kind of key, the earlier is shown.
    pub(super) fn new<'a>(pairs: impl Iterator<Item = &'a Pair>) -> Self {
        let mut choice = Self::default();
        for pair in pairs {
            choice.default.get_or_insert_with(|| Arc::clone(&pair.certified));
            for name in &pair.names {
                let fit = choice.by_name.entry(name.clone()).or_default();
                fit.push(Arc::clone(&pair.certified));
            }
        }
        choice
    }

    /// The certificate for a name in lower case: one that has it, or `*` for its first label
    /// (RFC 6125, section 6.4.3).
    fn for_name(&self, name: &str, schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let exact = self.by_name.get(name);
        let fit = exact.or_else(|| {
            let (_, parent) = name.split_once('.')?;
            self.by_name.get(&format!("*.{parent}"))
        })?;
        let usable = fit.iter().find(|pair| pair.key.choose_scheme(schemes).is_some());
        usable.or_else(|| fit.first()).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_certificates::make;
    use super::*;

    const SCHEMES: [SignatureScheme; 1] = [SignatureScheme::ECDSA_NISTP256_SHA256];

    fn pair(names: &[&str]) -> Pair {
        let made = make(names);
        Pair::from_pem(made.chain.as_bytes(), made.key.as_bytes()).unwrap()
    }

    #[test]
    fn the_name_decides_then_the_wildcard_then_the_first() {
        let pairs = [pair(&["a.com"]), pair(&["*.a.com", "b.com"]), pair(&["x.a.com"])];
        let chooser = Chooser::default();
        assert!(chooser.for_name(Some("a.com"), &SCHEMES).is_none(), "there are none yet");
        chooser.replace(Choice::new(pairs.iter()));
        for (name, expected) in [
            (Some("a.com"), 0),
            (Some("A.COM"), 0),
            (Some("y.a.com"), 1),
            (Some("b.com"), 1),
            (Some("x.a.com"), 2),
            (Some("y.x.a.com"), 0),
            (Some("other.org"), 0),
            (None, 0),
        ] {
            let chosen = chooser.for_name(name, &SCHEMES).unwrap();
            assert!(Arc::ptr_eq(&chosen, &pairs[expected].certified), "{name:?}");
        }
    }
}
