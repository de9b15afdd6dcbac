//! Tokens of WebSocket clients, held against the keys of whoever issues them. Keys are fetched
//! when they are first needed, and again when a token names one that is not there, or when they
//! are old.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fanwire_app::model::JwksSource;
use fanwire_functions::HttpClient;
use fanwire_policy::{Identity, Jwks, JwtRules};
use tokio::time::Instant;

use crate::jwks::fetch;

/// How long keys are taken for the issuer's: who takes one back has to be obeyed some time.
const KEPT_FOR: Duration = Duration::from_secs(60 * 60);

/// How soon keys are fetched again, whatever tokens name: an issuer is not asked more often.
const FETCH_EVERY: Duration = Duration::from_secs(10);

/// Sets of keys. There are as many as the App has authorizers with keys.
#[derive(Default)]
pub(super) struct Tokens {
    // A std lock, held to find one.
    issuers: Mutex<HashMap<String, Arc<Issuer>>>,
}

/// Whoever signs tokens. One that is slow has nobody wait who comes with another's, or with one
/// whose key is known.
#[derive(Default)]
struct Issuer {
    // A std lock, held for a copy.
    kept: Mutex<Option<Kept>>,
    /// Held while keys are fetched, so that many clients wait for one request.
    client: tokio::sync::Mutex<Option<HttpClient>>,
}

/// A set of keys, or why there is none.
#[derive(Clone)]
struct Kept {
    keys: Result<Arc<Jwks>, String>,
    fetched: Instant,
}

// === impl Tokens ===

impl Tokens {
    /// Checks a token at `now`, in seconds since 1970. The error is in words, for the log.
    pub(super) async fn verify(
        &self,
        source: &JwksSource,
        rules: &JwtRules,
        token: &str,
        now: u64,
    ) -> Result<Identity, String> {
        let issuer = self.issuer(source);
        let keys = issuer.keys(source, KEPT_FOR).await?;
        match rules.verify(token, &keys, now) {
            Err(error) if error.wants_newer_keys() => {
                let keys = issuer.keys(source, FETCH_EVERY).await?;
                rules.verify(token, &keys, now).map_err(|error| error.to_string())
            }
            judged => judged.map_err(|error| error.to_string()),
        }
    }

    fn issuer(&self, source: &JwksSource) -> Arc<Issuer> {
        let name = match source {
            JwksSource::File(path) => path.display().to_string(),
            JwksSource::Url(url) => url.clone(),
        };
        let mut issuers = self.issuers.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(issuers.entry(name).or_default())
    }
}

// === impl Issuer ===

impl Issuer {
    /// Keys that are not older than `most`; those that cannot be had are tried again soon.
    async fn keys(&self, source: &JwksSource, most: Duration) -> Result<Arc<Jwks>, String> {
        if let Some(kept) = self.not_older(most) {
            return kept.keys;
        }
        let old = self.kept().clone();
        let mut client = match (self.client.try_lock(), old) {
            (Ok(client), _) => client,
            // Keys that are only old do until somebody has newer ones.
            (Err(_), Some(Kept { keys: Ok(old), .. })) if most == KEPT_FOR => return Ok(old),
            (Err(_), _) => self.client.lock().await,
        };
        // Whoever held it may have fetched them.
        if let Some(kept) = self.not_older(most) {
            return kept.keys;
        }
        let text = fetch(source, &mut client).await;
        let keys = text.and_then(|text| Jwks::parse(&text).map_err(|error| error.to_string()));
        let mut kept = self.kept();
        let keys = match (keys, kept.take()) {
            (Ok(keys), _) => Ok(Arc::new(keys)),
            // While an issuer is away its keys are better than none.
            (Err(_), Some(Kept { keys: Ok(old), .. })) => Ok(old),
            (Err(error), _) => Err(error),
        };
        *kept = Some(Kept { keys: keys.clone(), fetched: Instant::now() });
        keys
    }

    fn not_older(&self, most: Duration) -> Option<Kept> {
        let kept = self.kept().clone()?;
        let most = if kept.keys.is_ok() { most } else { FETCH_EVERY };
        (kept.fetched.elapsed() < most).then_some(kept)
    }

    fn kept(&self) -> MutexGuard<'_, Option<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn while_keys_are_fetched_only_who_needs_newer_ones_waits() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("jwks.json");
        let key = "A".repeat(43);
        let set = format!(r#"{{"keys":[{{"kty":"oct","kid":"a","alg":"HS256","k":"{key}"}}]}}"#);
        std::fs::write(&file, set).unwrap();
        let source = JwksSource::File(file);
        let issuer = Issuer::default();
        issuer.keys(&source, KEPT_FOR).await.unwrap();
        let _fetching = issuer.client.lock().await;
        issuer.keys(&source, KEPT_FOR).await.unwrap();
        tokio::time::advance(KEPT_FOR * 2).await;
        issuer.keys(&source, KEPT_FOR).await.unwrap();
        let newer = tokio::time::timeout(FETCH_EVERY, issuer.keys(&source, FETCH_EVERY));
        assert!(newer.await.is_err());
    }
}
