//! Messages of QoS 0 to the same receivers: encoded once for each form, joined, and sent
//! to all of them as one piece.
//!
//! What one client publishes in a row to a topic, or all clients in one turn where nothing
//! else comes between, is such a burst. With a thousand receivers it is the difference
//! between a copy of each message for each of them, and one.

use std::sync::Arc;

use bytes::Bytes;
use fanwire_wire::mqtt::{Publish, Version};
use fanwire_wire::ws::{MAX_SERVER_HEADER, binary_header};

use super::route::Route;
use super::{Broker, Sending};
use crate::DropReason;

/// Bytes of one version that are joined at the most. What is more leaves as another piece.
const MAX_BURST: usize = 128 * 1024;

/// Room for the header of the WebSocket frame that stands before the packets.
const HEADER_ROOM: usize = MAX_SERVER_HEADER;

/// The burst that is being collected.
#[derive(Default)]
pub(crate) struct Burst {
    route: Option<Arc<Route>>,
    messages: u64,
    v3: Vec<u8>,
    v5: Vec<u8>,
}

/// One version's packets, with and without a WebSocket frame around them.
#[derive(Default)]
struct Pieces {
    plain: Bytes,
    framed: Bytes,
}

// === impl Burst ===

impl Burst {
    pub(super) fn is_empty(&self) -> bool {
        self.route.is_none()
    }
}

impl Broker {
    /// Adds a message to the burst, which goes to the plain targets of `route`.
    pub(super) fn push_burst(&mut self, route: &Arc<Route>, publish: &Publish<'_>) {
        let same = self.burst.route.as_ref().is_some_and(|known| Arc::ptr_eq(known, route));
        if !same || self.burst.v5.len().max(self.burst.v3.len()) > MAX_BURST {
            self.flush_burst();
            self.burst.route = Some(Arc::clone(route));
        }
        self.burst.messages += 1;
        for (version, packets) in
            [(Version::V3_1_1, &mut self.burst.v3), (Version::V5, &mut self.burst.v5)]
        {
            if packets.is_empty() {
                packets.extend([0; HEADER_ROOM]);
            }
            publish.encode(version, packets);
        }
    }

    /// Sends what has been collected.
    pub(super) fn flush_burst(&mut self) {
        let Some(route) = self.burst.route.take() else { return };
        let messages = std::mem::take(&mut self.burst.messages);
        let mut packets = [std::mem::take(&mut self.burst.v3), std::mem::take(&mut self.burst.v5)];
        let mut pieces: [Option<Pieces>; 2] = [None, None];
        for target in route.targets.iter().filter(|target| target.plain) {
            let Some(session) = self.sessions.get_mut(target.key as usize) else { continue };
            let outbox_waits = !session.outbox.is_empty();
            let Some(live) = session.live() else { continue };
            let (form, link) = (live.form, live.link);
            if live.congested {
                session.dropped += messages;
                self.figures.routed.add(messages);
                self.figures.lose(DropReason::SlowClient, messages);
                continue;
            }
            if outbox_waits {
                self.flush_outbox(target.key);
            }
            let version = usize::from(form.v5);
            let pieces = pieces[version]
                .get_or_insert_with(|| Pieces::of(std::mem::take(&mut packets[version])));
            let bytes = if form.websocket { &pieces.framed } else { &pieces.plain };
            let sending = Sending { key: target.key, link, bytes: bytes.clone() };
            self.output.sendings.push(sending);
            self.figures.routed.add(messages);
            self.figures.sent.add(messages);
        }
        // The buffer of a version that nobody took serves the next burst.
        let [v3, v5] = packets;
        self.burst.v3 = cleared(v3);
        self.burst.v5 = cleared(v5);
    }
}

fn cleared(mut buffer: Vec<u8>) -> Vec<u8> {
    buffer.clear();
    buffer
}

// === impl Pieces ===

impl Pieces {
    /// Writes the header of a frame into the room before the packets, at its end.
    fn of(mut packets: Vec<u8>) -> Self {
        let len = packets.len() - HEADER_ROOM;
        let (header, header_len) = binary_header(len);
        let start = HEADER_ROOM - header_len;
        packets[start..HEADER_ROOM].copy_from_slice(&header[..header_len]);
        let all = Bytes::from(packets);
        Self { plain: all.slice(HEADER_ROOM..), framed: all.slice(start..) }
    }
}
