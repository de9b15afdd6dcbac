//! Where connections come in: a thread that accepts them, looks at what they begin with, and
//! passes them on.
//!
//! A client that speaks MQTT without TLS, bare or in a WebSocket, goes from here to its shard
//! where nobody has to be asked whether it may: it never sees the runtime, which would take
//! longer to take it in and to let it go than all the rest. Everybody else is served on the
//! runtime, and so is who is not quick.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fanwire_realtime::{Arrival, HttpArrival, MAX_PEEKED};
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token, Waker};
use slab::Slab;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::listener::{BACKLOG, serve, told_to};
use crate::mqtt::Opened;
use crate::port::{Opening, Port, Speech};
use crate::router::Router;
use crate::tls::ClientStream;

/// How long to wait where there is no place for another connection, or no descriptor.
const ACCEPT_BACK_OFF: Duration = Duration::from_millis(50);

/// How long a client may take for each thing that it begins with, until the runtime waits
/// for it.
const PATIENCE: Duration = Duration::from_secs(2);

/// How often those are looked for who have taken longer, while anybody waits.
const SWEEP: Duration = Duration::from_millis(250);

/// Clients that wait here at once; beyond, the runtime waits for them.
const MAX_WAITING: usize = 16_384;

/// Connections accepted before those that wait are looked at again.
const ACCEPTS_PER_TURN: usize = 64;

/// What the thread is woken by beside those who wait, whose places are their tokens.
const LISTENER: Token = Token(usize::MAX - 1);
const STOPPED: Token = Token(usize::MAX - 2);

/// Opens a listener to clients until `closed` says so; who has come by then is served until
/// `stopped`.
///
/// # Errors
///
/// What the system says to watching the listener, or to a thread.
pub(crate) fn open(
    listener: tokio::net::TcpListener,
    router: Arc<Router>,
    port: Port,
    closed: watch::Receiver<bool>,
    stopped: watch::Receiver<bool>,
) -> io::Result<()> {
    let mut listener = TcpListener::from_std(listener.into_std()?);
    let poll = Poll::new()?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let waker = Arc::new(Waker::new(poll.registry(), STOPPED)?);
    let mut told = closed.clone();
    let by_task = Arc::clone(&waker);
    tokio::spawn(async move {
        told_to(&mut told).await;
        // Where the thread has ended there is nobody to wake.
        let _ = by_task.wake();
    });
    let door = Door {
        listener,
        poll,
        waiting: Slab::new(),
        places: Arc::new(Semaphore::new(router.guard().max_handshakes())),
        runtime: Handle::current(),
        router,
        port,
        closed,
        stopped,
        _waker: waker,
    };
    std::thread::Builder::new().name("accept".to_owned()).spawn(move || door.stand_open())?;
    Ok(())
}

struct Door {
    listener: TcpListener,
    poll: Poll,
    /// Those of whom more has to be seen.
    waiting: Slab<Waiting>,
    /// For those that may speak HTTP, handshakes among them; others wait in the system's queue.
    /// Connections on shards do not count.
    places: Arc<Semaphore>,
    runtime: Handle,
    router: Arc<Router>,
    port: Port,
    closed: watch::Receiver<bool>,
    stopped: watch::Receiver<bool>,
    /// Held, because a waker that is dropped takes with it a wake that is not seen yet.
    _waker: Arc<Waker>,
}

struct Waiting {
    client: Client,
    until: Instant,
}

/// Somebody at the door.
struct Client {
    stream: TcpStream,
    peer: SocketAddr,
    /// Until its WebSocket is open it may speak HTTP.
    place: Option<OwnedSemaphorePermit>,
    /// The request of its WebSocket, once that is open.
    http: Option<HttpArrival>,
}

// === impl Door ===

impl Door {
    fn stand_open(mut self) {
        let mut events = Events::with_capacity(1024);
        let mut swept = Instant::now();
        let mut pause = None;
        while self.is_open() {
            let sweep = (!self.waiting.is_empty()).then_some(SWEEP);
            // It fails where a signal comes in between, and then nobody is ready.
            let _ = self.poll.poll(&mut events, pause.or(sweep));
            for event in &events {
                if let Some(waiting) = self.take(event.token().0) {
                    self.meet(waiting);
                }
            }
            pause = match self.let_in() {
                Ok(()) => Some(Duration::ZERO),
                Err(error) if error.kind() == ErrorKind::WouldBlock => None,
                // There are too many, the client has left, or descriptors have run out.
                Err(_) => Some(ACCEPT_BACK_OFF),
            };
            if swept.elapsed() >= SWEEP {
                swept = Instant::now();
                self.dismiss(swept);
            }
        }
        self.close();
    }

    /// Until the server closes it, or is gone.
    fn is_open(&self) -> bool {
        !*self.closed.borrow() && self.closed.has_changed().is_ok()
    }

    /// Closes the listener. Who has come by now, and would be reset with it, is left to the
    /// runtime.
    fn close(mut self) {
        self.dismiss(Instant::now() + PATIENCE);
        for _ in 0..BACKLOG {
            let Ok((stream, peer)) = self.listener.accept() else { return };
            let place = Arc::clone(&self.places).try_acquire_owned().ok();
            self.pass(Client { stream, peer, place, http: None }, None);
        }
    }

    /// Takes those who have come, or so many of them.
    fn let_in(&mut self) -> io::Result<()> {
        for _ in 0..ACCEPTS_PER_TURN {
            let place = Arc::clone(&self.places).try_acquire_owned().map_err(io::Error::other)?;
            let (stream, peer) = self.listener.accept()?;
            self.meet(Client { stream, peer, place: Some(place), http: None });
        }
        Ok(())
    }

    /// Looks at what a client has sent, and passes it on.
    fn meet(&mut self, client: Client) {
        let proxied = self.router.proxies().include(client.peer.ip());
        if proxied || !self.port.may_be_bare() || !self.router.has_realtime() {
            return self.pass(client, None);
        }
        let mut peeked = [0; MAX_PEEKED];
        match client.stream.peek(&mut peeked) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => self.wait(client),
            // It has left.
            Ok(0) | Err(_) => {}
            Ok(count) if client.http.is_some() => self.admit(client, &peeked[..count]),
            Ok(count) => match self.port.speech_of(peeked[0]) {
                Some(Speech::Mqtt) => self.admit(client, &peeked[..count]),
                Some(Speech::Http) => self.upgrade(client, &peeked[..count]),
                None => self.pass(client, Some(peeked[0])),
            },
        }
    }

    /// Lets a client into the broker whose first packet is there.
    fn admit(&mut self, client: Client, peeked: &[u8]) {
        let Client { stream, peer, place, http } = client;
        let arrival = Arrival { peer, tls: None, http };
        if let Some(stream) = self.router.mqtt_at_once(stream.into(), peeked, &arrival) {
            let (stream, http) = (TcpStream::from_std(stream), arrival.http);
            self.pass(Client { stream, peer, place, http }, Some(peeked[0]));
        }
    }

    /// Opens a WebSocket to the broker whose request is there.
    fn upgrade(&mut self, mut client: Client, peeked: &[u8]) {
        let only_realtime = self.port.is_for_realtime_only();
        let opened = self.router.realtime_upgrade_at_once(peeked, only_realtime);
        let Some(Opened { answer, http }) = opened else {
            return self.pass(client, Some(peeked[0]));
        };
        let mut taken = [0; MAX_PEEKED];
        // The request has been seen to be there, and nothing has been written yet that could
        // fill the socket: this fails only where the client has left.
        let told = client
            .stream
            .read_exact(&mut taken[..peeked.len()])
            .and_then(|()| client.stream.write_all(answer.as_bytes()));
        if told.is_ok() {
            (client.http, client.place) = (Some(http), None);
            self.wait(client);
        }
    }

    /// Has a client wait until there is more to see.
    fn wait(&mut self, mut client: Client) {
        if self.waiting.len() >= MAX_WAITING {
            return self.pass(client, None);
        }
        let entry = self.waiting.vacant_entry();
        let token = Token(entry.key());
        match self.poll.registry().register(&mut client.stream, token, Interest::READABLE) {
            Ok(()) => _ = entry.insert(Waiting { client, until: Instant::now() + PATIENCE }),
            Err(_) => self.pass(client, None),
        }
    }

    /// Takes a client out of those who wait.
    fn take(&mut self, key: usize) -> Option<Client> {
        let Waiting { mut client, .. } = self.waiting.try_remove(key)?;
        self.poll.registry().deregister(&mut client.stream).ok()?;
        Some(client)
    }

    /// Leaves those to the runtime who have taken too long.
    fn dismiss(&mut self, now: Instant) {
        let slow = self.waiting.iter().filter(|(_, waiting)| waiting.until <= now);
        let slow: Vec<usize> = slow.map(|(key, _)| key).collect();
        for key in slow {
            if let Some(client) = self.take(key) {
                self.pass(client, None);
            }
        }
    }

    /// Leaves a client to the runtime, with the first byte of what it sends where that is
    /// known.
    fn pass(&self, client: Client, first: Option<u8>) {
        let Client { stream, peer, place, http } = client;
        let (stream, router) = (std::net::TcpStream::from(stream), Arc::clone(&self.router));
        if let Some(http) = http {
            let arrival = Arrival { peer, tls: None, http: Some(http) };
            self.runtime.spawn(async move {
                if let Ok(stream) = tokio::net::TcpStream::from_std(stream) {
                    router.mqtt_in_websocket(ClientStream::Plain(stream), arrival).await;
                }
            });
            return;
        }
        let (port, stopped) = (self.port.clone(), self.stopped.clone());
        self.runtime.spawn(async move {
            serve(Opening { stream, first }, peer, router, port, stopped).await;
            drop(place);
        });
    }
}
