//! What a tRPC client does, without its sockets: frames, commands and the time go in; frames,
//! events and the next deadline come out. Behaves as `@trpc/client` 11.25 (reference: trpc.md,
//! section 2.5), but for these:
//!
//! - A connection that ends before the server has said anything, and within
//!   [`PROVEN_AFTER`], counts as one that failed: a server that accepts and closes is not
//!   tried again at once, for ever.
//! - No `subscription.stop` follows a subscription that the server has ended.
//! - A connection that is left is left after [`HANDOVER_LIMIT`], whatever its server does.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use fanwire_wire::trpc::{
    CallRequest, Event, Id, Outcome, PONG, ProcedureType, ServerFrame, Transformer, encode_stop,
};
use serde_json::value::RawValue;

use super::super::backoff::Backoff;
use super::error::{CallError, ServerError};
use super::socket::{Socket, SocketId};
use crate::subscriptions::Payload;

/// How long a connection lives that is good, whatever was said on it.
pub(super) const PROVEN_AFTER: Duration = Duration::from_secs(10);

/// How long a connection that was replaced may take to finish.
pub(super) const HANDOVER_LIMIT: Duration = Duration::from_secs(30);

/// The most ids of events that are remembered of a subscription while it moves.
const MAX_OVERLAP: usize = 4096;

/// A call, counted from 1 by its client.
pub(super) type CallId = u64;

/// How a client behaves.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct SessionOptions {
    pub(super) transformer: Transformer,
    pub(super) keep_alive: Option<KeepAlive>,
}

/// How a client finds out that its server is gone.
#[derive(Debug, Clone, Copy)]
pub(super) struct KeepAlive {
    /// After how long without a word of the server it is asked.
    pub(super) interval: Duration,
    /// How long it may take to answer.
    pub(super) patience: Duration,
}

/// What is called.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) kind: ProcedureType,
    pub(super) path: String,
    /// `None`: undefined.
    pub(super) input: Option<Payload>,
    pub(super) last_event_id: Option<String>,
}

/// What is to be done.
#[derive(Debug)]
pub(super) enum Output {
    /// A connection is to be made.
    Connect(SocketId),
    /// A text is to be sent.
    Send(SocketId, String),
    /// A connection is to be closed. Nothing of it matters any more.
    Close(SocketId),
    /// Something has happened to a call.
    Event(CallId, CallEvent),
}

/// What happens to a call.
#[derive(Debug)]
pub(super) enum CallEvent {
    /// A subscription has begun. Once only, however often the connection changes.
    Started,
    /// Data: the last of a query or mutation.
    Data {
        event_id: Option<String>,
        /// `None`: undefined.
        json: Option<Box<RawValue>>,
    },
    /// The subscription is over.
    Stopped,
    /// The call failed. Nothing follows.
    Failed(CallError),
}

/// The state of a client.
#[derive(Debug)]
pub(super) struct Session {
    options: SessionOptions,
    calls: BTreeMap<CallId, Call>,
    /// What calls are sent on.
    active: Option<Socket>,
    /// What `active` has replaced, until everything has moved.
    retired: Option<Socket>,
    opening: Opening,
    /// Attempts in vain since a connection was good.
    failures: u32,
    next_socket: u64,
    backoff: Backoff,
    outputs: VecDeque<Output>,
}

/// A call that is not finished.
#[derive(Debug)]
struct Call {
    request: Request,
    started: bool,
    place: Place,
    /// The connection that it has left, on which its server has yet to hear of that.
    left: Option<SocketId>,
    /// The tracked events that came on the old connection while the call moved: they come on
    /// the new one, too.
    overlap: BTreeSet<String>,
}

/// Where a call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Nowhere: it is sent on the next connection.
    Waiting,
    On(SocketId),
    /// A subscription on two connections, until the new one has confirmed it.
    Moving {
        from: SocketId,
        to: SocketId,
    },
}

/// The next connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Opening {
    No,
    At(Instant),
    Under(SocketId),
}

// === impl Session ===

impl Session {
    /// A client that connects at once. The seed is for what varies by chance.
    pub(super) fn new(options: SessionOptions, now: Instant, seed: u64) -> Self {
        Self {
            options,
            calls: BTreeMap::new(),
            active: None,
            retired: None,
            opening: Opening::At(now),
            failures: 0,
            next_socket: 0,
            backoff: Backoff::new(seed),
            outputs: VecDeque::new(),
        }
    }

    /// Whether calls can be sent.
    pub(super) fn is_connected(&self) -> bool {
        self.active.is_some()
    }

    /// Attempts in vain since a connection was good.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    /// Calls a procedure: at once, or as soon as there is a connection.
    pub(super) fn call(&mut self, id: CallId, request: Request) {
        let mut call = Call::new(request);
        if let Some(active) = &mut self.active {
            call.place = Place::On(active.id);
            active.say(call.encode(id, self.options.transformer));
        }
        self.calls.insert(id, call);
    }

    /// Forgets a call. A subscription is stopped wherever it is.
    pub(super) fn cancel(&mut self, id: CallId) {
        let Some(call) = self.calls.remove(&id) else { return };
        if call.request.kind == ProcedureType::Subscription {
            for socket in call.sockets().into_iter().flatten() {
                self.say(socket, encode_stop(&Id::from(id)));
            }
        }
        self.close_if_drained();
    }

    /// Ends everything. Calls fail with [`CallError::Closed`].
    pub(super) fn shut_down(&mut self) {
        for (id, _) in std::mem::take(&mut self.calls) {
            self.outputs.push_back(Output::Event(id, CallEvent::Failed(CallError::Closed)));
        }
        if let Opening::Under(socket) = self.opening {
            self.outputs.push_back(Output::Close(socket));
        }
        for socket in self.active.take().into_iter().chain(self.retired.take()) {
            self.outputs.push_back(Output::Close(socket.id));
        }
        self.opening = Opening::No;
    }

    /// A connection is there. `params` is the message that it begins with.
    pub(super) fn opened(&mut self, socket: SocketId, params: Option<String>, now: Instant) {
        if self.opening != Opening::Under(socket) {
            self.outputs.push_back(Output::Close(socket));
            return;
        }
        self.opening = Opening::No;
        let mut next = Socket::new(socket, now, self.options.keep_alive);
        if let Some(params) = params {
            next.say_bare(params);
        }
        if let Some(mut previous) = self.active.replace(next) {
            previous.retire(now + HANDOVER_LIMIT);
            if let Some(older) = self.retired.replace(previous) {
                self.outputs.push_back(Output::Close(older.id));
                self.lost(older.id);
            }
        }
        self.move_calls(socket);
        self.close_if_drained();
    }

    /// Sends on a new connection what waits, and the subscriptions of the one before.
    fn move_calls(&mut self, to: SocketId) {
        let transformer = self.options.transformer;
        let Some(active) = &mut self.active else { return };
        for (id, call) in &mut self.calls {
            call.place = match call.place {
                Place::Waiting => Place::On(to),
                Place::On(from) if call.request.kind == ProcedureType::Subscription => {
                    Place::Moving { from, to }
                }
                _ => continue,
            };
            active.say(call.encode(*id, transformer));
        }
    }

    /// A connection could not be made.
    pub(super) fn failed(&mut self, socket: SocketId, now: Instant) {
        if self.opening == Opening::Under(socket) {
            self.failures = self.failures.saturating_add(1);
            self.open_later(now);
        }
    }

    /// A connection has ended, however.
    pub(super) fn closed(&mut self, socket: SocketId, now: Instant) {
        if self.opening == Opening::Under(socket) {
            return self.failed(socket, now);
        }
        if let Some(lost) = self.active.take_if(|active| active.id == socket) {
            self.failures = if lost.is_proven(now) { 0 } else { self.failures.saturating_add(1) };
            self.lost(socket);
            if self.opening == Opening::No {
                self.open_later(now);
            }
        } else if self.retired.take_if(|retired| retired.id == socket).is_some() {
            self.lost(socket);
        }
    }

    fn open_later(&mut self, now: Instant) {
        self.opening = Opening::At(now + self.backoff.delay(self.failures));
    }

    /// What was on a connection that is gone: queries and mutations fail, for nobody knows
    /// whether they were done; subscriptions are sent again.
    fn lost(&mut self, socket: SocketId) {
        let transformer = self.options.transformer;
        let mut failed = Vec::new();
        for (id, call) in &mut self.calls {
            call.left.take_if(|left| *left == socket);
            match call.place {
                Place::On(place) if place == socket => {
                    if call.request.kind != ProcedureType::Subscription {
                        failed.push(*id);
                        continue;
                    }
                    call.place = Place::Waiting;
                    // It is asked for what comes after all of these.
                    call.overlap.clear();
                    if let Some(active) = &mut self.active {
                        call.place = Place::On(active.id);
                        active.say(call.encode(*id, transformer));
                    }
                }
                Place::Moving { from, to } if from == socket => call.place = Place::On(to),
                // What has come before may still come on this one, too, if it has moved here.
                Place::Moving { from, to } if to == socket => call.place = Place::On(from),
                _ => {}
            }
        }
        for id in failed {
            self.finish(id, CallEvent::Failed(CallError::Disconnected));
        }
    }

    /// A text has come.
    pub(super) fn received(&mut self, from: SocketId, text: &str, now: Instant) {
        let frame = ServerFrame::parse(text, self.options.transformer);
        let Some(socket) = self.socket(from) else { return };
        socket.heard(now);
        match frame {
            Ok(ServerFrame::Ping) => socket.say_bare(PONG.to_owned()),
            Ok(ServerFrame::Pong) => {
                socket.ponged(now);
                self.drained(from);
            }
            Ok(ServerFrame::Reconnect) => self.reconnect(from, now),
            Ok(ServerFrame::Response { id, outcome }) => self.responded(from, id.as_ref(), outcome),
            // Not for us: `@trpc/client` ignores it, too.
            Ok(ServerFrame::Unknown) | Err(_) => {}
        }
    }

    /// The server wants another connection. The one there is goes on until that is open.
    fn reconnect(&mut self, from: SocketId, now: Instant) {
        let is_active = self.active.as_ref().is_some_and(|active| active.id == from);
        if is_active && self.opening == Opening::No {
            self.opening = Opening::At(now);
        }
    }

    fn responded(&mut self, from: SocketId, id: Option<&Id>, outcome: Outcome<'_>) {
        if !matches!(outcome, Outcome::Error(_))
            && let Some(socket) = self.socket(from)
        {
            // Nothing but errors comes where the server refuses the connection.
            socket.prove();
        }
        let Some(id) = id.and_then(Id::natural) else { return };
        self.confirm(id, from);
        let Some(call) = self.calls.get_mut(&id) else { return };
        match call.place {
            Place::On(place) | Place::Moving { from: place, .. } if place == from => {
                self.deliver(id, from, outcome);
            }
            _ if call.left == Some(from) => self.deliver_late(id, outcome),
            _ => {}
        }
    }

    /// A subscription that has moved is stopped where it was.
    fn confirm(&mut self, id: CallId, by: SocketId) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        let Place::Moving { from, to } = call.place else { return };
        if to != by {
            return;
        }
        call.place = Place::On(to);
        call.left = Some(from);
        if let Some(old) = self.socket(from) {
            old.say(encode_stop(&Id::from(id)));
            // Its answer comes after all that the server has sent before it knew.
            old.ping_out();
        }
    }

    /// What comes on the connection that a call is on.
    fn deliver(&mut self, id: CallId, from: SocketId, outcome: Outcome<'_>) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        match outcome {
            Outcome::Started if call.started => {}
            Outcome::Started => {
                call.started = true;
                self.outputs.push_back(Output::Event(id, CallEvent::Started));
            }
            Outcome::Data(event) => {
                if call.take(&event) {
                    self.outputs.push_back(Output::Event(id, CallEvent::of(&event)));
                }
                if call.request.kind != ProcedureType::Subscription {
                    self.forget(id, from);
                }
            }
            Outcome::Stopped => {
                self.forget(id, from);
                self.outputs.push_back(Output::Event(id, CallEvent::Stopped));
            }
            Outcome::Error(failure) => {
                let error = CallError::Server(ServerError::of(&failure));
                self.forget(id, from);
                self.outputs.push_back(Output::Event(id, CallEvent::Failed(error)));
            }
        }
    }

    /// What comes on the connection that a call has left. Only events without ids matter:
    /// nobody can ask for them again.
    fn deliver_late(&mut self, id: CallId, outcome: Outcome<'_>) {
        match outcome {
            Outcome::Stopped => {
                if let Some(call) = self.calls.get_mut(&id) {
                    call.left = None;
                }
                self.close_if_drained();
            }
            Outcome::Data(event) if event.event_id.is_none() => {
                self.outputs.push_back(Output::Event(id, CallEvent::of(&event)));
            }
            _ => {}
        }
    }

    /// A call is over on `ended`; elsewhere it has to be stopped.
    fn forget(&mut self, id: CallId, ended: SocketId) {
        let Some(call) = self.calls.remove(&id) else { return };
        for socket in call.sockets().into_iter().flatten().filter(|socket| *socket != ended) {
            self.say(socket, encode_stop(&Id::from(id)));
        }
        self.close_if_drained();
    }

    fn finish(&mut self, id: CallId, event: CallEvent) {
        self.calls.remove(&id);
        self.outputs.push_back(Output::Event(id, event));
    }

    /// A replaced connection has answered: nothing more comes for what has left it.
    fn drained(&mut self, socket: SocketId) {
        let all_answered = |retired: &Socket| retired.id == socket && !retired.awaits_pong();
        if !self.retired.as_ref().is_some_and(all_answered) {
            return;
        }
        for call in self.calls.values_mut() {
            call.left.take_if(|left| *left == socket);
        }
        self.close_if_drained();
    }

    /// Closes the replaced connection once nothing is left on it.
    fn close_if_drained(&mut self) {
        let calls = &self.calls;
        let is_drained = |retired: &mut Socket| {
            !calls.values().any(|call| call.sockets().contains(&Some(retired.id)))
        };
        if let Some(mut retired) = self.retired.take_if(is_drained) {
            self.flush(&mut retired);
            self.outputs.push_back(Output::Close(retired.id));
        }
    }

    /// The time has come for something, perhaps.
    pub(super) fn tick(&mut self, now: Instant) {
        if matches!(self.opening, Opening::At(at) if at <= now) {
            self.next_socket += 1;
            let socket = SocketId(self.next_socket);
            self.opening = Opening::Under(socket);
            self.outputs.push_back(Output::Connect(socket));
        }
        let sockets = [self.active.as_mut(), self.retired.as_mut()];
        let dead = sockets.map(|socket| socket.and_then(|socket| socket.give_up(now)));
        for socket in dead.into_iter().flatten() {
            self.outputs.push_back(Output::Close(socket));
            self.closed(socket, now);
        }
    }

    /// When [`tick`](Self::tick) is next to be called.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let opening = match self.opening {
            Opening::At(at) => Some(at),
            _ => None,
        };
        let sockets = [self.active.as_ref(), self.retired.as_ref()];
        let sockets = sockets.into_iter().flatten().filter_map(Socket::deadline);
        sockets.chain(opening).min()
    }

    /// What is to be done next. What was said since the last time goes out as batches.
    pub(super) fn poll(&mut self) -> Option<Output> {
        if let Some(output) = self.outputs.pop_front() {
            return Some(output);
        }
        for socket in [&mut self.active, &mut self.retired] {
            if let Some(socket) = socket
                && let Some(text) = socket.next_text()
            {
                return Some(Output::Send(socket.id, text));
            }
        }
        None
    }

    fn flush(&mut self, socket: &mut Socket) {
        while let Some(text) = socket.next_text() {
            self.outputs.push_back(Output::Send(socket.id, text));
        }
    }

    fn socket(&mut self, id: SocketId) -> Option<&mut Socket> {
        let sockets = [self.active.as_mut(), self.retired.as_mut()];
        sockets.into_iter().flatten().find(|socket| socket.id == id)
    }

    fn say(&mut self, socket: SocketId, message: String) {
        if let Some(socket) = self.socket(socket) {
            socket.say(message);
        }
    }
}

// === impl Call ===

impl Call {
    fn new(request: Request) -> Self {
        let (place, left) = (Place::Waiting, None);
        Self { request, started: false, place, left, overlap: BTreeSet::new() }
    }

    fn encode(&self, id: CallId, transformer: Transformer) -> String {
        let input = self.request.input.as_ref();
        let call = CallRequest {
            kind: self.request.kind,
            path: &self.request.path,
            input: input.map(|input| &*input.json),
            meta: input.and_then(|input| input.meta.as_deref()),
            last_event_id: self.request.last_event_id.as_deref(),
        };
        call.encode(&Id::from(id), transformer)
    }

    /// Where its server knows of it.
    fn sockets(&self) -> [Option<SocketId>; 3] {
        match self.place {
            Place::Waiting => [None, None, self.left],
            Place::On(socket) => [Some(socket), None, self.left],
            Place::Moving { from, to } => [Some(from), Some(to), self.left],
        }
    }

    /// Notes that an event has come. False: it had come before.
    fn take(&mut self, event: &Event<'_>) -> bool {
        let id = event.event_id.as_deref();
        if let Some(id) = id {
            let came_before = match self.place {
                // It may have moved before, and come on the connection before this one.
                Place::Moving { .. } if self.overlap.len() < MAX_OVERLAP => {
                    !self.overlap.insert(id.to_owned())
                }
                Place::Moving { .. } => self.overlap.contains(id),
                _ => self.overlap.remove(id),
            };
            if came_before {
                return false;
            }
        }
        // An event without one takes back the one before: the client of tRPC has it so.
        self.request.last_event_id = id.map(str::to_owned);
        true
    }
}

// === impl CallEvent ===

impl CallEvent {
    fn of(event: &Event<'_>) -> Self {
        Self::Data {
            event_id: event.event_id.as_deref().map(str::to_owned),
            json: event.json.map(RawValue::to_owned),
        }
    }
}
