//! All functions of an App: the handle that the rest of Fanwire invokes them with.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use fanwire_app::model::Function;
use indexmap::IndexMap;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::entry::{Entry, EntryMaker};
use crate::observer::Observer;
use crate::options::{HostOptions, InvokeOptions};
use crate::outcome::{InvokeError, Outcome, ThrottleReason};
use crate::pool::Pool;
use crate::process::Processes;
use crate::spec::Request;
use crate::tracing::Tracing;
use crate::watchdog::Watchdog;
use crate::{async_invoke, name};

/// How long killed processes may take to be gone.
const KILLED_WITHIN: Duration = Duration::from_secs(5);

/// The functions of one App. Cheap to clone; all clones are one host.
#[derive(Clone)]
pub struct Functions {
    pub(crate) host: Arc<Host>,
}

pub(crate) struct Host {
    /// Read by every event, without a lock.
    pub(crate) served: ArcSwap<Served>,
    /// Held while what is served is changed.
    pub(crate) changing: Mutex<Changing>,
    /// One permit for each byte of an event that may be kept.
    held: Arc<Semaphore>,
    /// True once the host takes no more events.
    pub(crate) closing: watch::Sender<bool>,
}

/// What is served at a time.
pub(crate) struct Served {
    pub(crate) entries: IndexMap<String, Arc<Entry>>,
    pub(crate) options: Arc<HostOptions>,
}

/// What is needed to change what is served.
pub(crate) struct Changing {
    pub(crate) maker: EntryMaker,
    /// Processes of functions that are served no more, until their events have ended.
    pub(crate) left: Vec<Arc<Pool>>,
}

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
        let mut maker = EntryMaker { observer, processes, runtime, client: None };
        let mut entries = IndexMap::with_capacity(functions.len());
        for (key, function) in functions {
            let entry = maker.entry(key, function, &options, None)?;
            entries.insert(key.clone(), Arc::new(entry));
        }
        let held = Arc::new(Semaphore::new(options.max_held_bytes.min(Semaphore::MAX_PERMITS)));
        let host = Host {
            served: ArcSwap::from_pointee(Served { entries, options }),
            changing: Mutex::new(Changing { maker, left: Vec::new() }),
            held,
            closing: watch::Sender::new(false),
        };
        Ok(Self { host: Arc::new(host) })
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
        let (entry, options_of_host) = self.host.entry(key)?;
        if *self.host.closing.borrow() {
            return Err(InvokeError::ShuttingDown);
        }
        check_size(event.len(), options_of_host.max_payload)?;
        let _held = self.host.hold(key, &event, &options_of_host)?;
        let request = Request::new(event, options);
        self.host.invoke(entry, &request).await
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
        let (entry, options_of_host) = self.host.entry(key)?;
        if *self.host.closing.borrow() {
            return Err(InvokeError::ShuttingDown);
        }
        let retry = &options_of_host.async_retry;
        check_size(event.len(), retry.max_payload)?;
        let Ok(place) = Arc::clone(&entry.queue).try_acquire_owned() else {
            let reason = ThrottleReason::Queued(retry.max_queued);
            return Err(InvokeError::Throttled { key: key.to_owned(), reason });
        };
        let held = self.host.hold(key, &event, &options_of_host)?;
        let request = Request::new(event, options);
        let id = request.id.clone();
        let (host, key) = (Arc::clone(&self.host), key.to_owned());
        let runtime = entry.spec.runtime.clone();
        runtime.spawn(async move {
            let closing = host.closing.subscribe();
            let attempt = async || {
                // Each attempt meets the function as it then is.
                let (entry, _) = host.entry(&key)?;
                host.invoke(entry, &request).await
            };
            async_invoke::run(&entry.spec, &request.id, closing, attempt).await;
            drop((place, held));
        });
        Ok(id)
    }

    /// The key of the function that a name means: a key, a full name, a partial ARN
    /// (`123456789012:function:NAME`) or a full ARN, each with or without a `:qualifier`.
    /// Percent-decoding is the caller's.
    pub fn resolve(&self, name_or_arn: &str) -> Option<String> {
        let name = name::bare(name_or_arn)?;
        let served = self.host.served.load();
        let by_name = || {
            let is_named = |entry: &&Arc<Entry>| entry.spec.function.name == name;
            served.entries.values().find(is_named).map(|entry| entry.spec.key.clone())
        };
        served.entries.get_key_value(name).map(|(key, _)| key.clone()).or_else(by_name)
    }

    /// The function's ARN.
    pub fn arn(&self, key: &str) -> Option<String> {
        self.host.served.load().entries.get(key).map(|entry| entry.spec.arn.clone())
    }

    /// The files that each function is made of, as far as they are known, by key: the
    /// places where its handler is looked for, and with
    /// [`report_sources`](HostOptions::report_sources) what its processes have loaded,
    /// packages in `node_modules` and `site-packages` left out. For an executable its own
    /// file, and where it is built the Rust sources of its folder. Functions elsewhere
    /// have none.
    pub fn sources(&self) -> Vec<(String, Vec<PathBuf>)> {
        let served = self.host.served.load_full();
        let entries = served.entries.iter();
        entries.map(|(key, entry)| (key.clone(), entry.spec.sources.files())).collect()
    }

    /// Takes no more events, waits for those in progress up to `grace`, then kills what
    /// is left. After it no process is left.
    pub async fn shutdown(&self, grace: Duration) {
        self.host.closing.send_replace(true);
        let (pools, processes) = {
            let changing = self.host.changing();
            let served = self.host.served.load();
            let entries = served.entries.values();
            let mut pools: Vec<_> = entries.filter_map(|entry| entry.pool().cloned()).collect();
            pools.extend(changing.left.iter().cloned());
            (pools, Arc::clone(&changing.maker.processes))
        };
        pools.iter().for_each(|pool| pool.close());
        let drained = async {
            for pool in &pools {
                pool.drained().await;
            }
        };
        // Out of patience: the rest is killed.
        let _ = tokio::time::timeout(grace, drained).await;
        pools.iter().for_each(|pool| pool.abandon());
        processes.close();
        // A process that the kernel does not let go of must not hold the host.
        let _ = tokio::time::timeout(KILLED_WITHIN, processes.gone()).await;
    }
}

impl Host {
    /// A function as it is now, and the options that it was made with.
    fn entry(&self, key: &str) -> Result<(Arc<Entry>, Arc<HostOptions>), InvokeError> {
        let served = self.served.load();
        match served.entries.get(key) {
            Some(entry) => Ok((Arc::clone(entry), Arc::clone(&served.options))),
            None => Err(InvokeError::NotFound { key: key.to_owned() }),
        }
    }

    async fn invoke(&self, entry: Arc<Entry>, request: &Request) -> Result<Outcome, InvokeError> {
        let span = if entry.spec.observer.wants_spans() { request.span() } else { None };
        let Some(span) = span else { return self.give(entry, request).await };
        let request = Request { trace_id: span.context.xray(), ..request.clone() };
        let spec = Arc::clone(&entry.spec);
        let tracing = Tracing::begin(&spec, &request.id, span);
        let outcome = self.give(entry, &request).await;
        tracing.end(&outcome);
        outcome
    }

    async fn give(&self, entry: Arc<Entry>, request: &Request) -> Result<Outcome, InvokeError> {
        match entry.invoke(request).await {
            // It was replaced between the look-up and now.
            Err(InvokeError::ShuttingDown) if !*self.closing.borrow() => {
                self.entry(&entry.spec.key)?.0.invoke(request).await
            }
            outcome => outcome,
        }
    }

    pub(crate) fn changing(&self) -> MutexGuard<'_, Changing> {
        // Nothing under the lock leaves it half changed.
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Room for an event, or the reason why there is none.
    fn hold(
        &self,
        key: &str,
        event: &Bytes,
        options: &HostOptions,
    ) -> Result<OwnedSemaphorePermit, InvokeError> {
        let bytes = u32::try_from(event.len()).unwrap_or(u32::MAX);
        Arc::clone(&self.held).try_acquire_many_owned(bytes).map_err(|_| InvokeError::Throttled {
            key: key.to_owned(),
            reason: ThrottleReason::HeldBytes(
                options.max_held_bytes.saturating_sub(self.held.available_permits()),
            ),
        })
    }
}

fn check_size(size: usize, limit: usize) -> Result<(), InvokeError> {
    if size > limit { Err(InvokeError::PayloadTooLarge { size, limit }) } else { Ok(()) }
}
