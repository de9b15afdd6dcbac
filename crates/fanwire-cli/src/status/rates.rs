//! What two looks at a server say about the time between.

use std::time::Duration;

use serde::Serialize;

use super::figures::{Figures, mean_ms};

/// What happened between two looks, a second.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Rates {
    /// Seconds between the looks.
    pub(super) seconds: f64,
    pub(super) ready: bool,
    /// Processors that the server kept busy.
    pub(super) processors: f64,
    pub(super) resident_bytes: u64,
    pub(super) planes: Vec<OfPlane>,
    pub(super) functions: Vec<OfFunction>,
}

/// What happened in a plane.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OfPlane {
    pub(super) plane: String,
    pub(super) connections: u64,
    pub(super) received_per_second: f64,
    pub(super) sent_per_second: f64,
    pub(super) dropped_per_second: f64,
    pub(super) bytes_received_per_second: f64,
    pub(super) bytes_sent_per_second: f64,
}

/// What a function did.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OfFunction {
    pub(super) function: String,
    pub(super) processes: u64,
    pub(super) invocations_per_second: f64,
    pub(super) errors_per_second: f64,
    /// Of the events that ended between the looks. `None` where none did.
    pub(super) mean_ms: Option<f64>,
}

// === impl Rates ===

impl Rates {
    pub(super) fn between(before: &Figures, after: &Figures, passed: Duration) -> Self {
        let seconds = passed.as_secs_f64().max(0.001);
        let rate = |metric: &str, labels: &[(&str, &str)]| {
            let more = after.total(metric, labels).saturating_sub(before.total(metric, labels));
            #[expect(clippy::cast_precision_loss, reason = "what a second has fits")]
            let more = more as f64;
            more / seconds
        };
        let cpu = "process_cpu_seconds_total";
        let planes = after.planes().into_iter().map(|plane| {
            let labels: &[_] = &[("plane", &*plane)];
            OfPlane {
                connections: after.total("connections", labels),
                received_per_second: rate("messages_received_total", labels),
                sent_per_second: rate("messages_sent_total", labels),
                dropped_per_second: rate("messages_dropped_total", labels),
                bytes_received_per_second: rate("bytes_received_total", labels),
                bytes_sent_per_second: rate("bytes_sent_total", labels),
                plane: plane.clone(),
            }
        });
        let functions = after.functions().into_iter().map(|function| {
            let labels: &[_] = &[("function", &*function)];
            let ((count, sum), (count_before, sum_before)) =
                (after.durations(&function), before.durations(&function));
            OfFunction {
                processes: after.total("function_processes", labels),
                invocations_per_second: rate("function_invocations_total", labels),
                errors_per_second: rate("function_errors_total", labels),
                mean_ms: mean_ms((count.saturating_sub(count_before), sum - sum_before)),
                function: function.clone(),
            }
        });
        Self {
            seconds,
            ready: after.is_ready(),
            processors: (after.real(cpu) - before.real(cpu)).max(0.0) / seconds,
            resident_bytes: after.total("process_resident_memory_bytes", &[]),
            planes: planes.collect(),
            functions: functions.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn figures(sent: u64, count: u64, sum: f64) -> Figures {
        let of = |value: u64| json!([{ "labels": { "plane": "realtime" }, "value": value }]);
        let function = json!({ "function": "f" });
        Figures::of(json!({ "ready": true, "metrics": {
            "fanwire_bytes_sent_total": of(sent * 10),
            "fanwire_messages_sent_total": of(sent),
            "fanwire_connections": of(7),
            "fanwire_function_invocations_total": [{ "labels": function, "value": count }],
            "fanwire_function_duration_seconds":
                [{ "labels": function, "count": count, "sum": sum }],
        } }))
    }

    #[test]
    fn rates_are_of_the_time_between_two_looks() {
        let (before, after) = (figures(100, 4, 1.0), figures(150, 8, 1.2));
        let rates = Rates::between(&before, &after, Duration::from_secs(5));
        let plane = &rates.planes[0];
        assert_eq!((plane.connections, plane.sent_per_second), (7, 10.0));
        assert_eq!(plane.bytes_sent_per_second, 100.0);
        let function = &rates.functions[0];
        assert_eq!(function.invocations_per_second, 0.8);
        assert!((function.mean_ms.unwrap() - 50.0).abs() < 0.001);
    }

    #[test]
    fn a_server_that_was_started_anew_has_no_rates_below_zero() {
        let rates = Rates::between(&figures(100, 4, 1.0), &figures(1, 0, 0.0), Duration::ZERO);
        assert_eq!(rates.planes[0].sent_per_second, 0.0);
        assert_eq!(rates.functions[0].mean_ms, None);
    }
}
