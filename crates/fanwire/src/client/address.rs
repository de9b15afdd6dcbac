//! URLs of servers.

use std::fmt;

use super::ConnectError;

/// Where a server is, and what is spoken there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) scheme: Scheme,
    /// A name or an address, IPv6 without its brackets.
    pub(super) host: String,
    pub(super) port: u16,
    /// Path and query, from the slash on.
    pub(super) path: String,
}

/// What is spoken, and over what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    /// WebSockets.
    Ws,
    /// WebSockets over TLS.
    Wss,
    /// MQTT over TCP.
    Mqtt,
    /// MQTT over TLS.
    Mqtts,
}

// === impl Scheme ===

impl Scheme {
    pub(super) const fn is_tls(self) -> bool {
        matches!(self, Self::Wss | Self::Mqtts)
    }

    pub(super) const fn is_websocket(self) -> bool {
        matches!(self, Self::Ws | Self::Wss)
    }

    const fn default_port(self) -> u16 {
        match self {
            Self::Ws => 80,
            Self::Wss => 443,
            Self::Mqtt => 1883,
            Self::Mqtts => 8883,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Ws => "ws",
            Self::Wss => "wss",
            Self::Mqtt => "mqtt",
            Self::Mqtts => "mqtts",
        }
    }
}

// === impl Address ===

impl Address {
    /// Reads a `ws`, `wss`, `http` or `https` URL, the latter two as the former.
    pub(super) fn websocket(url: &str) -> Result<Self, ConnectError> {
        let address = Self::parse(url)?;
        if address.scheme.is_websocket() {
            return Ok(address);
        }
        Err(wrong(url, "expected the scheme `ws` or `wss`"))
    }

    /// Reads a URL of any scheme that is known.
    pub(super) fn parse(url: &str) -> Result<Self, ConnectError> {
        let uri: http::Uri = url.parse().map_err(|error| wrong(url, &format!("{error}")))?;
        let scheme = match uri.scheme_str() {
            Some("ws" | "http") => Scheme::Ws,
            Some("wss" | "https") => Scheme::Wss,
            Some("mqtt" | "tcp") => Scheme::Mqtt,
            Some("mqtts" | "ssl") => Scheme::Mqtts,
            _ => return Err(wrong(url, "expected the scheme `ws`, `wss`, `mqtt` or `mqtts`")),
        };
        let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(|| wrong(url, "no host"));
        let host = host?.trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = uri.port_u16().unwrap_or(scheme.default_port());
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        // `ws://host?a=1` has a query and no path.
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Ok(Self { scheme, host, port, path })
    }

    /// With one more parameter in the query, both already encoded.
    pub(super) fn push_query(&mut self, name: &str, value: &str) {
        self.path.push(if self.path.contains('?') { '&' } else { '?' });
        self.path.push_str(name);
        self.path.push('=');
        self.path.push_str(value);
    }

    /// The value of `Host`: without the port that goes without saying.
    pub(super) fn authority(&self) -> String {
        let host =
            if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.port == self.scheme.default_port() { host } else { format!("{host}:{}", self.port) }
    }

    /// What to ask the resolver for. Names under `localhost` are this machine, which not
    /// every resolver knows.
    pub(super) fn host_to_dial(&self) -> &str {
        if self.host.ends_with(".localhost") { "localhost" } else { &self.host }
    }
}

impl fmt::Display for Address {
    /// Without the query, in which credentials may be.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.split('?').next().unwrap_or_default();
        write!(f, "{}://{}{path}", self.scheme.as_str(), self.authority())
    }
}

fn wrong(url: &str, why: &str) -> ConnectError {
    // Without the query, in which credentials may be.
    let url = url.split('?').next().unwrap_or_default().to_owned();
    ConnectError::Url { url, why: why.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_usual_form_is_read() {
        let read = |url| {
            let address = Address::parse(url).unwrap();
            (address.scheme, address.authority(), address.port, address.path)
        };
        let of =
            |scheme, host: &str, port, path: &str| (scheme, host.to_owned(), port, path.into());
        assert_eq!(read("ws://h/dev?a=1"), of(Scheme::Ws, "h", 80, "/dev?a=1"));
        assert_eq!(read("wss://h?a=1"), of(Scheme::Wss, "h", 443, "/?a=1"));
        assert_eq!(read("https://[::1]:1/x"), of(Scheme::Wss, "[::1]:1", 1, "/x"));
        assert_eq!(read("mqtt://h"), of(Scheme::Mqtt, "h", 1883, "/"));
        assert_eq!(read("mqtts://h:8883"), of(Scheme::Mqtts, "h", 8883, "/"));
        for url in ["ftp://h", "ws://", "", "ws://a b", "h:80"] {
            assert!(Address::parse(url).is_err(), "{url}");
        }
        assert!(Address::websocket("mqtt://h").is_err());
    }

    #[test]
    fn no_query_is_ever_shown() {
        let mut address = Address::parse("ws://h/p").unwrap();
        address.push_query("token", "secret");
        address.push_query("b", "2");
        assert_eq!(address.path, "/p?token=secret&b=2");
        assert_eq!(address.to_string(), "ws://h/p");
        let error = Address::parse("ftp://h/p?token=secret").unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}
