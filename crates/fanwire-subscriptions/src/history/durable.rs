//! The history in a store, so that clients miss nothing where the server was started anew.

use std::sync::Arc;

use fanwire_store::{Batch, Store, StoreError, Table};
use fanwire_wire::trpc::Transformer;
use serde_json::value::RawValue;

use super::{Epoch, Event, Filter, Log};
use crate::publication::Payload;
use crate::{HistoryLimits, plane};

/// Events by their number.
const EVENTS: &str = "trpc-events";

/// What holds for all of them.
const HEAD: &str = "trpc-head";

/// Where the epoch stands in it.
const EPOCH_KEY: &[u8] = b"epoch";

/// Numbers that a start leaves out. A crash of the machine may take the newest events that
/// clients have had already: theirs must not be given to others.
const GAP: u64 = 1 << 20;

/// A history that is kept.
#[derive(Debug)]
pub(crate) struct Durable {
    pub(crate) store: Store,
    events: Table,
}

/// Why a history cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What it holds makes no sense.
    #[error(
        "the history of subscriptions holds what no version has written: {0}; remove its folder to begin a new one"
    )]
    Malformed(&'static str),
    /// There is no randomness to be had.
    #[error("the system gives no random numbers: {0}")]
    Random(#[from] getrandom::Error),
}

/// An event as it is kept.
struct Record<'a> {
    path: &'a str,
    filter: Option<Filter>,
    name: Option<&'a str>,
    payload: Payload,
}

// === impl Durable ===

impl Durable {
    /// The history that a store has; a new one where it has none. Blocks on the disk.
    pub(crate) fn load(
        store: Store,
        limits: HistoryLimits,
        shards: usize,
        transformer: Transformer,
    ) -> Result<(Self, Log), LoadError> {
        let (events, head) = (store.table(EVENTS)?, store.table(HEAD)?);
        let mut epoch = None;
        store.for_each(head, EPOCH_KEY, |_, value| epoch = value.try_into().ok())?;
        let epoch = match epoch {
            Some(bits) => Epoch::from_bits(u64::from_be_bytes(bits)),
            None => begin(&store, head)?,
        };
        let log = Log::new(epoch, limits, shards, true);
        let mut failed = None;
        store.for_each(events, b"", |key, value| {
            if let Err(error) = read(&log, key, value, transformer) {
                failed.get_or_insert(error);
            }
        })?;
        if let Some(error) = failed {
            return Err(error);
        }
        leave_gap(&log);
        Ok((Self { store, events }, log))
    }

    /// What is to be written for an event, and for those that went.
    pub(crate) fn batch(
        &self,
        path: &str,
        event: &Event,
        payload: &Payload,
        gone: Vec<u64>,
    ) -> Batch {
        let mut batch = Batch::new();
        let Event { number, filter, name, .. } = event;
        let (filter, payload) = (filter.clone(), payload.clone());
        let record = Record { path, filter, name: name.as_deref(), payload };
        batch.put(self.events, &number.to_be_bytes(), &record.encode());
        for number in gone {
            batch.delete(self.events, &number.to_be_bytes());
        }
        batch
    }
}

/// Begins a history in a store that has none.
fn begin(store: &Store, head: Table) -> Result<Epoch, LoadError> {
    let epoch = Epoch::draw()?;
    let mut batch = Batch::new();
    batch.put(head, EPOCH_KEY, &epoch.to_bits().to_be_bytes());
    let refused = |_| LoadError::Malformed("a store that takes nothing");
    store.commit(batch, |_| {}).map_err(refused)?;
    store.flush().map_err(|_| LoadError::Malformed("a store that keeps nothing"))?;
    Ok(epoch)
}

/// Takes one event in.
fn read(log: &Log, key: &[u8], value: &[u8], transformer: Transformer) -> Result<(), LoadError> {
    let number = key.try_into().map_err(|_| LoadError::Malformed("a key that is no number"))?;
    let number = u64::from_be_bytes(number);
    let Record { path, filter, name, payload } = Record::decode(value)?;
    let id = name.map_or_else(|| log.id(number).to_string(), str::to_owned);
    let response = plane::response(&payload, Some(&id), transformer);
    let name = name.map(Arc::from);
    let mut state = log.lock();
    if state.order.is_empty() {
        // What was before is not kept; whether it was of a path is not known any more.
        state.forgotten = number - 1;
    }
    state.next = number + 1;
    log.append(&mut state, path, Arc::new(Event { number, filter, name, response }));
    Ok(())
}

/// Leaves numbers out that may have been given to events that are lost.
fn leave_gap(log: &Log) {
    let mut state = log.lock();
    // A path whose oldest events went has lost what was before the first that is there.
    for kept in state.paths.values_mut() {
        let first = kept.events.front().map_or(0, |event| event.number);
        kept.floor = kept.floor.max(first.saturating_sub(1));
    }
    state.next = state.next.saturating_add(GAP);
    state.appended = state.next - 1;
}

// === impl Record ===

impl<'a> Record<'a> {
    /// Each part with its length before it, but for the JSON, which is the rest.
    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut part = |bytes: &[u8]| {
            // The store holds values of 256 MB at the most.
            let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
            out.extend(len.to_be_bytes());
            out.extend(bytes);
        };
        part(self.path.as_bytes());
        let filter = self.filter.as_ref();
        part(&filter.map_or(Vec::new(), |(filter, _)| filter.to_be_bytes().to_vec()));
        part(filter.map_or(&[][..], |(_, key)| key));
        part(self.name.unwrap_or_default().as_bytes());
        part(self.payload.meta.as_ref().map_or(&[][..], |meta| meta.get().as_bytes()));
        out.extend(self.payload.json.as_ref().map_or(&[][..], |json| json.get().as_bytes()));
        out
    }

    fn decode(value: &'a [u8]) -> Result<Self, LoadError> {
        let malformed = || LoadError::Malformed("an event cut short");
        let (path, rest) = cut(value).ok_or_else(malformed)?;
        let (filter, rest) = cut(rest).ok_or_else(malformed)?;
        let (key, rest) = cut(rest).ok_or_else(malformed)?;
        let (name, rest) = cut(rest).ok_or_else(malformed)?;
        let (meta, json) = cut(rest).ok_or_else(malformed)?;
        let path = str::from_utf8(path).map_err(|_| LoadError::Malformed("a path"))?;
        let filter = match filter {
            [] => None,
            [high, low] => Some((u16::from_be_bytes([*high, *low]), Box::from(key))),
            _ => return Err(LoadError::Malformed("a filter")),
        };
        let name = str::from_utf8(name).map_err(|_| LoadError::Malformed("an event's id"))?;
        let name = (!name.is_empty()).then_some(name);
        let payload = Payload { json: json_of(json)?, meta: json_of(meta)? };
        Ok(Self { path, filter, name, payload })
    }
}

/// The first part, and what is behind it.
fn cut(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(u32::from_be_bytes(*len) as usize)
}

fn json_of(bytes: &[u8]) -> Result<Option<Arc<RawValue>>, LoadError> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let json: Result<Box<RawValue>, _> = serde_json::from_slice(bytes);
    json.map(|json| Some(json.into())).map_err(|_| LoadError::Malformed("a value"))
}

#[cfg(test)]
mod tests {
    use fanwire_store::StoreOptions;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_event_survives_its_bytes(
            path in ".{0,20}",
            filter in proptest::option::of((any::<u16>(), prop::collection::vec(any::<u8>(), 0..20))),
            name in proptest::option::of(".{1,20}"),
            value in proptest::option::of(".{0,20}"),
        ) {
            let payload = value.map_or_else(Payload::undefined, |text| Payload::new(&text).unwrap());
            let filter = filter.map(|(filter, key)| (filter, key.into_boxed_slice()));
            let record = Record { path: &path, filter, name: name.as_deref(), payload };
            let bytes = record.encode();
            let read = Record::decode(&bytes).unwrap();
            prop_assert_eq!(read.path, path.as_str());
            prop_assert_eq!(&read.filter, &record.filter);
            prop_assert_eq!(read.name, record.name);
            let json = |payload: &Payload| payload.json.as_ref().map(|json| json.get().to_owned());
            prop_assert_eq!(json(&read.payload), json(&record.payload));
        }

        #[test]
        fn arbitrary_bytes_are_refused_or_read(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = Record::decode(&bytes);
        }
    }

    fn load(folder: &std::path::Path) -> (Durable, Log) {
        let store = Store::open(folder, StoreOptions::default()).unwrap();
        Durable::load(store, HistoryLimits::default(), 1, Transformer::None).unwrap()
    }

    fn keep(durable: &Durable, log: &Log, path: &str) -> u64 {
        let number = log.lock().take_number();
        let payload = Payload::new("x").unwrap();
        let response = plane::response(&payload, None, Transformer::None);
        let event = Event { number, filter: None, name: None, response };
        let batch = durable.batch(path, &event, &payload, Vec::new());
        durable.store.commit(batch, |result| result.unwrap()).unwrap();
        durable.store.flush().unwrap();
        number
    }

    #[test]
    fn ids_of_before_hold_after_a_start_and_new_ones_are_others() {
        let folder = tempfile::tempdir().unwrap();
        let (durable, log) = load(folder.path());
        let numbers: Vec<u64> = (0..3).map(|_| keep(&durable, &log, "a")).collect();
        let id = log.id(numbers[0]).to_string();
        drop((durable, log));
        let (durable, log) = load(folder.path());
        let after = log.position("a", &id).unwrap();
        let missed = log.missed("a", &[], after, usize::MAX, 0).unwrap();
        let read: Vec<u64> = missed.events.iter().map(|event| event.number).collect();
        assert_eq!(read, numbers[1..]);
        // One that a power cut took, and that a client has had.
        assert!(log.position("a", &log.id(numbers[2] + 1).to_string()).is_ok());
        assert!(keep(&durable, &log, "a") > numbers[2] + GAP);
    }
}
