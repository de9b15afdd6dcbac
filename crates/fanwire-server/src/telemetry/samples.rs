//! What the metrics are now: read from the planes and from what was counted.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::UNIX_EPOCH;

use fanwire_cluster::{Facts, State};
use fanwire_hub::HubStats;
use fanwire_realtime::{DropReason, Realtime};
use fanwire_subscriptions::Subscriptions;
use serde_json::{Value, json};

use super::Telemetry;
use super::catalogue::METRICS;
use super::counts::OfFunction;
use super::process;
use crate::router::Router;
use crate::tls::CertificateFacts;

/// The numbers of all metrics, by their names in the catalogue.
#[derive(Debug, Default)]
pub(super) struct Samples(HashMap<&'static str, Vec<Sample>>);

/// One number of a metric.
#[derive(Debug)]
pub(super) struct Sample {
    /// The values of the metric's labels, in their order; those that are missing at the end
    /// are empty.
    pub(super) labels: Vec<String>,
    pub(super) number: Number,
}

#[derive(Debug)]
pub(super) enum Number {
    Whole(u64),
    Real(f64),
    Durations { seconds: f64, count: u64, buckets: Vec<(f64, u64)> },
}

// === impl Samples ===

impl Samples {
    /// The numbers of a metric.
    pub(super) fn of(&self, name: &str) -> &[Sample] {
        self.0.get(name).map(Vec::as_slice).unwrap_or_default()
    }

    fn add<const N: usize>(&mut self, name: &'static str, labels: [&str; N], number: Number) {
        debug_assert!(METRICS.iter().any(|metric| metric.name == name), "{name} is no metric");
        let labels = labels.into_iter().map(str::to_owned).collect();
        self.0.entry(name).or_default().push(Sample { labels, number });
    }

    fn whole<const N: usize>(&mut self, name: &'static str, labels: [&str; N], number: u64) {
        self.add(name, labels, Number::Whole(number));
    }

    fn real(&mut self, name: &'static str, number: f64) {
        self.add(name, [], Number::Real(number));
    }

    fn counter<const N: usize>(&mut self, name: &'static str, labels: [&str; N], of: &AtomicU64) {
        self.whole(name, labels, of.load(Ordering::Relaxed));
    }

    /// Reads all there is.
    pub(super) fn read(&mut self, telemetry: &Telemetry, router: &Router) {
        self.whole("build_info", [env!("CARGO_PKG_VERSION")], 1);
        self.whole("ready", [], u64::from(telemetry.readiness().ready));
        self.websocket(router);
        if let Some(endpoint) = router.realtime() {
            self.realtime(&endpoint.plane);
            self.rules(&endpoint.rule_stats());
        }
        if let Some(endpoint) = router.subscriptions() {
            self.subscriptions(&endpoint.plane);
        }
        if let Some(cluster) = telemetry.cluster.get() {
            self.cluster(&cluster.facts());
        }
        self.counted(telemetry);
        for (limit, count) in router.guard().limiter().refused() {
            self.whole("limit_refusals", [limit.name()], count);
        }
        self.certificates(telemetry.certificates.iter().flat_map(|it| it.facts()).collect());
        self.process(telemetry);
    }

    /// Of those with one name, such as for two kinds of keys, the one that ends first.
    fn certificates(&mut self, mut facts: Vec<CertificateFacts>) {
        facts.sort_by(|a, b| (a.names.first(), a.not_after).cmp(&(b.names.first(), b.not_after)));
        facts.dedup_by(|later, earlier| later.names.first() == earlier.names.first());
        for CertificateFacts { names, not_before, not_after, .. } in facts {
            let name = names.first().map(String::as_str).unwrap_or_default();
            for (metric, time) in [
                ("certificate_not_before_timestamp_seconds", not_before),
                ("certificate_expires_timestamp_seconds", not_after),
            ] {
                let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
                self.add(metric, [name], Number::Real(since.as_secs_f64()));
            }
        }
    }

    fn hub(&mut self, plane: &str, stats: &HubStats) {
        self.whole("bytes_received", [plane], stats.bytes_in);
        self.whole("bytes_sent", [plane], stats.bytes_out);
        self.whole("bytes_unsent", [plane], stats.bytes_unsent);
        self.whole("shard_waiting_bytes", [plane], stats.waiting_bytes as u64);
        self.whole("shard_waiting_max_bytes", [plane], stats.waiting_max_bytes as u64);
    }

    fn websocket(&mut self, router: &Router) {
        let plane = router.plane();
        for (number, api) in plane.apis().iter() {
            let connections = plane.connections_of(number) as u64;
            self.whole("connections", ["websocket", &api.name], connections);
        }
        let stats = plane.stats();
        self.whole("messages_received", ["websocket"], stats.received);
        self.whole("messages_routed", ["websocket"], stats.routed);
        self.whole("messages_sent", ["websocket"], stats.sent);
        let slow = DropReason::SlowClient.as_str();
        self.whole("messages_dropped", ["websocket", slow], stats.slow_client);
        self.whole("messages_dropped", ["websocket", "closing"], stats.closing);
        self.whole("websocket_topic_messages_dropped", [], plane.dropped_topic_messages());
        self.hub("websocket", &plane.hub_stats());
    }

    fn realtime(&mut self, plane: &Realtime) {
        let hub = plane.connections();
        self.whole("connections", ["realtime", ""], hub.connections as u64);
        self.hub("realtime", &hub);
        let stats = plane.stats();
        self.whole("messages_received", ["realtime"], stats.published);
        self.whole("messages_routed", ["realtime"], stats.routed);
        self.whole("messages_sent", ["realtime"], stats.sent);
        for (reason, count) in DropReason::ALL.into_iter().zip(stats.dropped) {
            self.whole("messages_dropped", ["realtime", reason.as_str()], count);
        }
        self.whole("messages_queued", ["realtime"], stats.queued);
        self.whole("mqtt_sessions", [], stats.sessions);
        self.whole("mqtt_subscriptions", [], stats.subscriptions);
        self.whole("mqtt_retained_messages", [], stats.retained as u64);
        self.whole("mqtt_retained_bytes", [], stats.retained_bytes as u64);
        self.whole("mqtt_queued_bytes", [], stats.queued_bytes);
        let Some(store) = plane.store_stats() else { return };
        self.whole("store_commits", [], store.groups);
        self.whole("store_batches", [], store.batches);
        self.whole("store_written_bytes", [], store.written_bytes);
        self.whole("store_waiting_bytes", [], store.waiting_bytes as u64);
        self.whole("store_disk_bytes", [], store.disk_bytes);
        self.whole("store_failed", [], u64::from(store.failed.is_some()));
    }

    fn rules(&mut self, rules: &[(String, fanwire_realtime::RuleStats)]) {
        for (rule, stats) in rules {
            self.whole("rule_messages", [rule, "taken"], stats.taken);
            self.whole("rule_messages", [rule, "called"], stats.called);
            self.whole("rule_messages", [rule, "failed"], stats.failed);
            self.whole("rule_messages", [rule, "dropped"], stats.dropped);
        }
    }

    fn subscriptions(&mut self, plane: &Subscriptions) {
        let stats = plane.stats();
        let (delivered, slow) = (stats.delivered as u64, stats.slow as u64);
        self.whole("connections", ["subscriptions", ""], stats.connections as u64);
        self.whole("messages_routed", ["subscriptions"], delivered + slow);
        self.whole("messages_sent", ["subscriptions"], delivered);
        let reason = DropReason::SlowClient.as_str();
        self.whole("messages_dropped", ["subscriptions", reason], slow);
        self.whole("trpc_subscriptions", [], stats.subscriptions as u64);
        self.whole("trpc_kept_events", [], stats.kept_events as u64);
        self.hub("subscriptions", &plane.hub_stats());
    }

    fn cluster(&mut self, facts: &Facts) {
        self.whole("cluster_joined", [], u64::from(facts.state == State::Joined));
        self.whole("cluster_peers", [], facts.peers.len() as u64);
        self.whole("cluster_nats_connects", [], facts.nats_connects);
        self.whole("cluster_nodes_declared_dead", [], facts.claims);
        self.whole("cluster_fenced", [], facts.fences);
        self.whole("cluster_link_messages_sent", [], facts.link_sent);
        self.whole("cluster_link_messages_resent", [], facts.link_resent);
        self.whole("cluster_link_messages_received", [], facts.link_received);
        let waiting = facts.peers.iter().map(|peer| peer.window_bytes as u64).sum();
        self.whole("cluster_link_waiting_bytes", [], waiting);
        self.whole("cluster_requests", [], facts.requests);
        self.whole("cluster_requests_timed_out", [], facts.requests_timed_out);
        self.whole("cluster_publications", [], facts.published);
        self.whole("cluster_publications_dropped", [], facts.publications_dropped);
        self.whole("cluster_messages_lost", [], facts.slow);
    }

    fn counted(&mut self, telemetry: &Telemetry) {
        let counts = &telemetry.counts;
        for (outcome, count) in counts.websocket_handshakes.iter() {
            self.whole("handshakes", ["websocket", outcome], count);
        }
        for (outcome, count) in counts.realtime_handshakes.iter() {
            self.whole("handshakes", ["realtime", outcome], count);
        }
        for (reason, count) in counts.disconnects.iter() {
            self.whole("disconnects", ["realtime", reason], count);
        }
        for (request, count) in counts.requests.iter() {
            if let Some((event, outcome)) = request.split_once(' ') {
                self.whole("websocket_requests", [event, outcome], count);
            }
        }
        self.counter("mqtt_denied", [], &counts.denied);
        for (outcome, count) in counts.calls.iter() {
            self.whole("api_calls", [outcome], count);
        }
        if let Some(traces) = telemetry.traces() {
            for (outcome, count) in traces.counts().iter() {
                self.whole("trace_spans", [outcome], count);
            }
        }
        for (name, of) in counts.functions() {
            self.function(&name, &of);
        }
    }

    fn function(&mut self, name: &str, of: &OfFunction) {
        self.counter("function_invocations", [name], &of.invocations);
        self.counter("function_errors", [name], &of.errors);
        self.counter("function_cold_starts", [name], &of.cold_starts);
        self.counter("function_init_errors", [name], &of.init_errors);
        self.counter("function_retries", [name], &of.retries);
        self.counter("function_events_dropped", [name], &of.dropped);
        let exited = of.exited.load(Ordering::Relaxed);
        let processes = of.spawned.load(Ordering::Relaxed).saturating_sub(exited);
        self.whole("function_processes", [name], processes);
        let buckets = of.buckets();
        let count = buckets.iter().map(|(_, count)| count).sum();
        let durations = Number::Durations { seconds: of.seconds(), count, buckets };
        self.add("function_duration_seconds", [name], durations);
    }

    fn process(&mut self, telemetry: &Telemetry) {
        self.real("process_start_time_seconds", telemetry.started);
        let Some(process) = process::look() else { return };
        self.whole("process_resident_memory_bytes", [], process.resident_bytes);
        self.whole("process_open_fds", [], process.open_fds);
        if let Some(max) = process.max_fds {
            self.whole("process_max_fds", [], max);
        }
        self.whole("process_threads", [], process.threads);
        self.real("process_cpu_seconds", process.cpu_seconds);
    }

    /// All numbers, for programs: by the full name of the metric, each with its labels.
    pub(super) fn to_json(&self) -> Value {
        let metrics = METRICS.iter().map(|metric| {
            let numbers = self.of(metric.name).iter().map(|sample| {
                let labels = metric.labels.iter().zip(&sample.labels);
                let labels: Value =
                    labels.map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
                match &sample.number {
                    Number::Whole(value) => json!({ "labels": labels, "value": value }),
                    Number::Real(value) => json!({ "labels": labels, "value": value }),
                    Number::Durations { seconds, count, .. } => {
                        json!({ "labels": labels, "count": count, "sum": seconds })
                    }
                }
            });
            (metric.full_name(), numbers.collect::<Value>())
        });
        metrics.collect()
    }
}
