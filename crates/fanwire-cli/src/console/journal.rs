//! The last records and those to come, for whoever listens to a running server's log.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use fanwire_server::{Feed, Listening, Logs};

use super::json;
use super::record::{Entry, Record};

/// Records kept at the most.
const MAX_KEPT: usize = 2_000;

/// Bytes of text kept at the most, beyond which the oldest records go earlier.
const MAX_KEPT_BYTES: usize = 4 * 1024 * 1024;

/// The log of this server. Records are kept as they are, and only become text when
/// somebody asks for them.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    // A std lock: held by the printer for a push, and while somebody starts to listen.
    kept: Mutex<Kept>,
    feed: Feed,
}

#[derive(Debug, Default)]
struct Kept {
    entries: VecDeque<Entry>,
    bytes: usize,
}

// === impl Journal ===

impl Journal {
    /// Keeps a record that was printed, and tells those who listen.
    pub(crate) fn keep(&self, entry: Entry) {
        if matches!(entry.record, Record::Text(_) | Record::End) {
            return;
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        // Under the lock, so that who starts to listen misses none and gets none twice.
        if self.feed.is_heard() {
            self.feed.publish(&line(&entry));
        }
        kept.push(entry);
    }
}

impl Logs for Journal {
    fn listen(&self, backlog: usize) -> Option<Listening> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let skipped = kept.entries.len().saturating_sub(backlog);
        self.feed.listen(kept.entries.iter().skip(skipped).map(line))
    }
}

impl Kept {
    fn push(&mut self, entry: Entry) {
        self.bytes += size(&entry);
        self.entries.push_back(entry);
        while self.entries.len() > MAX_KEPT || self.bytes > MAX_KEPT_BYTES {
            let Some(oldest) = self.entries.pop_front() else { return };
            self.bytes -= size(&oldest);
        }
    }
}

/// The bytes of a record's longest text, which is what makes records differ in size.
fn size(entry: &Entry) -> usize {
    match &entry.record {
        Record::Line { text, .. } | Record::FunctionNote { text, .. } => text.len(),
        Record::Access { line, .. } => line.len(),
        Record::Execution(text) | Record::News(text) | Record::Note(text) => text.len(),
        Record::Realtime(record) => record.why.as_ref().map_or(0, |why| why.len()),
        Record::Request(request) => request.error.as_ref().map_or(0, String::len),
        Record::Text(_) | Record::Dropped(_) | Record::End => 0,
    }
}

fn line(entry: &Entry) -> Bytes {
    let mut line = String::new();
    json::write(entry, &mut line);
    line.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_records_go_first() {
        let journal = Journal::default();
        for number in 0..=MAX_KEPT {
            journal.keep(Entry::new(Record::Note(number.to_string())));
        }
        journal.keep(Entry::new(Record::Text("not a record".to_owned())));
        let oldest = || {
            let kept = journal.kept.lock().unwrap();
            match kept.entries.front() {
                Some(Entry { record: Record::Note(text), .. }) => (kept.entries.len(), text.len()),
                _ => (0, 0),
            }
        };
        assert_eq!(oldest(), (MAX_KEPT, 1));
        journal.keep(Entry::new(Record::Note("x".repeat(MAX_KEPT_BYTES))));
        assert_eq!(oldest(), (1, MAX_KEPT_BYTES));
    }
}
