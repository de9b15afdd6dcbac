//! Reading the first packet of a connection, plain or in WebSocket frames.

use std::io;

use fanwire_wire::mqtt::{Connect, Frame, Framer, Version};
use fanwire_wire::ws::{self, Receiver, ReceiverLimits};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::ClientStream;
use super::refusal::{Refusal, refusal};

/// What is read at once, in bytes: a CONNECT fits.
const CHUNK: usize = 4096;

/// What is read ahead of a client that waits for its CONNACK, in bytes; more stays with it.
const MAX_AHEAD: usize = 16 * 1024;

/// A connection whose first packet is being read.
pub(super) struct Reader<S> {
    stream: S,
    early: Vec<u8>,
    websocket: Option<Receiver>,
    framer: Framer,
    max_packet: usize,
    /// The version that refusals are told in.
    version: Version,
}

/// The first packet, whole.
pub(super) struct First(pub(super) Frame<'static>);

impl First {
    /// What it says. It has been decoded before, so this finds nothing wrong with it.
    pub(super) fn connect(&self) -> Option<Connect<'_>> {
        self.0.connect().ok()
    }

    pub(super) fn client_id(&self) -> &str {
        self.connect().map_or("", |connect| connect.client_id)
    }
}

impl<S: ClientStream> Reader<S> {
    pub(super) fn new(stream: S, early: Vec<u8>, websocket: bool, max_packet: usize) -> Self {
        Self {
            stream,
            early,
            websocket: websocket.then(|| Receiver::new(false)),
            framer: Framer::new(),
            max_packet,
            version: Version::V3_1_1,
        }
    }

    pub(super) fn stream(&mut self) -> &mut S {
        &mut self.stream
    }

    /// The stream, its WebSocket's state, its MQTT's state, and what has been read beyond
    /// the first packet.
    pub(super) fn into_parts(self) -> (S, Option<Receiver>, Framer, Vec<u8>) {
        (self.stream, self.websocket, self.framer, self.early)
    }

    /// Reads until the first packet is whole, and checks that it is a CONNECT.
    pub(super) async fn first(&mut self) -> Result<First, Refusal> {
        loop {
            if let Some(first) = self.take_first().await? {
                return Ok(first);
            }
            let mut chunk = vec![0; CHUNK];
            let count = self.stream.read(&mut chunk).await.unwrap_or(0);
            if count == 0 {
                return Err(Refusal::Gone);
            }
            chunk.truncate(count);
            self.early = chunk;
        }
    }

    /// Done when the client has closed its connection, and never where it stays. What it sends
    /// in the meantime is kept, as far as there is room.
    pub(super) async fn left(&mut self) {
        while self.early.len() < MAX_AHEAD {
            let mut chunk = [0; CHUNK];
            match self.stream.read(&mut chunk).await {
                Ok(count @ 1..) => self.early.extend_from_slice(&chunk[..count]),
                Ok(0) | Err(_) => return,
            }
        }
        std::future::pending::<()>().await;
    }

    async fn take_first(&mut self) -> Result<Option<First>, Refusal> {
        let mut early = std::mem::take(&mut self.early);
        let mut input = early.as_mut_slice();
        if self.websocket.is_none() {
            let mut bytes = &*input;
            let first = self.frame(&mut bytes)?;
            self.early = bytes.to_vec();
            return Ok(first);
        }
        let mut pongs = Vec::new();
        let mut first = None;
        while !input.is_empty() && first.is_none() {
            let Some(receiver) = &mut self.websocket else { break };
            let limits = receiver_limits(self.max_packet);
            match receiver.next(&mut input, &limits, &mut ws::Inflater::default()) {
                Ok(None) => break,
                Ok(Some(ws::Event::Binary(payload))) => {
                    let payload = payload.into_owned();
                    let mut bytes = payload.as_slice();
                    first = self.frame(&mut bytes)?;
                    if !bytes.is_empty() {
                        // MQTT 5, 3.1.4: a client may go on before it has its CONNACK. What
                        // shares a frame with the CONNECT is rare enough to be put back as
                        // a frame of its own.
                        self.early = masked(bytes);
                    }
                }
                Ok(Some(ws::Event::Ping(payload))) => pongs.push(ws::encode_pong(&payload)),
                Ok(Some(ws::Event::Pong)) => {}
                Ok(Some(ws::Event::Close(_))) => return Err(Refusal::Gone),
                Ok(Some(ws::Event::Text(_))) => {
                    let what = "a text message, where MQTT goes in binary ones";
                    return Err(Refusal::WebSocket { code: ws::CloseCode::UNSUPPORTED_DATA, what });
                }
                Err(error) => {
                    return Err(Refusal::WebSocket { code: error.code, what: error.reason });
                }
            }
        }
        self.early.extend_from_slice(input);
        for pong in pongs {
            let sent: io::Result<()> = self.stream.write_all(&pong).await;
            sent.map_err(|_| Refusal::Gone)?;
        }
        Ok(first)
    }

    fn frame(&mut self, bytes: &mut &[u8]) -> Result<Option<First>, Refusal> {
        let frame = self.framer.next(bytes, self.max_packet).map_err(Refusal::Malformed)?;
        let Some(frame) = frame else { return Ok(None) };
        let frame = frame.into_owned();
        self.version = frame.connect().map_err(Refusal::Malformed)?.version;
        Ok(Some(First(frame)))
    }

    /// The bytes that tell a client why it is not let in; none where it has not even said
    /// that it speaks MQTT.
    pub(super) fn refusal(&self, why: &Refusal, words: &str) -> Option<bytes::Bytes> {
        if let Refusal::WebSocket { code, what } = why {
            // MQTT has not begun, but WebSocket has (MQTT 5, 6.0).
            return Some(ws::encode_close(Some(*code), what));
        }
        let reason = why.reason()?;
        Some(refusal(self.version, self.websocket.is_some(), reason, words))
    }
}

/// What a WebSocket may bring before its first packet of at most `max_packet` bytes is whole.
pub(super) fn receiver_limits(max_packet: usize) -> ReceiverLimits {
    ReceiverLimits { max_frame: max_packet, max_message: max_packet, binary: true }
}

/// A binary message as a client sends it, masked with zeros.
fn masked(payload: &[u8]) -> Vec<u8> {
    let frame = ws::encode(ws::Opcode::Binary, payload);
    let header = frame.len() - payload.len();
    let mut masked = Vec::with_capacity(frame.len() + 4);
    masked.extend_from_slice(&frame[..header]);
    masked[1] |= 0x80;
    masked.extend_from_slice(&[0; 4]);
    masked.extend_from_slice(payload);
    masked
}

#[cfg(test)]
mod tests {
    use std::pin::{Pin, pin};
    use std::task::{Context, Poll, Waker};

    use fanwire_hub::Transport;
    use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};

    use super::*;

    /// A client, without a socket.
    struct Piped(DuplexStream);

    impl AsyncRead for Piped {
        fn poll_read(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_read(cx, buf)
        }
    }

    impl AsyncWrite for Piped {
        fn poll_write(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buf: &[u8],
        ) -> Poll<io::Result<usize>> {
            Pin::new(&mut self.0).poll_write(cx, buf)
        }

        fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_flush(cx)
        }

        fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_shutdown(cx)
        }
    }

    impl ClientStream for Piped {
        fn into_transport(self) -> io::Result<Transport> {
            Err(io::ErrorKind::Unsupported.into())
        }
    }

    fn has_left(reader: &mut Reader<Piped>) -> bool {
        pin!(reader.left()).poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[tokio::test]
    async fn a_client_that_closes_while_it_waits_is_noticed_and_what_it_sends_is_kept() {
        let (mut client, server) = tokio::io::duplex(MAX_AHEAD);
        let mut reader = Reader::new(Piped(server), b"ahead".to_vec(), false, 1000);
        assert!(!has_left(&mut reader));
        client.write_all(b" of it").await.unwrap();
        assert!(!has_left(&mut reader));
        drop(client);
        assert!(has_left(&mut reader));
        assert_eq!(reader.into_parts().3, b"ahead of it");
    }

    #[tokio::test]
    async fn a_client_that_sends_without_end_while_it_waits_is_read_to_a_limit() {
        let (mut client, server) = tokio::io::duplex(4 * MAX_AHEAD);
        let mut reader = Reader::new(Piped(server), Vec::new(), false, 1000);
        client.write_all(&[0; 4 * MAX_AHEAD]).await.unwrap();
        drop(client);
        assert!(!has_left(&mut reader));
        assert!(reader.early.len() <= MAX_AHEAD + CHUNK);
    }
}
