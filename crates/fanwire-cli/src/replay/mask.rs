//! What cannot be the same twice, masked, so that the rest can be compared.

use std::collections::HashMap;

use serde_json::{Map, Value};

/// Keys of events and results whose values belong to one request or one machine.
const MASKED_KEYS: [&str; 18] = [
    "authorization",
    "connectedat",
    "cookie",
    "domainname",
    "extendedrequestid",
    "host",
    "integrationlatency",
    "messageid",
    "requestid",
    "requesttime",
    "requesttimeepoch",
    "sec-websocket-key",
    "stack",
    "stacktrace",
    "trace",
    "x-amzn-trace-id",
    "x-api-key",
    "x-forwarded-port",
];

/// Under keys with these in them a number of seconds since the epoch is a time.
const TIME_WORDS: [&str; 6] = ["time", "ttl", "expir", "epoch", "date", "stamp"];

/// What stands for a value that is ignored.
const IGNORED: &str = "<ignored>";
const TIME: &str = "<time>";
const UUID: &str = "<uuid>";

/// Seconds since the epoch that are taken for a time: the years 2015 to 2096.
const SECONDS: std::ops::Range<u64> = 1_420_000_000..4_000_000_000;

/// What is known to differ, and what stands for it.
#[derive(Debug, Clone)]
pub(super) struct Mask {
    ignored: Vec<String>,
    /// Texts to replace wherever they stand, such as connection ids.
    known: HashMap<String, String>,
}

// === impl Mask ===

impl Mask {
    pub(super) fn new(ignored: &[String]) -> Self {
        let ignored = ignored.iter().map(|key| key.to_lowercase()).collect();
        Self { ignored, known: HashMap::new() }
    }

    /// Has `text` replaced by `token` wherever it stands.
    pub(super) fn learn(&mut self, text: &str, token: String) {
        if !text.is_empty() {
            self.known.insert(text.to_owned(), token);
        }
    }

    /// A value with all that may differ masked, laid out for comparison.
    pub(super) fn lines(&self, value: &Value) -> String {
        match self.value(value, "") {
            Value::String(text) => text,
            value => serde_json::to_string_pretty(&value).unwrap_or_default(),
        }
    }

    fn value(&self, value: &Value, key: &str) -> Value {
        match value {
            Value::Object(map) => {
                let masked = map.iter().map(|(key, value)| {
                    let value =
                        if self.is_masked(key) { IGNORED.into() } else { self.value(value, key) };
                    (self.text(key), value)
                });
                // The order of keys means nothing.
                let mut entries: Vec<_> = masked.collect();
                entries.sort_by(|(one, _), (other, _)| one.cmp(other));
                Value::Object(entries.into_iter().collect())
            }
            Value::Array(items) => items.iter().map(|item| self.value(item, key)).collect(),
            Value::String(text) => match serde_json::from_str::<Value>(text) {
                // JSON in a text differs where its values differ, not its letters.
                Ok(json @ (Value::Object(_) | Value::Array(_))) => {
                    let mut wrapped = Map::new();
                    wrapped.insert("<JSON text>".to_owned(), self.value(&json, key));
                    Value::Object(wrapped)
                }
                _ => self.text(text).into(),
            },
            Value::Number(number) => match number.as_u64() {
                Some(number) if is_milliseconds(number) => TIME.into(),
                Some(number) if SECONDS.contains(&number) && is_about_time(key) => TIME.into(),
                _ => value.clone(),
            },
            Value::Bool(_) | Value::Null => value.clone(),
        }
    }

    fn is_masked(&self, key: &str) -> bool {
        let key = key.to_lowercase();
        MASKED_KEYS.contains(&key.as_str()) || self.ignored.contains(&key)
    }

    /// Masks what stands in a text.
    fn text(&self, text: &str) -> String {
        let mut text = text.to_owned();
        // The longest first: a host and port before the host alone.
        let mut known: Vec<_> =
            self.known.iter().filter(|(known, _)| text.contains(*known)).collect();
        known.sort_by_key(|(known, _)| std::cmp::Reverse(known.len()));
        let known: Vec<_> = known.into_iter().map(|(k, t)| (k.clone(), t.clone())).collect();
        for (known, token) in known {
            text = text.replace(&known, &token);
        }
        patterns_masked(&text)
    }
}

fn is_about_time(key: &str) -> bool {
    let key = key.to_lowercase();
    key.ends_with("at") || TIME_WORDS.iter().any(|word| key.contains(word))
}

fn is_milliseconds(number: u64) -> bool {
    SECONDS.contains(&(number / 1000))
}

/// Replaces UUIDs and times in a text.
fn patterns_masked(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    // Patterns begin where a word does.
    let mut at_word = true;
    while let Some(first) = rest.chars().next() {
        let found = at_word.then(|| {
            let bytes = rest.as_bytes();
            let uuid =
                matched(bytes, "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx").map(|length| (length, UUID));
            uuid.or_else(|| time_at(rest).map(|length| (length, TIME)))
        });
        if let Some(Some((length, token))) = found {
            out.push_str(token);
            rest = &rest[length..];
            at_word = false;
        } else {
            out.push(first);
            rest = &rest[first.len_utf8()..];
            at_word = !first.is_ascii_alphanumeric();
        }
    }
    out
}

/// The length of a time that `text` begins with: ISO 8601, or milliseconds since the
/// epoch.
fn time_at(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let iso =
        matched(bytes, "dddd-dd-ddTdd:dd:dd").or_else(|| matched(bytes, "dddd-dd-dd dd:dd:dd"));
    if let Some(length) = iso {
        let tail = &bytes[length..];
        let fraction = match tail.first() {
            Some(b'.') => 1 + tail[1..].iter().take_while(|byte| byte.is_ascii_digit()).count(),
            _ => 0,
        };
        let zone = &tail[fraction..];
        let zone = matched(zone, "+dd:dd").or_else(|| matched(zone, "Z")).unwrap_or(0);
        return Some(length + fraction + zone);
    }
    let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let number: u64 = (digits == 13).then(|| text[..digits].parse().ok())??;
    is_milliseconds(number).then_some(digits)
}

/// The length of `pattern` where `bytes` begin so: `x` is a hexadecimal digit, `d` a
/// decimal one, anything else itself.
fn matched(bytes: &[u8], pattern: &str) -> Option<usize> {
    let fits = |(byte, wanted): (&u8, u8)| match wanted {
        b'x' => byte.is_ascii_hexdigit(),
        b'd' => byte.is_ascii_digit(),
        wanted => *byte == wanted,
    };
    let enough = bytes.len() >= pattern.len();
    (enough && bytes.iter().zip(pattern.bytes()).all(fits)).then_some(pattern.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn lines(value: &Value) -> String {
        let mut mask = Mask::new(&["sentAt".to_owned()]);
        mask.learn("AbC=", "<connection 1>".to_owned());
        mask.lines(value)
    }

    #[test]
    fn what_differs_from_run_to_run_is_masked() {
        let masked = lines(&json!({
            "statusCode": 200,
            "id": "x AbC= 123e4567-e89b-12d3-a456-426614174000",
            "sentAt": { "any": "thing" },
            "at": "2026-11-25T20:24:07.312Z!",
            "now": 1_795_638_247_312_u64,
            "ttl": 1_795_638_247,
            "count": 1_795_638_247,
            "requestId": "abc",
        }));
        let expected = json!({
            "at": "<time>!",
            "count": 1_795_638_247,
            "id": "x <connection 1> <uuid>",
            "now": "<time>",
            "requestId": "<ignored>",
            "sentAt": "<ignored>",
            "statusCode": 200,
            "ttl": "<time>",
        });
        assert_eq!(serde_json::from_str::<Value>(&masked).unwrap(), expected);
    }

    #[test]
    fn json_in_a_text_is_compared_by_value() {
        let one = lines(&json!({ "body": r#"{"a":1,"to":"AbC="}"# }));
        let other = lines(&json!({ "body": r#"{ "to": "AbC=", "a": 1 }"# }));
        assert_eq!(one, other);
        assert_ne!(one, lines(&json!({ "body": { "a": 1, "to": "AbC=" } })));
    }

    #[test]
    fn other_texts_stay_as_they_are() {
        for text in ["", "plain é", "1795638247312345", "2026-11-25", "a1795638247312"] {
            assert_eq!(patterns_masked(text), text);
        }
    }
}
