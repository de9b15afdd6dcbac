//! What a client that reconnects is about.

use std::sync::Arc;

use tokio::sync::watch;

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

/// Where a client says how it is.
pub(super) struct StatusTeller {
    status: watch::Sender<Status>,
    /// Why it failed last.
    why: Option<Arc<ConnectError>>,
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

// === impl StatusTeller ===

impl StatusTeller {
    pub(super) fn new(status: watch::Sender<Status>) -> Self {
        Self { status, why: None }
    }

    /// It could not connect, or was sent away: said with what comes next.
    pub(super) fn failed(&mut self, error: ConnectError) {
        self.why = Some(Arc::new(error));
    }

    /// Says how it is, where that has changed.
    pub(super) fn tell(&mut self, connected: bool, failures: u32) {
        if connected {
            self.why = None;
        }
        let why = &self.why;
        self.status.send_if_modified(|status| {
            let same = match status {
                Status::Connected => connected,
                Status::Connecting { failures: before, .. } => !connected && *before == failures,
                Status::Closed => true,
            };
            if !same {
                *status = if connected {
                    Status::Connected
                } else {
                    Status::Connecting { failures, why: why.clone() }
                };
            }
            !same
        });
    }

    pub(super) fn tell_closed(&self) {
        self.status.send_replace(Status::Closed);
    }
}
