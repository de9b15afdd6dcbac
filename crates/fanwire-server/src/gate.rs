//! Where connections come in that do not come straight from their client: over a Unix socket,
//! or behind a PROXY header. They are served on the runtime, once it is known whose they are.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

use crate::listener::{BACKLOG, serve, told_to};
use crate::listening::{Open, as_tcp};
use crate::port::{Opening, Port};
use crate::proxy::read_header;
use crate::router::Router;

/// How long a proxy may take to say whose connection it is.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);

/// Connections that may speak HTTP at once, handshakes among them.
const MAX_HTTP_CONNECTIONS: usize = 8192;

/// How long to wait where a connection cannot be accepted: descriptors have run out.
const ACCEPT_BACK_OFF: Duration = Duration::from_millis(50);

/// How long to look, once a listener is to close, whether somebody is in its queue.
const LAST_LOOK: Duration = Duration::from_millis(10);

/// Who is taken for the client where nobody says who it is: this machine.
const UNKNOWN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Serves who comes until `closed`; what is open then goes on until `stopped`.
pub(crate) async fn open(
    listener: Open,
    has_proxy: bool,
    router: Arc<Router>,
    port: Port,
    mut closed: watch::Receiver<bool>,
    stopped: watch::Receiver<bool>,
) {
    let places = Arc::new(Semaphore::new(MAX_HTTP_CONNECTIONS));
    let mut left_to_take = BACKLOG;
    loop {
        // The semaphore is never closed.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let accepted = tokio::select! {
            accepted = accept(&listener) => accepted,
            () = told_to(&mut closed) => {
                // Who has come by now would be reset with the listener.
                left_to_take -= 1;
                match timeout(LAST_LOOK, accept(&listener)).await {
                    Ok(accepted) if left_to_take > 0 => accepted,
                    _ => return,
                }
            }
        };
        let Ok((stream, peer)) = accepted else {
            tokio::time::sleep(ACCEPT_BACK_OFF).await;
            continue;
        };
        let (router, port, stopped) = (Arc::clone(&router), port.clone(), stopped.clone());
        tokio::spawn(async move {
            let met = if has_proxy { behind_proxy(stream, peer).await } else { Ok((stream, peer)) };
            // Who does not say whose connection it is has nothing to be told in.
            if let Ok((stream, peer)) = met {
                serve(Opening { stream, first: None }, peer, router, port, stopped).await;
            }
            drop(place);
        });
    }
}

async fn accept(listener: &Open) -> io::Result<(std::net::TcpStream, SocketAddr)> {
    match listener {
        Open::Tcp(listener) => {
            let (stream, peer) = listener.accept().await?;
            Ok((stream.into_std()?, peer))
        }
        Open::Unix(listener) => Ok((as_tcp(listener.accept().await?.0)?, UNKNOWN)),
    }
}

/// Reads the PROXY header; the client that it names takes the place of the proxy.
async fn behind_proxy(
    stream: std::net::TcpStream,
    proxy: SocketAddr,
) -> io::Result<(std::net::TcpStream, SocketAddr)> {
    let mut stream = TcpStream::from_std(stream)?;
    let client = timeout(HEADER_TIMEOUT, read_header(&mut stream)).await??;
    Ok((stream.into_std()?, client.unwrap_or(proxy)))
}
