//! What gives a session its sockets, its time and its commands.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::time::sleep_until;

use super::super::outbox::{Outbox, pass_on};
use super::super::status::StatusTeller;
use super::call::{Command, Happened, Inbox, Sink};
use super::connection::{Happening, Link};
use super::error::CallError;
use super::session::{CallEvent, CallId, Output, Session};
use super::socket::SocketId;

/// The most that waits to be read of all connections; more waits in the sockets.
const INCOMING: usize = 64;

/// The most commands that are taken at once: those go out as one batch.
const AT_ONCE: usize = 100;

/// Runs a session.
pub(super) struct Driver {
    session: Session,
    link: Arc<Link>,
    status: StatusTeller,
    /// How many events of a call may wait.
    queue: usize,
    sinks: HashMap<CallId, Sink>,
    /// What is to be written, by connection. Dropped, the connection is closed.
    sockets: BTreeMap<SocketId, Outbox<String>>,
    happenings: mpsc::Sender<(SocketId, Happening)>,
    happened: mpsc::Receiver<(SocketId, Happening)>,
}

// === impl Driver ===

impl Driver {
    pub(super) fn new(session: Session, link: Link, status: StatusTeller, queue: usize) -> Self {
        let (happenings, happened) = mpsc::channel(INCOMING);
        Self {
            session,
            link: Arc::new(link),
            status,
            queue,
            sinks: HashMap::new(),
            sockets: BTreeMap::new(),
            happenings,
            happened,
        }
    }

    /// Goes on until the client is closed, or nobody has it any more.
    pub(super) async fn run(mut self, mut inbox: Inbox) {
        let (mut batch, mut cancelled) = (Vec::new(), Vec::new());
        loop {
            self.settle();
            let deadline = self.session.deadline();
            tokio::select! {
                // First what is over, so that nothing is done for it.
                biased;
                () = inbox.closing.notified() => break,
                count = inbox.cancels.recv_many(&mut cancelled, AT_ONCE) => {
                    if count == 0 {
                        // Those who make calls have both ends, so nobody is left.
                        break;
                    }
                    cancelled.drain(..).for_each(|id| self.cancel(id));
                }
                () = pass_on(&mut self.sockets) => {}
                Some((socket, happening)) = self.happened.recv() => {
                    self.happen(socket, happening);
                }
                () = sleep_until(deadline.unwrap_or_else(Instant::now).into()),
                    if deadline.is_some() => self.session.tick(Instant::now()),
                _ = inbox.commands.recv_many(&mut batch, AT_ONCE), if self.has_room() => {
                    batch.drain(..).for_each(|command| self.call(command));
                }
            }
        }
        self.session.shut_down();
        self.settle();
        self.status.tell_closed();
    }

    /// Whether new calls could be written.
    fn has_room(&self) -> bool {
        self.sockets.values().all(Outbox::has_room)
    }

    fn call(&mut self, command: Command) {
        // Its caller may have left before it came.
        if !command.sink.events.is_closed() {
            self.sinks.insert(command.id, command.sink);
            self.session.call(command.id, command.request);
        }
    }

    fn cancel(&mut self, id: CallId) {
        if self.sinks.remove(&id).is_some() {
            self.session.cancel(id);
        }
    }

    fn happen(&mut self, socket: SocketId, happening: Happening) {
        let now = Instant::now();
        match happening {
            Happening::Opened(params) => {
                self.session.opened(socket, params, now);
            }
            Happening::Failed(error) => {
                self.sockets.remove(&socket);
                self.status.failed(error);
                self.session.failed(socket, now);
            }
            Happening::Text(text) => self.session.received(socket, &text, now),
            Happening::Closed => {
                self.sockets.remove(&socket);
                self.session.closed(socket, now);
            }
        }
    }

    /// Does what the session wants, and says how it is.
    fn settle(&mut self) {
        while let Some(output) = self.session.poll() {
            match output {
                Output::Connect(socket) => self.connect(socket),
                Output::Send(socket, text) => self.send(socket, text),
                Output::Close(socket) => _ = self.sockets.remove(&socket),
                Output::Event(call, event) => self.deliver(call, event),
            }
        }
        self.status.tell(self.session.is_connected(), self.session.failures());
    }

    fn connect(&mut self, socket: SocketId) {
        let (outbox, outgoing) = Outbox::new();
        self.sockets.insert(socket, outbox);
        tokio::spawn(Arc::clone(&self.link).run(socket, outgoing, self.happenings.clone()));
    }

    fn send(&mut self, socket: SocketId, text: String) {
        let Some(outbox) = self.sockets.get_mut(&socket) else { return };
        if outbox.put(text).is_err() {
            // It does not read.
            self.sockets.remove(&socket);
            self.session.closed(socket, Instant::now());
        }
    }

    fn deliver(&mut self, call: CallId, event: CallEvent) {
        let happened = match event {
            CallEvent::Started => Happened::Started,
            CallEvent::Data { event_id, json } => Happened::Data { event_id, json },
            CallEvent::Stopped => return self.end(call, None),
            CallEvent::Failed(error) => return self.end(call, Some(error)),
        };
        let Some(sink) = self.sinks.get(&call) else { return };
        if let Err(TrySendError::Full(_)) = sink.events.try_send(happened) {
            self.end(call, Some(CallError::Lagged { waiting: self.queue }));
            self.session.cancel(call);
        }
    }

    fn end(&mut self, call: CallId, error: Option<CallError>) {
        if let Some(sink) = self.sinks.remove(&call) {
            // Nobody may wait for it any more.
            let _ = sink.end.send(error);
        }
    }
}
