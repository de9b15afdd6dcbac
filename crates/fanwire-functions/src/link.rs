//! How the host talks with a process: over the bootstrap channel, or over the Lambda
//! Runtime API. Both give the same few signals.

use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWrite};
use tokio::net::UnixStream;

use crate::channel::{self, Decoder, Frame, Kind};
use crate::observer::Stream;
use crate::spec::Request;

/// What a process says.
#[derive(Debug)]
pub(crate) enum Signal {
    /// The handler is loaded; the process waits for an event.
    Ready,
    /// The handler could not be loaded. The process ends.
    InitError(Bytes),
    /// The result of the event.
    Response(Bytes),
    /// The event failed.
    Error(Bytes),
    /// The event failed, and the process ends with it.
    FatalError(Bytes),
    /// The result is so many bytes long, and was thrown away.
    TooLarge(usize),
    /// The process closed its side, or sent what no bootstrap sends: it is of no use.
    Closed,
}

/// Something a process wrote.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Written<'a> {
    /// Bytes of a stream that came over the channel, to be cut into lines.
    Raw(Stream, &'a [u8]),
    /// The same, from the process's pipes: what native code and child processes write.
    Native(Stream, &'a [u8]),
    /// One log event.
    Record(&'a str),
    /// No text: the host of a service in AWS that the function calls.
    AwsCall(&'a str),
    /// No text either: files that the process loaded, parted by NUL.
    Loaded(&'a str),
}

/// The least room for reading: a small result arrives in one read.
const READ_ROOM: usize = 16 * 1024;

/// The host's end of the channel to one of our bootstraps.
pub(crate) struct ChannelLink {
    stream: UnixStream,
    decoder: Decoder,
    inbox: BytesMut,
    /// What is left to be written: the head of a frame, and the event after it.
    head: BytesMut,
    body: Bytes,
}

impl ChannelLink {
    pub(crate) fn new(
        stream: std::os::unix::net::UnixStream,
        configure: &Bytes,
        max_payload: usize,
    ) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self {
            stream: UnixStream::from_std(stream)?,
            decoder: Decoder::new(max_payload),
            inbox: BytesMut::new(),
            head: BytesMut::from(&configure[..]),
            body: Bytes::new(),
        })
    }

    /// Puts an event in line. It is sent as [`poll`](Self::poll) is called.
    pub(crate) fn send(&mut self, request: &Request, deadline_ms: f64) {
        let client_context = request.client_context.as_deref().unwrap_or("");
        channel::put_event_head(
            &mut self.head,
            &request.id,
            deadline_ms,
            &request.trace_id,
            client_context,
            request.event.len(),
        );
        self.body = request.event.clone();
    }

    /// Writes what is left to write and reads until there is a signal. What the process
    /// wrote before it goes to `log`.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        log: &mut dyn FnMut(Written<'_>),
    ) -> Poll<Signal> {
        // Both at once: a child that logs more than the socket holds before it has read
        // its whole event must not deadlock with us.
        if let Poll::Ready(Err(_)) = self.poll_write(cx) {
            self.head.clear();
            self.body = Bytes::new();
        }
        loop {
            match self.decoder.next(&mut self.inbox) {
                Ok(Some(frame)) => match signal_of(frame, log) {
                    Some(signal) => return Poll::Ready(signal),
                    None => continue,
                },
                Ok(None) => {}
                Err(_) => return Poll::Ready(Signal::Closed),
            }
            self.inbox.reserve(READ_ROOM);
            let read = pin!(self.stream.read_buf(&mut self.inbox));
            match ready!(read.poll(cx)) {
                Ok(0) | Err(_) => return Poll::Ready(Signal::Closed),
                Ok(_) => {}
            }
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.head.has_remaining() || self.body.has_remaining() {
            let slices = [io::IoSlice::new(&self.head), io::IoSlice::new(&self.body)];
            let count = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, &slices))?;
            let of_head = count.min(self.head.len());
            self.head.advance(of_head);
            self.body.advance(count - of_head);
        }
        Poll::Ready(Ok(()))
    }
}

/// Gives log frames to `log`, and what others say.
fn signal_of(frame: Frame, log: &mut dyn FnMut(Written<'_>)) -> Option<Signal> {
    match frame {
        Frame::Whole(kind, payload) => match kind {
            Kind::Ready => Some(Signal::Ready),
            Kind::InitError => Some(Signal::InitError(payload)),
            Kind::Response => Some(Signal::Response(payload)),
            Kind::Error => Some(Signal::Error(payload)),
            Kind::FatalError => Some(Signal::FatalError(payload)),
            Kind::Stdout => {
                log(Written::Raw(Stream::Stdout, &payload));
                None
            }
            Kind::Stderr => {
                log(Written::Raw(Stream::Stderr, &payload));
                None
            }
            Kind::Record => {
                log(Written::Record(&String::from_utf8_lossy(&payload)));
                None
            }
            Kind::AwsCall => {
                log(Written::AwsCall(&String::from_utf8_lossy(&payload)));
                None
            }
            Kind::Loaded => {
                log(Written::Loaded(&String::from_utf8_lossy(&payload)));
                None
            }
        },
        Frame::TooLarge(Kind::Stdout | Kind::Stderr | Kind::Record, size) => {
            log(Written::Record(&format!("(a log of {size} bytes was thrown away)")));
            None
        }
        Frame::TooLarge(Kind::AwsCall | Kind::Loaded, _) => None,
        Frame::TooLarge(_, size) => Some(Signal::TooLarge(size)),
    }
}
