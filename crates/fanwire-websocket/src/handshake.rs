//! The request that opens a connection, as events and authorizers see it.

use std::net::IpAddr;
use std::sync::Arc;

use fanwire_access::{Counted, Excess};
use fanwire_wire::trace::TraceContext;
use percent_encoding::percent_decode_str;
use serde_json::value::RawValue;

use crate::traffic::{Id, Traffic};
use crate::{gateway_id, timestamp};

/// A client's WebSocket handshake, already checked as such.
#[derive(Debug)]
pub struct ClientRequest {
    /// Header names, in the case the client wrote them, and values.
    headers: Vec<(String, String)>,
    /// Query parameters, decoded.
    query: Vec<(String, String)>,
    /// The host, with its port where it has one, that the client asked for.
    pub(crate) domain: Arc<str>,
    /// The address that the client, or the nearest proxy, connected from.
    pub(crate) source_ip: IpAddr,
    /// Who it is, where that is known before anybody is asked.
    pub(crate) voucher: Option<Box<Voucher>>,
    /// Its place among the connections of its address, or why it has none.
    pub(crate) arrived: Result<Counted, Excess>,
}

/// Who a client is, where that is known before anybody is asked: by a signature, a token or an
/// API key.
#[derive(Debug, Clone, Default)]
pub struct Voucher {
    /// Its principal, where it has one.
    pub principal: Option<String>,
    /// What events have as `requestContext.authorizer`, where there is an authorizer.
    pub authorizer: Option<Box<RawValue>>,
    /// What events have in `requestContext.identity`, beside the address and the user agent.
    pub identity: Vec<(&'static str, String)>,
}

/// Where a handshake came in.
#[derive(Debug, Clone, Copy)]
pub struct Arrival {
    /// The address that the client, or the nearest proxy, connected from.
    pub source_ip: IpAddr,
    /// The port that the gateway listens on.
    pub port: u16,
    /// Whether the client spoke TLS.
    pub tls: bool,
    /// Whether a proxy that is believed has named the address: it has it in its
    /// `X-Forwarded-For` already.
    pub forwarded: bool,
}

/// Headers whose names reach handlers in one spelling, however the client writes
/// them. Others keep the client's.
const CANONICAL: [&str; 24] = [
    "Accept",
    "Accept-Encoding",
    "Accept-Language",
    "Authorization",
    "Cache-Control",
    "Content-Type",
    "Cookie",
    "Host",
    "Origin",
    "Pragma",
    "Referer",
    "Sec-Fetch-Dest",
    "Sec-Fetch-Mode",
    "Sec-Fetch-Site",
    "Sec-WebSocket-Extensions",
    "Sec-WebSocket-Key",
    "Sec-WebSocket-Protocol",
    "Sec-WebSocket-Version",
    "User-Agent",
    "X-Amzn-Trace-Id",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Port",
    "X-Forwarded-Proto",
];

/// Headers of the connection itself: a `$connect` event does not show them.
const HOP_BY_HOP: [&str; 4] = ["connection", "upgrade", "content-length", "keep-alive"];

// === impl ClientRequest ===

impl ClientRequest {
    /// Takes the headers as the client wrote them and the query as it stands in the
    /// URL, and adds what the gateway adds: `X-Forwarded-*` and a trace id.
    pub fn new(
        headers: impl IntoIterator<Item = (String, String)>,
        query: Option<&str>,
        arrival: Arrival,
    ) -> Self {
        let mut headers: Vec<_> =
            headers.into_iter().map(|(name, value)| (canonical(name), value)).collect();
        let source_ip = arrival.source_ip;
        match find(&mut headers, "X-Forwarded-For") {
            Some(_) if arrival.forwarded => {}
            Some(forwarded) => *forwarded = format!("{forwarded}, {source_ip}"),
            None => headers.push(("X-Forwarded-For".to_owned(), source_ip.to_string())),
        }
        let proto = if arrival.tls { "https" } else { "http" };
        set(&mut headers, "X-Forwarded-Port", arrival.port.to_string());
        set(&mut headers, "X-Forwarded-Proto", proto.to_owned());
        if find(&mut headers, "X-Amzn-Trace-Id").is_none() {
            let trace_id = gateway_id::trace_header(timestamp::now_ms());
            headers.push(("X-Amzn-Trace-Id".to_owned(), trace_id));
        }
        let domain = find(&mut headers, "Host").map_or("", |host| host.as_str()).into();
        Self {
            headers,
            query: decode_query(query.unwrap_or_default()),
            domain,
            source_ip,
            voucher: None,
            arrived: Ok(Counted::default()),
        }
    }

    /// The same, with its place among the connections of its address, or why it has none.
    pub(crate) fn arrived(self, arrived: Result<Counted, Excess>) -> Self {
        Self { arrived, ..self }
    }

    /// Whether there is too much of its address, so that nothing has to be asked for it.
    pub fn is_excess(&self) -> bool {
        self.arrived.is_err()
    }

    /// The same, of whom somebody knows who it is.
    #[must_use]
    pub fn vouched_for(self, voucher: Voucher) -> Self {
        Self { voucher: Some(Box::new(voucher)), ..self }
    }

    /// The value of a header, whatever the case of its name; the last, where several.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .rev()
            .find(|(given, _)| given.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The trace that the client says it is part of.
    pub(crate) fn trace(&self) -> Option<TraceContext> {
        let w3c = self.header("traceparent").and_then(TraceContext::from_traceparent);
        w3c.or_else(|| TraceContext::from_xray(self.header("X-Amzn-Trace-Id")?))
    }

    /// The value of a query parameter, decoded; the last, where several.
    pub fn query_parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().rev().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    /// The request as recordings have it.
    pub(crate) fn traffic<'a>(&'a self, connection: Id, api: &'a str) -> Traffic<'a> {
        Traffic::Connect { connection, api, query: &self.query, headers: &self.headers }
    }

    pub(crate) fn has_query(&self) -> bool {
        !self.query.is_empty()
    }

    pub(crate) fn query(&self) -> impl Iterator<Item = (&str, &str)> + Clone {
        pairs(&self.query)
    }

    /// The headers that a `$connect` event shows.
    pub(crate) fn event_headers(&self) -> impl Iterator<Item = (&str, &str)> + Clone {
        pairs(&self.headers).filter(|(name, _)| !is_hop_by_hop(name))
    }

    /// The headers that an authorizer sees: those of the connection too.
    pub(crate) fn authorizer_headers(&self) -> impl Iterator<Item = (&str, &str)> + Clone {
        [("Connection", "upgrade"), ("content-length", "0"), ("Upgrade", "websocket")]
            .into_iter()
            .chain(self.event_headers())
    }
}

fn pairs(list: &[(String, String)]) -> impl Iterator<Item = (&str, &str)> + Clone {
    list.iter().map(|(name, value)| (name.as_str(), value.as_str()))
}

fn is_hop_by_hop(name: &str) -> bool {
    HOP_BY_HOP.iter().any(|other| other.eq_ignore_ascii_case(name))
}

fn canonical(name: String) -> String {
    match CANONICAL.iter().find(|known| known.eq_ignore_ascii_case(&name)) {
        Some(known) => (*known).to_owned(),
        None => name,
    }
}

fn find<'h>(headers: &'h mut [(String, String)], name: &str) -> Option<&'h mut String> {
    headers.iter_mut().rev().find(|(given, _)| given == name).map(|(_, value)| value)
}

fn set(headers: &mut Vec<(String, String)>, name: &str, value: String) {
    match find(headers, name) {
        Some(present) => *present = value,
        None => headers.push((name.to_owned(), value)),
    }
}

/// Decodes `a=1&b=%20`. A parameter without `=` has an empty value.
fn decode_query(query: &str) -> Vec<(String, String)> {
    let decode = |text: &str| {
        let spaced = text.replace('+', " ");
        percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
    };
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(headers: &[(&str, &str)], query: Option<&str>) -> ClientRequest {
        arrived(headers, query, false)
    }

    fn arrived(headers: &[(&str, &str)], query: Option<&str>, forwarded: bool) -> ClientRequest {
        let headers = headers.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        let source_ip = IpAddr::from([203, 0, 113, 7]);
        let arrival = Arrival { source_ip, port: 3001, tls: false, forwarded };
        ClientRequest::new(headers, query, arrival)
    }

    #[test]
    fn known_headers_have_one_spelling_and_others_keep_the_clients() {
        let request = request(
            &[("host", "h:1"), ("sec-websocket-key", "k"), ("HeaderAuth1", "v"), ("upgrade", "x")],
            None,
        );
        let names: Vec<_> = request.event_headers().map(|(name, _)| name).collect();
        let expected = [
            "Host",
            "Sec-WebSocket-Key",
            "HeaderAuth1",
            "X-Forwarded-For",
            "X-Forwarded-Port",
            "X-Forwarded-Proto",
            "X-Amzn-Trace-Id",
        ];
        assert_eq!(names, expected);
        assert_eq!(&*request.domain, "h:1");
        assert_eq!(request.header("headerauth1"), Some("v"));
    }

    #[test]
    fn the_gateway_appends_itself_to_forwarded_headers() {
        let request =
            request(&[("x-forwarded-for", "10.0.0.1"), ("X-Forwarded-Proto", "wss")], None);
        assert_eq!(request.header("X-Forwarded-For"), Some("10.0.0.1, 203.0.113.7"));
        assert_eq!(request.header("X-Forwarded-Proto"), Some("http"));
        assert_eq!(request.header("X-Forwarded-Port"), Some("3001"));
    }

    #[test]
    fn a_client_that_lists_its_own_address_does_not_keep_it_from_being_added() {
        let listed = [("x-forwarded-for", "203.0.113.7, 10.0.0.1")];
        let of = |forwarded| arrived(&listed, None, forwarded);
        let added = Some("203.0.113.7, 10.0.0.1, 203.0.113.7");
        assert_eq!(of(false).header("X-Forwarded-For"), added);
        assert_eq!(of(true).header("X-Forwarded-For"), Some("203.0.113.7, 10.0.0.1"));
    }

    #[test]
    fn query_parameters_are_decoded_and_the_last_wins() {
        let request = request(&[], Some("a=1&a=2&b=x%20y+z&c&=d&&"));
        assert_eq!(request.query_parameter("a"), Some("2"));
        assert_eq!(request.query_parameter("b"), Some("x y z"));
        assert_eq!(request.query_parameter("c"), Some(""));
        assert_eq!(request.query_parameter("A"), None);
        assert!(!self::request(&[], Some("")).has_query());
    }
}
