//! Faults of the first packet.

use super::*;

fn check_connects(faults: impl IntoIterator<Item = Fault>) {
    check(faults, |fault| frame(&fault.bytes).and_then(|frame| frame.connect().map(drop)).err());
}

/// A CONNECT with these flags, properties (from MQTT 5 on) and payload.
fn connect(version: Version, flags: u8, properties: &[&[u8]], payload: &[&[u8]]) -> Vec<u8> {
    let name = field(version.protocol_name());
    let section = if version == V5 { section(properties) } else { Vec::new() };
    packet(0x10, &[&name, &[version.level(), flags, 0, 60], &section, &payload.concat()])
}

#[test]
fn first_packets_that_are_no_connect() {
    for bytes in [vec![0xC0, 0], publish("a", &[]), subscribe(V3_1_1, "a", 0)] {
        let what = "a first packet that is not CONNECT";
        check_connects([fault(V5, bytes, R::ProtocolError, what)]);
    }
    let mut flagged = connect(V5, 2, &[], &[&field("c")]);
    flagged[0] = 0x11;
    check_connects([fault(V5, flagged, R::MalformedPacket, "reserved flags")]);
}

#[test]
fn protocols_that_are_not_spoken() {
    let rest = [0x02, 0, 60, 0, 0, 0];
    for (name, level) in [
        ("MQTT", 3),
        ("MQTT", 0),
        ("MQTT", 6),
        ("MQTT", 0x84),
        ("MQIsdp", 4),
        ("mqtt", 4),
        ("HTTP", 5),
        ("", 4),
    ] {
        let bytes = packet(0x10, &[&field(name), &[level], &rest]);
        assert_eq!(frame(&bytes).unwrap().connect_version(), None);
        let what = "other than those of MQTT";
        check_connects([fault(V5, bytes, R::UnsupportedProtocolVersion, what)]);
    }
}

#[test]
fn connect_flags() {
    for version in VERSIONS {
        let id = field("c");
        for (flags, what) in [
            (0x03, "its reserved flag"),
            (0x1E, "a will with QoS 3"),
            (0x1A, "a will with QoS 3"),
            (0x0A, "flags of a will without a will"),
            (0x12, "flags of a will without a will"),
            (0x22, "flags of a will without a will"),
        ] {
            let bytes = connect(version, flags, &[], &[&id]);
            assert_eq!(frame(&bytes).unwrap().connect_version(), Some(version));
            check_connects([fault(version, bytes, R::MalformedPacket, what)]);
        }
        if version != V5 {
            let bytes = connect(version, 0x42, &[], &[&id, &field("secret")]);
            let what = "a password without a user name";
            check_connects([fault(version, bytes, R::MalformedPacket, what)]);
        }
    }
}

#[test]
fn connect_payloads() {
    let (id, topic, text) = (field("c"), field("will"), field("x"));
    let invalid = R::ClientIdentifierNotValid;
    check_connects([
        fault(V3_1, connect(V3_1, 0x02, &[], &[&field("")]), invalid, "no client id"),
        fault(V3_1_1, connect(V3_1_1, 0x00, &[], &[&field("")]), invalid, "no client id"),
    ]);
    for version in VERSIONS {
        let no_properties: &[u8] = if version == V5 { &[0] } else { &[] };
        let will = |topic: &[u8]| [no_properties, topic, &text].concat();
        for (flags, payload, reason, what) in [
            (0x02, vec![], R::MalformedPacket, "ends within a field"),
            (0x02, field("c\0"), R::MalformedPacket, "U+0000"),
            (0x02, field(b"\xFF"), R::MalformedPacket, "not UTF-8"),
            (0x02, [&id[..], &text].concat(), R::MalformedPacket, "bytes after the end"),
            (0x06, [&id[..], &will(&field("a/#"))].concat(), R::TopicNameInvalid, "+ or #"),
            (0x06, [&id[..], &will(&field(""))].concat(), R::TopicNameInvalid, "an empty topic"),
            (0x06, [&id[..], &will(&field("\0"))].concat(), R::MalformedPacket, "U+0000"),
            (0x06, [&id[..], no_properties, &topic].concat(), R::MalformedPacket, "within a field"),
            (0x82, [&id[..], &field("u\0")].concat(), R::MalformedPacket, "U+0000"),
            (0x82, [&id[..], &field(b"\xFF")].concat(), R::MalformedPacket, "not UTF-8"),
            (0x82, [&id[..], &[0, 2, b'a']].concat(), R::MalformedPacket, "within a field"),
            (0xC2, [&id[..], &text, &[0, 2, b'a']].concat(), R::MalformedPacket, "within a field"),
        ] {
            let bytes = connect(version, flags, &[], &[&payload]);
            check_connects([fault(version, bytes, reason, what)]);
        }
    }
    for version in [V3_1_1, V5] {
        let bytes = connect(version, 0x82, &[], &[&id]);
        check_connects([fault(version, bytes, R::MalformedPacket, "within a field")]);
    }
}

#[test]
fn connect_properties() {
    let id = field("c");
    let twice: [Vec<u8>; 8] = [
        vec![0x11, 0, 0, 0, 1],
        vec![0x21, 0, 1],
        vec![0x27, 0, 0, 0, 1],
        vec![0x22, 0, 1],
        vec![0x19, 1],
        vec![0x17, 1],
        property(0x15, "m"),
        property(0x16, "d"),
    ];
    for property in &twice {
        let bytes = connect(V5, 0x02, &[property, property], &[&id]);
        check_connects([fault(V5, bytes, R::ProtocolError, "comes twice")]);
    }
    for (property, reason, what) in [
        (vec![0x21, 0, 0], R::ProtocolError, "a receive maximum of 0"),
        (vec![0x27, 0, 0, 0, 0], R::ProtocolError, "a maximum packet size of 0"),
        (vec![0x17, 2], R::ProtocolError, "neither 0 nor 1"),
        (vec![0x19, 2], R::ProtocolError, "neither 0 nor 1"),
        (property(0x16, "d"), R::ProtocolError, "without a method"),
        (property(0x12, "c"), R::MalformedPacket, "does not have"),
        (vec![0x18, 0, 0, 0, 1], R::MalformedPacket, "does not have"),
        (vec![0x23, 0, 1], R::MalformedPacket, "does not have"),
        (vec![0x11, 0], R::MalformedPacket, "within a field"),
    ] {
        let bytes = connect(V5, 0x02, &[&property], &[&id]);
        check_connects([fault(V5, bytes, reason, what)]);
    }
    let (topic, payload, delay) = (field("will"), field("x"), [0x18, 0, 0, 0, 1]);
    for (properties, reason, what) in [
        (vec![&delay[..], &delay], R::ProtocolError, "comes twice"),
        (vec![&[0x01, 2]], R::ProtocolError, "neither 0 nor 1"),
        (vec![&[0x23, 0, 1]], R::MalformedPacket, "does not have"),
        (vec![&[0x0B, 1]], R::MalformedPacket, "does not have"),
        (vec![&[0x08, 0, 1, b'#']], R::TopicNameInvalid, "with + or #"),
    ] {
        let payload = [&id[..], &section(&properties), &topic, &payload].concat();
        let bytes = connect(V5, 0x06, &[], &[&payload]);
        check_connects([fault(V5, bytes, reason, what)]);
    }
}
