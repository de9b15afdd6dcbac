//! The beginning of a connection, on the runtime: its first packet, who it is, what it may
//! do. Only a client that is admitted becomes a connection of the hub, on the shard where
//! its session is.

mod admit;
mod at_once;
mod authorize;
mod credentials;
mod keys;
mod question;
mod reader;
mod refusal;
mod trial;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use fanwire_hub::{Reservation, Transport};
use fanwire_wire::mqtt::{Framer, ReasonCode};
use fanwire_wire::ws::Receiver;
use serde_json::value::RawValue;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use self::admit::Admitted;
pub use self::at_once::MAX_PEEKED;
pub(crate) use self::authorize::bind;
pub(crate) use self::credentials::MAX_PASSWORD_CHECKS;
pub(crate) use self::keys::Keys;
pub(crate) use self::question::Question;
use self::reader::{First, Reader};
use self::refusal::Refusal;
pub(crate) use self::refusal::refusal;
pub use self::trial::{Credentials, Trial};
use crate::broker::{Admission, lifecycle};
use crate::mesh::Claim;
use crate::notice::Notice;
use crate::session::{Arrived, MqttSession};
use crate::throttle::Throttle;
use crate::{Realtime, RealtimeEvent};

/// Clients at once that are yet to be let in, the ones that say nothing included: a storm of
/// those that come back fits, and what they take is some hundred MB at the most.
pub(crate) const MAX_HANDSHAKES: usize = 32_768;

/// Why a client whose session other nodes may have is not let in.
const OUT_OF_REACH: &str =
    "a node that may have the client's session is out of reach; try again later";

/// A client's connection while it is on the runtime.
pub trait ClientStream: AsyncRead + AsyncWrite + Unpin + Send {
    /// Takes the socket out of the runtime's hands, with the state of its TLS.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn into_transport(self) -> io::Result<Transport>;
}

/// Where a connection came in, and what is known of it before its first packet.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// The client, or the nearest proxy.
    pub peer: SocketAddr,
    /// The name that the client asked for in its TLS handshake; `None` without TLS.
    pub tls: Option<TlsArrival>,
    /// The HTTP request that the WebSocket began with; `None` without a WebSocket.
    pub http: Option<HttpArrival>,
}

/// What a TLS handshake told.
#[derive(Debug, Clone, Default)]
pub struct TlsArrival {
    /// The server name, where the client sent one.
    pub server_name: Option<String>,
}

/// The HTTP request that a WebSocket began with.
#[derive(Debug, Clone, Default)]
pub struct HttpArrival {
    /// Names, as the client wrote them, and values.
    pub headers: Vec<(String, String)>,
    /// The query, as it stands in the URL, without its `?`.
    pub query: Option<String>,
    /// Who signed the request, with the keys of an AWS account.
    pub signer: Signer,
}

/// Who signed a request, as far as somebody has looked.
#[derive(Debug, Clone, Default)]
pub enum Signer {
    /// Nobody has: whoever the signature names is believed.
    #[default]
    Unchecked,
    /// There is no signature that counts.
    Nobody,
    /// The holder of a key.
    Known(Arc<SignedBy>),
}

/// Whose signature it is.
#[derive(Debug)]
pub struct SignedBy {
    /// What the key is called.
    pub name: String,
    /// What it may do: an IoT policy document.
    pub document: Box<RawValue>,
}

// === impl Arrival ===

impl Arrival {
    /// The host name that the client connected to.
    pub(crate) fn domain_name(&self) -> Option<&str> {
        let asked = self.tls.as_ref().and_then(|tls| tls.server_name.as_deref());
        asked.or_else(|| {
            let headers = &self.http.as_ref()?.headers;
            let (_, host) = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("host"))?;
            Some(without_port(host))
        })
    }
}

/// A host as it stands in a `Host` header, without its port.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        // The colons of an IPv6 address are in brackets.
        Some((name, port)) if !port.ends_with(']') => name,
        _ => host,
    }
}

impl Realtime {
    /// Takes a connection from its first byte of MQTT, or of its WebSocket, on: `early` is
    /// what has been read of it already. Done when the connection lives on its shard, or is
    /// over.
    pub async fn handshake(&self, stream: impl ClientStream, early: Vec<u8>, arrival: Arrival) {
        // Dropped without a word: there are too many to answer, and it tries again.
        let Ok(_place) = self.inner.handshakes.try_acquire() else { return };
        let patience = self.inner.settings.load().limits().connect_timeout;
        let websocket = arrival.http.is_some();
        let max_packet = self.inner.settings.load().limits().max_packet_bytes;
        let mut reader = Reader::new(stream, early, websocket, max_packet);
        let first = match tokio::time::timeout(patience, reader.first()).await {
            Ok(Ok(first)) => first,
            // It left, or spoke something else, before it said who it is.
            Ok(Err(Refusal::Gone)) => return,
            Ok(Err(refusal)) => return self.turn_away(reader, "", &arrival, &refusal).await,
            Err(_) => {
                let refusal = Refusal::TooLate(patience);
                return self.turn_away(reader, "", &arrival, &refusal).await;
            }
        };
        let client_id = first.client_id().to_owned();
        // In a box of its own: those who are still to say who they are have no room for it.
        match Box::pin(self.admit(&first, &arrival)).await {
            Ok(admitted) => {
                drop(first);
                let claim = tokio::select! {
                    // Where there is nobody to wait for, nothing more is read here.
                    biased;
                    claim = self.claim(&admitted.admission) => claim,
                    // It tries elsewhere, perhaps, where its claim would wait for this one.
                    () = reader.left() => return,
                };
                let Ok(_claim) = claim else {
                    let refusal = admit::unacceptable(ReasonCode::ServerUnavailable, OUT_OF_REACH);
                    return self.turn_away(reader, &client_id, &arrival, &refusal).await;
                };
                let shard = self.shard_of(&admitted.admission.publisher.client_id);
                match self.inner.hub.reserve_on(shard) {
                    Ok(reservation) => self.hand_over(reader, reservation, admitted),
                    Err(_) => self.turn_away(reader, &client_id, &arrival, &Refusal::Full).await,
                }
            }
            Err(refusal) => self.turn_away(reader, &client_id, &arrival, &refusal).await,
        }
    }

    /// Has other nodes let go of a client. An error where its session may be at one that is out
    /// of reach.
    async fn claim(&self, admission: &Admission) -> Result<Option<Claim>, ()> {
        let Some(mesh) = &self.inner.mesh else { return Ok(None) };
        let (client_id, at) = (&admission.publisher.client_id, self.inner.hub.clock().epoch_ms());
        mesh.claim(client_id, admission.clean_start, at).await.map(Some).ok_or(())
    }

    fn hand_over<S: ClientStream>(
        &self,
        reader: Reader<S>,
        reservation: Reservation<MqttSession>,
        admitted: Admitted,
    ) {
        let (stream, websocket, framer, early) = reader.into_parts();
        let Ok(transport) = stream.into_transport() else { return };
        let session = self.begin(admitted, websocket, framer);
        // A client that comes when the server has stopped is in no session yet.
        drop(self.inner.hub.attach(reservation, transport, session, early));
    }

    /// The session of a client that is let in, and of what its bytes go through.
    fn begin(
        &self,
        admitted: Admitted,
        websocket: Option<Receiver>,
        framer: Framer,
    ) -> MqttSession {
        let now = self.inner.hub.clock().now();
        MqttSession::new(Arrived {
            admission: admitted.admission,
            websocket,
            framer,
            now,
            throttle: Throttle::new(self.inner.settings.load().limits(), now),
            ends: admitted.ends,
            refresh: admitted.refresh,
            counted: admitted.counted,
        })
    }

    /// Publishes the lifecycle event of a client that was not let in (reference: iot.md,
    /// section 6). Where too much waits already, nobody hears of it.
    fn publish_connect_failed(&self, client_id: &str, principal: &str, arrival: &Arrival) {
        let settings = self.inner.settings.load();
        if client_id.is_empty() || !lifecycle::tells_of(&settings, client_id) {
            return;
        }
        let now_ms = self.inner.hub.clock().epoch_ms();
        let message = lifecycle::connect_failed(client_id, principal, arrival.peer.ip(), now_ms);
        let bytes = message.payload.len() + message.topic.len();
        let shard = self.shard_of(&message.topic);
        let notice = Notice::Publish { message: Arc::new(message), done: None };
        let _ = self.inner.hub.notify(shard, notice.into(), bytes);
    }

    /// Tells a client why it is not let in, and the observer.
    async fn turn_away<S: ClientStream>(
        &self,
        mut reader: Reader<S>,
        client_id: &str,
        arrival: &Arrival,
        refusal: &Refusal,
    ) {
        let why = refusal.to_string();
        self.inner.observer.observe(&RealtimeEvent::Refused {
            client_id,
            source_ip: arrival.peer.ip(),
            why: &why,
        });
        if let Refusal::Unauthorized { principal, .. } = refusal {
            self.publish_connect_failed(client_id, principal, arrival);
        }
        if let Some(bytes) = reader.refusal(refusal, &refusal.words()) {
            let stream = reader.stream();
            // A client that is gone has nothing to be told.
            let told = async {
                stream.write_all(&bytes).await?;
                stream.shutdown().await
            };
            let _ = tokio::time::timeout(std::time::Duration::from_secs(5), told).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_told_without_its_port() {
        for (host, name) in [
            ("localhost:3001", "localhost"),
            ("localhost", "localhost"),
            ("[::1]:3001", "[::1]"),
            ("[::1]", "[::1]"),
        ] {
            assert_eq!(without_port(host), name);
        }
    }
}
