//! What the server tells of itself: metrics for Prometheus, health, and a log of who called
//! what.
//!
//! The planes count on their shards, for themselves; what else happens is counted as it is told
//! to an observer (`observing`, `counts`). Nothing is added up, and no text is made, before
//! somebody asks.
//!
//! - `catalogue` is every metric there is. `samples` reads what they are now; `export` writes
//!   that down in the forms that Prometheus reads.
//! - `health` is whether the server is alive and ready. `process` is what it takes of the
//!   machine.
//! - `listener` answers at an address of its own, without a key.
//! - `traces` sends spans to a collector of OpenTelemetry's.
//! - `audit` writes down the calls to the APIs that ask who calls.

mod audit;
mod catalogue;
mod counts;
mod export;
mod health;
mod listener;
mod observing;
mod process;
mod samples;
mod traces;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock, PoisonError, RwLock, Weak};
use std::time::{SystemTime, UNIX_EPOCH};

use fanwire_cluster::Cluster;
use http::StatusCode;
use serde_json::{Value, json};
use tokio::sync::watch;

pub use self::audit::AuditError;
use self::audit::AuditLog;
use self::counts::Counts;
pub(crate) use self::health::alive;
pub use self::health::{Check, Health};
use self::health::{InCluster, Readiness};
pub(crate) use self::observing::{Counting, CountingCalls};
use self::samples::Samples;
pub use self::traces::{TraceError, TraceOptions};
pub(crate) use self::traces::{Traces, parent_of};
use crate::guard::GuardOptions;
use crate::listener::Sharing;
use crate::router::Router;
use crate::server::{Observers, StartError};
use crate::tls::Certificates;

/// What the server tells of itself, and where.
#[derive(Debug, Clone, Default)]
pub struct TelemetryOptions {
    /// Where `/metrics`, `/healthz` and `/readyz` are answered without a key. `None`: nowhere;
    /// the last two are answered where clients connect, too.
    pub address: Option<SocketAddr>,
    /// Whether the server starts without, where that address is taken.
    pub may_do_without: bool,
    /// Where calls to the APIs that ask who calls are written down. `None`: nowhere.
    pub audit: Option<AuditOptions>,
    /// Where traces are sent. `None`: nowhere.
    pub traces: Option<TraceOptions>,
}

/// How calls are written down.
#[derive(Debug, Clone)]
pub struct AuditOptions {
    /// The file. Older ones are beside it, with `.1` and so on behind its name.
    pub file: PathBuf,
    /// Bytes from which on another file is begun.
    pub max_bytes: u64,
    /// How many older files are kept.
    pub keep: usize,
}

/// The address where it is told.
pub(crate) struct Telling {
    address: SocketAddr,
    closed: watch::Sender<bool>,
}

/// What is known of the server, for whoever asks.
pub(crate) struct Telemetry {
    counts: Counts,
    audit: Option<AuditLog>,
    traces: Option<Traces>,
    /// What is presented to clients on a network.
    certificates: Option<Arc<Certificates>>,
    /// When the server began, in seconds since the epoch.
    started: f64,
    /// Set once the server has one.
    router: OnceLock<Weak<Router>>,
    /// The cluster, where the server is in one.
    cluster: OnceLock<Cluster>,
    /// What has to be well beside what the server knows itself. A std lock, held to look.
    checks: RwLock<Vec<Arc<dyn Check>>>,
}

/// Begins to tell at the address that is meant for it, until what is returned is closed or
/// dropped.
///
/// # Errors
///
/// Where the address cannot be had, and the server may not do without.
pub(crate) fn open(
    options: &TelemetryOptions,
    sharing: Sharing,
    telemetry: &Arc<Telemetry>,
) -> Result<Option<Telling>, StartError> {
    let Some(address) = options.address else { return Ok(None) };
    // One that is named is this App's, which a new process takes over while the old one leaves.
    // The usual one may be another App's.
    let sharing = if options.may_do_without { Sharing::Alone } else { sharing };
    let (closed, closing) = watch::channel(false);
    match listener::open(address, sharing, telemetry, closing) {
        Ok(address) => Ok(Some(Telling { address, closed })),
        Err(_) if options.may_do_without => Ok(None),
        Err(source) => Err(StartError::Listen { place: address.to_string(), source }),
    }
}

// === impl Telling ===

impl Telling {
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets go of the address: who takes over from this server wants it.
    pub(crate) fn close(&self) {
        // Where nobody listens any more it is closed already.
        let _ = self.closed.send(true);
    }
}

// === impl Telemetry ===

impl Telemetry {
    /// # Errors
    ///
    /// Where calls are to be written down, and the file cannot be had; where traces are to be
    /// sent, and cannot be.
    pub(crate) fn start(
        options: &TelemetryOptions,
        certificates: Option<Arc<Certificates>>,
    ) -> Result<Arc<Self>, StartError> {
        let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(Arc::new(Self {
            counts: Counts::default(),
            audit: options.audit.clone().map(AuditLog::open).transpose()?,
            traces: options.traces.as_ref().map(Traces::start).transpose()?,
            certificates,
            started: started.as_secs_f64(),
            router: OnceLock::new(),
            cluster: OnceLock::new(),
            checks: RwLock::default(),
        }))
    }

    /// Knows from now on what it tells of.
    pub(crate) fn attach(&self, router: Weak<Router>) {
        // The server has one all its life.
        let _ = self.router.set(router);
    }

    /// Tells of the cluster, too; the server is ready only while it is in there.
    pub(crate) fn follow(&self, cluster: Cluster) {
        self.add_check(Arc::new(InCluster(cluster.clone())));
        // It is in one all its life.
        let _ = self.cluster.set(cluster);
    }

    /// Has the server ready only while this is well, too.
    pub(crate) fn add_check(&self, check: Arc<dyn Check>) {
        self.checks.write().unwrap_or_else(PoisonError::into_inner).push(check);
    }

    /// Counts what observers are told.
    pub(crate) fn counting(self: &Arc<Self>, observers: Observers) -> Observers {
        let telemetry = || Arc::clone(self);
        let Observers { websocket, functions, realtime, nitric, logs } = observers;
        Observers {
            websocket: Arc::new(Counting { telemetry: telemetry(), inner: websocket }),
            functions: Arc::new(Counting { telemetry: telemetry(), inner: functions }),
            realtime: Arc::new(Counting { telemetry: telemetry(), inner: realtime }),
            nitric,
            logs,
        }
    }

    /// Counts, and writes down, what the guard tells.
    pub(crate) fn counting_calls(self: &Arc<Self>, options: &mut GuardOptions) {
        let inner = options.observer.take();
        options.observer = Some(Arc::new(CountingCalls { telemetry: Arc::clone(self), inner }));
    }

    /// Who makes traces, if anybody does.
    pub(crate) fn traces(&self) -> Option<&Traces> {
        self.traces.as_ref()
    }

    /// Counts a handshake of a WebSocket by its answer; `None` where the client has left before
    /// there was one.
    pub(crate) fn handshake(&self, status: Option<StatusCode>) {
        self.counts.websocket_handshakes.count(match status.map(|status| status.as_u16()) {
            Some(101) => "accepted",
            Some(401) => "unauthorized",
            Some(403) => "forbidden",
            Some(429) => "too_many",
            Some(500..) | None => "failed",
            Some(_) => "refused",
        });
    }

    /// Whether the server is ready for clients.
    pub(crate) fn readiness(&self) -> Readiness {
        match self.router.get().and_then(Weak::upgrade) {
            Some(router) => {
                let checks = self.checks.read().unwrap_or_else(PoisonError::into_inner);
                Readiness::of(&router, &checks)
            }
            None => Readiness { ready: false, degraded: true, checks: Vec::new() },
        }
    }

    /// What the metrics are now.
    fn samples(&self) -> Samples {
        let mut samples = Samples::default();
        if let Some(router) = self.router.get().and_then(Weak::upgrade) {
            samples.read(self, &router);
        }
        samples
    }

    /// All of it, for `fanwire status` and `fanwire top`.
    pub(crate) fn status(&self) -> Value {
        let Readiness { ready, degraded, checks } = self.readiness();
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "pid": std::process::id(),
            "ready": ready,
            "degraded": degraded,
            "checks": checks,
            "metrics": self.samples().to_json(),
        })
    }
}
