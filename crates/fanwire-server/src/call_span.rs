//! A call to one of the APIs that ask who calls, as a span of a trace.

use std::sync::Arc;
use std::time::Instant;

use fanwire_wire::trace::Span;
use http::{HeaderName, HeaderValue, Method, Request};

use crate::address::Target;
use crate::response::Answer;
use crate::router::Router;
use crate::telemetry::{Telemetry, parent_of};

/// What functions are told a trace in.
const XRAY: HeaderName = HeaderName::from_static("x-amzn-trace-id");

/// A call, where traces are made.
pub(crate) struct CallSpan {
    telemetry: Arc<Telemetry>,
    span: Span,
    method: Method,
    what: &'static str,
    began: Instant,
}

impl Router {
    /// A call begins. What it leads to finds its span where it looks for the caller's.
    pub(crate) fn begin_call<B>(
        &self,
        target: &Target,
        request: &mut Request<B>,
    ) -> Option<CallSpan> {
        let what = route_of(target)?;
        let span = self.telemetry().traces()?.begin(parent_of(request.headers()));
        if let Ok(header) = HeaderValue::try_from(span.context.xray()) {
            request.headers_mut().insert(XRAY, header);
        }
        Some(CallSpan {
            telemetry: Arc::clone(self.telemetry()),
            span,
            method: request.method().clone(),
            what,
            began: Instant::now(),
        })
    }
}

// === impl CallSpan ===

impl CallSpan {
    pub(crate) fn end(self, answer: &Answer) {
        if let Some(traces) = self.telemetry.traces() {
            let call = (&self.method, self.what);
            traces.call(self.span, call, answer.status(), self.began.elapsed());
        }
    }
}

/// The calls that backends make; not those of whoever looks after the server.
fn route_of(target: &Target) -> Option<&'static str> {
    match target {
        Target::Connection(..) => Some("/@connections/{id}"),
        Target::Groups(..) => Some("/@connections/{id}/{groups}"),
        Target::Connections(_) => Some("/@connections"),
        Target::Invoke(_) | Target::InvokeAsync(_) => Some("/functions/{name}/invocations"),
        Target::DynamoDb => Some("/dynamodb"),
        Target::IotData => Some("/iot-data"),
        _ => None,
    }
}
