//! What spans look like: names, kinds and attributes, OpenTelemetry's where it has one (its
//! semantic conventions for HTTP, messaging and functions as a service).

use std::borrow::Cow;
use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use fanwire_functions::Invocation;
use fanwire_realtime::{TracedCall, TracedWork};
use fanwire_websocket::{EventType, RequestRecord};
use fanwire_wire::trace::Span;
use http::{Method, StatusCode};
use opentelemetry::trace::{
    SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};

use super::Traces;

static SCOPE: LazyLock<InstrumentationScope> = LazyLock::new(|| {
    InstrumentationScope::builder("fanwire").with_version(env!("CARGO_PKG_VERSION")).build()
});

/// The longest reason that a span has, in bytes; more is cut.
const MAX_REASON_BYTES: usize = 1_024;

/// What a span says, beside where it is in its trace.
struct Told<'a> {
    span: Span,
    name: Cow<'static, str>,
    kind: SpanKind,
    /// How long it took until now.
    took: Duration,
    error: Option<&'a str>,
    attributes: Vec<KeyValue>,
}

impl Traces {
    /// A handshake, message or disconnect is done with.
    pub(in crate::telemetry) fn request(&self, record: &RequestRecord<'_>) {
        let Some(span) = record.span.filter(|span| span.context.sampled) else { return };
        let RequestRecord { api, route_key, connection_id, request_id, status, .. } = *record;
        let mut attributes = vec![
            KeyValue::new("fanwire.api", api.name.clone()),
            KeyValue::new("fanwire.route_key", route_key.to_owned()),
            KeyValue::new("fanwire.connection_id", connection_id.to_owned()),
            KeyValue::new("fanwire.request_id", request_id.to_owned()),
            KeyValue::new("network.protocol.name", "websocket"),
        ];
        if record.event_type == EventType::Connect {
            attributes.push(KeyValue::new("http.request.method", "GET"));
            attributes.push(KeyValue::new("http.response.status_code", i64::from(status)));
        }
        if let Some((code, _)) = record.closed {
            attributes.push(KeyValue::new("fanwire.close_code", i64::from(code)));
        }
        let failed = record.error.or_else(|| (status >= 500).then_some("it failed"));
        self.tell(Told {
            span,
            name: format!("{route_key} {}", api.name).into(),
            kind: SpanKind::Server,
            took: record.duration,
            error: failed,
            attributes,
        });
    }

    /// A function has had an event.
    pub(in crate::telemetry) fn invocation(&self, invocation: &Invocation<'_>) {
        let Invocation { function, arn, request_id, span, took, is_cold, error } = *invocation;
        self.tell(Told {
            span,
            name: function.to_owned().into(),
            kind: SpanKind::Client,
            took,
            error,
            attributes: vec![
                KeyValue::new("faas.invoked_name", function.to_owned()),
                KeyValue::new("faas.invocation_id", request_id.to_owned()),
                KeyValue::new("faas.coldstart", is_cold),
                KeyValue::new("aws.lambda.invoked_arn", arn.to_owned()),
            ],
        });
    }

    /// The realtime plane has called a function.
    pub(in crate::telemetry) fn realtime(&self, call: &TracedCall<'_>) {
        if !call.span.context.sampled {
            return;
        }
        let mut attributes = vec![KeyValue::new("network.protocol.name", "mqtt")];
        if !call.client_id.is_empty() {
            attributes.push(KeyValue::new("messaging.client.id", call.client_id.to_owned()));
        }
        let (name, kind) = match call.what {
            TracedWork::Rule { rule, topic } => {
                attributes.push(KeyValue::new("messaging.system", "mqtt"));
                attributes.push(KeyValue::new("messaging.operation.type", "process"));
                attributes.push(KeyValue::new("messaging.destination.name", topic.to_owned()));
                (format!("process {rule}"), SpanKind::Consumer)
            }
            TracedWork::Authorizer { authorizer } => {
                (format!("authorize {authorizer}"), SpanKind::Server)
            }
        };
        let TracedCall { span, took, error, .. } = *call;
        self.tell(Told { span, name: name.into(), kind, took, error, attributes });
    }

    /// A call to one of the APIs that ask who calls is answered.
    pub(crate) fn call(
        &self,
        span: Span,
        (method, what): (&Method, &'static str),
        status: StatusCode,
        took: Duration,
    ) {
        if !span.context.sampled {
            return;
        }
        self.tell(Told {
            span,
            name: format!("{method} {what}").into(),
            kind: SpanKind::Server,
            took,
            error: status.is_server_error().then_some("it failed"),
            attributes: vec![
                KeyValue::new("http.request.method", method.to_string()),
                KeyValue::new("http.response.status_code", i64::from(status.as_u16())),
                KeyValue::new("http.route", what),
            ],
        });
    }

    fn tell(&self, told: Told<'_>) {
        let Told { span, name, kind, took, error, attributes } = told;
        let end_time = SystemTime::now();
        let context = span.context;
        self.end(SpanData {
            span_context: SpanContext::new(
                TraceId::from_bytes(context.trace_id.to_be_bytes()),
                SpanId::from_bytes(context.span_id.to_be_bytes()),
                TraceFlags::SAMPLED,
                false,
                TraceState::NONE,
            ),
            parent_span_id: span
                .parent
                .map_or(SpanId::INVALID, |parent| SpanId::from_bytes(parent.to_be_bytes())),
            parent_span_is_remote: kind != SpanKind::Client && span.parent.is_some(),
            span_kind: kind,
            name,
            start_time: end_time.checked_sub(took).unwrap_or(end_time),
            end_time,
            attributes,
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: match error {
                Some(why) => Status::error(cut(why).to_owned()),
                None => Status::Unset,
            },
            instrumentation_scope: SCOPE.clone(),
        });
    }
}

fn cut(reason: &str) -> &str {
    &reason[..reason.floor_char_boundary(MAX_REASON_BYTES)]
}
