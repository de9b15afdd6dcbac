//! What can be set.

use std::time::Duration;

use fanwire_wire::trpc::Transformer;

/// How the plane behaves.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// What the clients have as transformer.
    pub transformer: Transformer,
    /// What is bounded, and by how much.
    pub limits: Limits,
    /// What is kept for clients that come back.
    pub history: HistoryLimits,
    /// How clients are found out that have gone without a word. `None`: they are found out
    /// when something is sent to them.
    pub keep_alive: Option<KeepAlive>,
    /// Whether messages are compressed for clients that offer it (RFC 7692).
    pub compression: bool,
}

/// Bounds on what clients, and calls of theirs, may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// The longest message of a client, in bytes; beyond it the connection is closed with
    /// 1009. 1 MB.
    pub max_message_bytes: usize,
    /// Messages of one batch; those of a longer one fail with `BAD_REQUEST`. 2,048.
    pub max_batch: usize,
    /// Subscriptions of one connection, those that are being made included; one more fails
    /// with `TOO_MANY_REQUESTS`. 1,024.
    pub max_subscriptions: usize,
    /// Keys of one subscription, and bytes of them all; one with more fails with
    /// `INTERNAL_SERVER_ERROR`. 64, and 16 KB.
    pub max_keys: usize,
    /// See above.
    pub max_key_bytes: usize,
    /// Calls of one connection that are worked on at once; others wait. 64.
    pub max_in_flight: usize,
    /// Calls of one connection that wait; one more fails with `TOO_MANY_REQUESTS`. 2,048.
    pub max_waiting: usize,
    /// Bytes of input of the calls that wait, likewise. 1 MB.
    pub max_waiting_bytes: usize,
    /// Calls of all connections that are worked on at once; one more fails with
    /// `SERVICE_UNAVAILABLE`. 65,536.
    pub max_calls: usize,
    /// How long a context may take to be made, and a call to be answered; longer ones fail
    /// with `TIMEOUT`. 30 s.
    pub call_timeout: Duration,
    /// Bytes that may wait for a client that does not read. Streams wait then, and so does
    /// whatever else it sends; if something is published to it, it is disconnected. 1 MB.
    pub max_outbound_bytes: usize,
    /// How long clients get to move to another server when this one stops, before they are
    /// disconnected; never longer than half of what stopping may take. 1 s.
    pub hand_over: Duration,
}

/// What is kept for clients that come back. Whatever is beyond one of the limits, the oldest
/// goes; a client that would have needed it is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryLimits {
    /// Events of one path. 1,000.
    pub max_events_per_path: usize,
    /// Bytes of the events of one path, each counted with 128 on top. 1 MB.
    pub max_bytes_per_path: usize,
    /// Bytes of all events, likewise. 64 MB.
    pub max_bytes: usize,
}

/// How clients are found out that have gone without a word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeepAlive {
    /// A client that has been silent for so long is asked whether it is there. 30 s.
    pub after: Duration,
    /// One that does not answer in so long is disconnected. 5 s.
    pub patience: Duration,
    /// How it is asked.
    pub by: Probe,
}

/// How a client is asked whether it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probe {
    /// By a ping of the WebSocket protocol, which every client answers by itself.
    Ping,
    /// By the text `PING`, as the server of tRPC v11 does it. Clients of v10 break at it.
    Text,
}

// === impl Limits ===

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_message_bytes: 1024 * 1024,
            max_batch: 2048,
            max_subscriptions: 1024,
            max_keys: 64,
            max_key_bytes: 16 * 1024,
            max_in_flight: 64,
            max_waiting: 2048,
            max_waiting_bytes: 1024 * 1024,
            max_calls: 65_536,
            call_timeout: Duration::from_secs(30),
            max_outbound_bytes: 1024 * 1024,
            hand_over: Duration::from_secs(1),
        }
    }
}

// === impl HistoryLimits ===

impl Default for HistoryLimits {
    fn default() -> Self {
        Self {
            max_events_per_path: 1000,
            max_bytes_per_path: 1024 * 1024,
            max_bytes: 64 * 1024 * 1024,
        }
    }
}

// === impl KeepAlive ===

impl Default for KeepAlive {
    fn default() -> Self {
        let (after, patience) = (Duration::from_secs(30), Duration::from_secs(5));
        Self { after, patience, by: Probe::Ping }
    }
}
