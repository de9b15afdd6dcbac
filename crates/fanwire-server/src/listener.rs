//! Listening, and serving who comes on the runtime: HTTP, and MQTT until the broker has the
//! connection.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use crate::http_connection;
use crate::port::{Opening, Port, Speech};
use crate::router::{Router, Source};

/// How long a client may take to send the head of its first request, a TLS handshake
/// before it included.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// Connections that may wait in the system's queue to be accepted; it may allow fewer.
/// Where it is full, clients that come in a flood are turned away.
pub(crate) const BACKLOG: u32 = 4096;

/// Who else of the same user may listen where this server does (`SO_REUSEPORT`). Where two do,
/// each gets a part of the clients: so it has to be the same App's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sharing {
    /// Nobody.
    #[default]
    Alone,
    /// Nobody now: who takes over from this server later.
    WithSuccessor,
    /// The one that this server takes over from, and who takes over from this one.
    WithPredecessor,
}

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
    listen_with_others(address, Sharing::Alone)
}

/// Whether nobody is at an address that is to be shared with a successor alone. To be asked of
/// all before the first is listened on: one of ours may be another's, as `0.0.0.0` is `[::]`'s.
///
/// # Errors
///
/// Where somebody is.
pub(crate) fn find_free(address: SocketAddr, sharing: Sharing) -> io::Result<()> {
    if sharing == Sharing::WithSuccessor {
        // The system lets in whoever would share; to see that nobody is there takes one who
        // would not.
        drop(bound(address, false)?);
    }
    Ok(())
}

/// As [`listen`], where others may listen, too.
pub(crate) fn listen_with_others(address: SocketAddr, sharing: Sharing) -> io::Result<TcpListener> {
    bound(address, sharing != Sharing::Alone)?.listen(BACKLOG)
}

fn bound(address: SocketAddr, shared: bool) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    if shared {
        socket.set_reuseport(true)?;
    }
    // A server that is started again may have its port back at once.
    socket.set_reuseaddr(true)?;
    // Small frames must not wait for others. What is accepted here has it from the listener.
    socket.set_nodelay(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// Serves a client on the runtime until it belongs to a shard, or is gone.
pub(crate) async fn serve(
    opening: Opening,
    peer: SocketAddr,
    router: Arc<Router>,
    port: Port,
    mut stopped: watch::Receiver<bool>,
) {
    // Who is over its limit has not said yet what it speaks, and so is told nothing.
    let guest = if port.is_internal() { Ok(None) } else { router.knock(peer) };
    let Ok(_guest) = guest else { return };
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
            let (only_realtime, socket) = (port.is_for_realtime_only(), port.socket());
            let number = port.number();
            let source = |head| Source { head, peer, only_realtime, socket, port: number };
            let serving = http_connection::serve(stream, router, source, impatient_at, stopped);
            Box::pin(serving).await;
        }
    }
}

/// Waits until the server has stopped, or is gone.
pub(crate) async fn told_to(stopped: &mut watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_is_shared_with_who_takes_over_and_with_nobody_else() {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        find_free(any, Sharing::WithSuccessor).unwrap();
        let first = listen_with_others(any, Sharing::WithSuccessor).unwrap();
        let address = first.local_addr().unwrap();
        for refused in [
            listen(address).map(drop).unwrap_err(),
            find_free(address, Sharing::WithSuccessor).unwrap_err(),
        ] {
            assert_eq!(refused.kind(), io::ErrorKind::AddrInUse);
        }
        find_free(address, Sharing::WithPredecessor).unwrap();
        let second = listen_with_others(address, Sharing::WithPredecessor).unwrap();
        drop(first);
        assert_eq!(second.local_addr().unwrap(), address);
        drop(second);
        find_free(address, Sharing::WithSuccessor).unwrap();
    }
}
