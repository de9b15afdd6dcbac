//! Header names as the client wrote them.
//!
//! HTTP says that their case means nothing, and the parser folds it; API Gateway
//! passes most of them on as they came, and handlers rely on it. So the first bytes
//! of a connection are kept until its first request is parsed, and read once more.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::tls::ClientStream;

/// A socket whose first bytes are kept.
#[derive(Debug)]
pub(crate) struct HeadTap {
    stream: ClientStream,
    head: Head,
}

/// What a tap knows of its connection.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    /// The bytes that it has kept; `None` once they were taken.
    kept: Arc<Mutex<Option<Vec<u8>>>>,
    /// Whether they came over TLS.
    tls: bool,
}

/// Bytes kept at the most: more than the parser takes for one request's head.
const MAX_KEPT: usize = 64 * 1024;

// === impl HeadTap ===

impl HeadTap {
    pub(crate) fn new(stream: ClientStream) -> (Self, Head) {
        let head = Head::new(stream.is_tls());
        (Self { stream, head: head.clone() }, head)
    }

    pub(crate) fn into_inner(self) -> ClientStream {
        self.stream
    }
}

impl Head {
    fn new(tls: bool) -> Self {
        Self { kept: Arc::new(Mutex::new(Some(Vec::new()))), tls }
    }

    /// Whether the connection's requests come over TLS.
    pub(crate) fn is_tls(&self) -> bool {
        self.tls
    }

    /// The headers of the connection's first request, in order and as written.
    /// `None` for later requests: what was kept is gone after the first call.
    pub(crate) fn take_headers(&self) -> Option<Vec<(String, String)>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        let text = String::from_utf8_lossy(&kept);
        let headers = text
            .split("\r\n")
            .skip(1)
            .take_while(|line| !line.is_empty())
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_owned(), value.trim().to_owned()));
        Some(headers.collect())
    }

    fn keep(&self, bytes: &[u8]) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = kept.as_mut() {
            let room = MAX_KEPT - kept.len().min(MAX_KEPT);
            kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
        }
    }
}

impl AsyncRead for HeadTap {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        if polled.is_ready() {
            self.head.keep(&buf.filled()[before..]);
        }
        polled
    }
}

impl AsyncWrite for HeadTap {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_order_are_the_clients() {
        let head = Head::new(false);
        head.keep(b"GET /dev HTTP/1.1\r\nhost: h:1\r\nHeaderAuth1:  a:b \r\n");
        head.keep(b"X-Twice: 1\r\nX-Twice: 2\r\n\r\nleft: over\r\n");
        let expected =
            [("host", "h:1"), ("HeaderAuth1", "a:b"), ("X-Twice", "1"), ("X-Twice", "2")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(head.take_headers().unwrap(), expected);
        assert_eq!(head.take_headers(), None);
    }
}
