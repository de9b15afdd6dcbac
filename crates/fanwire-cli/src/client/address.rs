//! Addresses as people type them.

use std::fmt;

use super::CommandError;

/// A server's address, with or without the path of something on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) tls: bool,
    /// The name or address, in brackets where it is IPv6.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// The path and query, which begin with a slash.
    pub(crate) path: String,
}

// === impl Address ===

impl Address {
    /// Reads an `http`, `https`, `ws` or `wss` URL; without a scheme, an `http` one.
    pub(crate) fn parse(url: &str) -> Result<Self, CommandError> {
        let wrong = |why: &str| {
            CommandError::Usage(format!(
                "`{url}` is not an address: {why}; expected, for instance, http://localhost:3001 \
                or wss://example.org/stage"
            ))
        };
        let with_scheme =
            if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
        let uri: http::Uri = with_scheme.parse().map_err(|error| wrong(&format!("{error}")))?;
        let tls = match uri.scheme_str() {
            Some("http" | "ws") => false,
            Some("https" | "wss") => true,
            _ => return Err(wrong("its scheme is none of http, https, ws and wss")),
        };
        let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(|| wrong("no host"))?;
        let port = uri.port_u16().unwrap_or(if tls { 443 } else { 80 });
        let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        Ok(Self { tls, host: host.to_owned(), port, path })
    }

    /// The same server's address of `path`.
    pub(crate) fn with_path(&self, path: &str) -> Self {
        Self { path: path.to_owned(), ..self.clone() }
    }

    /// The value of `Host`: without the port that goes without saying.
    pub(crate) fn authority(&self) -> String {
        match (self.tls, self.port) {
            (true, 443) | (false, 80) => self.host.clone(),
            (_, port) => format!("{}:{port}", self.host),
        }
    }

    /// The host as the system's resolver and TLS take it.
    pub(crate) fn bare_host(&self) -> &str {
        self.host.trim_start_matches('[').trim_end_matches(']')
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.tls { "https" } else { "http" }, self.authority())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_usual_form_is_read() {
        let read = |url| {
            let address = Address::parse(url).unwrap();
            (address.tls, address.authority(), address.port, address.path)
        };
        let plain = |host: &str, port, path: &str| (false, host.to_owned(), port, path.to_owned());
        assert_eq!(read("localhost:4000"), plain("localhost:4000", 4000, "/"));
        assert_eq!(read("ws://h/dev?a=1"), plain("h", 80, "/dev?a=1"));
        assert_eq!(read("http://[::1]:1/x"), plain("[::1]:1", 1, "/x"));
        assert_eq!(read("wss://h.example/p"), (true, "h.example".into(), 443, "/p".into()));
        for url in ["ftp://h", "http://", "", "ws://a b"] {
            assert!(Address::parse(url).is_err(), "{url}");
        }
    }
}
