//! Requests to an authority: over TLS alone, to whom the system or the settings trust, with
//! answers of bounded length, in bounded time.

use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use tokio::time::timeout;

use super::super::authority::provider;
use super::super::pair::{self, PairError};
use super::AcmeError;

/// The longest answer, in bytes: chains of certificates are the longest.
const MAX_ANSWER: usize = 1024 * 1024;

/// How long an answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Speaks to an authority.
pub(super) struct Http(Client<HttpsConnector<HttpConnector>, BodyWrapper<Bytes>>);

// === impl Http ===

impl Http {
    /// Trusts the certificates in the file `directory_ca`, else what the system trusts.
    pub(super) fn new(directory_ca: Option<&Path>) -> Result<Self, AcmeError> {
        let roots = match directory_ca {
            Some(path) => roots_in(path).map(Arc::new).map_err(|source| {
                let path = path.to_owned();
                AcmeError::Setting { path, source }
            })?,
            None => roots_of_system()?,
        };
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| AcmeError::Crypto(error.into()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connector =
            HttpsConnectorBuilder::new().with_tls_config(config).https_only().enable_http1();
        Ok(Self(Client::builder(TokioExecutor::new()).build(connector.build())))
    }
}

impl HttpClient for Http {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let answer = self.0.request(request);
        let whole = async move {
            let answer = answer.await.map_err(|error| Error::Other(chain_of(&error).into()))?;
            let (parts, body) = answer.into_parts();
            let body = Limited::new(body, MAX_ANSWER).collect().await.map_err(Error::Other)?;
            Ok(BytesResponse { parts, body: Box::new(body.to_bytes()) })
        };
        Box::pin(async move {
            let late = |_| Error::Other("the authority does not answer".into());
            timeout(ANSWER_TIMEOUT, whole).await.map_err(late)?
        })
    }
}

/// An error with what it comes from: hyper's own says no more than `client error (Connect)`.
fn chain_of(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

fn roots_in(path: &Path) -> Result<RootCertStore, PairError> {
    let pem = pair::read(path)?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|_| PairError::Damaged)?;
        roots.add(certificate).map_err(PairError::Unusable)?;
    }
    if roots.is_empty() { Err(PairError::NoCertificate) } else { Ok(roots) }
}

fn roots_of_system() -> Result<Arc<RootCertStore>, AcmeError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() { Err(AcmeError::NoRoots) } else { Ok(Arc::new(roots)) }
}
