//! One MQTT connection on its shard: bytes in, packets to the broker, and the ways it
//! ends. The broker of a shard is what its connections share.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fanwire_access::Counted;
use fanwire_hub::{Audience, ConnectionId, Context, Ending, Hub, Turn};
use fanwire_policy::Access;
use fanwire_wire::mqtt::{Framer, ReasonCode, Version};
use fanwire_wire::ws::{self, CloseCode, Receiver, ReceiverLimits};

use crate::broker::{Admission, Broker, BrokerParts, Fault, Keep, Key, Sending};
use crate::directory::Directory;
use crate::durable::{Keeper, RecoveredSession};
use crate::figures::AllFigures;
use crate::handshake::refusal;
use crate::mesh::Mesh;
use crate::notice::{Handed, Notice};
use crate::refresh::Refresh;
use crate::retained::Retained;
use crate::settings::Settings;
use crate::throttle::Throttle;
use crate::{DisconnectReason, Observer};

/// How long a client may take to take in what it is sent last, before its socket is closed
/// regardless.
const GOODBYE_PATIENCE: Duration = Duration::from_secs(5);

/// How long a client is not read from where more waits to be kept than the store takes, or
/// for another shard than it should.
const BEHIND: Duration = Duration::from_millis(100);

/// A client for which so many times more waits than it may have is not read from: it asks for
/// answers that it does not take. Messages alone do not get there.
const HELD_AT: usize = 2;

/// One connection. What it is about is the broker's; here is what bytes and time do to it.
pub struct MqttSession {
    stream: Stream,
    phase: Phase,
    version: Version,
    /// Ends the connection where the client is silent for so long; 0 for never.
    silence: Duration,
    last_received: Instant,
    /// When its time is up, whatever it does.
    ends: Option<(Instant, DisconnectReason)>,
    /// When its policy has to be asked for again.
    refresh: Option<Box<Refresh>>,
    /// How much it may send, where that is limited.
    throttle: Option<Box<Throttle>>,
    /// Nothing is read until then.
    resume_at: Option<Instant>,
    /// Nothing is read until the client has read what waits for it.
    held: bool,
    /// Its place among the connections of its address and its principal.
    _counted: Counted,
}

/// What its bytes go through.
enum Stream {
    Plain(Framer),
    /// MQTT's bytes are the payloads of binary messages, however cut (MQTT 5, 6).
    WebSocket(Box<(Receiver, Framer)>),
}

enum Phase {
    /// Admitted, and not yet with the broker.
    Admitted(Box<Admission>),
    Open {
        key: Key,
        link: ConnectionId,
    },
    /// The client has said goodbye: nothing more is to come from either side.
    Left,
    /// Told goodbye, and given until then to take it in.
    Closing(Instant),
    /// The client has said goodbye and need not read what it was sent before: given until then.
    Closed(Instant),
}

/// What can be asked of one connection.
#[derive(Debug)]
pub enum Command {
    /// What the client may do from now on.
    Refreshed {
        /// The new policy.
        access: Option<Arc<Access>>,
        /// When to ask again.
        again: Option<Instant>,
    },
    /// What it may do cannot be had again: the connection ends.
    RefreshFailed,
}

/// What the connections of a shard share.
pub struct Shard {
    hub: Hub<MqttSession>,
    broker: Broker,
    /// A shard for which more waits than it should: what is published here adds to it.
    crowded: Option<usize>,
}

/// What all shards are made with.
pub(crate) struct SharedParts {
    pub(crate) settings: Arc<Settings>,
    pub(crate) directory: Arc<Directory>,
    pub(crate) retained: Arc<Retained>,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) figures: Arc<AllFigures>,
    /// What shards write with that keep sessions and retained messages; `None` where all ends
    /// with the process.
    pub(crate) keepers: Option<Keepers>,
    /// The other nodes.
    pub(crate) mesh: Option<Arc<Mesh>>,
}

/// Makes what a shard writes with.
pub(crate) type Keepers = Box<dyn Fn() -> Keeper + Send + Sync>;

/// A connection that a handshake hands over.
pub(crate) struct Arrived {
    pub(crate) admission: Box<Admission>,
    pub(crate) websocket: Option<Receiver>,
    pub(crate) framer: Framer,
    pub(crate) now: Instant,
    pub(crate) ends: Option<(Instant, DisconnectReason)>,
    pub(crate) refresh: Option<Box<Refresh>>,
    pub(crate) throttle: Option<Box<Throttle>>,
    pub(crate) counted: Counted,
}

type Cx<'a, 'b> = &'a mut Context<'b, Shard>;

// === impl Shard ===

impl Shard {
    pub(crate) fn new(
        hub: Hub<MqttSession>,
        shard: usize,
        parts: &SharedParts,
        kept: impl Iterator<Item = RecoveredSession>,
    ) -> Self {
        let keep = parts.keepers.as_ref().map(|keeper| {
            let hub = hub.clone();
            // One a turn that has something to keep.
            let told = move |ticket, ok| {
                hub.notify_anyway(shard, Notice::Kept { ticket, ok }.into(), 0);
            };
            Keep::new(keeper(), Arc::new(told))
        });
        let mut broker = Broker::new(BrokerParts {
            settings: Arc::clone(&parts.settings),
            shard,
            shards: hub.shards(),
            directory: Arc::clone(&parts.directory),
            retained: Arc::clone(&parts.retained),
            observer: Arc::clone(&parts.observer),
            figures: parts.figures.of(shard),
            keep,
            mesh: parts.mesh.clone(),
            now: hub.clock().now(),
            now_ms: hub.clock().epoch_ms(),
        });
        kept.for_each(|session| broker.restore(session));
        Self { hub, broker, crowded: None }
    }

    /// Sets the broker's time for what follows.
    fn begin(&mut self, now: Instant) -> &mut Broker {
        if self.broker.asks_for_time(now) {
            self.broker.tell_time(now, self.hub.clock().epoch_ms());
        }
        self.broker.begin(now);
        &mut self.broker
    }

    /// Tells another shard something, and remembers where too much waits for it.
    fn tell(&mut self, shard: usize, notice: Notice, bytes: usize) {
        self.hub.notify_anyway(shard, notice.into(), bytes);
        if !self.hub.has_room(shard) {
            self.crowded = Some(shard);
        }
    }

    /// Whether clients had better send no more for now.
    fn is_behind(&mut self) -> bool {
        self.crowded = self.crowded.filter(|shard| !self.hub.has_room(*shard));
        // What they send has to be kept, and more waits for that than the store takes.
        self.crowded.is_some() || self.broker.is_behind()
    }
}

// === impl MqttSession ===

impl MqttSession {
    pub(crate) fn new(arrived: Arrived) -> Self {
        let Arrived { admission, websocket, framer, now, ends, refresh, throttle, counted } =
            arrived;
        let keep_alive = Duration::from_secs(u64::from(admission.keep_alive));
        Self {
            stream: match websocket {
                Some(receiver) => Stream::WebSocket(Box::new((receiver, framer))),
                None => Stream::Plain(framer),
            },
            version: admission.version,
            phase: Phase::Admitted(admission),
            // One and a half times the keep-alive (MQTT 5, 3.1.2.10).
            silence: keep_alive.saturating_mul(3) / 2,
            last_received: now,
            ends,
            refresh,
            throttle,
            resume_at: None,
            held: false,
            _counted: counted,
        }
    }

    fn key(&self) -> Option<Key> {
        match self.phase {
            Phase::Open { key, .. } => Some(key),
            _ => None,
        }
    }

    /// There is no place for the client after all.
    fn refuse(&mut self, fault: &Fault, cx: Cx<'_, '_>) {
        let websocket = matches!(self.stream, Stream::WebSocket(_));
        cx.send(refusal(self.version, websocket, fault.reason, &fault.what));
        self.say_goodbye(cx);
    }

    /// Takes the bytes of MQTT, packet by packet.
    fn take(&mut self, mut bytes: &[u8], cx: Cx<'_, '_>) {
        while let Phase::Open { key, link } = self.phase {
            let framer = match &mut self.stream {
                Stream::Plain(framer) => framer,
                Stream::WebSocket(stream) => &mut stream.1,
            };
            let broker = &mut cx.shared().broker;
            let outcome = match framer.next(&mut bytes, broker.max_packet()) {
                Ok(None) => return,
                Ok(Some(frame)) => match frame.decode(self.version) {
                    Ok(packet) => broker.packet(key, link, &packet),
                    Err(error) => Err(Fault::client(error.reason, error.what)),
                },
                Err(error) => Err(Fault::client(error.reason, error.what)),
            };
            if let Err(fault) = outcome {
                broker.fail(key, link, &fault);
                self.begin_closing(cx);
            } else if !broker.is_connected(key, link) {
                self.phase = Phase::Left;
            }
        }
    }

    /// Takes the bytes of a WebSocket, frame by frame.
    fn take_frames(&mut self, input: &mut &mut [u8], cx: Cx<'_, '_>) {
        while self.key().is_some() && !input.is_empty() {
            let Stream::WebSocket(stream) = &mut self.stream else { return };
            let max = cx.shared().broker.max_packet();
            let limits = ReceiverLimits { max_frame: max, max_message: max, binary: true };
            let event = stream.0.next(input, &limits, &mut ws::Inflater::default());
            match event {
                Ok(None) => return,
                Ok(Some(ws::Event::Binary(bytes))) => {
                    let bytes = bytes.into_owned();
                    self.take(&bytes, cx);
                }
                Ok(Some(ws::Event::Ping(payload))) => cx.send(ws::encode_pong(&payload)),
                Ok(Some(ws::Event::Pong)) => {}
                // A goodbye of the WebSocket is one of the client's (reference: iot.md,
                // section 4).
                Ok(Some(ws::Event::Close(frame))) => {
                    self.leave(DisconnectReason::ClientInitiated, cx);
                    cx.send(ws::encode_close(frame.map(|frame| frame.code), ""));
                    self.finish(cx);
                }
                Ok(Some(ws::Event::Text(_))) => {
                    self.fail(&Fault::client(ReasonCode::ProtocolError, "a text message"), cx);
                }
                Err(error) => {
                    self.fail(&Fault::client(ReasonCode::ProtocolError, error.reason), cx);
                }
            }
        }
    }

    /// When the client has been silent for too long. Not while nothing is read from it for a
    /// time: what it sends meanwhile is not seen.
    fn silent_for_too_long_at(&self) -> Option<Instant> {
        let counts = !self.silence.is_zero() && self.resume_at.is_none();
        counts.then(|| self.last_received + self.silence)
    }

    /// Reads nothing until then.
    fn pause(&mut self, until: Instant, cx: Cx<'_, '_>) {
        self.resume_at = Some(until);
        cx.pause();
    }

    /// Ends the connection from this side.
    fn fail(&mut self, fault: &Fault, cx: Cx<'_, '_>) {
        if let Phase::Open { key, link } = self.phase {
            cx.shared().broker.fail(key, link, fault);
            self.begin_closing(cx);
        }
    }

    /// Tells the broker that the connection is over.
    fn leave(&mut self, cause: DisconnectReason, cx: Cx<'_, '_>) {
        if let Phase::Open { key, link } = self.phase {
            cx.shared().broker.closed(key, link, cause);
        }
    }

    /// The broker is done with the connection: what it has sent last is still to be
    /// written, at the end of the turn.
    fn begin_closing(&mut self, cx: Cx<'_, '_>) {
        self.phase = Phase::Closing(cx.now() + GOODBYE_PATIENCE);
    }

    /// The client wants nothing more, but it may still take what it was sent.
    fn finish(&mut self, cx: Cx<'_, '_>) {
        self.phase = Phase::Closed(cx.now() + GOODBYE_PATIENCE);
        cx.finish();
    }

    /// All that the broker has for the connection is with it.
    fn say_goodbye(&mut self, cx: Cx<'_, '_>) {
        match (&self.phase, &self.stream) {
            // The goodbyes of its WebSocket are said.
            (Phase::Closed(_), _) => return,
            (Phase::Left, Stream::Plain(_)) => return self.finish(cx),
            _ => {}
        }
        if let Stream::WebSocket(_) = self.stream {
            cx.send(ws::encode_close(Some(CloseCode::NORMAL), ""));
        }
        self.begin_closing(cx);
        // The client may still be sending: a socket closed now could take back what it is
        // told.
        cx.shutdown_write();
    }
}

impl fanwire_hub::Session for MqttSession {
    type Command = Command;
    type Message = ();
    type Shared = Shard;
    type Notice = Handed;

    fn audience(&self) -> Audience {
        Audience(0)
    }

    fn opened(&mut self, cx: Cx<'_, '_>) {
        let (id, now) = (cx.id(), cx.now());
        let Phase::Admitted(admission) = std::mem::replace(&mut self.phase, Phase::Closing(now))
        else {
            return;
        };
        match cx.shared().begin(now).connect(id, admission) {
            Ok(key) => self.phase = Phase::Open { key, link: id },
            Err(fault) => self.refuse(&fault, cx),
        }
    }

    fn received(&mut self, input: &mut &mut [u8], cx: Cx<'_, '_>) {
        self.last_received = cx.now();
        let now = cx.now();
        let bytes = input.len();
        let published = cx.shared().broker.published();
        cx.shared().begin(now);
        match self.stream {
            Stream::Plain(_) => {
                let bytes = std::mem::take(input);
                self.take(bytes, cx);
            }
            Stream::WebSocket(_) => self.take_frames(input, cx),
        }
        let published = cx.shared().broker.published() - published;
        let throttle = self.throttle.as_mut();
        let wait = throttle.and_then(|throttle| throttle.count(published, bytes as u64, now));
        if self.key().is_none() {
            *input = &mut [];
        } else if let Some(wait) = wait {
            self.pause(now + wait, cx);
        } else if cx.shared().is_behind() {
            self.pause(now + BEHIND, cx);
        } else if cx.queued_bytes() > HELD_AT * cx.shared().broker.max_outbound() {
            self.held = true;
            cx.pause();
        }
    }

    fn commanded(&mut self, command: Command, cx: Cx<'_, '_>) {
        let Phase::Open { key, link } = self.phase else { return };
        let now = cx.now();
        cx.shared().begin(now);
        match command {
            Command::Refreshed { access, again } => {
                cx.shared().broker.refreshed(key, link, access);
                match (&mut self.refresh, again) {
                    (Some(refresh), Some(at)) => refresh.due = Some(at),
                    _ => self.refresh = None,
                }
            }
            Command::RefreshFailed => {
                // Why is in the log: it may tell of a function's insides.
                let what = "what the client may do could not be had again";
                let fault = Fault {
                    reason: ReasonCode::NotAuthorized,
                    cause: DisconnectReason::AuthError,
                    what: what.into(),
                };
                self.fail(&fault, cx);
            }
        }
    }

    fn drained(&mut self, cx: Cx<'_, '_>) {
        if let Phase::Open { key, link } = self.phase {
            cx.shared().broker.drained(key, link);
        }
        if std::mem::take(&mut self.held) && self.resume_at.is_none() {
            cx.resume();
        }
    }

    fn stopping(&mut self, cx: Cx<'_, '_>) {
        let fault = Fault {
            reason: ReasonCode::ServerShuttingDown,
            cause: DisconnectReason::ServerInitiated,
            what: "the server is stopping; connect again".into(),
        };
        self.fail(&fault, cx);
    }

    fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Admitted(_) | Phase::Left => None,
            Phase::Closing(until) | Phase::Closed(until) => Some(until),
            Phase::Open { .. } => {
                let silent = self.silent_for_too_long_at();
                let refresh = self.refresh.as_ref().and_then(|refresh| refresh.due);
                let ends = self.ends.map(|(at, _)| at);
                silent.into_iter().chain(refresh).chain(ends).chain(self.resume_at).min()
            }
        }
    }

    fn expired(&mut self, cx: Cx<'_, '_>) {
        let now = cx.now();
        if let Phase::Closing(_) | Phase::Left | Phase::Closed(_) = self.phase {
            return cx.abort();
        }
        cx.shared().begin(now);
        if self.resume_at.is_some_and(|at| at <= now) {
            self.resume_at = None;
            // What it had sent meanwhile counts as heard.
            self.last_received = now;
            if !self.held {
                cx.resume();
            }
        }
        if let Some((_, cause)) = self.ends.filter(|(at, _)| *at <= now) {
            let what = "the time that the connection may live is up; connect again".into();
            let reason = ReasonCode::MaximumConnectTime;
            return self.fail(&Fault { reason, cause, what }, cx);
        }
        if self.silent_for_too_long_at().is_some_and(|at| at <= now) {
            let cause = DisconnectReason::KeepAliveTimeout;
            let what = "nothing came for one and a half times the keep-alive".into();
            return self.fail(&Fault { reason: ReasonCode::KeepAliveTimeout, cause, what }, cx);
        }
        if let Some(refresh) = self.refresh.as_mut()
            && refresh.due.is_some_and(|due| due <= now)
        {
            refresh.due = None;
            refresh.ask(cx.id());
        }
    }

    fn form(&self) -> Option<usize> {
        // What goes to many goes by topics.
        None
    }

    fn outbound_limit(&self) -> usize {
        0
    }

    fn encode(_message: &(), _form: usize, _shared: &mut Shard) -> bytes::Bytes {
        bytes::Bytes::new()
    }

    fn broadcast_sent(&mut self, _now: Instant) {}

    fn closed(self, ending: Ending, shared: &mut Shard) {
        let Phase::Open { key, link } = self.phase else { return };
        let cause = match ending {
            Ending::PeerClosed | Ending::Failed(_) | Ending::Finished => {
                DisconnectReason::ConnectionLost
            }
            Ending::HubStopped => DisconnectReason::ServerInitiated,
        };
        shared.broker.closed(key, link, cause);
    }

    fn noticed(turn: &mut Turn<'_, Self>, notice: Handed) {
        let Some(notice) = notice.take() else { return };
        let now = turn.now();
        turn.shared().begin(now).noticed(notice);
    }

    fn turn_ended(turn: &mut Turn<'_, Self>) -> bool {
        let output = turn.shared().broker.end();
        let mut sendings = std::mem::take(&mut output.sendings);
        let closings = std::mem::take(&mut output.closings);
        let notices = std::mem::take(&mut output.notices);
        for Sending { key, link, bytes } in sendings.drain(..) {
            let limit = turn.shared().broker.max_outbound();
            if turn.send(link, bytes) > limit {
                turn.shared().broker.congested(key, link);
            }
        }
        // The list serves the next turn.
        turn.shared().broker.output().sendings = sendings;
        for (shard, notice, bytes) in notices {
            turn.shared().tell(shard, notice, bytes);
        }
        turn.shared().broker.tell_other_nodes();
        for link in &closings {
            turn.call(*link, MqttSession::say_goodbye);
        }
        !closings.is_empty()
    }

    fn shard_deadline(shared: &Shard) -> Option<Instant> {
        shared.broker.deadline()
    }

    fn shard_expired(turn: &mut Turn<'_, Self>) {
        let now = turn.now();
        turn.shared().begin(now).expired();
    }
}
