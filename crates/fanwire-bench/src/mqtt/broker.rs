//! The brokers: each is started with a configuration that is stated here, pinned to a core.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use clap::ValueEnum;
use tempfile::TempDir;

use super::packet::Transport;
use crate::server::{Server, free_port, pinned};
use crate::{Result, Settings};

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Product {
    Fanwire,
    /// Of the system's packages: Debian's has been 2.0.11 since 2023.
    Mosquitto,
    /// Of crates.io.
    Rumqttd,
    /// nats-server with MQTT.
    Nats,
}

/// A broker that is running.
pub(super) struct Broker {
    server: Server,
    websocket: SocketAddr,
    websocket_path: &'static str,
    /// Its configuration and data, gone when it ends.
    _folder: TempDir,
}

/// Where clients connect, and how.
pub(super) struct Endpoint {
    pub(super) transport: Transport,
    pub(super) address: SocketAddr,
    /// Of the WebSocket's URL.
    pub(super) path: &'static str,
}

// === impl Product ===

impl Product {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Fanwire => "fanwire",
            Self::Mosquitto => "mosquitto",
            Self::Rumqttd => "rumqttd",
            Self::Nats => "nats-server",
        }
    }

    /// The program, if it is installed.
    pub(super) fn find(self, settings: &Settings) -> Option<PathBuf> {
        // Where `./bench` puts them.
        let tools = PathBuf::from(".cache/tools");
        let places = match self {
            Self::Fanwire => vec![settings.fanwire.clone()],
            Self::Mosquitto => {
                vec!["/usr/sbin/mosquitto".into(), "/usr/local/sbin/mosquitto".into()]
            }
            Self::Rumqttd => vec![tools.join("bin/rumqttd")],
            Self::Nats => vec![tools.join("nats/bin/nats-server")],
        };
        places.into_iter().find(|place| place.is_file())
    }

    /// What it says its version is.
    pub(super) fn version(self, settings: &Settings) -> String {
        let Some(program) = self.find(settings) else { return "not installed".to_owned() };
        let flag = if self == Self::Mosquitto { "-h" } else { "--version" };
        let output = Command::new(program).arg(flag).stdin(Stdio::null()).output();
        let output = output.map(|output| output.stdout).unwrap_or_default();
        let text = String::from_utf8_lossy(&output);
        let line = text.lines().find(|line| line.chars().any(|letter| letter.is_ascii_digit()));
        line.unwrap_or("unknown").trim().to_owned()
    }

    /// Starts it with as much of its default configuration as can be: what is set is where
    /// it listens, that it takes everyone, and that it keeps nothing on disk.
    pub(super) fn start(self, settings: &Settings) -> Result<Broker> {
        let program = self.find(settings).ok_or_else(|| format!("{} is missing", self.name()))?;
        let folder = TempDir::new()?;
        let (tcp, mut websocket) = (free_port()?, free_port()?);
        let config = folder.path().join(self.config_file());
        std::fs::write(&config, self.config(tcp, websocket, &folder))?;

        let mut command = pinned(program);
        command.stdout(Stdio::null());
        match self {
            Self::Fanwire => {
                command.arg("dev").arg(folder.path());
                command.args(["--profile", "open", "--json", "--port", &tcp.to_string()]);
                websocket = tcp;
            }
            Self::Mosquitto | Self::Nats => _ = command.arg("-c").arg(&config),
            Self::Rumqttd => _ = command.arg("--quiet").arg("-c").arg(&config),
        }
        let websocket_path = if self == Self::Mosquitto { "/" } else { "/mqtt" };
        let mut server = Server::start(self.name(), websocket_path, tcp, command)?;
        server.await_listener(websocket)?;
        let websocket = SocketAddr::from((Ipv4Addr::LOCALHOST, websocket));
        Ok(Broker { server, websocket, websocket_path, _folder: folder })
    }

    fn config_file(self) -> &'static str {
        match self {
            Self::Fanwire => "fanwire.toml",
            Self::Mosquitto => "mosquitto.conf",
            Self::Rumqttd => "rumqttd.toml",
            Self::Nats => "nats.conf",
        }
    }

    fn config(self, tcp: u16, websocket: u16, folder: &TempDir) -> String {
        let store = folder.path().display();
        match self {
            Self::Fanwire => "name = \"bench\"\n\n[realtime]\nallow_anonymous = true\n".to_owned(),
            Self::Mosquitto => format!(
                "listener {tcp} 127.0.0.1\nlistener {websocket} 127.0.0.1\nprotocol websockets\n\
                 allow_anonymous true\nlog_type none\n"
            ),
            Self::Rumqttd => rumqttd_config(tcp, websocket),
            Self::Nats => format!(
                "server_name: bench\nhost: 127.0.0.1\nport: -1\njetstream {{ store_dir: \"{store}\" }}\n\
                 mqtt {{ host: 127.0.0.1, port: {tcp} }}\n\
                 websocket {{ host: 127.0.0.1, port: {websocket}, no_tls: true }}\n"
            ),
        }
    }
}

// === impl Broker ===

impl Broker {
    pub(super) fn pid(&self) -> u32 {
        self.server.pid()
    }

    pub(super) fn endpoint(&self, transport: Transport) -> Endpoint {
        let address = match transport {
            Transport::Tcp => self.server.address(),
            Transport::Websocket => self.websocket,
        };
        Endpoint { transport, address, path: self.websocket_path }
    }
}

/// What `rumqttd generate-config` says for the router and the connections, without console
/// and metrics, and with room for one more connection than 10,000 subscribers and those who
/// publish.
fn rumqttd_config(tcp: u16, websocket: u16) -> String {
    let mut config = "id = 0\n\n[router]\nid = 0\nmax_connections = 20000\n\
                      max_outgoing_packet_count = 200\nmax_segment_size = 104857600\n\
                      max_segment_count = 10\n"
        .to_owned();
    for (kind, port, inflight) in [("v4", tcp, 100), ("ws", websocket, 500)] {
        // Writing to a `String` cannot fail.
        let _ = write!(
            config,
            "\n[{kind}.1]\nname = \"{kind}-1\"\nlisten = \"127.0.0.1:{port}\"\n\
             next_connection_delay_ms = 1\n    [{kind}.1.connections]\n    \
             connection_timeout_ms = 60000\n    max_payload_size = 20480\n    \
             max_inflight_count = {inflight}\n    dynamic_filters = true\n"
        );
    }
    config
}
