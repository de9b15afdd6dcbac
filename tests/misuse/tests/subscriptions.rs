//! Mistakes in subscriptions that do not compile, and what the compiler says of them. After a
//! change of its words, `TRYBUILD=overwrite` writes them anew, to be looked at.

#[test]
fn mistakes_in_subscriptions_do_not_compile() {
    trybuild::TestCases::new().compile_fail("tests/subscriptions/*.rs");
}
