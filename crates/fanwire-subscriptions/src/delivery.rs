//! Sending what is published to the subscribers of a shard.
//!
//! A publication is encoded once, and framed once for each id that its subscribers have given
//! their requests: clients count from 1, so that most have the same few. Frames are shared,
//! and each socket gets one write a turn.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use fanwire_hub::{ConnectionId, Turn};
use fanwire_wire::trpc::Envelope;
use fanwire_wire::ws::SharedFrame;
use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashSet};
use tokio::sync::oneshot;

use crate::history::Event;
use crate::observer::SubscriptionsEvent;
use crate::plane::Core;
use crate::publication::{PublishError, Published};
use crate::session::{Common, TrpcSession};

/// Deliveries after which what was delivered is written, and then the rest: whatever waits
/// for a shard, no socket's queue grows by more than that before it is looked at.
const DELIVERIES_PER_PASS: usize = 16 * 1024;

/// What a shard can be told.
#[derive(Debug)]
pub struct Notice(Arc<Publishing>);

/// A publication on its way.
#[derive(Debug)]
pub(crate) struct Publishing {
    pub(crate) path: String,
    pub(crate) event: Arc<Event>,
    /// Whether the event has a number of its own.
    pub(crate) tracked: bool,
    pub(crate) tally: Arc<Tally>,
}

/// Counts to how many a publication is sent. Whoever has a part in that holds it; when the
/// last one lets go, whoever published is told.
pub(crate) struct Tally {
    core: Arc<Core>,
    path: String,
    event_id: Option<String>,
    delivered: AtomicUsize,
    slow: AtomicUsize,
    /// A std lock, taken once, at the end.
    done: Mutex<Option<oneshot::Sender<Result<Published, PublishError>>>>,
}

/// The frames of one publication, by what they answer.
#[derive(Default)]
struct Frames(HashMap<Envelope, SharedFrame, FixedState>);

// === impl Notice ===

impl Notice {
    pub(crate) fn publish(publishing: Arc<Publishing>) -> Self {
        Self(publishing)
    }

    pub(crate) fn into_publishing(self) -> Arc<Publishing> {
        self.0
    }
}

// === impl Tally ===

impl Tally {
    pub(crate) fn new(
        core: &Arc<Core>,
        path: &str,
        event_id: Option<String>,
    ) -> (Arc<Self>, oneshot::Receiver<Result<Published, PublishError>>) {
        let (done, waiting) = oneshot::channel();
        let tally = Self {
            core: Arc::clone(core),
            path: path.to_owned(),
            event_id,
            delivered: AtomicUsize::new(0),
            slow: AtomicUsize::new(0),
            done: Mutex::new(Some(done)),
        };
        (Arc::new(tally), waiting)
    }

    /// It is not published.
    pub(crate) fn fail(&self, error: PublishError) {
        if let Some(done) = self.take_done() {
            // Whoever published may have stopped waiting.
            let _ = done.send(Err(error));
        }
    }

    fn count(&self, delivered: usize, slow: usize) {
        self.delivered.fetch_add(delivered, Ordering::Relaxed);
        self.slow.fetch_add(slow, Ordering::Relaxed);
        self.core.counters.delivered.fetch_add(delivered, Ordering::Relaxed);
        self.core.counters.slow.fetch_add(slow, Ordering::Relaxed);
    }

    fn take_done(&self) -> Option<oneshot::Sender<Result<Published, PublishError>>> {
        self.done.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take()
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        let Some(done) = self.take_done() else { return };
        let delivered = self.delivered.load(Ordering::Relaxed);
        self.core.observer.observe(&SubscriptionsEvent::Published {
            path: &self.path,
            event_id: self.event_id.as_deref(),
            delivered,
        });
        let (event_id, slow) = (self.event_id.take(), self.slow.load(Ordering::Relaxed));
        // Whoever published may have stopped waiting.
        let _ = done.send(Ok(Published { event_id, delivered, slow }));
    }
}

impl std::fmt::Debug for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tally").field("delivered", &self.delivered).finish_non_exhaustive()
    }
}

// === impl Frames ===

impl Frames {
    /// The frame in which `event` answers a request.
    fn of(&mut self, event: &Event, envelope: &Envelope) -> &SharedFrame {
        self.0
            .entry_ref(envelope)
            .or_insert_with(|| SharedFrame::text(&event.response.encode(envelope)))
    }
}

/// Sends what has come in, as much of it as a pass may; says whether it was anything.
pub(crate) fn deliver_pending(turn: &mut Turn<'_, TrpcSession>) -> bool {
    let mut count = 0;
    while let Some(publishing) = turn.shared().pending.pop_front() {
        // One that finds nobody was looked for, too.
        count += deliver(turn, &publishing).max(1);
        if count >= DELIVERIES_PER_PASS {
            break;
        }
    }
    count > 0
}

/// Sends one publication; says to how many.
fn deliver(turn: &mut Turn<'_, TrpcSession>, publishing: &Publishing) -> usize {
    let common = turn.shared();
    let limit = common.core.settings.limits.max_outbound_bytes;
    let frames = frames_for_subscribers(common, publishing);
    let count = frames.len();
    let mut slow: HashSet<ConnectionId, FixedState> = HashSet::default();
    for (connection, bytes) in frames {
        let waiting = turn.send(connection, bytes);
        if waiting > limit && slow.insert(connection) {
            turn.call(connection, |session, cx| session.too_slow(waiting, cx));
        }
    }
    publishing.tally.count(count, slow.len());
    count
}

fn frames_for_subscribers(
    common: &mut Common,
    publishing: &Publishing,
) -> Vec<(ConnectionId, Bytes)> {
    let Publishing { path, event, tracked, .. } = publishing;
    let mut found = std::mem::take(&mut common.found);
    common.index.find(path, event.filter.as_ref(), tracked.then_some(event.number), &mut found);
    let (index, deflater) = (&common.index, &mut common.deflater);
    let mut frames = Frames::default();
    let of = |number: u32| {
        let subscriber = index.get(number)?;
        let frame = frames.of(event, &subscriber.envelope);
        Some((subscriber.connection, frame.bytes(subscriber.form, deflater)))
    };
    let sent = found.drain(..).filter_map(of).collect();
    common.found = found;
    sent
}

#[cfg(test)]
mod tests {
    use fanwire_wire::trpc::{Data, Id, Response, Transformer};
    use fanwire_wire::ws::{Deflater, WireForm};
    use serde_json::value::to_raw_value;

    use super::*;

    #[test]
    fn subscribers_that_count_alike_share_a_frame() {
        let text = to_raw_value(&"deflate me ".repeat(20)).unwrap();
        let response = Response::data(&Data::new(&text), Transformer::None);
        let event = Event { number: 1, filter: None, name: None, response };
        let mut frames = Frames::default();
        let mut deflater = Deflater::default();
        let mut bytes = |id: u64, form| {
            frames.of(&event, &Envelope::from(Id::from(id))).bytes(form, &mut deflater)
        };
        for form in [WireForm::Plain, WireForm::Deflated { window_bits: 15 }] {
            let first = bytes(1, form);
            assert_eq!(bytes(1, form).as_ptr(), first.as_ptr());
            assert_ne!(bytes(2, form), first);
        }
    }
}
