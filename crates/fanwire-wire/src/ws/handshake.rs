//! The HTTP request that opens a WebSocket connection (RFC 6455 section 4.2), and the
//! offers of compression in it (RFC 7692 section 7.1).

use std::fmt;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, PAD, STANDARD};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use sha1::{Digest as _, Sha1};

use super::deflate::MAX_WINDOW_BITS;
use super::shared::WireForm;

/// What a server adds to the client's key before it hashes it (RFC 6455 section 1.3).
const ACCEPT_GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The only version of the protocol there is.
const VERSION: &str = "13";

/// The extension of RFC 7692.
const DEFLATE: &str = "permessage-deflate";

/// Decodes keys. Bits that the last character has too many are forgiven: some clients
/// make keys of random characters.
const KEY: GeneralPurpose =
    GeneralPurpose::new(&alphabet::STANDARD, PAD.with_decode_allow_trailing_bits(true));

/// A request that may become a WebSocket connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upgrade {
    /// The value of the response's `Sec-WebSocket-Accept`.
    pub accept: String,
    /// What the client offers in `Sec-WebSocket-Extensions`, for [`negotiate_deflate`];
    /// empty where it offers nothing.
    pub extensions: String,
}

/// Why a request does not become a WebSocket connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    /// A method other than GET.
    #[error("a WebSocket handshake is a GET request")]
    Method,
    /// No `Connection: Upgrade` with `Upgrade: websocket`: an ordinary HTTP request.
    #[error("this address speaks WebSocket; send `Connection: Upgrade` and `Upgrade: websocket`")]
    NotAnUpgrade,
    /// A version other than 13.
    #[error("the handshake needs `Sec-WebSocket-Version: 13`")]
    Version,
    /// No key, several, or one that is not 16 bytes in base64.
    #[error("the handshake needs one `Sec-WebSocket-Key` of 16 bytes in base64")]
    Key,
}

/// `permessage-deflate` as the two sides agree on it. Both sides forget what they
/// compressed at the end of each message.
///
/// Its `Display` is the value of the response's `Sec-WebSocket-Extensions`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deflate {
    /// The window that the client asks the server to keep to, if it does.
    server_max_window_bits: Option<u8>,
}

/// The `Sec-WebSocket-Accept` that proves that a key was read (RFC 6455 section 4.2.2).
pub fn accept_key(key: &str) -> String {
    let hash = Sha1::new().chain_update(key).chain_update(ACCEPT_GUID).finalize();
    STANDARD.encode(hash)
}

/// Judges a request by its method and headers.
pub fn check(headers: &HeaderMap, method: &Method) -> Result<Upgrade, HandshakeError> {
    if method != Method::GET {
        return Err(HandshakeError::Method);
    }
    if !has_token(headers, header::CONNECTION, "upgrade")
        || !has_token(headers, header::UPGRADE, "websocket")
    {
        return Err(HandshakeError::NotAnUpgrade);
    }
    if single(headers, header::SEC_WEBSOCKET_VERSION) != Some(VERSION) {
        return Err(HandshakeError::Version);
    }
    let key = single(headers, header::SEC_WEBSOCKET_KEY).ok_or(HandshakeError::Key)?;
    if KEY.decode(key).map_or(0, |bytes| bytes.len()) != 16 {
        return Err(HandshakeError::Key);
    }
    let extensions = headers.get_all(header::SEC_WEBSOCKET_EXTENSIONS);
    let extensions: Vec<_> = extensions.iter().filter_map(|value| value.to_str().ok()).collect();
    Ok(Upgrade { accept: accept_key(key), extensions: extensions.join(", ") })
}

/// Accepts the first offer of `permessage-deflate` that can be honoured. `None` where
/// there is none: the connection is then not compressed, and the response says nothing.
pub fn negotiate_deflate(offers: &str) -> Option<Deflate> {
    split(offers, ',').find_map(Deflate::accept)
}

/// Whether a list header holds a token, without case.
fn has_token(headers: &HeaderMap, name: HeaderName, token: &str) -> bool {
    let values = headers.get_all(name);
    let mut tokens =
        values.iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    tokens.any(|one| one.trim().eq_ignore_ascii_case(token))
}

/// The value of a header that must be there once.
fn single(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok().map(str::trim),
        _ => None,
    }
}

/// Splits at a separator that is not within a quoted string, and trims.
fn split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    text.split(move |c: char| {
        quoted ^= c == '"';
        c == separator && !quoted
    })
    .map(str::trim)
}

// === impl HandshakeError ===

impl HandshakeError {
    /// The status of the response.
    pub fn status(self) -> StatusCode {
        match self {
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotAnUpgrade => StatusCode::UPGRADE_REQUIRED,
            Self::Version | Self::Key => StatusCode::BAD_REQUEST,
        }
    }

    /// The header that tells the client what would do, where the status calls for one
    /// (RFC 6455 section 4.4, RFC 9110 sections 15.5.6 and 15.5.22).
    pub fn header(self) -> Option<(HeaderName, HeaderValue)> {
        match self {
            Self::Method => Some((header::ALLOW, HeaderValue::from_static("GET"))),
            Self::NotAnUpgrade => Some((header::UPGRADE, HeaderValue::from_static("websocket"))),
            Self::Version => {
                Some((header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static(VERSION)))
            }
            Self::Key => None,
        }
    }
}

// === impl Deflate ===

impl Deflate {
    /// How frames to this client are encoded.
    pub fn wire_form(self) -> WireForm {
        WireForm::Deflated { window_bits: self.server_max_window_bits.unwrap_or(MAX_WINDOW_BITS) }
    }

    /// Accepts one offer of the header's list, unless it is another extension's or has
    /// a parameter that is unknown, repeated, or has no valid value (RFC 7692 section
    /// 7.1: such an offer is declined).
    fn accept(offer: &str) -> Option<Self> {
        let mut parameters = split(offer, ';');
        if !parameters.next()?.eq_ignore_ascii_case(DEFLATE) {
            return None;
        }
        let mut seen: Vec<&str> = Vec::new();
        let mut server_max_window_bits = None;
        for parameter in parameters {
            let (name, value) = match parameter.split_once('=') {
                Some((name, value)) => (name.trim_end(), Some(unquote(value.trim_start())?)),
                None => (parameter, None),
            };
            if seen.contains(&name) {
                return None;
            }
            seen.push(name);
            match (name, value) {
                // Both are what this side does in any case.
                ("server_no_context_takeover" | "client_no_context_takeover", None) => {}
                // The inflater takes any window, so the client may use what it offers.
                ("client_max_window_bits", None) => {}
                ("client_max_window_bits", Some(bits)) => drop(window_bits(bits)?),
                ("server_max_window_bits", Some(bits)) => {
                    server_max_window_bits = Some(window_bits(bits)?);
                }
                _ => return None,
            }
        }
        Some(Self { server_max_window_bits })
    }
}

impl fmt::Display for Deflate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{DEFLATE}; server_no_context_takeover; client_no_context_takeover")?;
        match self.server_max_window_bits {
            Some(bits) => write!(f, "; server_max_window_bits={bits}"),
            None => Ok(()),
        }
    }
}

/// 8 to 15, without leading zeros (RFC 7692 section 7.1.2).
fn window_bits(text: &str) -> Option<u8> {
    matches!(text, "8" | "9" | "10" | "11" | "12" | "13" | "14" | "15")
        .then(|| text.parse().ok())
        .flatten()
}

/// A token, or the token within a quoted string.
fn unquote(value: &str) -> Option<&str> {
    match value.strip_prefix('"') {
        Some(rest) => rest.strip_suffix('"'),
        None => Some(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The request of RFC 6455 section 1.3, with some headers changed.
    fn request(changes: &[(&'static str, &[&str])]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "WebSocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ] {
            headers.append(name, HeaderValue::from_static(value));
        }
        for (name, values) in changes {
            headers.remove(*name);
            for value in *values {
                headers.append(*name, HeaderValue::from_str(value).unwrap());
            }
        }
        headers
    }

    fn refusal(changes: &[(&'static str, &[&str])]) -> HandshakeError {
        check(&request(changes), &Method::GET).unwrap_err()
    }

    #[test]
    fn the_request_of_the_rfc_gets_the_answer_of_the_rfc() {
        let upgrade = check(&request(&[]), &Method::GET).unwrap();
        assert_eq!(upgrade.accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(upgrade.extensions, "");
    }

    #[test]
    fn offers_in_several_headers_are_one_list() {
        let changes: &[(_, &[&str])] =
            &[("sec-websocket-extensions", &["a; b", "permessage-deflate"])];
        let upgrade = check(&request(changes), &Method::GET).unwrap();
        assert_eq!(upgrade.extensions, "a; b, permessage-deflate");
    }

    #[test]
    fn an_ordinary_request_is_told_to_upgrade() {
        for name in ["connection", "upgrade"] {
            let error = refusal(&[(name, &["close"])]);
            assert_eq!(error, HandshakeError::NotAnUpgrade);
            assert_eq!(error.status(), 426);
            assert_eq!(error.header().unwrap().1, "websocket");
        }
    }

    #[test]
    fn another_version_is_told_the_one_there_is() {
        for versions in [&["8"][..], &[], &["13", "8"], &["13, 8"]] {
            let error = refusal(&[("sec-websocket-version", versions)]);
            assert_eq!(error, HandshakeError::Version);
            assert_eq!(error.status(), 400);
            assert_eq!(error.header().unwrap().1, "13");
        }
    }

    #[test]
    fn a_key_is_sixteen_bytes_in_base64_and_there_is_one() {
        let good = "dGhlIHNhbXBsZSBub25jZQ==";
        for keys in [&[][..], &[""], &["c2hvcnQ="], &["not base64!"], &[good, good]] {
            let error = refusal(&[("sec-websocket-key", keys)]);
            assert_eq!((error, error.status().as_u16()), (HandshakeError::Key, 400));
        }
        // 22 characters at random are one in sixteen times canonical.
        let random = request(&[("sec-websocket-key", &["AAAAAAAAAAAAAAAAAAAAAf=="])]);
        assert!(check(&random, &Method::GET).is_ok());
    }

    #[test]
    fn only_get_opens_a_connection() {
        let error = check(&request(&[]), &Method::POST).unwrap_err();
        assert_eq!(
            (error.status().as_u16(), error.header().unwrap().1),
            (405, "GET".parse().unwrap())
        );
    }

    fn answer(offers: &str) -> Option<String> {
        negotiate_deflate(offers).map(|deflate| deflate.to_string())
    }

    const ANSWER: &str =
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

    #[test]
    fn the_offers_of_browsers_and_of_autobahn_are_accepted() {
        for offer in [
            "permessage-deflate",
            "permessage-deflate; client_max_window_bits",
            "permessage-deflate; client_max_window_bits=9; client_no_context_takeover",
            "permessage-deflate; server_no_context_takeover; client_max_window_bits=\"15\"",
            "x-webkit-deflate-frame, Permessage-Deflate",
        ] {
            assert_eq!(answer(offer).as_deref(), Some(ANSWER), "{offer}");
        }
    }

    #[test]
    fn a_window_for_the_server_is_kept_to() {
        for bits in 8..=15 {
            let offer = format!("permessage-deflate; server_max_window_bits={bits}");
            let deflate = negotiate_deflate(&offer).unwrap();
            assert_eq!(deflate.to_string(), format!("{ANSWER}; server_max_window_bits={bits}"));
            assert_eq!(deflate.wire_form(), WireForm::Deflated { window_bits: bits });
        }
        let widest = negotiate_deflate("permessage-deflate").unwrap();
        assert_eq!(widest.wire_form(), WireForm::Deflated { window_bits: 15 });
    }

    #[test]
    fn an_offer_that_is_not_understood_is_declined_and_the_next_one_looked_at() {
        for bad in [
            "",
            "x-other",
            "permessage-deflate; unknown",
            "permessage-deflate; server_max_window_bits",
            "permessage-deflate; server_max_window_bits=7",
            "permessage-deflate; server_max_window_bits=16",
            "permessage-deflate; server_max_window_bits=09",
            "permessage-deflate; client_max_window_bits=",
            "permessage-deflate; server_no_context_takeover=1",
            "permessage-deflate; client_max_window_bits; client_max_window_bits=10",
            "permessage-deflate;",
            "x; y=\"a, permessage-deflate, b\"",
        ] {
            assert_eq!(answer(bad), None, "{bad}");
            assert_eq!(
                answer(&format!("{bad}, permessage-deflate")).as_deref(),
                Some(ANSWER),
                "{bad}"
            );
        }
        // A quote without an end takes the rest of the list with it.
        assert_eq!(
            answer("permessage-deflate; client_max_window_bits=\"9, permessage-deflate"),
            None
        );
    }
}
