//! One connection: a task that reads and writes a WebSocket.

use std::sync::Arc;
use std::time::Duration;

use fanwire_wire::trpc::encode_connection_params;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use super::super::ConnectError;
use super::super::connector::{Connector, HANDSHAKE_PATIENCE, OpenWebSocket};
use super::ParamsSource;
use super::socket::SocketId;

/// How long the other side may take to answer a goodbye.
const CLOSE_PATIENCE: Duration = Duration::from_secs(1);

/// Where connections lead.
pub(super) struct Link {
    pub(super) connector: Connector,
    pub(super) params: Option<ParamsSource>,
}

/// What happens to a connection.
#[derive(Debug)]
pub(super) enum Happening {
    /// It is there; the message that it begins with.
    Opened(Option<String>),
    /// It could not be made.
    Failed(ConnectError),
    /// A text has come.
    Text(String),
    /// It has ended.
    Closed,
}

// === impl Link ===

impl Link {
    /// Connects, and goes on until either side ends it: ours does when it drops the sender of
    /// `outgoing`.
    pub(super) async fn run(
        self: Arc<Self>,
        id: SocketId,
        mut outgoing: mpsc::Receiver<String>,
        happenings: mpsc::Sender<(SocketId, Happening)>,
    ) {
        let opened = tokio::select! {
            opened = self.open() => opened,
            // Nothing is sent before it is open, so this is its end.
            _ = outgoing.recv() => return,
        };
        let happening = match opened {
            Ok((socket, params)) => {
                // Whether the driver is still there shows in what follows.
                let _ = happenings.send((id, Happening::Opened(params))).await;
                carry(socket, id, outgoing, &happenings).await;
                Happening::Closed
            }
            Err(error) => Happening::Failed(error),
        };
        let _ = happenings.send((id, happening)).await;
    }

    async fn open(&self) -> Result<(OpenWebSocket, Option<String>), ConnectError> {
        let params = match &self.params {
            None => None,
            Some(params) => Some(self.params_message(params).await?),
        };
        let (socket, _) = self.connector.open().await?;
        Ok((socket, params))
    }

    async fn params_message(&self, params: &ParamsSource) -> Result<String, ConnectError> {
        match timeout(HANDSHAKE_PATIENCE, params()).await {
            Ok(Ok(params)) => Ok(encode_connection_params(&Some(params))),
            Ok(Err(error)) => Err(ConnectError::Credentials(error.to_string())),
            Err(_) => {
                let why = format!("the closure has not given any within {HANDSHAKE_PATIENCE:?}");
                Err(ConnectError::Credentials(why))
            }
        }
    }
}

/// Both ways, to the end.
async fn carry(
    mut socket: OpenWebSocket,
    id: SocketId,
    mut outgoing: mpsc::Receiver<String>,
    happenings: &mpsc::Sender<(SocketId, Happening)>,
) {
    loop {
        tokio::select! {
            text = outgoing.recv() => match text {
                Some(text) => if socket.send(Message::text(text)).await.is_err() { return },
                None => return say_goodbye(socket).await,
            },
            message = socket.next() => match message {
                Some(Ok(Message::Text(text))) => {
                    let text = Happening::Text(text.as_str().to_owned());
                    if happenings.send((id, text)).await.is_err() {
                        return say_goodbye(socket).await;
                    }
                }
                // Pings are answered by what reads them; binary frames are none of tRPC's.
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return,
            },
        }
    }
}

async fn say_goodbye(mut socket: OpenWebSocket) {
    let goodbye = async {
        if socket.close(None).await.is_ok() {
            while let Some(Ok(_)) = socket.next().await {}
        }
    };
    // What the other side does with it is its own affair.
    let _ = timeout(CLOSE_PATIENCE, goodbye).await;
}
