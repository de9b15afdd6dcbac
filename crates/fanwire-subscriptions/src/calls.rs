//! What the messages of a client lead to: its calls, and the lives of its subscriptions
//! (reference: trpc.md, sections 2.4 and 2.6).

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use fanwire_hub::ConnectionId;
use fanwire_wire::trpc::{
    self, ClientFrame, ClientMessage, Envelope, ErrorCode, Id, Method, ParseOptions, ProcedureType,
    Response,
};
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use tokio::sync::Semaphore;

use crate::history::{Filter, Lost, Missed};
use crate::index::Subscriber;
use crate::observer::SubscriptionsEvent;
use crate::session::{Common, Cx, Stage, TrpcSession};
use crate::task::{self, Outcome, Task, Ticket};
use crate::{Call, CallError, Interest};

/// Bytes of what a subscriber missed that are looked up at once.
const CATCH_UP_BYTES: usize = 64 * 1024;

/// The calls and subscriptions of one connection.
#[derive(Default)]
pub(crate) struct Calls {
    /// Those that are over are gone.
    subscriptions: HashMap<Id, Subscription, FixedState>,
    /// Calls that are yet to begin.
    waiting: VecDeque<(Ticket, Call)>,
    /// Bytes of their inputs and paths.
    waiting_bytes: usize,
    /// Calls that have begun and are not answered.
    in_flight: usize,
    /// The serial number of the last request.
    serial: u64,
    /// Subscriptions that have yet to get all that they missed.
    behind: VecDeque<Id>,
    /// Windows of streams that are to go on when what waits is written.
    held: Vec<Arc<Semaphore>>,
    /// Known from the first call, or from the context, on.
    pub(crate) connection: Option<ConnectionId>,
}

/// A subscription, from the message that asks for it until it is over.
struct Subscription {
    serial: u64,
    path: Box<str>,
    state: State,
}

enum State {
    /// Its call waits.
    Waiting,
    /// It is being called.
    Calling(#[expect(dead_code, reason = "held so that it ends with the subscription")] Task),
    /// It gets what it missed.
    Behind(Box<Behind>),
    /// It gets what is published, by its number in the index.
    Live(u32),
    /// It gets what its stream gives.
    Streaming(#[expect(dead_code, reason = "held so that it ends with the subscription")] Task),
}

/// What is known of a subscription that gets what it missed.
struct Behind {
    ticket: Ticket,
    path: String,
    keys: Box<[Filter]>,
    /// The number of the last event that it has had.
    at: u64,
    /// The id that it came with.
    last_event_id: String,
    started: bool,
}

// What comes from the client.
impl TrpcSession {
    /// Acts on a text message.
    pub(crate) fn on_messages(&mut self, text: &str, cx: Cx<'_, '_>) {
        let core = Arc::clone(&self.plane.core);
        let (transformer, limits) = (core.settings.transformer, &core.settings.limits);
        let options = ParseOptions { transformer, max_batch: limits.max_batch };
        match ClientFrame::parse(text, &options) {
            Ok(ClientFrame::Messages(messages)) => {
                for message in messages {
                    self.on_message(message, cx);
                }
                self.start_waiting(cx);
            }
            Ok(ClientFrame::TooLong(waiting)) => {
                let response = Response::batch_too_long(transformer);
                if waiting.is_empty() {
                    self.respond(&Envelope::default(), &response, cx);
                }
                for envelope in waiting {
                    self.respond(&envelope, &response, cx);
                }
            }
            Ok(ClientFrame::Ping | ClientFrame::Pong) => {}
            Err(error) => {
                self.respond(&Envelope::default(), &Response::unparsable(&error, transformer), cx);
            }
        }
    }

    fn on_message(&mut self, message: ClientMessage<'_>, cx: Cx<'_, '_>) {
        let ClientMessage { envelope, method } = message;
        match (&envelope.id, method) {
            (None, _) => {
                let transformer = self.plane.core.settings.transformer;
                self.respond(&envelope, &Response::missing_id(transformer), cx);
            }
            (Some(id), Method::Stop) => self.stop(id, &envelope, cx),
            (Some(_), Method::Call(call)) => self.on_call(envelope, call, cx),
        }
    }

    /// A call joins those that wait, if it may.
    fn on_call(&mut self, envelope: Envelope, call: trpc::Call<'_>, cx: Cx<'_, '_>) {
        self.calls.serial += 1;
        let ticket = Ticket { serial: self.calls.serial, envelope, kind: call.kind };
        if let Err(error) = self.admit(&ticket, &call) {
            return self.respond_failure(&ticket, &error, &call.path, cx);
        }
        if let (ProcedureType::Subscription, Some(id)) = (call.kind, ticket.envelope.id.clone()) {
            let (serial, path) = (ticket.serial, Box::from(&*call.path));
            let subscription = Subscription { serial, path, state: State::Waiting };
            self.calls.subscriptions.insert(id, subscription);
        }
        self.calls.connection = Some(cx.id());
        self.calls.waiting_bytes += bytes_of(&call);
        let call = Call {
            kind: call.kind,
            path: call.path.into_owned(),
            input: call.input.map(ToOwned::to_owned),
            last_event_id: call.last_event_id.map(|id| id.into_owned()),
            connection: cx.id(),
        };
        self.calls.waiting.push_back((ticket, call));
    }

    /// Whether a call may be made at all.
    fn admit(&self, ticket: &Ticket, call: &trpc::Call<'_>) -> Result<(), CallError> {
        let limits = &self.plane.core.settings.limits;
        let calls = &self.calls;
        if let (ProcedureType::Subscription, Some(id)) = (call.kind, &ticket.envelope.id) {
            if calls.subscriptions.contains_key(id) {
                let why = format!("Duplicate id {}", id.text());
                return Err(CallError::new(ErrorCode::BadRequest, why));
            }
            if calls.subscriptions.len() >= limits.max_subscriptions {
                return Err(too_many("a connection has too many subscriptions; stop some"));
            }
        }
        let bytes = calls.waiting_bytes + bytes_of(call);
        let full = calls.waiting.len() >= limits.max_waiting || bytes > limits.max_waiting_bytes;
        if full && !calls.waiting.is_empty() {
            return Err(too_many("too many calls of a connection wait; wait for answers"));
        }
        Ok(())
    }

    /// The client does not want a subscription any more. One that there is not is none of ours
    /// to answer for: clients stop those that have ended, too.
    fn stop(&mut self, id: &Id, envelope: &Envelope, cx: Cx<'_, '_>) {
        if self.forget(id, cx.shared()) {
            self.respond(envelope, &Response::STOPPED, cx);
        }
    }
}

fn bytes_of(call: &trpc::Call<'_>) -> usize {
    call.path.len() + call.input.map_or(0, |input| input.get().len())
}

fn too_many(why: &str) -> CallError {
    CallError::new(ErrorCode::TooManyRequests, why)
}

// Calls, from their beginning to their answer.
impl TrpcSession {
    /// Begins calls that wait, as many as may be worked on.
    pub(crate) fn start_waiting(&mut self, cx: Cx<'_, '_>) {
        let core = Arc::clone(&self.plane.core);
        let most = core.settings.limits.max_in_flight.max(1);
        while self.is_open() && self.calls.in_flight < most && !self.is_full(cx) {
            let Stage::Ready(context) = &self.stage else { return };
            let context = Arc::clone(context);
            let Some((ticket, call)) = self.take_waiting() else { return };
            let Ok(permit) = Arc::clone(&core.calls).try_acquire_owned() else {
                let why = "the server has too much to do; try again later";
                let error = CallError::new(ErrorCode::ServiceUnavailable, why);
                self.end(&ticket, cx.shared());
                self.respond_failure(&ticket, &error, &call.path, cx);
                continue;
            };
            self.calls.in_flight += 1;
            let handle = task::call(&self.plane, ticket.clone(), context, call, permit);
            if let Some(subscription) = self.subscription(&ticket) {
                subscription.state = State::Calling(handle.into());
            }
        }
    }

    /// The next call that waits and is still wanted.
    fn take_waiting(&mut self) -> Option<(Ticket, Call)> {
        while let Some((ticket, call)) = self.calls.waiting.pop_front() {
            let input = call.input.as_ref().map_or(0, |input| input.get().len());
            self.calls.waiting_bytes -= call.path.len() + input;
            if ticket.kind != ProcedureType::Subscription || self.subscription(&ticket).is_some() {
                return Some((ticket, call));
            }
        }
        None
    }

    /// There will be no context: every call that waits fails with that.
    pub(crate) fn fail_waiting(&mut self, why: &CallError, cx: Cx<'_, '_>) {
        while let Some((ticket, call)) = self.take_waiting() {
            self.end(&ticket, cx.shared());
            self.respond_failure(&ticket, why, &call.path, cx);
        }
    }

    /// A call is answered.
    pub(crate) fn answered(&mut self, ticket: &Ticket, outcome: Outcome, cx: Cx<'_, '_>) {
        self.calls.in_flight = self.calls.in_flight.saturating_sub(1);
        let wanted =
            ticket.kind != ProcedureType::Subscription || self.subscription(ticket).is_some();
        if wanted && self.is_open() {
            match outcome {
                Outcome::Answered(response) => {
                    self.end(ticket, cx.shared());
                    self.respond(&ticket.envelope, &response, cx);
                }
                Outcome::Subscribed(interest) => self.subscribe(ticket, interest, cx),
                Outcome::Stream(stream) => {
                    self.respond(&ticket.envelope, &Response::STARTED, cx);
                    let task = task::stream(&self.plane, cx.id(), ticket.clone(), stream);
                    if let Some(subscription) = self.subscription(ticket) {
                        subscription.state = State::Streaming(task);
                    }
                }
            }
        }
        self.start_waiting(cx);
    }

    fn respond_failure(&self, ticket: &Ticket, error: &CallError, path: &str, cx: Cx<'_, '_>) {
        let transformer = self.plane.core.settings.transformer;
        let response = task::error_response(error, Some(path), transformer);
        self.respond(&ticket.envelope, &response, cx);
    }

    /// What waited for the client to take what it was sent goes on.
    pub(crate) fn go_on(&mut self, cx: Cx<'_, '_>) {
        for window in self.calls.held.drain(..) {
            window.add_permits(1);
        }
        self.catch_up(cx);
        self.start_waiting(cx);
    }
}

// Subscriptions to what is published.
impl TrpcSession {
    fn subscribe(&mut self, ticket: &Ticket, interest: Interest, cx: Cx<'_, '_>) {
        let limits = &self.plane.core.settings.limits;
        let Interest { path, keys, after } = interest;
        let key_bytes: usize = keys.iter().map(|(_, key)| key.len()).sum();
        if keys.len() > limits.max_keys || key_bytes > limits.max_key_bytes {
            let why = "the subscription has too many keys, or too long ones";
            let error = CallError::new(ErrorCode::InternalServerError, why);
            return self.fail_subscription(ticket, &error, cx);
        }
        let keys = keys.into_iter().map(|(filter, key)| (filter, key.into_boxed_slice())).collect();
        let Some(last_event_id) = after else {
            let (path, until) = self.plane.core.log.enter(&path, cx.shared().shard);
            self.respond(&ticket.envelope, &Response::STARTED, cx);
            return self.go_live(ticket, path, keys, until, cx);
        };
        let at = self.plane.core.log.position(&path, &last_event_id);
        let missed_all = at.is_err();
        let (at, ticket) = (at.unwrap_or_default(), ticket.clone());
        let behind = Behind { ticket, path, keys, at, last_event_id, started: false };
        if missed_all {
            return self.fail_behind(&behind, cx);
        }
        let ticket = behind.ticket.clone();
        if let (Some(id), Some(subscription)) = (&ticket.envelope.id, self.subscription(&ticket)) {
            subscription.state = State::Behind(Box::new(behind));
            self.calls.behind.push_back(id.clone());
        }
        self.catch_up(cx);
    }

    /// Sends subscriptions what they missed, until they have all of it or the client has
    /// enough for now.
    fn catch_up(&mut self, cx: Cx<'_, '_>) {
        while let Some(id) = self.calls.behind.front().cloned() {
            if cx.queued_bytes() > self.plane.core.settings.limits.max_outbound_bytes / 2 {
                // Goes on when that is written.
                return cx.pause();
            }
            let is_behind = |of: &&mut Subscription| matches!(of.state, State::Behind(_));
            let subscription = self.calls.subscriptions.get_mut(&id).filter(is_behind);
            let state = subscription.map(|of| std::mem::replace(&mut of.state, State::Waiting));
            match state {
                Some(State::Behind(behind)) => self.catch_up_by_one(&id, behind, cx),
                // It was stopped in the meantime.
                _ => _ = self.calls.behind.pop_front(),
            }
        }
    }

    fn catch_up_by_one(&mut self, id: &Id, mut behind: Box<Behind>, cx: Cx<'_, '_>) {
        let (shard, budget) = (cx.shared().shard, CATCH_UP_BYTES);
        let log = &self.plane.core.log;
        let missed = log.missed(&behind.path, &behind.keys, behind.at, budget, shard);
        let Ok(Missed { events, until, caught_up }) = missed.map_err(|Lost| ()) else {
            self.calls.behind.pop_front();
            return self.fail_behind(&behind, cx);
        };
        if !behind.started {
            behind.started = true;
            self.respond(&behind.ticket.envelope, &Response::STARTED, cx);
        }
        for event in events {
            self.respond(&behind.ticket.envelope, &event.response, cx);
        }
        behind.at = until;
        match caught_up {
            Some(path) => {
                self.calls.behind.pop_front();
                let Behind { ticket, keys, .. } = *behind;
                self.go_live(&ticket, path, keys, until, cx);
            }
            None => {
                if let Some(subscription) = self.calls.subscriptions.get_mut(id) {
                    subscription.state = State::Behind(behind);
                }
            }
        }
    }

    /// A subscription that is counted as one of its shard already enters the index.
    fn go_live(
        &mut self,
        ticket: &Ticket,
        path: Arc<str>,
        keys: Box<[Filter]>,
        after: u64,
        cx: Cx<'_, '_>,
    ) {
        let (connection, envelope) = (cx.id(), ticket.envelope.clone());
        let subscriber = Subscriber::new(connection, envelope, self.form, path, keys, after);
        let number = cx.shared().index.add(subscriber);
        self.plane.core.counters.subscriptions.fetch_add(1, Ordering::Relaxed);
        if let Some(subscription) = self.subscription(ticket) {
            subscription.state = State::Live(number);
        }
    }

    /// What the subscription missed is not to be had any more.
    fn fail_behind(&mut self, behind: &Behind, cx: Cx<'_, '_>) {
        self.plane.core.observer.observe(&SubscriptionsEvent::Missed {
            connection: cx.id(),
            path: &behind.path,
            last_event_id: &behind.last_event_id,
        });
        let why = format!(
            "what came after the event `{}` is not kept any more; load what there is now, and \
            subscribe without a lastEventId",
            behind.last_event_id
        );
        let error = CallError::new(ErrorCode::PreconditionFailed, why);
        self.fail_subscription(&behind.ticket, &error, cx);
    }

    fn fail_subscription(&mut self, ticket: &Ticket, error: &CallError, cx: Cx<'_, '_>) {
        let path = self.subscription(ticket).map(|of| of.path.clone()).unwrap_or_default();
        self.end(ticket, cx.shared());
        self.respond_failure(ticket, error, &path, cx);
        self.respond(&ticket.envelope, &Response::STOPPED, cx);
    }
}

// Streams, and the ends of subscriptions.
impl TrpcSession {
    /// A stream has an event. The next one may come when this one is written.
    pub(crate) fn stream_event(
        &mut self,
        ticket: &Ticket,
        response: &Response,
        window: Arc<Semaphore>,
        cx: Cx<'_, '_>,
    ) {
        if self.subscription(ticket).is_none() {
            return;
        }
        self.respond(&ticket.envelope, response, cx);
        if self.is_full(cx) {
            self.calls.held.push(window);
        } else {
            window.add_permits(1);
        }
    }

    pub(crate) fn stream_ended(
        &mut self,
        ticket: &Ticket,
        error: Option<&CallError>,
        cx: Cx<'_, '_>,
    ) {
        if self.subscription(ticket).is_none() {
            return;
        }
        match error {
            Some(error) => self.fail_subscription(ticket, error, cx),
            None => {
                self.end(ticket, cx.shared());
                self.respond(&ticket.envelope, &Response::STOPPED, cx);
            }
        }
    }

    /// The subscription that a ticket is of, while it lives.
    fn subscription(&mut self, ticket: &Ticket) -> Option<&mut Subscription> {
        let id = ticket.envelope.id.as_ref()?;
        self.calls.subscriptions.get_mut(id).filter(|of| of.serial == ticket.serial)
    }

    /// A subscription is over, if the ticket is of one that lives.
    fn end(&mut self, ticket: &Ticket, common: &mut Common) {
        if self.subscription(ticket).is_some()
            && let Some(id) = &ticket.envelope.id
        {
            self.forget(id, common);
        }
    }

    /// Ends the subscription of an id, and what is done for it; says whether there was one.
    fn forget(&mut self, id: &Id, common: &mut Common) -> bool {
        let Some(subscription) = self.calls.subscriptions.remove(id) else { return false };
        self.release(&subscription, common);
        if let Some(connection) = self.calls.connection {
            let path = &subscription.path;
            let event = SubscriptionsEvent::Unsubscribed { connection, path };
            self.plane.core.observer.observe(&event);
        }
        true
    }

    /// Ends all subscriptions; says how many there were.
    pub(crate) fn forget_all(&mut self, common: &mut Common) -> usize {
        let subscriptions = std::mem::take(&mut self.calls.subscriptions);
        for subscription in subscriptions.values() {
            self.release(subscription, common);
        }
        subscriptions.len()
    }

    fn release(&self, subscription: &Subscription, common: &mut Common) {
        if let State::Live(number) = subscription.state
            && let Some(subscriber) = common.index.remove(number)
        {
            self.plane.core.log.leave(&subscriber.path, common.shard);
            self.plane.core.counters.subscriptions.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
