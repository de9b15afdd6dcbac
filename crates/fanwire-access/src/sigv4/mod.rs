//! AWS's Signature Version 4, from the side that checks it.
//!
//! A request says who signed it, when, for which region and service, and which of its headers
//! count, either in `Authorization` or, presigned, in its query. From these and the
//! request both sides make one text, the canonical request, and the secret makes the signature
//! of it. The rules, and the words of refusals, are those of
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html> and of what AWS's
//! services answer (reference: api-gateway.md, section 13; iot.md, section 1).
//!
//! What differs here: any region is taken, because a server of one's own is in none.

mod canonical;
mod error;
mod read;
#[cfg(test)]
mod tests;
mod time;

use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use http::request::Parts;

use self::canonical::{Canonical, Excluded};
pub use self::error::SignatureError;
use self::time::Timestamp;
use crate::hash::{are_equal, hex, sha256, unhex};
use crate::keyring::{Key, Keyring};

/// How far the clocks of both sides may be apart, in seconds: "a request must reach AWS
/// within five minutes of the time stamp in the request" (IAM User Guide, "Troubleshoot
/// Signature Version 4 signing"). S3 alone has fifteen.
const SKEW: u64 = 5 * 60;

/// A request that says who signed it. Nothing of it is believed yet.
#[derive(Debug)]
pub struct Signed {
    credential: Credential,
    timestamp: Timestamp,
    signed_headers: Vec<String>,
    signature: [u8; 32],
    session_token: Option<String>,
    payload: Payload,
    form: Form,
}

/// Whose signature it is, and what for.
#[derive(Debug)]
struct Credential {
    key_id: String,
    day: String,
    region: String,
    service: String,
}

/// Where the signature stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// In `Authorization`.
    Header,
    /// In the query, good for so many seconds.
    Query { expires: u64 },
}

/// What the signature says of the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Payload {
    /// Its SHA-256 is signed, so that the signature can be checked before there is a body;
    /// the body has to be held to it afterwards.
    Declared([u8; 32]),
    /// Its SHA-256 has to be known to check the signature.
    Unknown,
    /// It is not signed.
    Unsigned,
}

// === impl Signed ===

impl Signed {
    /// Reads who signed a request. `None`: nobody says so.
    ///
    /// # Errors
    ///
    /// [`SignatureError`], where it says so in a way that cannot be checked.
    pub fn read(request: &Parts) -> Result<Option<Self>, SignatureError> {
        read::read(request)
    }

    /// What the signature says of the body.
    pub fn payload(&self) -> Payload {
        self.payload
    }

    /// The service that the request is signed for.
    pub fn service(&self) -> &str {
        &self.credential.service
    }

    /// What can be said without the body: whether the key is known and the time is now. It
    /// keeps those out who would have a body read for nothing.
    ///
    /// # Errors
    ///
    /// As [`Signed::verify`].
    pub fn precheck(
        &self,
        ring: &Keyring,
        services: &[&str],
        now: u64,
    ) -> Result<(), SignatureError> {
        self.check_scope(services)?;
        self.check_time(now)?;
        self.candidates(ring, now).map(drop)
    }

    /// Finds the key that signed a request for one of `services`. `now` is in seconds since
    /// 1970; `body` is the SHA-256 of the body, which is looked at where
    /// [`Signed::payload`] says that it has to be known.
    ///
    /// # Errors
    ///
    /// [`SignatureError`]: in AWS's words, why it does not count.
    pub fn verify(
        &self,
        request: &Parts,
        ring: &Keyring,
        services: &[&str],
        now: u64,
        body: &[u8; 32],
    ) -> Result<Arc<Key>, SignatureError> {
        self.precheck(ring, services, now)?;
        let hash = match self.payload {
            Payload::Declared(hash) => hex(&hash),
            Payload::Unknown => hex(body),
            Payload::Unsigned => read::UNSIGNED.to_owned(),
        };
        let candidates = self.candidates(ring, now)?;
        let mut told = None;
        for &excluded in self.exclusions() {
            let canonical = Canonical::of(request, &self.signed_headers, &hash, excluded);
            let to_sign = self.string_to_sign(&canonical.0);
            let good = candidates.iter().find(|key| self.is_signed(ring, key, &to_sign));
            if let Some(key) = good {
                return Ok(Arc::clone(key));
            }
            told.get_or_insert((canonical.0, to_sign));
        }
        let (canonical, string_to_sign) = told.unwrap_or_default();
        Err(SignatureError::Mismatch { canonical, string_to_sign })
    }

    /// The keys that may have signed it.
    fn candidates<'k>(
        &self,
        ring: &'k Keyring,
        now: u64,
    ) -> Result<Vec<&'k Arc<Key>>, SignatureError> {
        let known = ring.keys(&self.credential.key_id).iter();
        let fits = |key: &&Arc<Key>| match (&key.session_token, &self.session_token) {
            (Some(expected), Some(shown)) => are_equal(expected.reveal(), shown),
            (None, None) => true,
            _ => false,
        };
        let keys: Vec<_> = known.filter(fits).collect();
        if keys.is_empty() {
            return Err(SignatureError::UnknownKey);
        }
        let valid = |key: &&Arc<Key>| key.expires_at.is_none_or(|at| now < at);
        let valid: Vec<_> = keys.into_iter().filter(valid).collect();
        if valid.is_empty() { Err(SignatureError::ExpiredToken) } else { Ok(valid) }
    }

    fn check_scope(&self, services: &[&str]) -> Result<(), SignatureError> {
        let Credential { day, service, .. } = &self.credential;
        if !services.contains(&service.as_str()) {
            let expected = services.first().copied().unwrap_or_default();
            return Err(SignatureError::Service { expected: expected.to_owned() });
        }
        if day != self.timestamp.day() {
            return Err(SignatureError::Day {
                scope: day.clone(),
                date: self.timestamp.text().to_owned(),
            });
        }
        Ok(())
    }

    fn check_time(&self, now: u64) -> Result<(), SignatureError> {
        let made = self.timestamp.seconds();
        if made > now.saturating_add(SKEW) {
            return Err(SignatureError::NotYetCurrent {
                signed: self.timestamp.text().to_owned(),
                latest: time::text(now.saturating_add(SKEW)),
                now: time::text(now),
            });
        }
        let lasts = match self.form {
            Form::Header => SKEW,
            Form::Query { expires } => expires,
        };
        if now > made.saturating_add(lasts) {
            return Err(SignatureError::Expired {
                signed: self.timestamp.text().to_owned(),
                earliest: time::text(now.saturating_sub(lasts)),
                now: time::text(now),
                minutes: lasts / 60,
            });
        }
        Ok(())
    }

    /// What of the query is no part of what is signed: each way that may have been meant.
    /// AWS's SDKs for devices put the session token into the URL after they have signed it
    /// (reference: iot.md, section 1). It is compared with the key's in any case.
    fn exclusions(&self) -> &'static [Excluded] {
        match self.form {
            Form::Header => &[Excluded::Nothing],
            Form::Query { .. } if self.session_token.is_some() => {
                &[Excluded::Signature, Excluded::SignatureAndToken]
            }
            Form::Query { .. } => &[Excluded::Signature],
        }
    }

    fn string_to_sign(&self, canonical: &str) -> String {
        let Credential { day, region, service, .. } = &self.credential;
        let hash = hex(&sha256(canonical.as_bytes()));
        let time = self.timestamp.text();
        format!("{}\n{time}\n{day}/{region}/{service}/aws4_request\n{hash}", read::ALGORITHM)
    }

    fn is_signed(&self, ring: &Keyring, key: &Key, string_to_sign: &str) -> bool {
        let Credential { day, region, service, .. } = &self.credential;
        ring.with_signing_key(key, (day, region, service), |signing_key| {
            let tag = hmac::sign(signing_key, string_to_sign.as_bytes());
            verify_slices_are_equal(tag.as_ref(), &self.signature).is_ok()
        })
    }
}

/// A signature or hash, as it is written.
fn hash_of(text: &str) -> Option<[u8; 32]> {
    unhex(text)
}
