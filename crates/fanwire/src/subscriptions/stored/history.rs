//! Tracked events, kept for a while for clients that come back.
//!
//! An event is kept where each of those finds it whom it was published to: under its
//! procedure if that was everyone, else under the first fields' values of a filter. A
//! subscriber who comes back looks in all places that it is published to. Events have a
//! place in time; a second record says which an event's id has.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use fanwire_wire::trpc::ErrorCode;
use serde_json::json;
use serde_json::value::RawValue;

use crate::store::{Cursor, Item, Key, Store, StoreError, now};
use crate::subscriptions::filter::encode_key;
use crate::subscriptions::{Audience, Interest, Payload, Sent, TrpcError};

/// How many events a client that comes back is sent. Who has missed more is told so.
const MAX_MISSED: usize = 1000;

/// What is written of an event. Nothing if it has no id.
pub(super) fn items(path: &str, audience: &Audience, sent: &Sent, kept: Duration) -> Vec<Item> {
    let Some(id) = &sent.event_id else { return Vec::new() };
    let partition = match audience {
        Audience::Everyone => everyone(path),
        Audience::Filter { info, values, .. } => some(path, info.name, &encode_key(values)),
    };
    let moment = moment();
    let mut event = json!({ "event": id, "data": sent.data.json.get() });
    if let Some(meta) = &sent.data.meta {
        event["meta"] = meta.get().into();
    }
    let place = Item::new(Key::new(format!("event#{path}"), id), json!({ "at": moment }));
    let event = Item::new(Key::new(partition, moment), event);
    vec![event.lasting(kept.as_secs_f64()), place.lasting(kept.as_secs_f64())]
}

/// An event that somebody has missed.
pub(super) struct Missed {
    pub(super) sent: Sent,
    /// When it was written, in seconds since the epoch.
    pub(super) at: f64,
}

/// What a subscriber has missed since the event that it had last, in order.
///
/// # Errors
///
/// [`ErrorCode::PreconditionFailed`] when that is not kept any more, or too much.
pub(super) async fn missed(
    store: &dyn Store,
    interest: &Interest,
    last: &str,
) -> Result<Vec<Missed>, TrpcError> {
    let key = Key::new(format!("event#{}", interest.path), last);
    let place = store.get(&key).await?;
    let at = place.as_ref().and_then(|place| place.fields.get("at")).and_then(|at| at.as_str());
    let at = at.ok_or_else(lost)?;
    let mut events = Vec::new();
    for partition in places(interest) {
        events.extend(since(store, partition, at).await?);
        if events.len() > MAX_MISSED {
            return Err(lost());
        }
    }
    events.sort_by(|one, other| one.key.sort.cmp(&other.key.sort));
    Ok(events.iter().filter_map(read).collect())
}

/// The events of a place after a moment; more than are sent if there are too many.
async fn since(store: &dyn Store, partition: String, at: &str) -> Result<Vec<Item>, StoreError> {
    let mut events = Vec::new();
    let mut after = Some(Cursor(Key::new(partition.clone(), at)));
    while after.is_some() && events.len() <= MAX_MISSED {
        let page = store.query(&partition, "", after).await?;
        events.extend(page.items);
        after = page.next;
    }
    Ok(events)
}

/// Where events for a subscriber are.
fn places(interest: &Interest) -> Vec<String> {
    let mut places = vec![everyone(interest.path)];
    for (filter, values) in interest.filters.iter().zip(&interest.values) {
        let leading = (1..=values.len()).filter_map(|fields| values.get(..fields));
        places.extend(leading.map(|first| some(interest.path, filter.name, &encode_key(first))));
    }
    places
}

fn read(item: &Item) -> Option<Missed> {
    let milliseconds: f64 = item.key.sort.split('#').next()?.parse().ok()?;
    let text = |name: &str| item.fields.get(name)?.as_str().map(str::to_owned);
    let json = RawValue::from_string(text("data")?).ok()?;
    let meta = text("meta").and_then(|meta| RawValue::from_string(meta).ok());
    let sent = Sent { event_id: Some(text("event")?), data: Payload { json, meta } };
    Some(Missed { sent, at: milliseconds / 1000.0 })
}

fn everyone(path: &str) -> String {
    format!("history#{path}")
}

fn some(path: &str, filter: &str, key: &str) -> String {
    format!("history#{path}#{filter}#{key}")
}

fn lost() -> TrpcError {
    let why = "the events since `lastEventId` are no longer kept: subscribe without it";
    TrpcError::new(ErrorCode::PreconditionFailed, why)
}

/// Now, as text that sorts as time does, and differs for every event: within a millisecond,
/// those of one process are in their order.
fn moment() -> String {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    let count = COUNTER.fetch_add(1, Ordering::Relaxed);
    format!("{:014}#{count:010}#{:08x}", (now() * 1000.0) as u64, fastrand::u32(..))
}
