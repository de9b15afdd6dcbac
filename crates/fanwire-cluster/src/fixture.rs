//! A nats-server for tests, with JetStream in a temporary folder, and a proxy that stops and
//! cuts what goes through it. Only with the feature `fixture`, which tests ask for.
//!
//! Everything here panics where it fails: a test that has no server must not pass.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::sync::watch;

use crate::{ClusterOptions, Credentials};

/// Time for the server to be ready.
const PATIENCE: Duration = Duration::from_secs(20);

/// A nats-server that ends with this.
#[derive(Debug)]
pub struct NatsServer {
    port: u16,
    folder: TempDir,
    settings: String,
    child: Option<Child>,
}

/// Takes connections on to a server, as long as it is let.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    flow: Arc<watch::Sender<Flow>>,
}

/// What a proxy does with what comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    Open,
    /// Nothing goes through, and no connection ends: a machine that hangs, or a network that is
    /// cut in between.
    Stopped,
    /// Connections end at once.
    Cut,
}

// === impl NatsServer ===

impl NatsServer {
    /// Starts a server.
    pub async fn start() -> Self {
        Self::start_with("").await
    }

    /// Starts a server with more in its configuration file.
    pub async fn start_with(settings: &str) -> Self {
        // Free a moment ago, and kept for when the server starts again.
        let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
        let folder = tempfile::tempdir().unwrap();
        let mut server = Self { port, folder, settings: settings.to_owned(), child: None };
        server.restart().await;
        server
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// Options of a node that joins here. Its lease is short, so that tests are.
    pub fn options(&self, node: &str) -> ClusterOptions {
        ClusterOptions {
            servers: vec![self.url()],
            name: "test".to_owned(),
            node_name: node.to_owned(),
            address: format!("{node}:3001"),
            credentials: Credentials::None,
            lease: Duration::from_secs(2),
            ..ClusterOptions::default()
        }
    }

    /// Kills it, as a power cut would.
    pub async fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().await.unwrap();
        }
    }

    /// Starts it again with an empty disk.
    pub async fn lose_everything(&mut self) {
        self.kill().await;
        std::fs::remove_dir_all(self.folder.path().join("jetstream")).unwrap();
        self.restart().await;
    }

    /// Starts it again where it was, with what it had on disk.
    pub async fn restart(&mut self) {
        self.kill().await;
        let file = self.folder.path().join("nats.conf");
        let store = self.folder.path().join("jetstream");
        let Self { port, settings, .. } = self;
        let text = format!(
            "listen: \"127.0.0.1:{port}\"\n\
             jetstream {{ store_dir: {store:?}, sync_interval: always }}\n{settings}\n"
        );
        std::fs::write(&file, text).unwrap();
        let mut child = Command::new(binary())
            .arg("-c")
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut said = Vec::new();
        let ready = async {
            while let Some(line) = lines.next_line().await.unwrap() {
                if line.contains("Server is ready") {
                    return true;
                }
                said.push(line);
            }
            false
        };
        let is_ready = tokio::time::timeout(PATIENCE, ready).await;
        assert_eq!(is_ready, Ok(true), "nats-server did not start: {said:#?}");
        // What it says later must not fill the pipe.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        self.child = Some(child);
    }
}

/// The program: what the variable `NATS_SERVER` names, or `.cache/venv/bin/nats-server` here or
/// in a folder above.
pub fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("NATS_SERVER") {
        return path.into();
    }
    let here = std::env::current_dir().unwrap();
    let places = here.ancestors().map(|folder| folder.join(".cache/venv/bin/nats-server"));
    places.into_iter().find(|path| path.is_file()).expect(
        "no nats-server: `./test unit` installs one, as does `python3 -m venv .cache/venv && \
         .cache/venv/bin/pip install -r tests/python/requirements.txt`; or set NATS_SERVER",
    )
}

// === impl Proxy ===

impl Proxy {
    /// Begins to take connections on.
    pub async fn start(to: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let flow = Arc::new(watch::Sender::new(Flow::Open));
        let flows = Arc::clone(&flow);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, to, flows.subscribe()));
            }
        });
        Self { address, flow }
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("nats://{}", self.address)
    }

    /// Nothing goes through any more, and nobody is told.
    pub fn stop(&self) {
        self.flow.send_replace(Flow::Stopped);
    }

    /// What goes through goes through again.
    pub fn go_on(&self) {
        self.flow.send_replace(Flow::Open);
    }

    /// All connections end, and new ones do at once.
    pub fn cut(&self) {
        self.flow.send_replace(Flow::Cut);
    }
}

async fn carry(client: TcpStream, to: SocketAddr, mut flow: watch::Receiver<Flow>) {
    if flow.wait_for(|flow| *flow != Flow::Stopped).await.is_err() || *flow.borrow() == Flow::Cut {
        return;
    }
    let Ok(server) = TcpStream::connect(to).await else { return };
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::select! {
        () = copy(from_client, to_server, flow.clone()) => {}
        () = copy(from_server, to_client, flow.clone()) => {}
        _ = flow.wait_for(|flow| *flow == Flow::Cut) => {}
    }
}

async fn copy(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    mut flow: watch::Receiver<Flow>,
) {
    let mut buffer = vec![0; 16 << 10];
    loop {
        let Ok(length) = from.read(&mut buffer).await else { return };
        if length == 0 || flow.wait_for(|flow| *flow != Flow::Stopped).await.is_err() {
            return;
        }
        if to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}
