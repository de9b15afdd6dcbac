//! One WebSocket connection on its shard: frames in, messages to the dispatcher,
//! replies and posts out, and the ways it ends.
//!
//! The session has two axes. Its *phase* says how far the closing handshake is. How
//! many of its messages are in integrations decides whether it reads: over the limit
//! it pauses, and its client gets back-pressure from TCP.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fanwire_access::Allowance;
use fanwire_hub::{Audience, Context, Ending, Reach, Session, Turn};
use fanwire_wire::ws::{
    self, CloseCode, CloseFrame, Deflater, Event, Inflater, ProtocolError, Receiver,
    ReceiverLimits, SharedFrame, WireForm,
};
use tokio::sync::{mpsc, oneshot};

use crate::api::Api;
use crate::dispatch::Dispatcher;
use crate::event::DisconnectCause;
use crate::groups::{Group, GroupError, Groups};
use crate::notice::{self, Broadcast, Notice};
use crate::peer::{ApiIndex, Peer};
use crate::traffic::{Id, Payload, Side, Traffic};

/// How long a client may take to answer a close frame, or to take in what it was sent
/// last, before its socket is closed regardless.
const CLOSE_PATIENCE: Duration = Duration::from_secs(5);

/// One connection of a WebSocket API.
pub struct WebSocketSession {
    receiver: Receiver,
    form: WireForm,
    phase: Phase,
    peer: Arc<Peer>,
    dispatcher: Dispatcher,
    opened: Instant,
    /// The last message in either direction.
    last_active: Instant,
    /// Messages that are in integrations.
    in_flight: u32,
    /// What it may still send, where that is limited.
    allowance: Option<Box<Allowance>>,
    /// Why the connection ends, from when that is known.
    cause: Option<Box<DisconnectCause>>,
}

/// How far the closing handshake is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    /// We have sent a close frame and wait for the client's until then.
    Closing {
        until: Instant,
    },
    /// The client broke the protocol: we have said so, ignore what still comes, and
    /// wait for the end of its stream until then.
    Failing {
        until: Instant,
    },
    /// Everything is said, and written until then: a client that has said goodbye need not
    /// read what it was sent before.
    Closed {
        until: Instant,
    },
}

/// What can be asked of one connection.
#[derive(Debug)]
pub enum Command {
    /// An integration is done with one of the connection's messages.
    Reply(Option<SharedFrame>),
    /// Deliver a message from the management API.
    Post {
        /// The API that the caller named.
        api: ApiIndex,
        /// The message.
        frame: SharedFrame,
        /// Dropped unanswered where the connection is gone.
        done: oneshot::Sender<Posted>,
    },
    /// Tell about the connection.
    Inspect {
        /// The API that the caller named.
        api: ApiIndex,
        /// Dropped unanswered where the connection is gone.
        done: oneshot::Sender<Inspection>,
    },
    /// Put the connection into a group.
    Join {
        /// The API that the caller named.
        api: ApiIndex,
        /// The group.
        group: Group,
        /// Dropped unanswered where the connection is gone.
        done: oneshot::Sender<Result<(), GroupError>>,
    },
    /// Deliver a message for many that was posted before the connection was here.
    Early(Arc<SharedFrame>),
    /// Take the connection out of a group.
    Leave {
        /// The API that the caller named.
        api: ApiIndex,
        /// The group.
        group: Group,
        /// Told whether it was in it. Dropped unanswered where the connection is gone.
        done: oneshot::Sender<bool>,
    },
    /// Tell which groups the connection is in.
    Groups {
        /// The API that the caller named.
        api: ApiIndex,
        /// Dropped unanswered where the connection is gone.
        done: oneshot::Sender<Vec<Group>>,
    },
    /// Tell about the connection among the others of its API.
    List(mpsc::Sender<Inspection>),
    /// Close the connection.
    Delete {
        /// The API that the caller named.
        api: ApiIndex,
        /// Sent to the client, and what `$disconnect` sees.
        code: CloseCode,
        /// Likewise.
        reason: Box<str>,
        /// Dropped unanswered where the connection is gone.
        done: oneshot::Sender<()>,
    },
}

/// What became of a post.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Posted {
    /// It is written, or queued.
    Accepted,
    /// Too much waits already for a client that does not read.
    Full,
}

/// What is known of a live connection.
#[derive(Debug)]
pub struct Inspection {
    /// Its client.
    pub(crate) peer: Arc<Peer>,
    /// When it was last active, in milliseconds since it was opened.
    pub(crate) active_after_ms: u64,
}

/// What the sessions of a shard share: the compressors, made when first used, and the
/// groups that they are in.
#[derive(Debug, Default)]
pub struct Common {
    inflater: Inflater,
    deflater: Deflater,
    pub(crate) groups: Groups,
}

type Cx<'a, 'b> = &'a mut Context<'b, Common>;

// === impl WebSocketSession ===

impl WebSocketSession {
    pub(crate) fn new(
        peer: Arc<Peer>,
        dispatcher: Dispatcher,
        form: WireForm,
        now: Instant,
    ) -> Self {
        let allowance = dispatcher.limiter().allowance(now);
        Self {
            allowance,
            receiver: Receiver::new(form != WireForm::Plain),
            form,
            phase: Phase::Open,
            peer,
            dispatcher,
            opened: now,
            last_active: now,
            in_flight: 0,
            cause: None,
        }
    }

    /// The API as it is now: it may have changed since the connection was made.
    fn api(&self) -> Arc<Api> {
        self.dispatcher.api(self.peer.api)
    }

    fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    /// Acts on one event of the receiver.
    fn on_event(&mut self, event: Event<'_>, cx: Cx<'_, '_>) {
        match event {
            Event::Text(text) if self.is_open() && self.may_send(text.len(), cx) => {
                self.begin_message(cx);
                self.dispatcher.text(&self.peer, text.into_owned());
            }
            Event::Binary(bytes) if self.is_open() && self.may_send(bytes.len(), cx) => {
                self.begin_message(cx);
                self.dispatcher.binary(&self.peer, &bytes);
            }
            Event::Ping(payload) => {
                if self.api().model.limits.idle_counts_control_frames {
                    self.last_active = cx.now();
                }
                // A client that pings and does not read gets no more pongs than fit.
                if cx.queued_bytes() < self.outbound_limit() {
                    cx.send(ws::encode_pong(&payload));
                }
            }
            Event::Pong => {
                if self.api().model.limits.idle_counts_control_frames {
                    self.last_active = cx.now();
                }
            }
            Event::Close(frame) => self.on_close(frame, cx),
            // What comes after our own close frame is not for the API any more, nor is what is
            // too much.
            Event::Text(_) | Event::Binary(_) => {}
        }
    }

    /// Whether a message is not too much. Where it is, the connection ends.
    fn may_send(&mut self, bytes: usize, cx: Cx<'_, '_>) -> bool {
        let Some(allowance) = &mut self.allowance else { return true };
        let Err(excess) = allowance.message(bytes, cx.now()) else { return true };
        self.dispatcher.limiter().refuse(excess);
        self.close(CloseCode::POLICY_VIOLATION, &excess.to_string(), cx);
        false
    }

    fn begin_message(&mut self, cx: Cx<'_, '_>) {
        self.dispatcher.figures(cx.id()).received.add(1);
        self.last_active = cx.now();
        self.in_flight += 1;
        if !self.has_room() {
            cx.pause();
        }
    }

    fn has_room(&self) -> bool {
        let api = self.api();
        let limits = &api.model.limits;
        self.in_flight < if limits.ordered { 1 } else { limits.max_in_flight.max(1) }
    }

    /// The client's close frame: answered with its own code, and the end.
    fn on_close(&mut self, frame: Option<CloseFrame<'_>>, cx: Cx<'_, '_>) {
        if self.is_open() {
            let (code, reason) = match &frame {
                Some(frame) => (frame.code.get(), frame.reason.as_ref()),
                None => (1005, "Client-side close frame status not set"),
            };
            self.set_cause(code, reason, Side::Client);
            cx.send(ws::encode_close(frame.map(|frame| frame.code), ""));
        }
        self.phase = Phase::Closed { until: cx.now() + CLOSE_PATIENCE };
        cx.finish();
    }

    /// Closes the connection from our side.
    fn close(&mut self, code: CloseCode, reason: &str, cx: Cx<'_, '_>) {
        if self.is_open() {
            self.set_cause(code.get(), reason, Side::Server);
            cx.send(ws::encode_close(Some(code), reason));
            self.phase = Phase::Closing { until: cx.now() + CLOSE_PATIENCE };
            // The client's close frame may stand behind messages not read yet.
            cx.resume();
        }
    }

    /// Refuses what the client sent. It may still be sending: a socket closed now
    /// could take back the close frame that says why.
    fn fail(&mut self, error: ProtocolError, cx: Cx<'_, '_>) {
        if self.is_open() {
            // Reason texts of the gateway's own refusals are not known; AWS's logs
            // show none.
            self.set_cause(error.code.get(), "", Side::Server);
            cx.send(ws::encode_close(Some(error.code), ""));
        }
        self.phase = Phase::Failing { until: cx.now() + CLOSE_PATIENCE };
        cx.shutdown_write();
    }

    fn set_cause(&mut self, code: u16, reason: &str, by: Side) {
        let connection = Id(self.peer.id);
        self.dispatcher.traffic(|| Traffic::Close { connection, code, reason, by });
        self.cause = Some(Box::new(DisconnectCause { code, reason: reason.into() }));
    }

    fn frame_out(&self, frame: &SharedFrame) {
        self.dispatcher.traffic(|| Traffic::FrameOut {
            connection: Id(self.peer.id),
            payload: Payload::of_bytes(frame.payload()),
        });
    }

    fn post(&mut self, frame: &SharedFrame, cx: Cx<'_, '_>) -> Posted {
        let bytes = frame.bytes(self.form, &mut cx.shared().deflater);
        let figures = self.dispatcher.figures(cx.id());
        figures.routed.add(1);
        if cx.queued_bytes() > 0 && cx.queued_bytes() + bytes.len() > self.outbound_limit() {
            figures.slow_client.add(1);
            return Posted::Full;
        }
        figures.sent.add(1);
        cx.send(bytes);
        self.frame_out(frame);
        self.last_active = cx.now();
        Posted::Accepted
    }

    /// Delivers one of the messages for many connections of an API. `None` where this is
    /// none of them.
    pub(crate) fn post_as(
        &mut self,
        api: ApiIndex,
        frame: &SharedFrame,
        cx: Cx<'_, '_>,
    ) -> Option<Posted> {
        self.reachable_as(api).then(|| self.post(frame, cx))
    }

    fn inspection(&self) -> Inspection {
        let active = self.last_active.saturating_duration_since(self.opened);
        let active_after_ms = u64::try_from(active.as_millis()).unwrap_or(u64::MAX);
        Inspection { peer: Arc::clone(&self.peer), active_after_ms }
    }

    /// Whether a command that names `api` may reach this connection.
    fn reachable_as(&self, api: ApiIndex) -> bool {
        self.is_open() && self.peer.api == api
    }
}

impl Session for WebSocketSession {
    type Command = Command;
    type Message = Broadcast;
    type Shared = Common;
    type Notice = Notice;

    fn audience(&self) -> Audience {
        Audience(self.peer.api)
    }

    fn opened(&mut self, _cx: Cx<'_, '_>) {}

    fn received(&mut self, input: &mut &mut [u8], cx: Cx<'_, '_>) {
        let api = self.api();
        let limits = &api.model.limits;
        let limits = ReceiverLimits {
            max_frame: limits.max_frame_bytes,
            max_message: limits.max_message_bytes,
            binary: limits.binary,
        };
        while !input.is_empty() {
            match self.phase {
                // Also where a change of the App has left it less room than it had.
                Phase::Open if !self.has_room() => return cx.pause(),
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
        match command {
            Command::Reply(frame) => {
                self.in_flight = self.in_flight.saturating_sub(1);
                if frame.is_some() {
                    let figures = self.dispatcher.figures(cx.id());
                    figures.routed.add(1);
                    if self.is_open() { &figures.sent } else { &figures.closing }.add(1);
                }
                if let Some(frame) = frame.filter(|_| self.is_open()) {
                    let bytes = frame.bytes(self.form, &mut cx.shared().deflater);
                    cx.send(bytes);
                    self.frame_out(&frame);
                    self.last_active = cx.now();
                }
                // A client that does not read its replies may not ask for more. One that is
                // on its way out is read from whatever it has sent.
                if self.is_open() && cx.queued_bytes() > self.outbound_limit() {
                    cx.pause();
                } else if self.has_room() {
                    cx.resume();
                }
            }
            Command::Post { api, frame, done } if self.reachable_as(api) => {
                // The caller may have stopped waiting; the message is delivered anyway.
                let _ = done.send(self.post(&frame, cx));
            }
            Command::Early(frame) if self.is_open() => {
                // Who posted it was told that it is on its way. Where there is no room any
                // more it is counted, as for any client that is too slow.
                let _ = self.post(&frame, cx);
            }
            Command::Inspect { api, done } if self.reachable_as(api) => {
                let _ = done.send(self.inspection());
            }
            Command::Join { api, group, done } if self.reachable_as(api) => {
                let id = cx.id();
                let joined = self.dispatcher.join(&mut cx.shared().groups, id, api, &group);
                let _ = done.send(joined);
            }
            Command::Leave { api, group, done } if self.reachable_as(api) => {
                let id = cx.id();
                let was_in = self.dispatcher.leave(&mut cx.shared().groups, id, api, &group);
                let _ = done.send(was_in);
            }
            Command::Groups { api, done } if self.reachable_as(api) => {
                let id = cx.id();
                let _ = done.send(cx.shared().groups.of(id).to_vec());
            }
            Command::List(listed) if self.is_open() => {
                // Where it is full the list is as long as its reader wants it.
                let _ = listed.try_send(self.inspection());
            }
            Command::Delete { api, code, reason, done } if self.reachable_as(api) => {
                self.close(code, &reason, cx);
                let _ = done.send(());
            }
            // Dropping `done` tells the caller that there is no such connection.
            Command::Post { .. } | Command::Inspect { .. } | Command::Delete { .. } => {}
            Command::Join { .. } | Command::Leave { .. } | Command::Groups { .. } => {}
            Command::Early(_) | Command::List(_) => {}
        }
    }

    fn drained(&mut self, cx: Cx<'_, '_>) {
        if self.has_room() {
            cx.resume();
        }
    }

    fn stopping(&mut self, cx: Cx<'_, '_>) {
        self.close(CloseCode::GOING_AWAY, "Going away", cx);
    }

    fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Open => {
                let api = self.api();
                let limits = &api.model.limits;
                let idle = limits.idle_timeout.map(|timeout| self.last_active + timeout);
                let lifetime = limits.max_lifetime.map(|lifetime| self.opened + lifetime);
                idle.into_iter().chain(lifetime).min()
            }
            Phase::Closing { until } | Phase::Failing { until } | Phase::Closed { until } => {
                Some(until)
            }
        }
    }

    fn expired(&mut self, cx: Cx<'_, '_>) {
        match self.phase {
            Phase::Open => self.close(CloseCode::GOING_AWAY, "Going away", cx),
            Phase::Closing { .. } | Phase::Failing { .. } | Phase::Closed { .. } => cx.abort(),
        }
    }

    fn form(&self) -> Option<usize> {
        self.is_open().then_some(match self.form {
            WireForm::Plain => 0,
            WireForm::Deflated { window_bits } => FORMS - 1 - usize::from(window_bits.min(15) - 8),
        })
    }

    fn outbound_limit(&self) -> usize {
        self.api().model.limits.max_outbound_bytes
    }

    fn encode(message: &Broadcast, form: usize, common: &mut Common) -> bytes::Bytes {
        let form = match form {
            0 => WireForm::Plain,
            // `form` is one that the function above gave: between 1 and 8.
            deflated => WireForm::Deflated { window_bits: (FORMS - 1 - deflated) as u8 + 8 },
        };
        message.frame.bytes(form, &mut common.deflater)
    }

    fn broadcast_done(message: &Broadcast, reach: &Reach) {
        // The caller may have stopped waiting.
        let _ = message.done.send(reach.clone());
    }

    fn broadcast_sent(&mut self, now: Instant) {
        self.last_active = now;
    }

    fn noticed(turn: &mut Turn<'_, Self>, notice: Notice) {
        notice::act(turn, notice);
    }

    fn closed(self, ending: Ending, common: &mut Common) {
        self.dispatcher.leave_all(&mut common.groups, self.peer.id, self.peer.api);
        let cause = match (self.cause, ending) {
            (Some(cause), _) => *cause,
            (None, Ending::HubStopped) => {
                DisconnectCause { code: 1001, reason: "Going away".into() }
            }
            (None, _) => {
                let connection = Id(self.peer.id);
                let (code, reason, by) = (1006, "", Side::Client);
                self.dispatcher.traffic(|| Traffic::Close { connection, code, reason, by });
                DisconnectCause { code, reason: reason.into() }
            }
        };
        self.dispatcher.disconnected(self.peer, cause);
    }
}

/// Plain, and deflated for each of the eight windows from 15 bits down to 8.
const FORMS: usize = 9;
