//! Arbitrary headers that say what trace a request is part of: reading them must not panic, and
//! what is read must be the same after it is written again, in either form.

#![no_main]

use fanwire_wire::trace::TraceContext;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|header: &str| {
    for read in [TraceContext::from_traceparent(header), TraceContext::from_xray(header)] {
        let Some(context) = read else { continue };
        assert_eq!(TraceContext::from_traceparent(&context.traceparent()), Some(context));
        assert_eq!(TraceContext::from_xray(&context.xray()), Some(context));
    }
});
