//! The one text that a request is for both sides, whatever was done to it on its way.

use std::borrow::Cow;

use http::header::HOST;
use http::request::Parts;
use percent_encoding::percent_encode;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// What stays as it is, besides letters and digits (RFC 3986, section 2.3).
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
/// As above, with the slashes between segments.
const PATH: &AsciiSet = &UNRESERVED.remove(b'/');

/// A canonical request.
pub(super) struct Canonical(pub(super) String);

/// Parameters of the query that are no part of what is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Excluded {
    Nothing,
    Signature,
    SignatureAndToken,
}

// === impl Canonical ===

impl Canonical {
    /// Of a request with these signed headers and this hash of its body.
    pub(super) fn of(
        request: &Parts,
        signed_headers: &[String],
        payload: &str,
        excluded: Excluded,
    ) -> Self {
        let mut text = format!("{}\n{}\n", request.method, path(request.uri.path()));
        text.push_str(&query(request.uri.query().unwrap_or_default(), excluded));
        text.push('\n');
        for name in signed_headers {
            text.push_str(name);
            text.push(':');
            text.push_str(&header(request, name));
            text.push('\n');
        }
        text.push('\n');
        text.push_str(&signed_headers.join(";"));
        text.push('\n');
        text.push_str(payload);
        Self(text)
    }
}

/// The path as it came, without empty and dot segments, encoded once more: every service but
/// S3 wants that.
fn path(received: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    for segment in received.split('/') {
        match segment {
            "" | "." => {}
            ".." => _ = segments.pop(),
            segment => segments.push(segment),
        }
    }
    let mut normal = format!("/{}", segments.join("/"));
    // A dot segment at the end leaves a folder, as in URLs.
    let is_folder = ["/", "/.", "/.."].iter().any(|end| received.ends_with(end));
    if is_folder && !segments.is_empty() {
        normal.push('/');
    }
    utf8_percent_encode(&normal, PATH).to_string()
}

/// The parameters, each encoded in the one way, in order.
fn query(received: &str, excluded: Excluded) -> String {
    let mut pairs: Vec<(String, String)> = pairs(received)
        .filter(|(name, _)| match name.as_ref() {
            b"X-Amz-Signature" => excluded == Excluded::Nothing,
            b"X-Amz-Security-Token" => excluded != Excluded::SignatureAndToken,
            _ => true,
        })
        .map(|(name, value)| (encoded(&name), encoded(&value)))
        .collect();
    pairs.sort_unstable();
    let pairs: Vec<String> =
        pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join("&")
}

/// The parameters of a query, decoded. A `+` is itself.
pub(super) fn pairs(query: &str) -> impl Iterator<Item = (Cow<'_, [u8]>, Cow<'_, [u8]>)> {
    query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (percent_decode_str(name).into(), percent_decode_str(value).into())
    })
}

fn encoded(bytes: &[u8]) -> String {
    percent_encode(bytes, UNRESERVED).to_string()
}

/// The values of a header, each with its runs of spaces made one, with commas between.
fn header(request: &Parts, name: &str) -> String {
    let mut values: Vec<String> = Vec::new();
    for value in request.headers.get_all(name) {
        let text = String::from_utf8_lossy(value.as_bytes());
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        values.push(words.join(" "));
    }
    if values.is_empty() && name == HOST {
        // HTTP/2 has it elsewhere.
        values.extend(request.uri.authority().map(ToString::to_string));
    }
    values.join(",")
}
