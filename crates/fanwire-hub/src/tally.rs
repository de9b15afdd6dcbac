//! Counters that cost nothing to count: each belongs to one thread, and is read by others when
//! somebody asks how much there was.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that one thread at a time changes and any may read. Because nobody else writes, a
/// change is a plain load and a plain store, without the bus lock of an atomic addition. What
/// is read may be a moment old.
#[derive(Debug, Default)]
pub struct Tally(AtomicU64);

// === impl Tally ===

impl Tally {
    /// Counts `more`. To be called by the thread that it belongs to.
    pub fn add(&self, more: u64) {
        self.set(self.get().wrapping_add(more));
    }

    /// Takes back `less`, of what goes up and down. To be called by the thread that it belongs
    /// to.
    pub fn sub(&self, less: u64) {
        self.set(self.get().wrapping_sub(less));
    }

    /// Makes it `value`. To be called by the thread that it belongs to.
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// What it is.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
