//! Telling of what may happen a thousand times a second, once a second.

use std::time::Duration;

use tokio::time::Instant;

/// How often one thing is told.
const EVERY: Duration = Duration::from_secs(1);

/// Says when something is to be told again.
#[derive(Debug, Default)]
pub(super) struct Seldom {
    last: Option<Instant>,
    untold: u64,
}

// === impl Seldom ===

impl Seldom {
    /// It has happened. Says whether it is to be told, and then how often it happened
    /// since it was told last without being told.
    pub(super) fn happened(&mut self) -> Option<u64> {
        if !self.is_due() {
            self.untold += 1;
            return None;
        }
        self.last = Some(Instant::now());
        Some(std::mem::take(&mut self.untold))
    }

    /// Whether something new would be told.
    fn is_due(&self) -> bool {
        self.last.is_none_or(|last| last.elapsed() >= EVERY)
    }
}
