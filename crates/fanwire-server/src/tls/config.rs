//! What is agreed with clients in a handshake: versions, protocols, certificates of their own.

use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use fanwire_app::serve::tls::{ClientCertificates, TlsVersion};
use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};

use super::authority::provider;
use super::certificates::CertificateError;
use super::pair;

/// What may be spoken over TLS (ALPN): HTTP in two versions, MQTT, and the names that AWS
/// IoT has for these on port 443 (reference: iot.md, section 1). The first byte decides.
const ALPN: [&str; 5] = ["h2", "http/1.1", "mqtt", "x-amzn-mqtt-ca", "x-amzn-http-ca"];

/// What an authority asks for that looks whether a name is ours (RFC 8737, section 6.2).
pub(super) const ACME_ALPN: &[u8] = b"acme-tls/1";

const BOTH: &[&SupportedProtocolVersion] = &[&TLS13, &TLS12];
const ONLY_1_3: &[&SupportedProtocolVersion] = &[&TLS13];

/// How handshakes are done, which may change while they go on.
#[derive(Debug)]
pub(crate) struct Configs {
    /// With clients.
    pub(super) clients: ArcSwap<ServerConfig>,
    /// With authorities that look whether a name is ours. `None`: none is asked to.
    pub(super) challenges: Option<Arc<ServerConfig>>,
}

// === impl Configs ===

impl Configs {
    /// For who says hello; and whether it is an authority.
    pub(super) fn of(&self, hello: &ClientHello<'_>) -> (Arc<ServerConfig>, bool) {
        match &self.challenges {
            Some(config) if is_challenge(hello) => (Arc::clone(config), true),
            _ => (self.clients.load_full(), false),
        }
    }
}

/// Whether it is said by an authority, which asks for one protocol alone.
fn is_challenge(hello: &ClientHello<'_>) -> bool {
    let mut asked = hello.alpn().into_iter().flatten();
    asked.next() == Some(ACME_ALPN) && asked.next().is_none()
}

/// How clients are met that are shown what `resolver` has.
pub(super) fn of_clients(
    resolver: Arc<dyn ResolvesServerCert>,
    oldest: TlsVersion,
    verifier: Option<Arc<dyn ClientCertVerifier>>,
) -> Result<ServerConfig, rustls::Error> {
    let versions = match oldest {
        TlsVersion::V1_2 => BOTH,
        TlsVersion::V1_3 => ONLY_1_3,
    };
    let builder = ServerConfig::builder_with_provider(provider());
    let builder = builder.with_protocol_versions(versions)?;
    let builder = match verifier {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_cert_resolver(resolver);
    config.alpn_protocols = ALPN.iter().map(|name| name.as_bytes().to_vec()).collect();
    // Clients that come back in their thousands prove with these that they were here, which
    // costs neither side a signature, and this one no memory.
    config.ticketer = Ticketer::new()?;
    Ok(config)
}

/// How authorities are met. They have no certificate, whatever clients have to have.
pub(super) fn of_challenges(
    resolver: Arc<dyn ResolvesServerCert>,
) -> Result<ServerConfig, rustls::Error> {
    let builder = ServerConfig::builder_with_provider(provider()).with_protocol_versions(BOTH)?;
    let mut config = builder.with_no_client_auth().with_cert_resolver(resolver);
    config.alpn_protocols = vec![ACME_ALPN.to_vec()];
    // Each look is to see what is there now.
    config.send_tls13_tickets = 0;
    Ok(config)
}

/// Checks what clients present against the authorities in the file `path`.
pub(super) fn client_verifier(
    path: &Path,
    demand: ClientCertificates,
) -> Result<Arc<dyn ClientCertVerifier>, CertificateError> {
    let failed = |source| CertificateError::ClientCa { path: path.to_owned(), source };
    let unusable = |why: String| failed(pair::PairError::Unusable(rustls::Error::General(why)));
    let pem = pair::read(path).map_err(failed)?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|_| failed(pair::PairError::Damaged))?;
        roots.add(certificate).map_err(|error| failed(pair::PairError::Unusable(error)))?;
    }
    if roots.is_empty() {
        return Err(failed(pair::PairError::NoCertificate));
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
    let builder = match demand {
        ClientCertificates::Required => builder,
        ClientCertificates::Optional => builder.allow_unauthenticated(),
    };
    builder.build().map_err(|error| unusable(error.to_string()))
}
