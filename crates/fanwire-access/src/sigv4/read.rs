//! From a request to what it says of its signature. This faces the network: everything in
//! it may be anything.

use http::header::{AUTHORIZATION, DATE, HOST};
use http::request::Parts;
use http::{HeaderMap, HeaderValue};

use super::canonical::pairs;
use super::time::Timestamp;
use super::{Credential, Form, Payload, SKEW, SignatureError, Signed, hash_of};

pub(super) const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// What is signed in place of the hash of a body that is not.
pub(super) const UNSIGNED: &str = "UNSIGNED-PAYLOAD";

/// The longest that a presigned URL may last: a week.
const MAX_EXPIRES: u64 = 7 * 24 * 60 * 60;
/// The most that is read of anything that a signature says: of its headers' names, and of
/// the parts of its scope.
const MAX_BYTES: usize = 4096;
const MAX_SCOPE_PART_BYTES: usize = 128;

/// Headers of AWS's that may be there without being signed: proxies add the first, some
/// signers add the second after they have signed, and leave the third out of URLs. The second
/// is compared with the key's.
const MAY_BE_UNSIGNED: [&str; 3] = ["x-amz-cf-id", "x-amz-security-token", "x-amz-user-agent"];

/// Reads who signed a request. `None`: nobody says so.
pub(super) fn read(request: &Parts) -> Result<Option<Signed>, SignatureError> {
    let signed = match text(&request.headers, AUTHORIZATION.as_str()) {
        Some(header) if is_of_aws(header) => from_header(request, header)?,
        // What somebody else's scheme says is for somebody else.
        _ => match Presigned::find(request) {
            Some(presigned) => presigned.read(request)?,
            None => return Ok(None),
        },
    };
    check_signed_headers(request, &signed.signed_headers)?;
    Ok(Some(signed))
}

fn is_of_aws(header: &str) -> bool {
    header.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("AWS4"))
}

fn text<'r>(headers: &'r HeaderMap, name: &str) -> Option<&'r str> {
    headers.get(name).map(HeaderValue::to_str)?.ok()
}

/// The form in `Authorization`: the algorithm, then `Credential`, `SignedHeaders` and
/// `Signature` in any order, with commas between.
fn from_header(request: &Parts, header: &str) -> Result<Signed, SignatureError> {
    let shown = header.get(..MAX_BYTES.min(header.len())).unwrap_or_default();
    let incomplete =
        |what: &str| SignatureError::Incomplete(format!("{what} Authorization={shown}"));
    let (algorithm, rest) = header.split_once(' ').unwrap_or((header, ""));
    if algorithm != ALGORITHM {
        let what = format!("Unsupported AWS 'algorithm': '{algorithm}'.");
        return Err(SignatureError::Incomplete(what));
    }
    let (mut credential, mut names, mut signature) = (None, None, None);
    for part in rest.split(',').map(str::trim) {
        match part.split_once('=') {
            Some(("Credential", value)) => credential = Some(value),
            Some(("SignedHeaders", value)) => names = Some(value),
            Some(("Signature", value)) => signature = Some(value),
            Some(_) => {}
            None => {
                let what = format!(
                    "'{part}' not a valid key=value pair (missing equal-sign) in Authorization \
                     header: '{shown}'."
                );
                return Err(SignatureError::Incomplete(what));
            }
        }
    }
    let mut missing = String::new();
    for (what, value) in
        [("Credential", credential), ("Signature", signature), ("SignedHeaders", names)]
    {
        if value.is_none() {
            missing.push_str(&format!("Authorization header requires '{what}' parameter. "));
        }
    }
    let (Some(credential), Some(names), Some(signature)) = (credential, names, signature) else {
        return Err(incomplete(missing.trim_end()));
    };
    let headers = &request.headers;
    let date = text(headers, "x-amz-date").or_else(|| text(headers, DATE.as_str()));
    let date = date.ok_or_else(|| {
        incomplete(
            "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.",
        )
    })?;
    Ok(Signed {
        credential: Credential::parse(credential)?,
        timestamp: timestamp(date)?,
        signed_headers: header_names(names)?,
        signature: signature_of(signature)?,
        session_token: text(headers, "x-amz-security-token").map(str::to_owned),
        payload: payload(text(headers, "x-amz-content-sha256"))?,
        form: Form::Header,
    })
}

/// The parameters of a presigned URL.
#[derive(Default)]
struct Presigned {
    algorithm: Option<String>,
    credential: Option<String>,
    date: Option<String>,
    expires: Option<String>,
    signed_headers: Option<String>,
    signature: Option<String>,
    token: Option<String>,
    payload: Option<String>,
}

// === impl Presigned ===

impl Presigned {
    /// Those of a request, where it has a signature in its query. Of a parameter that is
    /// there twice the first counts; both are signed.
    fn find(request: &Parts) -> Option<Self> {
        let mut found = Self::default();
        for (name, value) in pairs(request.uri.query()?) {
            let place = match name.as_ref() {
                b"X-Amz-Algorithm" => &mut found.algorithm,
                b"X-Amz-Credential" => &mut found.credential,
                b"X-Amz-Date" => &mut found.date,
                b"X-Amz-Expires" => &mut found.expires,
                b"X-Amz-SignedHeaders" => &mut found.signed_headers,
                b"X-Amz-Signature" => &mut found.signature,
                b"X-Amz-Security-Token" => &mut found.token,
                b"X-Amz-Content-Sha256" => &mut found.payload,
                _ => continue,
            };
            place.get_or_insert(String::from_utf8_lossy(&value).into_owned());
        }
        let is_signed = found.signature.is_some() || found.algorithm.is_some();
        is_signed.then_some(found)
    }

    fn read(self, request: &Parts) -> Result<Signed, SignatureError> {
        let needed = |value: Option<String>, name: &str| {
            value.ok_or_else(|| {
                let what = format!("AWS query-string parameters must include '{name}'.");
                SignatureError::Incomplete(what)
            })
        };
        let algorithm = needed(self.algorithm, "X-Amz-Algorithm")?;
        if algorithm != ALGORITHM {
            let what = format!("Unsupported AWS 'algorithm': '{algorithm}'.");
            return Err(SignatureError::Incomplete(what));
        }
        let expires = match self.expires {
            // AWS's own SDK for devices leaves it out of the URLs of WebSockets.
            None => SKEW,
            Some(text) => {
                text.parse().ok().filter(|expires| (1..=MAX_EXPIRES).contains(expires)).ok_or_else(
                    || {
                        let what = "X-Amz-Expires must be a number of seconds from 1 to 604800.";
                        SignatureError::Incomplete(what.to_owned())
                    },
                )?
            }
        };
        let declared = text(&request.headers, "x-amz-content-sha256").map(str::to_owned);
        Ok(Signed {
            credential: Credential::parse(&needed(self.credential, "X-Amz-Credential")?)?,
            timestamp: timestamp(&needed(self.date, "X-Amz-Date")?)?,
            signed_headers: header_names(&needed(self.signed_headers, "X-Amz-SignedHeaders")?)?,
            signature: signature_of(&needed(self.signature, "X-Amz-Signature")?)?,
            session_token: self.token,
            payload: payload(self.payload.or(declared).as_deref())?,
            form: Form::Query { expires },
        })
    }
}

// === impl Credential ===

impl Credential {
    /// Reads `ID/20150830/us-east-1/service/aws4_request`.
    fn parse(text: &str) -> Result<Self, SignatureError> {
        let malformed = || {
            let what = "Credential must have exactly 5 slash-delimited elements, e.g. \
                        keyid/date/region/service/term";
            SignatureError::Incomplete(what.to_owned())
        };
        let parts: Vec<&str> = text.splitn(6, '/').collect();
        let [id, day, region, service, end] = parts.as_slice() else { return Err(malformed()) };
        if parts.iter().any(|part| part.is_empty() || part.len() > MAX_SCOPE_PART_BYTES) {
            return Err(malformed());
        }
        if *end != "aws4_request" {
            let what = format!(
                "Credential should be scoped with a valid terminator: 'aws4_request', not '{end}'."
            );
            return Err(SignatureError::Incomplete(what));
        }
        Ok(Self {
            key_id: (*id).to_owned(),
            day: (*day).to_owned(),
            region: (*region).to_owned(),
            service: (*service).to_owned(),
        })
    }
}

fn timestamp(text: &str) -> Result<Timestamp, SignatureError> {
    Timestamp::parse(text).ok_or_else(|| {
        let what = "Date must be in ISO-8601 'basic format', such as 20150830T123600Z.";
        SignatureError::Incomplete(what.to_owned())
    })
}

fn signature_of(text: &str) -> Result<[u8; 32], SignatureError> {
    hash_of(text).ok_or_else(|| {
        let what = "The signature must have 64 hexadecimal digits.";
        SignatureError::Incomplete(what.to_owned())
    })
}

/// The names of signed headers, which are in order and in lower case.
fn header_names(text: &str) -> Result<Vec<String>, SignatureError> {
    if text.len() > MAX_BYTES {
        return Err(SignatureError::Incomplete("There are too many SignedHeaders.".to_owned()));
    }
    Ok(text.split(';').filter(|name| !name.is_empty()).map(str::to_ascii_lowercase).collect())
}

fn payload(declared: Option<&str>) -> Result<Payload, SignatureError> {
    match declared {
        None => Ok(Payload::Unknown),
        Some(UNSIGNED) => Ok(Payload::Unsigned),
        Some(text) if text.starts_with("STREAMING-") => {
            let form = text.get(..64.min(text.len())).unwrap_or_default();
            Err(SignatureError::Streaming(form.to_owned()))
        }
        Some(text) => hash_of(text).map(Payload::Declared).ok_or_else(|| {
            let what = "x-amz-content-sha256 must be UNSIGNED-PAYLOAD or a SHA-256.";
            SignatureError::Incomplete(what.to_owned())
        }),
    }
}

/// The host has to be signed, so that a request is good for one server, and what AWS's
/// services go by.
fn check_signed_headers(request: &Parts, signed: &[String]) -> Result<(), SignatureError> {
    let is_signed = |name: &str| signed.iter().any(|one| one == name);
    if !is_signed(HOST.as_str()) {
        return Err(SignatureError::UnsignedHeader("Host".to_owned()));
    }
    let unsigned = request.headers.keys().map(http::HeaderName::as_str).find(|name| {
        name.starts_with("x-amz-") && !MAY_BE_UNSIGNED.contains(name) && !is_signed(name)
    });
    if let Some(name) = unsigned {
        return Err(SignatureError::UnsignedHeader(name.to_owned()));
    }
    // What is no text would be the same text whatever it is.
    let mut values = signed.iter().flat_map(|name| request.headers.get_all(name.as_str()));
    if values.any(|value| std::str::from_utf8(value.as_bytes()).is_err()) {
        let what = "A signed header is not UTF-8.".to_owned();
        return Err(SignatureError::Incomplete(what));
    }
    Ok(())
}
