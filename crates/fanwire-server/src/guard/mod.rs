//! Who may call the APIs that let a caller act on others' connections, publish, run code, or
//! look inside: by a signature of AWS's form, or by a bearer token.
//!
//! There is one check, [`Router::admit`](crate::router::Router), for every such API. `dev`
//! has everything open, on loopback; `serve` nothing that its settings do not open by name.
//!
//! - `connect` is what handshakes of WebSocket APIs have to show, `plans` how often API keys
//!   may, and `tokens` the keys of tokens.
//! - `credentials` has the keys and tokens that are valid now, and those of the App's own
//!   functions.
//! - `question` says what a request asks for, in IAM's terms.
//! - `refusal` says no, in the words and the form of each service.
//! - `signer` is the same for clients of MQTT whose URL is signed.

mod admit;
mod connect;
mod credentials;
mod plans;
mod question;
mod refusal;
mod signer;
mod tokens;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use fanwire_access::{Grants, Limiter};
use fanwire_app::serve::access::Access;
use fanwire_app::serve::limits::Limits;
use indexmap::IndexMap;
use tokio::sync::{Semaphore, watch};

pub(crate) use self::credentials::PreparedKeys;
use self::credentials::{Credentials, follow};
use self::plans::Plans;
use self::tokens::Tokens;

/// Who may call what.
#[derive(Clone, Default)]
pub struct GuardOptions {
    /// The settings. `None`: everything is open to who reaches the server.
    pub access: Option<Access>,
    /// What clients may ask for.
    pub limits: Limits,
    /// Who is told of calls and of refusals. `None`: nobody.
    pub observer: Option<Arc<dyn GuardObserver>>,
}

impl fmt::Debug for GuardOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuardOptions").field("access", &self.access).finish_non_exhaustive()
    }
}

/// Who is told of calls and of refusals.
pub trait GuardObserver: Send + Sync + 'static {
    /// Takes note. It is called where requests are answered, and must not wait.
    fn observe(&self, event: &GuardEvent<'_>);

    /// Whether it wants to be told of calls that nobody is asked for, too
    /// ([`GuardEvent::Open`]): what they are about is found out for it alone.
    fn wants_open_calls(&self) -> bool {
        false
    }
}

/// What happens to calls.
#[derive(Debug)]
#[non_exhaustive]
pub enum GuardEvent<'e> {
    /// A call is let through.
    Allowed {
        /// Who calls: the name of a key or a token.
        caller: &'e str,
        /// What for, such as `iot:Publish`.
        action: &'e str,
        /// On what: an ARN.
        resource: &'e str,
        /// Where it comes from.
        source_ip: IpAddr,
    },
    /// A call to an API that is open to everybody.
    Open {
        /// What for. Of DynamoDB, only the operation is known.
        action: &'e str,
        /// On what: an ARN.
        resource: &'e str,
        /// Where it comes from.
        source_ip: IpAddr,
    },
    /// A call is refused.
    Denied {
        /// Who calls, where that is known.
        caller: Option<&'e str>,
        /// What for, where that was looked at.
        action: Option<&'e str>,
        /// On what.
        resource: Option<&'e str>,
        /// Where it comes from.
        source_ip: IpAddr,
        /// The name of the error, such as `InvalidSignatureException`.
        error: &'e str,
        /// Why, in words.
        why: &'e str,
    },
    /// A file of keys is read again.
    KeysRead {
        /// How many keys and tokens there are now.
        count: usize,
    },
    /// A file of keys cannot be used. What was valid before stays valid.
    KeysFailed {
        /// Why.
        why: &'e str,
    },
}

/// Why it cannot be told who may call.
#[derive(Debug, thiserror::Error)]
pub enum GuardError {
    /// The file of keys cannot be used.
    #[error("the file of keys cannot be used: {0}")]
    Keys(String),
    /// There are no random bytes for the keys of functions.
    #[error("cannot make a key for the app's functions: {0}")]
    Random(#[from] getrandom::Error),
}

/// Who a call comes from. It travels with the request.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// The name of its key or token.
    pub(crate) name: String,
    pub(crate) grants: Grants,
}

/// What the server checks calls with.
pub(crate) struct Guard {
    /// `None`: everything is open.
    credentials: Option<Credentials>,
    /// APIs that are open to everybody.
    open: ArcSwap<Vec<String>>,
    observer: Option<Arc<dyn GuardObserver>>,
    limiter: Arc<Limiter>,
    max_handshakes: usize,
    plans: Plans,
    tokens: Tokens,
}

// === impl Guard ===

impl Guard {
    /// Reads the keys. Functions get into their `environment` what they sign with.
    ///
    /// # Errors
    ///
    /// [`GuardError`], where the keys cannot be had: nothing is open instead.
    pub(crate) fn start(
        options: &GuardOptions,
        environment: &mut IndexMap<String, String>,
    ) -> Result<Arc<Self>, GuardError> {
        let access = options.access.as_ref();
        let mut credentials = access.map(Credentials::new);
        if let Some(credentials) = &mut credentials {
            environment.extend(credentials.of_functions(|name| std::env::var(name).ok())?);
            credentials.read().map_err(GuardError::Keys)?;
        }
        let open = access.map(|access| access.allow_anonymous.clone()).unwrap_or_default();
        let limits = &options.limits;
        Ok(Arc::new(Self {
            credentials,
            open: ArcSwap::from_pointee(open),
            observer: options.observer.clone(),
            limiter: Arc::new(Limiter::new(limits.clone(), Instant::now())),
            plans: Plans::new(limits.usage_plans.clone(), Instant::now()),
            tokens: Tokens::default(),
            max_handshakes: limits.max_handshakes.clamp(1, Semaphore::MAX_PERMITS),
        }))
    }

    /// Reads the file of keys again whenever it changes, until `stopped`.
    pub(crate) fn follow(self: &Arc<Self>, stopped: watch::Receiver<bool>) {
        if self.credentials.is_some() {
            tokio::spawn(follow(Arc::clone(self), stopped));
        }
    }

    /// Has other settings hold from now on; those of `access` where calls are checked at all.
    ///
    pub(crate) fn update(&self, access: &Access, keys: Option<PreparedKeys>, limits: Limits) {
        if let (Some(credentials), Some(keys)) = (&self.credentials, keys) {
            credentials.replace(keys);
            self.open.store(Arc::new(access.allow_anonymous.clone()));
        }
        self.plans.set(limits.usage_plans.clone());
        self.limiter.set(limits);
    }

    /// Reads the keys that settings name; `None` where everything is open.
    ///
    /// # Errors
    ///
    /// Where the file of keys cannot be used: why, in words.
    pub(crate) fn prepare(&self, access: &Access) -> Result<Option<PreparedKeys>, String> {
        self.credentials.as_ref().map(|credentials| credentials.prepare(access)).transpose()
    }

    /// What clients are held to, in all planes.
    pub(crate) fn limiter(&self) -> &Arc<Limiter> {
        &self.limiter
    }

    /// Connections of one listener that have not said who they are, at the most.
    pub(crate) fn max_handshakes(&self) -> usize {
        self.max_handshakes
    }

    /// Whether everybody may call an API, by the name that settings have for it.
    fn is_open(&self, api: &str) -> bool {
        self.credentials.is_none() || self.open.load().iter().any(|open| open == api)
    }

    /// Whether somebody wants to be told of calls to APIs that are open.
    fn wants_open_calls(&self) -> bool {
        self.observer.as_ref().is_some_and(|observer| observer.wants_open_calls())
    }

    pub(crate) fn tell(&self, event: &GuardEvent<'_>) {
        if let Some(observer) = &self.observer {
            observer.observe(event);
        }
    }
}
