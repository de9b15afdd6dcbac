//! Signatures made by others, and what becomes of them when anything is changed.

use std::time::{Duration, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign,
};
use aws_sigv4::sign::v4;
use fanwire_app::serve::secret::Secret;
use http::Request;
use http::request::Parts;
use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::grant::Grants;

/// 2015-08-30T12:36:00Z, the time of AWS's vectors.
const NOW: u64 = 1_440_938_160;
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

fn ring(token: Option<&str>) -> Keyring {
    let key = Key {
        name: "example".to_owned(),
        id: "AKIDEXAMPLE".to_owned(),
        secret: Secret::new(SECRET),
        session_token: token.map(Secret::new),
        expires_at: None,
        grants: Grants::default(),
    };
    Keyring::new([key], [])
}

fn verify(
    request: &Parts,
    body: &[u8],
    ring: &Keyring,
    now: u64,
) -> Result<String, SignatureError> {
    let signed = Signed::read(request)?.ok_or(SignatureError::Missing)?;
    let key = signed.verify(request, ring, &["service"], now, &sha256(body))?;
    Ok(key.name.clone())
}

/// A request of AWS's suite; `None` where it cannot be one that a server of HTTP gets.
fn request_of(vector: &Value) -> Option<Parts> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut request =
        Request::builder().method(text(&vector["method"]).as_str()).uri(text(&vector["target"]));
    for header in vector["headers"].as_array().unwrap() {
        // A value that goes on in the next line is obsolete (RFC 9112, section 5.2).
        request = request.header(text(&header[0]), text(&header[1]).replace('\n', " ").trim());
    }
    Some(request.body(()).ok()?.into_parts().0)
}

/// The suite that AWS publishes (in aws-c-auth, under the Apache License 2.0; for each
/// vector, what a client sends and what it has signed). Those for S3 are to be refused: it is
/// the only service that takes paths as they are.
#[test]
fn the_vectors_that_aws_publishes_are_judged_as_by_aws() {
    let vectors: Vec<Value> =
        serde_json::from_str(include_str!("../../tests/aws-vectors.json")).unwrap();
    let (mut good, mut refused) = (0, 0);
    for vector in &vectors {
        let name = vector["name"].as_str().unwrap();
        for form in ["header", "query"] {
            let Some(request) = request_of(&vector[form]) else {
                // A space in a path.
                assert!(name.starts_with("get-space"), "{name} {form}");
                continue;
            };
            let body = vector[form]["body"].as_str().unwrap().as_bytes();
            let verified = verify(&request, body, &ring(vector["token"].as_str()), NOW);
            let path = request.uri.path();
            if vector["normalize"] == false && (path.contains("//") || path.contains("/.")) {
                let Err(SignatureError::Mismatch { .. }) = verified else {
                    panic!("{name} {form}: {verified:?}");
                };
                refused += 1;
            } else {
                assert_eq!(verified, Ok("example".to_owned()), "{name} {form}");
                good += 1;
            }
        }
    }
    assert!(good >= 60 && refused >= 8, "{good} {refused}");
}

/// A request that AWS's crate signs.
fn signed_by_aws(
    method: &str,
    url: &str,
    headers: &[(String, String)],
    body: &[u8],
    location: SignatureLocation,
    token: Option<&str>,
) -> Parts {
    let token = token.map(str::to_owned);
    let identity = Credentials::new("AKIDEXAMPLE", SECRET, token, None, "test").into();
    let mut settings = SigningSettings::default();
    settings.signature_location = location;
    settings.percent_encoding_mode = PercentEncodingMode::Double;
    settings.expires_in = Some(Duration::from_secs(600));
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region("us-east-1")
        .name("service")
        .time(UNIX_EPOCH + Duration::from_secs(NOW))
        .settings(settings)
        .build()
        .unwrap();
    let signable = SignableRequest::new(
        method,
        url,
        headers.iter().map(|(name, value)| (name.as_str(), value.as_str())),
        SignableBody::Bytes(body),
    );
    let (instructions, _) = sign(signable.unwrap(), &params.into()).unwrap().into_parts();
    let mut request = Request::builder().method(method).uri(url).body(()).unwrap();
    for (name, value) in headers {
        let name: http::HeaderName = name.parse().unwrap();
        request.headers_mut().append(name, value.parse().unwrap());
    }
    instructions.apply_to_request_http1x(&mut request);
    if !request.headers().contains_key("host") {
        let host = request.uri().authority().unwrap().to_string();
        request.headers_mut().insert("host", host.parse().unwrap());
    }
    request.into_parts().0
}

fn location(in_query: bool) -> SignatureLocation {
    if in_query { SignatureLocation::QueryParams } else { SignatureLocation::Headers }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// What AWS's crate signs is valid here, and nothing else is once a part of it changes.
    #[test]
    fn what_aws_signs_counts_and_what_is_changed_does_not(
        method in prop::sample::select(vec!["GET", "POST", "DELETE", "PUT"]),
        path in "(/[a-zA-Z0-9@=:._~-]{1,8}|/%[2-7][0-9A-F]|/%C3%A4){0,4}",
        query in prop::collection::vec(("[a-z%]{1,6}", "[a-zA-Z0-9 +/=&ä]{0,6}"), 0..4),
        value in "[a-z]{1,3}( {0,3}[a-z,\"]{1,3}){0,2}",
        body in prop::collection::vec(any::<u8>(), 0..40),
        in_query in any::<bool>(),
        token in prop::option::of(Just("a/token+of=some length")),
    ) {
        let pairs: Vec<String> = query
            .iter()
            .map(|(name, value)| {
                let encode = |text: &str| {
                    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC)
                        .to_string()
                };
                format!("{}={}", encode(name), encode(value))
            })
            .collect();
        let query = if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) };
        let url = format!("http://a.example:3001{path}{query}");
        let headers = [("x-own".to_owned(), value)];
        let request =
            signed_by_aws(method, &url, &headers, &body, location(in_query), token);
        let ring = ring(token);
        prop_assert_eq!(verify(&request, &body, &ring, NOW), Ok("example".to_owned()));

        let refused = |request: &Parts, body: &[u8]| {
            matches!(
                verify(request, body, &ring, NOW),
                Err(SignatureError::Mismatch { .. } | SignatureError::UnknownKey)
            )
        };
        prop_assert!(refused(&request, &[&body[..], b"x"].concat()));
        let mut changed = request.clone();
        changed.method = "PATCH".parse().unwrap();
        prop_assert!(refused(&changed, &body));
        let mut changed = request.clone();
        changed.headers.insert("x-own", "another".parse().unwrap());
        prop_assert!(refused(&changed, &body));
        let mut changed = request.clone();
        changed.headers.insert("host", "b.example:3001".parse().unwrap());
        prop_assert!(refused(&changed, &body));
        let mut changed = request.clone();
        let more = if changed.uri.query().is_some() { "&" } else { "?" };
        changed.uri = format!("{}{more}and=more", changed.uri).parse().unwrap();
        prop_assert!(refused(&changed, &body));
        let mut changed = request;
        // At its end: before a `..` it would make no difference.
        let (path, query) = (changed.uri.path(), changed.uri.query().unwrap_or_default());
        changed.uri = format!("http://a.example:3001{path}/x?{query}").parse().unwrap();
        prop_assert!(refused(&changed, &body));
    }

    /// Whatever the network brings is answered.
    #[test]
    fn nothing_that_is_read_panics(
        authorization in "(AWS4-HMAC-SHA256 )?(Credential=|SignedHeaders=|Signature=|[a-z/,;= 0-9ä])*",
        date in "[0-9TZ]{0,17}",
        query in "(X-Amz-(Signature|Credential|Date|Expires|Algorithm|SignedHeaders)=|[a-z0-9%&=/+])*",
    ) {
        let request = Request::builder()
            .uri(format!("http://h/?{query}"))
            .header("authorization", authorization)
            .header("x-amz-date", date)
            .body(());
        if let Ok(request) = request {
            let _ = verify(&request.into_parts().0, b"", &ring(None), NOW);
        }
    }
}

fn plain(in_query: bool) -> Parts {
    signed_by_aws("POST", "http://h:1/a", &[], b"{}", location(in_query), None)
}

fn refusal(request: &Parts, now: u64) -> SignatureError {
    verify(request, b"{}", &ring(None), now).unwrap_err()
}

#[test]
fn a_signature_is_good_for_five_minutes_or_as_long_as_a_url_says() {
    for (in_query, lasts) in [(false, 300), (true, 600)] {
        let request = plain(in_query);
        for now in [NOW - 300, NOW, NOW + lasts] {
            verify(&request, b"{}", &ring(None), now).unwrap();
        }
        let expired = refusal(&request, NOW + lasts + 1);
        assert_eq!(expired.name(), "InvalidSignatureException");
        let said = expired.to_string();
        assert!(
            said.starts_with(
                "Signature expired: 20150830T123600Z is now earlier than 20150830T123601Z ("
            ),
            "{said}"
        );
        let early = refusal(&request, NOW - 301).to_string();
        assert!(early.starts_with("Signature not yet current: 20150830T123600Z"), "{early}");
    }
}

#[test]
fn each_thing_that_is_wrong_has_its_error() {
    let named = |request: &Parts| refusal(request, NOW).name();
    let mut request = plain(false);
    request.headers.remove("authorization");
    assert_eq!(named(&request), "MissingAuthenticationTokenException");
    let with = |from: &str, to: &str| {
        let mut request = plain(false);
        let header = request.headers["authorization"].to_str().unwrap().replace(from, to);
        request.headers.insert("authorization", header.parse().unwrap());
        request
    };
    for (from, to, name) in [
        ("AKIDEXAMPLE", "AKIDOTHER", "UnrecognizedClientException"),
        ("/service/", "/lambda/", "InvalidSignatureException"),
        ("/us-east-1/", "/eu-west-1/", "InvalidSignatureException"),
        ("20150830/", "20150829/", "InvalidSignatureException"),
        ("aws4_request", "aws4", "IncompleteSignatureException"),
        ("host;", "", "InvalidSignatureException"),
        ("Credential=", "Credentials=", "IncompleteSignatureException"),
        ("Signature=", "Signature=0", "IncompleteSignatureException"),
        ("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256", "IncompleteSignatureException"),
        (", Signature", ", nothing, Signature", "IncompleteSignatureException"),
    ] {
        assert_eq!(named(&with(from, to)), name, "{from} {to}");
    }
    let mut request = plain(false);
    request.headers.insert("x-amz-target", "DynamoDB_20120810.PutItem".parse().unwrap());
    let error = refusal(&request, NOW);
    assert_eq!(error, SignatureError::UnsignedHeader("x-amz-target".to_owned()));
    let mut request = plain(false);
    request
        .headers
        .insert("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD".parse().unwrap());
    assert_eq!(named(&request), "InvalidSignatureException");
    let mut request = plain(false);
    request.headers.remove("x-amz-date");
    assert_eq!(named(&request), "IncompleteSignatureException");
    // A bearer's token is somebody else's business.
    request.headers.insert("authorization", "Bearer abc".parse().unwrap());
    assert_eq!(named(&request), "MissingAuthenticationTokenException");
}

#[test]
fn a_session_token_goes_with_its_key_and_ends() {
    let request = signed_by_aws("POST", "http://h:1/a", &[], b"{}", location(false), Some("t"));
    let verify = |ring: &Keyring| verify(&request, b"{}", ring, NOW);
    verify(&ring(Some("t"))).unwrap();
    for token in [Some("u"), None] {
        assert_eq!(verify(&ring(token)), Err(SignatureError::UnknownKey));
    }
    let mut key = (*ring(Some("t")).keys("AKIDEXAMPLE")[0]).clone();
    key.expires_at = Some(NOW);
    assert_eq!(verify(&Keyring::new([key], [])), Err(SignatureError::ExpiredToken));
}

#[test]
fn while_a_secret_is_replaced_both_are_valid() {
    let old = (*ring(None).keys("AKIDEXAMPLE")[0]).clone();
    let new =
        Key { name: "new".to_owned(), secret: Secret::new("another, just as long"), ..old.clone() };
    let request = plain(false);
    let both = Keyring::new([new.clone(), old], []);
    assert_eq!(verify(&request, b"{}", &both, NOW), Ok("example".to_owned()));
    let name = verify(&request, b"{}", &Keyring::new([new], []), NOW);
    assert!(matches!(name, Err(SignatureError::Mismatch { .. })));
}

#[test]
fn a_body_may_be_declared_or_left_out() {
    let of = |payload: &str, body: &[u8]| {
        let headers = [("x-amz-content-sha256".to_owned(), payload.to_owned())];
        signed_by_aws("POST", "http://h:1/a", &headers, body, location(false), None)
    };
    let declared = of(&hex(&sha256(b"{}")), b"{}");
    let signed = Signed::read(&declared).unwrap().unwrap();
    assert_eq!(signed.payload(), Payload::Declared(sha256(b"{}")));
    signed.verify(&declared, &ring(None), &["service"], NOW, &[0; 32]).unwrap();
}
