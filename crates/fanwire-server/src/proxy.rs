//! Proxies in front of the server, and who is behind them: the PROXY header that a connection
//! begins with, and `X-Forwarded-*` headers of requests.

use std::io;
use std::net::{IpAddr, SocketAddr};

use fanwire_wire::proxy::{self, NoHeader, Progress};
use http::HeaderMap;
use http::header::HeaderName;
use ipnet::IpNet;
use tokio::io::{AsyncRead, AsyncReadExt as _};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");

/// Reads the PROXY header that a connection begins with, and nothing of what follows it. Says
/// who the client is; `None` where the proxy speaks for itself, as it does to see whether the
/// server is there.
///
/// # Errors
///
/// Where there is no such header, or the connection fails.
pub(crate) async fn read_header(
    stream: &mut (impl AsyncRead + Unpin),
) -> io::Result<Option<SocketAddr>> {
    let mut header = Vec::new();
    loop {
        match proxy::read(&header).map_err(invalid)? {
            Progress::Client(client) => return Ok(client),
            Progress::Wants(more) => {
                let had = header.len();
                header.resize(had + more, 0);
                stream.read_exact(&mut header[had..]).await?;
            }
        }
    }
}

fn invalid(error: NoHeader) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

/// The proxies whose `X-Forwarded-*` headers are believed.
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies(Vec<IpNet>);

/// Text that is neither an address nor a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is neither an address nor a network; expected such as `10.0.0.7` or `10.0.0.0/8`")]
pub struct NoNetwork(pub String);

/// How a request came in, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Client {
    pub(crate) address: SocketAddr,
    /// Whether TLS was spoken with it, here or by a proxy.
    pub(crate) tls: bool,
    /// The port that it connected to.
    pub(crate) port: u16,
}

// === impl TrustedProxies ===

impl TrustedProxies {
    /// Those at the addresses and in the networks of a list.
    ///
    /// # Errors
    ///
    /// [`NoNetwork`], for the first text that is none.
    pub fn of<'t>(texts: impl IntoIterator<Item = &'t str>) -> Result<Self, NoNetwork> {
        let network = |text: &str| {
            let address = || text.parse::<IpAddr>().map(IpNet::from);
            text.parse().or_else(|_| address()).map_err(|_| NoNetwork(text.to_owned()))
        };
        texts.into_iter().map(network).collect::<Result<_, _>>().map(Self)
    }

    /// Whether an address is that of one of them.
    pub(crate) fn include(&self, address: IpAddr) -> bool {
        // An IPv4 client of a listener for both has an address of IPv6.
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// Who a request comes from that `direct` has sent: where that is a trusted proxy, the
    /// nearest address before it that is none. What stands before that one anybody could have
    /// written.
    pub(crate) fn client(&self, direct: Client, headers: &HeaderMap) -> Client {
        if !self.include(direct.address.ip()) {
            return direct;
        }
        // Byte by byte: a client may have written what is no text before what its proxy wrote.
        let values = headers.get_all(FORWARDED_FOR).iter().rev();
        let listed = values.flat_map(|value| value.as_bytes().rsplit(|byte| *byte == b','));
        let mut address = direct.address;
        for listed in listed {
            // What is no address may be anything: the proxy that passed it on is what is known.
            let Some(next) = str::from_utf8(listed).ok().and_then(|text| address_of(text.trim()))
            else {
                break;
            };
            address = next;
            if !self.include(next.ip()) {
                break;
            }
        }
        let last = |name: &HeaderName| {
            let value = headers.get_all(name).iter().next_back()?.to_str().ok()?;
            value.rsplit(',').next().map(str::trim)
        };
        let tls = match last(&FORWARDED_PROTO) {
            Some("https" | "wss") => true,
            Some("http" | "ws") => false,
            _ => direct.tls,
        };
        let port = last(&FORWARDED_PORT).and_then(|port| port.parse().ok());
        Client { address, tls, port: port.unwrap_or(direct.port) }
    }
}

/// An address as proxies write it, with a port or without.
fn address_of(text: &str) -> Option<SocketAddr> {
    let bare = |text: &str| text.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, 0));
    text.parse().ok().or_else(|| bare(text.trim_start_matches('[').trim_end_matches(']')))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[tokio::test]
    async fn a_header_is_taken_off_and_what_follows_is_left() {
        let mut stream = b"PROXY TCP4 192.0.2.7 192.0.2.1 56324 443\r\nGET /".as_slice();
        let client = read_header(&mut stream).await.unwrap();
        assert_eq!(client, Some("192.0.2.7:56324".parse().unwrap()));
        assert_eq!(stream, b"GET /");
    }

    #[tokio::test]
    async fn a_connection_that_ends_in_its_header_or_has_none_is_refused() {
        for (bytes, kind) in [
            (b"PROXY TCP4 192.0.2.7".as_slice(), io::ErrorKind::UnexpectedEof),
            (b"GET / HTTP/1.1\r\n", io::ErrorKind::InvalidData),
        ] {
            let mut stream = bytes;
            assert_eq!(read_header(&mut stream).await.unwrap_err().kind(), kind);
        }
    }

    fn client(proxies: &[&str], direct: &str, headers: &[(&'static str, &'static str)]) -> Client {
        let proxies = TrustedProxies::of(proxies.iter().copied()).unwrap();
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_static(value));
        }
        let direct = Client { address: direct.parse().unwrap(), tls: false, port: 3001 };
        proxies.client(direct, &map)
    }

    #[test]
    fn only_proxies_that_are_trusted_are_believed() {
        let headers = [("x-forwarded-for", "203.0.113.9"), ("x-forwarded-proto", "https")];
        let stranger = client(&["10.0.0.0/8"], "192.0.2.1:5", &headers);
        assert_eq!((stranger.address.to_string().as_str(), stranger.tls), ("192.0.2.1:5", false));
        let believed = client(&["10.0.0.0/8"], "10.1.2.3:5", &headers);
        assert_eq!(
            (believed.address.ip().to_string().as_str(), believed.tls),
            ("203.0.113.9", true)
        );
        let mapped = client(&["10.0.0.0/8"], "[::ffff:10.1.2.3]:5", &headers);
        assert_eq!(mapped.address.ip().to_string(), "203.0.113.9");
    }

    #[test]
    fn the_client_is_the_last_address_that_is_no_proxy() {
        let proxies = ["10.0.0.0/8", "2001:db8::/32"];
        for (listed, expected) in [
            ("6.6.6.6, 203.0.113.9, 10.0.0.2", "203.0.113.9"),
            ("6.6.6.6, 203.0.113.9:4711", "203.0.113.9"),
            ("[2001:db9::1]", "2001:db9::1"),
            ("10.0.0.9", "10.0.0.9"),
            ("unknown, 10.0.0.2", "10.0.0.2"),
            ("unknown", "10.0.0.1"),
        ] {
            let found = client(&proxies, "10.0.0.1:5", &[("x-forwarded-for", listed)]);
            assert_eq!(found.address.ip().to_string(), expected, "{listed}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_do_not_hide_what_a_proxy_has_added() {
        let mut headers = HeaderMap::new();
        let forged = HeaderValue::from_bytes(b"\xff, 203.0.113.9").unwrap();
        headers.append(FORWARDED_FOR, HeaderValue::from_static("6.6.6.6"));
        headers.append(FORWARDED_FOR, forged);
        let proxies = TrustedProxies::of(["10.0.0.0/8"]).unwrap();
        let direct = Client { address: "10.0.0.1:5".parse().unwrap(), tls: false, port: 3001 };
        let found = proxies.client(direct, &headers);
        assert_eq!(found.address.ip().to_string(), "203.0.113.9");
    }

    #[test]
    fn a_list_over_several_headers_is_one_list() {
        let headers = [("x-forwarded-for", "203.0.113.9"), ("x-forwarded-for", "10.0.0.2")];
        assert_eq!(
            client(&["10.0.0.0/8"], "10.0.0.1:5", &headers).address.ip().to_string(),
            "203.0.113.9"
        );
    }

    #[test]
    fn what_is_no_network_is_told() {
        assert_eq!(TrustedProxies::of(["10.0.0/8"]).unwrap_err(), NoNetwork("10.0.0/8".to_owned()));
    }
}
