//! Arbitrary header values: the handshake must not panic, and what it agrees to must
//! itself be an offer that it understands the same way.

#![no_main]

use fanwire_wire::ws::handshake::{check, negotiate_deflate};
use http::{HeaderMap, HeaderValue, Method};
use libfuzzer_sys::fuzz_target;

const NAMES: [&str; 5] = [
    "connection",
    "upgrade",
    "sec-websocket-version",
    "sec-websocket-key",
    "sec-websocket-extensions",
];

const GOOD: [&str; 4] = ["Upgrade", "websocket", "13", "dGhlIHNhbXBsZSBub25jZQ=="];

fuzz_target!(|input: (u8, [Vec<u8>; 5])| {
    let (good, values) = input;
    let mut headers = HeaderMap::new();
    for (nth, (name, value)) in NAMES.into_iter().zip(&values).enumerate() {
        // The lower bits choose values that get past the first checks.
        let value = match GOOD.get(nth) {
            Some(value) if good >> nth & 1 == 1 => value.as_bytes(),
            _ => value,
        };
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.append(name, value);
        }
    }
    match check(&headers, &Method::GET) {
        Ok(upgrade) => {
            assert_eq!(upgrade.accept.len(), 28);
            let Some(deflate) = negotiate_deflate(&upgrade.extensions) else { return };
            assert_eq!(negotiate_deflate(&deflate.to_string()), Some(deflate));
        }
        Err(error) => assert!(error.status().is_client_error()),
    }
});
