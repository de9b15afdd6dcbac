//! Arbitrary bytes from NATS, which others may reach, too: reading what nodes send each other must
//! not panic or take more room than there are bytes, and what is read must be the same after it
//! is written again.

#![no_main]

use bytes::Bytes;
use fanwire_cluster::fuzzing::link_frame;
use fanwire_realtime::mesh::fuzzing::{frame, is_errand, is_session};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    // What is read may have more than one form, and once it is written it has one.
    if let Some(written) = link_frame(Bytes::copy_from_slice(bytes)) {
        assert_eq!(link_frame(written.clone()), Some(written));
    }
    if let Some(written) = frame(bytes) {
        assert_eq!(frame(&written), Some(written.clone()));
    }
    let _ = (is_session(bytes), is_errand(bytes));
});
