//! Arbitrary beginnings of connections behind a proxy: reading their PROXY header must not
//! panic, must come to an end within bounds, and must not want bytes for nothing.

#![no_main]

use fanwire_wire::proxy::{Progress, read};
use libfuzzer_sys::fuzz_target;

/// The longest header of version 2 that is taken.
const MAX_HEADER: usize = 16 + 4096;

fuzz_target!(|bytes: &[u8]| {
    let mut taken = 0;
    while let Ok(Progress::Wants(more)) = read(&bytes[..taken]) {
        assert!(more > 0);
        taken += more;
        assert!(taken <= MAX_HEADER);
        if taken > bytes.len() {
            break;
        }
    }
});
