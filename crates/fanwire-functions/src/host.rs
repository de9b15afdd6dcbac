//! All functions of an App: the handle that the rest of Fanwire invokes them with.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fanwire_app::model::{Code, Function};
use indexmap::IndexMap;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit, watch};

use crate::aws_calls::AwsCalls;
use crate::observer::Observer;
use crate::options::{HostOptions, InvokeOptions};
use crate::outcome::{InvokeError, Outcome, ThrottleReason};
use crate::pool::Pool;
use crate::process::Processes;
use crate::remote::{HttpClient, HttpFunction, LambdaFunction};
use crate::sources::Sources;
use crate::spec::{Request, Spec};
use crate::watchdog::Watchdog;
use crate::{async_invoke, name};

/// How long killed processes may take to be gone.
const KILLED_WITHIN: Duration = Duration::from_secs(5);

/// The functions of one App. Cheap to clone; all clones are one host.
#[derive(Clone)]
pub struct Functions {
    host: Arc<Host>,
}

struct Host {
    entries: IndexMap<String, Entry>,
    options: Arc<HostOptions>,
    processes: Arc<Processes>,
    /// One permit for each byte of an event that may be kept.
    held: Arc<Semaphore>,
    /// True once the host takes no more events.
    closing: watch::Sender<bool>,
}

struct Entry {
    spec: Arc<Spec>,
    target: Target,
    /// Places for asynchronous events.
    queue: Arc<Semaphore>,
}

/// Where events of a function go.
enum Target {
    /// To processes of ours.
    Processes(Arc<Pool>),
    /// To AWS.
    Lambda(LambdaFunction, Calls),
    /// To a URL.
    Http(HttpFunction, Calls),
}

/// Bounds the calls to a function elsewhere that are in flight.
struct Calls(Semaphore);

/// Why functions cannot be hosted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// [`Functions::start`] was called outside a tokio runtime.
    #[error("functions must be started inside a tokio runtime")]
    NoRuntime(#[from] tokio::runtime::TryCurrentError),
    /// The watchdog process could not be started.
    #[error("cannot start the watchdog {program}: {source}")]
    Watchdog {
        /// Its program.
        program: String,
        /// Why.
        source: io::Error,
    },
    /// The machine's root certificates, which functions elsewhere need, cannot be read.
    #[error("cannot read the root certificates: {0}; set SSL_CERT_FILE to a bundle of them")]
    Certificates(#[source] io::Error),
    /// A function is set up in a way that cannot work.
    #[error("function `{key}`: {why}")]
    Function {
        /// The function's key.
        key: String,
        /// What is wrong and what to do.
        why: String,
    },
}

impl Functions {
    /// Hosts functions. Starts no process yet but the watchdog: each function starts with
    /// its first event. Must be called inside a tokio runtime, on which processes are
    /// then looked after.
    #[expect(clippy::needless_pass_by_value, reason = "the host keeps the observer")]
    pub fn start(
        functions: &IndexMap<String, Function>,
        options: HostOptions,
        observer: Arc<dyn Observer>,
    ) -> Result<Self, StartError> {
        let runtime = tokio::runtime::Handle::try_current()?;
        let watchdog = match options.watchdog.clone() {
            None => None,
            Some(command) => {
                let program = command.program.display().to_string();
                Some(
                    Watchdog::start(command)
                        .map_err(|source| StartError::Watchdog { program, source })?,
                )
            }
        };
        let options = Arc::new(options);
        let processes = Arc::new(Processes::new(watchdog));
        // Made for the first function elsewhere: most apps have none.
        let mut client = None;
        let mut entries = IndexMap::with_capacity(functions.len());
        for (key, function) in functions {
            let spec = Arc::new(Spec {
                key: key.clone(),
                arn: name::arn(function, &options),
                function: function.clone(),
                options: Arc::clone(&options),
                observer: Arc::clone(&observer),
                processes: Arc::clone(&processes),
                runtime: runtime.clone(),
                built: tokio::sync::Mutex::new(false),
                aws_calls: AwsCalls::default(),
                sources: Arc::new(Sources::of(&function.code)),
            });
            let target = target(&spec, &mut client)?;
            let queue = Arc::new(Semaphore::new(options.async_retry.max_queued));
            entries.insert(key.clone(), Entry { spec, target, queue });
        }
        let held = Arc::new(Semaphore::new(options.max_held_bytes.min(Semaphore::MAX_PERMITS)));
        let closing = watch::Sender::new(false);
        Ok(Self { host: Arc::new(Host { entries, options, processes, held, closing }) })
    }

    /// Gives an event to a function and waits for its answer (`RequestResponse`).
    ///
    /// An [`Outcome`] with an [`error`](Outcome::error) is an answer too: the function
    /// failed, and the payload says how.
    ///
    /// Cancel safety: dropping the future does not stop the function. The event runs to
    /// its end or its time-out, and the process then takes the next one.
    pub async fn invoke(
        &self,
        key: &str,
        event: Bytes,
        options: InvokeOptions,
    ) -> Result<Outcome, InvokeError> {
        let entry = self.entry(key)?;
        if *self.host.closing.borrow() {
            return Err(InvokeError::ShuttingDown);
        }
        check_size(event.len(), self.host.options.max_payload)?;
        let _held = self.host.hold(key, &event)?;
        let request = Request::new(event, options);
        entry.invoke(&request).await
    }

    /// Takes an event for a function and answers its request id at once (`Event`). The
    /// event is run, and tried again, by a task of its own: see
    /// [`AsyncRetry`](crate::AsyncRetry).
    pub fn invoke_event(
        &self,
        key: &str,
        event: Bytes,
        options: InvokeOptions,
    ) -> Result<String, InvokeError> {
        let entry = self.entry(key)?;
        if *self.host.closing.borrow() {
            return Err(InvokeError::ShuttingDown);
        }
        let retry = &self.host.options.async_retry;
        check_size(event.len(), retry.max_payload)?;
        let Ok(place) = Arc::clone(&entry.queue).try_acquire_owned() else {
            let reason = ThrottleReason::Queued(retry.max_queued);
            return Err(InvokeError::Throttled { key: key.to_owned(), reason });
        };
        let held = self.host.hold(key, &event)?;
        let request = Request::new(event, options);
        let id = request.id.clone();
        let (host, key) = (Arc::clone(&self.host), key.to_owned());
        entry.spec.runtime.spawn(async move {
            if let Some(entry) = host.entries.get(&key) {
                let closing = host.closing.subscribe();
                async_invoke::run(&entry.spec, &request.id, closing, || entry.invoke(&request))
                    .await;
            }
            drop((place, held));
        });
        Ok(id)
    }

    /// The key of the function that a name means: a key, a full name, a partial ARN
    /// (`123456789012:function:NAME`) or a full ARN, each with or without a `:qualifier`.
    /// Percent-decoding is the caller's.
    pub fn resolve(&self, name_or_arn: &str) -> Option<&str> {
        let name = name::bare(name_or_arn)?;
        let by_name = || {
            let is_named = |entry: &&Entry| entry.spec.function.name == name;
            self.host.entries.values().find(is_named).map(|entry| &*entry.spec.key)
        };
        self.host.entries.get_key_value(name).map(|(key, _)| key.as_str()).or_else(by_name)
    }

    /// The function's ARN.
    pub fn arn(&self, key: &str) -> Option<&str> {
        self.host.entries.get(key).map(|entry| &*entry.spec.arn)
    }

    /// The files that each function is made of, as far as they are known, by key: the
    /// places where its handler is looked for, and with
    /// [`report_sources`](HostOptions::report_sources) what its processes have loaded,
    /// packages in `node_modules` and `site-packages` left out. For an executable its own
    /// file, and where it is built the Rust sources of its folder. Functions elsewhere
    /// have none.
    pub fn sources(&self) -> Vec<(String, Vec<PathBuf>)> {
        let entries = self.host.entries.iter();
        entries.map(|(key, entry)| (key.clone(), entry.spec.sources.files())).collect()
    }

    /// Takes no more events, waits for those in progress up to `grace`, then kills what
    /// is left. After it no process is left.
    pub async fn shutdown(&self, grace: Duration) {
        self.host.closing.send_replace(true);
        let pools = || {
            self.host.entries.values().filter_map(|entry| match &entry.target {
                Target::Processes(pool) => Some(pool),
                Target::Lambda(..) | Target::Http(..) => None,
            })
        };
        pools().for_each(|pool| pool.close());
        let drained = async {
            for pool in pools() {
                pool.drained().await;
            }
        };
        // Out of patience: the rest is killed.
        let _ = tokio::time::timeout(grace, drained).await;
        pools().for_each(|pool| pool.abandon());
        self.host.processes.close();
        // A process that the kernel does not let go of must not hold the host.
        let _ = tokio::time::timeout(KILLED_WITHIN, self.host.processes.gone()).await;
    }

    fn entry(&self, key: &str) -> Result<&Entry, InvokeError> {
        self.host.entries.get(key).ok_or_else(|| InvokeError::NotFound { key: key.to_owned() })
    }
}

impl Host {
    /// Room for an event, or the reason why there is none.
    fn hold(&self, key: &str, event: &Bytes) -> Result<OwnedSemaphorePermit, InvokeError> {
        let bytes = u32::try_from(event.len()).unwrap_or(u32::MAX);
        Arc::clone(&self.held).try_acquire_many_owned(bytes).map_err(|_| InvokeError::Throttled {
            key: key.to_owned(),
            reason: ThrottleReason::HeldBytes(
                self.options.max_held_bytes.saturating_sub(self.held.available_permits()),
            ),
        })
    }
}

/// Where a function's events go.
fn target(spec: &Arc<Spec>, client: &mut Option<HttpClient>) -> Result<Target, StartError> {
    let mut client = || -> Result<HttpClient, StartError> {
        match client {
            Some(client) => Ok(client.clone()),
            None => {
                let made = HttpClient::new().map_err(StartError::Certificates)?;
                Ok(client.insert(made).clone())
            }
        }
    };
    let wrong = |why| StartError::Function { key: spec.key.clone(), why };
    let calls = || Calls(Semaphore::new(spec.options.max_waiting));
    match &spec.function.code {
        Code::Handler { .. } | Code::Command { .. } => {
            Ok(Target::Processes(Arc::new(Pool::new(Arc::clone(spec)))))
        }
        Code::Lambda { arn, endpoint } => {
            let endpoint = endpoint.as_deref().or(spec.options.lambda_endpoint.as_deref());
            let function = LambdaFunction::new(client()?, arn, endpoint).map_err(wrong)?;
            Ok(Target::Lambda(function, calls()))
        }
        Code::Http { url } => {
            let function = HttpFunction::new(client()?, url).map_err(wrong)?;
            Ok(Target::Http(function, calls()))
        }
    }
}

impl Entry {
    async fn invoke(&self, request: &Request) -> Result<Outcome, InvokeError> {
        match &self.target {
            Target::Processes(pool) => pool.invoke(request).await,
            Target::Lambda(function, calls) => {
                let _place = calls.enter(&self.spec)?;
                function.invoke(&self.spec, request).await
            }
            Target::Http(function, calls) => {
                let _place = calls.enter(&self.spec)?;
                function.invoke(&self.spec, request).await
            }
        }
    }
}

impl Calls {
    /// A place for one call, or the reason why there is none.
    fn enter(&self, spec: &Spec) -> Result<SemaphorePermit<'_>, InvokeError> {
        self.0.try_acquire().map_err(|_| InvokeError::Throttled {
            key: spec.key.clone(),
            reason: ThrottleReason::Waiting(spec.options.max_waiting),
        })
    }
}

fn check_size(size: usize, limit: usize) -> Result<(), InvokeError> {
    if size > limit { Err(InvokeError::PayloadTooLarge { size, limit }) } else { Ok(()) }
}
