//! The broker of one shard: sessions, subscriptions, and where messages go.
//!
//! It knows no socket and no clock. Packets, connections that come and go, what other
//! threads tell and the time come in; what is to be sent, closed and told to other shards
//! comes out, in [`Output`], at the end of each turn.
//!
//! # Brief overview
//!
//! - `connect`: a client comes, with what its handshake settled; a session is made or
//!   resumed. `depart`: it goes, and what follows from that: wills, expiry.
//! - `inbound`: what a client publishes and acknowledges. `subscribe`: what it subscribes
//!   to.
//! - `route`: where the messages of a topic go, worked out once and kept. `burst`: messages
//!   of QoS 0 to the same receivers, encoded once for all of them.
//! - `deliver`: one message to one session: now, or when its turn comes. `flow` is what is
//!   on its way there, `acknowledge` what moves it on, `room` what may wait. `replay`: the
//!   retained messages of a new subscription, piece by piece. `own_bytes`: how much a turn writes. `direct`: a message to one client alone.
//! - `far`: what goes to other nodes of a cluster, and what comes from them. `moving`: sessions
//!   that go there, and come from there.
//! - `keep`: what has to survive the process, and the acknowledgements that wait for it.
//!
//! # Order
//!
//! Everything is acted upon in the order in which it came in. What is sent to one client
//! leaves in the order in which it was decided, in one write a turn: small packets are
//! collected in the session's outbox, and a burst that many share goes by reference.

mod acknowledge;
mod adopting;
mod burst;
mod connect;
mod deliver;
mod depart;
mod direct;
mod far;
mod flow;
mod inbound;
mod keep;
pub(crate) mod lifecycle;
mod listing;
mod moving;
mod output;
mod own_bytes;
mod replay;
mod restore;
mod room;
mod route;
mod session;
mod subscribe;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use fanwire_hub::ConnectionId;
use fanwire_policy::Access;
use fanwire_wire::mqtt::{PacketId, ReasonCode};
use slab::Slab;

pub(crate) use self::connect::Admission;
pub use self::direct::DirectError;
pub(crate) use self::direct::Done;
pub(crate) use self::inbound::Fault;
pub(crate) use self::keep::Keep;
pub(crate) use self::output::{Output, Sending};
pub(crate) use self::session::{Key, Will};

use self::burst::Burst;
use self::own_bytes::OwnBytes;
use self::room::Sweep;
use self::route::{Routes, Subscriber};
use self::session::Session;
use crate::directory::Directory;
use crate::figures::Figures;
use crate::mesh::Mesh;
use crate::notice::Notice;
use crate::retained::Retained;
use crate::settings::Settings;
use crate::topic::TopicIndex;
use crate::{DisconnectReason, Observer};

/// How long a broker counts the time of day by itself.
const TIME_AGAIN: Duration = Duration::from_secs(1);

/// The broker of one shard. See the module.
pub(crate) struct Broker {
    settings: Arc<Settings>,
    shard: u8,
    shards: usize,
    directory: Arc<Directory>,
    /// How much of the directory's changes is taken in.
    seen: u64,
    retained: Arc<Retained>,
    observer: Arc<dyn Observer>,
    sessions: Slab<Session>,
    by_client: HashMap<Arc<str>, Key, foldhash::fast::RandomState>,
    /// Subscriptions of this shard's sessions, but for shared ones.
    index: TopicIndex<Vec<Subscriber>>,
    routes: Routes,
    burst: Burst,
    output: Output,
    /// What survives the process; `None` where nothing does.
    keep: Option<Keep>,
    /// The other nodes; `None` where this is the only one.
    mesh: Option<Arc<Mesh>>,
    /// Whose packet is being acted on.
    publishing: Option<Key>,
    own_bytes: OwnBytes,
    /// Sessions whose outbox is to be sent.
    dirty: Vec<Key>,
    /// Sessions that are sent another piece of retained messages in the next turn.
    replaying: Vec<Key>,
    /// Topics that were looked at for that in this turn.
    looked_at: usize,
    /// When sessions end and delayed wills are due.
    deadlines: BTreeSet<(Instant, Key)>,
    /// When it was last told the time of day, and what that was.
    told: (Instant, u64),
    now: Instant,
    /// What `now` is in milliseconds since the epoch.
    now_ms: u64,
    connections: u64,
    /// What waits for sessions of this shard, in bytes, with what was in flight to those whose
    /// client is away.
    queued_bytes: usize,
    /// How far what waits has been looked through for what has expired.
    sweep: Sweep,
    /// Messages that clients have published.
    published: u64,
    /// What is counted for metrics.
    figures: Arc<Figures>,
    versions: lifecycle::Versions,
    /// Who waits for a client to acknowledge a message to it alone: no more than are in
    /// flight.
    confirmations: BTreeMap<(Key, PacketId), Done>,
}

/// What a broker needs of its surroundings.
pub(crate) struct BrokerParts {
    pub(crate) settings: Arc<Settings>,
    pub(crate) shard: usize,
    pub(crate) shards: usize,
    pub(crate) directory: Arc<Directory>,
    pub(crate) retained: Arc<Retained>,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) figures: Arc<Figures>,
    pub(crate) keep: Option<Keep>,
    pub(crate) mesh: Option<Arc<Mesh>>,
    pub(crate) now: Instant,
    pub(crate) now_ms: u64,
}

// === impl Broker ===

impl Broker {
    pub(crate) fn new(parts: BrokerParts) -> Self {
        Self {
            settings: parts.settings,
            // A hub has at most 256 shards.
            shard: u8::try_from(parts.shard).unwrap_or(u8::MAX),
            shards: parts.shards,
            directory: parts.directory,
            seen: 0,
            retained: parts.retained,
            observer: parts.observer,
            sessions: Slab::new(),
            by_client: HashMap::default(),
            index: TopicIndex::default(),
            routes: Routes::default(),
            burst: Burst::default(),
            output: Output::default(),
            keep: parts.keep,
            mesh: parts.mesh,
            publishing: None,
            own_bytes: OwnBytes::default(),
            dirty: Vec::new(),
            replaying: Vec::new(),
            looked_at: 0,
            deadlines: BTreeSet::new(),
            told: (parts.now, parts.now_ms),
            now: parts.now,
            now_ms: parts.now_ms,
            connections: 0,
            queued_bytes: 0,
            sweep: Sweep::default(),
            published: 0,
            figures: parts.figures,
            versions: lifecycle::Versions::default(),
            confirmations: BTreeMap::new(),
        }
    }

    /// Whether it should be told the time of day again, before a turn begins: the system's
    /// clock is set now and then, and goes on while the machine sleeps.
    pub(crate) fn asks_for_time(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.told.0) >= TIME_AGAIN
    }

    /// Tells it the time of day, in milliseconds since the epoch.
    pub(crate) fn tell_time(&mut self, now: Instant, now_ms: u64) {
        self.told = (now, now_ms);
    }

    /// Sets the time for what follows, and takes in what other shards have changed. To be
    /// called before anything else in a turn.
    pub(crate) fn begin(&mut self, now: Instant) {
        if now != self.now {
            let (told, told_ms) = self.told;
            let passed = now.saturating_duration_since(told).as_millis();
            self.now = now;
            self.now_ms = told_ms.saturating_add(u64::try_from(passed).unwrap_or(u64::MAX));
        }
        let routes = &mut self.routes;
        let parent = self.settings.parent();
        self.directory.catch_up(&mut self.seen, |filter| routes.forget(filter, parent));
    }

    /// Ends the turn: after it `output` has all that is to be sent.
    pub(crate) fn end(&mut self) -> &mut Output {
        self.flush_burst();
        self.end_own_bytes();
        self.end_replaying();
        while let Some(key) = self.dirty.pop() {
            self.flush_outbox(key);
        }
        self.commit();
        self.figures.sessions.set(self.sessions.len() as u64);
        self.figures.queued_bytes.set(self.queued_bytes as u64);
        self.end_far();
        &mut self.output
    }

    /// When `expired` wants to be called.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let first = self.deadlines.first().map(|(at, _)| *at);
        // Input may come as late as in the writing at a turn's end, where a client has taken
        // what it was held for: what that leads to is for the next turn.
        let more = !(self.replaying.is_empty()
            && !self.own_bytes.hold_something_back()
            && self.dirty.is_empty()
            && self.output.is_empty()
            && self.burst.is_empty());
        let next_turn = more.then_some(self.now);
        let own = first.into_iter().chain(self.commit_again_at()).chain(next_turn);
        own.chain(self.far_due()).min()
    }

    /// What the turn leads to, to be emptied.
    pub(crate) fn output(&mut self) -> &mut Output {
        &mut self.output
    }

    /// How many messages clients have published.
    pub(crate) fn published(&self) -> u64 {
        self.published
    }

    /// The longest packet that clients may send, in bytes.
    pub(crate) fn max_packet(&self) -> usize {
        self.settings.limits().max_packet_bytes
    }

    /// How many bytes may wait for a client that does not read.
    pub(crate) fn max_outbound(&self) -> usize {
        self.settings.limits().max_outbound_bytes
    }

    /// Whether a connection still has its session.
    pub(crate) fn is_connected(&mut self, key: Key, link: ConnectionId) -> bool {
        self.on_link(key, link).is_some()
    }

    /// A connection may do other things from now on.
    pub(crate) fn refreshed(&mut self, key: Key, link: ConnectionId, access: Option<Arc<Access>>) {
        if let Some(live) = self.on_link(key, link).and_then(Session::live_mut) {
            live.access = access;
            live.permitted.clear();
            self.forget_routes_of(key);
        }
    }

    /// What another thread tells.
    pub(crate) fn noticed(&mut self, notice: Notice) {
        self.act_on_notice(notice);
        if let Some(keep) = &mut self.keep {
            keep.act_on_next();
        }
    }

    fn act_on_notice(&mut self, notice: Notice) {
        match notice {
            Notice::Publish { message, done } => {
                self.publish_own(&message);
                if let Some(done) = done {
                    self.answer_caller(done);
                }
            }
            Notice::ForAdopted(message, part) => {
                self.take_part(part);
                self.deliver_to_adopted(&message);
            }
            Notice::Forwarded(messages, part) => {
                self.take_part(part);
                for message in &messages {
                    self.deliver_forwarded(message);
                }
            }
            Notice::Chosen(chosen, part) => {
                self.take_part(part);
                self.deliver_chosen(&chosen);
            }
            Notice::Direct { client_id, message, done } => {
                self.send_direct(&client_id, &message, done);
            }
            Notice::Disconnect { client_id, clean_session, prevent_will, done } => {
                let _ = done.send(self.disconnect_client(&client_id, clean_session, prevent_will));
            }
            Notice::Session { client_id, done } => {
                let _ = done.send(self.session_info(&client_id));
            }
            Notice::Sessions { limit, done } => {
                let _ = done.send(self.session_infos(limit));
            }
            Notice::Settings(settings) => {
                self.settings = settings;
                self.routes.forget_all();
            }
            Notice::Kept { ticket, ok } => self.promise_kept(ticket, ok),
            Notice::Incoming(incoming) => self.take_in(incoming),
            Notice::ChooseAgain(sent) => self.choose_again(sent),
            Notice::PassedOn(sent) => self.take_over_from_dead(sent),
            Notice::Claimed { client_id, from, number, clean } => {
                self.claimed(&client_id, from, number, clean);
            }
            Notice::Restore { session, how, promise } => {
                self.take_in_session(*session, how, promise);
            }
            Notice::Arrived { client_id, at } => self.session_arrived(&client_id, at),
            Notice::Followed { client_id } => self.all_has_followed(&client_id),
            Notice::AdoptionEnded(dead) => self.adoption_ended(dead),
            Notice::Passing(promise) => self.output.outgoing.passing.push(promise),
            Notice::NodeDied(node) => self.node_died(node),
            Notice::Fenced(promise) => {
                self.let_go_of_all();
                drop(promise);
            }
        }
    }

    fn disconnect_client(
        &mut self,
        client_id: &str,
        clean_session: bool,
        prevent_will: bool,
    ) -> bool {
        let Some(&key) = self.by_client.get(client_id) else { return false };
        let Some(live) = self.sessions[key as usize].live_mut() else {
            if clean_session {
                self.remove(key);
            }
            return false;
        };
        if prevent_will {
            live.will = None;
        }
        if clean_session {
            self.forget_kept(key);
            self.sessions[key as usize].expiry = 0;
        }
        let fault = Fault {
            reason: ReasonCode::AdministrativeAction,
            cause: DisconnectReason::ApiInitiated,
            what: "the connection was deleted through the API".into(),
        };
        self.expel(key, &fault);
        true
    }

    /// The session of a connection, unless it has another one now.
    fn on_link(&mut self, key: Key, link: ConnectionId) -> Option<&mut Session> {
        self.sessions.get_mut(key as usize).filter(|session| session.is_on(link))
    }

    fn mark(&mut self, key: Key) {
        let live = self.sessions.get_mut(key as usize).and_then(Session::live_mut);
        if let Some(live) = live.filter(|live| !live.dirty) {
            live.dirty = true;
            self.dirty.push(key);
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.break_all();
    }
}

impl std::fmt::Debug for Broker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Broker").field("sessions", &self.sessions.len()).finish_non_exhaustive()
    }
}
