//! Mistakes that do not compile, and what the compiler says of them.
//!
//! Without the server, since each dependency is checked once more for this:
//! `cargo test -p fanwire --no-default-features --test compile_fail`. After a change of the
//! compiler's words, the same with `TRYBUILD=overwrite` writes them anew, to be looked at.

#![cfg(not(feature = "server"))]

#[test]
fn mistakes_in_subscriptions_do_not_compile() {
    trybuild::TestCases::new().compile_fail("tests/compile_fail/*.rs");
}
