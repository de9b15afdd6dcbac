//! What other threads leave for a shard: new connections, commands, broadcasts.

use std::io::{self, ErrorKind, Write as _};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use mio::{Interest, Registry};

use super::expected::Early;
use super::{Counted, EVENTS_PER_TURN, Letter, Shard};
use crate::connection::{Connection, Wishes};
use crate::outbound::{Flushed, Outbound};
use crate::{Audience, ConnectionId, Ending, Reach, Session, Transport, Turn};

/// Broadcasts joined into one write.
const MAX_BURST: usize = 64;

/// Wire forms a message may have on one shard.
const MAX_FORMS: usize = 16;

impl<S: Session> Shard<S> {
    pub(super) fn open(&mut self, letters: &mut Vec<Letter<S>>) {
        let mut burst: Vec<Arc<S::Message>> = Vec::new();
        let mut burst_audience = Audience(0);
        for letter in letters.drain(..) {
            match letter {
                Letter::Broadcast { audience, message } => {
                    if audience != burst_audience || burst.len() == MAX_BURST {
                        self.fan_out(burst_audience, &mut burst);
                        burst_audience = audience;
                    }
                    burst.push(message);
                }
                other => {
                    // What was broadcast before this letter goes out before it acts.
                    self.fan_out(burst_audience, &mut burst);
                    self.open_one(other);
                }
            }
        }
        self.fan_out(burst_audience, &mut burst);
        if letters.capacity() > EVENTS_PER_TURN {
            letters.shrink_to(EVENTS_PER_TURN);
        }
    }

    pub(super) fn open_one(&mut self, letter: Letter<S>) {
        match letter {
            Letter::Attach { id, transport, session, early } => {
                self.attach(id, transport, session, early);
            }
            Letter::Expect { id, audience } => self.expected.add(id, audience),
            // What waited is dropped, as for a connection that is gone.
            Letter::Forget { id } => drop(self.expected.take(id)),
            Letter::Command { id, command } => {
                let current = self.connection(id.slot).is_some_and(|found| found.id == id);
                if current {
                    self.call(id.slot, |session, cx| session.commanded(command, cx));
                } else {
                    // Where it is not kept, its sender notices.
                    let _ = self.expected.command(id, command);
                }
            }
            Letter::Broadcast { .. } => {}
            Letter::Each { audience, limit, make } => {
                // A command may end its connection, which moves the others' places.
                let slots: Vec<u32> =
                    self.members.of(audience).iter().take(limit).copied().collect();
                for slot in slots {
                    self.call(slot, |session, cx| session.commanded(make(), cx));
                }
            }
            Letter::Notice(notice) => S::noticed(&mut Turn { shard: self }, notice),
            Letter::Review => {
                for slot in 0..self.slots.len() {
                    self.file_deadline(slot as u32);
                }
            }
            Letter::Drain { window } => self.begin_drain(window),
            Letter::Stop { grace } => {
                self.stop_at = Some(self.now + grace);
                for slot in 0..self.slots.len() {
                    self.call(slot as u32, |session, cx| session.stopping(cx));
                }
            }
        }
    }

    pub(super) fn attach(
        &mut self,
        id: ConnectionId,
        mut transport: Transport,
        session: S,
        early: Vec<u8>,
    ) {
        let registry = self.poll.registry();
        if let Err(error) = registry.register(transport.socket(), id.token(), Interest::READABLE) {
            self.handle.release_slot(id.slot);
            return session.closed(Ending::Failed(error), &mut self.shared);
        }
        let slot = id.slot;
        if self.slots.len() <= slot as usize {
            self.slots.resize_with(slot as usize + 1, || None);
        }
        let audience = session.audience();
        self.slots[slot as usize] = Some(Box::new(Connection {
            id,
            readable: transport.may_hold_input(),
            transport,
            session,
            outbound: Outbound::default(),
            wishes: Wishes::default(),
            unread: early,
            blocked: false,
            watches_writes: false,
            dirty: false,
            filed: u32::MAX,
            place: self.members.add(audience, slot),
        }));
        self.call(slot, |session, cx| session.opened(cx));
        for early in self.expected.take(id) {
            match early {
                Early::Command(command) => {
                    self.call(slot, |session, cx| session.commanded(command, cx));
                }
                Early::Message(message) => self.give_one(slot, &message),
            }
        }
        if self.stop_at.is_some() {
            self.call(slot, |session, cx| session.stopping(cx));
        } else if self.drain.is_some() {
            self.call(slot, |session, cx| session.draining(cx));
        }
        self.resume(slot);
    }

    /// Sends the messages of a burst, which are then gone, to all of an audience.
    pub(super) fn fan_out(&mut self, audience: Audience, burst: &mut Vec<Arc<S::Message>>) {
        if burst.is_empty() {
            return;
        }
        let mut forms: [Option<Bytes>; MAX_FORMS] = [const { None }; MAX_FORMS];
        let mut failed = Vec::new();
        let mut reach = Reach::default();
        for &slot in self.members.of(audience) {
            let Some(connection) = self.slots.get_mut(slot as usize).and_then(Option::as_mut)
            else {
                continue;
            };
            let form = connection.session.form().filter(|form| *form < MAX_FORMS);
            let Some(form) = form else { continue };
            let bytes = forms[form].get_or_insert_with(|| join::<S>(burst, form, &mut self.shared));
            let counted = &self.handle.counted;
            match give(connection, bytes, self.poll.registry(), counted, burst.len()) {
                Ok(true) => {
                    reach.sent += 1;
                    connection.session.broadcast_sent(self.now);
                }
                Ok(false) => reach.full.push(connection.id),
                Err(error) => failed.push((slot, error)),
            }
        }
        let (kept, full) = self.expected.broadcast(audience, burst);
        reach.sent += kept;
        self.handle.counted.dropped.add((full.len() * burst.len()) as u64);
        reach.full.extend(full);
        burst.drain(..).for_each(|message| S::broadcast_done(&message, &reach));
        for (slot, error) in failed {
            self.close(slot, Ending::Failed(error));
        }
    }
}

impl<S: Session> Shard<S> {
    /// Sends a message that was broadcast before its receiver was here.
    fn give_one(&mut self, slot: u32, message: &S::Message) {
        let Some(connection) = self.slots.get_mut(slot as usize).and_then(Option::as_mut) else {
            return;
        };
        let form = connection.session.form().filter(|form| *form < MAX_FORMS);
        let Some(form) = form else { return };
        let bytes = S::encode(message, form, &mut self.shared);
        match give(connection, &bytes, self.poll.registry(), &self.handle.counted, 1) {
            Ok(true) => connection.session.broadcast_sent(self.now),
            Ok(false) => {}
            Err(error) => self.close(slot, Ending::Failed(error)),
        }
    }
}

/// Gives `bytes`, which are so many messages, to a receiver. `false`: it has too much waiting.
fn give<S: Session>(
    connection: &mut Connection<S>,
    bytes: &Bytes,
    registry: &Registry,
    counted: &Counted,
    messages: usize,
) -> io::Result<bool> {
    let waiting = connection.outbound.len();
    if waiting > 0 && waiting + bytes.len() > connection.session.outbound_limit() {
        counted.dropped.add(messages as u64);
        return Ok(false);
    }
    deliver(connection, bytes, registry, counted)?;
    counted.broadcast.add(messages as u64);
    Ok(true)
}

/// The messages of a burst in one wire form, joined.
fn join<S: Session>(burst: &[Arc<S::Message>], form: usize, shared: &mut S::Shared) -> Bytes {
    if let [only] = burst {
        return S::encode(only, form, shared);
    }
    let mut joined = BytesMut::new();
    for message in burst {
        joined.extend_from_slice(&S::encode(message, form, shared));
    }
    joined.freeze()
}

/// Writes `bytes` at once where nothing waits before them; queues what is left.
fn deliver<S: Session>(
    connection: &mut Connection<S>,
    bytes: &Bytes,
    registry: &Registry,
    counted: &Counted,
) -> io::Result<()> {
    let mut written = 0;
    if connection.is_drained() {
        match connection.transport.write(bytes) {
            Ok(count) if count == bytes.len() => {
                counted.bytes_out.add(count as u64);
                if connection.transport.holds_output() {
                    connection.block(registry)?;
                }
                return Ok(());
            }
            Ok(count) => {
                counted.bytes_out.add(count as u64);
                written = count;
            }
            Err(error)
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(error) => return Err(error),
        }
    }
    connection.outbound.push(bytes.slice(written..));
    if !connection.blocked {
        // Until the socket says that it is full it does not tell when it no longer is.
        if connection.flush(counted)? == Flushed::Blocked {
            connection.block(registry)?;
        }
    }
    Ok(())
}
