//! A client's bytes, over TLS or not, until its connection moves to a shard.

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use arc_swap::ArcSwap;
use fanwire_hub::Transport;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use super::config::Configs;
use super::{Authority, TlsError};

/// The first byte of TLS: a record of the handshake. No method of HTTP begins with it.
const HANDSHAKE_RECORD: u8 = 0x16;

/// What HTTP/2 is called in a handshake (RFC 9113, section 3.2).
const HTTP2: &[u8] = b"h2";

/// Tells clients that speak TLS from those that do not.
#[derive(Clone)]
pub(crate) struct Acceptor(Arc<Configs>);

/// A client's bytes, over TLS or not.
#[derive(Debug)]
pub(crate) enum ClientStream {
    /// As they are.
    Plain(TcpStream),
    /// Over TLS. Behind a pointer, because its state is large and most have none.
    Tls(Box<TlsStream<TcpStream>>),
}

// === impl Acceptor ===

impl Acceptor {
    /// Presents certificates of `authority` for a server that is bound to `address`.
    pub(crate) fn new(authority: &Authority, address: IpAddr) -> Result<Self, TlsError> {
        let clients = ArcSwap::from_pointee(authority.server_config(address)?);
        Ok(Self::with(Arc::new(Configs { clients, challenges: None })))
    }

    /// Does handshakes as `configs` say at the time.
    pub(super) fn with(configs: Arc<Configs>) -> Self {
        Self(configs)
    }

    /// Waits for the first byte, where it is not known, and for the handshake where it
    /// begins one. Gives the first byte of what comes next, where that is known.
    pub(crate) async fn accept(
        &self,
        stream: TcpStream,
        first: Option<u8>,
    ) -> io::Result<(ClientStream, Option<u8>)> {
        let first = match first {
            Some(first) => Some(first),
            None => first_byte(&stream).await?,
        };
        match first {
            Some(HANDSHAKE_RECORD) => Ok((self.handshake(stream).await?, None)),
            first => Ok((ClientStream::Plain(stream), first)),
        }
    }

    /// Waits for the handshake, of a client that has to begin with one.
    ///
    /// # Errors
    ///
    /// Also where it was no client's, but an authority's that wanted to see whether a name
    /// is ours: the handshake is all that it wants (RFC 8737, section 3).
    pub(crate) async fn handshake(&self, stream: TcpStream) -> io::Result<ClientStream> {
        // Boxed, so that the tasks of those who speak no TLS have no room for it.
        Box::pin(self.shake_hands(stream)).await
    }

    async fn shake_hands(&self, stream: TcpStream) -> io::Result<ClientStream> {
        let begun = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), stream).await?;
        let (config, is_challenge) = self.0.of(&begun.client_hello());
        let mut stream = begun.into_stream(config).await?;
        if is_challenge {
            stream.shutdown().await?;
            return Err(io::Error::other("an authority has looked whether a name is ours"));
        }
        Ok(ClientStream::Tls(Box::new(stream)))
    }
}

// === impl ClientStream ===

impl ClientStream {
    pub(crate) fn is_tls(&self) -> bool {
        matches!(self, Self::Tls(_))
    }

    /// Whether client and server have agreed on HTTP/2 (ALPN). `None`: on nothing.
    pub(crate) fn has_chosen_http2(&self) -> Option<bool> {
        match self {
            Self::Plain(_) => None,
            Self::Tls(stream) => {
                stream.get_ref().1.alpn_protocol().map(|protocol| protocol == HTTP2)
            }
        }
    }

    /// The name that the client asked TLS for (SNI), where it did.
    pub(crate) fn server_name(&self) -> Option<&str> {
        match self {
            Self::Plain(_) => None,
            Self::Tls(stream) => stream.get_ref().1.server_name(),
        }
    }

    /// Waits for the first byte and leaves it where it is: whoever reads finds it there.
    /// `None` where the client sends nothing more.
    pub(crate) async fn first_byte(&mut self) -> io::Result<Option<u8>> {
        match self {
            Self::Plain(stream) => first_byte(stream).await,
            Self::Tls(stream) => Ok(stream.fill_buf().await?.first().copied()),
        }
    }

    /// Takes the socket out of the runtime's hands, with the state of its TLS.
    pub(crate) fn into_transport(self) -> io::Result<Transport> {
        match self {
            Self::Plain(stream) => Ok(stream.into_std()?.into()),
            Self::Tls(stream) => {
                let (socket, connection) = stream.into_inner();
                Ok(Transport::tls(socket.into_std()?, connection))
            }
        }
    }
}

async fn first_byte(stream: &TcpStream) -> io::Result<Option<u8>> {
    let mut first = [0];
    let count = stream.peek(&mut first).await?;
    Ok((count > 0).then_some(first[0]))
}

impl AsyncRead for ClientStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }
}
