//! One connection: a task that reads and writes a socket, or a WebSocket.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use super::super::ConnectError;
use super::super::connector::{Connector, HANDSHAKE_PATIENCE, OpenWebSocket, Socket};
use super::builder::{Credentials, CredentialsSource};
use super::link::SocketId;

/// How long the last bytes may take.
const CLOSE_PATIENCE: Duration = Duration::from_secs(1);

/// How much is read at once.
const READ_BYTES: usize = 16 * 1024;

/// The way to the broker.
pub(super) struct Road {
    pub(super) connector: Connector,
    pub(super) credentials: Option<CredentialsSource>,
    /// What follows the user name.
    pub(super) suffix: String,
}

/// What happens to a connection.
#[derive(Debug)]
pub(super) enum Happening {
    /// It is there, for who this is.
    Opened(Credentials),
    /// It could not be made.
    Failed(ConnectError),
    /// Bytes have come.
    Bytes(Bytes),
    /// It has ended.
    Closed,
}

/// What a connection is.
enum Wire {
    Stream(Box<dyn Socket>),
    WebSocket(Box<OpenWebSocket>),
}

// === impl Road ===

impl Road {
    /// Connects, and goes on until either side ends it: ours does when it drops the sender of
    /// `outgoing`.
    pub(super) async fn run(
        self: Arc<Self>,
        id: SocketId,
        mut outgoing: mpsc::Receiver<Vec<u8>>,
        happenings: mpsc::Sender<(SocketId, Happening)>,
    ) {
        let opened = tokio::select! {
            opened = self.open() => opened,
            // Nothing is sent before it is open, so this is its end.
            _ = outgoing.recv() => return,
        };
        let happening = match opened {
            Ok((wire, who)) => {
                // Whether the driver is still there shows in what follows.
                let _ = happenings.send((id, Happening::Opened(who))).await;
                wire.carry(id, outgoing, &happenings).await;
                Happening::Closed
            }
            Err(error) => Happening::Failed(error),
        };
        let _ = happenings.send((id, happening)).await;
    }

    async fn open(&self) -> Result<(Wire, Credentials), ConnectError> {
        let who = self.credentials().await?;
        let wire = if self.connector.address.scheme.is_websocket() {
            Wire::WebSocket(Box::new(self.connector.open().await?.0))
        } else {
            Wire::Stream(self.connector.dial().await?)
        };
        Ok((wire, who))
    }

    async fn credentials(&self) -> Result<Credentials, ConnectError> {
        let mut who = match &self.credentials {
            None => Credentials::default(),
            Some(source) => match timeout(HANDSHAKE_PATIENCE, source()).await {
                Ok(Ok(who)) => who,
                Ok(Err(error)) => return Err(ConnectError::Credentials(error.to_string())),
                Err(_) => {
                    let why = format!("the closure gave none within {HANDSHAKE_PATIENCE:?}");
                    return Err(ConnectError::Credentials(why));
                }
            },
        };
        if !self.suffix.is_empty() {
            who.username.get_or_insert_default().push_str(&self.suffix);
        }
        Ok(who)
    }

    /// The broker has refused the client, with a reason code of MQTT's.
    pub(super) fn refused(&self, reason: u8, why: String) -> ConnectError {
        let address = self.connector.address.to_string();
        ConnectError::Refused { address, status: reason.into(), body: why }
    }
}

// === impl Wire ===

impl Wire {
    /// Both ways, to the end.
    async fn carry(
        mut self,
        id: SocketId,
        mut outgoing: mpsc::Receiver<Vec<u8>>,
        happenings: &mpsc::Sender<(SocketId, Happening)>,
    ) {
        let mut buffer = BytesMut::new();
        loop {
            tokio::select! {
                bytes = outgoing.recv() => match bytes {
                    Some(bytes) => if !self.write(bytes).await { return },
                    None => {
                        // What the broker does with it is its own affair.
                        let _ = timeout(CLOSE_PATIENCE, self.close()).await;
                        return;
                    }
                },
                read = self.read(&mut buffer) => match read {
                    Some(bytes) => {
                        if happenings.send((id, Happening::Bytes(bytes))).await.is_err() {
                            return;
                        }
                    }
                    None => return,
                },
            }
        }
    }

    /// Cancel safe.
    async fn read(&mut self, buffer: &mut BytesMut) -> Option<Bytes> {
        match self {
            Self::Stream(stream) => {
                buffer.reserve(READ_BYTES);
                match stream.read_buf(buffer).await {
                    Ok(1..) => Some(buffer.split().freeze()),
                    _ => None,
                }
            }
            Self::WebSocket(socket) => loop {
                match socket.next().await?.ok()? {
                    Message::Binary(bytes) => return Some(bytes),
                    // Text is no MQTT (MQTT-6.0.0-1); pings are answered by what reads them.
                    Message::Text(_) => return None,
                    _ => {}
                }
            },
        }
    }

    /// False: it is of no use any more.
    async fn write(&mut self, bytes: Vec<u8>) -> bool {
        match self {
            Self::Stream(stream) => {
                stream.write_all(&bytes).await.is_ok() && stream.flush().await.is_ok()
            }
            Self::WebSocket(socket) => socket.send(Message::binary(bytes)).await.is_ok(),
        }
    }

    async fn close(&mut self) {
        match self {
            Self::Stream(stream) => _ = stream.shutdown().await,
            Self::WebSocket(socket) => {
                if (**socket).close(None).await.is_ok() {
                    while let Some(Ok(_)) = socket.next().await {}
                }
            }
        }
    }
}
