//! What the compiler refuses of realtime apps, and what it says.

#[test]
fn a_wrong_topic_or_payload_does_not_compile() {
    trybuild::TestCases::new().compile_fail("tests/realtime/*.rs");
}
