//! The server within this program: the same parts as `fanwire dev`, without its
//! console, and with commands on standard input. So a broadcast can be measured
//! without the HTTP request that asks for it, and the heap by counting it.

use std::io::{BufRead as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fanwire_app::model::WebSocketApi;
use fanwire_app::{LoadOptions, load};
use fanwire_functions::Silent;
use fanwire_realtime::RealtimeEvent;
use fanwire_server::{Observers, Server, ServerOptions};
use fanwire_websocket::{Observer, Post, RequestRecord};

use crate::{HEAP, Result};

/// Asks for a broadcast: `broadcast COUNT TEXT`.
pub(crate) const BROADCAST: &str = "broadcast";
/// Asks for the bytes that are allocated, which are the answer: `heap`.
pub(crate) const HEAP_BYTES: &str = "heap";

/// Serves until standard input ends.
pub(crate) fn run(port: u16, peers: &Path) -> Result<()> {
    let app = load(&peers.join("connections"), &LoadOptions::default())?.app;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let options = ServerOptions {
        address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        ..ServerOptions::default()
    };
    let observers = Observers {
        websocket: Arc::new(Nobody),
        functions: Arc::new(Silent),
        realtime: Arc::new(Nobody),
        nitric: None,
        logs: None,
    };
    let server = runtime.block_on(Server::start(&app, options, observers))?;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        match line.split_once(' ') {
            Some((BROADCAST, rest)) => {
                let (count, text) = rest.split_once(' ').ok_or("expected COUNT TEXT")?;
                for _ in 0..count.parse()? {
                    // What becomes of each is not waited for.
                    drop(server.websocket().broadcast(0, Post::Text(text))?);
                }
            }
            None if line == HEAP_BYTES => {
                writeln!(std::io::stdout(), "{}", HEAP.current_usage())?;
            }
            _ => return Err(format!("unknown command: {line}").into()),
        }
    }
    runtime.block_on(server.stop(Duration::from_secs(1)));
    Ok(())
}

/// Looks away.
struct Nobody;

impl Observer for Nobody {
    fn request(&self, _: &RequestRecord<'_>) {}

    fn access(&self, _: &WebSocketApi, _: &str) {}

    fn trouble(&self, _: &WebSocketApi, _: &str) {}

    fn execution(&self, _: &WebSocketApi, _: &str, _: &str) {}
}

impl fanwire_realtime::Observer for Nobody {
    fn observe(&self, _: &RealtimeEvent<'_>) {}
}
