//! Limits and sizes.

use crate::Clock;

/// What a command or broadcast counts beside the bytes it carries.
pub const LETTER_BYTES: usize = 128;

/// Limits and sizes of a hub.
#[derive(Debug, Clone)]
pub struct HubOptions {
    /// This node's number, part of every connection id, until
    /// [`set_node`](crate::Hub::set_node) gives it another.
    pub node: u16,
    /// Threads that connections are spread over; at most 256. Default: one a core.
    pub shards: usize,
    /// Connections at once, those still in their handshake included.
    pub max_connections: usize,
    /// Bytes of commands and broadcasts that may wait for one shard, each counted with
    /// [`LETTER_BYTES`] on top.
    pub mailbox_bytes: usize,
    /// The one read buffer of each shard, in bytes.
    pub read_buffer_bytes: usize,
    /// The time that connections live in. Default: the machine's.
    pub clock: Clock,
}

impl Default for HubOptions {
    fn default() -> Self {
        Self {
            node: 0,
            shards: std::thread::available_parallelism().map_or(1, usize::from),
            max_connections: 1_000_000,
            mailbox_bytes: 64 * 1024 * 1024,
            read_buffer_bytes: 64 * 1024,
            clock: Clock::default(),
        }
    }
}
