//! What clients and servers send, byte by byte.

use std::num::{NonZeroU16, NonZeroU32};

use super::*;

fn id(number: u16) -> PacketId {
    PacketId::new(number).expect("the number is not 0")
}

/// What comes of a client's bytes, which encode to the same again.
fn sent(version: Version, bytes: &[u8], expected: Packet<'_>) {
    assert_eq!(frame(bytes).unwrap().decode(version), Ok(expected), "{version}: {bytes:02x?}");
    assert_eq!(packets::encode(&expected, version), bytes, "{version}: {expected:?}");
}

/// What comes of a server's bytes, which encode to the same again.
fn answered(version: Version, bytes: &[u8], expected: ServerPacket<'_>) {
    let frame = frame(bytes).unwrap();
    assert_eq!(frame.decode_from_server(version), Ok(expected), "{version}: {bytes:02x?}");
    assert_eq!(packets::encode_from_server(&expected, version), bytes, "{version}: {expected:?}");
}

const PLAIN: Connect<'_> = Connect {
    version: Version::V3_1_1,
    client_id: "c1",
    clean_start: true,
    keep_alive: 60,
    will: None,
    username: None,
    password: None,
    properties: ConnectProperties {
        session_expiry: None,
        receive_maximum: None,
        maximum_packet_size: None,
        topic_alias_maximum: 0,
        request_response_information: false,
        request_problem_information: true,
        authentication_method: None,
        authentication_data: None,
        user_properties: UserProperties::new(&[]),
    },
};

#[test]
fn connects_of_each_version() {
    for (version, start) in [
        (Version::V3_1, &b"\x10\x10\0\x06MQIsdp\x03\x02\0\x3C"[..]),
        (Version::V3_1_1, b"\x10\x0E\0\x04MQTT\x04\x02\0\x3C"),
        (Version::V5, b"\x10\x0F\0\x04MQTT\x05\x02\0\x3C\0"),
    ] {
        let bytes = [start, b"\0\x02c1"].concat();
        let expected = Connect { version, ..PLAIN };
        assert_eq!(frame(&bytes).unwrap().connect(), Ok(expected));
        assert_eq!(frame(&bytes).unwrap().connect_version(), Some(version));
        sent(version, &bytes, Packet::Connect(expected));
    }
}

#[test]
fn a_connect_with_everything() {
    let will =
        [&section(&[&[0x18, 0, 0, 0, 9], &[0x01, 1]]), &field("w")[..], &field("gone")].concat();
    let properties = section(&[
        &[0x11, 0, 0, 0x0E, 0x10, 0x21, 0, 20, 0x27, 0, 1, 0, 0, 0x22, 0, 5, 0x19, 1, 0x17, 0],
        &property(0x15, "M"),
        &property(0x16, "D"),
        &[0x26],
        &field("k"),
        &field("v"),
    ]);
    let start = [&field("MQTT")[..], &[5, 0xF4, 0, 60]].concat();
    let end = [field("c1"), will, field("u"), field([0, 255])].concat();
    let bytes = packet(0x10, &[&start, &properties, &end]);
    let expected = Connect {
        version: Version::V5,
        clean_start: false,
        will: Some(Will {
            topic: "w",
            payload: b"gone",
            qos: QoS::ExactlyOnce,
            retain: true,
            delay: 9,
            properties: MessageProperties { utf8_payload: true, ..MessageProperties::default() },
        }),
        username: Some("u"),
        password: Some(&[0, 255]),
        properties: ConnectProperties {
            session_expiry: Some(3600),
            receive_maximum: NonZeroU16::new(20),
            maximum_packet_size: NonZeroU32::new(65_536),
            topic_alias_maximum: 5,
            request_response_information: true,
            request_problem_information: false,
            authentication_method: Some("M"),
            authentication_data: Some(b"D"),
            user_properties: UserProperties::new(&[("k", "v")]),
        },
        ..PLAIN
    };
    sent(Version::V5, &bytes, Packet::Connect(expected));
    let shown = format!("{expected:?}");
    assert!(shown.contains("c1") && !shown.contains("255"), "{shown}");
}

#[test]
fn clients_without_an_id() {
    for (version, flags, accepted) in [
        (Version::V3_1_1, 0x02, true),
        (Version::V3_1_1, 0x00, false),
        (Version::V3_1, 0x02, false),
        (Version::V5, 0x00, true),
    ] {
        let section: &[u8] = if version == Version::V5 { &[0] } else { &[] };
        let start = [&field(version.protocol_name())[..], &[version.level(), flags, 0, 0]].concat();
        let bytes = packet(0x10, &[&start, section, &field("")]);
        assert_eq!(frame(&bytes).unwrap().connect().is_ok(), accepted, "{version}");
    }
}

#[test]
fn liberties_of_mqtt_3_1() {
    let start = [&field("MQIsdp")[..], &[3, 0xC2, 0, 60], &field("c1")].concat();
    let user = field("u");
    for (end, username) in [(&[][..], None), (&user, Some("u"))] {
        let bytes = packet(0x10, &[&start, end]);
        let expected = Connect { version: Version::V3_1, username, ..PLAIN };
        assert_eq!(frame(&bytes).unwrap().connect(), Ok(expected));
    }
    for (first, body) in
        [(0x6A, &[0, 1][..]), (0x8A, &[0, 1, 0, 1, b'a', 0]), (0xAA, &[0, 1, 0, 1, b'a'])]
    {
        let bytes = packet(first, &[body]);
        assert!(frame(&bytes).unwrap().decode(Version::V3_1).is_ok(), "{first:02x}");
    }
}

#[test]
fn publishes() {
    let plain = Publish { topic: "a/b", payload: b"hi", ..Publish::default() };
    sent(Version::V3_1_1, b"\x30\x07\0\x03a/bhi", Packet::Publish(plain));
    sent(Version::V5, b"\x30\x08\0\x03a/b\0hi", Packet::Publish(plain));
    let again = Publish {
        dup: true,
        qos: QoS::ExactlyOnce,
        retain: true,
        packet_id: Some(id(0x1234)),
        payload: &[],
        ..plain
    };
    sent(Version::V3_1, b"\x3D\x07\0\x03a/b\x12\x34", Packet::Publish(again));
    sent(Version::V5, b"\x3D\x08\0\x03a/b\x12\x34\0", Packet::Publish(again));
    let aliased = Publish { topic: "", topic_alias: NonZeroU16::new(7), ..plain };
    sent(Version::V5, b"\x30\x08\0\0\x03\x23\0\x07hi", Packet::Publish(aliased));
}

#[test]
fn a_publish_with_everything() {
    let user = |value| [&[0x26][..], &field("k"), &field(value)].concat();
    let properties = section(&[
        &[0x23, 0, 3, 0x0B, 1, 0x0B, 0x80, 1, 0x01, 1, 0x02, 0, 0, 0, 0],
        &property(0x03, "text/plain"),
        &property(0x08, "answers"),
        &property(0x09, [9, 9]),
        &user("1"),
        &user("2"),
    ]);
    let bytes = packet(0x32, &[&field("t"), &[0, 1], &properties, b"payload"]);
    let expected = Publish {
        qos: QoS::AtLeastOnce,
        topic: "t",
        packet_id: Some(id(1)),
        topic_alias: NonZeroU16::new(3),
        subscription_ids: SubscriptionIds::new(&[1, 128]),
        properties: MessageProperties {
            utf8_payload: true,
            message_expiry: Some(0),
            content_type: Some("text/plain"),
            response_topic: Some("answers"),
            correlation_data: Some(&[9, 9]),
            user_properties: UserProperties::new(&[("k", "1"), ("k", "2")]),
        },
        payload: b"payload",
        ..Publish::default()
    };
    answered(Version::V5, &bytes, ServerPacket::Publish(expected));
    assert_eq!(expected.encoded_len(Version::V5), bytes.len());
    let at = expected.packet_id_offset(Version::V5).unwrap();
    assert_eq!(bytes[at..at + 2], [0, 1]);
}

#[test]
fn user_properties_are_found_among_others_in_order() {
    let user = |name, value| [&[0x26][..], &field(name), &field(value)].concat();
    let properties = section(&[
        &[0x01, 1],
        &user("a", "1"),
        &property(0x03, "x"),
        &[0x02, 0x26, 0x26, 0x26, 0x26],
        &user("b", ""),
        &property(0x09, [0x26, 0, 0]),
        &user("", "3"),
        &[0x23, 0, 1],
    ]);
    let bytes = packet(0x30, &[&field("t"), &properties]);
    let frame = frame(&bytes).unwrap();
    let Ok(Packet::Publish(publish)) = frame.decode(Version::V5) else { panic!("not a PUBLISH") };
    let found = publish.properties.user_properties;
    assert_eq!(found.iter().collect::<Vec<_>>(), [("a", "1"), ("b", ""), ("", "3")]);
    let owned = UserPropertiesBuf::from(found);
    assert_eq!(owned.as_list(), found);
    assert!(UserPropertiesBuf::default().push("a", "b\0").is_err());
}

#[test]
fn acknowledgements() {
    for (version, bytes, reason) in [
        (Version::V3_1_1, &b"\x40\x02\x43\x21"[..], ReasonCode::Success),
        (Version::V5, b"\x40\x02\x43\x21", ReasonCode::Success),
        (Version::V5, b"\x40\x03\x43\x21\x10", ReasonCode::NoMatchingSubscribers),
    ] {
        let ack = Ack::new(id(0x4321), reason);
        sent(version, bytes, Packet::PubAck(ack));
        answered(version, bytes, ServerPacket::PubAck(ack));
    }
    let unknown = Ack::new(id(1), ReasonCode::PacketIdentifierNotFound);
    sent(Version::V5, b"\x62\x03\0\x01\x92", Packet::PubRel(unknown));
    sent(Version::V5, b"\x70\x03\0\x01\x92", Packet::PubComp(unknown));
    let explained = Ack {
        reason_string: Some("no"),
        user_properties: UserProperties::new(&[("k", "v")]),
        ..Ack::new(id(1), ReasonCode::NotAuthorized)
    };
    let bytes = b"\x50\x10\0\x01\x87\x0C\x1F\0\x02no\x26\0\x01k\0\x01v";
    sent(Version::V5, bytes, Packet::PubRec(explained));
    // Longer than it has to be.
    let long = frame(b"\x40\x04\0\x01\0\0").unwrap();
    let plain = Packet::PubAck(Ack::new(id(1), ReasonCode::Success));
    assert_eq!(long.decode(Version::V5), Ok(plain));
}

#[test]
fn subscribes_and_their_answers() {
    let own = SubscribeOptions {
        qos: QoS::AtLeastOnce,
        no_local: true,
        retain_as_published: true,
        retain_handling: RetainHandling::DoNotSend,
    };
    let wanted = [("a/+", own), ("#", SubscribeOptions::default())];
    let subscribe = Subscribe {
        packet_id: id(0x1234),
        subscription_id: Some(300),
        user_properties: UserProperties::default(),
        filters: Subscriptions::new(&wanted),
    };
    let bytes = b"\x82\x10\x12\x34\x03\x0B\xAC\x02\0\x03a/+\x2D\0\x01#\0";
    sent(Version::V5, bytes, Packet::Subscribe(subscribe));
    let one = [("t", SubscribeOptions::of(QoS::ExactlyOnce))];
    let plain = Subscribe { subscription_id: None, filters: Subscriptions::new(&one), ..subscribe };
    sent(Version::V3_1_1, b"\x82\x06\x12\x34\0\x01t\x02", Packet::Subscribe(plain));

    let reasons = [ReasonCode::GrantedQoS1, ReasonCode::NotAuthorized];
    let mut answer = Vec::new();
    encode_suback(Version::V3_1_1, id(1), &reasons, &mut answer);
    assert_eq!(answer, b"\x90\x04\0\x01\x01\x80");
    let suback = SubAck::new(id(1), &reasons);
    answered(Version::V5, b"\x90\x05\0\x01\0\x01\x87", ServerPacket::SubAck(suback));
}

#[test]
fn unsubscribes_and_their_answers() {
    let unsubscribe = Unsubscribe {
        packet_id: id(1),
        user_properties: UserProperties::default(),
        filters: Filters::new(&["a", "$share/g/b"]),
    };
    let bytes = b"\xA2\x11\0\x01\0\x01a\0\x0A$share/g/b";
    sent(Version::V3_1, bytes, Packet::Unsubscribe(unsubscribe));

    let reasons = [ReasonCode::Success, ReasonCode::NoSubscriptionExisted];
    let mut answer = Vec::new();
    encode_unsuback(Version::V3_1_1, id(1), &reasons, &mut answer);
    assert_eq!(answer, b"\xB0\x02\0\x01");
    let unsuback = SubAck::new(id(1), &reasons);
    answered(Version::V5, b"\xB0\x05\0\x01\0\0\x11", ServerPacket::UnsubAck(unsuback));
}

#[test]
fn connacks() {
    let present = ConnAck { session_present: true, ..ConnAck::default() };
    answered(Version::V3_1_1, b"\x20\x02\x01\0", ServerPacket::ConnAck(present));
    answered(Version::V5, b"\x20\x03\x01\0\0", ServerPacket::ConnAck(present));
    let refused = ConnAck { reason: ReasonCode::NotAuthorized, ..ConnAck::default() };
    answered(Version::V3_1, b"\x20\x02\0\x05", ServerPacket::ConnAck(refused));
    answered(Version::V5, b"\x20\x03\0\x87\0", ServerPacket::ConnAck(refused));
    let modest = ConnAck {
        properties: ConnAckProperties {
            maximum_qos: QoS::AtLeastOnce,
            retain_available: false,
            assigned_client_id: Some("x"),
            server_keep_alive: Some(30),
            ..ConnAckProperties::default()
        },
        ..ConnAck::default()
    };
    let bytes = b"\x20\x0E\0\0\x0B\x24\x01\x25\0\x12\0\x01x\x13\0\x1E";
    answered(Version::V5, bytes, ServerPacket::ConnAck(modest));
    // A refused client has no session, whatever the caller says; nor has MQTT 3.1.
    let mut out = Vec::new();
    ConnAck { session_present: true, ..refused }.encode(Version::V3_1_1, &mut out);
    present.encode(Version::V3_1, &mut out);
    assert_eq!(out, b"\x20\x02\0\x05\x20\x02\0\0");
}

#[test]
fn farewells_pings_and_authentication() {
    for version in VERSIONS {
        sent(version, b"\xE0\0", Packet::Disconnect(Disconnect::default()));
        sent(version, b"\xC0\0", Packet::PingReq);
        answered(version, b"\xD0\0", ServerPacket::PingResp);
    }
    let mut nothing = Vec::new();
    let busy = Disconnect { reason: ReasonCode::ServerBusy, ..Disconnect::default() };
    busy.encode(Version::V3_1_1, &mut nothing);
    assert_eq!(nothing, b"");
    answered(Version::V5, b"\xE0\x01\x89", ServerPacket::Disconnect(busy));
    let will = Disconnect { reason: ReasonCode::DisconnectWithWill, ..Disconnect::default() };
    sent(Version::V5, b"\xE0\x01\x04", Packet::Disconnect(will));
    let longer = Disconnect { session_expiry: Some(1), ..Disconnect::default() };
    sent(Version::V5, b"\xE0\x07\0\x05\x11\0\0\0\x01", Packet::Disconnect(longer));

    let auth = Auth {
        reason: ReasonCode::ContinueAuthentication,
        method: Some("M"),
        data: Some(b"D"),
        ..Auth::default()
    };
    let bytes = b"\xF0\x0A\x18\x08\x15\0\x01M\x16\0\x01D";
    sent(Version::V5, bytes, Packet::Auth(auth));
    answered(Version::V5, b"\xF0\0", ServerPacket::Auth(Auth::default()));
}
