//! Calls, as their callers have them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use super::error::CallError;
use super::session::{CallId, Request};
use crate::subscriptions::Payload;

/// The most calls of one client that are under way, subscriptions included.
const MAX_CALLS: usize = 10_000;

/// The most commands that wait for the driver. Who has one more waits.
const COMMANDS: usize = 256;

/// Makes calls. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Calls {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    commands: mpsc::Sender<Command>,
    /// The client is to be closed.
    closing: Arc<Notify>,
    /// Calls that nobody waits for any more: at most one word of each call, of which there
    /// are at most [`MAX_CALLS`].
    cancels: mpsc::UnboundedSender<CallId>,
    permits: Arc<Semaphore>,
    /// Counts from 1, as all clients do.
    last_id: AtomicU64,
    /// How many events of a call may wait.
    queue: usize,
}

/// A call that the driver is to make.
#[derive(Debug)]
pub(super) struct Command {
    pub(super) id: CallId,
    pub(super) request: Request,
    pub(super) sink: Sink,
}

/// What the driver gets from those who make calls.
#[derive(Debug)]
pub(super) struct Inbox {
    pub(super) commands: mpsc::Receiver<Command>,
    pub(super) cancels: mpsc::UnboundedReceiver<CallId>,
    pub(super) closing: Arc<Notify>,
}

/// Where the driver puts what happens to a call.
#[derive(Debug)]
pub(super) struct Sink {
    pub(super) events: mpsc::Sender<Happened>,
    /// How it ends, told before `events` is dropped: `None`, because it is over.
    pub(super) end: oneshot::Sender<Option<CallError>>,
}

/// What has happened to a call.
#[derive(Debug)]
pub(super) enum Happened {
    Started,
    Data { event_id: Option<String>, json: Option<Box<RawValue>> },
}

/// A call that is under way. Dropped, it is forgotten, and a subscription is stopped.
#[derive(Debug)]
pub(super) struct Call {
    id: CallId,
    calls: Calls,
    pub(super) events: mpsc::Receiver<Happened>,
    end: oneshot::Receiver<Option<CallError>>,
    ended: bool,
    _permit: OwnedSemaphorePermit,
}

// === impl Calls ===

impl Calls {
    pub(super) fn new(queue: usize) -> (Self, Inbox) {
        let (commands, command_receiver) = mpsc::channel(COMMANDS);
        let (cancels, cancel_receiver) = mpsc::unbounded_channel();
        let closing = Arc::new(Notify::new());
        let inbox = Inbox {
            commands: command_receiver,
            cancels: cancel_receiver,
            closing: Arc::clone(&closing),
        };
        let permits = Arc::new(Semaphore::new(MAX_CALLS));
        let last_id = AtomicU64::new(0);
        let shared = Arc::new(Shared { commands, closing, cancels, permits, last_id, queue });
        (Self { shared }, inbox)
    }

    pub(super) async fn start(&self, request: Request) -> Result<Call, CallError> {
        let permit = Arc::clone(&self.shared.permits).try_acquire_owned();
        let permit = permit.map_err(|_| CallError::TooMany { limit: MAX_CALLS })?;
        let id = self.shared.last_id.fetch_add(1, Ordering::Relaxed) + 1;
        let (sender, events) = mpsc::channel(self.shared.queue);
        let (end_sender, end) = oneshot::channel();
        let sink = Sink { events: sender, end: end_sender };
        let command = Command { id, request, sink };
        self.shared.commands.send(command).await.map_err(|_| CallError::Closed)?;
        Ok(Call { id, calls: self.clone(), events, end, ended: false, _permit: permit })
    }

    pub(super) async fn close(&self) {
        self.shared.closing.notify_one();
        self.shared.commands.closed().await;
    }
}

// === impl Call ===

impl Call {
    /// What happens next. `None`: it is over.
    pub(super) async fn next(&mut self) -> Option<Result<Happened, CallError>> {
        match self.events.recv().await {
            Some(happened) => Some(Ok(happened)),
            None => self.end().map(Err),
        }
    }

    /// How it has ended: told once.
    pub(super) fn end(&mut self) -> Option<CallError> {
        if std::mem::replace(&mut self.ended, true) {
            return None;
        }
        self.end.try_recv().unwrap_or(Some(CallError::Closed))
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        // It fails where the client is closed.
        let _ = self.calls.shared.cancels.send(self.id);
    }
}

/// The input as JSON. What takes no room and is `null` is undefined: `()`.
pub(super) fn encoded<I: Serialize>(input: &I) -> Result<Option<Payload>, CallError> {
    let payload = Payload::of(input).map_err(|error| CallError::Input(error.to_string()))?;
    Ok((size_of_val(input) > 0 || payload.json.get() != "null").then_some(payload))
}

/// Data of the expected type. What is undefined is `null`.
pub(super) fn decoded<T: DeserializeOwned>(json: Option<&RawValue>) -> Result<T, CallError> {
    let json = json.map_or("null", RawValue::get);
    serde_json::from_str(json).map_err(|error| CallError::Output(error.to_string()))
}
