//! JSON as values and back. Numbers are read from their text, so that 34 digits survive
//! where a double would keep 16.

use std::fmt::Write as _;

use indexmap::IndexMap;
use serde::de::IgnoredAny;

use super::Value;
use crate::decimal::Decimal;
use crate::version::SqlVersion;

/// The deepest nesting of arrays and objects in a payload: what most JSON parsers stop
/// at, a function's among them.
const MAX_DEPTH: usize = 128;

/// Whether bytes are one JSON value, no deeper than [`MAX_DEPTH`].
pub(crate) fn is_json(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok_and(|text| {
        depth(text) <= MAX_DEPTH && serde_json::from_str::<IgnoredAny>(text).is_ok()
    })
}

/// Reads bytes that are one JSON value, no deeper than [`MAX_DEPTH`]. An escaped half of
/// a surrogate pair is no text, so nothing with one is read.
pub(crate) fn read(bytes: &[u8], version: SqlVersion) -> Option<Value> {
    if !is_json(bytes) {
        return None;
    }
    Reader { text: std::str::from_utf8(bytes).ok()?, at: 0, version }.value()
}

/// How deep arrays and objects are nested, if the text is JSON.
fn depth(text: &str) -> usize {
    let (mut depth, mut deepest) = (0usize, 0);
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => loop {
                match bytes.next() {
                    Some(b'\\') => _ = bytes.next(),
                    Some(b'"') | None => break,
                    Some(_) => {}
                }
            },
            b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// Goes once through text that is JSON and no deeper than [`MAX_DEPTH`].
struct Reader<'t> {
    text: &'t str,
    at: usize,
    version: SqlVersion,
}

// === impl Reader ===

impl Reader<'_> {
    fn value(&mut self) -> Option<Value> {
        match self.peek()? {
            b'n' => self.word("null", Value::Null),
            b't' => self.word("true", Value::Boolean(true)),
            b'f' => self.word("false", Value::Boolean(false)),
            b'"' => self.string().map(Value::String),
            b'[' => {
                let mut items = Vec::new();
                while self.goes_on(b']')? {
                    items.push(self.value()?);
                }
                Some(Value::Array(items))
            }
            b'{' => {
                // Of members with one name, the last counts.
                let mut members = IndexMap::new();
                while self.goes_on(b'}')? {
                    self.peek()?;
                    let name = self.string()?;
                    self.peek()?;
                    self.at += 1;
                    members.insert(name, self.value()?);
                }
                Some(Value::Object(members))
            }
            _ => Some(self.number()),
        }
    }

    /// The next byte that is not white space.
    fn peek(&mut self) -> Option<u8> {
        let rest = self.text.get(self.at..)?;
        self.at += rest.len() - rest.trim_start_matches([' ', '\t', '\n', '\r']).len();
        self.text.as_bytes().get(self.at).copied()
    }

    /// Steps over the opening bracket or a comma before another item, or over `close`.
    fn goes_on(&mut self, close: u8) -> Option<bool> {
        let before = self.peek()?;
        self.at += 1;
        if before == close {
            return Some(false);
        }
        let empty = before != b',' && self.peek()? == close;
        self.at += usize::from(empty);
        Some(!empty)
    }

    fn word(&mut self, word: &str, value: Value) -> Option<Value> {
        self.at += word.len();
        Some(value)
    }

    fn string(&mut self) -> Option<String> {
        let rest = self.text.get(self.at..)?;
        let mut bytes = rest.bytes().enumerate().skip(1);
        let end = loop {
            match bytes.next()? {
                (_, b'\\') => _ = bytes.next(),
                (at, b'"') => break at,
                _ => {}
            }
        };
        self.at += end + 1;
        let inner = &rest[1..end];
        if inner.contains('\\') {
            return serde_json::from_str(&rest[..=end]).ok();
        }
        Some(inner.to_owned())
    }

    /// A number beyond every magnitude has no value, as a sum that is has none.
    fn number(&mut self) -> Value {
        let rest = &self.text[self.at..];
        let in_number = |c: char| matches!(c, '0'..='9' | '+' | '-' | '.' | 'e' | 'E');
        let length = rest.find(|c| !in_number(c)).unwrap_or(rest.len());
        self.at += length;
        let (text, number) = (&rest[..length], Decimal::parse(&rest[..length]));
        if text.contains(['.', 'e', 'E']) {
            Value::number(number, self.version)
        } else {
            Value::int(number)
        }
    }
}

// === impl Value ===

impl Value {
    /// As JSON. Members and elements that are Undefined are left out, and Undefined by
    /// itself is an empty string.
    pub(crate) fn to_json(&self) -> String {
        let mut out = String::new();
        match self {
            Self::Undefined => out.push_str("\"\""),
            value => value.write_json(&mut out),
        }
        out
    }

    fn write_json(&self, out: &mut String) {
        match self {
            Self::Undefined | Self::Null => out.push_str("null"),
            Self::Boolean(boolean) => out.push_str(if *boolean { "true" } else { "false" }),
            // Writing to a string never fails.
            Self::Int(int) => _ = write!(out, "{int}"),
            Self::Decimal(decimal) => _ = write!(out, "{decimal}"),
            Self::String(text) => write_text(text, out),
            Self::Array(items) => {
                out.push('[');
                for (at, item) in items.iter().filter(|item| !item.is_undefined()).enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    item.write_json(out);
                }
                out.push(']');
            }
            Self::Object(members) => {
                out.push('{');
                let there = members.iter().filter(|(_, member)| !member.is_undefined());
                for (at, (name, member)) in there.enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    write_text(name, out);
                    out.push(':');
                    member.write_json(out);
                }
                out.push('}');
            }
        }
    }
}

/// A JSON string.
fn write_text(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c < ' ' => _ = write!(out, "\\u{:04x}", u32::from(c)),
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn through(text: &str, version: SqlVersion) -> String {
        read(text.as_bytes(), version).unwrap().to_json()
    }

    #[test]
    fn whole_decimals_are_ints_since_2016() {
        for (text, in_2015, since_2016) in [
            ("10", "10", "10"),
            ("10.0", "10.0", "10"),
            ("1e2", "100.0", "100"),
            ("-0.0", "0.0", "0"),
            ("1.50", "1.5", "1.5"),
            ("1e-9", "1E-9", "1E-9"),
            ("1e40", "1E40", "1E40"),
        ] {
            assert_eq!(through(text, SqlVersion::V2015_10_08), in_2015);
            assert_eq!(through(text, SqlVersion::V2016_03_23), since_2016);
        }
    }

    #[test]
    fn integers_that_a_double_cannot_hold_survive() {
        let text = r#"{"id":12345678901234567890123456789012,"f":0.1234567890123456789}"#;
        assert_eq!(through(text, SqlVersion::V2016_03_23), text);
    }

    #[test]
    fn undefined_is_left_out() {
        let array = Value::Array(vec![Value::Undefined, Value::Int(1), Value::Null]);
        let members = [("a".to_owned(), Value::Undefined), ("b".to_owned(), array)];
        assert_eq!(Value::Object(members.into()).to_json(), r#"{"b":[1,null]}"#);
        assert_eq!(Value::Undefined.to_json(), "\"\"");
    }

    #[test]
    fn the_last_of_members_with_one_name_counts() {
        assert_eq!(through(r#"{"a":1,"b":2,"a":3}"#, SqlVersion::Beta), r#"{"a":3,"b":2}"#);
    }

    #[test]
    fn deep_nesting_is_not_read() {
        let nested = |depth| "[".repeat(depth) + &"]".repeat(depth);
        assert!(is_json(nested(MAX_DEPTH).as_bytes()));
        assert!(read(nested(MAX_DEPTH).as_bytes(), SqlVersion::Beta).is_some());
        for deep in [nested(MAX_DEPTH + 1), nested(1_000_000), "[{\"a\":".repeat(100_000)] {
            assert!(!is_json(deep.as_bytes()));
            assert!(read(deep.as_bytes(), SqlVersion::Beta).is_none());
        }
        assert!(is_json(r#"["[[[[\"{{{{"]"#.as_bytes()));
    }

    #[test]
    fn what_is_not_json_is_not_read() {
        for bytes in [&b""[..], b" ", b"{", b"{} x", b"nul", b"'a'", b"\xFF", b"\"\xFF\"", b"01"] {
            assert!(!is_json(bytes), "{bytes:?}");
            assert!(read(bytes, SqlVersion::Beta).is_none(), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn strings_are_written_as_json(text in ".*") {
            let json = Value::String(text.clone()).to_json();
            let again = read(json.as_bytes(), SqlVersion::Beta).unwrap();
            prop_assert_eq!(again.to_text().unwrap(), text.as_str());
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }

        #[test]
        fn it_reads_what_serde_reads(value in any_json()) {
            for text in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
                let read = read(text.as_bytes(), SqlVersion::Beta).unwrap().to_json();
                prop_assert_eq!(read, value.to_string());
            }
        }

        #[test]
        fn reading_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = read(&bytes, SqlVersion::Beta);
            let _ = is_json(&bytes);
        }
    }

    fn any_json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            "[a\"\\\\ é\u{1}]{0,6}".prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 40, 5, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..5).prop_map(Into::into),
                proptest::collection::vec(("[a-e ]{0,2}", inner), 0..5).prop_map(|members| {
                    serde_json::Value::Object(members.into_iter().collect())
                }),
            ]
        })
    }
}
