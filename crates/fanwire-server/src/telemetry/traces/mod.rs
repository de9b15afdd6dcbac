//! Traces, for whoever collects OpenTelemetry's: what a client asked for, and the functions that
//! were called for it.
//!
//! A span is made when it ends, from what observers are told anyway, and put into a queue; one
//! task takes from there and sends by OTLP over HTTP. Where the queue is full the span is
//! dropped, and counted: nobody waits for a collector.
//!
//! - `spans` is what the spans look like.

mod spans;

use std::num::NonZeroU64;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use fanwire_functions::HttpClient;
use fanwire_wire::trace::{Span, TraceContext};
use http::{HeaderMap, Request, Response};
use http_body_util::Full;
use opentelemetry::KeyValue;
use opentelemetry_http::HttpError;
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanExporter as _};
use tokio::sync::{mpsc, oneshot};

/// Where traces go, and which.
#[derive(Debug, Clone)]
pub struct TraceOptions {
    /// The URL that spans are posted to.
    pub endpoint: String,
    /// The part of traces that are kept, from 0 to 1, of those that begin here.
    pub sample: f64,
    /// Whether a client's `traceparent` is believed: its trace goes on, and is kept where it
    /// says so.
    pub believe_clients: bool,
    /// The service's name, where the environment does not say another.
    pub service: String,
}

/// Why no traces can be sent.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// The machine's root certificates cannot be read.
    #[error("traces cannot be sent: {0}")]
    Client(#[from] std::io::Error),
    /// The address is none.
    #[error("traces cannot be sent to {endpoint} (telemetry.traces): {cause}")]
    Exporter {
        /// The address.
        endpoint: String,
        /// What is wrong.
        cause: String,
    },
}

/// Spans that wait to be sent, at the most; beyond, they are dropped.
const MAX_WAITING: usize = 8_192;

/// Spans that are sent at once.
const MAX_BATCH: usize = 512;

/// How long spans wait for others to be sent with.
const GATHERING: Duration = Duration::from_secs(1);

/// How long a collector may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// The longest answer of a collector that is read, in bytes.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// How long a server that stops waits for the last to be sent.
const FLUSH_PATIENCE: Duration = Duration::from_secs(3);

/// Makes spans, and sends them.
pub(crate) struct Traces {
    sample: f64,
    believe_clients: bool,
    queue: mpsc::Sender<Waiting>,
    counts: Arc<TraceCounts>,
}

/// What has become of spans.
#[derive(Debug, Default)]
pub(crate) struct TraceCounts {
    sent: AtomicU64,
    refused: AtomicU64,
    dropped: AtomicU64,
}

enum Waiting {
    Span(Box<SpanData>),
    /// Tell when all before is sent, or given up.
    Flush(oneshot::Sender<()>),
}

// === impl Traces ===

impl Traces {
    /// Begins to send. To be called on a tokio runtime.
    ///
    /// # Errors
    ///
    /// [`TraceError`], never that the collector is not there: it may come later.
    pub(crate) fn start(options: &TraceOptions) -> Result<Self, TraceError> {
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Poster(HttpClient::new()?))
            .with_endpoint(&options.endpoint)
            .with_timeout(ANSWER_WITHIN)
            .build();
        let mut exporter = exporter.map_err(|error| TraceError::Exporter {
            endpoint: options.endpoint.clone(),
            cause: error.to_string(),
        })?;
        exporter.set_resource(&resource(&options.service));
        let (queue, waiting) = mpsc::channel(MAX_WAITING);
        let counts = Arc::<TraceCounts>::default();
        tokio::spawn(send(exporter, waiting, Arc::clone(&counts)));
        let TraceOptions { sample, believe_clients, .. } = *options;
        Ok(Self { sample, believe_clients, queue, counts })
    }

    /// A span, kept as its client's trace is, else as the lot falls. One that is not kept is
    /// told to functions all the same: so they keep none of theirs either, and what a client says
    /// that is not believed does not reach them.
    pub(crate) fn begin(&self, parent: Option<TraceContext>) -> Span {
        match parent.filter(|_| self.believe_clients) {
            Some(parent) => parent.child(span_id()),
            None => {
                let sampled = fastrand::f64() < self.sample;
                let context =
                    TraceContext { trace_id: trace_id(), span_id: span_id().get(), sampled };
                Span { context, parent: None }
            }
        }
    }

    /// What has become of spans.
    pub(super) fn counts(&self) -> &TraceCounts {
        &self.counts
    }

    fn end(&self, span: SpanData) {
        if self.queue.try_send(Waiting::Span(Box::new(span))).is_err() {
            self.counts.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until what has ended is sent, for a while.
    pub(crate) async fn flush(&self) {
        let (done, flushed) = oneshot::channel();
        let flushing = async {
            if self.queue.send(Waiting::Flush(done)).await.is_ok() {
                // Where the task is gone there is nothing left to wait for.
                let _ = flushed.await;
            }
        };
        // What is not sent by then is not.
        let _ = tokio::time::timeout(FLUSH_PATIENCE, flushing).await;
    }
}

// === impl TraceCounts ===

impl TraceCounts {
    pub(super) fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let Self { sent, refused, dropped } = self;
        let counts = [("sent", sent), ("refused", refused), ("dropped", dropped)];
        counts.into_iter().map(|(outcome, count)| (outcome, count.load(Ordering::Relaxed)))
    }
}

/// Sends what ends, many together, until nobody is left to end anything.
async fn send(
    exporter: SpanExporter,
    mut waiting: mpsc::Receiver<Waiting>,
    counts: Arc<TraceCounts>,
) {
    let mut taken = Vec::new();
    while waiting.recv_many(&mut taken, MAX_BATCH).await > 0 {
        let is_flush = |waiting: &Waiting| matches!(waiting, Waiting::Flush(_));
        let gathered = tokio::time::Instant::now() + GATHERING;
        while taken.len() < MAX_BATCH && !taken.iter().any(is_flush) {
            let room = MAX_BATCH - taken.len();
            match tokio::time::timeout_at(gathered, waiting.recv_many(&mut taken, room)).await {
                Ok(1..) => {}
                Ok(0) | Err(_) => break,
            }
        }
        let (mut spans, mut flushes) = (Vec::new(), Vec::new());
        for waiting in taken.drain(..) {
            match waiting {
                Waiting::Span(span) => spans.push(*span),
                Waiting::Flush(done) => flushes.push(done),
            }
        }
        if !spans.is_empty() {
            let many = spans.len() as u64;
            let sent = exporter.export(spans).await.is_ok();
            let count = if sent { &counts.sent } else { &counts.refused };
            count.fetch_add(many, Ordering::Relaxed);
        }
        for done in flushes {
            // Whoever waited may have stopped.
            let _ = done.send(());
        }
    }
}

/// What all spans are of. `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` come before what
/// the App says.
fn resource(service: &str) -> Resource {
    let named = std::env::var_os("OTEL_SERVICE_NAME").is_some();
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let builder = Resource::builder().with_attribute(version);
    if named { builder.build() } else { builder.with_service_name(service.to_owned()).build() }
}

/// Never 0: the highest number is left out, and one added.
fn span_id() -> NonZeroU64 {
    NonZeroU64::MIN.saturating_add(fastrand::u64(..u64::MAX))
}

/// Begins with the time in seconds, as X-Ray wants it.
fn trace_id() -> u128 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u128::from(since.as_secs()) << 96 | fastrand::u128(1..) >> 32
}

/// The trace that a request says it is part of.
pub(crate) fn parent_of(headers: &HeaderMap) -> Option<TraceContext> {
    let text = |name| headers.get(name).and_then(|value: &http::HeaderValue| value.to_str().ok());
    let w3c = text("traceparent").and_then(TraceContext::from_traceparent);
    w3c.or_else(|| TraceContext::from_xray(text("x-amzn-trace-id")?))
}

/// Posts with the client that functions elsewhere are called with.
#[derive(Debug)]
struct Poster(HttpClient);

/// What `async_trait` makes of the trait's method.
type Posted<'a> = Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'a>>;

impl opentelemetry_http::HttpClient for Poster {
    fn send_bytes<'a, 'b>(&'a self, request: Request<Bytes>) -> Posted<'b>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(async move {
            let request = request.map(Full::new);
            Ok(self.0.request(request, MAX_ANSWER_BYTES, ANSWER_WITHIN).await?)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nobody_waits_for_a_collector_and_what_does_not_fit_is_counted() {
        // Nobody takes anything out, as with a collector that does not answer.
        let (queue, mut waiting) = mpsc::channel(2);
        let counts = Arc::<TraceCounts>::default();
        let traces = Traces { sample: 1.0, believe_clients: false, queue, counts };
        for _ in 0..5 {
            let call = (&http::Method::POST, "/@connections");
            traces.call(traces.begin(None), call, http::StatusCode::OK, Duration::ZERO);
        }
        let count = |outcome| traces.counts().iter().find(|(name, _)| *name == outcome);
        assert_eq!(count("dropped"), Some(("dropped", 3)));
        assert!(matches!(waiting.try_recv(), Ok(Waiting::Span(_))));
        assert!(matches!(waiting.try_recv(), Ok(Waiting::Span(_))));
        assert!(waiting.try_recv().is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_stops_does_not_wait_long_for_a_collector() {
        let (queue, _waiting) = mpsc::channel(1);
        let counts = Arc::<TraceCounts>::default();
        let traces = Traces { sample: 1.0, believe_clients: false, queue, counts };
        let began = tokio::time::Instant::now();
        traces.flush().await;
        assert_eq!(began.elapsed(), FLUSH_PATIENCE);
    }
}
