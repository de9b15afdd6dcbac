//! What a rule needs of functions.

use bytes::Bytes;
use fanwire_functions::{Functions, InvokeError, InvokeOptions};
use fanwire_wire::trace::Span;

/// Takes events for functions.
pub(super) trait Invoke: Send + Sync + 'static {
    /// Takes an event, to be run, and tried again, later; as part of a span where there is one.
    fn invoke_event(&self, key: &str, event: Bytes, span: Option<Span>) -> Result<(), InvokeError>;

    /// A function's ARN, if there is such a function.
    fn arn(&self, key: &str) -> Option<String>;
}

impl Invoke for Functions {
    fn invoke_event(&self, key: &str, event: Bytes, span: Option<Span>) -> Result<(), InvokeError> {
        let trace_id = span.map(|span| span.context.xray());
        let options = InvokeOptions { trace_id, ..InvokeOptions::default() };
        Functions::invoke_event(self, key, event, options).map(drop)
    }

    fn arn(&self, key: &str) -> Option<String> {
        Functions::arn(self, key)
    }
}
