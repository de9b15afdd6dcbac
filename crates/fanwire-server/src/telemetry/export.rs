//! The metrics in the forms that Prometheus reads: its own text, and OpenMetrics.

use std::fmt;
use std::sync::{Arc, Weak};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::encoding::{prometheus_text, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::Telemetry;
use super::catalogue::{Kind, METRICS, Metric};
use super::samples::{Number, Sample};

/// The form that metrics are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Prometheus's text, 0.0.4.
    Prometheus,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

/// Reads what there is whenever somebody asks.
struct Reader(Weak<Telemetry>);

// === impl Form ===

impl Form {
    /// The one that a client asks for: OpenMetrics where it knows that.
    pub(super) fn accepted(accept: &str) -> Self {
        let known = accept.contains("application/openmetrics-text");
        if known { Self::OpenMetrics } else { Self::Prometheus }
    }

    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// What asks `telemetry` for its metrics.
pub(super) fn registry(telemetry: &Arc<Telemetry>) -> Registry {
    let mut registry = Registry::with_prefix("fanwire");
    registry.register_collector(Box::new(Reader(Arc::downgrade(telemetry))));
    registry
}

/// The metrics as they are now.
///
/// # Errors
///
/// None that could come of what we write: a label would have to be written twice.
pub(super) fn write(registry: &Registry, form: Form) -> Result<String, fmt::Error> {
    let mut written = String::new();
    match form {
        Form::Prometheus => prometheus_text::encode(&mut written, registry)?,
        Form::OpenMetrics => text::encode(&mut written, registry)?,
    }
    Ok(written)
}

// === impl Reader ===

impl Collector for Reader {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Some(telemetry) = self.0.upgrade() else { return Ok(()) };
        let samples = telemetry.samples();
        for metric in METRICS {
            let kind = match metric.kind {
                Kind::Counter => MetricType::Counter,
                Kind::Gauge => MetricType::Gauge,
                Kind::Histogram => MetricType::Histogram,
            };
            let mut family = encoder.encode_descriptor(metric.name, metric.help, None, kind)?;
            for sample in samples.of(metric.name) {
                write_sample(metric, sample, &mut family)?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").finish_non_exhaustive()
    }
}

fn write_sample(metric: &Metric, sample: &Sample, family: &mut MetricEncoder<'_>) -> fmt::Result {
    let labels = metric.labels.iter().copied().zip(sample.labels.iter().map(String::as_str));
    // An empty label is as none (Prometheus's data model).
    let labels: Vec<(&str, &str)> = labels.filter(|(_, value)| !value.is_empty()).collect();
    if labels.is_empty() {
        return write_number(metric.kind, &sample.number, family);
    }
    write_number(metric.kind, &sample.number, &mut family.encode_family(&labels)?)
}

fn write_number(kind: Kind, number: &Number, encoder: &mut MetricEncoder<'_>) -> fmt::Result {
    match (kind, number) {
        (Kind::Counter, Number::Whole(value)) => {
            encoder.encode_counter::<NoLabelSet, _, u64>(value, None)
        }
        (Kind::Counter, Number::Real(value)) => {
            encoder.encode_counter::<NoLabelSet, _, u64>(value, None)
        }
        (_, Number::Whole(value)) => encoder.encode_gauge(value),
        (_, Number::Real(value)) => encoder.encode_gauge(value),
        (_, Number::Durations { seconds, count, buckets }) => {
            encoder.encode_histogram::<NoLabelSet>(*seconds, *count, buckets, None)
        }
    }
}
