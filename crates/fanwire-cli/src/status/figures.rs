//! What a server tells of itself, at one moment.

use jiff::Timestamp;
use serde_json::Value;

/// An answer of the control API.
#[derive(Debug)]
pub(super) struct Figures(Value);

// === impl Figures ===

impl Figures {
    pub(super) fn of(answer: Value) -> Self {
        Self(answer)
    }

    pub(super) fn as_json(&self) -> &Value {
        &self.0
    }

    pub(super) fn is_ready(&self) -> bool {
        self.0["ready"] == true
    }

    pub(super) fn is_degraded(&self) -> bool {
        self.0["degraded"] == true
    }

    /// What is wrong: about what, and why.
    pub(super) fn troubles(&self) -> Vec<(String, String)> {
        let checks = self.0["checks"].as_array().into_iter().flatten();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        checks
            .filter(|check| check["ok"] == false)
            .map(|check| (text(&check["name"]), text(&check["why"])))
            .collect()
    }

    /// A fact about the server, as text.
    pub(super) fn text(&self, key: &str) -> String {
        match &self.0[key] {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        }
    }

    /// The numbers of a metric, added up where they have these labels.
    pub(super) fn total(&self, metric: &str, labels: &[(&str, &str)]) -> u64 {
        self.samples(metric)
            .filter(|sample| labels.iter().all(|(name, value)| sample["labels"][name] == *value))
            .filter_map(|sample| sample["value"].as_u64())
            .sum()
    }

    /// A number of a metric without labels.
    pub(super) fn real(&self, metric: &str) -> f64 {
        self.samples(metric).find_map(|sample| sample["value"].as_f64()).unwrap_or_default()
    }

    /// How many durations a function had, and their sum in seconds.
    pub(super) fn durations(&self, function: &str) -> (u64, f64) {
        let mut samples = self.samples("function_duration_seconds");
        let found = samples.find(|sample| sample["labels"]["function"] == function);
        found.map_or((0, 0.0), |sample| {
            (sample["count"].as_u64().unwrap_or(0), sample["sum"].as_f64().unwrap_or(0.0))
        })
    }

    /// How long a function's events took in the middle.
    pub(super) fn mean_ms(&self, function: &str) -> Option<f64> {
        mean_ms(self.durations(function))
    }

    pub(super) fn planes(&self) -> Vec<String> {
        self.values("bytes_sent_total", "plane")
    }

    pub(super) fn functions(&self) -> Vec<String> {
        self.values("function_invocations_total", "function")
    }

    /// How long the server has been there.
    pub(super) fn uptime(&self) -> String {
        let started = self.real("process_start_time_seconds");
        let started = Timestamp::from_millisecond((started * 1000.0) as i64);
        let since = started.map(|at| Timestamp::now().duration_since(at).as_secs());
        let seconds = since.unwrap_or(0).max(0);
        match seconds {
            0..60 => format!("{seconds}s"),
            60..3600 => format!("{}m {}s", seconds / 60, seconds % 60),
            3600..86_400 => format!("{}h {}m", seconds / 3600, seconds / 60 % 60),
            _ => format!("{}d {}h", seconds / 86_400, seconds / 3600 % 24),
        }
    }

    fn values(&self, metric: &str, label: &str) -> Vec<String> {
        let values = self.samples(metric).filter_map(|sample| sample["labels"][label].as_str());
        values.map(str::to_owned).collect()
    }

    fn samples(&self, metric: &str) -> impl Iterator<Item = &Value> {
        self.0["metrics"][format!("fanwire_{metric}")].as_array().into_iter().flatten()
    }
}

/// The mean of so many durations of so many seconds together.
#[expect(clippy::cast_precision_loss, reason = "more events than a float counts are none")]
pub(super) fn mean_ms((count, seconds): (u64, f64)) -> Option<f64> {
    (count > 0).then(|| seconds * 1000.0 / count as f64)
}
