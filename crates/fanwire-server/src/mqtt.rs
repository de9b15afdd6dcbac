//! Connections that speak MQTT, bare or in a WebSocket: from the listener to the broker
//! (reference: iot.md, section 1).

use std::fmt::Write as _;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use fanwire_hub::Transport;
use fanwire_realtime::{Arrival, HttpArrival, Signer, TlsArrival};
use fanwire_wire::ws::handshake::check;
use http::header::{SEC_WEBSOCKET_PROTOCOL, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto::upgrade::downcast;

use crate::address::Target;
use crate::head_tap::{HeadTap, headers_of};
use crate::realtime::Endpoint;
use crate::response::{self, Answer};
use crate::router::{Router, Source};
use crate::tls::ClientStream;
use crate::upgrade::switching_protocols;

/// The subprotocols of MQTT over WebSocket. The second is what mqtt.js and the AWS IoT
/// device SDK ask for with MQTT 3.1.1.
const SUBPROTOCOLS: [&str; 2] = ["mqtt", "mqttv3.1"];

/// Headers of a request that is answered at once, at the most.
const MAX_HEADERS: usize = 64;

/// A WebSocket handshake that is accepted.
pub(crate) struct Opened {
    /// What opens the WebSocket once it is written.
    pub(crate) answer: String,
    /// What the broker is told of the request.
    pub(crate) http: HttpArrival,
}

impl fanwire_realtime::ClientStream for ClientStream {
    fn into_transport(self) -> io::Result<Transport> {
        Self::into_transport(self)
    }
}

impl Router {
    /// Takes a connection that speaks MQTT from its first byte on. It belongs to the broker
    /// when this returns, or it is over.
    pub(crate) async fn mqtt(&self, stream: ClientStream, peer: SocketAddr) {
        let Some(endpoint) = self.realtime().filter(|_| !self.is_stopping()) else { return };
        let arrival = Arrival { peer, tls: tls_of(&stream), http: None };
        endpoint.plane.handshake(stream, Vec::new(), arrival).await;
    }

    /// Takes a bare connection whose first packet is in `peeked`, where nobody has to be asked
    /// whether it may connect. Gives the socket back, as it was, where that is not so.
    pub(crate) fn mqtt_at_once(
        &self,
        stream: TcpStream,
        peeked: &[u8],
        arrival: &Arrival,
    ) -> Option<TcpStream> {
        match self.realtime().filter(|_| !self.is_stopping()) {
            Some(endpoint) => endpoint.plane.handshake_at_once(stream, peeked, arrival),
            None => Some(stream),
        }
    }

    /// Gives a bare connection whose WebSocket is open to the broker.
    pub(crate) async fn mqtt_in_websocket(&self, stream: ClientStream, arrival: Arrival) {
        let Some(endpoint) = self.realtime().filter(|_| !self.is_stopping()) else { return };
        endpoint.plane.handshake(stream, Vec::new(), arrival).await;
    }

    /// The answer to a request that is whole in `peeked` and opens a WebSocket to the realtime
    /// endpoint. `None` where it is anything else: hyper knows what to say to that.
    pub(crate) fn realtime_upgrade_at_once(
        &self,
        peeked: &[u8],
        only_realtime: bool,
    ) -> Option<Opened> {
        let endpoint = self.realtime().filter(|_| !self.is_stopping())?;
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut request = httparse::Request::new(&mut headers);
        let parsed = request.parse(peeked).ok()?;
        // A client has nothing to send before it has its answer.
        let whole = parsed.is_complete() && parsed.unwrap() == peeked.len();
        if !whole || request.version != Some(1) || request.method != Some("GET") {
            return None;
        }
        let mut map = HeaderMap::with_capacity(request.headers.len());
        let mut written = Vec::with_capacity(request.headers.len());
        for header in request.headers.iter() {
            let name = HeaderName::from_bytes(header.name.as_bytes()).ok()?;
            map.append(name, HeaderValue::from_bytes(header.value).ok()?);
            let value = String::from_utf8_lossy(header.value).trim().to_owned();
            written.push((header.name.to_owned(), value));
        }
        let (path, query) = match request.path?.split_once('?') {
            Some((path, query)) => (path, Some(query.to_owned())),
            None => (request.path?, None),
        };
        if self.target(Some(&endpoint), only_realtime, &map, path) != Target::Realtime {
            return None;
        }
        // A signature is looked at where it can be refused.
        let signer = self.guard().signer_of_nobody();
        if matches!(signer, Signer::Nobody) && query.as_deref().is_some_and(names_signature) {
            return None;
        }
        let upgrade = check(&map, &Method::GET).ok()?;
        let mut answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-accept: {}\r\n",
            upgrade.accept
        );
        if let Some(subprotocol) = subprotocol(&map).ok()? {
            let _ = write!(answer, "sec-websocket-protocol: {subprotocol}\r\n");
        }
        answer.push_str("\r\n");
        Some(Opened { answer, http: HttpArrival { headers: written, query, signer } })
    }

    /// Answers a request to the realtime endpoint. A handshake gets its 101 at once: who
    /// may connect is decided when the first packet of MQTT is there.
    pub(crate) fn realtime_upgrade(
        &self,
        endpoint: Arc<Endpoint>,
        mut request: Request<Incoming>,
        source: &Source,
    ) -> Answer {
        let upgrade = match check(request.headers(), request.method()) {
            Ok(upgrade) => upgrade,
            Err(error) => return upgrade_required(&error.to_string()),
        };
        let subprotocol = match subprotocol(request.headers()) {
            Ok(subprotocol) => subprotocol,
            Err(text) => return upgrade_required(&text),
        };
        if self.is_stopping() {
            return response::stopping();
        }
        let peer = self.client(source, request.headers()).address;
        let headers = headers_of(&request);
        let query = request.uri().query().map(str::to_owned);
        let signer = match self.signer(request.headers(), request.uri(), source) {
            Ok(signer) => signer,
            Err(answer) => return *answer,
        };
        let http = HttpArrival { headers, query, signer };
        let on_upgrade = hyper::upgrade::on(&mut request);
        tokio::spawn(hand_over(endpoint, on_upgrade, peer, http));
        let mut answer = switching_protocols(&upgrade.accept, &[]);
        if let Some(subprotocol) = subprotocol {
            let value = HeaderValue::from_static(subprotocol);
            answer.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, value);
        }
        answer
    }
}

/// Waits until the 101 is written, then gives the connection to the broker.
async fn hand_over(
    endpoint: Arc<Endpoint>,
    on_upgrade: OnUpgrade,
    peer: SocketAddr,
    http: HttpArrival,
) {
    // Where the client has left there is nobody to be told.
    let Ok(upgraded) = on_upgrade.await else { return };
    let Ok(parts) = downcast::<TokioIo<HeadTap>>(upgraded) else { return };
    let stream = parts.io.into_inner().into_inner();
    let arrival = Arrival { peer, tls: tls_of(&stream), http: Some(http) };
    endpoint.plane.handshake(stream, parts.read_buf.to_vec(), arrival).await;
}

fn tls_of(stream: &ClientStream) -> Option<TlsArrival> {
    let server_name = stream.server_name().map(str::to_owned);
    stream.is_tls().then_some(TlsArrival { server_name })
}

/// Whether a query has anything of a signature.
fn names_signature(query: &str) -> bool {
    query.contains("X-Amz-")
}

/// The first subprotocol offered that is one of MQTT's. A client that offers none is
/// believed to speak it: the path says so (MQTT 5, section 6, asks for `mqtt`).
fn subprotocol(headers: &HeaderMap) -> Result<Option<&'static str>, String> {
    let values = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter();
    let mut offered = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|offer| !offer.is_empty())
        .peekable();
    if offered.peek().is_none() {
        return Ok(None);
    }
    let known = offered.find_map(|offer| SUBPROTOCOLS.into_iter().find(|known| *known == offer));
    known
        .map(Some)
        .ok_or_else(|| "this address speaks MQTT; offer `Sec-WebSocket-Protocol: mqtt`".to_owned())
}

/// What AWS answers to a request that lacks what it wants.
fn upgrade_required(text: &str) -> Answer {
    let status = StatusCode::UPGRADE_REQUIRED;
    let mut answer = response::error(status, "UpgradeRequiredException", response::message(text));
    answer.headers_mut().insert(UPGRADE, HeaderValue::from_static("websocket"));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(offers: &[&str]) -> Result<Option<&'static str>, String> {
        let values = offers.iter().map(|offer| HeaderValue::from_str(offer).unwrap());
        let mut headers = HeaderMap::new();
        headers.extend(values.map(|value| (SEC_WEBSOCKET_PROTOCOL, value)));
        subprotocol(&headers)
    }

    #[test]
    fn the_first_subprotocol_of_mqtt_is_echoed() {
        assert_eq!(chosen(&["mqtt"]), Ok(Some("mqtt")));
        assert_eq!(chosen(&["mqttv3.1"]), Ok(Some("mqttv3.1")));
        assert_eq!(chosen(&["graphql-ws, mqttv3.1", "mqtt"]), Ok(Some("mqttv3.1")));
        assert_eq!(chosen(&[]), Ok(None));
        assert_eq!(chosen(&[" , "]), Ok(None));
        assert!(chosen(&["graphql-ws"]).is_err());
    }
}
