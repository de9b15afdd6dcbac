//! Records of which a client in a loop makes thousands a second, thinned out: what the
//! same client does again within a second of its last line is counted, and told of once.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::realtime::RealtimeRecord;
use super::record::Record;

/// The least time between two lines of a kind about the same client.
const WINDOW: Duration = Duration::from_secs(1);

/// How often records that were held back are looked for.
const SWEEP: Duration = Duration::from_millis(250);

/// Clients and kinds that are told apart. Beyond it all others of a kind count as one: who
/// is refused has chosen its client id, and would get around a bound for each.
const MAX_KEYS: usize = 256;

/// What has been let through lately, and what has not since.
#[derive(Debug, Default)]
pub(super) struct Throttle {
    // A std lock: held for a look-up.
    lately: Mutex<Lately>,
}

#[derive(Debug, Default)]
struct Lately {
    windows: HashMap<(Box<str>, Box<str>), Window>,
    swept: Option<Instant>,
}

/// The time after a line.
#[derive(Debug)]
struct Window {
    ends: Instant,
    held: Option<Held>,
}

/// What was held back.
#[derive(Debug)]
struct Held {
    latest: RealtimeRecord,
    times: u64,
}

// === impl Throttle ===

impl Throttle {
    /// The record to print now, if it is not held back.
    pub(super) fn pass(&self, mut record: RealtimeRecord, now: Instant) -> Option<Record> {
        if let Some(whose) = record.repeats() {
            let mut lately = self.lately.lock().unwrap_or_else(PoisonError::into_inner);
            let full = lately.windows.len() >= MAX_KEYS;
            let mut key = (Box::from(&*record.event), Box::from(whose));
            if full && !lately.windows.contains_key(&key) {
                key.1 = "".into();
            }
            if let Some(window) = lately.windows.get_mut(&key) {
                let times = window.held.as_ref().map_or(0, |held| held.times);
                if let Some(held) = &window.held {
                    record.join(&held.latest);
                }
                window.held = Some(Held { latest: record, times: times + 1 });
                return None;
            }
            lately.windows.insert(key, Window { ends: now + WINDOW, held: None });
        }
        Some(Record::Realtime(Box::new(record)))
    }

    /// The records that have been held back for long enough.
    pub(super) fn due(&self, now: Instant) -> Vec<Record> {
        let mut lately = self.lately.lock().unwrap_or_else(PoisonError::into_inner);
        if lately.swept.is_some_and(|swept| now.duration_since(swept) < SWEEP) {
            return Vec::new();
        }
        lately.swept = Some(now);
        let mut due = Vec::new();
        lately.windows.retain(|_, window| {
            if window.ends > now {
                return true;
            }
            let Some(Held { mut latest, times }) = window.held.take() else { return false };
            latest.times = times;
            due.push(Record::Realtime(Box::new(latest)));
            window.ends = now + WINDOW;
            true
        });
        due
    }
}

#[cfg(test)]
mod tests {
    use fanwire_realtime::RealtimeEvent;

    use super::*;

    fn dropped(client: &str) -> RealtimeRecord {
        let (messages, why) = (2, "slow");
        RealtimeRecord::of(&RealtimeEvent::Dropped { client_id: client, messages, why })
    }

    #[test]
    fn a_client_in_a_loop_gets_a_line_a_second_with_a_count() {
        let (throttle, start) = (Throttle::default(), Instant::now());
        assert!(throttle.pass(dropped("a"), start).is_some());
        assert!(throttle.pass(dropped("b"), start).is_some(), "another client");
        for _ in 0..1000 {
            assert!(throttle.pass(dropped("a"), start).is_none());
        }
        assert!(throttle.due(start + WINDOW / 2).is_empty());
        let due = throttle.due(start + WINDOW);
        let [Record::Realtime(record)] = due.as_slice() else { panic!("{due:?}") };
        assert_eq!((record.times, record.messages()), (1000, Some(2000)));
        assert!(throttle.pass(dropped("a"), start + WINDOW).is_none(), "a second once more");
        assert_eq!(throttle.due(start + 2 * WINDOW).len(), 1);
        assert!(throttle.due(start + 3 * WINDOW).is_empty());
        assert!(throttle.pass(dropped("a"), start + 3 * WINDOW).is_some());
    }

    #[test]
    fn clients_beyond_the_bound_count_as_one() {
        let (throttle, start) = (Throttle::default(), Instant::now());
        let told = (0..2 * MAX_KEYS)
            .filter(|number| throttle.pass(dropped(&number.to_string()), start).is_some());
        assert_eq!(told.count(), MAX_KEYS + 1);
        assert_eq!(throttle.due(start + WINDOW).len(), 1);
    }
}
