//! Listening, and serving who comes on the runtime: HTTP/1.1, and MQTT until the broker has
//! the connection.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use crate::head_tap::HeadTap;
use crate::port::{Opening, Port, Speech};
use crate::router::{Router, Source};
use crate::tls::ClientStream;

/// How long a client may take to send the head of its first request, a TLS handshake
/// before it included.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a client may take until the head of a further request is there. SDKs keep
/// connections for minutes, and a function that is frozen between events does not see
/// one close.
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(120);

/// The longest head of a request, in bytes; a longer one is answered 431.
const MAX_HEAD_BYTES: usize = 32 * 1024;

/// The most headers of a request.
const MAX_HEADERS: usize = 128;

/// Connections that may wait in the system's queue to be accepted; it may allow fewer.
/// Where it is full, clients that come in a flood are turned away.
const BACKLOG: u32 = 4096;

/// Listens on an address, and on `::1` beside `127.0.0.1`: to some clients `localhost` is
/// the one, to some the other.
///
/// # Errors
///
/// Where one of the two is taken. A machine without IPv6 has no other, and needs none.
pub(crate) fn listen_on_both(address: SocketAddr) -> io::Result<Vec<TcpListener>> {
    let listener = listen(address)?;
    if address.ip() != IpAddr::V4(Ipv4Addr::LOCALHOST) {
        return Ok(vec![listener]);
    }
    let port = listener.local_addr()?.port();
    match listen((Ipv6Addr::LOCALHOST, port).into()) {
        Ok(twin) => Ok(vec![listener, twin]),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(error),
        Err(_) => Ok(vec![listener]),
    }
}

/// Binds an address and listens.
pub(crate) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A server that is started again may have its port back at once.
    socket.set_reuseaddr(true)?;
    // Small frames must not wait for others. What is accepted here has it from the listener.
    socket.set_nodelay(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Serves a client on the runtime until it belongs to a shard, or is gone.
pub(crate) async fn serve(
    opening: Opening,
    peer: SocketAddr,
    router: Arc<Router>,
    port: Port,
    mut stopped: watch::Receiver<bool>,
) {
    let impatient_at = Instant::now() + HEAD_TIMEOUT;
    let opening = timeout_at(impatient_at, port.open(opening, router.has_realtime()));
    let (stream, speech) = tokio::select! {
        opened = opening => match opened {
            Ok(Ok(opened)) => opened,
            // Who came too late or cannot agree with us has nothing to be told in.
            Ok(Err(_)) | Err(_) => return,
        },
        () = told_to(&mut stopped) => return,
    };
    match speech {
        // Each in a box of its own, so that a client that speaks the one has no room for the
        // other.
        Speech::Mqtt => Box::pin(router.mqtt(stream, peer)).await,
        Speech::Http => {
            let serving = serve_http(stream, peer, router, port, impatient_at, stopped);
            Box::pin(serving).await;
        }
    }
}

async fn serve_http(
    stream: ClientStream,
    peer: SocketAddr,
    router: Arc<Router>,
    port: Port,
    impatient_at: Instant,
    mut stopped: watch::Receiver<bool>,
) {
    let (stream, head) = HeadTap::new(stream);
    let begun = AtomicBool::new(false);
    let service = service_fn(|request| {
        begun.store(true, Ordering::Relaxed);
        let (router, head) = (Arc::clone(&router), head.clone());
        let only_realtime = port.is_for_realtime_only();
        let source = Source { head, peer, only_realtime, socket: port.socket() };
        async move { Ok::<_, Infallible>(router.answer(request, &source).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(KEEP_ALIVE_TIMEOUT)
        .max_buf_size(MAX_HEAD_BYTES)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let impatience = async {
        tokio::time::sleep_until(impatient_at).await;
        if begun.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        () = impatience => {}
        // What goes wrong here is the client's doing, and it has been answered.
        _ = connection.as_mut() => {}
        () = told_to(&mut stopped) => {
            connection.as_mut().graceful_shutdown();
            let _ = tokio::time::timeout(Duration::from_secs(1), connection).await;
        }
    }
}

/// Waits until the server has stopped, or is gone.
pub(crate) async fn told_to(stopped: &mut watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stopped| *stopped).await;
}
