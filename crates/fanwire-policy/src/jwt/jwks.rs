//! Sets of public keys (RFC 7517).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;

/// The keys that tokens may be signed with.
#[derive(Clone)]
pub struct Jwks(Vec<Key>);

/// A set that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JwksError {
    /// It is no set.
    #[error("the JWKS is not one: {0}; expected {{\"keys\": [...]}}")]
    Malformed(String),
    /// It has far more keys than any issuer.
    #[error("the JWKS has {0} keys; expected at most {MOST_KEYS}")]
    TooMany(usize),
    /// None of its keys signs tokens that are accepted.
    #[error("the JWKS has no usable key; {0}")]
    NoneUsable(String),
}

/// A key, with the only algorithms that its tokens may have.
#[derive(Clone)]
pub(super) struct Key {
    id: Option<String>,
    pub(super) algorithms: Vec<Algorithm>,
    pub(super) key: DecodingKey,
}

/// Keys in a set: a token without a `kid` is tried with each.
const MOST_KEYS: usize = 32;

/// The shortest keys: RFC 7518, sections 3.2 and 3.3.
const SHORTEST_SECRET_BYTES: usize = 32;
const SHORTEST_RSA_BITS: usize = 2048;

// === impl Jwks ===

impl Jwks {
    /// Reads a set from its JSON. Keys that are for something else, or of a kind that is
    /// not known, are passed over, as RFC 7517 (section 5) wants it.
    ///
    /// # Errors
    ///
    /// If it is no set, or no key in it can be used.
    pub fn parse(json: &str) -> Result<Self, JwksError> {
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<Value>,
        }
        let set: Set =
            serde_json::from_str(json).map_err(|error| JwksError::Malformed(error.to_string()))?;
        if set.keys.len() > MOST_KEYS {
            return Err(JwksError::TooMany(set.keys.len()));
        }
        let mut why = String::from("it is empty");
        let mut keys = Vec::with_capacity(set.keys.len());
        for (index, key) in set.keys.into_iter().enumerate() {
            match Key::new(key) {
                Ok(key) => keys.push(key),
                Err(what) => why = format!("key {}: {what}", index + 1),
            }
        }
        if keys.is_empty() { Err(JwksError::NoneUsable(why)) } else { Ok(Self(keys)) }
    }

    /// The keys of a `kid`; without one, all.
    pub(super) fn named(&self, id: Option<&str>) -> impl Iterator<Item = &Key> {
        self.0.iter().filter(move |key| id.is_none() || key.id.as_deref() == id)
    }
}

impl fmt::Debug for Jwks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|key| &key.id)).finish()
    }
}

// === impl Key ===

impl Key {
    fn new(json: Value) -> Result<Self, String> {
        let jwk: Jwk = serde_json::from_value(json).map_err(|error| error.to_string())?;
        if matches!(jwk.common.public_key_use, Some(ref use_) if *use_ != PublicKeyUse::Signature) {
            return Err("it is not for signatures".to_owned());
        }
        let mut algorithms = algorithms(&jwk.algorithm)?;
        if let Some(one) = jwk.common.key_algorithm {
            algorithms.retain(|algorithm| KeyAlgorithm::from(*algorithm) == one);
        }
        if algorithms.is_empty() {
            return Err(
                "its algorithm is none of RS256, RS384, RS512, ES256, ES384, EdDSA and HS256"
                    .to_owned(),
            );
        }
        let key = DecodingKey::from_jwk(&jwk).map_err(|error| error.to_string())?;
        Ok(Self { id: jwk.common.key_id, algorithms, key })
    }
}

/// The algorithms that a key is for, by its kind.
fn algorithms(parameters: &AlgorithmParameters) -> Result<Vec<Algorithm>, String> {
    match parameters {
        AlgorithmParameters::RSA(rsa) => {
            if significant_bits(&rsa.n)? < SHORTEST_RSA_BITS {
                return Err(format!("an RSA key needs {SHORTEST_RSA_BITS} bits"));
            }
            Ok(vec![Algorithm::RS256, Algorithm::RS384, Algorithm::RS512])
        }
        AlgorithmParameters::EllipticCurve(ec) => match ec.curve {
            EllipticCurve::P256 => Ok(vec![Algorithm::ES256]),
            EllipticCurve::P384 => Ok(vec![Algorithm::ES384]),
            _ => Err("its curve is neither P-256 nor P-384".to_owned()),
        },
        AlgorithmParameters::OctetKeyPair(pair) => match pair.curve {
            EllipticCurve::Ed25519 => Ok(vec![Algorithm::EdDSA]),
            _ => Err("its curve is not Ed25519".to_owned()),
        },
        AlgorithmParameters::OctetKey(secret) => {
            if decoded(&secret.value)?.len() < SHORTEST_SECRET_BYTES {
                return Err(format!("a secret needs {SHORTEST_SECRET_BYTES} bytes"));
            }
            Ok(vec![Algorithm::HS256])
        }
        _ => Err("its kind is not known".to_owned()),
    }
}

fn significant_bits(base64: &str) -> Result<usize, String> {
    let bytes = decoded(base64)?;
    let zeros: usize = bytes.iter().take_while(|byte| **byte == 0).count();
    let first = bytes.get(zeros).map_or(0, |byte| byte.leading_zeros() as usize);
    Ok(((bytes.len() - zeros) * 8).saturating_sub(first))
}

fn decoded(base64: &str) -> Result<Vec<u8>, String> {
    URL_SAFE_NO_PAD.decode(base64).map_err(|error| error.to_string())
}
