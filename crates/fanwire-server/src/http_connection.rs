//! A connection that speaks HTTP, 1.1 or 2, until it is over or has become a WebSocket.
//!
//! Under TLS the handshake says which version (ALPN); without, the first bytes do ("prior
//! knowledge", RFC 9113, section 3.3). What the APIs are given looks the same in both.
//! WebSockets are opened in HTTP/1.1 alone: in HTTP/2 they would be streams of a connection
//! that is many others' (RFC 8441), and none could move to a shard. Clients see that by our
//! settings, and open a connection of their own, as browsers do.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::header::HOST;
use http::uri::PathAndQuery;
use http::{HeaderValue, Request, Uri, Version};
use http_body_util::Either;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::head_tap::HeadTap;
use crate::listener::told_to;
use crate::response::Answer;
use crate::router::{Router, Source};
use crate::tls::ClientStream;

/// How long a client may take until the head of a further request is there. SDKs keep
/// connections for minutes, and a function that is frozen between events does not see
/// one close.
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(120);

/// The longest head of a request, in bytes; a longer one is answered 431.
const MAX_HEAD_BYTES: usize = 32 * 1024;
const MAX_HEADER_LIST_BYTES: u32 = 32 * 1024;

/// The most headers of a request in HTTP/1.1.
const MAX_HEADERS: usize = 128;

/// Requests of one HTTP/2 connection at once.
const MAX_STREAMS: u32 = 64;

/// Streams that a client has begun and reset before they were looked at; a flood of them is
/// an attack ("rapid reset", CVE-2023-44487), and ends the connection.
const MAX_RESET_STREAMS: usize = 20;

/// Streams that we reset because of the client's mistakes, until the connection ends.
const MAX_FAULTY_STREAMS: usize = 64;

/// Bytes of bodies that a client may send ahead, on one stream and on all.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;

/// Bytes of an answer that wait for a client that does not read.
const MAX_SEND_BUFFER: usize = 64 * 1024;

/// How often an HTTP/2 client that says nothing is asked whether it is there, and how long
/// it has to answer.
const PING_EVERY: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// How long what was begun may go on once the connection is to end.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Whose connection it is, and what is going on.
struct Client {
    router: Arc<Router>,
    source: Source,
    /// Whether there was a request.
    begun: AtomicBool,
    /// Requests that are being answered.
    answering: watch::Sender<usize>,
}

/// A request that is being answered, until this is dropped.
struct Answering(Arc<Client>);

/// Serves HTTP to a client that has to have sent a request by `impatient_at`.
pub(crate) async fn serve(
    stream: ClientStream,
    router: Arc<Router>,
    source: impl FnOnce(crate::head_tap::Head) -> Source,
    impatient_at: Instant,
    mut stopped: watch::Receiver<bool>,
) {
    let builder = builder(stream.has_chosen_http2());
    let (stream, head) = HeadTap::new(stream);
    let client = Arc::new(Client {
        router,
        source: source(head),
        begun: AtomicBool::new(false),
        answering: watch::Sender::new(0),
    });
    let answering = Arc::clone(&client);
    let service = service_fn(move |request| {
        let client = Arc::clone(&answering);
        async move { Ok::<_, Infallible>(client.answer(request).await) }
    });
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        () = client.never_began(impatient_at) => {}
        // What goes wrong here is the client's doing, and it has been answered.
        _ = connection.as_mut() => {}
        () = client.is_idle() => {
            connection.as_mut().graceful_shutdown();
            // Who has not taken its answers by then does not mean to: it would hold its place
            // for ever.
            tokio::select! {
                _ = timeout(KEEP_ALIVE_TIMEOUT, connection) => {}
                () = told_to(&mut stopped) => {}
            }
        }
        () = told_to(&mut stopped) => {
            connection.as_mut().graceful_shutdown();
            let _ = timeout(LAST_WORDS, connection).await;
        }
    }
}

/// How HTTP is spoken; `http2` where the handshake has said which.
fn builder(http2: Option<bool>) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(KEEP_ALIVE_TIMEOUT)
        .max_buf_size(MAX_HEAD_BYTES)
        .max_headers(MAX_HEADERS);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEADER_LIST_BYTES)
        .max_pending_accept_reset_streams(MAX_RESET_STREAMS)
        .max_local_error_reset_streams(MAX_FAULTY_STREAMS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(MAX_SEND_BUFFER)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_TIMEOUT);
    match http2 {
        Some(true) => builder.http2_only(),
        Some(false) => builder.http1_only(),
        None => builder,
    }
}

// === impl Client ===

impl Client {
    async fn answer(self: Arc<Self>, mut request: Request<Incoming>) -> Answer {
        self.begun.store(true, Ordering::Relaxed);
        let answering = Answering::new(Arc::clone(&self));
        // The bytes of HTTP/2 are frames, and no head that could be read again.
        self.source.head.note_headers(&mut request);
        if request.version() == Version::HTTP_2 {
            as_in_http1(&mut request);
        }
        let answer = self.router.answer(request, &self.source).await;
        // What somebody listens to, such as a log, is being answered as long as they do.
        answer.map(|body| match body {
            Either::Left(whole) => Either::Left(whole),
            Either::Right(listening) => Either::Right(listening.holding(answering)),
        })
    }

    /// Waits until it is too late for a first request.
    async fn never_began(&self, impatient_at: Instant) {
        sleep_until(impatient_at).await;
        if self.begun.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
    }

    /// Waits until nothing was asked for a while. In HTTP/1.1 hyper sees to that itself, at
    /// the same time.
    async fn is_idle(&self) {
        let mut answering = self.answering.subscribe();
        loop {
            // The sender is ours, so none of these ends because it is gone.
            let _ = answering.wait_for(|count| *count == 0).await;
            tokio::select! {
                () = sleep(KEEP_ALIVE_TIMEOUT) => return,
                _ = answering.changed() => {}
            }
        }
    }
}

// === impl Answering ===

impl Answering {
    fn new(client: Arc<Client>) -> Self {
        client.answering.send_modify(|count| *count += 1);
        Self(client)
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.answering.send_modify(|count| *count -= 1);
    }
}

/// Has a request of HTTP/2 say what it is for as one of HTTP/1.1 does: the host in a header,
/// the path alone in the target (RFC 9113, section 8.3.1).
fn as_in_http1<B>(request: &mut Request<B>) {
    let host = request.uri().authority().map(|authority| authority.as_str());
    let host = host.and_then(|host| HeaderValue::from_str(host).ok());
    if let Some(host) = host {
        request.headers_mut().insert(HOST, host);
    }
    let path = request.uri().path_and_query().cloned();
    let path = path.unwrap_or_else(|| PathAndQuery::from_static("/"));
    *request.uri_mut() = Uri::from(path);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_of_http_2_names_its_host_and_path_as_one_of_http_1_does() {
        for (uri, host, path) in [
            ("https://h.example:8443/dev/a?b=c", Some("h.example:8443"), "/dev/a?b=c"),
            ("/dev", Some("kept"), "/dev"),
            ("h.example:80", Some("h.example:80"), "/"),
        ] {
            let mut request = Request::builder().uri(uri).header(HOST, "kept").body(()).unwrap();
            as_in_http1(&mut request);
            assert_eq!(request.headers().get(HOST).map(|value| value.to_str().unwrap()), host);
            assert_eq!(request.uri().to_string(), path);
        }
    }
}
