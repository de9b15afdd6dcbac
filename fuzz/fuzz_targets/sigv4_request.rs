//! Arbitrary signed requests: reading who signed one and checking it must not panic, and
//! nothing that the fuzzer makes up may count.

#![no_main]

use fanwire_access::{Key, Keyring, Signed};
use fanwire_app::serve::secret::Secret;
use http::{HeaderValue, Request};
use libfuzzer_sys::fuzz_target;

const NAMES: [&str; 5] =
    ["authorization", "x-amz-date", "x-amz-security-token", "x-amz-content-sha256", "date"];

/// 2015-08-30T12:36:00Z.
const NOW: u64 = 1_440_938_160;

fuzz_target!(|input: (String, String, [Vec<u8>; 5])| {
    let (path, query, values) = input;
    let uri = format!("http://h/{path}?{query}");
    let Ok(mut request) = Request::builder().uri(uri).header("host", "h").body(()) else { return };
    for (name, value) in NAMES.into_iter().zip(&values) {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            request.headers_mut().append(name, value);
        }
    }
    let (head, ()) = request.into_parts();
    let Ok(Some(signed)) = Signed::read(&head) else { return };
    let key = Key {
        name: "a".to_owned(),
        id: "AKIDEXAMPLE".to_owned(),
        secret: Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
        session_token: None,
        expires_at: None,
        grants: fanwire_access::Grants::default(),
    };
    let ring = Keyring::new([key], []);
    assert!(signed.verify(&head, &ring, &["service"], NOW, &[0; 32]).is_err());
});
