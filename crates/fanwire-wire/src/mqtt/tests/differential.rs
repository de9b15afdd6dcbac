//! Another implementation, rmqtt-codec, must read the same in what is accepted, and
//! accept nothing that is refused but for the faults that are listed here.

mod peer;

use proptest::prelude::*;

use super::*;
use Version::{V3_1, V3_1_1, V5};
use peer::{Theirs, in_their_terms, their_reading};

/// What both sides make of a client's packet.
struct Readings {
    ours: Result<Theirs, DecodeError>,
    theirs: Option<Theirs>,
    /// Whether the standard allows it and they refuse it all the same.
    beyond_them: bool,
}

fn readings(version: Version, bytes: &[u8]) -> Readings {
    let frame = match frame(bytes) {
        Ok(frame) => frame,
        Err(error) => {
            let theirs = their_reading(version, bytes);
            return Readings { ours: Err(error), theirs, beyond_them: false };
        }
    };
    // A CONNECT says for itself which version it is. They have one codec for the older
    // two, which takes either name for either.
    let version = match frame.first {
        0x10 => frame.connect_version().unwrap_or(version),
        _ => version,
    };
    let read = frame.decode(version);
    Readings {
        beyond_them: read.as_ref().is_ok_and(|packet| is_beyond_them(packet, version, bytes)),
        ours: read.map(|packet| in_their_terms(&packet, version)),
        theirs: their_reading(version, bytes),
    }
}

/// What the standard allows and they refuse: an expiry of 0 seconds, a client of MQTT 5
/// that wants to go on with a session whose id the server is to choose, and what only
/// MQTT 3.1 has.
fn is_beyond_them(packet: &Packet<'_>, version: Version, bytes: &[u8]) -> bool {
    let expired = |properties: &MessageProperties<'_>| properties.message_expiry == Some(0);
    match packet {
        Packet::Publish(publish) if expired(&publish.properties) => true,
        Packet::Connect(connect) if connect.will.is_some_and(|it| expired(&it.properties)) => true,
        Packet::Connect(connect) if connect.client_id.is_empty() && !connect.clean_start => true,
        packet => version == V3_1 && packets::encode(packet, version) != bytes,
    }
}

/// The faults that they let through: how ours is called, and a packet that has it.
fn lenient() -> Vec<(&'static str, Version, Vec<u8>)> {
    let (id, topic) = (field("c"), field("a"));
    let connect = |version: Version, flags: u8, rest: &[u8]| {
        let start = [&field(version.protocol_name())[..], &[version.level(), flags, 0, 9]].concat();
        packet(0x10, &[&start, rest])
    };
    let publish =
        |topic: &str, properties: &[u8]| packet(0x30, &[&field(topic), &section(&[properties])]);
    let subscribe =
        |filter: &str, options: u8| packet(0x82, &[&[0, 1, 0], &field(filter), &[options]]);
    vec![
        ("a length in more bytes than it needs", V3_1_1, vec![0xC0, 0x80, 0x00]),
        ("a ping with a body", V5, packet(0xC0, &[&[0]])),
        ("bytes after the end of a packet", V3_1_1, packet(0xE0, &[&[0]])),
        ("bytes after the end of a packet", V3_1_1, connect(V3_1_1, 2, &[&id[..], &[0]].concat())),
        ("bytes after the end of a packet", V5, connect(V5, 2, &[&[0], &id[..], &[0]].concat())),
        ("a packet that only the other side sends", V5, packet(0x20, &[&[0, 0, 0]])),
        (
            "a protocol name and level other than those of MQTT 3.1, 3.1.1 and 5.0",
            V3_1_1,
            packet(0x10, &[&field("MQTT"), &[3, 2, 0, 9], &id]),
        ),
        ("flags of a will without a will", V5, connect(V5, 0x22, &[&[0], &id[..]].concat())),
        ("a will with QoS 3", V5, connect(V5, 0x1A, &[&[0], &id[..]].concat())),
        (
            "a password without a user name",
            V3_1_1,
            connect(V3_1_1, 0x42, &[&id[..], &field("secret")].concat()),
        ),
        ("no client id, where there has to be one", V3_1, connect(V3_1, 2, &field(""))),
        (
            "authentication data without a method",
            V5,
            connect(V5, 2, &[section(&[&property(0x16, "d")]), id.clone()].concat()),
        ),
        ("a text with U+0000", V3_1_1, connect(V3_1_1, 2, &field("c\0"))),
        ("a PUBLISH with QoS 0 that is a duplicate", V3_1_1, packet(0x38, &[&topic])),
        ("neither a topic name nor a topic alias", V5, publish("", &[])),
        ("a subscription id from a client", V5, publish("a", &[0x0B, 1])),
        (topic::TopicError::Null.what(), V5, publish("a\0", &[])),
        (topic::TopicError::WildcardInName.what(), V5, publish("a/+", &[])),
        (topic::TopicError::Empty.what(), V5, subscribe("", 0)),
        (topic::TopicError::WildcardWithinLevel.what(), V5, subscribe("a+", 0)),
        (topic::TopicError::HashNotLast.what(), V5, subscribe("a/#/b", 0)),
        (topic::TopicError::ShareGroup.what(), V5, subscribe("$share//t", 0)),
        (topic::TopicError::ShareFilter.what(), V5, subscribe("$share/g", 0)),
        ("a shared subscription with no-local", V5, subscribe("$share/g/t", 0x04)),
        (
            "reserved bits in the options of a subscription",
            V3_1_1,
            packet(0x82, &[&[0, 1], &topic, &[0x10]]),
        ),
        ("a reason code that this packet does not have", V5, packet(0xE0, &[&[0x8B]])),
        ("an AUTH without an authentication method", V5, packet(0xF0, &[&[0x18, 0]])),
    ]
}

#[test]
fn each_fault_that_they_let_through_is_refused() {
    for (what, version, bytes) in lenient() {
        let Readings { ours, theirs, .. } = readings(version, &bytes);
        assert_eq!(ours.unwrap_err().what, what, "{bytes:02x?}");
        assert!(theirs.is_some(), "they have become stricter: {what}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn they_read_the_same_packets_and_refuse_the_same_but_for_listed_faults(
        (version, bytes) in packets::version()
            .prop_flat_map(|version| (Just(version), packets::mutated(version))),
    ) {
        let Readings { ours, theirs, beyond_them } = readings(version, &bytes);
        match (ours, theirs) {
            (Ok(ours), Some(theirs)) => prop_assert_eq!(ours, theirs),
            (Ok(ours), None) => prop_assert!(beyond_them, "they refuse {ours:?}"),
            (Err(_), None) => {}
            (Err(error), Some(theirs)) => {
                let listed = lenient().iter().any(|(what, _, _)| *what == error.what);
                prop_assert!(listed, "{error}, which they read as {theirs:?}");
            }
        }
    }
}
