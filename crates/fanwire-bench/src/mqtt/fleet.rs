//! Very many MQTT clients on one thread, light enough not to be what is measured.

use std::io::{ErrorKind, Read as _, Write as _};
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use super::broker::Endpoint;
use super::incoming::Incoming;
use super::packet::{self, Packet, QoS, Transport};
use crate::Result;
use crate::swarm::dial;

/// Clients that are in their handshake at once: fewer than a listener's backlog.
const HANDSHAKES: usize = 100;

/// How long a handshake may take.
const PATIENCE: Duration = Duration::from_secs(30);

const SCRATCH: usize = 256 * 1024;

/// The clients.
pub(super) struct Fleet {
    poll: Poll,
    events: Events,
    clients: Vec<Client>,
    scratch: Box<[u8]>,
    /// Clients whose socket has not taken all of what they send.
    blocked: Vec<usize>,
}

/// One of them.
pub(super) struct Client {
    socket: TcpStream,
    transport: Transport,
    incoming: Incoming,
    /// What the socket has not taken yet.
    out: Vec<u8>,
    /// The broker has answered so many of the handshake's packets.
    answers: u8,
}

// === impl Fleet ===

impl Fleet {
    /// Clients without connections yet.
    pub(super) fn new() -> Result<Self> {
        Ok(Self {
            poll: Poll::new()?,
            events: Events::with_capacity(1024),
            clients: Vec::new(),
            scratch: vec![0; SCRATCH].into_boxed_slice(),
            blocked: Vec::new(),
        })
    }

    pub(super) fn len(&self) -> usize {
        self.clients.len()
    }

    /// Connects clients until there are `count`. Each subscribes to what `filter` says for
    /// its number, if anything.
    pub(super) fn grow(
        &mut self,
        count: usize,
        endpoint: &Endpoint,
        filter: impl Fn(usize) -> Option<(String, QoS)>,
    ) -> Result<()> {
        while self.len() < count {
            let opened = self.len();
            let batch = opened..count.min(opened + HANDSHAKES);
            for nth in batch.clone() {
                let client = Client::dial(nth, endpoint, self.poll.registry(), Token(nth))?;
                self.clients.push(client);
            }
            self.turn_until(|fleet| fleet.clients[batch.clone()].iter().all(Client::is_open))?;
            for nth in batch.clone() {
                self.send(nth, &packet::connect(&format!("client-{nth}")))?;
            }
            self.turn_until(|fleet| fleet.have_answers(batch.clone(), 1))?;
            for nth in batch.clone() {
                match filter(nth) {
                    Some((filter, qos)) => self.send(nth, &packet::subscribe(&filter, qos))?,
                    None => self.clients[nth].answers += 1,
                }
            }
            self.turn_until(|fleet| fleet.have_answers(batch.clone(), 2))?;
        }
        Ok(())
    }

    /// Sends a packet.
    pub(super) fn send(&mut self, nth: usize, packet: &[u8]) -> Result<()> {
        let client = &mut self.clients[nth];
        client.push(packet);
        self.flush(nth)
    }

    /// Adds a packet to what the next [`flush`](Self::flush) sends.
    pub(super) fn push(&mut self, nth: usize, packet: &[u8]) {
        self.clients[nth].push(packet);
    }

    /// Sends what has been pushed in one write.
    pub(super) fn flush(&mut self, nth: usize) -> Result<()> {
        if !self.clients[nth].flush()? {
            self.blocked.push(nth);
        }
        Ok(())
    }

    /// Waits for packets, for `patience` at the most, acknowledges those that want it and
    /// hands them to `heard` with the number of their client. Tells whether anything came.
    pub(super) fn turn(
        &mut self,
        patience: Duration,
        heard: &mut impl FnMut(usize, Packet<'_>),
    ) -> Result<bool> {
        for nth in std::mem::take(&mut self.blocked) {
            self.flush(nth)?;
        }
        let short = Duration::from_millis(1);
        let patience = if self.blocked.is_empty() { patience } else { patience.min(short) };
        self.poll.poll(&mut self.events, Some(patience))?;
        let mut came = false;
        for event in &self.events {
            let nth = event.token().0;
            came = true;
            let client = &mut self.clients[nth];
            if !client.read(&mut self.scratch, &mut |packet| heard(nth, packet))? {
                return Err(format!("the broker closed connection {nth}").into());
            }
            if !client.flush()? {
                self.blocked.push(nth);
            }
        }
        Ok(came)
    }

    fn turn_until(&mut self, done: impl Fn(&Self) -> bool) -> Result<()> {
        let mut last = Instant::now();
        while !done(self) {
            if self.turn(Duration::from_secs(1), &mut |_, _| ())? {
                last = Instant::now();
            } else if last.elapsed() > PATIENCE {
                return Err(format!("no answer for {} s", PATIENCE.as_secs()).into());
            }
        }
        Ok(())
    }

    fn have_answers(&self, mut clients: std::ops::Range<usize>, count: u8) -> bool {
        clients.all(|nth| self.clients[nth].answers >= count)
    }
}

// === impl Client ===

impl Client {
    /// Connects, and asks for a WebSocket where one is wanted.
    pub(super) fn dial(
        nth: usize,
        endpoint: &Endpoint,
        registry: &mio::Registry,
        token: Token,
    ) -> Result<Self> {
        let mut socket = TcpStream::from_std(dial(nth, endpoint.address)?);
        registry.register(&mut socket, token, Interest::READABLE)?;
        let transport = endpoint.transport;
        let incoming = Incoming::new(transport);
        let mut client = Self { socket, transport, incoming, out: Vec::new(), answers: 0 };
        if transport == Transport::Websocket {
            client.out.extend(
                format!(
                    "GET {} HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                     Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n\
                     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
                    endpoint.path, endpoint.address,
                )
                .as_bytes(),
            );
            client.flush()?;
        }
        Ok(client)
    }

    /// Whether packets can be sent yet.
    pub(super) fn is_open(&self) -> bool {
        self.incoming.is_open()
    }

    /// Whether the broker has accepted the client.
    pub(super) fn is_connected(&self) -> bool {
        self.answers > 0
    }

    /// Adds a packet to what is sent next.
    pub(super) fn push(&mut self, packet: &[u8]) {
        self.transport.wrap(packet, &mut self.out);
    }

    /// Sends what has been pushed. Tells whether the socket took it all.
    pub(super) fn flush(&mut self) -> Result<bool> {
        let mut sent = 0;
        while sent < self.out.len() {
            match self.socket.write(&self.out[sent..]) {
                Ok(count) => sent += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
        self.out.drain(..sent);
        Ok(self.out.is_empty())
    }

    /// Reads what there is. Tells whether there will be more.
    pub(super) fn read(
        &mut self,
        scratch: &mut [u8],
        heard: &mut impl FnMut(Packet<'_>),
    ) -> Result<bool> {
        let mut refused = None;
        loop {
            let count = match self.socket.read(scratch) {
                Ok(0) => return Ok(false),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(false),
                Err(error) => return Err(error.into()),
            };
            let Self { transport, incoming, out, answers, .. } = self;
            incoming.feed(&scratch[..count], &mut |packet| {
                match packet {
                    Packet::ConnAck(0) | Packet::SubAck(0..=2) => *answers += 1,
                    Packet::ConnAck(code) | Packet::SubAck(code) => refused = Some(code),
                    Packet::Publish { id: Some(id), .. } => {
                        transport.wrap(&packet::puback(id), out);
                    }
                    _ => {}
                }
                heard(packet);
            })?;
            if count < scratch.len() {
                break;
            }
        }
        match refused {
            Some(code) => Err(format!("the broker refused a client with code {code}").into()),
            None => Ok(true),
        }
    }
}
