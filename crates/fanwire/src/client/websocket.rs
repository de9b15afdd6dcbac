//! One WebSocket connection.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error as ProtocolError, Message};

use super::address::Address;
use super::connector::{Connector, MAX_MESSAGE_BYTES, OpenWebSocket};
use super::{ConnectError, Trust};
use crate::websocket::Body;

/// How long the server may take to answer a goodbye.
const CLOSE_PATIENCE: Duration = Duration::from_secs(5);

/// The most messages that are kept for [`WebSocket::next`] while a pong is waited for.
const MAX_HELD: usize = 1024;

/// A connection to a WebSocket API, Fanwire's, API Gateway's or anybody's.
///
/// It is one connection: when it ends it has ended, and [`closed`](Self::closed) says how.
/// The server's pings are answered while it is read from.
///
/// ```
/// use fanwire::client::WebSocket;
/// # #[cfg(feature = "server")]
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// # use fanwire::{App, Server, ServerOptions};
/// # let echo = fanwire::websocket::WebSocket::new()
/// #     .message(async |fanwire::websocket::Text(text): fanwire::websocket::Text| text);
/// # let options = ServerOptions::default().with_address(([127, 0, 0, 1], 0));
/// # let server = Server::start(App::from(echo), options).await.unwrap();
/// # let url = format!("ws://{}", server.address());
/// let mut socket = WebSocket::builder(url).query("room", "a").connect().await?;
/// socket.send("hello").await?;
/// assert_eq!(socket.next().await.transpose()?, Some("hello".into()));
/// let end = socket.close(1000, "that was all").await?;
/// assert_eq!(end.code, 1000);
/// # server.stop().await;
/// # Ok(())
/// # }
/// # #[cfg(feature = "server")]
/// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
/// ```
pub struct WebSocket {
    stream: OpenWebSocket,
    subprotocol: Option<String>,
    closed: Option<CloseReason>,
    /// What came while a pong was waited for.
    held: VecDeque<Body>,
}

/// What a WebSocket is asked for with: [`WebSocket::builder`].
#[derive(Clone)]
#[must_use = "nothing happens before `connect`"]
pub struct WebSocketBuilder {
    url: String,
    query: Vec<(String, String)>,
    headers: Vec<(String, String)>,
    protocols: Vec<String>,
    trust: Trust,
    max_message: usize,
}

/// How a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseReason {
    /// The close code (RFC 6455, section 7.4): 1005 where there was none, 1006 where the
    /// connection ended without a goodbye.
    pub code: u16,
    /// The reason, at most 123 bytes.
    pub reason: String,
}

/// Why a connection is of no use any more, or a message of none.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WebSocketError {
    /// It has ended.
    #[error("the connection has ended with {}: {:?}", .0.code, .0.reason)]
    Closed(CloseReason),
    /// The network, or what is spoken.
    #[error("the connection broke: {0}")]
    Broken(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The message cannot be written, or is not what was expected; the connection is fine.
    #[error("the message is not the JSON that is expected: {0}")]
    Json(#[from] serde_json::Error),
    /// A close code or reason that may not be sent. Fault of the caller.
    #[error(
        "a connection cannot be closed with {0}; expected 1000, or 3000 to 4999, and at most 123 bytes of reason"
    )]
    CloseReason(u16),
    /// The other side did not answer.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// More messages have come than are kept while a pong is waited for.
    #[error("more than {MAX_HELD} messages wait to be read; read them before the next ping")]
    Full,
}

// === impl WebSocket ===

impl WebSocket {
    /// Connects to a `ws` or `wss` URL.
    ///
    /// # Errors
    ///
    /// [`ConnectError::Refused`] with the status of an authorizer's or handler's refusal.
    pub async fn connect(url: impl Into<String>) -> Result<Self, ConnectError> {
        Self::builder(url).connect().await
    }

    /// To connect with a query, headers, subprotocols or an authority of one's own.
    pub fn builder(url: impl Into<String>) -> WebSocketBuilder {
        WebSocketBuilder {
            url: url.into(),
            query: Vec::new(),
            headers: Vec::new(),
            protocols: Vec::new(),
            trust: Trust::default(),
            max_message: MAX_MESSAGE_BYTES,
        }
    }

    /// The subprotocol that the server has chosen.
    pub fn subprotocol(&self) -> Option<&str> {
        self.subprotocol.as_deref()
    }

    /// How the connection ended, once [`next`](Self::next) has said that it did.
    pub fn closed(&self) -> Option<&CloseReason> {
        self.closed.as_ref()
    }

    /// Sends a message: text, or bytes.
    ///
    /// # Errors
    ///
    /// Where the connection has ended. That it is taken does not say that it arrives.
    pub async fn send(&mut self, body: impl Into<Body>) -> Result<(), WebSocketError> {
        let message = match body.into() {
            Body::Text(text) => Message::text(text),
            Body::Binary(bytes) => Message::binary(bytes),
        };
        self.put(message).await
    }

    /// Sends a message as JSON.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send); or the message has no JSON.
    pub async fn send_json<T: Serialize + ?Sized>(
        &mut self,
        message: &T,
    ) -> Result<(), WebSocketError> {
        self.send(serde_json::to_string(message)?).await
    }

    /// The next message. `None`: the connection has ended, with a goodbye or without, and
    /// [`closed`](Self::closed) says how.
    ///
    /// Cancel safe: no message is lost.
    pub async fn next(&mut self) -> Option<Result<Body, WebSocketError>> {
        if let Some(held) = self.held.pop_front() {
            return Some(Ok(held));
        }
        loop {
            match self.read().await? {
                Ok(Arrived::Message(body)) => return Some(Ok(body)),
                Ok(Arrived::Pong(_)) => {}
                Err(error) => return Some(Err(error)),
            }
        }
    }

    /// The next message, which has to be JSON.
    ///
    /// # Errors
    ///
    /// Where it is another, or the connection has ended.
    pub async fn next_json<T: DeserializeOwned>(&mut self) -> Result<T, WebSocketError> {
        match self.next().await {
            Some(body) => Ok(serde_json::from_slice(body?.as_bytes())?),
            None => Err(self.ended()),
        }
    }

    /// Pings the server and waits for its pong, at most `patience`: the time that it took.
    /// Messages that come before it are kept for [`next`](Self::next).
    ///
    /// # Errors
    ///
    /// Where there is none in time, or the connection has ended.
    pub async fn ping(&mut self, patience: Duration) -> Result<Duration, WebSocketError> {
        let started = Instant::now();
        let token = Bytes::copy_from_slice(&fastrand::u64(..).to_be_bytes());
        let pong = async {
            self.put(Message::Ping(token.clone())).await?;
            loop {
                match self.read().await {
                    None => return Err(self.ended()),
                    Some(Ok(Arrived::Pong(answer))) if answer == token => return Ok(()),
                    Some(Ok(Arrived::Pong(_))) => {}
                    Some(Ok(Arrived::Message(body))) if self.held.len() < MAX_HELD => {
                        self.held.push_back(body);
                    }
                    Some(Ok(Arrived::Message(_))) => return Err(WebSocketError::Full),
                    Some(Err(error)) => return Err(error),
                }
            }
        };
        timeout(patience, pong).await.unwrap_or(Err(WebSocketError::Timeout(patience)))?;
        Ok(started.elapsed())
    }

    /// Says goodbye with a close code (1000, or 3000 to 4999) and at most 123 bytes of
    /// reason, and waits a few seconds for the server's. Messages that are still on their way
    /// are dropped.
    ///
    /// # Errors
    ///
    /// Where the code or reason may not be sent, or the server says nothing.
    pub async fn close(mut self, code: u16, reason: &str) -> Result<CloseReason, WebSocketError> {
        if !(code == 1000 || (3000..5000).contains(&code)) || reason.len() > 123 {
            return Err(WebSocketError::CloseReason(code));
        }
        let frame = CloseFrame { code: code.into(), reason: reason.to_owned().into() };
        let goodbye = async {
            match self.stream.close(Some(frame)).await {
                Ok(()) | Err(ProtocolError::ConnectionClosed | ProtocolError::AlreadyClosed) => {}
                Err(error) => return Err(WebSocketError::Broken(Box::new(error))),
            }
            while let Some(arrived) = self.read().await {
                arrived?;
            }
            Ok(())
        };
        timeout(CLOSE_PATIENCE, goodbye)
            .await
            .unwrap_or(Err(WebSocketError::Timeout(CLOSE_PATIENCE)))?;
        Ok(self.closed.unwrap_or_else(CloseReason::without_goodbye))
    }

    async fn put(&mut self, message: Message) -> Result<(), WebSocketError> {
        if self.closed.is_some() {
            return Err(self.ended());
        }
        self.stream.send(message).await.map_err(|error| match error {
            ProtocolError::ConnectionClosed | ProtocolError::AlreadyClosed => self.ended(),
            error => WebSocketError::Broken(Box::new(error)),
        })
    }

    /// What comes next. `None`: the connection has ended.
    async fn read(&mut self) -> Option<Result<Arrived, WebSocketError>> {
        loop {
            let message = match self.stream.next().await {
                Some(Ok(message)) => message,
                Some(Err(error)) if self.closed.is_none() && !is_end(&error) => {
                    self.closed = Some(CloseReason::without_goodbye());
                    return Some(Err(WebSocketError::Broken(Box::new(error))));
                }
                Some(Err(_)) | None => {
                    self.closed.get_or_insert_with(CloseReason::without_goodbye);
                    return None;
                }
            };
            return Some(Ok(match message {
                Message::Text(text) => Arrived::Message(Body::Text(text.as_str().to_owned())),
                Message::Binary(bytes) => Arrived::Message(Body::Binary(bytes)),
                Message::Pong(token) => Arrived::Pong(token),
                Message::Close(frame) => {
                    // The rest is read, so that the goodbye is answered.
                    self.closed = Some(CloseReason::of(frame));
                    continue;
                }
                Message::Ping(_) | Message::Frame(_) => continue,
            }));
        }
    }

    fn ended(&self) -> WebSocketError {
        let reason = self.closed.clone().unwrap_or_else(CloseReason::without_goodbye);
        WebSocketError::Closed(reason)
    }
}

impl std::fmt::Debug for WebSocket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebSocket").field("closed", &self.closed).finish_non_exhaustive()
    }
}

/// What concerns the caller.
enum Arrived {
    Message(Body),
    Pong(Bytes),
}

/// Whether the connection has merely ended, however.
fn is_end(error: &ProtocolError) -> bool {
    use tokio_tungstenite::tungstenite::error::ProtocolError::ResetWithoutClosingHandshake;
    matches!(
        error,
        ProtocolError::ConnectionClosed
            | ProtocolError::AlreadyClosed
            | ProtocolError::Io(_)
            | ProtocolError::Protocol(ResetWithoutClosingHandshake)
    )
}

// === impl WebSocketBuilder ===

impl WebSocketBuilder {
    /// With a parameter in the query.
    pub fn query(mut self, name: &str, value: &str) -> Self {
        self.query.push((encoded(name), encoded(value)));
        self
    }

    /// With a header.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Offers a subprotocol. Those offered first are liked best; a server that chooses none
    /// of them is left, as browsers do it.
    pub fn subprotocol(mut self, name: impl Into<String>) -> Self {
        self.protocols.push(name.into());
        self
    }

    /// Whose certificates are believed. Default: the system's authorities.
    pub fn trust(mut self, trust: Trust) -> Self {
        self.trust = trust;
        self
    }

    /// The longest message that is taken, in bytes. Default 64 MiB.
    pub fn max_message(mut self, bytes: usize) -> Self {
        self.max_message = bytes;
        self
    }

    /// Connects.
    ///
    /// # Errors
    ///
    /// [`ConnectError::Refused`] with the status of an authorizer's or handler's refusal.
    pub async fn connect(self) -> Result<WebSocket, ConnectError> {
        let mut address = Address::websocket(&self.url)?;
        for (name, value) in &self.query {
            address.push_query(name, value);
        }
        let connector = Connector::new(address, &self.trust)?
            .with_headers(&self.headers)?
            .with_protocols(self.protocols)
            .with_max_message(self.max_message);
        let (stream, subprotocol) = connector.open().await?;
        Ok(WebSocket { stream, subprotocol, closed: None, held: VecDeque::new() })
    }
}

impl std::fmt::Debug for WebSocketBuilder {
    /// Without the query and headers, in which credentials may be.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let url = self.url.split('?').next();
        f.debug_struct("WebSocketBuilder").field("url", &url).finish_non_exhaustive()
    }
}

/// As it stands in a query.
pub(super) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

// === impl CloseReason ===

impl CloseReason {
    pub(super) fn of(frame: Option<CloseFrame>) -> Self {
        frame.map_or(Self { code: 1005, reason: String::new() }, |frame| Self {
            code: frame.code.into(),
            reason: frame.reason.as_str().to_owned(),
        })
    }

    /// Ended by the network.
    pub(super) fn without_goodbye() -> Self {
        Self { code: 1006, reason: String::new() }
    }
}
