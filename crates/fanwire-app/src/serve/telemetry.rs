//! `[telemetry]`: metrics, health, traces and the log of who called what.

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
        Key::new(
            "traces",
            Kind::Checked(collector),
            "collector that traces are sent to (OTLP over HTTP), such as \"http://127.0.0.1:4318\"; default: none are made",
        ),
        Key::new(
            "traces_sample",
            Kind::Checked(share),
            "part of the traces that begin here which is kept, from 0 to 1; default 1",
        ),
        Key::new(
            "traces_of_clients",
            Kind::Choice(&["believe", "ignore"]),
            "whether a client's traceparent goes on, kept as it says, or a trace begins anew; default \"believe\"",
        ),
    ],
};

/// What the server tells of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct Telemetry {
    /// Where metrics and health are told without a key.
    pub address: TelemetryAddress,
    /// Where calls are written down. `None`: nowhere.
    pub audit: Option<Audit>,
    /// Where traces are sent. `None`: none are made.
    pub traces: Option<Traces>,
}

/// Where traces are sent, and which.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Traces {
    /// The URL that spans are posted to.
    pub endpoint: String,
    /// How many of a million traces that begin here are kept.
    pub sample_per_million: u32,
    /// Whether clients' traces go on, kept as they say.
    pub believe_clients: bool,
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

/// What OTLP puts behind the address of a collector that takes all signals (OTLP 1.x, "OTLP/HTTP
/// Request").
const OTLP_PATH: &str = "/v1/traces";

const MILLION: f64 = 1_000_000.0;

/// The scheme, and what follows it.
fn split(url: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = url.split_once("://")?;
    let has_host = !rest.is_empty() && !rest.starts_with(['/', ':']);
    (matches!(scheme, "http" | "https") && has_host).then_some((scheme, rest))
}

fn collector(text: &str) -> Result<(), String> {
    let expected =
        "the http:// or https:// address of a collector, such as \"http://127.0.0.1:4318\"";
    split(text).map(drop).ok_or_else(|| expected.to_owned())
}

fn share(text: &str) -> Result<(), String> {
    let share = text.parse().ok().filter(|share: &f64| (0.0..=1.0).contains(share));
    share.map(drop).ok_or_else(|| "a number from 0 to 1, such as 0.05".to_owned())
}

/// The address that spans are posted to. One without a path is that of a collector.
fn endpoint(said: &str) -> String {
    let has_path = split(said).is_some_and(|(_, rest)| rest.trim_end_matches('/').contains('/'));
    if has_path { said.to_owned() } else { format!("{}{OTLP_PATH}", said.trim_end_matches('/')) }
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
    let share = text("traces_sample").and_then(|share| share.parse().ok()).unwrap_or(1.0);
    let traces = text("traces").map(|said| Traces {
        endpoint: endpoint(&said),
        // From 0 to a million: the check has seen to it.
        sample_per_million: (f64::clamp(share, 0.0, 1.0) * MILLION) as u32,
        believe_clients: text("traces_of_clients").is_none_or(|said| said == "believe"),
    });
    Telemetry { address, audit, traces }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_is_posted_to_at_the_path_of_otlp_unless_it_has_one() {
        for (said, expected) in [
            ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"),
            ("https://collector/", "https://collector/v1/traces"),
            ("https://collector/otlp/v1/traces", "https://collector/otlp/v1/traces"),
        ] {
            assert_eq!(collector(said), Ok(()), "{said}");
            assert_eq!(endpoint(said), expected);
        }
        for wrong in ["127.0.0.1:4318", "grpc://collector:4317", "http://", "http:///v1/traces"] {
            assert!(collector(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_sample_is_a_part_of_one() {
        assert!(["0", "1", "0.05"].iter().all(|said| share(said).is_ok()));
        assert!(["-1", "5%", "1.1", "NaN"].iter().all(|said| share(said).is_err()));
    }
}
