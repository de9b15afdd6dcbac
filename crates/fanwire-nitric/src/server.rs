//! The port that services call: HTTP/2 without TLS and without being asked for it, which
//! is what gRPC's clients speak on a machine of their own.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::api;
use crate::nitric::{Nitric, Shared};

/// Connections at once; others wait in the system's queue. A service has one.
const MAX_CONNECTIONS: usize = 256;

/// Requests of one connection at once, streams of handlers among them; a service's others
/// wait in its SDK.
const MAX_STREAMS: u32 = 4096;

/// How long to wait where a connection cannot be accepted.
const ACCEPT_BACK_OFF: Duration = Duration::from_millis(50);

/// How often a service is asked whether it is still there, and how long it may take.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// How long a connection may take to end once its streams have been ended.
const GOODBYE: Duration = Duration::from_secs(1);

impl Nitric {
    /// Serves services that come to `listener`, until [`stop`](Self::stop).
    pub async fn serve(&self, listener: TcpListener) {
        let shared = &self.shared;
        let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let accepting = async {
            loop {
                // The semaphore is never closed.
                let place = Arc::clone(&places).acquire_owned().await;
                match listener.accept().await {
                    Ok((stream, _)) => {
                        let shared = Arc::clone(shared);
                        tokio::spawn(async move {
                            attend(stream, shared).await;
                            drop(place);
                        });
                    }
                    Err(_) => tokio::time::sleep(ACCEPT_BACK_OFF).await,
                }
            }
        };
        tokio::select! {
            () = accepting => {}
            () = shared.stopped() => {}
        }
    }
}

/// A connection that has called something, for as long as it is there.
struct Counted<'s>(&'s Shared);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.activity.send_modify(|activity| activity.connections -= 1);
    }
}

async fn attend(stream: TcpStream, shared: Arc<Shared>) {
    // Answers are small, and must not wait for others.
    let _ = stream.set_nodelay(true);
    let counted = std::sync::OnceLock::new();
    let service = service_fn(|request| {
        counted.get_or_init(|| {
            shared.activity.send_modify(|activity| activity.connections += 1);
            Counted(&shared)
        });
        let answer = api::answer(Arc::clone(&shared), request);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let connection = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        // What goes wrong here is the service's doing, and it knows.
        _ = connection.as_mut() => {}
        () = shared.stopped() => {
            connection.as_mut().graceful_shutdown();
            let _ = timeout(GOODBYE, connection).await;
        }
    }
}
