//! Limits of a WebSocket API, and the two profiles that set their defaults.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Which defaults apply: AWS's own quotas, or none that only hurt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// API Gateway's quotas, so that what works here works there. The default of
    /// `fanwire dev`.
    #[default]
    Aws,
    /// No two-hour connections, no 32 KB frames, compression and broadcast allowed.
    Open,
}

/// What one WebSocket API allows. Times of `None` mean "no limit".
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Limits {
    /// A connection without a message in either direction for this long is closed
    /// with 1001. API Gateway: 10 minutes.
    pub idle_timeout: Option<Duration>,
    /// Whether pings and pongs count as activity. API Gateway: undocumented; no.
    pub idle_counts_control_frames: bool,
    /// A connection older than this is closed with 1001. API Gateway: 2 hours.
    pub max_lifetime: Option<Duration>,
    /// The longest payload of one inbound frame, in bytes; a longer one closes the
    /// connection with 1009. API Gateway: 32 KB.
    pub max_frame_bytes: usize,
    /// The longest inbound message, and the longest body of `@connections`, in
    /// bytes. API Gateway: 128 KB.
    pub max_message_bytes: usize,
    /// How long an integration may take before the client gets an error. API
    /// Gateway: 29 s.
    pub integration_timeout: Duration,
    /// Messages of one connection that may be in integrations at once; while there
    /// are more, nothing is read from its socket.
    pub max_in_flight: u32,
    /// Whether the next message of a connection waits for the one before. API
    /// Gateway: no.
    pub ordered: bool,
    /// Bytes that may wait for a receiver that does not read. A POST beyond it is
    /// answered 429, a broadcast skips the connection and counts the drop.
    pub max_outbound_bytes: usize,
    /// Connections at once, pending handshakes included; more are refused with 429.
    pub max_connections: usize,
    /// Whether binary messages are taken, as base64 with `isBase64Encoded`, and sent
    /// where a result is base64 of something else than text. API Gateway: no; it
    /// closes with 1003.
    pub binary: bool,
    /// Whether `permessage-deflate` is negotiated. API Gateway: no.
    pub compression: bool,
    /// Whether `POST /{stage}/@connections` reaches every connection. API Gateway: no.
    pub broadcast: bool,
}

impl Limits {
    /// The defaults of a profile.
    pub fn of(profile: Profile) -> Self {
        let aws = Self {
            idle_timeout: Some(Duration::from_secs(600)),
            idle_counts_control_frames: false,
            max_lifetime: Some(Duration::from_secs(7200)),
            max_frame_bytes: 32 * 1024,
            max_message_bytes: 128 * 1024,
            integration_timeout: Duration::from_secs(29),
            max_in_flight: 64,
            ordered: false,
            max_outbound_bytes: 1024 * 1024,
            max_connections: 1_000_000,
            binary: false,
            compression: false,
            broadcast: false,
        };
        match profile {
            Profile::Aws => aws,
            Profile::Open => Self {
                idle_counts_control_frames: true,
                max_lifetime: None,
                max_frame_bytes: 1024 * 1024,
                max_message_bytes: 1024 * 1024,
                binary: true,
                compression: true,
                broadcast: true,
                ..aws
            },
        }
    }
}
