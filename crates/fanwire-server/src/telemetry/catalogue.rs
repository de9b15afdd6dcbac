//! Every metric there is: its name, kind, labels, and what it tells. `docs/metrics.md` is this
//! table, which a test holds it to.

/// How a metric's number moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// It only grows. Its name ends in `_total`.
    Counter,
    /// It goes up and down.
    Gauge,
    /// How many were how long, in seconds.
    Histogram,
}

/// One metric, of as many numbers as its labels have values.
#[derive(Debug)]
pub(super) struct Metric {
    /// Without `fanwire_`, and without a counter's `_total`.
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// The names of its labels.
    pub(super) labels: &'static [&'static str],
    pub(super) help: &'static str,
}

// === impl Metric ===

impl Metric {
    /// The name that it is exported under.
    pub(super) fn full_name(&self) -> String {
        let end = if self.kind == Kind::Counter { "_total" } else { "" };
        format!("fanwire_{}{end}", self.name)
    }
}

const fn counter(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> Metric {
    Metric { name, kind: Kind::Counter, labels, help }
}

const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: Kind::Gauge, labels, help }
}

/// All metrics, in the order in which they are exported.
pub(super) static METRICS: &[Metric] = &[
    gauge("build_info", &["version"], "1, with the version that runs"),
    gauge("ready", &[], "1 while /readyz says so, else 0"),
    gauge("connections", &["plane", "api"], "connections now, those in their handshake included"),
    counter("handshakes", &["plane", "outcome"], "handshakes that came to an end"),
    counter("disconnects", &["plane", "reason"], "ends of MQTT connections"),
    counter(
        "limit_refusals",
        &["limit"],
        "what was refused because it was over a limit of [limits]",
    ),
    counter("messages_received", &["plane"], "messages that clients sent"),
    counter(
        "messages_routed",
        &["plane"],
        "messages that were for a client; one for many counts once for each",
    ),
    counter("messages_sent", &["plane"], "messages that were given to a client's connection"),
    counter("messages_dropped", &["plane", "reason"], "messages that were not"),
    gauge(
        "messages_queued",
        &["plane"],
        "messages that wait for their turn: routed, less sent and dropped",
    ),
    counter("bytes_received", &["plane"], "bytes that clients sent, without what TLS adds"),
    counter("bytes_sent", &["plane"], "bytes that clients took, without what TLS adds"),
    counter(
        "bytes_unsent",
        &["plane"],
        "bytes that were yet to be sent to connections when they ended",
    ),
    gauge("shard_waiting_bytes", &["plane"], "bytes that wait for the threads of the connections"),
    gauge(
        "shard_waiting_max_bytes",
        &["plane"],
        "bytes that wait for the one of them that most wait for; it takes 64 MiB",
    ),
    counter(
        "websocket_requests",
        &["event", "outcome"],
        "handshakes, messages and disconnects that routes of WebSocket APIs took",
    ),
    counter(
        "websocket_topic_messages_dropped",
        &[],
        "messages of topics that WebSocket connections did not get because a shard was busy",
    ),
    gauge("mqtt_sessions", &[], "MQTT sessions, with and without a client"),
    gauge("mqtt_subscriptions", &[], "subscriptions of MQTT sessions"),
    gauge("mqtt_retained_messages", &[], "retained messages"),
    gauge("mqtt_retained_bytes", &[], "bytes of retained messages"),
    gauge("mqtt_queued_bytes", &[], "bytes of messages that wait for MQTT clients"),
    counter("mqtt_denied", &[], "what policies did not let MQTT clients do"),
    counter("rule_messages", &["rule", "outcome"], "messages of topic rules"),
    gauge("trpc_subscriptions", &[], "subscriptions of tRPC clients"),
    gauge("trpc_kept_events", &[], "events kept for tRPC clients that come back"),
    counter(
        "function_invocations",
        &["function"],
        "events that processes of functions are done with",
    ),
    counter("function_errors", &["function"], "events that failed or ran out of time"),
    counter(
        "function_cold_starts",
        &["function"],
        "events that a new process had to be started for",
    ),
    counter("function_init_errors", &["function"], "processes that could not load their handler"),
    counter(
        "function_retries",
        &["function"],
        "asynchronous events that failed and are tried again",
    ),
    counter("function_events_dropped", &["function"], "asynchronous events that were given up"),
    gauge("function_processes", &["function"], "processes of functions now"),
    Metric {
        name: "function_duration_seconds",
        kind: Kind::Histogram,
        labels: &["function"],
        help: "how long events took, without the start of a process",
    },
    counter("api_calls", &["outcome"], "calls to the APIs that ask who calls"),
    counter("trace_spans", &["outcome"], "spans of traces, by what became of them"),
    counter("store_commits", &[], "groups of changes that the realtime store wrote"),
    counter("store_batches", &[], "batches of changes that those were made of"),
    counter("store_written_bytes", &[], "bytes that the realtime store was given to write"),
    gauge("store_waiting_bytes", &[], "bytes that wait to be written to the realtime store"),
    gauge("store_disk_bytes", &[], "bytes of disk that the realtime store takes"),
    gauge("store_failed", &[], "1 once the realtime store can write nothing any more"),
    gauge("cluster_joined", &[], "1 while NATS is reached and the node is in its cluster"),
    gauge("cluster_peers", &[], "the other nodes"),
    counter("cluster_nats_connects", &[], "how often NATS was reached, the first time included"),
    counter("cluster_nodes_declared_dead", &[], "nodes that this one has declared dead"),
    counter("cluster_fenced", &[], "how often this node was declared dead"),
    counter("cluster_link_messages_sent", &[], "messages to other nodes over links"),
    counter("cluster_link_messages_resent", &[], "those that were sent again"),
    counter("cluster_link_messages_received", &[], "messages of other nodes over links"),
    gauge("cluster_link_waiting_bytes", &[], "bytes that other nodes have yet to acknowledge"),
    counter("cluster_requests", &[], "requests to other nodes"),
    counter("cluster_requests_timed_out", &[], "those that had no answer in time"),
    counter("cluster_publications", &[], "publications to other nodes, each to all that it is for"),
    counter("cluster_publications_dropped", &[], "those that could not be sent"),
    counter("cluster_messages_lost", &[], "messages of NATS that this node was too slow for"),
    gauge(
        "certificate_expires_timestamp_seconds",
        &["name"],
        "when a certificate ends, in seconds since the epoch, by the first name in it; of several with that name, the first to end",
    ),
    gauge(
        "certificate_not_before_timestamp_seconds",
        &["name"],
        "when that certificate began, in seconds since the epoch",
    ),
    gauge("process_resident_memory_bytes", &[], "memory of the server itself"),
    gauge("process_open_fds", &[], "descriptors that the server has open"),
    gauge("process_max_fds", &[], "descriptors that it may have open"),
    gauge("process_threads", &[], "threads of the server"),
    counter("process_cpu_seconds", &[], "processor time that the server has used"),
    gauge("process_start_time_seconds", &[], "when the server began, in seconds since the epoch"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_metrics_has_all_of_them_and_no_other() {
        let page = include_str!("../../../../docs/metrics.md");
        let told: Vec<&str> = page.lines().filter(|line| line.starts_with("| `fanwire_")).collect();
        let rows = METRICS.iter().map(|metric| {
            let kind = match metric.kind {
                Kind::Counter => "counter",
                Kind::Gauge => "gauge",
                Kind::Histogram => "histogram",
            };
            let labels: Vec<_> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
            let labels = labels.join(", ");
            format!("| `{}` | {kind} | {labels} | {} |", metric.full_name(), metric.help)
        });
        let rows: Vec<String> = rows.collect();
        assert_eq!(told, rows, "docs/metrics.md is to have:\n{}", rows.join("\n"));
    }
}
