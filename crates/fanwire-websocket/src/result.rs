//! What a Lambda proxy integration may answer, strictly read.
//!
//! An object with `statusCode`, `headers`, `multiValueHeaders`, `body` and
//! `isBase64Encoded`, and nothing else: one unknown key makes the result malformed,
//! as it does on API Gateway (reference: api-gateway.md, section 7).

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer};

/// A well-formed result.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct ProxyResult {
    #[serde(deserialize_with = "status_code")]
    pub(crate) status_code: u16,
    #[serde(default)]
    headers: Option<BTreeMap<String, HeaderValue>>,
    #[serde(default)]
    multi_value_headers: Option<BTreeMap<String, Vec<HeaderValue>>>,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    is_base64_encoded: Option<bool>,
}

/// Header values may be any JSON scalar.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
enum HeaderValue {
    Text(String),
    Integer(i64),
    Flag(bool),
}

/// What of a result goes to the client.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Body {
    Text(String),
    /// Bytes that are not text: base64 of something else than UTF-8.
    Binary(Vec<u8>),
}

// === impl ProxyResult ===

impl ProxyResult {
    /// Reads a function's payload. `None` where it is malformed.
    pub(crate) fn parse(payload: &[u8]) -> Option<Self> {
        serde_json::from_slice(payload).ok()
    }

    /// The headers, those with several values among them, in no particular order.
    pub(crate) fn headers(&self) -> impl Iterator<Item = (&str, String)> {
        let single =
            self.headers.iter().flatten().map(|(name, value)| (name.as_str(), value.text()));
        let multiple = self.multi_value_headers.iter().flatten().flat_map(|(name, values)| {
            values.iter().map(move |value| (name.as_str(), value.text()))
        });
        single.chain(multiple)
    }

    /// The body as it goes to the client: an absent one is empty text. `None` where
    /// it says that it is base64 and is not. Base64 is a binary message where the API
    /// has those; elsewhere it is a way to write text.
    pub(crate) fn into_body(self, binary: bool) -> Option<Body> {
        let body = self.body.unwrap_or_default();
        if self.is_base64_encoded != Some(true) {
            return Some(Body::Text(body));
        }
        let bytes = STANDARD.decode(body).ok()?;
        if binary {
            return Some(Body::Binary(bytes));
        }
        Some(match String::from_utf8(bytes) {
            Ok(text) => Body::Text(text),
            Err(not_text) => Body::Binary(not_text.into_bytes()),
        })
    }
}

impl HeaderValue {
    fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Integer(number) => number.to_string(),
            Self::Flag(flag) => flag.to_string(),
        }
    }
}

/// A status is a number, or a string that is one: handlers in the wild answer `'200'`.
fn status_code<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u16, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Status {
        Number(u16),
        Text(String),
    }
    let status = match Status::deserialize(deserializer)? {
        Status::Number(number) => Some(number),
        Status::Text(text) => text.parse().ok(),
    };
    status
        .filter(|status| (100..600).contains(status))
        .ok_or_else(|| serde::de::Error::custom("statusCode is not an HTTP status"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn well_formed_results_are_read() {
        for payload in [
            r#"{"statusCode":200}"#,
            r#"{"statusCode":"200"}"#,
            r#"{"statusCode":200,"body":null,"headers":null}"#,
            r#"{"statusCode":200,"body":"x","headers":{"a":1,"b":true},"multiValueHeaders":{},"isBase64Encoded":false}"#,
        ] {
            let result = ProxyResult::parse(payload.as_bytes());
            assert_eq!(result.map(|result| result.status_code), Some(200), "{payload}");
        }
    }

    #[test]
    fn malformed_results_are_refused() {
        for payload in [
            "null",
            "{}",
            r#""text""#,
            "[]",
            "",
            r#"{"body":"x"}"#,
            r#"{"statusCode":200,"Data":1}"#,
            r#"{"statusCode":200,"body":{}}"#,
            r#"{"statusCode":"ok"}"#,
            r#"{"statusCode":7}"#,
        ] {
            assert_eq!(ProxyResult::parse(payload.as_bytes()), None, "{payload}");
        }
    }

    #[test]
    fn a_body_may_be_base64_of_text_or_of_bytes() {
        let of = |payload: &str, binary| {
            ProxyResult::parse(payload.as_bytes()).unwrap().into_body(binary)
        };
        let body = |payload| of(payload, false);
        assert_eq!(body(r#"{"statusCode":200}"#), Some(Body::Text(String::new())));
        assert_eq!(
            body(r#"{"statusCode":200,"body":"aGk=","isBase64Encoded":true}"#),
            Some(Body::Text("hi".to_owned()))
        );
        assert_eq!(
            body(r#"{"statusCode":200,"body":"/w==","isBase64Encoded":true}"#),
            Some(Body::Binary(vec![0xff]))
        );
        assert_eq!(body(r#"{"statusCode":200,"body":"?","isBase64Encoded":true}"#), None);
        assert_eq!(
            of(r#"{"statusCode":200,"body":"aGk=","isBase64Encoded":true}"#, true),
            Some(Body::Binary(b"hi".to_vec()))
        );
    }
}
