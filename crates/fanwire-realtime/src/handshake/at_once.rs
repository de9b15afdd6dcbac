//! Clients whose first packet is there as soon as they are looked at. Where nobody has to be
//! asked who they are, they need no task and no place in the runtime: a storm of clients that
//! come back is let in as fast as it is accepted.

use std::io::Read as _;
use std::net::TcpStream;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use fanwire_wire::mqtt::Framer;
use fanwire_wire::ws::{self, Receiver};

use super::Arrival;
use super::reader::{First, receiver_limits};
use crate::Realtime;

/// Bytes of a connection that are looked at, at the most: a client whose CONNECT is longer
/// waits for its turn on the runtime.
pub const MAX_PEEKED: usize = 2048;

/// The first packet, found in bytes that are still to be read.
struct Found {
    first: First,
    websocket: Option<Receiver>,
    framer: Framer,
    /// How many of the bytes it takes.
    length: usize,
}

impl Realtime {
    /// Lets a client in whose CONNECT is whole in `peeked`: the first bytes of MQTT, or of a
    /// WebSocket behind its handshake, as they still wait to be read from a socket that does
    /// not block and has no TLS.
    ///
    /// Gives the socket back, with nothing read from it, where the client is not let in, where
    /// somebody has to be asked, and where more has to come: [`handshake`](Self::handshake)
    /// takes it from there.
    pub fn handshake_at_once(
        &self,
        stream: TcpStream,
        peeked: &[u8],
        arrival: &Arrival,
    ) -> Option<TcpStream> {
        let settings = self.inner.settings.load();
        // Who is counted is counted once, where it may also be refused.
        // Other nodes are asked, where there are any, whether they have the client.
        let asks = !settings.asks_nobody()
            || self.inner.limiter.limits_connections()
            || self.inner.mesh.is_some();
        if asks || peeked.len() > MAX_PEEKED {
            return Some(stream);
        }
        let max_packet = settings.limits().max_packet_bytes;
        let found = match arrival.http {
            Some(_) => Found::in_websocket(peeked, max_packet),
            None => Found::bare(peeked, max_packet),
        };
        let Some(Found { first, websocket, framer, length }) = found else { return Some(stream) };
        let admitting = pin!(self.admit(&first, arrival));
        // With nobody to ask there is nothing to wait for.
        let Poll::Ready(Ok(admitted)) = admitting.poll(&mut Context::from_waker(Waker::noop()))
        else {
            return Some(stream);
        };
        let shard = self.shard_of(&admitted.admission.publisher.client_id);
        let Ok(reservation) = self.inner.hub.reserve_on(shard) else { return Some(stream) };
        let mut taken = [0; MAX_PEEKED];
        // They have been seen to be there, so this fails only where the socket does.
        if (&stream).read_exact(&mut taken[..length]).is_ok() {
            let session = self.begin(admitted, websocket, framer);
            // A client that comes when the server has stopped is in no session yet.
            drop(self.inner.hub.attach(reservation, stream, session, Vec::new()));
        }
        None
    }
}

// === impl Found ===

impl Found {
    fn bare(peeked: &[u8], max_packet: usize) -> Option<Self> {
        let (mut framer, mut rest) = (Framer::new(), peeked);
        let frame = framer.next(&mut rest, max_packet).ok()??;
        let first = First(frame.into_owned());
        Some(Self { first, websocket: None, framer, length: peeked.len() - rest.len() })
    }

    /// In one binary message that has nothing else in it, as nearly all clients send it.
    fn in_websocket(peeked: &[u8], max_packet: usize) -> Option<Self> {
        let mut bytes = peeked.to_vec();
        let (mut receiver, mut rest) = (Receiver::new(false), bytes.as_mut_slice());
        let limits = receiver_limits(max_packet);
        let event = receiver.next(&mut rest, &limits, &mut ws::Inflater::default()).ok()?;
        let Some(ws::Event::Binary(payload)) = event else { return None };
        let (mut framer, mut input) = (Framer::new(), &*payload);
        let first = First(framer.next(&mut input, max_packet).ok()??.into_owned());
        let whole = input.is_empty();
        let length = peeked.len() - rest.len();
        whole.then_some(Self { first, websocket: Some(receiver), framer, length })
    }
}
