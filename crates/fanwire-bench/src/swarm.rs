//! Very many WebSocket clients on one thread, light enough not to be what is measured:
//! one read buffer for all, no timers, and frames that are encoded once.

use std::cell::Cell;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use rustix::net::{AddressFamily, SocketType, bind, connect, socket};

use crate::Result;
use crate::server::Server;

/// Clients that share a source address, which must be fewer than there are ephemeral
/// ports (28,232 by Linux's default).
const CLIENTS_PER_SOURCE: usize = 20_000;

/// How long without any progress until the server is said to hang.
const PATIENCE: Duration = Duration::from_secs(30);

/// Clients that have a request under way at once.
const ASKING: usize = 100;

const SCRATCH: usize = 256 * 1024;

/// The mask of all frames. A server has to unmask all the same.
const MASK: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];

/// The clients.
pub(crate) struct Swarm {
    poll: Poll,
    events: Events,
    clients: Vec<Client>,
    scratch: Box<[u8]>,
}

struct Client {
    socket: TcpStream,
    /// The response to the handshake has been read.
    open: bool,
    /// A response or frame that has not fully arrived.
    partial: Vec<u8>,
}

/// What a client does about a message.
pub(crate) enum Then<'a> {
    /// Nothing.
    Wait,
    /// Sends a frame made by [`frame`].
    Send(&'a [u8]),
}

impl Swarm {
    /// Clients without connections yet.
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            poll: Poll::new()?,
            events: Events::with_capacity(1024),
            clients: Vec::new(),
            scratch: vec![0; SCRATCH].into_boxed_slice(),
        })
    }

    /// Connects clients until there are `count`.
    pub(crate) fn grow(&mut self, count: usize, server: &Server) -> Result<()> {
        let request = format!(
            "GET {} HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            server.path,
            server.address(),
        );
        while self.clients.len() < count {
            let opened = self.clients.len();
            let batch = opened..count.min(opened + server.handshakes);
            for nth in batch.clone() {
                let mut socket = TcpStream::from_std(dial(nth, server.address())?);
                self.poll.registry().register(&mut socket, Token(nth), Interest::READABLE)?;
                write_all(&mut socket, request.as_bytes())?;
                self.clients.push(Client { socket, open: false, partial: Vec::new() });
            }
            self.turn_until(
                |swarm| swarm.clients[batch.clone()].iter().all(|client| client.open),
                |_, _| Then::Wait,
            )?;
        }
        Ok(())
    }

    /// Sends a frame made by [`frame`].
    pub(crate) fn send(&mut self, client: usize, frame: &[u8]) -> Result<()> {
        Ok(write_all(&mut self.clients[client].socket, frame)?)
    }

    /// Has every client send a frame made by [`frame`], and waits until each has heard a
    /// message with `answer` in it.
    pub(crate) fn ask_all(&mut self, frame: &[u8], answer: &str) -> Result<()> {
        let wanted = answer.as_bytes();
        for start in (0..self.clients.len()).step_by(ASKING) {
            let batch = start..self.clients.len().min(start + ASKING);
            let answered = Cell::new(0);
            for nth in batch.clone() {
                self.send(nth, frame)?;
            }
            self.turn_until(
                |_| answered.get() == batch.len(),
                |_, payload| {
                    if payload.windows(wanted.len()).any(|part| part == wanted) {
                        answered.set(answered.get() + 1);
                    }
                    Then::Wait
                },
            )?;
        }
        Ok(())
    }

    /// Takes turns until `done`, or until nothing has come for too long.
    pub(crate) fn turn_until<'a>(
        &mut self,
        done: impl Fn(&Self) -> bool,
        mut heard: impl FnMut(usize, &[u8]) -> Then<'a>,
    ) -> Result<()> {
        let mut last = Instant::now();
        while !done(self) {
            if self.turn(Duration::from_secs(1), &mut heard)? {
                last = Instant::now();
            } else if last.elapsed() > PATIENCE {
                return Err(format!("nothing came for {} s", PATIENCE.as_secs()).into());
            }
        }
        Ok(())
    }

    /// Waits for messages, for `patience` at the most, and hands them to `heard` with
    /// the number of their client. Tells whether anything came.
    pub(crate) fn turn<'a>(
        &mut self,
        patience: Duration,
        heard: &mut impl FnMut(usize, &[u8]) -> Then<'a>,
    ) -> Result<bool> {
        self.poll.poll(&mut self.events, Some(patience))?;
        let mut came = false;
        for event in &self.events {
            let nth = event.token().0;
            came = true;
            self.clients[nth].read(nth, &mut self.scratch, heard)?;
        }
        Ok(came)
    }
}

impl Client {
    fn read<'a>(
        &mut self,
        nth: usize,
        scratch: &mut [u8],
        heard: &mut impl FnMut(usize, &[u8]) -> Then<'a>,
    ) -> Result<()> {
        loop {
            let count = match self.socket.read(scratch) {
                Ok(0) => return Err(format!("the server closed connection {nth}").into()),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            if self.partial.is_empty() {
                let taken = self.take(nth, &scratch[..count], heard)?;
                self.partial.extend_from_slice(&scratch[taken..count]);
            } else {
                let mut joined = std::mem::take(&mut self.partial);
                joined.extend_from_slice(&scratch[..count]);
                let taken = self.take(nth, &joined, heard)?;
                joined.drain(..taken);
                self.partial = joined;
            }
            if self.partial.is_empty() {
                self.partial = Vec::new();
            }
            if count < scratch.len() {
                return Ok(());
            }
        }
    }

    /// Takes the handshake's response and whole frames, and tells how many bytes those
    /// were.
    fn take<'a>(
        &mut self,
        nth: usize,
        bytes: &[u8],
        heard: &mut impl FnMut(usize, &[u8]) -> Then<'a>,
    ) -> Result<usize> {
        let mut taken = 0;
        if !self.open {
            let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
                return Ok(0);
            };
            if !bytes.starts_with(b"HTTP/1.1 101") {
                let response = String::from_utf8_lossy(&bytes[..end]);
                return Err(format!("a handshake was refused: {response}").into());
            }
            self.open = true;
            taken = end + 4;
        }
        while let Some((first, payload, len)) = split_frame(&bytes[taken..]) {
            taken += len;
            match first {
                0x81 | 0x82 => {
                    if let Then::Send(frame) = heard(nth, payload) {
                        write_all(&mut self.socket, frame)?;
                    }
                }
                // Nobody pings so often that a measurement without pongs would notice.
                0x89 | 0x8A => {}
                0x88 => return Err(format!("the server said goodbye to connection {nth}").into()),
                first => return Err(format!("a frame that starts with {first:#x}").into()),
            }
        }
        Ok(taken)
    }
}

/// A text message as a client sends it.
pub(crate) fn frame(text: &str) -> Vec<u8> {
    let mut frame = vec![0x81];
    match text.len() {
        len @ 0..=125 => frame.push(0x80 | len as u8),
        len => {
            frame.push(0x80 | 126);
            frame.extend(u16::try_from(len).unwrap_or(u16::MAX).to_be_bytes());
        }
    }
    frame.extend(MASK);
    frame.extend(text.bytes().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

/// The first whole frame: its first byte, its payload, and its length with its header.
pub(crate) fn split_frame(bytes: &[u8]) -> Option<(u8, &[u8], usize)> {
    let (header, len) = match bytes {
        [_, 127, rest @ ..] => (10, u64::from_be_bytes(*rest.first_chunk()?) as usize),
        [_, 126, rest @ ..] => (4, usize::from(u16::from_be_bytes(*rest.first_chunk()?))),
        [_, len, ..] => (2, usize::from(*len)),
        _ => return None,
    };
    Some((bytes[0], bytes.get(header..header + len)?, header + len))
}

/// Connects from one of the loopback addresses, 127.0.0.1 and up.
pub(crate) fn dial(nth: usize, server: SocketAddr) -> Result<std::net::TcpStream> {
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    let source = u8::try_from(1 + nth / CLIENTS_PER_SOURCE).map_err(|_| "too many clients")?;
    if source > 1 {
        bind(&socket, &SocketAddr::from((Ipv4Addr::new(127, 0, 0, source), 0)))?;
    }
    connect(&socket, &server)?;
    let stream = std::net::TcpStream::from(socket);
    stream.set_nodelay(true)?;
    stream.set_nonblocking(true)?;
    Ok(stream)
}

/// Writes a short frame, whose socket has room for it: it waits for an answer.
fn write_all(socket: &mut TcpStream, bytes: &[u8]) -> io::Result<()> {
    match socket.write(bytes)? {
        count if count == bytes.len() => Ok(()),
        _ => Err(io::Error::new(ErrorKind::WriteZero, "a socket is full of requests")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_split_at_their_ends_only() {
        for len in [0usize, 125, 126, 65_536] {
            let header = match len {
                0..=125 => vec![0x81, len as u8],
                126..=65_535 => [&[0x81, 126][..], &(len as u16).to_be_bytes()].concat(),
                _ => [&[0x81, 127][..], &(len as u64).to_be_bytes()].concat(),
            };
            let bytes = [header, vec![7; len], vec![0x81]].concat();
            let end = bytes.len() - 1;
            assert_eq!(split_frame(&bytes).unwrap().2, end);
            assert_eq!(split_frame(&bytes[..end - 1]), None);
        }
    }
}
