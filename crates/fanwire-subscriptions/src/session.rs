//! One connection on its shard: frames in, messages to `calls`, responses out, and the ways
//! it ends.
//!
//! A client that does not take what it is sent is not read from; once something is published
//! to it beyond [`Limits::max_outbound_bytes`](crate::Limits::max_outbound_bytes) it is
//! disconnected, for tRPC has no way to say that something was left out.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use fanwire_hub::{Audience, Context as HubContext, Ending, Session, Turn};
use fanwire_wire::trpc::{Envelope, ErrorCode, PING, PONG, Response, connection_params};
use fanwire_wire::ws::{
    self, CloseCode, CloseFrame, Deflater, Event, Inflater, Opcode, ProtocolError, Receiver,
    ReceiverLimits, SharedFrame, WireForm,
};
use tokio::sync::Semaphore;

use crate::calls::Calls;
use crate::delivery::{Notice, Publishing, deliver_pending};
use crate::index::Index;
use crate::observer::SubscriptionsEvent;
use crate::plane::{Core, EVERYBODY, Subscriptions};
use crate::settings::{KeepAlive, Probe};
use crate::task::{self, Outcome, Task, Ticket};
use crate::{CallError, Context, Opening};

/// How long a client may take to answer a close frame, or to take in what it was sent last,
/// before its socket is closed regardless.
const CLOSE_PATIENCE: Duration = Duration::from_secs(5);

/// One connection of a tRPC client.
pub struct TrpcSession {
    pub(crate) plane: Subscriptions,
    receiver: Receiver,
    pub(crate) form: WireForm,
    phase: Phase,
    peer: SocketAddr,
    opened: Instant,
    /// When the client was last heard.
    heard: Instant,
    /// When it was asked whether it is there, if it has not answered.
    probed: Option<Instant>,
    pub(crate) stage: Stage,
    pub(crate) calls: Calls,
    /// Why the connection ends, from when that is known.
    why: Option<&'static str>,
}

/// How far the closing handshake is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    /// Our close frame is sent; the client's is awaited.
    Closing {
        until: Instant,
    },
    /// What the client sends is refused and not looked at any more.
    Failing {
        until: Instant,
    },
    /// Everything is said, and written until then: a client that has said goodbye need not
    /// read what it was sent before.
    Closed {
        until: Instant,
    },
}

/// How far the context of the connection is.
pub(crate) enum Stage {
    /// The client has yet to say its connection parameters.
    Expecting(Box<Opening>),
    /// It is being made; the task ends with the connection.
    Making(#[expect(dead_code, reason = "held so that it ends with the session")] Task),
    Ready(Context),
    /// It could not be made, and the client was told.
    Refused,
}

/// What may be asked of a connection.
pub struct Command(Asked);

enum Asked {
    /// Its context is made, or cannot be.
    Context(Result<Context, CallError>),
    /// A call of its client's is answered.
    Answered(Ticket, Outcome),
    /// A stream has an event, and wants to know when it is taken.
    Event(Ticket, Response, Arc<Semaphore>),
    /// A stream is over.
    Ended(Ticket, Option<CallError>),
    /// Ask the client to connect anew.
    Reconnect,
}

/// What the sessions of a shard share.
pub struct Common {
    pub(crate) core: Arc<Core>,
    pub(crate) shard: usize,
    pub(crate) index: Index,
    /// What was published and is yet to be sent to the subscribers here.
    pub(crate) pending: VecDeque<Arc<Publishing>>,
    /// Room for those whom a publication finds.
    pub(crate) found: Vec<u32>,
    inflater: Inflater,
    pub(crate) deflater: Deflater,
}

pub(crate) type Cx<'a, 'b> = &'a mut HubContext<'b, Common>;

// === impl Command ===

impl Command {
    pub(crate) fn context(made: Result<Context, CallError>) -> Self {
        Self(Asked::Context(made))
    }

    pub(crate) fn answered(ticket: Ticket, outcome: Outcome) -> Self {
        Self(Asked::Answered(ticket, outcome))
    }

    pub(crate) fn event(ticket: Ticket, response: Response, window: Arc<Semaphore>) -> Self {
        Self(Asked::Event(ticket, response, window))
    }

    pub(crate) fn ended(ticket: Ticket, error: Option<CallError>) -> Self {
        Self(Asked::Ended(ticket, error))
    }

    pub(crate) fn reconnect() -> Self {
        Self(Asked::Reconnect)
    }
}

// === impl Common ===

impl Common {
    pub(crate) fn new(core: Arc<Core>, shard: usize) -> Self {
        Self {
            core,
            shard,
            index: Index::default(),
            pending: VecDeque::new(),
            found: Vec::new(),
            inflater: Inflater::default(),
            deflater: Deflater::default(),
        }
    }
}

// === impl TrpcSession ===

impl TrpcSession {
    pub(crate) fn new(
        plane: Subscriptions,
        opening: Opening,
        form: WireForm,
        now: Instant,
    ) -> Self {
        Self {
            plane,
            receiver: Receiver::new(form != WireForm::Plain),
            form,
            phase: Phase::Open,
            peer: opening.peer,
            opened: now,
            heard: now,
            probed: None,
            stage: Stage::Expecting(Box::new(opening)),
            calls: Calls::default(),
            why: None,
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    fn limits(&self) -> &crate::Limits {
        &self.plane.core.settings.limits
    }

    /// Whether more waits for the client than may.
    pub(crate) fn is_full(&self, cx: Cx<'_, '_>) -> bool {
        cx.queued_bytes() > self.limits().max_outbound_bytes
    }

    /// Sends a response. Where too much waits, nothing is read until it is written.
    pub(crate) fn respond(&self, envelope: &Envelope, response: &Response, cx: Cx<'_, '_>) {
        if self.is_open() {
            let frame = SharedFrame::text(&response.encode(envelope));
            let bytes = frame.bytes(self.form, &mut cx.shared().deflater);
            cx.send(bytes);
            if self.is_full(cx) {
                cx.pause();
            }
        }
    }

    /// Tells of an error that belongs to no request.
    fn respond_error(&self, error: &CallError, cx: Cx<'_, '_>) {
        let transformer = self.plane.core.settings.transformer;
        let response = task::error_response(error, None, transformer);
        self.respond(&Envelope::default(), &response, cx);
    }

    /// Acts on one event of the receiver.
    fn on_event(&mut self, event: Event<'_>, cx: Cx<'_, '_>) {
        match event {
            Event::Text(text) if self.is_open() => self.on_text(&text, cx),
            Event::Binary(_) if self.is_open() => {
                let why = "a binary message is no JSON; send text";
                self.respond_error(&CallError::new(ErrorCode::ParseError, why), cx);
            }
            Event::Ping(payload) => {
                if self.is_open() && !self.is_full(cx) {
                    cx.send(ws::encode_pong(&payload));
                }
            }
            Event::Pong => {}
            Event::Close(frame) => self.on_close(frame, cx),
            // What comes after our own close frame is not looked at any more.
            Event::Text(_) | Event::Binary(_) => {}
        }
    }

    fn on_text(&mut self, text: &str, cx: Cx<'_, '_>) {
        match text {
            PING => cx.send(ws::encode(Opcode::Text, PONG.as_bytes())),
            PONG => {}
            _ if matches!(self.stage, Stage::Expecting(_)) => self.take_params(text, cx),
            _ => self.on_messages(text, cx),
        }
    }

    /// The first message of a client whose URL says that it has connection parameters.
    fn take_params(&mut self, text: &str, cx: Cx<'_, '_>) {
        match connection_params(text) {
            Ok(params) => {
                if let Stage::Expecting(opening) = &mut self.stage {
                    opening.connection_params = params;
                }
                self.make_context();
            }
            Err(error) => {
                self.refuse(&CallError::new(ErrorCode::ParseError, error.to_string()), cx);
            }
        }
    }

    fn make_context(&mut self) {
        if let Stage::Expecting(opening) = std::mem::replace(&mut self.stage, Stage::Refused) {
            self.stage = Stage::Making(task::make_context(&self.plane, *opening));
        }
    }

    fn context_made(&mut self, made: Result<Context, CallError>, cx: Cx<'_, '_>) {
        match made {
            Ok(context) => {
                self.stage = Stage::Ready(context);
                let (connection, peer) = (cx.id(), self.peer);
                let event = SubscriptionsEvent::Connected { connection, peer };
                self.plane.core.observer.observe(&event);
                self.start_waiting(cx);
            }
            Err(error) => self.refuse(&error, cx),
        }
    }

    /// There is no context: the client is told, and so is each of its calls that waited.
    fn refuse(&mut self, why: &CallError, cx: Cx<'_, '_>) {
        self.stage = Stage::Refused;
        let (connection, peer) = (cx.id(), self.peer);
        self.plane.core.observer.observe(&SubscriptionsEvent::Refused { connection, peer, why });
        self.respond_error(why, cx);
        self.fail_waiting(why, cx);
        self.close(None, "it was refused", cx);
    }

    /// The client's close frame: answered with its own code, and the end.
    fn on_close(&mut self, frame: Option<CloseFrame<'_>>, cx: Cx<'_, '_>) {
        if self.is_open() {
            self.why = Some("it said goodbye");
            cx.send(ws::encode_close(frame.map(|frame| frame.code), ""));
        }
        self.phase = Phase::Closed { until: cx.now() + CLOSE_PATIENCE };
        cx.finish();
    }

    /// Closes the connection from our side.
    fn close(&mut self, code: Option<CloseCode>, why: &'static str, cx: Cx<'_, '_>) {
        if self.is_open() {
            self.why = Some(why);
            let reason = if code == Some(CloseCode::GOING_AWAY) { "Going away" } else { "" };
            cx.send(ws::encode_close(code, reason));
            self.phase = Phase::Closing { until: cx.now() + CLOSE_PATIENCE };
            // The client's close frame may stand behind messages not read yet.
            cx.resume();
        }
    }

    /// Refuses what the client sent. It may still be sending: a socket closed now could take
    /// back the close frame that says why.
    fn fail(&mut self, error: ProtocolError, cx: Cx<'_, '_>) {
        if self.is_open() {
            self.why = Some(error.reason);
            cx.send(ws::encode_close(Some(error.code), ""));
        }
        self.phase = Phase::Failing { until: cx.now() + CLOSE_PATIENCE };
        cx.shutdown_write();
    }

    /// The client does not take what is published to it.
    pub(crate) fn too_slow(&mut self, waiting_bytes: usize, cx: Cx<'_, '_>) {
        self.why = Some("it did not take what was published");
        let connection = cx.id();
        let event = SubscriptionsEvent::Slow { connection, waiting_bytes };
        self.plane.core.observer.observe(&event);
        self.phase = Phase::Closed { until: cx.now() };
        cx.abort();
    }

    /// Asks the client whether it is there, or gives it up.
    fn probe(&mut self, keep_alive: &KeepAlive, cx: Cx<'_, '_>) {
        if self.probed.is_some() {
            self.why = Some("it was silent");
            self.phase = Phase::Closed { until: cx.now() };
            return cx.abort();
        }
        self.probed = Some(cx.now());
        cx.send(match keep_alive.by {
            Probe::Ping => ws::encode_ping(&[]),
            Probe::Text => ws::encode(Opcode::Text, PING.as_bytes()),
        });
    }
}

impl Session for TrpcSession {
    type Command = Command;
    /// Nothing is sent to all connections alike.
    type Message = ();
    type Shared = Common;
    type Notice = Notice;

    fn audience(&self) -> Audience {
        EVERYBODY
    }

    fn opened(&mut self, _cx: Cx<'_, '_>) {
        if let Stage::Expecting(opening) = &self.stage
            && !has_params(&opening.query)
        {
            self.make_context();
        }
    }

    fn received(&mut self, input: &mut &mut [u8], cx: Cx<'_, '_>) {
        let max = self.limits().max_message_bytes;
        let limits = ReceiverLimits { max_frame: max, max_message: max, binary: true };
        (self.heard, self.probed) = (cx.now(), None);
        while !input.is_empty() {
            match self.phase {
                // Read again when what waits is written.
                Phase::Open if self.is_full(cx) => return cx.pause(),
                Phase::Open | Phase::Closing { .. } => {}
                Phase::Failing { .. } | Phase::Closed { .. } => {
                    *input = &mut [];
                    return;
                }
            }
            match self.receiver.next(input, &limits, &mut cx.shared().inflater) {
                Ok(Some(event)) => self.on_event(event, cx),
                Ok(None) => return,
                Err(error) => self.fail(error, cx),
            }
        }
    }

    fn commanded(&mut self, command: Command, cx: Cx<'_, '_>) {
        match command.0 {
            Asked::Answered(ticket, outcome) => self.answered(&ticket, outcome, cx),
            _ if !self.is_open() => {}
            Asked::Context(made) => self.context_made(made, cx),
            Asked::Event(ticket, response, window) => {
                self.stream_event(&ticket, &response, window, cx);
            }
            Asked::Ended(ticket, error) => self.stream_ended(&ticket, error.as_ref(), cx),
            Asked::Reconnect => self.respond(&Envelope::default(), &Response::RECONNECT, cx),
        }
    }

    fn drained(&mut self, cx: Cx<'_, '_>) {
        cx.resume();
        if self.is_open() {
            self.go_on(cx);
        }
    }

    fn draining(&mut self, cx: Cx<'_, '_>) {
        self.respond(&Envelope::default(), &Response::RECONNECT, cx);
    }

    fn stopping(&mut self, cx: Cx<'_, '_>) {
        self.close(Some(CloseCode::GOING_AWAY), "the server stops", cx);
    }

    fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Open => {
                let keep_alive = self.plane.core.settings.keep_alive.as_ref();
                let silent = keep_alive.map(|keep_alive| match self.probed {
                    Some(probed) => probed + keep_alive.patience,
                    None => self.heard + keep_alive.after,
                });
                let expecting = matches!(self.stage, Stage::Expecting(_));
                let params = expecting.then(|| self.opened + self.limits().call_timeout);
                silent.into_iter().chain(params).min()
            }
            Phase::Closing { until } | Phase::Failing { until } | Phase::Closed { until } => {
                Some(until)
            }
        }
    }

    fn expired(&mut self, cx: Cx<'_, '_>) {
        if !self.is_open() {
            return cx.abort();
        }
        let late = cx.now() >= self.opened + self.limits().call_timeout;
        if matches!(self.stage, Stage::Expecting(_)) && late {
            let why = CallError::new(ErrorCode::Timeout, "no connection parameters came");
            return self.refuse(&why, cx);
        }
        let core = Arc::clone(&self.plane.core);
        if let Some(keep_alive) = &core.settings.keep_alive {
            self.probe(keep_alive, cx);
        }
    }

    fn form(&self) -> Option<usize> {
        None
    }

    fn outbound_limit(&self) -> usize {
        self.limits().max_outbound_bytes
    }

    fn encode((): &(), _form: usize, _shared: &mut Common) -> Bytes {
        Bytes::new()
    }

    fn broadcast_sent(&mut self, _now: Instant) {}

    fn noticed(turn: &mut Turn<'_, Self>, notice: Notice) {
        turn.shared().pending.push_back(notice.into_publishing());
    }

    fn turn_ended(turn: &mut Turn<'_, Self>) -> bool {
        deliver_pending(turn)
    }

    fn closed(mut self, ending: Ending, common: &mut Common) {
        let subscriptions = self.forget_all(common);
        let why = self.why.unwrap_or(match ending {
            Ending::HubStopped => "the server stopped",
            _ => "its socket ended without a goodbye",
        });
        let core = &self.plane.core;
        if let Some(connection) = self.calls.connection {
            let peer = self.peer;
            let event = SubscriptionsEvent::Disconnected { connection, peer, why, subscriptions };
            core.observer.observe(&event);
        }
        if core.counters.connections.fetch_sub(1, Ordering::Relaxed) == 1 {
            core.left.notify_waiters();
        }
    }
}

/// Whether a URL's query says that the first message has connection parameters.
fn has_params(query: &str) -> bool {
    let mut params = query.split('&').map(|param| param.split_once('=').unwrap_or((param, "")));
    params.find(|(name, _)| *name == "connectionParams").is_some_and(|(_, value)| value == "1")
}

impl std::fmt::Debug for TrpcSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TrpcSession").field("phase", &self.phase).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match &self.0 {
            Asked::Context(_) => "Context",
            Asked::Answered(..) => "Answered",
            Asked::Event(..) => "Event",
            Asked::Ended(..) => "Ended",
            Asked::Reconnect => "Reconnect",
        })
    }
}

impl std::fmt::Debug for Common {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Common").field("shard", &self.shard).finish_non_exhaustive()
    }
}
