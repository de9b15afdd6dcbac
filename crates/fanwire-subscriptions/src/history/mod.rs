//! What was published lately, for clients that come back; and which shards have subscribers,
//! so that what is kept and what is sent stay in step.
//!
//! Everything stands behind one lock. A tracked publication gets its number, is appended and
//! left in the mailboxes of the shards under it; a subscriber reads what it missed and enters
//! its shard's index under it. So whatever was appended before is read, whatever comes after
//! is in a mailbox that the shard has yet to open, and the number up to which was read tells
//! the one from the other.

mod durable;
mod event_id;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fanwire_wire::trpc::Response;
use foldhash::fast::FixedState;
use hashbrown::HashMap;

pub(crate) use self::durable::Durable;
pub use self::durable::LoadError;
pub(crate) use self::event_id::{Epoch, EventId};
use crate::{HistoryLimits, PublishError};

/// What an event counts beside its bytes.
const EVENT_BYTES: usize = 128;

/// Whom a publication is for: the number of a filter, and what keys begin with.
pub(crate) type Filter = (u16, Box<[u8]>);

/// One event that was published.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) number: u64,
    pub(crate) filter: Option<Filter>,
    /// The id that the app gave it, if it did: otherwise its number is its id.
    pub(crate) name: Option<Arc<str>>,
    /// With the event's id in it.
    pub(crate) response: Response,
}

/// What was published lately.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) epoch: Epoch,
    limits: HistoryLimits,
    shards: usize,
    state: Mutex<State>,
}

/// What the lock guards.
#[derive(Debug)]
pub(crate) struct State {
    /// The number of the next event.
    next: u64,
    /// The number of the newest event that was appended: all before it were.
    appended: u64,
    paths: HashMap<Arc<str>, Kept, FixedState>,
    /// The path of each event that is kept, oldest first.
    order: BTreeMap<u64, Arc<str>>,
    bytes: usize,
    /// The newest event of a path of which nothing is kept any more.
    forgotten: u64,
    /// How many subscribers each shard has for a path.
    listening: HashMap<Arc<str>, Box<[u32]>, FixedState>,
    /// Events that went and are still in the store.
    gone: Vec<u64>,
    keeps_gone: bool,
}

/// What is kept of one path. Never empty.
#[derive(Debug, Default)]
struct Kept {
    events: VecDeque<Arc<Event>>,
    bytes: usize,
    /// The newest event that went.
    floor: u64,
    /// Its name, if it had one.
    floor_name: Option<Arc<str>>,
    /// The events with names.
    names: HashMap<Arc<str>, u64, FixedState>,
}

/// What a subscriber missed is not kept any more, or never was: its id is of another history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lost;

/// A part of what a subscriber missed.
#[derive(Debug)]
pub(crate) struct Missed {
    pub(crate) events: Vec<Arc<Event>>,
    /// The number of the last event that was looked at.
    pub(crate) until: u64,
    /// Whether that is all: the subscriber is counted as one of its shard from now on, by
    /// this name of its path.
    pub(crate) caught_up: Option<Arc<str>>,
}

// === impl Event ===

impl Event {
    fn bytes(&self) -> usize {
        let filter = self.filter.as_ref().map_or(0, |(_, key)| key.len());
        let name = self.name.as_ref().map_or(0, |name| name.len());
        self.response.len() + filter + name + EVENT_BYTES
    }

    /// Whether it is for a subscriber with these keys.
    pub(crate) fn is_for(&self, keys: &[Filter]) -> bool {
        self.filter.as_ref().is_none_or(|(filter, start)| {
            keys.iter().any(|(of, key)| of == filter && key.starts_with(start))
        })
    }
}

// === impl Log ===

impl Log {
    /// An empty one. `keeps_gone` is whether events that go have to be told to a store.
    pub(crate) fn new(
        epoch: Epoch,
        limits: HistoryLimits,
        shards: usize,
        keeps_gone: bool,
    ) -> Self {
        let state = State {
            next: 1,
            appended: 0,
            paths: HashMap::default(),
            order: BTreeMap::new(),
            bytes: 0,
            forgotten: 0,
            listening: HashMap::default(),
            gone: Vec::new(),
            keeps_gone,
        };
        Self { epoch, limits, shards, state: Mutex::new(state) }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The id of the event with this number.
    pub(crate) fn id(&self, number: u64) -> EventId {
        EventId { epoch: self.epoch, number }
    }

    /// Whether an event can be kept at all.
    ///
    /// # Errors
    ///
    /// [`PublishError::TooLarge`].
    pub(crate) fn check(&self, event: &Event) -> Result<(), PublishError> {
        let (bytes, limit) =
            (event.bytes(), self.limits.max_bytes_per_path.min(self.limits.max_bytes));
        if bytes > limit { Err(PublishError::TooLarge { bytes, limit }) } else { Ok(()) }
    }

    /// Appends an event, and lets go of what is beyond the limits. The events have to come in
    /// the order of their numbers.
    pub(crate) fn append(&self, state: &mut State, path: &str, event: Arc<Event>) {
        let bytes = event.bytes();
        state.appended = event.number;
        let path = match state.paths.get_key_value(path) {
            Some((path, _)) => Arc::clone(path),
            None => Arc::from(path),
        };
        state.bytes += bytes;
        state.order.insert(event.number, Arc::clone(&path));
        let forgotten = state.forgotten;
        let kept = state
            .paths
            .entry(Arc::clone(&path))
            .or_insert_with(|| Kept { floor: forgotten, ..Kept::default() });
        kept.bytes += bytes;
        if let Some(name) = &event.name {
            kept.names.insert(Arc::clone(name), event.number);
        }
        kept.events.push_back(event);
        while state.paths.get(&path).is_some_and(|kept| {
            kept.events.len() > self.limits.max_events_per_path
                || kept.bytes > self.limits.max_bytes_per_path
        }) {
            state.drop_oldest_of(&path);
        }
        while state.bytes > self.limits.max_bytes {
            let Some(path) = state.order.values().next().cloned() else { return };
            state.drop_oldest_of(&path);
        }
    }

    /// The number of the event of a path that has this id.
    pub(crate) fn position(&self, path: &str, id: &str) -> Result<u64, Lost> {
        let state = self.lock();
        if let Some(number) = state.paths.get(path).and_then(|kept| kept.named(id)) {
            return Ok(number);
        }
        let id: EventId = id.parse().map_err(|_| Lost)?;
        let known = id.epoch == self.epoch && id.number <= state.appended;
        if known { Ok(id.number) } else { Err(Lost) }
    }

    /// What of a path a subscriber with these keys has missed after the event of a number, up
    /// to about so many bytes. If that is all, it counts as subscriber on its shard.
    pub(crate) fn missed(
        &self,
        path: &str,
        keys: &[Filter],
        after: u64,
        budget: usize,
        shard: usize,
    ) -> Result<Missed, Lost> {
        let mut state = self.lock();
        let kept = state.paths.get(path);
        if after < kept.map_or(state.forgotten, |kept| kept.floor) {
            return Err(Lost);
        }
        let (mut events, mut bytes) = (Vec::new(), 0);
        if let Some(kept) = kept {
            let first = kept.events.partition_point(|event| event.number <= after);
            for event in kept.events.range(first..) {
                if bytes >= budget {
                    return Ok(Missed { until: event.number - 1, events, caught_up: None });
                }
                if event.is_for(keys) {
                    bytes += event.bytes();
                    events.push(Arc::clone(event));
                }
            }
        }
        let until = state.appended;
        Ok(Missed { events, until, caught_up: Some(state.enter(path, shard, self.shards)) })
    }

    /// A subscriber begins with what comes from now on: says by which name its path goes, and
    /// the number of the newest event, which it does not get.
    pub(crate) fn enter(&self, path: &str, shard: usize) -> (Arc<str>, u64) {
        let mut state = self.lock();
        let path = state.enter(path, shard, self.shards);
        (path, state.appended)
    }

    /// A subscriber is none any more.
    pub(crate) fn leave(&self, path: &str, shard: usize) {
        let mut state = self.lock();
        let Some(counts) = state.listening.get_mut(path) else { return };
        if let Some(count) = counts.get_mut(shard) {
            *count = count.saturating_sub(1);
        }
        if counts.iter().all(|count| *count == 0) {
            state.listening.remove(path);
        }
    }

    /// Events that are kept, and their bytes.
    pub(crate) fn size(&self) -> (usize, usize) {
        let state = self.lock();
        (state.order.len(), state.bytes)
    }
}

// === impl Kept ===

impl Kept {
    /// The number of the event with a name.
    fn named(&self, name: &str) -> Option<u64> {
        let is_floor = self.floor_name.as_deref() == Some(name);
        self.names.get(name).copied().or_else(|| is_floor.then_some(self.floor))
    }

    fn pop_oldest(&mut self) -> Option<Arc<Event>> {
        let event = self.events.pop_front()?;
        self.bytes -= event.bytes();
        self.floor = event.number;
        if let Some(name) = &event.name
            && self.names.get(name) == Some(&event.number)
        {
            self.names.remove(name);
        }
        self.floor_name = event.name.clone();
        Some(event)
    }
}

// === impl State ===

impl State {
    /// The number of the next event.
    pub(crate) fn take_number(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }

    /// The shards that have subscribers for a path.
    pub(crate) fn listening(&self, path: &str) -> Vec<usize> {
        let counts = self.listening.get(path).map_or(&[][..], |counts| counts);
        let shards = counts.iter().enumerate().filter(|(_, count)| **count > 0);
        shards.map(|(shard, _)| shard).collect()
    }

    /// What is to be taken out of the store.
    pub(crate) fn take_gone(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.gone)
    }

    fn enter(&mut self, path: &str, shard: usize, shards: usize) -> Arc<str> {
        let path = match self.listening.get_key_value(path) {
            Some((path, _)) => Arc::clone(path),
            None => Arc::from(path),
        };
        let counts = self.listening.entry(Arc::clone(&path));
        let counts = counts.or_insert_with(|| vec![0; shards].into_boxed_slice());
        if let Some(count) = counts.get_mut(shard) {
            *count += 1;
        }
        path
    }

    fn drop_oldest_of(&mut self, path: &Arc<str>) {
        let Some(kept) = self.paths.get_mut(path) else { return };
        if let Some(event) = kept.pop_oldest() {
            self.bytes -= event.bytes();
            self.order.remove(&event.number);
            if self.keeps_gone {
                self.gone.push(event.number);
            }
        }
        if kept.events.is_empty() {
            self.forgotten = self.forgotten.max(kept.floor);
            self.paths.remove(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fanwire_wire::trpc::{Data, Transformer};
    use proptest::prelude::*;

    fn log(limits: HistoryLimits) -> Log {
        Log::new(Epoch::from_bits(7 << 40), limits, 2, false)
    }

    fn append(log: &Log, path: &str, key: Option<u8>) -> u64 {
        let mut state = log.lock();
        let number = state.take_number();
        let id = log.id(number).to_string();
        let data = Data { event_id: Some(&id), ..Data::default() };
        let response = Response::data(&data, Transformer::None);
        let filter = key.map(|key| (0, Box::from([key])));
        let name = None;
        log.append(&mut state, path, Arc::new(Event { number, filter, name, response }));
        number
    }

    fn numbers(missed: &Missed) -> Vec<u64> {
        missed.events.iter().map(|event| event.number).collect()
    }

    #[test]
    fn an_id_of_another_history_or_of_the_future_is_lost() {
        let log = log(HistoryLimits::default());
        let number = append(&log, "a", None);
        assert_eq!(log.position("a", &log.id(number).to_string()), Ok(number));
        let other = EventId { epoch: Epoch::from_bits(8 << 40), number };
        for id in [other.to_string(), log.id(number + 1).to_string(), "3".to_owned()] {
            assert_eq!(log.position("a", &id), Err(Lost), "{id}");
        }
    }

    #[test]
    fn a_name_is_known_while_nothing_after_it_went() {
        let log = log(HistoryLimits { max_events_per_path: 2, ..HistoryLimits::default() });
        let mut numbers = Vec::new();
        for name in ["x", "y", "x", "z"] {
            let mut state = log.lock();
            let number = state.take_number();
            let response = Response::data(&Data::default(), Transformer::None);
            let name = Some(Arc::from(name));
            log.append(&mut state, "a", Arc::new(Event { number, filter: None, name, response }));
            numbers.push(number);
        }
        assert_eq!(log.position("a", "x"), Ok(numbers[2]));
        assert_eq!(log.position("a", "y"), Ok(numbers[1]), "it went, and nothing after it");
        assert_eq!(log.position("b", "x"), Err(Lost));
        assert_eq!(log.position("a", "w"), Err(Lost));
    }

    #[test]
    fn what_went_is_told_and_what_did_not_is_there() {
        let limits = HistoryLimits { max_events_per_path: 2, ..HistoryLimits::default() };
        let log = log(limits);
        let all: Vec<u64> = (0..4).map(|_| append(&log, "a", None)).collect();
        assert_eq!(log.missed("a", &[], all[0], usize::MAX, 0).unwrap_err(), Lost);
        let missed = log.missed("a", &[], all[1], usize::MAX, 0).unwrap();
        assert_eq!(numbers(&missed), all[2..]);
        assert_eq!(missed.until, all[3]);
        assert!(missed.caught_up.is_some());
        assert_eq!(log.lock().listening("a"), [0]);
    }

    #[test]
    fn the_oldest_of_all_paths_goes_first_where_all_are_too_many() {
        let bytes = |log: &Log| log.size().1;
        let one = log(HistoryLimits::default());
        append(&one, "a", None);
        let log = log(HistoryLimits { max_bytes: bytes(&one) * 2, ..HistoryLimits::default() });
        let quiet = append(&log, "quiet", None);
        for _ in 0..3 {
            append(&log, "busy", None);
        }
        assert_eq!(log.size().0, 2);
        assert!(log.missed("quiet", &[], quiet - 1, usize::MAX, 0).is_err());
        assert!(log.missed("quiet", &[], quiet, usize::MAX, 0).unwrap().events.is_empty());
    }

    proptest! {
        /// Whatever the limits and the parts it is read in: a subscriber that comes back gets
        /// what it missed, each event once and in order, or is told that it cannot.
        #[test]
        fn nothing_is_missed_in_silence(
            events in prop::collection::vec((0u8..3, proptest::option::of(0u8..3)), 0..60),
            max_events_per_path in 1usize..20,
            (path, key, after, budget) in (0u8..3, 0u8..3, 0usize..60, 1usize..600),
        ) {
            let log = log(HistoryLimits { max_events_per_path, ..HistoryLimits::default() });
            let names = ["a", "b", "c"];
            let mut all = Vec::new();
            for (path, key) in &events {
                all.push((*path, *key, append(&log, names[usize::from(*path)], *key)));
            }
            let own: Vec<_> = all.iter().filter(|(of, ..)| *of == path).collect();
            let Some((.., after)) = own.get(after) else { return Ok(()) };
            let wanted: Vec<u64> = own
                .iter()
                .filter(|(_, of, number)| number > after && of.is_none_or(|of| of == key))
                .map(|(.., number)| *number)
                .collect();
            let keys: [Filter; 1] = [(0, Box::from([key, 9]))];
            let (mut got, mut at) = (Vec::new(), *after);
            loop {
                let Ok(missed) = log.missed(names[usize::from(path)], &keys, at, budget, 1) else {
                    // Told: then something after it must have gone.
                    let newer = own.iter().filter(|(.., number)| number > after).count();
                    prop_assert!(newer > max_events_per_path);
                    return Ok(());
                };
                got.extend(numbers(&missed));
                at = missed.until;
                if missed.caught_up.is_some() { break; }
            }
            prop_assert_eq!(got, wanted);
        }
    }
}
