//! Hashes of a value's text, in hexadecimal.

use std::fmt::Write as _;

use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};

use super::{Body, Call, Function};
use crate::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("md5", 1..=1, Body::Plain(hashed::<Md5>)),
    Function::new("sha1", 1..=1, Body::Plain(hashed::<Sha1>)),
    Function::new("sha224", 1..=1, Body::Plain(hashed::<Sha224>)),
    Function::new("sha256", 1..=1, Body::Plain(hashed::<Sha256>)),
    Function::new("sha384", 1..=1, Body::Plain(hashed::<Sha384>)),
    Function::new("sha512", 1..=1, Body::Plain(hashed::<Sha512>)),
];

fn hashed<D: Digest>(call: &Call<'_, '_>) -> Option<Value> {
    let hash = D::digest(call.text(0)?.as_bytes());
    let mut hex = String::with_capacity(hash.len() * 2);
    for byte in hash {
        // Writing to a string never fails.
        _ = write!(hex, "{byte:02x}");
    }
    Some(Value::String(hex))
}

#[cfg(test)]
mod tests {
    use crate::testing::all;

    #[test]
    fn hashes_are_hexadecimal() {
        all(&[
            ("md5('hello')", "\"5d41402abc4b2a76b9719d911017c592\""),
            ("sha1('hello')", "\"aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d\""),
            ("sha224('')", "\"d14a028c2a3a2bc9476102bb288234c415a2b01f828ea62ac5b3e42f\""),
            (
                "sha256('hello')",
                "\"2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824\"",
            ),
            ("length(sha384('a'))", "96"),
            ("length(sha512('a'))", "128"),
            ("md5(5) = md5('5')", "true"),
            ("md5(null)", "undefined"),
            ("sha256(missing)", "undefined"),
        ]);
    }
}
