//! `[telemetry]`: metrics, health and the log of who called what.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use serde::Serialize;

use crate::decode::units::size;
use crate::decode::{Key, Kind, Others, Table};
use crate::node::Node;
use crate::reading::{Reading, join};

/// Where metrics and health are told if nobody says: the port that exporters of OpenTelemetry
/// use for it, on this machine alone.
const DEFAULT_ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9464);

/// How large the file of calls grows if nobody says, in bytes.
const DEFAULT_AUDIT_BYTES: usize = 16 * 1024 * 1024;

pub(crate) static TELEMETRY: Table = Table {
    name: "telemetry",
    doc: "What the server tells of itself.",
    others: Others::Refused,
    keys: &[
        Key::new(
            "address",
            Kind::Checked(address),
            "where /metrics, /healthz and /readyz are answered without a key, or \"none\"; default \"127.0.0.1:9464\"",
        ),
        Key::new(
            "audit_file",
            Kind::Text,
            "where calls to the APIs that ask who calls are written down, as JSON lines; default: nowhere",
        ),
        Key::new(
            "audit_max_size",
            Kind::Size,
            "size of that file from which on another one is begun; default \"16MB\"",
        ),
        Key::new("audit_keep", Kind::Integer(0, 1000), "how many older files are kept; default 9"),
    ],
};

/// What the server tells of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct Telemetry {
    /// Where metrics and health are told without a key.
    pub address: TelemetryAddress,
    /// Where calls are written down. `None`: nowhere.
    pub audit: Option<Audit>,
}

/// Where metrics and health are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Default)]
pub enum TelemetryAddress {
    /// The usual place, if it is free.
    #[default]
    Usual,
    /// Nowhere.
    Nowhere,
    /// There, and nowhere else.
    At(SocketAddr),
}

/// How calls are written down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Audit {
    /// The file.
    pub file: PathBuf,
    /// Bytes from which on another file is begun.
    pub max_bytes: u64,
    /// How many older files are kept.
    pub keep: usize,
}

// === impl TelemetryAddress ===

impl TelemetryAddress {
    /// The address, if any.
    pub fn address(self) -> Option<SocketAddr> {
        match self {
            Self::Usual => Some(DEFAULT_ADDRESS),
            Self::Nowhere => None,
            Self::At(address) => Some(address),
        }
    }
}

fn address(text: &str) -> Result<(), String> {
    if text == "none" {
        return Ok(());
    }
    text.parse::<SocketAddr>()
        .map(drop)
        .map_err(|_| "an address and a port, such as \"127.0.0.1:9464\", or \"none\"".to_owned())
}

/// What the table says.
pub(super) fn build(node: &Node, reading: &mut Reading<'_>) -> Telemetry {
    let text = |key: &str| node.get(key).and_then(Node::scalar_text);
    let address = match text("address").as_deref() {
        None => TelemetryAddress::Usual,
        Some("none") => TelemetryAddress::Nowhere,
        Some(said) => said.parse().map_or(TelemetryAddress::Usual, TelemetryAddress::At),
    };
    let audit = text("audit_file").map(|file| Audit {
        file: join(&reading.folder, &file),
        max_bytes: node.get("audit_max_size").and_then(size).unwrap_or(DEFAULT_AUDIT_BYTES) as u64,
        keep: text("audit_keep").and_then(|keep| keep.parse().ok()).unwrap_or(9),
    });
    Telemetry { address, audit }
}
