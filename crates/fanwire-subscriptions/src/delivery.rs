//! Sending what is published to the subscribers of a shard.
//!
//! A publication is encoded once, and framed once for each id that its subscribers have given
//! their requests: clients count from 1, so that most have the same few. Publications that wait
//! one behind the other for the same subscribers are a *run*: its frames are joined once, and
//! the joined bytes are shared by all. So a burst costs a socket no more than one publication
//! does: a search, a place in its queue, one write.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::{Bytes, BytesMut};
use fanwire_hub::{ConnectionId, Turn};
use fanwire_wire::trpc::Envelope;
use fanwire_wire::ws::{Deflater, SharedFrame, WireForm};
use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashSet};
use tokio::sync::oneshot;

use crate::history::Event;
use crate::index::Subscriber;
use crate::observer::SubscriptionsEvent;
use crate::plane::Core;
use crate::publication::{PublishError, Published};
use crate::session::{Common, TrpcSession};

/// Pieces of output after which what was sent is written, and then the rest: whatever waits
/// for a shard, no socket's queue grows by more than that before it is looked at.
const PIECES_PER_PASS: usize = 16 * 1024;

/// Publications that are joined at the most.
const PUBLICATIONS_PER_RUN: usize = 64;

/// Bytes of publications beyond which no other is joined to them: what a socket takes at once
/// is mostly more.
const BYTES_PER_RUN: usize = 64 * 1024;

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

/// Publications of one path and filter, the oldest first; at least one.
struct Run(Vec<Arc<Publishing>>);

/// The frames of a run, by what they answer.
#[derive(Default)]
struct Frames(HashMap<Envelope, Joined, FixedState>);

/// A frame for each publication of a run, in one envelope.
struct Joined {
    each: Vec<SharedFrame>,
    /// All of them, one behind the other, for each form that was asked for: mostly one.
    all: Vec<(WireForm, Bytes)>,
}

/// What a run has for the subscribers of a shard.
#[derive(Default)]
struct Deliveries {
    pieces: Vec<(ConnectionId, Bytes)>,
    /// Subscribers who get all of the run.
    of_all: usize,
    /// Of the others, how many get each publication.
    of_some: Vec<usize>,
}

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

// === impl Run ===

impl Run {
    /// The publications that wait first, as many as can be joined.
    fn next(pending: &mut VecDeque<Arc<Publishing>>) -> Option<Self> {
        let first = pending.pop_front()?;
        let mut bytes = first.event.response.len();
        let mut run = vec![first];
        while bytes < BYTES_PER_RUN
            && run.len() < PUBLICATIONS_PER_RUN
            && let Some(next) = pending.pop_front_if(|next| next.finds_the_same(&run[0]))
        {
            bytes += next.event.response.len();
            run.push(next);
        }
        Some(Self(run))
    }

    /// The number of the newest, where they are tracked.
    fn newest(&self) -> Option<u64> {
        self.0.last().filter(|last| last.tracked).map(|last| last.event.number)
    }

    /// How many of the first a subscriber is not to get, who has had the event `after`.
    fn had(&self, after: u64) -> usize {
        self.0.partition_point(|it| it.tracked && it.event.number <= after)
    }
}

// === impl Publishing ===

impl Publishing {
    /// Whether all who are to get `other` are to get this one, but for those who have had
    /// either of them.
    fn finds_the_same(&self, other: &Self) -> bool {
        self.path == other.path
            && self.tracked == other.tracked
            && self.event.filter == other.event.filter
    }
}

// === impl Frames ===

impl Frames {
    /// The frames in which the events of `run` answer a request.
    fn of(&mut self, run: &Run, envelope: &Envelope) -> &mut Joined {
        self.0.entry_ref(envelope).or_insert_with(|| Joined::new(run, envelope))
    }
}

// === impl Joined ===

impl Joined {
    fn new(run: &Run, envelope: &Envelope) -> Self {
        let frame = |it: &Arc<Publishing>| SharedFrame::text(&it.event.response.encode(envelope));
        Self { each: run.0.iter().map(frame).collect(), all: Vec::new() }
    }

    fn all(&mut self, form: WireForm, deflater: &mut Deflater) -> Bytes {
        if let [only] = &*self.each {
            return only.bytes(form, deflater);
        }
        if let Some((_, all)) = self.all.iter().find(|(of, _)| *of == form) {
            return all.clone();
        }
        let mut all = BytesMut::new();
        for frame in &self.each {
            all.extend_from_slice(&frame.bytes(form, deflater));
        }
        let all = all.freeze();
        self.all.push((form, all.clone()));
        all
    }
}

// === impl Deliveries ===

impl Deliveries {
    /// Finds the subscribers of a shard, and what each of them gets.
    fn of(run: &Run, common: &mut Common) -> Self {
        let first = &run.0[0];
        let mut found = std::mem::take(&mut common.found);
        let filter = first.event.filter.as_ref();
        common.index.find(&first.path, filter, run.newest(), &mut found);
        let mut deliveries = Self { of_some: vec![0; run.0.len()], ..Self::default() };
        deliveries.pieces.reserve(found.len());
        let mut frames = Frames::default();
        for number in found.drain(..) {
            if let Some(subscriber) = common.index.get(number) {
                deliveries.add(run, subscriber, &mut frames, &mut common.deflater);
            }
        }
        common.found = found;
        deliveries
    }

    fn add(
        &mut self,
        run: &Run,
        subscriber: &Subscriber,
        frames: &mut Frames,
        deflater: &mut Deflater,
    ) {
        let &Subscriber { connection, form, ref envelope, after, .. } = subscriber;
        let (frames, had) = (frames.of(run, envelope), run.had(after));
        if had == 0 {
            self.of_all += 1;
            self.pieces.push((connection, frames.all(form, deflater)));
            return;
        }
        // Who came back while they were published has had the first of them.
        for (frame, count) in frames.each.iter().zip(&mut self.of_some).skip(had) {
            *count += 1;
            self.pieces.push((connection, frame.bytes(form, deflater)));
        }
    }
}

/// Sends what has come in, as much of it as a pass may; says whether it was anything.
pub(crate) fn deliver_pending(turn: &mut Turn<'_, TrpcSession>) -> bool {
    let mut count = 0;
    while let Some(run) = Run::next(&mut turn.shared().pending) {
        // One that finds nobody was looked for, too.
        count += deliver(turn, &run).max(1);
        if count >= PIECES_PER_PASS {
            break;
        }
    }
    count > 0
}

/// Sends the publications of a run; says in how many pieces.
fn deliver(turn: &mut Turn<'_, TrpcSession>, run: &Run) -> usize {
    let limit = turn.shared().core.settings.limits.max_outbound_bytes;
    let Deliveries { pieces, of_all, of_some } = Deliveries::of(run, turn.shared());
    let count = pieces.len();
    let mut slow: HashSet<ConnectionId, FixedState> = HashSet::default();
    for (connection, bytes) in pieces {
        let waiting = turn.send(connection, bytes);
        if waiting > limit && slow.insert(connection) {
            turn.call(connection, |session, cx| session.too_slow(waiting, cx));
        }
    }
    // Whoever is too slow is disconnected once, because of all of them.
    let slow = std::iter::once(slow.len()).chain(std::iter::repeat(0));
    for ((publishing, of_some), slow) in run.0.iter().zip(of_some).zip(slow) {
        publishing.tally.count(of_all + of_some, slow);
    }
    count
}

#[cfg(test)]
mod tests {
    use std::ops::RangeInclusive;

    use fanwire_hub::HubOptions;
    use fanwire_wire::trpc::{Id, Transformer};
    use futures_util::future::{BoxFuture, FutureExt as _, pending};

    use super::*;
    use crate::plane::response;
    use crate::{
        Answer, Call, CallError, Context, Opening, Parts, Payload, Procedures, Settings,
        Subscriptions,
    };

    /// Nobody calls them.
    struct Nothing;

    impl Procedures for Nothing {
        fn context(&self, _: Opening) -> BoxFuture<'static, Result<Context, CallError>> {
            pending().boxed()
        }

        fn call(&self, _: Context, _: Call) -> BoxFuture<'static, Result<Answer, CallError>> {
            pending().boxed()
        }
    }

    #[derive(Clone, Copy)]
    struct Given {
        id: u64,
        form: WireForm,
        after: u64,
    }

    /// What these subscribers get of the publications 1 to `newest`, and the counts.
    fn deliveries(given: &[Given], newest: u64) -> (Vec<Bytes>, Vec<usize>) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let _guard = runtime.enter();
        let hub = HubOptions { shards: 1, ..HubOptions::default() };
        let parts = Parts::new(Arc::new(Nothing), hub);
        let plane = Subscriptions::start(Settings::default(), parts).unwrap();
        let mut common = Common::new(Arc::clone(&plane.core), 0);
        for &Given { id, form, after } in given {
            let connection = "Lx2eVYrXPHcCIhQ=".parse().unwrap();
            let (envelope, keys) = (Envelope::from(Id::from(id)), Box::default());
            common.index.add(Subscriber::new(connection, envelope, form, "p".into(), keys, after));
        }
        let mut pending: VecDeque<_> = (1..=newest).map(|n| publishing(&plane.core, n)).collect();
        let run = Run::next(&mut pending).unwrap();
        assert!(pending.is_empty());
        let Deliveries { pieces, of_all, of_some } = Deliveries::of(&run, &mut common);
        let counts = of_some.iter().map(|of_some| of_all + of_some).collect();
        (pieces.into_iter().map(|(_, bytes)| bytes).collect(), counts)
    }

    fn publishing(core: &Arc<Core>, number: u64) -> Arc<Publishing> {
        let payload = Payload::new(&text(number)).unwrap();
        let response = response(&payload, None, Transformer::None);
        let event = Arc::new(Event { number, filter: None, name: None, response });
        let (tally, _) = Tally::new(core, "p", None);
        Arc::new(Publishing { path: "p".into(), event, tracked: true, tally })
    }

    fn text(number: u64) -> String {
        format!("{number} ").repeat(100)
    }

    fn message(id: u64, number: u64) -> String {
        let text = text(number);
        format!(r#"{{"id":{id},"result":{{"type":"data","data":"{text}"}}}}"#)
    }

    /// What one by one they are.
    fn frames(id: u64, numbers: RangeInclusive<u64>, form: WireForm) -> Vec<u8> {
        let mut deflater = Deflater::default();
        let frame = |n| SharedFrame::text(&message(id, n)).bytes(form, &mut deflater);
        numbers.map(frame).collect::<Vec<_>>().concat()
    }

    fn plain(id: u64, numbers: RangeInclusive<u64>) -> Vec<u8> {
        frames(id, numbers, WireForm::Plain)
    }

    #[test]
    fn subscribers_that_count_alike_share_a_frame() {
        for form in [WireForm::Plain, WireForm::Deflated { window_bits: 15 }] {
            let one = Given { id: 1, form, after: 0 };
            let (pieces, counts) = deliveries(&[one, Given { id: 2, ..one }, one], 1);
            assert_eq!(counts, [3]);
            assert_eq!(
                [&*pieces[0], &*pieces[1]],
                [&*frames(1, 1..=1, form), &*frames(2, 1..=1, form)]
            );
            assert_eq!(pieces[0].as_ptr(), pieces[2].as_ptr());
        }
    }

    #[test]
    fn those_with_the_same_id_share_the_bytes_of_all() {
        let one = Given { id: 1, form: WireForm::Plain, after: 0 };
        let (pieces, counts) = deliveries(&[one, Given { id: 7, ..one }, one], 3);
        assert_eq!(counts, [3, 3, 3]);
        assert_eq!([&*pieces[0], &*pieces[1]], [&*plain(1, 1..=3), &*plain(7, 1..=3)]);
        assert_eq!(pieces[0].as_ptr(), pieces[2].as_ptr());
    }

    #[test]
    fn who_has_had_some_gets_the_others() {
        let had = |after| Given { id: 1, form: WireForm::Plain, after };
        let (pieces, counts) = deliveries(&[had(2), had(4)], 4);
        assert_eq!(pieces, [plain(1, 3..=3), plain(1, 4..=4)]);
        assert_eq!(counts, [0, 0, 1, 1]);
        let (pieces, counts) = deliveries(&[had(0), had(3)], 4);
        assert_eq!(pieces, [plain(1, 1..=4), plain(1, 4..=4)]);
        assert_eq!(counts, [1, 1, 1, 2]);
    }

    #[test]
    fn joined_frames_are_deflated_for_those_who_want_that_and_for_nobody_else() {
        let form = WireForm::Deflated { window_bits: 15 };
        let deflating = Given { id: 1, form, after: 0 };
        let given = [deflating, Given { form: WireForm::Plain, ..deflating }, deflating];
        let (pieces, _) = deliveries(&given, 2);
        assert_eq!([&*pieces[0], &*pieces[1]], [&*frames(1, 1..=2, form), &*plain(1, 1..=2)]);
        assert!(pieces[0].len() < pieces[1].len() / 4);
        assert_eq!(pieces[0].as_ptr(), pieces[2].as_ptr());
    }
}
