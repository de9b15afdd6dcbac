//! Which certificates are believed.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;

/// Whose certificates a client believes.
///
/// ```no_run
/// use fanwire::client::{Trust, WebSocket};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let trust = Trust::root_file(".fanwire/ca.pem")?;
/// let socket = WebSocket::builder("wss://localhost:3001").trust(trust).connect().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Trust(Roots);

#[derive(Clone, Debug, Default)]
enum Roots {
    /// Those of the system, or of the file that `SSL_CERT_FILE` names.
    #[default]
    System,
    Given(Arc<RootCertStore>),
}

/// Why certificates of authorities cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    /// The file cannot be read.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// There are none in it, or one of them is broken.
    #[error("no certificates to trust: {0}; expected PEM, `-----BEGIN CERTIFICATE-----`")]
    Pem(String),
}

// === impl Trust ===

impl Trust {
    /// Only these authorities: certificates as PEM.
    ///
    /// # Errors
    ///
    /// Where there is no certificate in it.
    pub fn root(pem: &[u8]) -> Result<Self, TrustError> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|error| TrustError::Pem(error.to_string()))?;
            roots.add(certificate).map_err(|error| TrustError::Pem(error.to_string()))?;
        }
        if roots.is_empty() {
            return Err(TrustError::Pem("there is none".to_owned()));
        }
        Ok(Self(Roots::Given(Arc::new(roots))))
    }

    /// Only the authorities of a file, such as the certificate of Fanwire's own.
    ///
    /// # Errors
    ///
    /// Where it cannot be read, or holds no certificate.
    pub fn root_file(path: impl AsRef<Path>) -> Result<Self, TrustError> {
        let path = path.as_ref();
        let pem = std::fs::read(path)
            .map_err(|source| TrustError::File { path: path.to_owned(), source })?;
        Self::root(&pem)
    }

    /// What makes TLS connections with it. Reads the system's certificates, so it is made
    /// once for a client and not for each connection.
    pub(super) fn connector(&self) -> Result<TlsConnector, rustls::Error> {
        let roots = match &self.0 {
            Roots::Given(roots) => Arc::clone(roots),
            Roots::System => {
                let mut roots = RootCertStore::empty();
                // A machine without certificates fails at the handshake, with that reason.
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
                Arc::new(roots)
            }
        };
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(TlsConnector::from(Arc::new(config)))
    }
}
