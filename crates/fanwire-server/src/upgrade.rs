//! From an HTTP request to a WebSocket connection on a shard.

use bytes::Bytes;
use fanwire_websocket::{ApiIndex, ClientRequest, Handshake, Pending, request_id};
use fanwire_wire::ws::handshake::{HandshakeError, check};
use http::header::{
    CONNECTION, CONTENT_LENGTH, HeaderName, SEC_WEBSOCKET_ACCEPT, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderValue, Request, StatusCode, Version};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;

use crate::head_tap::HeadTap;
use crate::response::{self, Answer};
use crate::router::{Router, Source};

/// Headers of the 101 that are not for a handler to set.
const OURS: [HeaderName; 5] =
    [CONNECTION, UPGRADE, SEC_WEBSOCKET_ACCEPT, CONTENT_LENGTH, TRANSFER_ENCODING];

impl Router {
    /// Answers a request to the address of an API: a handshake, or a mistake.
    pub(crate) async fn upgrade(
        &self,
        api: ApiIndex,
        mut request: Request<Incoming>,
        source: &Source,
    ) -> Answer {
        let upgrade = match check(request.headers(), request.method()) {
            Ok(upgrade) => upgrade,
            Err(error) => return not_a_handshake(error),
        };
        // A connection cannot be upgraded in HTTP/1.0 (RFC 6455, section 4.1).
        if request.version() < Version::HTTP_11 {
            let body = response::message("a WebSocket handshake needs HTTP/1.1");
            return response::error(StatusCode::BAD_REQUEST, "BadRequestException", body);
        }
        if self.is_stopping() {
            return response::stopping();
        }
        let headers = source.head.take_headers().unwrap_or_else(|| headers_of(&request));
        let query = request.uri().query();
        let arrival = self.arrival(source.peer, source.head.is_tls());
        let client = ClientRequest::new(headers, query, arrival);
        let on_upgrade = hyper::upgrade::on(&mut request);
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
    let Ok(upgraded) = on_upgrade.await else { return };
    let Ok(parts) = upgraded.downcast::<TokioIo<HeadTap>>() else { return };
    let early = parts.read_buf.to_vec();
    if let Ok(transport) = parts.io.into_inner().into_inner().into_transport() {
        pending.open(transport, early);
    }
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

pub(crate) fn not_a_handshake(error: HandshakeError) -> Answer {
    let status = error.status();
    let body = response::message(&error.to_string());
    let mut answer = response::error(status, "BadRequestException", body);
    if let Some((name, value)) = error.header() {
        answer.headers_mut().insert(name, value);
    }
    response::with_gateway_ids(answer, &request_id())
}

/// The headers of a request whose bytes are not there any more. Names are in lower
/// case then; those that matter have one spelling in events anyway.
pub(crate) fn headers_of<B>(request: &Request<B>) -> Vec<(String, String)> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    request.headers().iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect()
}
