//! The keys and tokens that are valid now. A changed file makes a new keyring: nothing in
//! one changes but what it has worked out.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::hmac::{self, HMAC_SHA256};
use fanwire_app::serve::access::{AccessKey, AccessToken, Credentials, TokenText};
use fanwire_app::serve::secret::Secret;

use crate::grant::Grants;
use crate::hash::{sha256, unhex};

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

/// What a signing key is derived from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Derivation {
    /// The SHA-256 of the secret: keys may share a name, and an id, and be others.
    secret: [u8; 32],
    day: String,
    region: String,
    service: String,
}

// === impl Key ===

impl Key {
    /// That of settings.
    pub fn of(key: &AccessKey) -> Self {
        Self {
            name: key.name.clone(),
            id: key.id.clone(),
            secret: key.secret.clone(),
            session_token: key.session_token.clone(),
            expires_at: key.expires_at,
            grants: Grants::new(key.allow.iter().cloned()),
        }
    }
}

// === impl Token ===

impl Token {
    /// That of settings.
    fn of(token: &AccessToken) -> Option<Self> {
        let sha256 = match &token.token {
            TokenText::Plain(secret) => sha256(secret.reveal().as_bytes()),
            TokenText::Sha256(text) => unhex(text)?,
        };
        let grants = Grants::new(token.allow.iter().cloned());
        Some(Self { name: token.name.clone(), sha256, expires_at: token.expires_at, grants })
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("name", &self.name).finish_non_exhaustive()
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

    /// One of what settings list. A token's hash that is none is left out: files are checked
    /// when they are read.
    pub fn of<'c>(listed: impl IntoIterator<Item = &'c Credentials>) -> Self {
        let (mut keys, mut tokens) = (Vec::new(), Vec::new());
        for credentials in listed {
            keys.extend(credentials.keys.iter().map(Key::of));
            tokens.extend(credentials.tokens.iter().filter_map(Token::of));
        }
        Self::new(keys, tokens)
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
            secret: sha256(key.secret.reveal().as_bytes()),
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
    fn keys_of_one_name_and_id_do_not_take_each_others_secret() {
        let replaced = Key { secret: Secret::new("another secret of some length"), ..key("a") };
        let ring = Keyring::new([key("a"), replaced], []);
        let scope = ("20150830", "r", "s");
        let signatures = ring.keys("AKIDEXAMPLE").iter().map(|key| {
            let mut signature = None;
            ring.with_signing_key(key, scope, |signing_key| {
                signature = Some(hmac::sign(signing_key, b"x").as_ref().to_vec());
                true
            });
            signature.unwrap()
        });
        let signatures: Vec<_> = signatures.collect();
        assert_ne!(signatures[0], signatures[1]);
    }

    #[test]
    fn a_token_is_found_by_its_hash_until_it_is_over() {
        let hash = sha256(b"a token of some length");
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
}
