//! Authorizers and subscribers of this process: Rust values where an App names a function.
//! Nothing is serialised between them and the plane, and all else is the same: limits,
//! times, policies, what is told, how messages wait and are tried again.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
pub use fanwire_policy::Terms;
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use crate::{HttpArrival, Publisher};

/// How many messages a subscriber works on at a time, where nobody says otherwise.
const CONCURRENCY: usize = 64;

/// Lambda, "Error handling for asynchronous invocation": again after a minute, and after
/// two more.
const RETRY_AFTER: [Duration; 2] = [Duration::from_secs(60), Duration::from_secs(120)];

/// What a native does, on the runtime of the plane.
pub type NativeFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Decides about clients.
///
/// It has as long as a function (`realtime.limits.authorizer_timeout`), and is asked again
/// with the same request where its [`Terms`] say so.
pub trait NativeAuthorizer: Send + Sync + 'static {
    /// Who a client is and what it may do; if nobody can say, why, for the log.
    fn authorize(&self, request: Arc<NativeRequest>) -> NativeFuture<Result<Terms, String>>;
}

/// Takes the messages of topic rules.
pub trait NativeSubscriber: Send + Sync + 'static {
    /// Takes a message.
    fn take(&self, message: NativeMessage) -> NativeFuture<Result<(), NativeFailure>>;
}

/// A client that wants to connect, or to publish over HTTP (reference: iot.md, section 2).
#[derive(Debug, Clone)]
pub struct NativeRequest {
    /// The client id that was sent. Empty is none.
    pub client_id: String,
    /// The user name of CONNECT, with the parameters behind it.
    pub username: Option<String>,
    /// The password of CONNECT.
    pub password: Option<Bytes>,
    /// The token, where the authorizer's `tokenKeyName` was found.
    pub token: Option<String>,
    /// The token's signature was checked, and is good.
    pub signature_verified: bool,
    /// The HTTP request, of WebSockets and of publishing over HTTP.
    pub http: Option<HttpArrival>,
    /// The host name that the client connected to.
    pub server_name: Option<String>,
    /// A UUID for the connection, the same whenever the authorizer is asked again.
    pub connection_id: String,
}

/// What a topic rule selected of a message. Cheap to clone.
#[derive(Debug, Clone)]
pub struct NativeMessage {
    /// The topic that the rule sees.
    pub topic: Arc<str>,
    /// What the rule's statement selected: the payload itself, where that is all of it.
    pub payload: Bytes,
    /// Who published it. `None` where this server did.
    pub publisher: Option<Arc<Publisher>>,
}

/// Why a subscriber did not do its work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NativeFailure {
    /// What went wrong, for the log.
    pub why: String,
    /// Whether trying again may help.
    pub retry: bool,
}

/// The natives of an App by the keys of the functions that it names. A key that is not
/// among them is a function's.
#[derive(Clone)]
pub struct Natives {
    authorizers: HashMap<String, Arc<dyn NativeAuthorizer>>,
    subscribers: HashMap<String, Arc<dyn NativeSubscriber>>,
    /// How many messages each subscriber works on at a time.
    pub concurrency: usize,
    /// What is waited before a message that failed is tried again, each time.
    pub retry_after: Vec<Duration>,
}

// === impl Natives ===

impl Natives {
    /// An authorizer in place of the function `key`.
    #[must_use]
    pub fn authorizer(mut self, key: &str, authorizer: impl NativeAuthorizer) -> Self {
        self.authorizers.insert(key.to_owned(), Arc::new(authorizer));
        self
    }

    /// A subscriber in place of the function `key`.
    #[must_use]
    pub fn subscriber(mut self, key: &str, subscriber: impl NativeSubscriber) -> Self {
        self.subscribers.insert(key.to_owned(), Arc::new(subscriber));
        self
    }

    pub(crate) fn find_authorizer(&self, key: &str) -> Option<&Arc<dyn NativeAuthorizer>> {
        self.authorizers.get(key)
    }

    pub(crate) fn find_subscriber(&self, key: &str) -> Option<&Arc<dyn NativeSubscriber>> {
        self.subscribers.get(key)
    }
}

impl Default for Natives {
    /// None.
    fn default() -> Self {
        Self {
            authorizers: HashMap::new(),
            subscribers: HashMap::new(),
            concurrency: CONCURRENCY,
            retry_after: RETRY_AFTER.to_vec(),
        }
    }
}

impl fmt::Debug for Natives {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Natives")
            .field("authorizers", &self.authorizers.keys())
            .field("subscribers", &self.subscribers.keys())
            .finish_non_exhaustive()
    }
}

// === impl NativeAuthorizer, NativeSubscriber ===

impl<F, R> NativeAuthorizer for F
where
    F: Fn(Arc<NativeRequest>) -> R + Send + Sync + 'static,
    R: Future<Output = Result<Terms, String>> + Send + 'static,
{
    fn authorize(&self, request: Arc<NativeRequest>) -> NativeFuture<Result<Terms, String>> {
        Box::pin(self(request))
    }
}

impl<F, R> NativeSubscriber for F
where
    F: Fn(NativeMessage) -> R + Send + Sync + 'static,
    R: Future<Output = Result<(), NativeFailure>> + Send + 'static,
{
    fn take(&self, message: NativeMessage) -> NativeFuture<Result<(), NativeFailure>> {
        Box::pin(self(message))
    }
}

/// Does a native's work in a task of its own: should it panic, only that ends, and what it
/// panicked with is its error. It ends when nobody waits for it any more.
pub(crate) async fn in_a_task<T: Send + 'static, E: From<String> + Send + 'static>(
    runtime: &Handle,
    work: NativeFuture<Result<T, E>>,
) -> Result<T, E> {
    let mut task = JoinSet::new();
    task.spawn_on(work, runtime);
    match task.join_next().await {
        Some(Ok(done)) => done,
        Some(Err(error)) => Err(error.to_string().into()),
        None => Err("it was not begun".to_owned().into()),
    }
}

// === impl NativeFailure ===

impl NativeFailure {
    /// A failure that may be over when the message is tried again.
    pub fn passing(why: impl Into<String>) -> Self {
        Self { why: why.into(), retry: true }
    }

    /// A failure that trying again would not help.
    pub fn lasting(why: impl Into<String>) -> Self {
        Self { why: why.into(), retry: false }
    }
}

/// What a subscriber panicked with, or that it took too long: it may go better next time.
impl From<String> for NativeFailure {
    fn from(why: String) -> Self {
        Self::passing(why)
    }
}
