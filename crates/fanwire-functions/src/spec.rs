//! A function as its pool and its processes see it.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fanwire_app::model::Function;
use fanwire_wire::trace::{Span, TraceContext};

use crate::aws_calls::AwsCalls;
use crate::observer::{FunctionEvent, Observer};
use crate::options::{HostOptions, InvokeOptions};
use crate::process::Processes;
use crate::sources::Sources;

/// Nobody stands at a breakpoint for longer.
const DEBUGGING: Duration = Duration::from_secs(24 * 60 * 60);

/// What does not change about a function until the host is updated.
pub(crate) struct Spec {
    pub(crate) key: String,
    pub(crate) arn: String,
    pub(crate) function: Function,
    pub(crate) options: Arc<HostOptions>,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) processes: Arc<Processes>,
    /// The runtime that processes are watched on, and abandoned events ended on.
    pub(crate) runtime: tokio::runtime::Handle,
    /// The generation of processes that the function's `build` command succeeded for.
    pub(crate) built: tokio::sync::Mutex<Option<u64>>,
    pub(crate) aws_calls: AwsCalls,
    pub(crate) sources: Arc<Sources>,
}

impl Spec {
    pub(crate) fn observe(&self, event: FunctionEvent<'_>) {
        self.observer.observe(event);
    }

    /// The port that a debugger attaches to.
    pub(crate) fn inspect(&self) -> Option<u16> {
        self.options.inspect.get(&self.key).copied()
    }

    /// The most processes of this function.
    pub(crate) fn limit(&self) -> u32 {
        if self.inspect().is_some() {
            return 1;
        }
        self.function.concurrency.unwrap_or(self.options.max_processes).max(1)
    }

    /// How long one event may take.
    pub(crate) fn timeout(&self) -> Duration {
        if self.inspect().is_some() { DEBUGGING } else { self.function.timeout }
    }

    /// How long a process may take to load its handler.
    pub(crate) fn init_timeout(&self) -> Duration {
        if self.inspect().is_some() { DEBUGGING } else { self.options.init_timeout }
    }
}

/// One event on its way to a function.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) id: String,
    pub(crate) event: Bytes,
    pub(crate) trace_id: String,
    pub(crate) client_context: Option<String>,
    pub(crate) want_log_tail: bool,
}

impl Request {
    pub(crate) fn new(event: Bytes, options: InvokeOptions) -> Self {
        Self {
            id: request_id(),
            event,
            trace_id: options.trace_id.unwrap_or_else(trace_id),
            client_context: options.client_context,
            want_log_tail: options.want_log_tail,
        }
    }

    /// A span of its own, where it is part of a trace whose spans are kept.
    pub(crate) fn span(&self) -> Option<Span> {
        let parent = TraceContext::from_xray(&self.trace_id).filter(|parent| parent.sampled)?;
        Some(parent.child(NonZeroU64::MIN.saturating_add(fastrand::u64(..u64::MAX))))
    }
}

/// A random UUID (version 4). Ids tell events apart; they keep no secrets.
fn request_id() -> String {
    let bits = fastrand::u128(..) & !(0xf << 76) | (4 << 76);
    let bits = bits & !(0b11 << 62) | (0b10 << 62);
    let hex = format!("{bits:032x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// An X-Ray trace header for an event that came without, not sampled.
fn trace_id() -> String {
    let seconds = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |elapsed| elapsed.as_secs());
    let rest = fastrand::u128(..) >> 32;
    format!("Root=1-{seconds:08x}-{rest:024x};Parent={:016x};Sampled=0", fastrand::u64(..))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_ids_are_random_uuids() {
        let id = request_id();
        assert_eq!(id.len(), crate::channel::REQUEST_ID_LENGTH);
        assert_eq!(&id[14..15], "4", "{id}");
        assert!("89ab".contains(&id[19..20]), "{id}");
        assert_ne!(id, request_id());
    }

    #[test]
    fn made_up_trace_ids_have_x_rays_form() {
        let id = trace_id();
        let root = id.strip_prefix("Root=1-").unwrap();
        assert_eq!(root.find('-'), Some(8), "{id}");
        assert_eq!(root.find(';'), Some(33), "{id}");
    }
}
