//! Where a piece of work is in a trace, as it is told from one process to the next: W3C's
//! `traceparent` (Trace Context, 3.2) and the header of AWS X-Ray, which is what functions get.
//!
//! Both name the same two things: the trace, by 16 bytes, and the span that the work is a part
//! of, by 8. X-Ray's trace ids begin with the time in seconds; those that begin here do, too.

use std::fmt::Write as _;
use std::num::NonZeroU64;

/// A trace, and the span in it that what follows is a part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceContext {
    /// The trace. Never 0.
    pub trace_id: u128,
    /// The span. Never 0.
    pub span_id: u64,
    /// Whether spans of the trace are kept.
    pub sampled: bool,
}

/// A span that is begun: where it is in its trace, and what it is a part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// What is told to whatever is a part of it.
    pub context: TraceContext,
    /// The span that it is a part of; `None` where it is the first of its trace.
    pub parent: Option<u64>,
}

/// The bit of `traceparent` that says whether spans are kept.
const SAMPLED: u8 = 1;

// === impl TraceContext ===

impl TraceContext {
    /// Reads a `traceparent`. Versions to come may have more behind it; `None` where it is not
    /// one, and then a new trace begins (Trace Context, 3.2.2 and 4.3).
    pub fn from_traceparent(header: &str) -> Option<Self> {
        let mut parts = header.trim().split('-');
        let version = hex(parts.next()?, 2)?;
        let trace_id = hex(parts.next()?, 32)?;
        let span_id = u64::try_from(hex(parts.next()?, 16)?).ok()?;
        let flags = u8::try_from(hex(parts.next()?, 2)?).ok()?;
        let is_known = version == 0;
        if version == 0xff || (is_known && parts.next().is_some()) {
            return None;
        }
        Self { trace_id, span_id, sampled: flags & SAMPLED != 0 }.valid()
    }

    /// Reads an X-Ray header that names a span: `Root=1-…-…;Parent=…;Sampled=1`, in any order,
    /// with anything else between. `None` where it is not one, or names only a trace.
    pub fn from_xray(header: &str) -> Option<Self> {
        let field = |name: &str| {
            header.split(';').find_map(|field| field.trim().strip_prefix(name)?.strip_prefix('='))
        };
        let (seconds, rest) = field("Root")?.strip_prefix("1-")?.split_once('-')?;
        let trace_id = hex(seconds, 8)? << 96 | hex(rest, 24)?;
        let span_id = u64::try_from(hex(field("Parent")?, 16)?).ok()?;
        Self { trace_id, span_id, sampled: field("Sampled") == Some("1") }.valid()
    }

    /// As a `traceparent`.
    pub fn traceparent(&self) -> String {
        let flags = if self.sampled { SAMPLED } else { 0 };
        format!("00-{:032x}-{:016x}-{flags:02x}", self.trace_id, self.span_id)
    }

    /// As an X-Ray header.
    pub fn xray(&self) -> String {
        let (trace, mut header) = (format!("{:032x}", self.trace_id), String::with_capacity(74));
        let (seconds, rest) = trace.split_at(8);
        let sampled = u8::from(self.sampled);
        // A String takes whatever is written.
        let _ = write!(
            header,
            "Root=1-{seconds}-{rest};Parent={:016x};Sampled={sampled}",
            self.span_id
        );
        header
    }

    /// A span that is a part of this one, under a name of its own.
    pub fn child(&self, span_id: NonZeroU64) -> Span {
        let context = Self { span_id: span_id.get(), ..*self };
        Span { context, parent: Some(self.span_id) }
    }

    fn valid(self) -> Option<Self> {
        (self.trace_id != 0 && self.span_id != 0).then_some(self)
    }
}

/// Exactly so many lower-case digits (Trace Context, 3.2.2.1: others are not to be taken).
fn hex(text: &str, digits: usize) -> Option<u128> {
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if text.len() != digits || !text.bytes().all(is_hex) {
        return None;
    }
    u128::from_str_radix(text, 16).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The example of Trace Context, 3.2.3.
    const EXAMPLE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn the_example_of_the_specification_is_read_and_written() {
        let context = TraceContext::from_traceparent(EXAMPLE).unwrap();
        assert_eq!(context.traceparent(), EXAMPLE);
        let xray = "Root=1-4bf92f35-77b34da6a3ce929d0e0e4736;Parent=00f067aa0ba902b7;Sampled=1";
        assert_eq!(context.xray(), xray);
    }

    #[test]
    fn what_is_no_traceparent_is_none() {
        let later = format!("{}-more", EXAMPLE.replace("00-4", "cc-4"));
        assert!(TraceContext::from_traceparent(&later).is_some());
        for wrong in [
            "",
            "00",
            &EXAMPLE.replace("00-4", "ff-4"),
            &EXAMPLE.to_uppercase(),
            &format!("{EXAMPLE}-more"),
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b-01",
            "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(TraceContext::from_traceparent(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn an_xray_header_without_a_span_is_none() {
        let of = |header| TraceContext::from_xray(header);
        assert_eq!(of("Root=1-4bf92f35-77b34da6a3ce929d0e0e4736"), None);
        assert_eq!(of("Parent=00f067aa0ba902b7;Sampled=1"), None);
        let found =
            of("Self=1-x; Parent=00f067aa0ba902b7;Root=1-4bf92f35-77b34da6a3ce929d0e0e4736");
        assert!(!found.unwrap().sampled);
    }

    proptest! {
        #[test]
        fn both_forms_come_back_as_they_were(trace_id in 1u128.., span_id in 1u64.., sampled: bool) {
            let context = TraceContext { trace_id, span_id, sampled };
            prop_assert_eq!(TraceContext::from_traceparent(&context.traceparent()), Some(context));
            prop_assert_eq!(TraceContext::from_xray(&context.xray()), Some(context));
        }

        #[test]
        fn any_text_is_a_context_or_none(text: String) {
            let _ = (TraceContext::from_traceparent(&text), TraceContext::from_xray(&text));
        }
    }
}
