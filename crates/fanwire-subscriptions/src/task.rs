//! What runs on the runtime for a connection: its context, its calls, its streams. Each tells
//! the connection by a command what came of it, once, even where it panics.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fanwire_hub::ConnectionId;
use fanwire_wire::trpc::{Envelope, ErrorCode, ErrorShape, ProcedureType, Response, Transformer};
use futures_util::StreamExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::AbortHandle;

use crate::observer::SubscriptionsEvent;
use crate::plane::{Subscriptions, response};
use crate::session::Command;
use crate::{Answer, Call, CallError, Context, EventStream, Interest, Opening};

/// Events of a stream that may be on their way to the connection, before the stream waits
/// until it has taken one.
const STREAM_WINDOW: usize = 16;

/// A task that ends with whoever holds this.
#[derive(Debug)]
pub(crate) struct Task(AbortHandle);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Which request of a connection something is about. An id may be used again once its
/// subscription is over; the serial number tells one from the other.
#[derive(Debug, Clone)]
pub(crate) struct Ticket {
    pub(crate) serial: u64,
    pub(crate) envelope: Envelope,
    pub(crate) kind: ProcedureType,
}

/// What came of a call.
pub(crate) enum Outcome {
    /// It is answered, well or not: nothing more comes.
    Answered(Response),
    /// The caller is subscribed to what is published.
    Subscribed(Interest),
    /// The caller is subscribed to a stream.
    Stream(EventStream),
}

/// What a client is told of an error.
pub(crate) fn error_response(
    error: &CallError,
    path: Option<&str>,
    transformer: Transformer,
) -> Response {
    let (message, data) = (error.message.as_str(), error.data.as_deref());
    Response::error(&ErrorShape { code: error.code, message, path, data }, transformer)
}

/// The error of something that panicked, or that the runtime has given up.
fn broken() -> CallError {
    CallError::new(ErrorCode::InternalServerError, "Internal server error")
}

fn timed_out(after: Duration) -> CallError {
    let after = format!("not answered within {} s", after.as_secs_f32());
    CallError::new(ErrorCode::Timeout, after)
}

/// A command that is sent when this is dropped: with what it was made with, unless it was
/// changed.
struct Told {
    plane: Subscriptions,
    connection: ConnectionId,
    command: Option<Command>,
}

impl Told {
    fn new(plane: &Subscriptions, connection: ConnectionId, command: Command) -> Self {
        Self { plane: plane.clone(), connection, command: Some(command) }
    }

    fn with(mut self, command: Command) {
        self.command = Some(command);
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        if let Some(command) = self.command.take() {
            self.plane.hub.reply(self.connection, command);
        }
    }
}

/// Makes the context of a connection.
pub(crate) fn make_context(plane: &Subscriptions, opening: Opening) -> Task {
    let told = Told::new(plane, opening.connection, Command::context(Err(broken())));
    let core = Arc::clone(&plane.core);
    let task = core.runtime.clone().spawn(async move {
        let limit = core.settings.limits.call_timeout;
        let made = tokio::time::timeout(limit, core.procedures.context(opening)).await;
        told.with(Command::context(made.unwrap_or_else(|_| Err(timed_out(limit)))));
    });
    Task(task.abort_handle())
}

/// Calls a procedure. The task runs on where what is returned is forgotten.
pub(crate) fn call(
    plane: &Subscriptions,
    ticket: Ticket,
    context: Context,
    call: Call,
    permit: OwnedSemaphorePermit,
) -> AbortHandle {
    let plane = plane.clone();
    let transformer = plane.core.settings.transformer;
    let failed = Outcome::Answered(error_response(&broken(), Some(&call.path), transformer));
    let told = Told::new(&plane, call.connection, Command::answered(ticket.clone(), failed));
    let task = plane.core.runtime.clone().spawn(async move {
        let outcome = outcome_of(&plane, context, call).await;
        drop(permit);
        told.with(Command::answered(ticket, outcome));
    });
    task.abort_handle()
}

async fn outcome_of(plane: &Subscriptions, context: Context, call: Call) -> Outcome {
    let core = &plane.core;
    let (connection, kind, path) = (call.connection, call.kind, call.path.clone());
    let began = Instant::now();
    let limit = core.settings.limits.call_timeout;
    let answer = tokio::time::timeout(limit, core.procedures.call(context, call)).await;
    let answer = answer.unwrap_or_else(|_| Err(timed_out(limit)));
    let answer = answer.and_then(|answer| fitting(kind, &path, answer));
    core.observer.observe(&SubscriptionsEvent::Called {
        connection,
        kind,
        path: &path,
        took: began.elapsed(),
        error: answer.as_ref().err(),
    });
    let transformer = core.settings.transformer;
    match answer {
        Ok(Answer::Value(value)) => Outcome::Answered(response(&value, None, transformer)),
        Ok(Answer::Subscribed(interest)) => Outcome::Subscribed(interest),
        Ok(Answer::Stream(stream)) => Outcome::Stream(stream),
        Err(error) => Outcome::Answered(error_response(&error, Some(&path), transformer)),
    }
}

/// Whether an answer is one to this kind of call; if not, what the server of tRPC says.
fn fitting(kind: ProcedureType, path: &str, answer: Answer) -> Result<Answer, CallError> {
    let is_subscription = kind == ProcedureType::Subscription;
    match answer {
        Answer::Value(_) if is_subscription => {
            let why =
                format!("Subscription {path} did not return an observable or a AsyncGenerator");
            Err(CallError::new(ErrorCode::InternalServerError, why))
        }
        Answer::Subscribed(_) | Answer::Stream(_) if !is_subscription => {
            let why = format!(
                "Cannot return an async iterable or observable from a {kind} procedure with WebSockets"
            );
            Err(CallError::new(ErrorCode::UnsupportedMediaType, why))
        }
        answer => Ok(answer),
    }
}

/// Sends the events of a stream. It waits whenever the connection has as many of them before
/// it as it may.
pub(crate) fn stream(
    plane: &Subscriptions,
    connection: ConnectionId,
    ticket: Ticket,
    mut stream: EventStream,
) -> Task {
    let told = Told::new(plane, connection, Command::ended(ticket.clone(), Some(broken())));
    let plane = plane.clone();
    let task = plane.core.runtime.clone().spawn(async move {
        let window = Arc::new(Semaphore::new(STREAM_WINDOW));
        let mut failure = None;
        while let Some(event) = stream.next().await {
            let event = match event {
                Ok(event) => event,
                Err(error) => {
                    failure = Some(error);
                    break;
                }
            };
            // It is never closed.
            if let Ok(permit) = window.acquire().await {
                permit.forget();
            }
            let transformer = plane.core.settings.transformer;
            let response = response(&event.data, event.id.as_deref(), transformer);
            let command = Command::event(ticket.clone(), response, Arc::clone(&window));
            plane.hub.reply(connection, command);
        }
        told.with(Command::ended(ticket, failure));
    });
    Task(task.abort_handle())
}

impl From<AbortHandle> for Task {
    fn from(handle: AbortHandle) -> Self {
        Self(handle)
    }
}
