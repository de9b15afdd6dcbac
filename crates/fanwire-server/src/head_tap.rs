//! Header names as the client wrote them.
//!
//! HTTP says that their case means nothing, and the parser folds it; API Gateway
//! passes most of them on as they came, and handlers rely on it. So the first bytes
//! of a connection are kept until its first request is parsed, and read once more.
//! Later requests of a connection, such as proxies send, have names in lower case.

use std::borrow::Cow;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use http::{HeaderMap, HeaderValue, Request};
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

/// The bytes that a request begins with, among its extensions: read by whoever wants its headers
/// as they are written.
#[derive(Debug, Clone)]
struct AsWritten(Arc<[u8]>);

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

    /// Has the connection's first request bring its bytes along. To be called with each request:
    /// from then on nothing is kept.
    pub(crate) fn note_headers<B>(&self, request: &mut Request<B>) {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(kept) = kept {
            request.extensions_mut().insert(AsWritten(kept.into()));
        }
    }

    fn keep(&self, bytes: &[u8]) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = kept.as_mut() {
            let room = MAX_KEPT - kept.len().min(MAX_KEPT);
            kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
        }
    }
}

/// The headers of a request: in the order and the case that the client wrote where it is the
/// first of its connection, else with names in lower case. Those that matter have one spelling
/// in events anyway.
pub(crate) fn headers_of<B>(request: &Request<B>) -> Vec<(String, String)> {
    let parsed = request.headers();
    if let Some(AsWritten(bytes)) = request.extensions().get() {
        let written = written(bytes);
        // What reads as other headers than the parser has found is no way to write them.
        if are_the_same(&written, parsed) {
            return written;
        }
    }
    parsed
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), text(value).into_owned()))
        .collect()
}

fn text(value: &HeaderValue) -> Cow<'_, str> {
    String::from_utf8_lossy(value.as_bytes())
}

/// The headers of the request that these bytes begin with.
fn written(bytes: &[u8]) -> Vec<(String, String)> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
    let head = String::from_utf8_lossy(&bytes[..end.unwrap_or(bytes.len())]);
    let lines = head.split("\r\n").skip(1).filter_map(|line| line.split_once(':'));
    let trimmed = |value: &str| value.trim_matches([' ', '\t']).to_owned();
    lines.map(|(name, value)| (name.to_owned(), trimmed(value))).collect()
}

fn are_the_same(written: &[(String, String)], parsed: &HeaderMap) -> bool {
    let has = |name: &str, value: &str| parsed.get_all(name).iter().any(|each| text(each) == value);
    written.len() == parsed.len() && written.iter().all(|(name, value)| has(name, value))
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

    const EXPECTED: [(&str, &str); 4] =
        [("host", "h:1"), ("HeaderAuth1", "a:b"), ("X-Twice", "1"), ("X-Twice", "2")];

    fn request(headers: &[(&str, &str)]) -> Request<()> {
        let mut request = Request::builder();
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap()
    }

    fn owned(headers: &[(&str, &str)]) -> Vec<(String, String)> {
        headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn tap(bytes: &[u8]) -> Head {
        let head = Head::new(false);
        bytes.chunks(40).for_each(|chunk| head.keep(chunk));
        head
    }

    const HEAD: &[u8] = b"GET /dev HTTP/1.1\r\nhost: h:1\r\nHeaderAuth1:  a:b \r\n\
        X-Twice: 1\r\nX-Twice: 2\r\n\r\nleft: over\r\n";

    #[test]
    fn names_and_order_are_the_clients() {
        let mut request = request(&EXPECTED);
        tap(HEAD).note_headers(&mut request);
        assert_eq!(headers_of(&request), owned(&EXPECTED));
    }

    #[test]
    fn a_later_request_has_its_own_headers() {
        let head = tap(HEAD);
        head.note_headers(&mut request(&EXPECTED));
        head.keep(HEAD);
        let later = [("headerauth1", "c")];
        let mut request = request(&later);
        head.note_headers(&mut request);
        assert_eq!(headers_of(&request), owned(&later));
    }

    #[test]
    fn what_is_read_otherwise_than_the_parser_did_is_not_taken() {
        let parsed = [("host", "h"), ("x-user", "bob")];
        for bytes in [
            b"GET / HTTP/1.1\nHost: h\nX-User: bob\n\n".as_slice(),
            b"GET / HTTP/1.1\r\nHost: h\r\nX-User: alice\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: h\r\nX-User: bob\r\nX-More: 1\r\n\r\n",
        ] {
            let mut request = request(&parsed);
            tap(bytes).note_headers(&mut request);
            assert_eq!(headers_of(&request), owned(&parsed));
        }
    }
}
