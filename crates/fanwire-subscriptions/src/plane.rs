//! The handle to the plane, and the way of a publication from whoever publishes to the shards.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fanwire_hub::{
    Audience, Busy, Ending, Hub, HubOptions, HubStats, Reservation, Session as _, Transport,
};
use fanwire_store::{Store, WriteError};
use fanwire_wire::trpc::{Data, Response, Transformer};
use fanwire_wire::ws::WireForm;
use fanwire_wire::ws::handshake::negotiate_deflate;
use http::HeaderMap;
use http::header::{SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_PROTOCOL};
use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore, oneshot};

use crate::delivery::{Notice, Publishing, Tally};
use crate::history::{Durable, Epoch, Event, Filter, LoadError, Log, State};
use crate::observer::{Observer, SubscriptionsEvent};
use crate::publication::{Payload, Publication, PublishError, Published, Tracking};
use crate::session::{Command, Common, TrpcSession};
use crate::{Opening, Procedures, Settings};

/// All connections belong to one audience.
pub(crate) const EVERYBODY: Audience = Audience(0);

/// The subscriptions of an app. Cheap to clone.
#[derive(Clone)]
pub struct Subscriptions {
    pub(crate) core: Arc<Core>,
    pub(crate) hub: Hub<TrpcSession>,
}

/// What the plane needs of its surroundings.
pub struct Parts {
    /// What is called.
    pub procedures: Arc<dyn Procedures>,
    /// Who is told of what happens.
    pub observer: Arc<dyn Observer>,
    /// What connections live on.
    pub hub: HubOptions,
    /// Where tracked publications are kept beyond the end of the process. `None`: nowhere.
    pub store: Option<Store>,
    /// Where calls run.
    pub runtime: Handle,
}

/// Why the plane does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The shards' threads or event queues could not be made.
    #[error("cannot start the shards of the subscriptions: {0}")]
    Hub(#[source] io::Error),
    /// What was published before cannot be had.
    #[error("cannot read the history of the subscriptions: {0}")]
    History(#[from] LoadError),
}

/// A client's WebSocket handshake, already checked as such.
#[derive(Debug)]
pub struct Arrival {
    /// Where it comes from: the client, or the nearest proxy.
    pub peer: SocketAddr,
    /// Its headers.
    pub headers: HeaderMap,
    /// The query of its URL, as it was sent; empty where there is none.
    pub query: String,
}

/// An accepted handshake, which becomes a connection when it is opened.
pub struct Pending {
    plane: Subscriptions,
    reservation: Reservation<TrpcSession>,
    opening: Opening,
    form: WireForm,
    headers: Vec<(String, String)>,
}

/// What the plane has done and holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Connections now.
    pub connections: usize,
    /// Subscriptions now that take what is published.
    pub subscriptions: usize,
    /// Publications since the start.
    pub published: usize,
    /// Events sent to subscribers since the start.
    pub delivered: usize,
    /// Connections closed since the start because they did not take what was published.
    pub slow: usize,
    /// Events that are kept for clients that come back.
    pub kept_events: usize,
    /// Their bytes.
    pub kept_bytes: usize,
}

/// What everything of the plane shares.
pub(crate) struct Core {
    pub(crate) procedures: Arc<dyn Procedures>,
    pub(crate) settings: Settings,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) runtime: Handle,
    pub(crate) log: Log,
    /// A std lock, held to look and never across an await.
    keeping: Mutex<Keeping>,
    /// Calls that may begin.
    pub(crate) calls: Arc<Semaphore>,
    pub(crate) counters: Counters,
    /// Told when the last connection has ended.
    pub(crate) left: Notify,
    stopped: AtomicBool,
}

/// Where tracked publications are kept.
#[derive(Clone)]
enum Keeping {
    InMemory,
    InStore(Arc<Durable>),
    /// Nowhere any more: the plane has stopped, and its store is somebody else's to open.
    Closed,
}

#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) connections: AtomicUsize,
    pub(crate) subscriptions: AtomicUsize,
    published: AtomicUsize,
    pub(crate) delivered: AtomicUsize,
    pub(crate) slow: AtomicUsize,
}

// === impl Parts ===

impl Parts {
    /// The parts of a plane that runs its calls on this runtime, tells nobody and keeps
    /// nothing.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn new(procedures: Arc<dyn Procedures>, hub: HubOptions) -> Self {
        let (observer, runtime) = (Arc::new(()), Handle::current());
        Self { procedures, observer, hub, store: None, runtime }
    }
}

// === impl Subscriptions ===

impl Subscriptions {
    /// Starts the plane. Reads what is kept, which blocks on the disk where there is a store.
    ///
    /// # Errors
    ///
    /// [`StartError`].
    pub fn start(settings: Settings, parts: Parts) -> Result<Self, StartError> {
        let Parts { procedures, observer, hub, store, runtime } = parts;
        let (history, transformer) = (settings.history.clone(), settings.transformer);
        let shards = hub.shards.clamp(1, 256);
        let (keeping, log) = match store {
            Some(store) => {
                let (durable, log) = Durable::load(store, history, shards, transformer)?;
                (Keeping::InStore(Arc::new(durable)), log)
            }
            None => {
                let epoch = Epoch::draw().map_err(LoadError::from)?;
                (Keeping::InMemory, Log::new(epoch, history, shards, false))
            }
        };
        let core = Arc::new(Core {
            procedures,
            calls: Arc::new(Semaphore::new(settings.limits.max_calls.min(Semaphore::MAX_PERMITS))),
            settings,
            observer,
            runtime,
            log,
            keeping: Mutex::new(keeping),
            counters: Counters::default(),
            left: Notify::new(),
            stopped: AtomicBool::new(false),
        });
        let shared = Arc::clone(&core);
        let make = move |_: &Hub<TrpcSession>, shard| Common::new(Arc::clone(&shared), shard);
        let hub = Hub::start_with(hub, make).map_err(StartError::Hub)?;
        Ok(Self { core, hub })
    }

    /// Takes a client in: reserves its place, and settles on what the handshake offers.
    ///
    /// # Errors
    ///
    /// [`Busy`] where there are as many connections as may be, or the plane stops.
    pub fn connect(&self, arrival: Arrival) -> Result<Pending, Busy> {
        if self.core.stopped.load(Ordering::Relaxed) {
            return Err(Busy);
        }
        let reservation = self.hub.reserve()?;
        let Arrival { peer, headers, query } = arrival;
        let mut answer = Vec::new();
        let mut form = WireForm::Plain;
        if self.core.settings.compression
            && let Some(deflate) = negotiate_deflate(&joined(&headers))
        {
            form = deflate.wire_form();
            answer.push(("Sec-WebSocket-Extensions".to_owned(), deflate.to_string()));
        }
        if let Some(protocol) = first_protocol(&headers) {
            answer.push(("Sec-WebSocket-Protocol".to_owned(), protocol));
        }
        let connection = reservation.id();
        let opening = Opening { connection, peer, headers, query, connection_params: None };
        Ok(Pending { plane: self.clone(), reservation, opening, form, headers: answer })
    }

    /// Publishes to all who are subscribed, or to those whom the filter names. It is done when
    /// this returns; what is returned says when everybody has been sent it, and to how many.
    ///
    /// # Errors
    ///
    /// [`PublishError`].
    pub fn publish(
        &self,
        publication: Publication,
    ) -> impl Future<Output = Result<Published, PublishError>> + Send + use<> {
        let sent = self.send(publication);
        async move { sent?.await.unwrap_or(Err(PublishError::Stopped)) }
    }

    /// What the plane has done and holds.
    pub fn stats(&self) -> Stats {
        let read = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
        let counters = &self.core.counters;
        let (kept_events, kept_bytes) = self.core.log.size();
        Stats {
            connections: read(&counters.connections),
            subscriptions: read(&counters.subscriptions),
            published: read(&counters.published),
            delivered: read(&counters.delivered),
            slow: read(&counters.slow),
            kept_events,
            kept_bytes,
        }
    }

    /// What its shards have moved.
    pub fn hub_stats(&self) -> HubStats {
        self.hub.stats()
    }

    /// Moves the connections' clock ahead: what was due in that time happens now.
    pub fn advance_clock(&self, by: Duration) {
        self.hub.advance(by);
    }

    /// Asks all clients to connect anew, as `broadcastReconnectNotification` of tRPC does: to
    /// another server, where something before this one leads them there.
    pub fn reconnect_all(&self) {
        // Where a shard has too much to do to tell anybody, they stay.
        let _ = self.hub.each(EVERYBODY, usize::MAX, Command::reconnect);
    }

    /// Asks the clients to connect to another server, one after the other over `window`, and
    /// serves them on while they do. Returns at once.
    pub fn drain(&self, window: Duration) {
        self.hub.drain(window);
    }

    /// Asks the clients to connect to another server, serves them on while they do, and then
    /// says goodbye to those who are left. Takes no longer than `grace`, and what the disk
    /// takes to have what was published; the store is free then.
    pub async fn stop(&self, grace: Duration) {
        self.core.stopped.store(true, Ordering::Relaxed);
        self.reconnect_all();
        let hand_over = self.core.settings.limits.hand_over.min(grace / 2);
        // All have left, or may be told goodbye.
        let _ = tokio::time::timeout(hand_over, self.all_have_left()).await;
        let (hub, grace) = (self.hub.clone(), grace.saturating_sub(hand_over));
        let core = Arc::clone(&self.core);
        let stop = move || {
            hub.stop(grace);
            // Writes what waits. Whoever still has a handle has none to the store.
            core.close();
        };
        // It fails only where a shard has panicked, which leaves nothing to stop.
        let _ = tokio::task::spawn_blocking(stop).await;
    }

    async fn all_have_left(&self) {
        loop {
            let left = self.core.left.notified();
            if self.core.counters.connections.load(Ordering::Relaxed) == 0 {
                return;
            }
            left.await;
        }
    }
}

// The way of a publication.
impl Subscriptions {
    fn send(&self, publication: Publication) -> Result<Waiting, PublishError> {
        let Publication { path, filter, data, tracking } = publication;
        let name: Option<Arc<str>> = tracking.name()?.map(Arc::from);
        let filter: Option<Filter> = filter.map(|(filter, key)| (filter, key.into()));
        if self.core.stopped.load(Ordering::Relaxed) {
            return Err(PublishError::Stopped);
        }
        if (0..self.hub.shards()).any(|shard| !self.hub.has_room(shard)) {
            return Err(PublishError::Busy);
        }
        self.core.counters.published.fetch_add(1, Ordering::Relaxed);
        if tracking == Tracking::Untracked {
            return Ok(self.send_untracked(&path, filter, &data));
        }
        match self.core.keeping() {
            Keeping::InMemory => self.send_tracked(path, filter, name, &data),
            Keeping::InStore(durable) => self.send_durable(&durable, path, filter, name, &data),
            Keeping::Closed => Err(PublishError::Stopped),
        }
    }

    fn send_untracked(&self, path: &str, filter: Option<Filter>, data: &Payload) -> Waiting {
        let response = response(data, None, self.core.settings.transformer);
        let event = Arc::new(Event { number: 0, filter, name: None, response });
        let (tally, waiting) = Tally::new(&self.core, path, None);
        let publishing = Publishing { path: path.into(), event, tracked: false, tally };
        let shards = self.core.log.lock().listening(path);
        self.tell(shards, &Arc::new(publishing));
        waiting
    }

    fn send_tracked(
        &self,
        path: String,
        filter: Option<Filter>,
        name: Option<Arc<str>>,
        data: &Payload,
    ) -> Result<Waiting, PublishError> {
        let mut state = self.core.log.lock();
        let (event, id) = self.event(state.take_number(), filter, name, data)?;
        let (tally, waiting) = Tally::new(&self.core, &path, Some(id));
        let publishing = self.append(&mut state, path, event, tally);
        drop(state);
        // Who is told when nobody has a part in it any more may ask for the lock.
        drop(publishing);
        Ok(waiting)
    }

    /// Keeps it first; the store's callbacks come in the order of the numbers.
    fn send_durable(
        &self,
        durable: &Durable,
        path: String,
        filter: Option<Filter>,
        name: Option<Arc<str>>,
        data: &Payload,
    ) -> Result<Waiting, PublishError> {
        durable.store.room()?;
        let mut state = self.core.log.lock();
        let (event, id) = self.event(state.take_number(), filter, name, data)?;
        let batch = durable.batch(&path, &event, data, state.take_gone());
        let (tally, waiting) = Tally::new(&self.core, &path, Some(id));
        let (plane, refused) = (self.clone(), Arc::clone(&tally));
        let kept = move |result: Result<(), WriteError>| match result {
            Ok(()) => {
                let mut state = plane.core.log.lock();
                let publishing = plane.append(&mut state, path, event, tally);
                drop(state);
                drop(publishing);
            }
            Err(error) => {
                let why = &error.to_string();
                plane.core.observer.observe(&SubscriptionsEvent::StoreFailed { why });
                tally.fail(PublishError::Write(error));
            }
        };
        let committed = durable.store.commit(batch, kept);
        drop(state);
        match committed {
            Ok(()) => Ok(waiting),
            Err(error) => {
                refused.fail(PublishError::Stopped);
                Err(error.into())
            }
        }
    }

    /// Appends an event and leaves it for the shards that have subscribers, in one.
    fn append(
        &self,
        state: &mut State,
        path: String,
        event: Arc<Event>,
        tally: Arc<Tally>,
    ) -> Arc<Publishing> {
        self.core.log.append(state, &path, Arc::clone(&event));
        let shards = state.listening(&path);
        let publishing = Arc::new(Publishing { path, event, tracked: true, tally });
        self.tell(shards, &publishing);
        publishing
    }

    /// The event with a number, and its id.
    fn event(
        &self,
        number: u64,
        filter: Option<Filter>,
        name: Option<Arc<str>>,
        data: &Payload,
    ) -> Result<(Arc<Event>, String), PublishError> {
        let own = || self.core.log.id(number).to_string();
        let id = name.as_ref().map_or_else(own, |name| name.to_string());
        let response = response(data, Some(&id), self.core.settings.transformer);
        let event = Event { number, filter, name, response };
        self.core.log.check(&event)?;
        Ok((Arc::new(event), id))
    }

    /// Leaves a publication for the shards that have subscribers. There was room when it was
    /// accepted; what others have left since is passed by one each.
    fn tell(&self, shards: Vec<usize>, publishing: &Arc<Publishing>) {
        let bytes = publishing.event.response.len();
        for shard in shards {
            self.hub.notify_anyway(shard, Notice::publish(Arc::clone(publishing)), bytes);
        }
    }
}

type Waiting = oneshot::Receiver<Result<Published, PublishError>>;

/// What subscribers get of a value.
pub(crate) fn response(
    payload: &Payload,
    event_id: Option<&str>,
    transformer: Transformer,
) -> Response {
    let (json, meta) = (payload.json.as_deref(), payload.meta.as_deref());
    Response::data(&Data { json, meta, event_id }, transformer)
}

/// The offers of extensions, in as many headers as they come.
fn joined(headers: &HeaderMap) -> String {
    let values = headers.get_all(SEC_WEBSOCKET_EXTENSIONS).iter();
    values.filter_map(|value| value.to_str().ok()).collect::<Vec<_>>().join(", ")
}

/// The first subprotocol that a client offers: one of them has to be accepted, or browsers
/// give up. It means nothing here.
fn first_protocol(headers: &HeaderMap) -> Option<String> {
    let offered = headers.get(SEC_WEBSOCKET_PROTOCOL)?.to_str().ok()?;
    let first = offered.split(',').next()?.trim();
    (!first.is_empty()).then(|| first.to_owned())
}

impl std::fmt::Debug for Subscriptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Subscriptions").field(&self.stats()).finish()
    }
}

// === impl Core ===

impl Core {
    fn keeping(&self) -> Keeping {
        self.keeping.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Lets go of the store.
    fn close(&self) {
        let mut keeping = self.keeping.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *keeping, Keeping::Closed);
        // Outside of the lock, for it blocks on the disk.
        drop(keeping);
        drop(before);
    }
}

// === impl Pending ===

impl Pending {
    /// Headers for the 101, beside those of the protocol itself.
    pub fn headers(&self) -> &[(String, String)] {
        &self.headers
    }

    /// The 101 is written: gives the socket to its shard. `early` are bytes that the client has
    /// sent already.
    pub fn open(self, transport: impl Into<Transport>, early: Vec<u8>) {
        let Self { plane, reservation, opening, form, .. } = self;
        plane.core.counters.connections.fetch_add(1, Ordering::Relaxed);
        let hub = plane.hub.clone();
        let (core, shard) = (Arc::clone(&plane.core), reservation.id().shard());
        let session = TrpcSession::new(plane, opening, form, hub.clock().now());
        if let Err(late) = hub.attach(reservation, transport, session, early) {
            late.closed(Ending::HubStopped, &mut Common::new(core, shard));
        }
    }
}

impl std::fmt::Debug for Pending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pending").field("opening", &self.opening).finish_non_exhaustive()
    }
}
