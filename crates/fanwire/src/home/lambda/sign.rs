//! Signature Version 4, for the two APIs of AWS that handlers call.
//!
//! A signer of our own, because it is short: the hash functions come with TLS, and the
//! paths of both APIs have parts that are encoded, which AWS signs encoded once more. Signers
//! that are made for S3 do not do that, and AWS's own would bring twenty crates into the
//! smallest build.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac::{self, HMAC_SHA256};
use http::header::{AUTHORIZATION, HOST};
use http::{HeaderValue, Request};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What stays as it is in a signed path, besides letters and digits (RFC 3986, section 2.3).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
/// As above, with the slashes between segments.
const PATH: &AsciiSet = &SEGMENT.remove(b'/');

/// Whose calls they are.
#[derive(Clone)]
pub(crate) struct Credentials {
    given: Option<Keys>,
}

#[derive(Clone)]
struct Keys {
    id: String,
    secret: String,
    token: Option<String>,
}

/// What a call is signed for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scope<'a> {
    pub(crate) region: &'a str,
    pub(crate) service: &'a str,
}

/// Why a request could not be signed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SignError {
    #[error(
        "there are no AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, \
         and AWS_SESSION_TOKEN if there is one"
    )]
    NoCredentials,
    #[error("a request cannot have this header: {0}")]
    Header(#[from] http::header::InvalidHeaderValue),
}

/// Whether a host is one of AWS, where calls are as AWS documents them and signatures are
/// looked at.
pub(crate) fn is_aws(host: &str) -> bool {
    host.ends_with(".amazonaws.com") || host.ends_with(".amazonaws.com.cn")
}

/// A text as one segment of a path, or as a name or value of a query.
pub(crate) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, SEGMENT).to_string()
}

// === impl Credentials ===

impl Credentials {
    /// Those of a function's environment, where Lambda and Fanwire put them.
    pub(crate) fn from_variables(variable: &dyn Fn(&str) -> Option<String>) -> Self {
        let keys = || {
            Some(Keys {
                id: variable("AWS_ACCESS_KEY_ID")?,
                secret: variable("AWS_SECRET_ACCESS_KEY")?,
                token: variable("AWS_SESSION_TOKEN"),
            })
        };
        Self { given: keys() }
    }

    /// Those that are given, or some for an endpoint that looks at none: not AWS's.
    fn keys_for(&self, host: &str) -> Result<Keys, SignError> {
        let dummy = || "fanwire".to_owned();
        match &self.given {
            Some(keys) => Ok(keys.clone()),
            None if is_aws(host) => Err(SignError::NoCredentials),
            None => Ok(Keys { id: dummy(), secret: dummy(), token: None }),
        }
    }

    /// Signs a request, whose query has to be encoded as [`encoded`] does. `body` is what
    /// it is going to carry.
    pub(crate) fn sign<B>(
        &self,
        request: &mut Request<B>,
        body: &[u8],
        scope: Scope<'_>,
        now: SystemTime,
    ) -> Result<(), SignError> {
        let time = Timestamp::of(now);
        let host = request.uri().authority().map_or("", |authority| authority.as_str());
        let keys = self.keys_for(request.uri().host().unwrap_or(""))?;
        let host = HeaderValue::from_str(host)?;
        let headers = request.headers_mut();
        headers.insert(HOST, host);
        headers.insert("x-amz-date", HeaderValue::from_str(&time.second)?);
        if let Some(token) = &keys.token {
            headers.insert("x-amz-security-token", HeaderValue::from_str(token)?);
        }
        let (canonical, signed) = canonical(request, body);
        let Scope { region, service } = scope;
        let scope = format!("{}/{region}/{service}/aws4_request", time.day);
        let hashed = hex(digest(&SHA256, canonical.as_bytes()).as_ref());
        let to_sign = format!("AWS4-HMAC-SHA256\n{}\n{scope}\n{hashed}", time.second);
        let mut key = format!("AWS4{}", keys.secret).into_bytes();
        for part in [time.day.as_str(), region, service, "aws4_request"] {
            key = mac(&key, part).as_ref().to_vec();
        }
        let signature = hex(mac(&key, &to_sign).as_ref());
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={signed}, Signature={signature}",
            keys.id
        );
        request.headers_mut().insert(AUTHORIZATION, HeaderValue::from_str(&authorization)?);
        Ok(())
    }
}

impl std::fmt::Debug for Credentials {
    /// Without secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let id = self.given.as_ref().map(|keys| keys.id.as_str());
        f.debug_struct("Credentials").field("id", &id).finish_non_exhaustive()
    }
}

/// The request in the one form that is signed, and the names of its signed headers: its
/// host, and all of AWS's.
fn canonical<B>(request: &Request<B>, body: &[u8]) -> (String, String) {
    let path = utf8_percent_encode(request.uri().path(), PATH);
    let mut query: Vec<&str> = request.uri().query().unwrap_or("").split('&').collect();
    query.sort_unstable();
    let mut headers: Vec<(&str, &str)> = Vec::new();
    for (name, value) in request.headers() {
        if name == HOST || name.as_str().starts_with("x-amz-") {
            headers.push((name.as_str(), value.to_str().unwrap_or("").trim()));
        }
    }
    headers.sort_unstable();
    let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
    let names = names.join(";");
    let lines: String = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    let body = hex(digest(&SHA256, body).as_ref());
    let query = query.join("&");
    let text = format!("{}\n{path}\n{query}\n{lines}\n{names}\n{body}", request.method());
    (text, names)
}

fn mac(key: &[u8], text: &str) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(HMAC_SHA256, key), text.as_bytes())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A time as signatures have it.
struct Timestamp {
    /// `20150830`.
    day: String,
    /// `20150830T123600Z`.
    second: String,
}

// === impl Timestamp ===

impl Timestamp {
    fn of(time: SystemTime) -> Self {
        let seconds = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let (year, month, day) = civil(seconds / 86_400);
        let day = format!("{year:04}{month:02}{day:02}");
        let rest = seconds % 86_400;
        let second = format!("{day}T{:02}{:02}{:02}Z", rest / 3600, rest / 60 % 60, rest % 60);
        Self { day, second }
    }
}

/// Year, month and day of a number of days since the epoch, in the Gregorian calendar. The
/// year is taken to begin in March, which puts the leap day at its end.
fn civil(days: u64) -> (u64, u64, u64) {
    const ERA: u64 = 146_097; // days in 400 years
    let days = days + 719_468; // since the first of March of the year 0
    let of_era = days % ERA;
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (days / ERA * 400 + year + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn credentials(token: Option<&str>) -> Credentials {
        Credentials::from_variables(&|name| {
            let value = match name {
                "AWS_ACCESS_KEY_ID" => Some("AKIDEXAMPLE"),
                "AWS_SECRET_ACCESS_KEY" => Some("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
                _ => token,
            };
            value.map(str::to_owned)
        })
    }

    /// 2015-08-30T12:36:00Z, the time of AWS's test suite for signers.
    fn time() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_440_938_160)
    }

    fn request(method: &str, url: &str) -> Request<()> {
        Request::builder().method(method).uri(url).body(()).unwrap()
    }

    #[test]
    fn signatures_are_those_of_aws_s_test_suite() {
        let token = "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267";
        for (method, query, token, signature) in [
            ("GET", "", None, "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
            (
                "POST",
                "?Param1=value1",
                None,
                "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11",
            ),
            (
                "GET",
                "?Param2=value2&Param1=value1",
                None,
                "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
            ),
            (
                "GET",
                "",
                Some(token),
                "07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8",
            ),
        ] {
            let mut request = request(method, &format!("https://example.amazonaws.com/{query}"));
            let scope = Scope { region: "us-east-1", service: "service" };
            credentials(token).sign(&mut request, b"", scope, time()).unwrap();
            let authorization = request.headers()[AUTHORIZATION].to_str().unwrap();
            let names = if token.is_some() {
                "host;x-amz-date;x-amz-security-token"
            } else {
                "host;x-amz-date"
            };
            let expected = format!(
                "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
                 SignedHeaders={names}, Signature={signature}"
            );
            assert_eq!(authorization, expected, "{method} {query}");
        }
    }

    /// Reference: api-gateway.md, section 13.
    #[test]
    fn an_encoded_path_is_signed_encoded_once_more() {
        let id = encoded("JBDvjfGEIAMCERw=");
        let url = format!("https://a.execute-api.us-east-1.amazonaws.com/test/@connections/{id}");
        let (canonical, _) = canonical(&request("POST", &url), b"");
        let path = canonical.lines().nth(1).unwrap();
        assert_eq!(path, "/test/%40connections/JBDvjfGEIAMCERw%253D");
    }

    #[test]
    fn only_aws_needs_credentials() {
        let none = Credentials::from_variables(&|_| None);
        let scope = Scope { region: "eu-west-1", service: "execute-api" };
        let sign = |url| none.sign(&mut request("GET", url), b"", scope, time());
        sign("http://127.0.0.1:3001/dev").unwrap();
        let error = sign("https://a.execute-api.eu-west-1.amazonaws.com/dev").unwrap_err();
        assert!(error.to_string().contains("AWS_ACCESS_KEY_ID"), "{error}");
    }

    #[test]
    fn secrets_are_not_shown() {
        let shown = format!("{:?}", credentials(Some("token-of-mine")));
        assert_eq!(shown, r#"Credentials { id: Some("AKIDEXAMPLE"), .. }"#);
    }

    #[test]
    fn days_are_those_of_the_calendar() {
        for (seconds, expected) in [
            (0, "19700101T000000Z"),
            (951_782_399, "20000228T235959Z"),
            (951_782_400, "20000229T000000Z"),
            (951_868_800, "20000301T000000Z"),
            (1_709_164_800, "20240229T000000Z"),
            (1_735_689_599, "20241231T235959Z"),
            (4_107_542_400, "21000301T000000Z"),
        ] {
            let time = UNIX_EPOCH + Duration::from_secs(seconds);
            assert_eq!(Timestamp::of(time).second, expected);
        }
    }
}
