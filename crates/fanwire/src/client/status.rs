//! What a client that reconnects is about.

use std::sync::Arc;

use super::ConnectError;

/// Whether a client is connected.
#[derive(Clone, Debug)]
pub enum Status {
    /// It is not, and tries to be.
    Connecting {
        /// How often it has tried in vain since it was last connected.
        failures: u32,
        /// Why it failed last. `None`: it has not yet, or a connection has merely ended.
        why: Option<Arc<ConnectError>>,
    },
    /// It is.
    Connected,
    /// It is over: the client was closed.
    Closed,
}

// === impl Status ===

impl Status {
    /// Whether it is connected.
    pub fn is_connected(&self) -> bool {
        matches!(self, Self::Connected)
    }

    /// Before the first attempt.
    pub(super) const fn first() -> Self {
        Self::Connecting { failures: 0, why: None }
    }
}
