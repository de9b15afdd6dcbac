//! A process of clients of one kind, which counts what they hear and how long it took. The
//! system lets one process have only so many connections, so a crowd has several.
//!
//! It writes `open` once all are connected. Each line on its standard input asks for what was
//! heard since the last one, which it answers with one line of JSON.

use std::io::{BufRead as _, Write as _};
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::{Duration, Instant, SystemTime};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use serde::{Deserialize, Serialize};

use super::stream::{Stream, tls_config};
use crate::Result;
use crate::mqtt::packet::{self, Packet, QoS};
use crate::swarm::{dial, split_frame};

/// Clients that are in their handshake at once: fewer than a listener's backlog.
const HANDSHAKES: usize = 100;

/// How long nothing may happen while they connect.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often commands are looked for.
const TURN: Duration = Duration::from_millis(20);

const SCRATCH: usize = 64 * 1024;

/// The topic that MQTT clients subscribe to.
pub(super) const TOPIC: &str = "crowd";

/// What clients speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// WebSockets.
    Websocket,
    /// MQTT over TCP.
    Mqtt,
    /// WebSockets over TLS.
    Tls,
}

/// What was heard since the last report.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Heard {
    pub(super) messages: u64,
    /// How long each took, in microseconds, sorted.
    pub(super) took: Vec<u32>,
    /// Of this process, in bytes.
    pub(super) resident: u64,
}

struct Client {
    stream: Stream,
    kind: Kind,
    incoming: Vec<u8>,
    stage: Stage,
}

/// How far a client is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// It has yet to say something.
    Dialed,
    /// It waits for an answer: 101, or CONNACK.
    Asked,
    /// It waits for SUBACK.
    Subscribing,
    Open,
}

/// Runs such a process: `count` clients, in turn to each of the servers.
pub(crate) fn run(kind: Kind, count: usize, servers: &[SocketAddr]) -> Result<()> {
    let mut crowd = Crowd::new(kind, servers)?;
    crowd.grow(count)?;
    let mut out = std::io::stdout();
    writeln!(out, "open")?;
    let commands = commands();
    loop {
        crowd.turn(TURN)?;
        match commands.try_recv() {
            Ok(()) => {
                let mut heard = std::mem::take(&mut crowd.heard);
                heard.took.sort_unstable();
                heard.resident = crate::procfs::resident(std::process::id())?;
                writeln!(out, "{}", serde_json::to_string(&heard)?)?;
            }
            Err(TryRecvError::Empty) => {}
            Err(TryRecvError::Disconnected) => return Ok(()),
        }
    }
}

/// A word for each line of standard input.
fn commands() -> Receiver<()> {
    let (asked, commands) = channel();
    std::thread::spawn(move || {
        for _ in std::io::stdin().lock().lines() {
            if asked.send(()).is_err() {
                return;
            }
        }
    });
    commands
}

/// The time in microseconds, by a clock that all processes of the machine share.
pub(super) fn now_us() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_micros()).unwrap_or(u64::MAX)
}

struct Crowd<'s> {
    poll: Poll,
    events: Events,
    clients: Vec<Client>,
    kind: Kind,
    servers: &'s [SocketAddr],
    tls: Option<std::sync::Arc<rustls::ClientConfig>>,
    scratch: Box<[u8]>,
    open: usize,
    heard: Heard,
}

// === impl Crowd ===

impl<'s> Crowd<'s> {
    fn new(kind: Kind, servers: &'s [SocketAddr]) -> Result<Self> {
        Ok(Self {
            poll: Poll::new()?,
            events: Events::with_capacity(1024),
            clients: Vec::new(),
            kind,
            servers,
            tls: (kind == Kind::Tls).then(tls_config).transpose()?,
            scratch: vec![0; SCRATCH].into_boxed_slice(),
            open: 0,
            heard: Heard::default(),
        })
    }

    fn grow(&mut self, count: usize) -> Result<()> {
        let mut last = Instant::now();
        while self.open < count {
            while self.clients.len() < count && self.clients.len() - self.open < HANDSHAKES {
                self.dial()?;
            }
            let before = self.open;
            self.turn(Duration::from_secs(1))?;
            if self.open > before {
                last = Instant::now();
            } else if last.elapsed() > PATIENCE {
                return Err(
                    format!("{} of {count} clients are connected, and no more", self.open).into()
                );
            }
        }
        Ok(())
    }

    fn dial(&mut self) -> Result<()> {
        let nth = self.clients.len();
        let server = self.servers[nth % self.servers.len()];
        let mut socket = TcpStream::from_std(dial(nth, server)?);
        self.poll.registry().register(&mut socket, Token(nth), Interest::READABLE)?;
        let stream = Stream::new(socket, self.tls.as_ref())?;
        let mut client =
            Client { stream, kind: self.kind, incoming: Vec::new(), stage: Stage::Dialed };
        client.stream.flush()?;
        client.go_on(nth)?;
        self.clients.push(client);
        Ok(())
    }

    fn turn(&mut self, patience: Duration) -> Result<()> {
        self.poll.poll(&mut self.events, Some(patience))?;
        for event in &self.events {
            let nth = event.token().0;
            let client = &mut self.clients[nth];
            let was_open = client.stage == Stage::Open;
            if !client.stream.read(&mut self.scratch, &mut client.incoming)? {
                return Err(format!("the server closed connection {nth}").into());
            }
            client.go_on(nth)?;
            client.take(nth, &mut self.heard)?;
            self.open += usize::from(!was_open && client.stage == Stage::Open);
        }
        Ok(())
    }
}

// === impl Client ===

impl Client {
    /// Says the first words, once it can.
    fn go_on(&mut self, nth: usize) -> Result<()> {
        if self.stage == Stage::Dialed && self.stream.is_open() {
            self.stage = Stage::Asked;
            let words = match self.kind {
                Kind::Mqtt => packet::connect(&format!("crowd-{}-{nth}", std::process::id())),
                Kind::Websocket | Kind::Tls => UPGRADE.as_bytes().to_vec(),
            };
            self.stream.send(&words)?;
        }
        Ok(())
    }

    /// Takes what has come in whole.
    fn take(&mut self, nth: usize, heard: &mut Heard) -> Result<()> {
        let incoming = std::mem::take(&mut self.incoming);
        let mut taken = 0;
        loop {
            let rest = &incoming[taken..];
            let Some(count) = (match self.kind {
                Kind::Mqtt => self.packet(rest, heard)?,
                Kind::Websocket | Kind::Tls if self.stage == Stage::Asked => {
                    self.upgraded(rest, nth)?
                }
                Kind::Websocket | Kind::Tls => {
                    let frame = split_frame(rest);
                    if let Some((0x81, payload, _)) = frame {
                        hear(payload, heard);
                    }
                    frame.map(|(.., count)| count)
                }
            }) else {
                break;
            };
            taken += count;
        }
        // A buffer that is not needed is given back: there are very many.
        self.incoming = incoming[taken..].to_vec();
        Ok(())
    }

    fn packet(&mut self, bytes: &[u8], heard: &mut Heard) -> Result<Option<usize>> {
        let Some((packet, count)) = Packet::split(bytes) else { return Ok(None) };
        match packet {
            Packet::ConnAck(0) => {
                self.stream.send(&packet::subscribe(TOPIC, QoS::AtMostOnce))?;
                self.stage = Stage::Subscribing;
            }
            Packet::SubAck(0) => self.stage = Stage::Open,
            Packet::ConnAck(code) | Packet::SubAck(code) => {
                return Err(format!("a client was refused with code {code}").into());
            }
            Packet::Publish { payload, .. } => hear(payload, heard),
            _ => {}
        }
        Ok(Some(count))
    }

    fn upgraded(&mut self, bytes: &[u8], nth: usize) -> Result<Option<usize>> {
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
            return Ok(None);
        };
        if !bytes.starts_with(b"HTTP/1.1 101") {
            let response = String::from_utf8_lossy(&bytes[..end]);
            return Err(format!("handshake {nth} was refused: {response}").into());
        }
        self.stage = Stage::Open;
        Ok(Some(end + 4))
    }
}

const UPGRADE: &str = "GET /dev HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n\
    Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// Counts a message, which begins with the time at which it was sent.
fn hear(payload: &[u8], heard: &mut Heard) {
    let sent =
        payload.split(|byte| *byte == b' ').next().and_then(|digits| str::from_utf8(digits).ok());
    if let Some(sent) = sent.and_then(|digits| digits.parse::<u64>().ok()) {
        heard.messages += 1;
        heard.took.push(u32::try_from(now_us().saturating_sub(sent)).unwrap_or(u32::MAX));
    }
}
