//! From an address to a connection.

use std::io;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Request};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use super::address::Address;
use super::{ConnectError, Trust};

/// How long a server may take to accept a connection, with TLS.
const CONNECT_PATIENCE: Duration = Duration::from_secs(10);

/// How long a server, with its authorizer and handler, may take to answer a handshake.
pub(super) const HANDSHAKE_PATIENCE: Duration = Duration::from_secs(60);

/// The longest message that is taken, in bytes, unless a builder says otherwise: 64 MiB.
pub(super) const MAX_MESSAGE_BYTES: usize = 64 * 1024 * 1024;

/// A connection, with or without TLS.
pub(super) trait Socket: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Socket for T {}

/// An open WebSocket.
pub(super) type OpenWebSocket = WebSocketStream<Box<dyn Socket>>;

/// Connects to one place, any number of times.
#[derive(Clone)]
pub(super) struct Connector {
    pub(super) address: Address,
    /// Headers beside those of the protocol.
    headers: Vec<(HeaderName, HeaderValue)>,
    protocols: Vec<String>,
    /// Present where the address wants it.
    tls: Option<TlsConnector>,
    max_message: usize,
}

// === impl Connector ===

impl Connector {
    pub(super) fn new(address: Address, trust: &Trust) -> Result<Self, ConnectError> {
        let tls = address.scheme.is_tls().then(|| trust.connector()).transpose();
        let tls = tls.map_err(|error| ConnectError::Tls {
            address: address.to_string(),
            source: io::Error::other(error),
        })?;
        let (headers, protocols) = (Vec::new(), Vec::new());
        Ok(Self { address, headers, protocols, tls, max_message: MAX_MESSAGE_BYTES })
    }

    pub(super) fn with_headers(
        mut self,
        headers: &[(String, String)],
    ) -> Result<Self, ConnectError> {
        for (name, value) in headers {
            let wrong = || ConnectError::Request(format!("`{name}` cannot be sent as a header"));
            let parsed = name.parse().ok().zip(value.parse().ok());
            self.headers.push(parsed.ok_or_else(wrong)?);
        }
        Ok(self)
    }

    pub(super) fn with_protocols(mut self, protocols: Vec<String>) -> Self {
        self.protocols = protocols;
        self
    }

    pub(super) fn with_max_message(mut self, bytes: usize) -> Self {
        self.max_message = bytes;
        self
    }

    /// TCP, and TLS over it.
    pub(super) async fn dial(&self) -> Result<Box<dyn Socket>, ConnectError> {
        let address = self.address.to_string();
        match tokio::time::timeout(CONNECT_PATIENCE, self.reach()).await {
            Ok(connected) => connected,
            Err(_) => Err(ConnectError::Timeout { address, patience: CONNECT_PATIENCE }),
        }
    }

    async fn reach(&self) -> Result<Box<dyn Socket>, ConnectError> {
        let address = || self.address.to_string();
        let unreachable = |source| ConnectError::Unreachable { address: address(), source };
        let place = (self.address.host_to_dial(), self.address.port);
        let stream = TcpStream::connect(place).await.map_err(unreachable)?;
        // Small messages must not wait for others; where it fails they merely do.
        let _ = stream.set_nodelay(true);
        let Some(tls) = &self.tls else { return Ok(Box::new(stream)) };
        let no_tls = |source| ConnectError::Tls { address: address(), source };
        let name = ServerName::try_from(self.address.host.clone());
        let name = name.map_err(|error| no_tls(io::Error::other(error)))?;
        Ok(Box::new(tls.connect(name, stream).await.map_err(no_tls)?))
    }

    /// A WebSocket, and the subprotocol that the server has chosen.
    pub(super) async fn open(&self) -> Result<(OpenWebSocket, Option<String>), ConnectError> {
        let socket = self.dial().await?;
        let request = self.request()?;
        let config = WebSocketConfig::default()
            .max_message_size(Some(self.max_message))
            .max_frame_size(Some(self.max_message));
        let answered = client_async_with_config(request, socket, Some(config));
        let Ok(answered) = tokio::time::timeout(HANDSHAKE_PATIENCE, answered).await else {
            let address = self.address.to_string();
            return Err(ConnectError::Timeout { address, patience: HANDSHAKE_PATIENCE });
        };
        let (opened, response) = answered.map_err(|error| self.refused(error))?;
        let chosen = response.headers().get("sec-websocket-protocol");
        let chosen = chosen.and_then(|name| name.to_str().ok()).map(str::to_owned);
        Ok((opened, chosen))
    }

    fn request(&self) -> Result<Request<()>, ConnectError> {
        let scheme = if self.address.scheme.is_tls() { "wss" } else { "ws" };
        let authority = self.address.authority();
        let mut request = Request::get(format!("{scheme}://{authority}{}", self.address.path))
            .header("Host", authority)
            .header("Connection", "Upgrade")
            .header("Upgrade", "websocket")
            .header("Sec-WebSocket-Version", "13")
            .header("Sec-WebSocket-Key", generate_key());
        if !self.protocols.is_empty() {
            request = request.header("Sec-WebSocket-Protocol", self.protocols.join(", "));
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        request.body(()).map_err(|error| ConnectError::Request(error.to_string()))
    }

    fn refused(&self, error: tungstenite::Error) -> ConnectError {
        let address = self.address.to_string();
        match error {
            tungstenite::Error::Http(answer) => {
                let status = answer.status().as_u16();
                let body = answer.into_body().unwrap_or_default();
                let body = String::from_utf8_lossy(&body).into_owned();
                ConnectError::Refused { address, status, body }
            }
            tungstenite::Error::Io(source) => ConnectError::Unreachable { address, source },
            other => ConnectError::Protocol { address, why: other.to_string() },
        }
    }
}

impl std::fmt::Debug for Connector {
    /// Without headers and query, in which credentials may be.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connector")
            .field("address", &self.address.to_string())
            .finish_non_exhaustive()
    }
}
