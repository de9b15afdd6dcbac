//! Arbitrary tokens, and arbitrary places to look for them: nothing must panic, and nobody gets in
//! with what the fuzzer makes up.

#![no_main]

use fanwire_policy::{AuthorizerParameters, Jwks, JwtRules};
use libfuzzer_sys::fuzz_target;

const KEYS: &str = r#"{"keys":[
    {"kty":"oct","kid":"s","k":"YSBzZWNyZXQgb2YgYXQgbGVhc3QgMzIgYnl0ZXMsIGl0IGlz"},
    {"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

const NOW: u64 = 1_800_000_000;

fuzz_target!(|input: (&str, Option<&str>, [(&str, &str); 2], Option<&str>)| {
    let (token, query, headers, username) = input;
    let parameters = AuthorizerParameters { query, headers: &headers, username };
    let found = parameters.token("token");
    let _ = (parameters.authorizer(), parameters.signature(), parameters.plain_username());

    let keys = Jwks::parse(KEYS).expect("two keys that can be used");
    let rules = JwtRules { issuer: None, audience: Vec::new(), principal_claim: "sub".to_owned() };
    for token in [Some(token), found.as_deref()].into_iter().flatten() {
        assert!(rules.verify(token, &keys, NOW).is_err());
    }
});
