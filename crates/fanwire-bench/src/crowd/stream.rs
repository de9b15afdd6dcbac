//! A client's connection, with TLS or without.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::sync::Arc;

use mio::net::TcpStream;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme};

use crate::Result;

/// Where bytes go and come from.
pub(super) struct Stream {
    pub(super) socket: TcpStream,
    tls: Option<Box<ClientConnection>>,
}

/// What a client does that speaks TLS. It believes any certificate: the server that is
/// measured has made its own.
pub(super) fn tls_config() -> Result<Arc<ClientConfig>> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody(provider)))
        .with_no_client_auth();
    // Every client is a new one: none has a ticket of another.
    config.resumption = rustls::client::Resumption::disabled();
    Ok(Arc::new(config))
}

// === impl Stream ===

impl Stream {
    pub(super) fn new(socket: TcpStream, tls: Option<&Arc<ClientConfig>>) -> Result<Self> {
        let name = ServerName::try_from("localhost")?;
        let tls = match tls {
            Some(config) => {
                let mut connection = ClientConnection::new(Arc::clone(config), name)?;
                connection.set_buffer_limit(Some(16 * 1024));
                Some(Box::new(connection))
            }
            None => None,
        };
        Ok(Self { socket, tls })
    }

    /// Whether nothing but the client's own words is needed for it to speak.
    pub(super) fn is_open(&self) -> bool {
        self.tls.as_ref().is_none_or(|tls| !tls.is_handshaking())
    }

    /// Sends a few bytes, for which there is room: what is said is short, and answered.
    pub(super) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.tls {
            Some(tls) => {
                tls.writer().write_all(bytes)?;
                self.flush()
            }
            None => self.socket.write_all(bytes),
        }
    }

    /// Sends what TLS has to say.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        let Some(tls) = &mut self.tls else { return Ok(()) };
        while tls.wants_write() {
            match tls.write_tls(&mut self.socket) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Appends what there is to `out`. Tells whether there will be more.
    pub(super) fn read(&mut self, scratch: &mut [u8], out: &mut Vec<u8>) -> io::Result<bool> {
        loop {
            let ended = match &mut self.tls {
                None => match self.socket.read(scratch) {
                    Ok(0) => true,
                    Ok(count) => {
                        out.extend_from_slice(&scratch[..count]);
                        false
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
                    Err(error) => return Err(error),
                },
                Some(tls) => {
                    let ended = match tls.read_tls(&mut self.socket) {
                        Ok(count) => count == 0,
                        Err(error) if error.kind() == ErrorKind::WouldBlock => {
                            self.flush()?;
                            return Ok(true);
                        }
                        Err(error) => return Err(error),
                    };
                    let state = tls.process_new_packets().map_err(io::Error::other)?;
                    let start = out.len();
                    out.resize(start + state.plaintext_bytes_to_read(), 0);
                    tls.reader().read_exact(&mut out[start..])?;
                    ended
                }
            };
            if ended {
                return Ok(false);
            }
        }
    }
}

/// Believes any certificate.
#[derive(Debug)]
struct Anybody(Arc<rustls::crypto::CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
