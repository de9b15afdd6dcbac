//! What a socket's readiness leads to: reading, and going on with what was blocked.

use std::io::ErrorKind;

use super::Shard;
use crate::outbound::Flushed;
use crate::transport::Received;
use crate::{Ending, Session};

/// Buffers read from one socket before the others get their turn.
const READS_PER_TURN: usize = 8;

impl<S: Session> Shard<S> {
    pub(super) fn ready(&mut self, slot: u32, event: &mio::event::Event) {
        if event.is_writable() {
            self.writable(slot);
        }
        if event.is_readable() || event.is_read_closed() || event.is_error() {
            self.read(slot, event.is_read_closed() || event.is_error());
        }
        self.settle(slot);
    }

    pub(super) fn writable(&mut self, slot: u32) {
        let connection = self.slots.get_mut(slot as usize).and_then(Option::as_mut);
        let Some(connection) = connection.filter(|connection| connection.blocked) else { return };
        connection.blocked = false;
        match connection.flush(&self.handle.counted) {
            Ok(Flushed::All) => self.call(slot, |session, cx| session.drained(cx)),
            // What told of this will tell of the next.
            Ok(Flushed::Blocked) => connection.blocked = true,
            Err(error) => self.close(slot, Ending::Failed(error)),
        }
    }

    /// Reads until the socket is empty, the session pauses or its turn is over. With
    /// `to_the_end` a short read does not count as empty: the end of the stream may
    /// stand behind it.
    pub(super) fn read(&mut self, slot: u32, to_the_end: bool) {
        for _ in 0..READS_PER_TURN {
            let Some(connection) = self.slots.get_mut(slot as usize).and_then(Option::as_mut)
            else {
                return;
            };
            if connection.wishes.paused {
                connection.readable = true;
                return;
            }
            match connection.transport.receive(&mut self.scratch) {
                Ok(Received::End) => return self.close(slot, Ending::PeerClosed),
                Ok(Received::Some(0)) => {}
                Ok(received @ (Received::Some(count) | Received::Last(count))) => {
                    self.handle.counted.bytes_in.add(count as u64);
                    let mut input = &mut self.scratch[..count];
                    let (session, mut cx) = connection.session(self.now, &mut self.shared);
                    session.received(&mut input, &mut cx);
                    if !input.is_empty() {
                        // Whoever leaves something has paused, whether it says so or not: else
                        // it would be asked again for ever.
                        connection.unread = input.to_vec();
                        connection.wishes.paused = true;
                    }
                    if matches!(received, Received::Last(_)) && !to_the_end {
                        return;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return self.close(slot, Ending::Failed(error)),
            }
        }
        self.again.push(slot);
    }

    pub(super) fn read_again(&mut self) {
        for slot in std::mem::take(&mut self.again) {
            // Whether the end has come is not known any more: read until it shows.
            self.read(slot, true);
            self.settle(slot);
        }
    }

    /// Goes on where the session paused: first with what is read already.
    pub(super) fn resume(&mut self, slot: u32) {
        let Some(connection) = self.connection(slot) else { return };
        let mut unread = std::mem::take(&mut connection.unread);
        if !unread.is_empty() {
            let mut rest = 0;
            self.call(slot, |session, cx| {
                let mut input = unread.as_mut_slice();
                session.received(&mut input, cx);
                rest = input.len();
            });
            if let Some(connection) = self.connection(slot).filter(|_| rest > 0) {
                connection.unread = unread.split_off(unread.len() - rest);
                connection.wishes.paused = true;
            }
        }
        let Some(connection) = self.connection(slot) else { return };
        if connection.readable && !connection.wishes.paused {
            connection.readable = false;
            self.read(slot, true);
            self.mark(slot);
        }
    }
}
