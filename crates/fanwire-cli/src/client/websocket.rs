//! WebSocket connections whose handshake goes out to the letter: header names keep
//! their case, as handlers see them, and a refusal is read whole.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use super::socket::{Socket, Trust, connect};
use super::{Address, CommandError};

/// How long a server, with its authorizer and handler, may take to answer.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(60);

/// The longest head and body of an answer that are read, in bytes.
const MAX_ANSWER_BYTES: usize = 256 * 1024;

/// The longest message that is taken, in bytes.
const MAX_MESSAGE_BYTES: usize = 256 * 1024 * 1024;

/// An open connection.
pub(crate) type WebSocket = WebSocketStream<Box<dyn Socket>>;

/// What a client asks with.
#[derive(Debug, Clone)]
pub(crate) struct Handshake {
    pub(crate) address: Address,
    pub(crate) trust: Trust,
    /// Headers beside those of the protocol.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) protocols: Vec<String>,
}

/// An answer to a handshake that is no 101.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) status: u16,
    pub(crate) body: String,
}

/// The answer's head.
#[derive(Debug)]
struct Head {
    status: u16,
    headers: Vec<(String, String)>,
}

// === impl Handshake ===

impl Handshake {
    /// Connects; the subprotocol that the server chose comes with it.
    pub(crate) async fn open(
        &self,
    ) -> Result<Result<(WebSocket, Option<String>), Refused>, CommandError> {
        match tokio::time::timeout(HANDSHAKE_TIMEOUT, self.exchange()).await {
            Ok(done) => done,
            Err(_) => Err(CommandError::Failed(format!(
                "{} did not answer the handshake within {HANDSHAKE_TIMEOUT:?}",
                self.address
            ))),
        }
    }

    async fn exchange(&self) -> Result<Result<(WebSocket, Option<String>), Refused>, CommandError> {
        let mut socket = connect(&self.address, self.trust).await?;
        let key = generate_key();
        socket.write_all(self.request(&key).as_bytes()).await.map_err(CommandError::broken)?;
        socket.flush().await.map_err(CommandError::broken)?;
        let mut bytes = Vec::new();
        let (head, length) = loop {
            if let Some(found) = Head::parse(&bytes) {
                break found;
            }
            if !more(&mut socket, &mut bytes).await? {
                let why = format!("what answers at {} does not speak HTTP", self.address);
                return Err(CommandError::Failed(why));
            }
        };
        let mut rest = bytes.split_off(length);
        if head.status != 101 {
            let wanted = head.get("content-length").and_then(|length| length.parse().ok());
            while wanted.is_none_or(|wanted: usize| rest.len() < wanted)
                && more(&mut socket, &mut rest).await?
            {}
            let body = String::from_utf8_lossy(&rest).into_owned();
            return Ok(Err(Refused { status: head.status, body }));
        }
        if head.get("sec-websocket-accept") != Some(derive_accept_key(key.as_bytes()).as_str()) {
            let why = "the server's Sec-WebSocket-Accept is not the answer to our key";
            return Err(CommandError::Failed(why.to_owned()));
        }
        let config = WebSocketConfig::default()
            .max_message_size(Some(MAX_MESSAGE_BYTES))
            .max_frame_size(Some(MAX_MESSAGE_BYTES));
        let protocol = head.get("sec-websocket-protocol").map(str::to_owned);
        let opened =
            WebSocketStream::from_partially_read(socket, rest, Role::Client, Some(config)).await;
        Ok(Ok((opened, protocol)))
    }

    fn request(&self, key: &str) -> String {
        let Address { path, .. } = &self.address;
        let mut request = format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
            Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n",
            self.address.authority()
        );
        if !self.protocols.is_empty() {
            let protocols = self.protocols.join(", ");
            request.push_str(&format!("Sec-WebSocket-Protocol: {protocols}\r\n"));
        }
        for (name, value) in &self.headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request + "\r\n"
    }
}

/// Reads what comes next; false at the end of the stream, or of our patience with it.
async fn more(socket: &mut Box<dyn Socket>, bytes: &mut Vec<u8>) -> Result<bool, CommandError> {
    if bytes.len() >= MAX_ANSWER_BYTES {
        return Ok(false);
    }
    Ok(socket.read_buf(bytes).await.map_err(CommandError::broken)? > 0)
}

// === impl Head ===

impl Head {
    /// The head at the beginning of `bytes` and its length, once it is there whole.
    fn parse(bytes: &[u8]) -> Option<(Self, usize)> {
        const END: &[u8] = b"\r\n\r\n";
        let end = bytes.windows(END.len()).position(|window| window == END)?;
        let text = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let mut lines = text.split("\r\n");
        let status = lines.next()?.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
        let headers = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        Some((Self { status, headers }, end + END.len()))
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_once_it_is_whole() {
        let whole = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\n{}";
        for end in 0..whole.len() - 2 {
            assert!(Head::parse(&whole[..end]).is_none());
        }
        let (head, length) = Head::parse(whole).unwrap();
        assert_eq!((head.status, head.get("content-length")), (403, Some("2")));
        assert_eq!(&whole[length..], b"{}");
    }
}
