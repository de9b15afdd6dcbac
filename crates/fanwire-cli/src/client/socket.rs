//! A connection to a server: TCP, and TLS over it where the address says so.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use fanwire_server::Authority;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{Address, CommandError};

/// How long a server may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Which certificates are believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trust {
    /// Those of the system's authorities and of our own local one.
    Known,
    /// Any.
    Anyone,
}

/// What a connection is, with or without TLS.
pub(crate) trait Socket: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Socket for T {}

/// Connects.
pub(crate) async fn connect(
    address: &Address,
    trust: Trust,
) -> Result<Box<dyn Socket>, CommandError> {
    let unreachable = |source| CommandError::Unreachable { address: address.to_string(), source };
    let connecting = TcpStream::connect((host_to_dial(address), address.port));
    let stream = match tokio::time::timeout(CONNECT_TIMEOUT, connecting).await {
        Ok(connected) => connected.map_err(unreachable)?,
        Err(_) => return Err(unreachable(io::ErrorKind::TimedOut.into())),
    };
    // Small messages must not wait for others; where it fails they merely do.
    let _ = stream.set_nodelay(true);
    if !address.tls {
        return Ok(Box::new(stream));
    }
    let name = ServerName::try_from(address.bare_host().to_owned())
        .map_err(|error| CommandError::Usage(format!("{}: {error}", address.host)))?;
    let connector = TlsConnector::from(Arc::new(config(trust)?));
    let stream = connector.connect(name, stream).await.map_err(|error| {
        CommandError::Failed(format!(
            "no TLS with {address}: {error}; --insecure takes any certificate"
        ))
    })?;
    Ok(Box::new(stream))
}

/// Names under `localhost` are this machine, which not every resolver knows.
fn host_to_dial(address: &Address) -> &str {
    let host = address.bare_host();
    if host.ends_with(".localhost") { "localhost" } else { host }
}

fn config(trust: Trust) -> Result<ClientConfig, CommandError> {
    let mut roots = RootCertStore::empty();
    // A machine without certificates of its own can still know the local authority.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Ok(path) = Authority::folder().map(|folder| Authority::certificate_in(&folder))
        && path.exists()
    {
        let certificate = CertificateDer::from_pem_file(&path)
            .map_err(|error| CommandError::Failed(format!("{}: {error}", path.display())))?;
        roots.add_parsable_certificates([certificate]);
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| CommandError::Failed(format!("no TLS: {error}")))?;
    Ok(match trust {
        Trust::Known => builder.with_root_certificates(roots).with_no_client_auth(),
        Trust::Anyone => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anyone { provider }))
            .with_no_client_auth(),
    })
}

/// Believes every certificate: `--insecure`.
#[derive(Debug)]
struct Anyone {
    provider: Arc<rustls::crypto::CryptoProvider>,
}

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
