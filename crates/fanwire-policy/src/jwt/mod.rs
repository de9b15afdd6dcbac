//! JSON Web Tokens in place of passwords (RFC 7519).
//!
//! A key says which algorithms its tokens may have, never a token: so a public RSA key
//! cannot be passed off as the secret of an HMAC, nor `none` as an algorithm.

mod jwks;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::crypto::verify;
use jsonwebtoken::decode_header;
use serde_json::{Map, Value};

use crate::subject::claim_text;

use self::jwks::Key;
pub use self::jwks::{Jwks, JwksError};

/// What a token has to say, besides being signed and not over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JwtRules {
    /// Its `iss`, where one is wanted.
    pub issuer: Option<String>,
    /// One of these must be among its `aud`. None wanted: `aud` is not looked at, so that
    /// tokens for other services of the same issuer will do.
    pub audience: Vec<String>,
    /// The claim that the principal is taken from: `sub` unless something else is meant.
    pub principal_claim: String,
}

/// What a good token says.
#[derive(Debug, Clone, PartialEq)]
pub struct Identity {
    /// Who it is.
    pub principal: String,
    /// When the connection must end: the token's `exp`, in seconds since 1970.
    pub expires_at: u64,
    /// Every claim, for `${claim:NAME}`.
    pub claims: Map<String, Value>,
}

/// Why a token lets nobody in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JwtError {
    /// It is no token.
    #[error("the password is no JWT in its compact form (three parts with dots between them)")]
    Malformed,
    /// None of the keys has its `kid`. Newer keys may.
    #[error("the token's key {kid:?} is not in the JWKS")]
    UnknownKey {
        /// The `kid`.
        kid: String,
    },
    /// It names no key, and no key is for its algorithm; or its key is not.
    #[error("the token is signed with {algorithm}, which its key in the JWKS is not for")]
    Algorithm {
        /// The `alg` of its header.
        algorithm: String,
    },
    /// It was changed, or another key signed it.
    #[error("the token's signature is wrong")]
    Signature,
    /// It says that more must be understood than is.
    #[error("the token's header has `crit`, which is not supported")]
    Critical,
    /// It is over.
    #[error("the token expired {seconds} s ago")]
    Expired {
        /// How long ago.
        seconds: u64,
    },
    /// It is not valid yet.
    #[error("the token is valid only in {seconds} s: is a clock wrong?")]
    NotYetValid {
        /// How soon it is.
        seconds: u64,
    },
    /// A claim that is wanted is missing or of the wrong kind.
    #[error("the token has no usable `{claim}`")]
    Claim {
        /// The claim.
        claim: String,
    },
    /// Somebody else issued it.
    #[error("the token's `iss` is {found:?}; expected {expected:?}")]
    Issuer {
        /// What it says.
        found: String,
        /// What is configured.
        expected: String,
    },
    /// It is for somebody else.
    #[error("the token's `aud` is {found}; expected one of {expected:?}")]
    Audience {
        /// What it says, in JSON.
        found: String,
        /// What is configured.
        expected: Vec<String>,
    },
}

/// How far the issuer's clock may be ahead of ours, in seconds. A token that is over is
/// over: only one that is just made gets this.
const CLOCK_AHEAD: u64 = 60;

// === impl JwtRules ===

impl JwtRules {
    /// Checks a token at a time, in seconds since 1970.
    ///
    /// # Errors
    ///
    /// With why it lets nobody in, in words for the log. The token is not in them.
    pub fn verify(&self, token: &str, keys: &Jwks, now: u64) -> Result<Identity, JwtError> {
        let claims = signed_claims(token, keys)?;
        let expires_at = time(&claims, "exp")?.ok_or_else(|| missing("exp"))?;
        if expires_at <= now {
            return Err(JwtError::Expired { seconds: now - expires_at });
        }
        let valid_from = time(&claims, "nbf")?.unwrap_or(0);
        if valid_from > now.saturating_add(CLOCK_AHEAD) {
            return Err(JwtError::NotYetValid { seconds: valid_from - now });
        }
        self.check_issuer(&claims)?;
        self.check_audience(&claims)?;
        let principal = claims.get(&self.principal_claim).and_then(claim_text);
        let principal = principal
            .filter(|principal| !principal.is_empty())
            .ok_or_else(|| missing(&self.principal_claim))?;
        Ok(Identity { principal, expires_at, claims })
    }

    fn check_issuer(&self, claims: &Map<String, Value>) -> Result<(), JwtError> {
        let Some(expected) = &self.issuer else { return Ok(()) };
        let found = claims.get("iss").and_then(Value::as_str).ok_or_else(|| missing("iss"))?;
        if found == expected {
            return Ok(());
        }
        Err(JwtError::Issuer { found: found.to_owned(), expected: expected.clone() })
    }

    /// `aud` is one string or a list of them (RFC 7519, 4.1.3).
    fn check_audience(&self, claims: &Map<String, Value>) -> Result<(), JwtError> {
        if self.audience.is_empty() {
            return Ok(());
        }
        let found = claims.get("aud").ok_or_else(|| missing("aud"))?;
        let expected = |value: &Value| {
            value.as_str().is_some_and(|text| self.audience.iter().any(|one| one == text))
        };
        let good = match found {
            Value::Array(list) => list.iter().any(expected),
            one => expected(one),
        };
        if good {
            return Ok(());
        }
        Err(JwtError::Audience { found: found.to_string(), expected: self.audience.clone() })
    }
}

// === impl JwtError ===

impl JwtError {
    /// Whether it may be that the keys are too old: then fetching them again, now and
    /// then, is worth it.
    pub const fn wants_newer_keys(&self) -> bool {
        matches!(self, Self::UnknownKey { .. })
    }
}

/// The claims of a token that one of the keys signed.
///
/// Only the signature is `jsonwebtoken`'s matter: it would check the claims at the
/// system's time.
fn signed_claims(token: &str, keys: &Jwks) -> Result<Map<String, Value>, JwtError> {
    // An algorithm that is not known fails here, too: `none` is one.
    let header = decode_header(token).map_err(|_| JwtError::Malformed)?;
    let (message, signature) = token.rsplit_once('.').ok_or(JwtError::Malformed)?;
    let (_, claims) = message.split_once('.').ok_or(JwtError::Malformed)?;
    if header.crit.is_some() {
        return Err(JwtError::Critical);
    }
    let named: Vec<&Key> = keys.named(header.kid.as_deref()).collect();
    if named.is_empty() {
        return Err(JwtError::UnknownKey { kid: header.kid.unwrap_or_default() });
    }
    let fit: Vec<&Key> =
        named.into_iter().filter(|key| key.algorithms.contains(&header.alg)).collect();
    if fit.is_empty() {
        return Err(JwtError::Algorithm { algorithm: format!("{:?}", header.alg) });
    }
    let signed = fit.iter().any(|key| {
        verify(signature, message.as_bytes(), &key.key, header.alg).is_ok_and(|signed| signed)
    });
    if !signed {
        return Err(JwtError::Signature);
    }
    let claims = URL_SAFE_NO_PAD.decode(claims).map_err(|_| JwtError::Malformed)?;
    serde_json::from_slice(&claims).map_err(|_| JwtError::Malformed)
}

fn missing(claim: &str) -> JwtError {
    JwtError::Claim { claim: claim.to_owned() }
}

/// A time, which may have a fraction (RFC 7519, section 2). One that is not a number is
/// not overlooked.
fn time(claims: &Map<String, Value>, claim: &str) -> Result<Option<u64>, JwtError> {
    let Some(value) = claims.get(claim) else { return Ok(None) };
    let seconds = value.as_u64().or_else(|| {
        let float = value.as_f64().filter(|float| *float >= 0.0)?;
        // Not negative, and what is beyond an u64 is far enough away.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "as said")]
        Some(float as u64)
    });
    seconds.map(Some).ok_or_else(|| missing(claim))
}

#[cfg(test)]
mod tests;
