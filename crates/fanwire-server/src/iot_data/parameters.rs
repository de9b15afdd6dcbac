//! What a request to publish says beside its payload: the topic in its path, the rest in
//! its query and headers (reference: iot.md, section 7).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fanwire_wire::mqtt::UserPropertiesBuf;
use http::{HeaderMap, Uri};
use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::DataError;
use crate::address::behind;
use crate::query::Query;

const USER_PROPERTIES: &str = "x-amz-mqtt5-user-properties";
const FORMAT_INDICATOR: &str = "x-amz-mqtt5-payload-format-indicator";
const CORRELATION_DATA: &str = "x-amz-mqtt5-correlation-data";

/// How a message is to be published.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Parameters {
    pub(super) qos: u8,
    pub(super) retain: bool,
    pub(super) content_type: Option<String>,
    pub(super) response_topic: Option<String>,
    /// In seconds; IoT Core makes a second of none.
    pub(super) message_expiry: Option<u32>,
    pub(super) utf8_payload: bool,
    pub(super) correlation_data: Option<Vec<u8>>,
    pub(super) user_properties: Vec<(String, String)>,
}

/// What follows the first segment of a path, such as `/topics/`, decoded once. SDKs send a
/// topic as one segment, with its slashes encoded, and people as it is.
pub(super) fn rest_of(path: &str) -> Result<Option<String>, DataError> {
    let rest = behind(path, 1);
    if rest.is_empty() {
        return Ok(None);
    }
    match percent_decode_str(rest).decode_utf8() {
        Ok(text) => Ok(Some(text.into_owned())),
        Err(_) => Err(DataError::invalid("the path is not UTF-8")),
    }
}

// === impl Parameters ===

impl Parameters {
    pub(crate) fn read(uri: &Uri, headers: &HeaderMap) -> Result<Self, DataError> {
        let query = Query::new(uri.query());
        Ok(Self {
            qos: match query.get("qos").as_deref() {
                None | Some("0") => 0,
                Some("1") => 1,
                Some("2") => 2,
                Some(other) => return Err(wrong("qos", other, "0 or 1")),
            },
            retain: boolean(query, "retain")?,
            content_type: query.get("contentType").filter(|text| !text.is_empty()),
            response_topic: query.get("responseTopic").filter(|text| !text.is_empty()),
            message_expiry: match query.get("messageExpiry") {
                None => None,
                Some(text) => {
                    let seconds = text.parse::<u64>();
                    let seconds = seconds
                        .map_err(|_| wrong("messageExpiry", &text, "a number of seconds"))?;
                    Some(u32::try_from(seconds.max(1)).unwrap_or(u32::MAX))
                }
            },
            utf8_payload: match header(headers, FORMAT_INDICATOR)? {
                None | Some("" | "UNSPECIFIED_BYTES") => false,
                Some("UTF8_DATA") => true,
                Some(other) => {
                    return Err(wrong(FORMAT_INDICATOR, other, "UNSPECIFIED_BYTES or UTF8_DATA"));
                }
            },
            correlation_data: match header(headers, CORRELATION_DATA)? {
                None => None,
                Some(text) => match STANDARD.decode(text) {
                    Ok(bytes) => Some(bytes),
                    Err(_) => return Err(wrong(CORRELATION_DATA, text, "base64")),
                },
            },
            user_properties: match header(headers, USER_PROPERTIES)? {
                None => Vec::new(),
                Some(text) => user_properties(text).ok_or_else(|| {
                    wrong(USER_PROPERTIES, text, "base64 of [{\"NAME\":\"TEXT\"}]")
                })?,
            },
        })
    }
}

/// A parameter that is `true` or `false`, which it is where it is not given.
pub(super) fn boolean(query: Query<'_>, name: &str) -> Result<bool, DataError> {
    match query.get(name).as_deref() {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(other) => Err(wrong(name, other, "true or false")),
    }
}

/// Base64 of a JSON array of objects; or, from SDKs that encode text as JSON first, of a
/// JSON string that holds one.
fn user_properties(text: &str) -> Option<Vec<(String, String)>> {
    let value: Value = serde_json::from_slice(&STANDARD.decode(text).ok()?).ok()?;
    let value = match value {
        Value::String(text) => serde_json::from_str(&text).ok()?,
        value => value,
    };
    let mut properties = Vec::new();
    for object in value.as_array()? {
        for (name, value) in object.as_object()? {
            let value = value.as_str()?;
            // No packet could carry it otherwise.
            UserPropertiesBuf::new().push(name, value).ok()?;
            properties.push((name.clone(), value.to_owned()));
        }
    }
    Some(properties)
}

/// The other direction, for answers.
pub(super) fn encode_user_properties<'a>(
    properties: impl Iterator<Item = (&'a str, &'a str)>,
) -> String {
    let list: Vec<Value> =
        properties.map(|(name, value)| serde_json::json!({ name: value })).collect();
    STANDARD.encode(Value::from(list).to_string())
}

fn header<'h>(headers: &'h HeaderMap, name: &str) -> Result<Option<&'h str>, DataError> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    let text = value.to_str();
    text.map(Some).map_err(|_| DataError::invalid(format!("the header {name} is not ASCII")))
}

fn wrong(name: &str, value: &str, expected: &str) -> DataError {
    DataError::invalid(format!("`{value}` is not a value of {name}; expected {expected}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn read(query: &str, headers: &[(&'static str, &str)]) -> Result<Parameters, DataError> {
        let uri = format!("/topics/a?{query}").parse().unwrap();
        let headers = headers
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_str(value).unwrap()));
        Parameters::read(&uri, &headers.collect())
    }

    #[test]
    fn a_topic_is_one_segment_or_several() {
        let topic = |path| rest_of(path).unwrap();
        for path in ["/topics/a%2Fb%2F%2Fc", "/topics/a/b//c", "//topics/a/b%2F/c"] {
            assert_eq!(topic(path).as_deref(), Some("a/b//c"), "{path}");
        }
        assert_eq!(topic("/topics/%24aws%2Frules%2Fr%2F%2B").as_deref(), Some("$aws/rules/r/+"));
        assert_eq!(topic("/topics/%252F").as_deref(), Some("%2F"), "decoded once");
        assert_eq!(topic("/topics//a").as_deref(), Some("/a"));
        assert_eq!(topic("/topics"), None);
        assert_eq!(topic("/topics/"), None);
        assert!(rest_of("/topics/%ff").is_err());
    }

    #[test]
    fn every_parameter_is_read() {
        let correlation = STANDARD.encode([0, 255]);
        let parameters = read(
            "qos=1&retain=true&contentType=image%2Fsvg+xml&responseTopic=a%2Fb&messageExpiry=10",
            &[
                (FORMAT_INDICATOR, "UTF8_DATA"),
                (CORRELATION_DATA, &correlation),
                (USER_PROPERTIES, &STANDARD.encode(r#"[{"a":"b"},{"a":"c"}]"#)),
            ],
        );
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let expected = Parameters {
            qos: 1,
            retain: true,
            content_type: Some("image/svg+xml".to_owned()),
            response_topic: Some("a/b".to_owned()),
            message_expiry: Some(10),
            utf8_payload: true,
            correlation_data: Some(vec![0, 255]),
            user_properties: vec![pair("a", "b"), pair("a", "c")],
        };
        assert_eq!(parameters.unwrap(), expected);
        assert_eq!(read("", &[]).unwrap(), Parameters::default());
    }

    #[test]
    fn user_properties_that_were_encoded_as_a_string_first_are_the_same() {
        let text = Value::from(r#"[{"a":"b"}]"#).to_string();
        let parameters = read("", &[(USER_PROPERTIES, &STANDARD.encode(text))]).unwrap();
        assert_eq!(parameters.user_properties, [("a".to_owned(), "b".to_owned())]);
        let again = encode_user_properties([("a", "b")].into_iter());
        assert_eq!(STANDARD.decode(again).unwrap(), br#"[{"a":"b"}]"#);
    }

    #[test]
    fn what_has_another_form_is_refused() {
        for query in ["qos=3", "qos=x", "retain=yes", "messageExpiry=soon", "messageExpiry=-1"] {
            assert!(read(query, &[]).is_err(), "{query}");
        }
        let encoded = STANDARD.encode("{}");
        let zero = STANDARD.encode(r#"[{"a":"\u0000"}]"#);
        for (name, value) in [
            (FORMAT_INDICATOR, "TEXT"),
            (CORRELATION_DATA, "not base64"),
            (USER_PROPERTIES, "[{}]"),
            (USER_PROPERTIES, encoded.as_str()),
            (USER_PROPERTIES, zero.as_str()),
        ] {
            assert!(read("", &[(name, value)]).is_err(), "{name}: {value}");
        }
    }
}
