//! What is counted as it happens, of what the planes do not count themselves: handshakes,
//! functions, calls. An event is an atomic addition; a message of a client is none of them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use fanwire_functions::{FunctionEvent, Report};

/// Functions that are told apart. What further ones do is counted together, as `(others)`.
const MAX_FUNCTIONS: usize = 1000;

/// The upper bounds of the buckets of durations, in seconds; beyond the last is another one.
pub(super) const BOUNDS: [f64; 14] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// Numbers by names that are known beforehand.
#[derive(Debug)]
pub(super) struct Named<const N: usize> {
    names: [&'static str; N],
    counts: [AtomicU64; N],
}

/// What all that is counted comes to.
#[derive(Debug)]
pub(super) struct Counts {
    pub(super) websocket_handshakes: Named<6>,
    pub(super) realtime_handshakes: Named<2>,
    pub(super) disconnects: Named<13>,
    /// Handshakes, messages and disconnects; the even ones went well, the odd ones failed.
    pub(super) requests: Named<6>,
    pub(super) denied: AtomicU64,
    pub(super) calls: Named<2>,
    // A std lock, held to find a function among those that are known.
    functions: RwLock<HashMap<Box<str>, Arc<OfFunction>>>,
}

/// What is counted of one function.
#[derive(Debug, Default)]
pub(super) struct OfFunction {
    pub(super) invocations: AtomicU64,
    pub(super) errors: AtomicU64,
    pub(super) cold_starts: AtomicU64,
    pub(super) init_errors: AtomicU64,
    pub(super) retries: AtomicU64,
    pub(super) dropped: AtomicU64,
    pub(super) spawned: AtomicU64,
    pub(super) exited: AtomicU64,
    /// Durations in microseconds, all together.
    micros: AtomicU64,
    /// How many were within each bound and over the one before; the last have none.
    buckets: [AtomicU64; BOUNDS.len() + 1],
}

// === impl Named ===

impl<const N: usize> Named<N> {
    fn new(names: [&'static str; N]) -> Self {
        Self { names, counts: [const { AtomicU64::new(0) }; N] }
    }

    /// Counts one more of a name. One that is not known is not counted.
    pub(super) fn count(&self, name: &str) {
        if let Some(at) = self.names.iter().position(|known| *known == name) {
            self.counts[at].fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.names
            .iter()
            .copied()
            .zip(self.counts.iter().map(|count| count.load(Ordering::Relaxed)))
    }
}

// === impl Counts ===

impl Default for Counts {
    fn default() -> Self {
        Self {
            websocket_handshakes: Named::new([
                "accepted",
                "unauthorized",
                "forbidden",
                "too_many",
                "refused",
                "failed",
            ]),
            realtime_handshakes: Named::new(["accepted", "refused"]),
            disconnects: Named::new([
                "AUTH_ERROR",
                "CLIENT_INITIATED_DISCONNECT",
                "CLIENT_ERROR",
                "CONNECTION_LOST",
                "DUPLICATE_CLIENTID",
                "FORBIDDEN_ACCESS",
                "MQTT_KEEP_ALIVE_TIMEOUT",
                "SERVER_INITIATED_DISCONNECT",
                "SERVER_ERROR",
                "API_INITIATED_DISCONNECT",
                "THROTTLED",
                "WEBSOCKET_TTL_EXPIRATION",
                "CUSTOMAUTH_TTL_EXPIRATION",
            ]),
            requests: Named::new([
                "connect ok",
                "connect error",
                "message ok",
                "message error",
                "disconnect ok",
                "disconnect error",
            ]),
            denied: AtomicU64::new(0),
            calls: Named::new(["allowed", "denied"]),
            functions: RwLock::default(),
        }
    }
}

impl Counts {
    /// Counts what happens to a function.
    pub(super) fn function(&self, event: &FunctionEvent<'_>) {
        let counter = |of: &OfFunction| match event {
            FunctionEvent::Spawned { .. } => add(&of.spawned),
            FunctionEvent::Exited { .. } => add(&of.exited),
            FunctionEvent::InitFailed { .. } => add(&of.init_errors),
            FunctionEvent::Retry { .. } => add(&of.retries),
            FunctionEvent::Dropped { .. } => add(&of.dropped),
            FunctionEvent::Report { report, .. } => of.report(report),
            _ => {}
        };
        match event {
            FunctionEvent::Spawned { .. }
            | FunctionEvent::Exited { .. }
            | FunctionEvent::InitFailed { .. }
            | FunctionEvent::Retry { .. }
            | FunctionEvent::Dropped { .. }
            | FunctionEvent::Report { .. } => counter(&self.of(event.function())),
            _ => {}
        }
    }

    /// What is counted of the functions, by name.
    pub(super) fn functions(&self) -> Vec<(String, Arc<OfFunction>)> {
        let functions = self.functions.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> =
            functions.iter().map(|(name, of)| (name.to_string(), Arc::clone(of))).collect();
        all.sort_by(|(a, _), (b, _)| a.cmp(b));
        all
    }

    fn of(&self, function: &str) -> Arc<OfFunction> {
        let known = self.functions.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(of) = known.get(function) {
            return Arc::clone(of);
        }
        let is_full = known.len() >= MAX_FUNCTIONS;
        drop(known);
        let name = if is_full { "(others)" } else { function };
        let mut functions = self.functions.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(functions.entry(name.into()).or_default())
    }
}

// === impl OfFunction ===

impl OfFunction {
    fn report(&self, report: &Report) {
        add(&self.invocations);
        if report.failed {
            add(&self.errors);
        }
        if report.init_duration.is_some() {
            add(&self.cold_starts);
        }
        let micros = u64::try_from(report.duration.as_micros()).unwrap_or(u64::MAX);
        self.micros.fetch_add(micros, Ordering::Relaxed);
        let seconds = report.duration.as_secs_f64();
        let bucket = BOUNDS.iter().position(|bound| seconds <= *bound).unwrap_or(BOUNDS.len());
        add(&self.buckets[bucket]);
    }

    /// All durations together.
    pub(super) fn seconds(&self) -> f64 {
        Duration::from_micros(self.micros.load(Ordering::Relaxed)).as_secs_f64()
    }

    /// How many durations are in each bucket, by its upper bound.
    pub(super) fn buckets(&self) -> Vec<(f64, u64)> {
        let bounds = BOUNDS.into_iter().chain([f64::INFINITY]);
        bounds.zip(self.buckets.iter().map(|count| count.load(Ordering::Relaxed))).collect()
    }
}

fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
