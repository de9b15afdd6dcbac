//! What no client may send, and the reason code that it is refused with.

mod connect;

use super::*;
use ReasonCode as R;
use Version::{V3_1, V3_1_1, V5};

/// A fault: what a client of this version sends, and what it is refused for.
struct Fault {
    version: Version,
    bytes: Vec<u8>,
    reason: ReasonCode,
    what: &'static str,
}

fn fault(version: Version, bytes: Vec<u8>, reason: ReasonCode, what: &'static str) -> Fault {
    Fault { version, bytes, reason, what }
}

/// The same fault in all versions.
fn in_all(bytes: &[u8], reason: ReasonCode, what: &'static str) -> [Fault; 3] {
    VERSIONS.map(|version| fault(version, bytes.to_vec(), reason, what))
}

/// Refuses all of these, and for what they are there for.
fn check(faults: impl IntoIterator<Item = Fault>, decode: impl Fn(&Fault) -> Option<DecodeError>) {
    for fault in faults {
        let Fault { version, bytes, reason, what } = &fault;
        let error = decode(&fault);
        let told = error.map(|error| (error.reason, error.what.contains(what)));
        assert_eq!(told, Some((*reason, true)), "{version}, {what}: {error:?}\n{bytes:02x?}");
    }
}

fn check_packets(faults: impl IntoIterator<Item = Fault>) {
    check(faults, |fault| {
        frame(&fault.bytes).and_then(|frame| frame.decode(fault.version).map(drop)).err()
    });
}

/// A PUBLISH of MQTT 5 with QoS 0 and these properties.
fn publish(topic: &str, properties: &[&[u8]]) -> Vec<u8> {
    packet(0x30, &[&field(topic), &section(properties), b"payload"])
}

/// A SUBSCRIBE to one filter.
fn subscribe(version: Version, filter: impl AsRef<[u8]>, options: u8) -> Vec<u8> {
    let section: &[u8] = if version == V5 { &[0] } else { &[] };
    packet(0x82, &[&[0, 1], section, &field(filter), &[options]])
}

#[test]
fn types_and_flags_that_do_not_exist() {
    let mut faults = Vec::new();
    faults.extend(in_all(&[0x00, 0], R::MalformedPacket, "reserved type 0"));
    faults.extend(
        [V3_1, V3_1_1].map(|version| {
            fault(version, vec![0xF0, 0], R::MalformedPacket, "type 15 before MQTT 5")
        }),
    );
    let flags = "reserved flags";
    for first in [0x11, 0x41, 0x44, 0x51, 0x60, 0x63, 0x71, 0x80, 0x83, 0xA0, 0xA3, 0xC1, 0xE1] {
        let bytes = packet(first, &[&[0, 1]]);
        faults.extend(in_all(&bytes, R::MalformedPacket, flags));
    }
    for first in [0x6A, 0x8A, 0xAA] {
        let bytes = packet(first, &[&[0, 1]]);
        faults.extend(
            [V3_1_1, V5].map(|version| fault(version, bytes.clone(), R::MalformedPacket, flags)),
        );
    }
    faults.push(fault(V5, vec![0xF1, 0], R::MalformedPacket, flags));
    check_packets(faults);
}

#[test]
fn packets_of_servers() {
    for bytes in [
        packet(0x20, &[&[0, 0, 0]]),
        packet(0x90, &[&[0, 1, 0, 0]]),
        packet(0xB0, &[&[0, 1, 0, 0]]),
        packet(0xD0, &[]),
    ] {
        check_packets(in_all(&bytes, R::ProtocolError, "only the other side"));
    }
}

#[test]
fn lengths_of_packets() {
    for bytes in [&[0xC0, 0x80, 0x00][..], &[0xC0, 0x80, 0x80, 0x00]] {
        check_packets(in_all(bytes, R::MalformedPacket, "more bytes than it needs"));
    }
    let endless = [0xC0, 0x80, 0x80, 0x80, 0x80, 0x01];
    check_packets(in_all(&endless, R::MalformedPacket, "more than four bytes"));
}

#[test]
fn packets_that_end_early_or_late() {
    let cut = "ends within a field";
    let late = "bytes after the end";
    let mut faults = Vec::new();
    for first in [0x40, 0x50, 0x62, 0x70, 0x82, 0xA2] {
        for body in [&[][..], &[0]] {
            faults.extend(in_all(&packet(first, &[body]), R::MalformedPacket, cut));
        }
    }
    for bytes in [
        packet(0x30, &[]),
        packet(0x30, &[&[0]]),
        packet(0x30, &[&[0, 2, b'a']]),
        packet(0x32, &[&[0, 1, b'a', 0]]),
        packet(0x32, &[&[0, 1, b'a']]),
    ] {
        faults.extend(in_all(&bytes, R::MalformedPacket, cut));
    }
    for version in [V3_1, V3_1_1] {
        for first in [0x40, 0x50, 0x62, 0x70] {
            let bytes = packet(first, &[&[0, 1, 0]]);
            faults.push(fault(version, bytes, R::MalformedPacket, late));
        }
        faults.push(fault(version, vec![0xE0, 1, 0], R::MalformedPacket, late));
        let no_options = packet(0x82, &[&[0, 1], &field("a")]);
        faults.push(fault(version, no_options, R::MalformedPacket, cut));
        let half_a_filter = packet(0xA2, &[&[0, 1, 0, 3, b'a']]);
        faults.push(fault(version, half_a_filter, R::MalformedPacket, cut));
    }
    for (bytes, what) in [
        (packet(0x40, &[&[0, 1, 0, 0, 0]]), late),
        (packet(0x40, &[&[0, 1, 0, 5]]), cut),
        (packet(0xE0, &[&[0, 0, 0]]), late),
        (packet(0xE0, &[&[0, 9]]), cut),
        (packet(0xF0, &[&[0x18]]), cut),
        (packet(0xF0, &[&[0x18], &section(&[&property(0x15, "m")]), &[0]]), late),
        (packet(0x30, &[&field("a")]), cut),
        (packet(0x30, &[&field("a"), &[2, 0x01]]), cut),
        (packet(0x82, &[&[0, 1]]), cut),
        (packet(0x82, &[&[0, 1, 0], &field("a")]), cut),
        (packet(0xA2, &[&[0, 1, 0, 0, 3, b'a']]), cut),
    ] {
        faults.push(fault(V5, bytes, R::MalformedPacket, what));
    }
    faults.extend(in_all(&packet(0xC0, &[&[0]]), R::MalformedPacket, "a ping with a body"));
    check_packets(faults);
}

#[test]
fn packet_ids_of_0() {
    for first in [0x40, 0x50, 0x62, 0x70, 0x82, 0xA2] {
        let bytes = packet(first, &[&[0, 0, 0]]);
        check_packets(in_all(&bytes, R::ProtocolError, "a packet id of 0"));
    }
    for first in [0x32, 0x34, 0x3A] {
        let bytes = packet(first, &[&field("a"), &[0, 0, 0]]);
        check_packets(in_all(&bytes, R::ProtocolError, "a packet id of 0"));
    }
}

#[test]
fn publish_flags() {
    for first in [0x36, 0x37, 0x3E, 0x3F] {
        let bytes = packet(first, &[&field("a"), &[0, 1, 0]]);
        check_packets(in_all(&bytes, R::MalformedPacket, "QoS 3"));
    }
    for first in [0x38, 0x39] {
        let bytes = packet(first, &[&field("a"), &[0]]);
        check_packets(in_all(&bytes, R::MalformedPacket, "QoS 0 that is a duplicate"));
    }
}

#[test]
fn topic_names() {
    let mut faults = Vec::new();
    for topic in ["+", "#", "a/+", "a/#", "a+b", "#a"] {
        let bytes = packet(0x30, &[&field(topic), &[0]]);
        faults.extend(in_all(&bytes, R::TopicNameInvalid, "topic name with + or #"));
    }
    let null = packet(0x30, &[&field("a\0b"), &[0]]);
    faults.extend(in_all(&null, R::MalformedPacket, "U+0000"));
    for text in NOT_UTF8 {
        let bytes = packet(0x30, &[&field(text), &[0]]);
        faults.extend(in_all(&bytes, R::MalformedPacket, "not UTF-8"));
    }
    for version in [V3_1, V3_1_1] {
        let bytes = packet(0x30, &[&field("")]);
        faults.push(fault(version, bytes, R::TopicNameInvalid, "an empty topic"));
    }
    faults.push(fault(V5, publish("", &[]), R::ProtocolError, "neither a topic name nor"));
    check_packets(faults);
}

/// A lone continuation, an overlong slash, a surrogate, a code point past the last, a
/// character that is cut short.
const NOT_UTF8: [&[u8]; 5] =
    [b"a\x80", b"\xC0\xAF", b"\xED\xA0\x80", b"\xF4\x90\x80\x80", b"a\xE2\x82"];

#[test]
fn topic_filters() {
    for version in VERSIONS {
        for (filter, reason, what) in [
            (&b"a/#/b"[..], R::TopicFilterInvalid, "levels after #"),
            (b"a+", R::TopicFilterInvalid, "beside other characters"),
            (b"a/b#", R::TopicFilterInvalid, "beside other characters"),
            (b"", R::TopicFilterInvalid, "an empty topic"),
            (b"a\0", R::MalformedPacket, "U+0000"),
            (b"a\xFF", R::MalformedPacket, "not UTF-8"),
            (b"$share//t", R::TopicFilterInvalid, "without a group"),
            (b"$share/+/t", R::TopicFilterInvalid, "wildcard in it"),
            (b"$share/g", R::TopicFilterInvalid, "without a filter"),
            (b"$share/g/", R::TopicFilterInvalid, "without a filter"),
            (b"$share/g/a#", R::TopicFilterInvalid, "beside other characters"),
        ] {
            let section: &[u8] = if version == V5 { &[0] } else { &[] };
            let unsubscribe = packet(0xA2, &[&[0, 1], section, &field(filter)]);
            let second = packet(0x82, &[&[0, 1], section, &field("a"), &[0], &field(filter), &[0]]);
            check_packets(
                [subscribe(version, filter, 0), second, unsubscribe]
                    .map(|bytes| fault(version, bytes, reason, what)),
            );
        }
    }
}

#[test]
fn subscriptions() {
    let reserved = "reserved bits in the options";
    let mut faults = Vec::new();
    for version in VERSIONS {
        let qos_3 = subscribe(version, "a", 3);
        faults.push(fault(version, qos_3, R::ProtocolError, "QoS 3"));
        let section: &[u8] = if version == V5 { &[0] } else { &[] };
        for first in [0x82, 0xA2] {
            let empty = packet(first, &[&[0, 1], section]);
            faults.push(fault(version, empty, R::ProtocolError, "without topic filters"));
        }
        for options in [0x40, 0x80, 0xC1] {
            let bytes = subscribe(version, "a", options);
            faults.push(fault(version, bytes, R::MalformedPacket, reserved));
        }
    }
    for options in [0x04, 0x08, 0x10, 0x20] {
        for version in [V3_1, V3_1_1] {
            let bytes = subscribe(version, "a", options);
            faults.push(fault(version, bytes, R::MalformedPacket, reserved));
        }
    }
    let retain_3 = subscribe(V5, "a", 0x30);
    faults.push(fault(V5, retain_3, R::ProtocolError, "retain handling of 3"));
    let shared = subscribe(V5, "$share/g/a", 0x05);
    faults.push(fault(V5, shared, R::ProtocolError, "shared subscription with no-local"));
    for (properties, reason, what) in [
        (&[0x0B, 0x00][..], R::ProtocolError, "a subscription id of 0"),
        (&[0x0B, 1, 0x0B, 2], R::ProtocolError, "comes twice"),
        (&[0x0B, 0x80, 0x00], R::MalformedPacket, "more bytes than it needs"),
        (&[0x0B, 0x80, 0x80, 0x80, 0x80, 1], R::MalformedPacket, "more than four bytes"),
        (&[0x23, 0, 1], R::MalformedPacket, "does not have"),
    ] {
        let bytes = packet(0x82, &[&[0, 1], &section(&[properties]), &field("a"), &[0]]);
        faults.push(fault(V5, bytes, reason, what));
    }
    let with_id = packet(0xA2, &[&[0, 1], &section(&[&[0x0B, 1]]), &field("a")]);
    faults.push(fault(V5, with_id, R::MalformedPacket, "does not have"));
    check_packets(faults);
}

#[test]
fn publish_properties() {
    let twice: [Vec<u8>; 6] = [
        vec![0x01, 1],
        vec![0x02, 0, 0, 0, 1],
        property(0x03, "text/plain"),
        property(0x08, "answers"),
        property(0x09, "1"),
        vec![0x23, 0, 1],
    ];
    check_packets(twice.map(|property| {
        fault(V5, publish("a", &[&property, &property]), R::ProtocolError, "comes twice")
    }));
    let others: [&[u8]; 9] = [
        &[0x00],
        &[0x04],
        &[0x11, 0, 0, 0, 1],
        &[0x1F, 0, 1, b'a'],
        &[0x21, 0, 1],
        &[0x24, 1],
        &[0x2B, 0],
        &[0x80, 0x01],
        &[0xFF],
    ];
    check_packets(
        others.map(|property| {
            fault(V5, publish("a", &[property]), R::MalformedPacket, "does not have")
        }),
    );
    let name = field("n");
    for (property, reason, what) in [
        (vec![0x01, 2], R::ProtocolError, "neither 0 nor 1"),
        (vec![0x23, 0, 0], R::TopicAliasInvalid, "a topic alias of 0"),
        (vec![0x0B, 1], R::ProtocolError, "a subscription id from a client"),
        (property(0x08, "a/+"), R::TopicNameInvalid, "with + or #"),
        (property(0x08, ""), R::TopicNameInvalid, "an empty topic"),
        (property(0x03, b"\xFF"), R::MalformedPacket, "not UTF-8"),
        (property(0x03, "\0"), R::MalformedPacket, "U+0000"),
        ([&[0x26], &name[..], &field(b"\xFF")].concat(), R::MalformedPacket, "not UTF-8"),
        ([&[0x26], &name[..], &field("\0")].concat(), R::MalformedPacket, "U+0000"),
        ([&[0x26], &name[..]].concat(), R::MalformedPacket, "ends within a field"),
        (vec![0x02, 0, 0], R::MalformedPacket, "ends within a field"),
    ] {
        check_packets([fault(V5, publish("a", &[&property]), reason, what)]);
    }
    let overlong = packet(0x30, &[&field("a"), &[0x80, 0x00]]);
    check_packets([fault(V5, overlong, R::MalformedPacket, "more bytes than it needs")]);
}

#[test]
fn reasons() {
    let wrong = "a reason code that this packet does not have";
    let mut faults = Vec::new();
    for (first, codes) in [
        (0x40, &[0x01, 0x04, 0x11, 0x81, 0x82, 0x92, 0x05, 0xFF][..]),
        (0x50, &[0x02, 0x92, 0xA2]),
        (0x62, &[0x10, 0x80, 0x91]),
        (0x70, &[0x10, 0x80, 0x91]),
    ] {
        for code in codes {
            let bytes = packet(first, &[&[0, 1, *code]]);
            faults.push(fault(V5, bytes, R::ProtocolError, wrong));
        }
    }
    for code in [0x01, 0x87, 0x8B, 0x8D, 0x8E, 0x9D, 0xA2, 0x05] {
        let bytes = packet(0xE0, &[&[code]]);
        faults.push(fault(V5, bytes, R::ProtocolError, wrong));
    }
    let method = section(&[&property(0x15, "m")]);
    for code in [0x00, 0x01, 0x80] {
        let bytes = packet(0xF0, &[&[code], &method]);
        faults.push(fault(V5, bytes, R::ProtocolError, wrong));
    }
    faults.push(fault(V5, packet(0xF0, &[]), R::ProtocolError, wrong));
    let no_method = packet(0xF0, &[&[0x18, 0]]);
    faults.push(fault(V5, no_method, R::ProtocolError, "without an authentication method"));
    check_packets(faults);
}

#[test]
fn properties_of_acknowledgements_and_farewells() {
    let reason_string = property(0x1F, "why");
    for (first, start) in [(0x40, &[0, 1, 0][..]), (0x62, &[0, 1, 0]), (0xE0, &[0])] {
        let twice = packet(first, &[start, &section(&[&reason_string, &reason_string])]);
        let other = packet(first, &[start, &section(&[&[0x02, 0, 0, 0, 1]])]);
        check_packets([
            fault(V5, twice, R::ProtocolError, "comes twice"),
            fault(V5, other, R::MalformedPacket, "does not have"),
        ]);
    }
    let expiry = [0x11, 0, 0, 0, 1];
    let twice = packet(0xE0, &[&[0], &section(&[&expiry, &expiry])]);
    check_packets([fault(V5, twice, R::ProtocolError, "comes twice")]);
}
