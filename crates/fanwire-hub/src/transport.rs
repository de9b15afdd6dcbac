//! What a connection's bytes go over: a bare socket, or TLS on one.
//!
//! TLS is done where the connection lives, on its shard. A task that decrypts beside
//! it would cost a second socket, its buffers, and a wake-up for every message.

use std::io::{self, ErrorKind, IoSlice, Read as _, Write};
use std::net::Shutdown;

use mio::net::TcpStream;
use rustls::ServerConnection;

use crate::outbound::Flushed;

/// Encrypted bytes that wait for a peer that does not read, at the most; what is more
/// waits as plain text in the connection's queue.
const MAX_ENCRYPTED: usize = 32 * 1024;

/// Reads from a socket for one read of plain text. A peer that sends records with
/// nothing in them must not keep its shard to itself.
const MAX_RAW_READS: usize = 16;

/// What a connection's bytes go over.
#[derive(Debug)]
pub struct Transport(Kind);

#[derive(Debug)]
enum Kind {
    Plain(TcpStream),
    // Behind a pointer, because TLS has a kilobyte of state that plain connections lack.
    Tls(Box<Tls>),
}

#[derive(Debug)]
struct Tls {
    socket: TcpStream,
    connection: ServerConnection,
}

/// What came of an attempt to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Received {
    /// So many bytes, perhaps none, and there may be more.
    Some(usize),
    /// So many bytes, and the socket has no more for now: readiness will tell of the next.
    Last(usize),
    /// The peer sends nothing more.
    End,
}

// === impl Transport ===

impl Transport {
    /// TLS over `socket`, which has to be non-blocking, with its handshake done. What
    /// `connection` has read, decrypted or encrypted already is not lost.
    pub fn tls(socket: std::net::TcpStream, mut connection: ServerConnection) -> Self {
        connection.set_buffer_limit(Some(MAX_ENCRYPTED));
        let socket = TcpStream::from_std(socket);
        Self(Kind::Tls(Box::new(Tls { socket, connection })))
    }

    /// What is registered for readiness.
    pub(crate) fn socket(&mut self) -> &mut TcpStream {
        match &mut self.0 {
            Kind::Plain(socket) => socket,
            Kind::Tls(tls) => &mut tls.socket,
        }
    }

    /// Whether bytes may be there to read that the socket's readiness does not tell of.
    pub(crate) fn may_hold_input(&self) -> bool {
        match &self.0 {
            Kind::Plain(_) => false,
            Kind::Tls(tls) => !tls.connection.wants_read(),
        }
    }

    /// Whether bytes are taken from the connection's queue that the socket has yet to
    /// take. Never so for a bare socket.
    pub(crate) fn holds_output(&self) -> bool {
        match &self.0 {
            Kind::Plain(_) => false,
            Kind::Tls(tls) => tls.connection.wants_write(),
        }
    }

    /// Reads into `buffer`, which has room.
    ///
    /// # Errors
    ///
    /// `WouldBlock` where there is nothing for now, and what else the socket, or TLS,
    /// fails with.
    pub(crate) fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Received> {
        match &mut self.0 {
            Kind::Plain(socket) => match socket.read(buffer)? {
                0 => Ok(Received::End),
                // A read that does not fill the buffer has emptied the socket.
                count if count < buffer.len() => Ok(Received::Last(count)),
                count => Ok(Received::Some(count)),
            },
            Kind::Tls(tls) => tls.receive(buffer),
        }
    }

    /// Says goodbye as the transport does it, once everything before is written: where
    /// the socket takes it only in part, the rest leaves with the next flush.
    pub(crate) fn end_output(&mut self) -> io::Result<Flushed> {
        match &mut self.0 {
            Kind::Plain(_) => Ok(Flushed::All),
            Kind::Tls(tls) => {
                tls.connection.send_close_notify();
                tls.push()
            }
        }
    }

    /// Tells the peer's system that nothing more comes.
    pub(crate) fn shutdown_write(&self) -> io::Result<()> {
        match &self.0 {
            Kind::Plain(socket) => socket.shutdown(Shutdown::Write),
            Kind::Tls(tls) => tls.socket.shutdown(Shutdown::Write),
        }
    }
}

impl From<std::net::TcpStream> for Transport {
    /// A bare socket, which has to be non-blocking.
    fn from(socket: std::net::TcpStream) -> Self {
        Self(Kind::Plain(TcpStream::from_std(socket)))
    }
}

/// Writing counts bytes as soon as they are in the transport's hands; flushing ends
/// with the socket having them.
impl Write for Transport {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.0 {
            Kind::Plain(socket) => socket.write(bytes),
            Kind::Tls(tls) => tls.send(|writer| writer.write(bytes)),
        }
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match &mut self.0 {
            Kind::Plain(socket) => socket.write_vectored(slices),
            Kind::Tls(tls) => tls.send(|writer| writer.write_vectored(slices)),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.0 {
            Kind::Plain(_) => Ok(()),
            Kind::Tls(tls) => match tls.push()? {
                Flushed::All => Ok(()),
                Flushed::Blocked => Err(ErrorKind::WouldBlock.into()),
            },
        }
    }
}

// === impl Tls ===

impl Tls {
    /// Decrypts into `buffer` until it is full, the socket is empty, or the peer has had
    /// its turn.
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Received> {
        let mut count = 0;
        let mut emptied = false;
        for _ in 0..MAX_RAW_READS {
            let ended = loop {
                match self.connection.reader().read(&mut buffer[count..]) {
                    Ok(0) => break count < buffer.len(),
                    Ok(more) => count += more,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break false,
                    // The socket ended without TLS's own goodbye, as many clients end it.
                    // Whether anything is missing is for the protocol inside to know.
                    Err(error) if error.kind() == ErrorKind::UnexpectedEof => break true,
                    Err(error) => return Err(error),
                }
            };
            if ended && count == 0 {
                return Ok(Received::End);
            }
            if ended || count == buffer.len() {
                return Ok(Received::Some(count));
            }
            if emptied && count > 0 {
                return Ok(Received::Last(count));
            }
            match self.pull() {
                Ok(short) => emptied = short,
                Err(error) if error.kind() == ErrorKind::WouldBlock && count > 0 => {
                    return Ok(Received::Last(count));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Received::Some(count))
    }

    /// Reads once from the socket and decrypts what is whole. Says whether the read has
    /// emptied the socket.
    fn pull(&mut self) -> io::Result<bool> {
        let mut source = Source { socket: &self.socket, short: false };
        while let Err(error) = self.connection.read_tls(&mut source) {
            if error.kind() != ErrorKind::Interrupted {
                return Err(error);
            }
        }
        let short = source.short;
        if let Err(error) = self.connection.process_new_packets() {
            // The peer is told what it did wrong, where it still reads.
            let _ = self.push();
            return Err(io::Error::new(ErrorKind::InvalidData, error));
        }
        Ok(short)
    }

    /// Encrypts what `write` gives and writes it. Counts what is encrypted: it is TLS's
    /// from then on, and in order, even where the socket did not take it yet.
    fn send(
        &mut self,
        mut write: impl FnMut(&mut rustls::Writer<'_>) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let count = write(&mut self.connection.writer())?;
        match self.push()? {
            // It was full, and is so no more.
            Flushed::All if count == 0 => {
                let count = write(&mut self.connection.writer())?;
                self.push()?;
                Ok(count)
            }
            Flushed::Blocked if count == 0 => Err(ErrorKind::WouldBlock.into()),
            _ => Ok(count),
        }
    }

    /// Writes what is encrypted until nothing is left or the socket takes no more.
    fn push(&mut self) -> io::Result<Flushed> {
        while self.connection.wants_write() {
            match self.connection.write_tls(&mut self.socket) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Flushed::Blocked),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Flushed::All)
    }
}

/// A socket that notes when a read did not fill the buffer, which means that the socket
/// is empty. The end of the stream, which reads nothing, is no such read.
struct Source<'a> {
    socket: &'a TcpStream,
    short: bool,
}

impl io::Read for Source<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.socket.read(buffer)?;
        self.short = 0 < count && count < buffer.len();
        Ok(count)
    }
}
