//! The nodes that are measured: one alone, or several with a NATS server between them.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::server::{Server, free_port};
use crate::{Result, Settings, procfs};

/// Where `./bench` puts the NATS server.
const NATS_SERVER: &str = ".cache/tools/nats/bin/nats-server";

/// Servers that run.
pub(super) struct Nodes {
    nodes: Vec<Node>,
    _nats: Option<Server>,
    /// Settings, certificates and data, gone when the nodes are.
    _folder: TempDir,
}

struct Node {
    server: Server,
    tls: SocketAddr,
}

// === impl Nodes ===

impl Nodes {
    /// Starts so many nodes.
    pub(super) fn start(count: usize, settings: &Settings) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
        std::fs::write(folder.path().join("cert.pem"), certified.cert.pem())?;
        std::fs::write(folder.path().join("key.pem"), certified.signing_key.serialize_pem())?;
        let (nats, url) = match count {
            0 | 1 => (None, None),
            _ => {
                let (server, url) = nats(folder.path())?;
                (Some(server), Some(url))
            }
        };
        let nodes =
            (0..count.max(1)).map(|nth| Node::start(nth, url.as_deref(), folder.path(), settings));
        let nodes = nodes.collect::<Result<_>>()?;
        Ok(Self { nodes, _nats: nats, _folder: folder })
    }

    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Where clients connect who speak TLS, or do not.
    pub(super) fn addresses(&self, tls: bool) -> impl Iterator<Item = SocketAddr> {
        self.nodes.iter().map(move |node| if tls { node.tls } else { node.server.address() })
    }

    /// Of all processes together, in bytes.
    pub(super) fn resident(&self) -> Result<u64> {
        self.nodes.iter().map(|node| procfs::resident(node.server.pid())).sum()
    }

    /// Of all processes together.
    pub(super) fn cpu(&self) -> Result<Duration> {
        self.nodes.iter().map(|node| procfs::cpu(node.server.pid())).sum()
    }
}

// === impl Node ===

impl Node {
    fn start(nth: usize, nats: Option<&str>, folder: &Path, settings: &Settings) -> Result<Self> {
        let (plain, tls) = (free_port()?, free_port()?);
        let mut text = format!(
            "[[listen]]\naddress = \"127.0.0.1:{plain}\"\ntls = false\n\
             [[listen]]\naddress = \"127.0.0.1:{tls}\"\ntls = true\n\
             [[tls.certificates]]\ncertificate = \"cert.pem\"\nkey = \"key.pem\"\n\
             [access]\nallow_anonymous = [\"connections\", \"mqtt\"]\n\
             [telemetry]\naddress = \"127.0.0.1:{}\"\n\
             [drain]\nwindow = \"0s\"\ngrace = \"1s\"\n",
            free_port()?
        );
        if let Some(url) = nats {
            write!(text, "[cluster]\nnats = \"{url}\"\n")?;
        }
        let file = folder.join(format!("node-{nth}.toml"));
        std::fs::write(&file, text)?;
        let mut command = Command::new(&settings.fanwire);
        command.arg("serve").arg(settings.peers.join("crowd")).arg("--config").arg(&file);
        command
            .arg("--data")
            .arg(folder.join(format!("data-{nth}")))
            .arg("--json")
            .stdout(Stdio::null());
        let server = Server::start("fanwire serve", "/dev", plain, command)?;
        Ok(Self { server, tls: (Ipv4Addr::LOCALHOST, tls).into() })
    }
}

/// A NATS server, and where it is.
fn nats(folder: &Path) -> Result<(Server, String)> {
    let port = free_port()?;
    let mut command = Command::new(NATS_SERVER);
    command
        .args(["-a", "127.0.0.1", "-p", &port.to_string(), "-js", "-sd"])
        .arg(folder.join("nats"));
    command.stdout(Stdio::null());
    Ok((Server::start("nats-server", "/", port, command)?, format!("nats://127.0.0.1:{port}")))
}
