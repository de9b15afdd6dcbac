//! What waits for a socket that pushes back.

use std::collections::VecDeque;
use std::io::{self, IoSlice, Write};

use bytes::{Buf, Bytes};

/// Frames written by one system call at the most.
const MAX_SLICES: usize = 64;

/// Bytes that are to be written to one socket, oldest first. Mostly it is one piece, which
/// takes no memory of its own to hold.
#[derive(Debug, Default)]
pub(crate) struct Outbound {
    /// Empty only while nothing waits.
    first: Bytes,
    rest: Option<Box<Rest>>,
    len: usize,
}

/// What waits behind the first piece.
#[derive(Debug, Default)]
struct Rest(VecDeque<Bytes>);

/// What came of an attempt to write.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Flushed {
    /// Nothing waits any more.
    All,
    /// The socket takes no more for now.
    Blocked,
}

impl Outbound {
    pub(crate) fn push(&mut self, bytes: Bytes) {
        if bytes.is_empty() {
            return;
        }
        self.len += bytes.len();
        if self.first.is_empty() {
            self.first = bytes;
        } else {
            self.rest.get_or_insert_default().0.push_back(bytes);
        }
    }

    /// How many bytes wait.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Writes as much as `socket` takes, and has it flush what it keeps itself.
    pub(crate) fn flush(&mut self, socket: &mut impl Write) -> io::Result<Flushed> {
        while !self.is_empty() {
            let written = match self.write_once(socket) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => written,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Ok(Flushed::Blocked);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            self.advance(written);
        }
        // A burst may have left a large ring behind; an idle connection keeps none.
        self.rest = None;
        loop {
            match socket.flush() {
                Ok(()) => return Ok(Flushed::All),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Ok(Flushed::Blocked);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn write_once(&self, socket: &mut impl Write) -> io::Result<usize> {
        let Some(rest) = self.rest.as_ref().filter(|rest| !rest.0.is_empty()) else {
            return socket.write(&self.first);
        };
        let mut slices = [IoSlice::new(&[]); MAX_SLICES];
        let pieces = std::iter::once(&self.first).chain(&rest.0);
        let mut count = 0;
        for (slice, piece) in slices.iter_mut().zip(pieces) {
            *slice = IoSlice::new(piece);
            count += 1;
        }
        socket.write_vectored(&slices[..count])
    }

    fn advance(&mut self, mut written: usize) {
        self.len -= written;
        while written >= self.first.len() {
            written -= self.first.len();
            let next = self.rest.as_mut().and_then(|rest| rest.0.pop_front());
            let Some(next) = next else {
                self.first = Bytes::new();
                return;
            };
            self.first = next;
        }
        self.first.advance(written);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A socket that takes so many bytes at each call, and blocks at zero.
    struct Socket {
        takes: VecDeque<usize>,
        got: Vec<u8>,
    }

    impl Write for Socket {
        fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
            match self.takes.pop_front() {
                None | Some(0) => Err(io::ErrorKind::WouldBlock.into()),
                Some(take) => {
                    let take = take.min(buf.len());
                    self.got.extend_from_slice(&buf[..take]);
                    Ok(take)
                }
            }
        }

        fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
            let joined: Vec<u8> = bufs.iter().flat_map(|buf| buf.iter().copied()).collect();
            self.write(&joined)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    proptest! {
        #[test]
        fn every_byte_is_written_once_and_in_order_however_the_socket_takes_them(
            chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..200),
            takes in proptest::collection::vec(0usize..90, 0..60),
        ) {
            let mut outbound = Outbound::default();
            for chunk in &chunks {
                outbound.push(Bytes::copy_from_slice(chunk));
            }
            let all = chunks.concat();
            prop_assert_eq!(outbound.len(), all.len());
            let mut socket = Socket { takes: takes.into(), got: Vec::new() };
            while !socket.takes.is_empty() && !outbound.is_empty() {
                outbound.flush(&mut socket).unwrap();
                prop_assert_eq!(outbound.len(), all.len() - socket.got.len());
            }
            prop_assert_eq!(&socket.got[..], &all[..socket.got.len()]);
        }
    }

    #[test]
    fn a_flushed_queue_keeps_no_memory() {
        let mut outbound = Outbound::default();
        for _ in 0..100 {
            outbound.push(Bytes::from_static(b"frame"));
        }
        let mut socket = Socket { takes: [500; 10].into(), got: Vec::new() };
        assert_eq!(outbound.flush(&mut socket).unwrap(), Flushed::All);
        assert!(outbound.rest.is_none());
    }
}
