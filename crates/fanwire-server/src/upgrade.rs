//! From an HTTP request to a WebSocket connection on a shard.

use bytes::Bytes;
use fanwire_hub::Transport;
use fanwire_websocket::{ApiIndex, ClientRequest, Handshake, Pending, request_id};
use fanwire_wire::ws::handshake::{HandshakeError, Upgrade, check};
use http::header::{
    CONNECTION, CONTENT_LENGTH, HeaderName, SEC_WEBSOCKET_ACCEPT, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderValue, Request, StatusCode, Version};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto::upgrade::downcast;

use crate::head_tap::{HeadTap, headers_of};
use crate::response::{self, Answer};
use crate::router::{Router, Source};
use crate::telemetry::Telemetry;

/// A handshake, which is counted when it ends: with its answer, or because the client has not
/// waited for one.
struct Counted<'t> {
    telemetry: &'t Telemetry,
    status: Option<StatusCode>,
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.telemetry.handshake(self.status);
    }
}

/// Headers of the 101 that are not for a handler to set.
const OURS: [HeaderName; 5] =
    [CONNECTION, UPGRADE, SEC_WEBSOCKET_ACCEPT, CONTENT_LENGTH, TRANSFER_ENCODING];

impl Router {
    /// Whether a request is a handshake that can be taken now; else its answer.
    pub(crate) fn check_upgrade<B>(&self, request: &Request<B>) -> Result<Upgrade, Box<Answer>> {
        let upgrade = check(request.headers(), request.method());
        let upgrade = upgrade.map_err(|error| Box::new(not_a_handshake(error)))?;
        // A connection cannot be upgraded in HTTP/1.0 (RFC 6455, section 4.1).
        if request.version() < Version::HTTP_11 {
            let body = response::message("a WebSocket handshake needs HTTP/1.1");
            let error = response::error(StatusCode::BAD_REQUEST, "BadRequestException", body);
            return Err(Box::new(error));
        }
        if self.is_stopping() {
            return Err(Box::new(response::stopping()));
        }
        Ok(upgrade)
    }

    /// Answers a request to the address of an API: a handshake, or a mistake.
    pub(crate) async fn upgrade(
        &self,
        api: ApiIndex,
        request: Request<Incoming>,
        source: &Source,
    ) -> Answer {
        let upgrade = match self.check_upgrade(&request) {
            Ok(upgrade) => upgrade,
            Err(answer) => return *answer,
        };
        let mut counted = Counted { telemetry: self.telemetry(), status: None };
        let answer = self.shake_hands(api, &upgrade, request, source).await;
        counted.status = Some(answer.status());
        answer
    }

    async fn shake_hands(
        &self,
        api: ApiIndex,
        upgrade: &Upgrade,
        mut request: Request<Incoming>,
        source: &Source,
    ) -> Answer {
        let headers = headers_of(&request);
        let query = request.uri().query();
        let arrival = self.arrival(source, request.headers());
        let mut client = self.plane().arrive(ClientRequest::new(headers, query, arrival));
        let on_upgrade = hyper::upgrade::on(&mut request);
        let (head, _) = request.into_parts();
        if !client.is_excess() {
            client = match self.vouch(api, &head, client, source).await {
                Ok(client) => client,
                Err(answer) => return *answer,
            };
        }
        match self.plane().connect(api, client).await {
            Handshake::Refused(rejection) => response::rejected(rejection),
            Handshake::Accepted { headers, pending } => {
                tokio::spawn(hand_over(on_upgrade, pending));
                switching_protocols(&upgrade.accept, &headers)
            }
        }
    }
}

/// Waits until the 101 is written, then gives the bare socket to its shard.
async fn hand_over(on_upgrade: OnUpgrade, pending: Pending) {
    // Where the client has left, dropping `pending` tells the API.
    if let Some((transport, early)) = out_of_http(on_upgrade).await {
        pending.open(transport, early);
    }
}

/// What a connection goes over once its 101 is written, and what the client has sent since
/// its request. `None`: the client has left.
pub(crate) async fn out_of_http(on_upgrade: OnUpgrade) -> Option<(Transport, Vec<u8>)> {
    let parts = downcast::<TokioIo<HeadTap>>(on_upgrade.await.ok()?).ok()?;
    let early = parts.read_buf.to_vec();
    let transport = parts.io.into_inner().into_inner().into_transport().ok()?;
    Some((transport, early))
}

pub(crate) fn switching_protocols(accept: &str, headers: &[(String, String)]) -> Answer {
    let mut response = response::json(StatusCode::SWITCHING_PROTOCOLS, Bytes::new());
    let map = response.headers_mut();
    for (name, value) in headers {
        // What cannot stand in a header is no reason to lose a connection.
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(value))
            && !OURS.contains(&name)
        {
            map.append(name, value);
        }
    }
    map.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    map.insert(UPGRADE, HeaderValue::from_static("websocket"));
    if let Ok(accept) = HeaderValue::from_str(accept) {
        map.insert(SEC_WEBSOCKET_ACCEPT, accept);
    }
    response
}

fn not_a_handshake(error: HandshakeError) -> Answer {
    let status = error.status();
    let body = response::message(&error.to_string());
    let mut answer = response::error(status, "BadRequestException", body);
    if let Some((name, value)) = error.header() {
        answer.headers_mut().insert(name, value);
    }
    response::with_gateway_ids(answer, &request_id())
}
