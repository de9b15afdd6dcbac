//! Calling a session, and what follows from it: writes, deadlines, its end.

use super::Shard;
use crate::connection::{Connection, Context};
use crate::outbound::Flushed;
use crate::{Ending, Session};

impl<S: Session> Shard<S> {
    pub(crate) fn connection(&mut self, slot: u32) -> Option<&mut Connection<S>> {
        self.slots.get_mut(slot as usize)?.as_deref_mut()
    }

    /// Calls the session in `slot`, if there is one, and marks it for settling.
    pub(crate) fn call(&mut self, slot: u32, f: impl FnOnce(&mut S, &mut Context<'_, S::Shared>)) {
        let Some(connection) = self.slots.get_mut(slot as usize).and_then(Option::as_mut) else {
            return;
        };
        let (session, mut cx) = connection.session(self.now, &mut self.shared);
        f(session, &mut cx);
        self.mark(slot);
    }

    /// Has the session in `slot` settled before the turn is over.
    pub(crate) fn mark(&mut self, slot: u32) {
        if let Some(connection) = self.connection(slot).filter(|connection| !connection.dirty) {
            connection.dirty = true;
            self.dirty.push(slot);
        }
    }

    pub(super) fn settle_dirty(&mut self) {
        // Settling may resume a session, whose replies make it dirty again.
        while let Some(slot) = self.dirty.pop() {
            self.settle(slot);
        }
    }

    /// Does what the session in `slot` has asked for: writes, resumes, closes, and
    /// files its next deadline.
    pub(super) fn settle(&mut self, slot: u32) {
        let connection = self.slots.get_mut(slot as usize).and_then(Option::as_mut);
        let Some(connection) = connection else { return };
        connection.dirty = false;
        if connection.wishes.abort {
            return self.close(slot, Ending::Finished);
        }
        if !connection.is_drained() && !connection.blocked {
            match connection.flush(&self.handle.counted) {
                // A session that paused for what it has queued waits to hear this.
                Ok(Flushed::All) if connection.wishes.paused => {
                    self.call(slot, |session, cx| session.drained(cx));
                }
                Ok(Flushed::All) => {}
                Ok(Flushed::Blocked) => self.block(slot),
                Err(error) => return self.close(slot, Ending::Failed(error)),
            }
        }
        let Some(connection) = self.connection(slot) else { return };
        let ends = connection.wishes.finish || connection.wishes.shutdown_write;
        if ends && connection.is_drained() {
            match connection.transport.end_output() {
                // Comes here again once the goodbye is written.
                Ok(Flushed::Blocked) => self.block(slot),
                _ if connection.wishes.finish => return self.close(slot, Ending::Finished),
                // Where the peer is gone already the next read says so.
                _ => {
                    connection.wishes.shutdown_write = false;
                    let _ = connection.transport.shutdown_write();
                }
            }
        }
        let Some(connection) = self.connection(slot) else { return };
        let waits = connection.readable || !connection.unread.is_empty();
        if waits && !connection.wishes.paused {
            self.resume(slot);
        }
        self.file_deadline(slot);
    }

    fn block(&mut self, slot: u32) {
        let connection = self.slots.get_mut(slot as usize).and_then(Option::as_mut);
        let blocked = connection.map(|connection| connection.block(self.poll.registry()));
        if let Some(Err(error)) = blocked {
            self.close(slot, Ending::Failed(error));
        }
    }

    pub(super) fn file_deadline(&mut self, slot: u32) {
        let Some(connection) = self.slots.get_mut(slot as usize).and_then(Option::as_mut) else {
            return;
        };
        if let Some(deadline) = connection.session.deadline()
            && self.deadlines.second_of(deadline) < connection.filed
        {
            connection.filed = self.deadlines.file(slot, deadline);
        }
    }

    pub(super) fn wake_due(&mut self) {
        while let Some((second, slots)) = self.deadlines.take_due(self.now) {
            for slot in slots {
                let now = self.now;
                // A slot may be filed under seconds that its connection, or the one
                // that had the slot before, no longer cares for.
                let Some(connection) = self.connection(slot).filter(|c| c.filed == second) else {
                    continue;
                };
                connection.filed = u32::MAX;
                if connection.session.deadline().is_some_and(|deadline| deadline <= now) {
                    self.call(slot, |session, cx| session.expired(cx));
                    self.settle(slot);
                }
                self.file_deadline(slot);
            }
        }
    }

    pub(super) fn close(&mut self, slot: u32, ending: Ending) {
        let Some(mut connection) = self.slots.get_mut(slot as usize).and_then(Option::take) else {
            return;
        };
        // A goodbye that the socket does not take at once is not worth keeping it for.
        let _ = connection.transport.end_output();
        let audience = connection.session.audience();
        if let Some(moved) = self.members.remove(audience, connection.place) {
            let place = connection.place;
            if let Some(moved) = self.connection(moved) {
                moved.place = place;
            }
        }
        self.handle.counted.bytes_unsent.add(connection.outbound.len() as u64);
        let Connection { id, session, transport, .. } = *connection;
        // Closing it also removes it from the event queue: nobody else holds it.
        drop(transport);
        session.closed(ending, &mut self.shared);
        self.handle.release_slot(id.slot);
    }
}
