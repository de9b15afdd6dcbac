//! An event as a span of a trace.

use std::time::Instant;

use fanwire_wire::trace::Span;

use crate::observer::Invocation;
use crate::outcome::{InvokeError, Outcome};
use crate::payload;
use crate::spec::Spec;

/// An event that is part of a trace. Told when it ends, or when nobody waits for it any more.
pub(crate) struct Tracing<'a> {
    spec: &'a Spec,
    request_id: &'a str,
    span: Span,
    began: Instant,
    is_told: bool,
}

/// What is said of an event whose caller has gone. It runs to its end all the same.
const NOBODY_WAITS: &str = "nobody waited for its end: it took longer than its route may";

// === impl Tracing ===

impl<'a> Tracing<'a> {
    pub(crate) fn begin(spec: &'a Spec, request_id: &'a str, span: Span) -> Self {
        Self { spec, request_id, span, began: Instant::now(), is_told: false }
    }

    pub(crate) fn end(mut self, outcome: &Result<Outcome, InvokeError>) {
        match outcome {
            Ok(outcome) => {
                let error = outcome.error.map(|_| payload::summary(&outcome.payload));
                self.tell(outcome.init_duration.is_some(), error.as_deref());
            }
            Err(error) => self.tell(false, Some(&error.to_string())),
        }
    }

    fn tell(&mut self, is_cold: bool, error: Option<&str>) {
        self.is_told = true;
        self.spec.observer.traced(&Invocation {
            function: &self.spec.key,
            arn: &self.spec.arn,
            request_id: self.request_id,
            span: self.span,
            took: self.began.elapsed(),
            is_cold,
            error,
        });
    }
}

impl Drop for Tracing<'_> {
    fn drop(&mut self) {
        if !self.is_told {
            self.tell(false, Some(NOBODY_WAITS));
        }
    }
}
