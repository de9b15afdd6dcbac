//! The keys and tokens that are valid now. A changed file makes a new keyring: nothing in
//! one changes but what it has worked out.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::hmac::{self, HMAC_SHA256};

use crate::grant::Grants;
use crate::secret::{Secret, sha256, unhex};

/// Signing keys that are remembered; beyond, all are worked out anew. There is one for each
/// key, day, region and service that a valid signature was for.
const MAX_DERIVED: usize = 256;

/// What requests are signed with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// What people call it, in logs and refusals.
    pub name: String,
    /// The access key id, which signed requests carry.
    pub id: String,
    /// The secret access key.
    pub secret: Secret,
    /// What requests have to carry beside the signature, if anything.
    pub session_token: Option<Secret>,
    /// When it is over, in seconds since 1970.
    pub expires_at: Option<u64>,
    /// What its holder may do.
    pub grants: Grants,
}

/// What a bearer shows (RFC 6750). Only its hash is kept.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// What people call it, in logs and refusals.
    pub name: String,
    /// The SHA-256 of the token.
    pub sha256: [u8; 32],
    /// When it is over, in seconds since 1970.
    pub expires_at: Option<u64>,
    /// What its bearer may do.
    pub grants: Grants,
}

/// All keys and tokens that are valid.
#[derive(Debug, Default)]
pub struct Keyring {
    /// By id. Two keys may share one: while a secret is being replaced, both are valid.
    keys: HashMap<String, Vec<Arc<Key>>>,
    /// By hash, which says nothing about the token: whoever finds out by the time that a
    /// look-up takes how much of a hash is right can make no use of it.
    tokens: HashMap<[u8; 32], Arc<Token>>,
    derived: Mutex<HashMap<Derivation, hmac::Key>>,
}

/// What a signing key is derived from, beside the secret.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Derivation {
    key: String,
    day: String,
    region: String,
    service: String,
}

/// A key or token that cannot be one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// AWS's SDKs put the id into a header between slashes.
    #[error("the id of a key has 1 to 128 letters, digits, `-` and `_`")]
    Id,
    /// What is short is found by trying.
    #[error("a secret has {expected} characters at the least; this one has {found}")]
    Short {
        /// The least that is taken.
        expected: usize,
        /// What it has.
        found: usize,
    },
    /// It is no SHA-256.
    #[error("a SHA-256 has 64 hexadecimal digits")]
    Hash,
}

/// The shortest secret or token: 16 characters of 6 bits each are 96 bits.
const SHORTEST: usize = 16;

// === impl Key ===

impl Key {
    /// Whether a key can have this id and secret.
    ///
    /// # Errors
    ///
    /// [`KeyError`], where it cannot.
    pub fn check(id: &str, secret: &str) -> Result<(), KeyError> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if id.is_empty() || id.len() > 128 || !id.bytes().all(fits) {
            return Err(KeyError::Id);
        }
        long_enough(secret)
    }
}

// === impl Token ===

impl Token {
    /// The hash of a token.
    ///
    /// # Errors
    ///
    /// [`KeyError::Short`], where the token is found by trying.
    pub fn hash(token: &str) -> Result<[u8; 32], KeyError> {
        long_enough(token)?;
        Ok(sha256(token.as_bytes()))
    }

    /// A hash as it is written.
    ///
    /// # Errors
    ///
    /// [`KeyError::Hash`], where it is none.
    pub fn parse_hash(text: &str) -> Result<[u8; 32], KeyError> {
        unhex(text).ok_or(KeyError::Hash)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("name", &self.name).finish_non_exhaustive()
    }
}

fn long_enough(secret: &str) -> Result<(), KeyError> {
    match secret.chars().count() {
        found if found < SHORTEST => Err(KeyError::Short { expected: SHORTEST, found }),
        _ => Ok(()),
    }
}

// === impl Keyring ===

impl Keyring {
    /// One with these keys and tokens.
    pub fn new(
        keys: impl IntoIterator<Item = Key>,
        tokens: impl IntoIterator<Item = Token>,
    ) -> Self {
        let mut ring = Self::default();
        for key in keys {
            ring.keys.entry(key.id.clone()).or_default().push(Arc::new(key));
        }
        ring.tokens = tokens.into_iter().map(|token| (token.sha256, Arc::new(token))).collect();
        ring
    }

    /// Whether there is neither a key nor a token.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.tokens.is_empty()
    }

    /// The keys of an id.
    pub(crate) fn keys(&self, id: &str) -> &[Arc<Key>] {
        self.keys.get(id).map(Vec::as_slice).unwrap_or_default()
    }

    /// The token that a bearer shows, unless it is over.
    pub fn token(&self, shown: &str, now: u64) -> Option<&Arc<Token>> {
        let token = self.tokens.get(&sha256(shown.as_bytes()))?;
        token.expires_at.is_none_or(|at| now < at).then_some(token)
    }

    /// Says whether `check` is content with the signing key of a day, region and service.
    /// It is remembered only where it is: so nobody without a secret can fill the room.
    pub(crate) fn with_signing_key(
        &self,
        key: &Key,
        (day, region, service): (&str, &str, &str),
        check: impl FnOnce(&hmac::Key) -> bool,
    ) -> bool {
        let derivation = Derivation {
            key: key.name.clone(),
            day: day.to_owned(),
            region: region.to_owned(),
            service: service.to_owned(),
        };
        let lock = || self.derived.lock().unwrap_or_else(PoisonError::into_inner);
        let known = lock().get(&derivation).cloned();
        if let Some(signing_key) = known {
            return check(&signing_key);
        }
        let signing_key = derive(&key.secret, [day, region, service, "aws4_request"]);
        let good = check(&signing_key);
        if good {
            let mut derived = lock();
            if derived.len() >= MAX_DERIVED {
                derived.clear();
            }
            derived.insert(derivation, signing_key);
        }
        good
    }
}

/// The signing key of a secret and a scope.
fn derive(secret: &Secret, scope: [&str; 4]) -> hmac::Key {
    let first = hmac::Key::new(HMAC_SHA256, format!("AWS4{}", secret.reveal()).as_bytes());
    scope.into_iter().fold(first, |key, part| {
        hmac::Key::new(HMAC_SHA256, hmac::sign(&key, part.as_bytes()).as_ref())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Key {
        Key {
            name: name.to_owned(),
            id: "AKIDEXAMPLE".to_owned(),
            secret: Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
            session_token: None,
            expires_at: None,
            grants: Grants::default(),
        }
    }

    #[test]
    fn signing_keys_are_remembered_in_bounded_room_and_only_for_who_has_the_secret() {
        let ring = Keyring::new([key("a")], []);
        let key = &ring.keys("AKIDEXAMPLE")[0];
        let count = || ring.derived.lock().unwrap().len();
        for region in 0..1_000 {
            let region = region.to_string();
            assert!(!ring.with_signing_key(key, ("20150830", &region, "s"), |_| false));
        }
        assert_eq!(count(), 0);
        for region in 0..1_000 {
            let region = region.to_string();
            assert!(ring.with_signing_key(key, ("20150830", &region, "s"), |_| true));
            assert!(count() <= MAX_DERIVED);
        }
    }

    #[test]
    fn a_token_is_found_by_its_hash_until_it_is_over() {
        let hash = Token::hash("a token of some length").unwrap();
        let token = Token {
            name: "ops".to_owned(),
            sha256: hash,
            expires_at: Some(100),
            grants: Grants::default(),
        };
        let ring = Keyring::new([], [token]);
        assert_eq!(ring.token("a token of some length", 99).unwrap().name, "ops");
        assert!(ring.token("a token of some length", 100).is_none());
        assert!(ring.token("another token of some length", 99).is_none());
    }

    #[test]
    fn what_is_easily_found_is_no_secret() {
        assert_eq!(Key::check("AKID", "short"), Err(KeyError::Short { expected: 16, found: 5 }));
        assert_eq!(Key::check("a/b", "long enough, I should say"), Err(KeyError::Id));
        assert!(Token::hash("short").is_err());
        assert!(Token::parse_hash("abc").is_err());
        Key::check("AKID-1", "long enough, I should say").unwrap();
    }
}
