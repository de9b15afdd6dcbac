//! Keys of records: parts that may be any bytes, as the few characters that JetStream's
//! buckets have for them.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::limits;

/// The key of a record, or what comes before the keys of several: parts of any bytes, such as
/// a client id. Two keys are the same only if their parts are.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(String);

// === impl Key ===

impl Key {
    /// A key of one part.
    pub fn new(part: impl AsRef<[u8]>) -> Self {
        let mut text = String::new();
        encode(part.as_ref(), &mut text);
        Self(text)
    }

    /// The key with one more part.
    #[must_use]
    pub fn child(&self, part: impl AsRef<[u8]>) -> Self {
        let mut text = self.0.clone();
        text.push('.');
        encode(part.as_ref(), &mut text);
        Self(text)
    }

    /// The key as JetStream has it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The parts as they were given; `None` for one that was so long that it became a hash.
    pub fn parts(&self) -> impl Iterator<Item = Option<Vec<u8>>> {
        self.0.split('.').map(decode)
    }

    pub(crate) fn from_stored(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Letters, digits, `-` and `_` are themselves, other bytes `=` and two digits; a part of
/// nothing is `=`, one that is too long `=h` and its hash.
fn encode(part: &[u8], text: &mut String) {
    let start = text.len();
    for byte in part {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => text.push(char::from(*byte)),
            _ => text.push_str(&format!("={byte:02X}")),
        }
        if text.len() - start > limits::KEY_PART_BYTES {
            text.truncate(start);
            text.push_str("=h");
            for byte in Sha256::digest(part) {
                text.push_str(&format!("{byte:02x}"));
            }
            return;
        }
    }
    if part.is_empty() {
        text.push('=');
    }
}

fn decode(part: &str) -> Option<Vec<u8>> {
    if part == "=" {
        return Some(Vec::new());
    }
    let mut out = Vec::new();
    let mut bytes = part.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'=' {
            out.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
        let (high, low) = (digit(bytes.next())?, digit(bytes.next())?);
        out.push(u8::try_from(high * 16 + low).ok()?);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn parts_of_any_bytes_are_a_key_and_come_back(
            parts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..20), 1..5),
        ) {
            let mut key = Key::new(&parts[0]);
            for part in &parts[1..] {
                key = key.child(part);
            }
            let fits = |c: char| c.is_ascii_alphanumeric() || "-_=.".contains(c);
            prop_assert!(key.as_str().chars().all(fits));
            let back: Option<Vec<_>> = key.parts().collect();
            prop_assert_eq!(back, Some(parts));
        }
    }

    #[test]
    fn parts_that_are_too_long_are_kept_apart() {
        let (a, b) = (Key::new("x".repeat(60_000)), Key::new("x".repeat(60_001)));
        assert_ne!(a, b);
        assert!(a.as_str().len() < 80);
        assert_eq!(a.parts().collect::<Vec<_>>(), [None]);
        assert_ne!(Key::new("=h00"), Key::new("h00"));
    }
}
