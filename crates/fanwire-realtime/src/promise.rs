//! A word given to publishers: what they sent is acknowledged once everybody who has a part
//! in it has kept theirs.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Told of a promise's number, and whether it is kept.
pub(crate) type Told = Arc<dyn Fn(u64, bool) + Send + Sync>;

/// One turn's promise. Whoever has to keep something of that turn holds it until it is
/// kept; when the last one lets go, the shard that gave it is told.
pub(crate) struct Promise {
    ticket: u64,
    broken: AtomicBool,
    told: Told,
}

// === impl Promise ===

impl Promise {
    pub(crate) fn new(ticket: u64, told: Told) -> Arc<Self> {
        Arc::new(Self { ticket, broken: AtomicBool::new(false), told })
    }

    /// Something cannot be kept.
    pub(crate) fn break_it(&self) {
        self.broken.store(true, Ordering::Relaxed);
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        (self.told)(self.ticket, !self.broken.load(Ordering::Relaxed));
    }
}

impl fmt::Debug for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Promise").field(&self.ticket).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn a_promise_is_told_once_by_the_last_who_lets_go() {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let hearing = Arc::clone(&heard);
        let told: Told = Arc::new(move |ticket, kept| hearing.lock().unwrap().push((ticket, kept)));
        let first = Promise::new(1, Arc::clone(&told));
        let other = Arc::clone(&first);
        drop(first);
        assert!(heard.lock().unwrap().is_empty());
        other.break_it();
        drop(other);
        drop(Promise::new(2, told));
        assert_eq!(*heard.lock().unwrap(), [(1, false), (2, true)]);
    }
}
