//! What gives a session its sockets, its time and its commands.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use fanwire_wire::mqtt::QoS;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::sleep_until;

use super::super::outbox::{Outbox, pass_on};
use super::super::status::StatusTeller;
use super::Message;
use super::connection::{Happening, Road};
use super::error::MqttError;
use super::inbound::Delivery;
use super::link::SocketId;
use super::message::CheckedProperties;
use super::outbound::Outgoing;
use super::output::{Output, Token};
use super::session::Session;
use crate::realtime::Publication;

/// The most that waits to be read; more waits in the socket.
const INCOMING: usize = 64;

/// The most commands that are taken at once, and go out as one write.
const AT_ONCE: usize = 100;

/// The most publications that wait for the broker. Who has one more waits.
const MAX_WAITING: usize = 1024;

/// What a driver gets from those who have the client.
pub(super) struct Inputs {
    pub(super) commands: mpsc::Receiver<Command>,
    pub(super) dropped: mpsc::UnboundedReceiver<Dropped>,
    pub(super) closing: Arc<Notify>,
}

/// What is to be done, for somebody who waits.
pub(super) enum Command {
    Subscribe {
        filter: String,
        qos: QoS,
        done: oneshot::Sender<Result<Inbox, MqttError>>,
    },
    Publish {
        publication: Publication,
        properties: CheckedProperties,
        done: oneshot::Sender<Result<(), MqttError>>,
    },
}

/// What nobody has any more.
#[derive(Debug, Clone, Copy)]
pub(super) enum Dropped {
    Subscription(u64),
    /// It was read, or never will be.
    Message(Delivery),
}

/// What a subscription is read from. Dropped, wherever it is on its way to its reader, the
/// subscription is given back.
pub(super) struct Inbox {
    id: u64,
    pub(super) messages: mpsc::Receiver<Queued>,
    pub(super) lost: Arc<AtomicU64>,
    dropped: mpsc::WeakUnboundedSender<Dropped>,
}

/// A message that waits to be read. Taken from the queue it is acknowledged, unless it waits
/// in another one, too.
pub(super) struct Queued {
    pub(super) message: Message,
    _receipt: Option<Arc<Receipt>>,
}

struct Receipt {
    delivery: Delivery,
    /// Weak, for what waits in a queue does not keep the client.
    dropped: mpsc::WeakUnboundedSender<Dropped>,
}

/// Somebody who reads a subscription.
struct Reader {
    filter: String,
    messages: mpsc::Sender<Queued>,
    lost: Arc<AtomicU64>,
}

/// Somebody who waits.
enum Waiter {
    Subscriber { inbox: Inbox, done: oneshot::Sender<Result<Inbox, MqttError>> },
    Publisher(oneshot::Sender<Result<(), MqttError>>),
}

/// Runs a session.
pub(super) struct Driver {
    session: Session,
    road: Arc<Road>,
    status: StatusTeller,
    /// How many messages of QoS 0, and how many of QoS 1 and 2, may wait in a queue.
    room: (usize, usize),
    dropped: mpsc::WeakUnboundedSender<Dropped>,
    last_token: Token,
    waiters: HashMap<Token, Waiter>,
    readers: BTreeMap<u64, Reader>,
    /// Who reads what the broker knows by a subscription id.
    by_subscription: HashMap<u32, Vec<u64>>,
    /// What is to be written. Dropped, the connection is closed.
    sockets: BTreeMap<SocketId, Outbox<Vec<u8>>>,
    happenings: mpsc::Sender<(SocketId, Happening)>,
    happened: mpsc::Receiver<(SocketId, Happening)>,
}

// === impl Driver ===

impl Driver {
    pub(super) fn new(
        session: Session,
        road: Road,
        status: StatusTeller,
        room: (usize, usize),
        dropped: mpsc::WeakUnboundedSender<Dropped>,
    ) -> Self {
        let (happenings, happened) = mpsc::channel(INCOMING);
        Self {
            session,
            road: Arc::new(road),
            status,
            room,
            dropped,
            last_token: 0,
            waiters: HashMap::new(),
            readers: BTreeMap::new(),
            by_subscription: HashMap::new(),
            sockets: BTreeMap::new(),
            happenings,
            happened,
        }
    }

    /// Goes on until the client is closed, or nobody has it any more.
    pub(super) async fn run(mut self, mut inputs: Inputs) {
        let (mut batch, mut dropped) = (Vec::new(), Vec::new());
        loop {
            self.settle();
            let deadline = self.session.deadline();
            tokio::select! {
                // First what is over, so that nothing is done for it.
                biased;
                () = inputs.closing.notified() => break,
                count = inputs.dropped.recv_many(&mut dropped, AT_ONCE) => {
                    if count == 0 {
                        // Those who give commands have both ends, so nobody is left.
                        break;
                    }
                    dropped.drain(..).for_each(|dropped| self.forget(dropped));
                }
                () = pass_on(&mut self.sockets) => {}
                Some((socket, happening)) = self.happened.recv() => {
                    self.happen(socket, happening);
                }
                () = sleep_until(deadline.unwrap_or_else(Instant::now).into()),
                    if deadline.is_some() => self.session.tick(Instant::now()),
                _ = inputs.commands.recv_many(&mut batch, AT_ONCE), if self.has_room() => {
                    batch.drain(..).for_each(|command| self.obey(command));
                }
            }
        }
        self.session.shut_down();
        self.settle();
        self.status.tell_closed();
    }

    /// Whether new commands could be sent, or wait.
    fn has_room(&self) -> bool {
        self.session.waiting() < MAX_WAITING && self.sockets.values().all(Outbox::has_room)
    }

    fn obey(&mut self, command: Command) {
        self.last_token += 1;
        let token = self.last_token;
        match command {
            // Its caller has left.
            Command::Subscribe { done, .. } if done.is_closed() => {}
            Command::Subscribe { filter, qos, done } => {
                let subscription = self.session.subscribe(token, &filter, qos);
                let (sender, messages) = mpsc::channel(self.room.0 + self.room.1);
                let lost = Arc::new(AtomicU64::new(0));
                let reader = Reader { filter, messages: sender, lost: Arc::clone(&lost) };
                self.readers.insert(token, reader);
                self.by_subscription.entry(subscription).or_default().push(token);
                let inbox = Inbox { id: token, messages, lost, dropped: self.dropped.clone() };
                self.waiters.insert(token, Waiter::Subscriber { inbox, done });
            }
            Command::Publish { publication, properties, done } => {
                self.waiters.insert(token, Waiter::Publisher(done));
                self.session.publish(Outgoing { token, publication, properties });
            }
        }
    }

    fn forget(&mut self, dropped: Dropped) {
        match dropped {
            Dropped::Message(delivery) => self.session.acknowledge(delivery),
            Dropped::Subscription(id) => self.forget_reader(id),
        }
    }

    /// Gives the broker's subscription back with its last reader.
    fn forget_reader(&mut self, id: u64) {
        let Some(reader) = self.readers.remove(&id) else { return };
        self.by_subscription.retain(|_, readers| {
            readers.retain(|reader| *reader != id);
            !readers.is_empty()
        });
        if !self.readers.values().any(|other| other.filter == reader.filter) {
            self.session.unsubscribe(&reader.filter);
        }
    }

    fn happen(&mut self, socket: SocketId, happening: Happening) {
        let now = Instant::now();
        match happening {
            Happening::Opened(who) => self.session.opened(socket, &who, now),
            Happening::Bytes(bytes) => self.session.received(socket, &bytes, now),
            Happening::Failed(error) => {
                self.sockets.remove(&socket);
                self.status.failed(error);
                self.session.closed(socket, now);
            }
            Happening::Closed => {
                self.sockets.remove(&socket);
                self.session.closed(socket, now);
            }
        }
    }

    /// Does what the session wants, and says how it is.
    fn settle(&mut self) {
        while let Some(output) = self.session.poll(Instant::now()) {
            match output {
                Output::Connect(socket) => self.connect(socket),
                Output::Send(socket, bytes) => self.send(socket, bytes),
                Output::Close(socket) => _ = self.sockets.remove(&socket),
                Output::Message { message, subscriptions, delivery } => {
                    self.deliver(&message, &subscriptions, delivery);
                }
                Output::Done(token, result) => self.done(token, result),
                Output::Refused(reason, why) => {
                    self.status.failed(self.road.refused(reason as u8, why));
                }
            }
        }
        self.status.tell(self.session.is_connected(), self.session.failures());
    }

    fn connect(&mut self, socket: SocketId) {
        let (outbox, outgoing) = Outbox::new();
        self.sockets.insert(socket, outbox);
        tokio::spawn(Arc::clone(&self.road).run(socket, outgoing, self.happenings.clone()));
    }

    fn send(&mut self, socket: SocketId, bytes: Vec<u8>) {
        let Some(outbox) = self.sockets.get_mut(&socket) else { return };
        if outbox.put(bytes).is_err() {
            // It does not read.
            self.sockets.remove(&socket);
            self.session.closed(socket, Instant::now());
        }
    }

    fn deliver(&mut self, message: &Message, subscriptions: &[u32], delivery: Option<Delivery>) {
        let receipt =
            delivery.map(|delivery| Arc::new(Receipt { delivery, dropped: self.dropped.clone() }));
        let readers = subscriptions.iter().filter_map(|id| self.by_subscription.get(id)).flatten();
        for reader in readers.filter_map(|id| self.readers.get(id)) {
            let queued = Queued { message: message.clone(), _receipt: receipt.clone() };
            // What is left of the queue is for QoS 1 and 2, of which the broker sends no more.
            let has_room = receipt.is_some() || reader.messages.capacity() > self.room.1;
            if !has_room || reader.messages.try_send(queued).is_err() {
                reader.lost.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn done(&mut self, token: Token, result: Result<(), MqttError>) {
        match self.waiters.remove(&token) {
            // Whoever has left does not want to know.
            Some(Waiter::Publisher(done)) => _ = done.send(result),
            // So does a subscriber's inbox, which gives the subscription back.
            Some(Waiter::Subscriber { inbox, done }) => _ = done.send(result.map(|()| inbox)),
            None => {}
        }
    }
}

// === impl Receipt ===

impl Drop for Receipt {
    fn drop(&mut self) {
        tell(&self.dropped, Dropped::Message(self.delivery));
    }
}

// === impl Inbox ===

impl Drop for Inbox {
    fn drop(&mut self) {
        tell(&self.dropped, Dropped::Subscription(self.id));
    }
}

/// Tells the driver, if there is one.
fn tell(driver: &mpsc::WeakUnboundedSender<Dropped>, dropped: Dropped) {
    if let Some(driver) = driver.upgrade() {
        // It fails where the client is closed.
        let _ = driver.send(dropped);
    }
}
