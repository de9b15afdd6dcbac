//! Tokens of WebSocket clients, held against the keys of whoever issues them. Keys are fetched
//! when they are first needed, and again when a token names one that is not there, or when they
//! are old.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use fanwire_app::model::JwksSource;
use fanwire_functions::HttpClient;
use fanwire_policy::{Identity, Jwks, JwtRules};
use tokio::sync::Mutex;

use crate::jwks::fetch;

/// How long keys are taken for the issuer's: who takes one back has to be obeyed some time.
const KEPT_FOR: Duration = Duration::from_secs(60 * 60);

/// How soon keys are fetched again, whatever tokens name: an issuer is not asked more often.
const FETCH_EVERY: Duration = Duration::from_secs(10);

/// Sets of keys. There are as many as the App has authorizers with keys.
#[derive(Default)]
pub(super) struct Tokens {
    /// Held while keys are fetched, so that many clients wait for one request.
    sets: Mutex<HashMap<String, Kept>>,
    client: Mutex<Option<HttpClient>>,
}

/// A set of keys, or why there is none.
struct Kept {
    keys: Result<Jwks, String>,
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
        let keys = self.keys(source, KEPT_FOR).await?;
        match rules.verify(token, &keys, now) {
            Err(error) if error.wants_newer_keys() => {
                let keys = self.keys(source, FETCH_EVERY).await?;
                rules.verify(token, &keys, now).map_err(|error| error.to_string())
            }
            judged => judged.map_err(|error| error.to_string()),
        }
    }

    /// Keys that are not older than `most`; those that cannot be had are tried again soon.
    async fn keys(&self, source: &JwksSource, most: Duration) -> Result<Jwks, String> {
        let name = match source {
            JwksSource::File(path) => path.display().to_string(),
            JwksSource::Url(url) => url.clone(),
        };
        let mut sets = self.sets.lock().await;
        if let Some(kept) = sets.get(&name) {
            let most = if kept.keys.is_ok() { most } else { FETCH_EVERY };
            if kept.fetched.elapsed() < most {
                return kept.keys.clone();
            }
        }
        let text = fetch(source, &mut *self.client.lock().await).await;
        let mut keys = text.and_then(|text| Jwks::parse(&text).map_err(|error| error.to_string()));
        // While an issuer is away its keys are better than none.
        if let (Err(_), Some(Kept { keys: Ok(old), .. })) = (&keys, sets.get(&name)) {
            keys = Ok(old.clone());
        }
        sets.insert(name, Kept { keys: keys.clone(), fetched: Instant::now() });
        keys
    }
}
