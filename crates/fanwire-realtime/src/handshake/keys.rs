//! The keys that tokens are signed with (`realtime.jwt.jwks`), which the server fetches:
//! at the start, and again where a token is signed with one that is not among them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use fanwire_app::model::JwksSource;
use fanwire_policy::Jwks;
use tokio::sync::{Notify, watch};

use crate::{Realtime, RealtimeEvent};

/// The least time between two fetches of keys. Anybody can send a token with a key that
/// does not exist.
const FETCH_EVERY: Duration = Duration::from_secs(60);

/// The least time between two attempts, while there are no keys.
const TRY_EVERY: Duration = Duration::from_secs(5);

/// The keys, and whether there may be newer ones.
#[derive(Debug)]
pub(crate) struct Keys {
    now: watch::Sender<State>,
    wanted: Notify,
    // A std lock: held for a look.
    fetch: Mutex<Fetch>,
}

/// What is known of the keys.
#[derive(Debug, Clone)]
enum State {
    /// They are being fetched for the first time.
    Awaited,
    Known(Arc<Jwks>),
    /// They could not be had: why.
    Failed(Arc<str>),
}

/// Whether keys are being fetched.
#[derive(Debug, Clone, Copy)]
enum Fetch {
    Underway,
    /// The last one was begun then; `None` before the first was wanted.
    Begun(Option<Instant>),
}

/// Why there are no keys, in words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the keys of realtime.jwt cannot be had: {0}")]
pub(super) struct NoKeys(Arc<str>);

// === impl Keys ===

impl Default for Keys {
    /// None yet: whoever makes this fetches them at once.
    fn default() -> Self {
        let fetch = Mutex::new(Fetch::Underway);
        Self { now: watch::Sender::new(State::Awaited), wanted: Notify::new(), fetch }
    }
}

impl Keys {
    /// The keys. Waits for them, where they are on their way.
    pub(super) async fn current(
        &self,
        now: Instant,
        patience: Duration,
    ) -> Result<Arc<Jwks>, NoKeys> {
        let mut state = self.now.subscribe();
        if let State::Failed(why) = &*state.borrow_and_update()
            && !self.begin_fetch(now, TRY_EVERY)
        {
            return Err(NoKeys(Arc::clone(why)));
        }
        if let State::Known(keys) = &*state.borrow_and_update() {
            return Ok(Arc::clone(keys));
        }
        // What is awaited changes at once, or the time is up.
        let _ = tokio::time::timeout(patience, state.changed()).await;
        match &*state.borrow() {
            State::Known(keys) => Ok(Arc::clone(keys)),
            State::Failed(why) => Err(NoKeys(Arc::clone(why))),
            State::Awaited => Err(NoKeys("they are still being fetched".into())),
        }
    }

    /// Keys that are newer than those, where it is time to fetch some.
    pub(super) async fn newer_than(
        &self,
        known: &Arc<Jwks>,
        now: Instant,
        patience: Duration,
    ) -> Option<Arc<Jwks>> {
        let mut state = self.now.subscribe();
        let newer = |state: &State| match state {
            State::Known(keys) if !Arc::ptr_eq(keys, known) => Some(Arc::clone(keys)),
            _ => None,
        };
        if let Some(keys) = newer(&state.borrow_and_update()) {
            return Some(keys);
        }
        if !self.begin_fetch(now, FETCH_EVERY) {
            return None;
        }
        let _ = tokio::time::timeout(patience, state.changed()).await;
        newer(&state.borrow())
    }

    /// Whether keys are being fetched now, or from now on.
    fn begin_fetch(&self, now: Instant, at_most_every: Duration) -> bool {
        let mut fetch = self.fetch.lock().unwrap_or_else(PoisonError::into_inner);
        match *fetch {
            Fetch::Underway => true,
            Fetch::Begun(Some(at)) if now < at + at_most_every => false,
            Fetch::Begun(_) => {
                *fetch = Fetch::Underway;
                self.wanted.notify_one();
                true
            }
        }
    }

    /// Takes what was fetched. Keys that are known stay where newer ones cannot be had.
    ///
    /// # Errors
    ///
    /// Why they cannot be had, or used.
    fn take(&self, fetched: Result<&str, &str>, now: Instant) -> Result<(), String> {
        let keys = match fetched {
            Ok(text) => Jwks::parse(text).map_err(|error| error.to_string()),
            Err(why) => Err(why.to_owned()),
        };
        *self.fetch.lock().unwrap_or_else(PoisonError::into_inner) = Fetch::Begun(Some(now));
        // Whoever waits is woken in any case.
        self.now.send_modify(|state| match (&keys, &*state) {
            (Ok(keys), _) => *state = State::Known(Arc::new(keys.clone())),
            (Err(_), State::Known(_)) => {}
            (Err(why), _) => *state = State::Failed(why.as_str().into()),
        });
        keys.map(drop)
    }

    /// Forgets all: they come from somewhere else from now on.
    pub(crate) fn forget(&self) {
        *self.fetch.lock().unwrap_or_else(PoisonError::into_inner) = Fetch::Underway;
        self.now.send_replace(State::Awaited);
        self.wanted.notify_one();
    }
}

impl Realtime {
    /// Where the keys are that tokens are signed with (`realtime.jwt.jwks`); `None` where
    /// there are no tokens. It changes with the model.
    pub fn keys_source(&self) -> Option<JwksSource> {
        self.inner.settings.load().model.jwt.as_ref().map(|jwt| jwt.jwks.clone())
    }

    /// Takes the JSON Web Key Set as it was fetched from `source`, or why it could not be,
    /// which is told to the observer.
    pub fn keys_fetched(&self, source: &JwksSource, fetched: Result<&str, &str>) {
        if self.keys_source().as_ref() != Some(source) {
            // The App has changed meanwhile, and they are to be fetched from elsewhere.
            return;
        }
        let now = self.inner.hub.clock().now();
        if let Err(why) = self.inner.keys.take(fetched, now) {
            self.inner.observer.observe(&RealtimeEvent::KeysFailed { why: &why });
        }
    }

    /// Done when keys are to be fetched again: at most once a minute while there are any,
    /// and where they are elsewhere from now on. What comes of it goes to
    /// [`keys_fetched`](Self::keys_fetched).
    pub async fn keys_wanted(&self) {
        self.inner.keys.wanted.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SET: &str =
        r#"{"keys":[{"kty":"oct","k":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}]}"#;
    const PATIENCE: Duration = Duration::from_secs(5);

    #[tokio::test(start_paused = true)]
    async fn who_comes_before_the_keys_waits_for_them() {
        let (keys, now) = (Keys::default(), Instant::now());
        let (waited, ()) = tokio::join!(keys.current(now, PATIENCE), async {
            tokio::task::yield_now().await;
            keys.take(Ok(SET), now).unwrap();
        });
        assert!(waited.is_ok());
        let late = Keys::default();
        let error = late.current(now, PATIENCE).await.unwrap_err().to_string();
        assert!(error.ends_with("they are still being fetched"), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn newer_keys_are_fetched_once_a_minute() {
        let (keys, now) = (Keys::default(), Instant::now());
        keys.take(Ok(SET), now).unwrap();
        let known = keys.current(now, PATIENCE).await.unwrap();
        assert!(keys.newer_than(&known, now + FETCH_EVERY / 2, PATIENCE).await.is_none());
        let later = now + FETCH_EVERY;
        let (newer, ()) = tokio::join!(keys.newer_than(&known, later, PATIENCE), async {
            keys.wanted.notified().await;
            keys.take(Ok(SET), later).unwrap();
        });
        assert!(newer.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_told_to_clients_and_leaves_known_keys() {
        let (keys, now) = (Keys::default(), Instant::now());
        assert_eq!(keys.take(Err("no route"), now), Err("no route".to_owned()));
        let error = keys.current(now, PATIENCE).await.unwrap_err().to_string();
        assert_eq!(error, "the keys of realtime.jwt cannot be had: no route");
        keys.take(Ok(SET), now).unwrap();
        assert!(keys.take(Ok("{}"), now).is_err());
        assert!(keys.current(now, PATIENCE).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_tried_again() {
        let (keys, now) = (Keys::default(), Instant::now());
        let _ = keys.take(Err("no route"), now);
        let later = now + TRY_EVERY;
        let (keys_then, ()) = tokio::join!(keys.current(later, PATIENCE), async {
            keys.wanted.notified().await;
            keys.take(Ok(SET), later).unwrap();
        });
        assert!(keys_then.is_ok());
    }
}
