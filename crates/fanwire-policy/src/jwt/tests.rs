//! Tokens good and bad, signed without the crate that checks them.

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA512,
    RSA_PSS_SHA256, RsaEncoding,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use super::*;

const NOW: u64 = 1_800_000_000;

fn base64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A token of a header and claims that `sign` signs.
fn token(header: &Value, claims: &Value, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let message = format!("{}.{}", base64(header.to_string()), base64(claims.to_string()));
    let signature = sign(message.as_bytes());
    format!("{message}.{}", base64(signature))
}

fn claims() -> Value {
    json!({ "sub": "ann", "iss": "https://issuer.example", "aud": "chat", "exp": NOW + 60 })
}

fn rules() -> JwtRules {
    JwtRules {
        issuer: Some("https://issuer.example".to_owned()),
        audience: vec!["chat".to_owned(), "other".to_owned()],
        principal_claim: "sub".to_owned(),
    }
}

const SECRET: &[u8] = b"a secret of at least 32 bytes, it is";

fn hmac_sign(message: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET), message).as_ref().to_vec()
}

fn hmac_keys() -> Jwks {
    let key = json!({ "kty": "oct", "kid": "s", "k": base64(SECRET) });
    Jwks::parse(&json!({ "keys": [key] }).to_string()).unwrap()
}

/// What becomes of a token with the secret's signature and these claims.
fn verify(claims: &Value) -> Result<Identity, JwtError> {
    let token = token(&json!({ "alg": "HS256", "kid": "s" }), claims, hmac_sign);
    rules().verify(&token, &hmac_keys(), NOW)
}

fn with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[name] = value;
    claims
}

fn without(name: &str) -> Value {
    let mut claims = claims();
    claims.as_object_mut().unwrap().remove(name);
    claims
}

struct Rsa(RsaKeyPair);

impl Rsa {
    fn new() -> Self {
        Self(RsaKeyPair::generate(KeySize::Rsa2048).unwrap())
    }

    fn sign(&self, encoding: &'static dyn RsaEncoding, message: &[u8]) -> Vec<u8> {
        let mut signature = vec![0; self.0.public_modulus_len()];
        self.0.sign(encoding, &SystemRandom::new(), message, &mut signature).unwrap();
        signature
    }

    fn jwk(&self, id: &str) -> Value {
        let der = self.0.public_key().as_ref();
        // RSAPublicKey: a sequence of the modulus and the exponent 65537, each an INTEGER.
        let modulus = &der[der.len() - 5 - 256..der.len() - 5];
        json!({ "kty": "RSA", "kid": id, "use": "sig", "n": base64(modulus), "e": "AQAB" })
    }
}

fn ec(algorithm: &'static EcdsaSigningAlgorithm, curve: &str) -> (Value, EcdsaKeyPair) {
    let pair = EcdsaKeyPair::generate(algorithm).unwrap();
    let point = pair.public_key().as_ref();
    let (x, y) = point[1..].split_at(point.len() / 2);
    (json!({ "kty": "EC", "crv": curve, "kid": curve, "x": base64(x), "y": base64(y) }), pair)
}

#[test]
fn a_good_token_says_who_it_is_and_until_when() {
    let identity = verify(&with("team", "red".into())).unwrap();
    assert_eq!(identity.principal, "ann");
    assert_eq!(identity.expires_at, NOW + 60);
    assert_eq!(identity.claims["team"], "red");
}

#[test]
fn every_algorithm_is_checked_with_its_kind_of_key() {
    let rsa = Rsa::new();
    let (p256, p256_pair) = ec(&ECDSA_P256_SHA256_FIXED_SIGNING, "P-256");
    let (p384, p384_pair) = ec(&ECDSA_P384_SHA384_FIXED_SIGNING, "P-384");
    let ed = Ed25519KeyPair::generate().unwrap();
    let x = base64(ed.public_key());
    let okp = json!({ "kty": "OKP", "crv": "Ed25519", "kid": "ed", "x": x });
    let keys = json!({ "keys": [rsa.jwk("r"), p256, p384, okp] }).to_string();
    let keys = Jwks::parse(&keys).unwrap();
    let ec_sign = |pair: &EcdsaKeyPair, message: &[u8]| {
        pair.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec()
    };
    let header = |algorithm: &str, id: &str| json!({ "alg": algorithm, "kid": id, "typ": "JWT" });
    let claims = claims();
    for token in [
        token(&header("RS256", "r"), &claims, |text| rsa.sign(&RSA_PKCS1_SHA256, text)),
        token(&header("RS512", "r"), &claims, |text| rsa.sign(&RSA_PKCS1_SHA512, text)),
        token(&json!({ "alg": "RS256" }), &claims, |text| rsa.sign(&RSA_PKCS1_SHA256, text)),
        token(&header("ES256", "P-256"), &claims, |text| ec_sign(&p256_pair, text)),
        token(&header("ES384", "P-384"), &claims, |text| ec_sign(&p384_pair, text)),
        token(&header("EdDSA", "ed"), &claims, |text| ed.sign(text).as_ref().to_vec()),
    ] {
        assert_eq!(rules().verify(&token, &keys, NOW).unwrap().principal, "ann");
        // One bit of the claims, and it is another token.
        let changed = token.replacen('.', ".e", 1);
        assert_eq!(rules().verify(&changed, &keys, NOW), Err(JwtError::Signature));
    }
}

#[test]
fn a_public_key_is_no_secret() {
    let rsa = Rsa::new();
    let keys = Jwks::parse(&json!({ "keys": [rsa.jwk("r")] }).to_string()).unwrap();
    let public = rsa.0.public_key().as_ref().to_vec();
    let sign = |message: &[u8]| {
        hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &public), message).as_ref().to_vec()
    };
    for header in [json!({ "alg": "HS256", "kid": "r" }), json!({ "alg": "HS256" })] {
        let confused = token(&header, &claims(), sign);
        let expected = JwtError::Algorithm { algorithm: "HS256".to_owned() };
        assert_eq!(rules().verify(&confused, &keys, NOW), Err(expected));
    }
}

#[test]
fn algorithms_that_are_not_ours_are_refused() {
    let none = token(&json!({ "alg": "none" }), &claims(), |_| Vec::new());
    assert_eq!(rules().verify(&none, &hmac_keys(), NOW), Err(JwtError::Malformed));
    let rsa = Rsa::new();
    let keys = Jwks::parse(&json!({ "keys": [rsa.jwk("r")] }).to_string()).unwrap();
    let pss = token(&json!({ "alg": "PS256", "kid": "r" }), &claims(), |text| {
        rsa.sign(&RSA_PSS_SHA256, text)
    });
    assert!(matches!(rules().verify(&pss, &keys, NOW), Err(JwtError::Algorithm { .. })));
    // A key that names one algorithm is for that one only.
    let mut jwk = rsa.jwk("r");
    jwk["alg"] = "RS512".into();
    let keys = Jwks::parse(&json!({ "keys": [jwk] }).to_string()).unwrap();
    let other = token(&json!({ "alg": "RS256", "kid": "r" }), &claims(), |text| {
        rsa.sign(&RSA_PKCS1_SHA256, text)
    });
    assert!(matches!(rules().verify(&other, &keys, NOW), Err(JwtError::Algorithm { .. })));
}

#[test]
fn an_unknown_key_asks_for_newer_ones() {
    let token = token(&json!({ "alg": "HS256", "kid": "new" }), &claims(), hmac_sign);
    let error = rules().verify(&token, &hmac_keys(), NOW).unwrap_err();
    assert_eq!(error, JwtError::UnknownKey { kid: "new".to_owned() });
    assert!(error.wants_newer_keys());
    assert!(!JwtError::Signature.wants_newer_keys());
}

#[test]
fn a_token_lasts_from_nbf_to_exp() {
    assert_eq!(verify(&with("exp", NOW.into())), Err(JwtError::Expired { seconds: 0 }));
    assert_eq!(verify(&with("exp", (NOW - 5).into())), Err(JwtError::Expired { seconds: 5 }));
    assert_eq!(
        verify(&with("exp", json!(NOW as f64 + 0.5))),
        Err(JwtError::Expired { seconds: 0 })
    );
    assert_eq!(verify(&with("exp", json!(1e300))).unwrap().expires_at, u64::MAX);
    assert_eq!(verify(&without("exp")), Err(missing("exp")));
    assert_eq!(verify(&with("exp", "soon".into())), Err(missing("exp")));
    assert_eq!(verify(&with("exp", json!(-1))), Err(missing("exp")));
    assert!(verify(&with("nbf", (NOW + 60).into())).is_ok(), "a clock may be a little ahead");
    let early = JwtError::NotYetValid { seconds: 61 };
    assert_eq!(verify(&with("nbf", (NOW + 61).into())), Err(early));
    assert_eq!(verify(&with("nbf", json!([]))), Err(missing("nbf")));
}

#[test]
fn issuer_and_audience_are_the_configured_ones() {
    assert!(verify(&with("aud", json!(["x", "other"]))).is_ok());
    for aud in [json!("x"), json!(["x"]), json!([]), json!(null)] {
        assert!(matches!(verify(&with("aud", aud)), Err(JwtError::Audience { .. })));
    }
    assert_eq!(verify(&without("aud")), Err(missing("aud")));
    assert!(matches!(verify(&with("iss", "x".into())), Err(JwtError::Issuer { .. })));
    assert_eq!(verify(&without("iss")), Err(missing("iss")));
    assert_eq!(verify(&with("iss", json!(["https://issuer.example"]))), Err(missing("iss")));
}

#[test]
fn what_is_not_wanted_is_not_looked_at() {
    let rules = JwtRules { issuer: None, audience: Vec::new(), ..rules() };
    let claims = json!({ "sub": 7, "exp": NOW + 1, "aud": "anything" });
    let token = token(&json!({ "alg": "HS256" }), &claims, hmac_sign);
    assert_eq!(rules.verify(&token, &hmac_keys(), NOW).unwrap().principal, "7");
}

#[test]
fn a_token_without_a_principal_is_nobody_s() {
    for sub in [json!(""), json!(null), json!(["ann"])] {
        assert_eq!(verify(&with("sub", sub)), Err(missing("sub")));
    }
    assert_eq!(verify(&without("sub")), Err(missing("sub")));
}

#[test]
fn what_must_be_understood_is_not() {
    let header = json!({ "alg": "HS256", "kid": "s", "crit": ["b64"], "b64": false });
    let token = token(&header, &claims(), hmac_sign);
    assert_eq!(rules().verify(&token, &hmac_keys(), NOW), Err(JwtError::Critical));
}

#[test]
fn what_is_no_token_is_malformed() {
    for text in ["", "a", "a.b", "a.b.c", "a.b.c.d", "é.é.é", "PLACEHOLDER_TOKEN"] {
        assert_eq!(rules().verify(text, &hmac_keys(), NOW), Err(JwtError::Malformed), "{text}");
    }
}

#[test]
fn keys_of_other_kinds_are_passed_over() {
    let good = json!({ "kty": "oct", "kid": "s", "k": base64(SECRET) });
    let keys = json!({ "keys": [
        { "kty": "new", "kid": "n" },
        { "kty": "RSA", "kid": "e", "use": "enc", "n": "AQAB", "e": "AQAB" },
        good,
    ]});
    assert!(Jwks::parse(&keys.to_string()).is_ok());
}

#[test]
fn keys_that_are_too_weak_are_not_used() {
    let short = base64(&SECRET[..31]);
    let modulus = base64([0xff; 128]);
    for (key, why) in [
        (json!({ "kty": "oct", "k": short }), "a secret needs 32 bytes"),
        (json!({ "kty": "RSA", "n": modulus, "e": "AQAB" }), "an RSA key needs 2048 bits"),
        (json!({ "kty": "EC", "crv": "P-521", "x": "AA", "y": "AA" }), "neither P-256 nor P-384"),
        (json!({ "kty": "oct", "alg": "HS512", "k": base64(SECRET) }), "none of RS256"),
    ] {
        let error = Jwks::parse(&json!({ "keys": [key] }).to_string()).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
}

#[test]
fn a_set_that_is_none_is_refused() {
    for json in ["", "[]", "{}", r#"{"keys":{}}"#] {
        assert!(matches!(Jwks::parse(json), Err(JwksError::Malformed(_))), "{json}");
    }
    assert!(matches!(Jwks::parse(r#"{"keys":[]}"#), Err(JwksError::NoneUsable(_))));
    let many = json!({ "keys": vec![json!({}); 33] }).to_string();
    assert_eq!(Jwks::parse(&many).unwrap_err(), JwksError::TooMany(33));
}
