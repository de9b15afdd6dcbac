//! Packets to test with: encoding any of them, and making them up.

use std::num::{NonZeroU16, NonZeroU32};

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;

/// A packet as a client of this version sends it.
pub(super) fn encode(packet: &Packet<'_>, version: Version) -> Vec<u8> {
    let mut out = Vec::new();
    packet.encode(version, &mut out);
    out
}

/// A packet as a server sends it to a client of this version.
pub(super) fn encode_from_server(packet: &ServerPacket<'_>, version: Version) -> Vec<u8> {
    let mut out = Vec::new();
    packet.encode(version, &mut out);
    out
}

/// Lets made-up packets borrow for ever, which a test may leak a little memory for.
fn leak<T>(items: Vec<T>) -> &'static [T] {
    items.leak()
}

pub(super) fn version() -> impl Strategy<Value = Version> {
    select(&VERSIONS[..])
}

fn text() -> impl Strategy<Value = &'static str> {
    "[a-z ä日]{0,12}".prop_map(|text| &*text.leak())
}

fn bytes(max: usize) -> impl Strategy<Value = &'static [u8]> {
    vec(any::<u8>(), 0..max).prop_map(leak)
}

fn topic() -> impl Strategy<Value = &'static str> {
    "[a-c/$ä ]{1,10}".prop_map(|topic| &*topic.leak())
}

/// A filter that nothing is wrong with. Shared ones have no options of their own.
fn filter() -> impl Strategy<Value = &'static str> {
    let level = select(vec!["a", "b", "", "+", "$x", "ä"]);
    let end = select(vec!["", "/#", "/+", "/a"]);
    (vec(level, 1..4), end, any::<bool>()).prop_map(|(levels, end, shared)| {
        let filter = levels.join("/") + end;
        let filter = if filter.is_empty() { "#".to_owned() } else { filter };
        &*if shared { format!("$share/g/{filter}") } else { filter }.leak()
    })
}

fn packet_id() -> impl Strategy<Value = PacketId> {
    any::<PacketId>()
}

fn qos() -> impl Strategy<Value = QoS> {
    select(vec![QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce])
}

fn user_properties() -> impl Strategy<Value = UserProperties<'static>> {
    vec((text(), text()), 0..3).prop_map(|pairs| UserProperties::new(leak(pairs)))
}

fn message_properties() -> impl Strategy<Value = MessageProperties<'static>> {
    let texts = (option::of(text()), option::of(topic()), option::of(bytes(9)));
    (any::<bool>(), any::<Option<u32>>(), texts, user_properties()).prop_map(
        |(utf8_payload, message_expiry, texts, user_properties)| {
            let (content_type, response_topic, correlation_data) = texts;
            MessageProperties {
                utf8_payload,
                message_expiry,
                content_type,
                response_topic,
                correlation_data,
                user_properties,
            }
        },
    )
}

fn will() -> impl Strategy<Value = Will<'static>> {
    (topic(), bytes(9), qos(), any::<bool>(), any::<u32>(), message_properties()).prop_map(
        |(topic, payload, qos, retain, delay, properties)| Will {
            topic,
            payload,
            qos,
            retain,
            delay,
            properties,
        },
    )
}

fn connect_properties() -> impl Strategy<Value = ConnectProperties<'static>> {
    let numbers = any::<(Option<u32>, Option<NonZeroU16>, Option<NonZeroU32>, u16, bool, bool)>();
    let authentication = option::of((text(), option::of(bytes(9))));
    (numbers, authentication, user_properties()).prop_map(
        |(numbers, authentication, user_properties)| ConnectProperties {
            session_expiry: numbers.0,
            receive_maximum: numbers.1,
            maximum_packet_size: numbers.2,
            topic_alias_maximum: numbers.3,
            request_response_information: numbers.4,
            request_problem_information: numbers.5,
            authentication_method: authentication.map(|(method, _)| method),
            authentication_data: authentication.and_then(|(_, data)| data),
            user_properties,
        },
    )
}

pub(super) fn connect(version: Version) -> impl Strategy<Value = Connect<'static>> {
    let login = option::of((text(), option::of(bytes(9))));
    let ids = ("[a-z]{1,9}".prop_map(|id| &*id.leak()), any::<bool>(), any::<u16>());
    (ids, option::of(will()), login, connect_properties()).prop_map(
        move |((client_id, clean_start, keep_alive), will, login, properties)| Connect {
            version,
            client_id,
            clean_start,
            keep_alive,
            will: match version {
                Version::V5 => will,
                _ => will.map(|will| Will {
                    delay: 0,
                    properties: MessageProperties::default(),
                    ..will
                }),
            },
            username: login.map(|(name, _)| name),
            password: login.and_then(|(_, password)| password),
            properties: match version {
                Version::V5 => properties,
                _ => ConnectProperties::default(),
            },
        },
    )
}

fn publish(version: Version) -> impl Strategy<Value = Publish<'static>> {
    let flags = any::<(bool, bool)>();
    let alias = (any::<Option<NonZeroU16>>(), any::<bool>());
    (flags, qos(), topic(), packet_id(), alias, message_properties(), bytes(300)).prop_map(
        move |((dup, retain), qos, topic, packet_id, (alias, unnamed), properties, payload)| {
            let confirmed = qos != QoS::AtMostOnce;
            let plain = Publish {
                dup: dup && confirmed,
                qos,
                retain,
                topic,
                packet_id: confirmed.then_some(packet_id),
                payload,
                ..Publish::default()
            };
            match version {
                Version::V5 => Publish {
                    topic: if unnamed && alias.is_some() { "" } else { topic },
                    topic_alias: alias,
                    properties,
                    ..plain
                },
                _ => plain,
            }
        },
    )
}

/// A PUBLISH as a server sends it, with subscription ids.
fn delivery(version: Version) -> impl Strategy<Value = Publish<'static>> {
    let ids = vec(1u32..=268_435_455, 0..4).prop_map(leak);
    (publish(version), ids).prop_map(move |(publish, ids)| match version {
        Version::V5 => Publish { subscription_ids: SubscriptionIds::new(ids), ..publish },
        _ => publish,
    })
}

fn ack(version: Version, reasons: &'static [u8]) -> impl Strategy<Value = Ack<'static>> {
    (packet_id(), select(reasons), option::of(text()), user_properties()).prop_map(
        move |(packet_id, code, reason_string, user_properties)| match version {
            Version::V5 => {
                let reason = ReasonCode::new(code).expect("only codes that exist are listed");
                Ack { packet_id, reason, reason_string, user_properties }
            }
            _ => Ack::new(packet_id, ReasonCode::Success),
        },
    )
}

const RECEIVED: &[u8] = &[0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99];
const RELEASED: &[u8] = &[0x00, 0x92];

fn options(version: Version, filter: &str) -> impl Strategy<Value = SubscribeOptions> + use<> {
    let handling =
        select(vec![RetainHandling::Send, RetainHandling::SendIfNew, RetainHandling::DoNotSend]);
    let shared = topic::SharedFilter::parse(filter).is_some();
    (qos(), any::<(bool, bool)>(), handling).prop_map(move |(qos, flags, retain_handling)| {
        match version {
            Version::V5 => SubscribeOptions {
                qos,
                no_local: flags.0 && !shared,
                retain_as_published: flags.1,
                retain_handling,
            },
            _ => SubscribeOptions::of(qos),
        }
    })
}

fn subscribe(version: Version) -> impl Strategy<Value = Subscribe<'static>> {
    let one = filter().prop_flat_map(move |filter| (Just(filter), options(version, filter)));
    let id = option::of(1u32..=268_435_455);
    (packet_id(), id, user_properties(), vec(one, 1..4)).prop_map(
        move |(packet_id, id, user_properties, filters)| {
            let v5 = version == Version::V5;
            Subscribe {
                packet_id,
                subscription_id: id.filter(|_| v5),
                user_properties: if v5 { user_properties } else { UserProperties::default() },
                filters: Subscriptions::new(leak(filters)),
            }
        },
    )
}

fn unsubscribe(version: Version) -> impl Strategy<Value = Unsubscribe<'static>> {
    (packet_id(), user_properties(), vec(filter(), 1..4)).prop_map(
        move |(packet_id, user_properties, filters)| Unsubscribe {
            packet_id,
            user_properties: match version {
                Version::V5 => user_properties,
                _ => UserProperties::default(),
            },
            filters: Filters::new(leak(filters)),
        },
    )
}

fn disconnect(
    version: Version,
    reasons: &'static [u8],
) -> impl Strategy<Value = Disconnect<'static>> {
    let texts = (option::of(text()), option::of(text()));
    (select(reasons), any::<Option<u32>>(), texts, user_properties()).prop_map(
        move |(code, session_expiry, (reason_string, server_reference), user_properties)| {
            if version != Version::V5 {
                return Disconnect::default();
            }
            let reason = ReasonCode::new(code).expect("only codes that exist are listed");
            Disconnect { reason, session_expiry, reason_string, server_reference, user_properties }
        },
    )
}

fn auth(reason: ReasonCode) -> impl Strategy<Value = Auth<'static>> {
    (text(), option::of(bytes(9)), option::of(text()), user_properties()).prop_map(
        move |(method, data, reason_string, user_properties)| Auth {
            reason,
            method: Some(method),
            data,
            reason_string,
            user_properties,
        },
    )
}

/// Any packet that a client of this version may send.
pub(super) fn from_client(version: Version) -> impl Strategy<Value = Packet<'static>> {
    let farewell = disconnect(version, &[0x00, 0x04, 0x80, 0x81, 0x93, 0x99]);
    let auth = auth(ReasonCode::ReAuthenticate).prop_map(move |auth| match version {
        Version::V5 => Packet::Auth(auth),
        _ => Packet::PingReq,
    });
    prop_oneof![
        3 => connect(version).prop_map(Packet::Connect),
        4 => publish(version).prop_map(Packet::Publish),
        1 => ack(version, RECEIVED).prop_map(Packet::PubAck),
        1 => ack(version, RECEIVED).prop_map(Packet::PubRec),
        1 => ack(version, RELEASED).prop_map(Packet::PubRel),
        1 => ack(version, RELEASED).prop_map(Packet::PubComp),
        2 => subscribe(version).prop_map(Packet::Subscribe),
        1 => unsubscribe(version).prop_map(Packet::Unsubscribe),
        1 => Just(Packet::PingReq),
        1 => farewell.prop_map(Packet::Disconnect),
        1 => auth,
    ]
}

fn connack(version: Version) -> impl Strategy<Value = ConnAck<'static>> {
    let numbers = any::<(Option<u32>, Option<NonZeroU16>, Option<NonZeroU32>, u16, Option<u16>)>();
    let flags = any::<(bool, bool, bool, bool)>();
    let texts = [(); 5].map(|()| option::of(text()));
    (numbers, flags, qos(), texts, option::of(bytes(9)), user_properties(), any::<bool>()).prop_map(
        move |(
            numbers,
            flags,
            maximum_qos,
            texts,
            authentication_data,
            user_properties,
            refused,
        )| {
            let properties = ConnAckProperties {
                session_expiry: numbers.0,
                receive_maximum: numbers.1,
                maximum_qos,
                retain_available: flags.0,
                maximum_packet_size: numbers.2,
                assigned_client_id: texts[0],
                topic_alias_maximum: numbers.3,
                reason_string: texts[1],
                wildcard_subscription_available: flags.1,
                subscription_ids_available: flags.2,
                shared_subscription_available: flags.3,
                server_keep_alive: numbers.4,
                response_information: texts[2],
                server_reference: texts[3],
                authentication_method: texts[4],
                authentication_data,
                user_properties,
            };
            ConnAck {
                session_present: !refused && flags.0 && version != Version::V3_1,
                reason: if refused { ReasonCode::NotAuthorized } else { ReasonCode::Success },
                properties: match version {
                    Version::V5 => properties,
                    _ => ConnAckProperties::default(),
                },
            }
        },
    )
}

fn suback(version: Version, codes: &'static [u8]) -> impl Strategy<Value = SubAck<'static>> {
    let v5 = version == Version::V5;
    let code = select(codes).prop_filter_map("MQTT 5 only", move |code| {
        ReasonCode::new(code).filter(|code| v5 || *code as u8 <= 0x80)
    });
    (packet_id(), vec(code, 1..5), option::of(text()), user_properties()).prop_map(
        move |(packet_id, reasons, reason_string, user_properties)| match version {
            Version::V5 => {
                let reasons = Reasons::new(leak(reasons));
                SubAck { packet_id, reasons, reason_string, user_properties }
            }
            _ => SubAck::new(packet_id, leak(reasons)),
        },
    )
}

/// Any packet that a server may send to a client of this version.
pub(super) fn from_server(version: Version) -> impl Strategy<Value = ServerPacket<'static>> {
    let v5 = version == Version::V5;
    let unsuback = suback(version, &[0x00, 0x11, 0x80]).prop_map(move |ack| {
        ServerPacket::UnsubAck(if v5 { ack } else { SubAck::new(ack.packet_id, &[]) })
    });
    let farewell = disconnect(version, &[0x00, 0x80, 0x8B, 0x8E, 0xA2]).prop_map(move |farewell| {
        let farewell = Disconnect { session_expiry: None, ..farewell };
        if v5 { ServerPacket::Disconnect(farewell) } else { ServerPacket::PingResp }
    });
    let auth = auth(ReasonCode::ContinueAuthentication)
        .prop_map(move |auth| if v5 { ServerPacket::Auth(auth) } else { ServerPacket::PingResp });
    prop_oneof![
        3 => connack(version).prop_map(ServerPacket::ConnAck),
        4 => delivery(version).prop_map(ServerPacket::Publish),
        1 => ack(version, RECEIVED).prop_map(ServerPacket::PubAck),
        1 => ack(version, RECEIVED).prop_map(ServerPacket::PubRec),
        1 => ack(version, RELEASED).prop_map(ServerPacket::PubRel),
        1 => ack(version, RELEASED).prop_map(ServerPacket::PubComp),
        2 => suback(version, &[0x00, 0x01, 0x02, 0x80, 0x87, 0xA2]).prop_map(ServerPacket::SubAck),
        1 => unsuback,
        1 => Just(ServerPacket::PingResp),
        1 => farewell,
        1 => auth,
    ]
}

/// Bytes of a client's packet that something may have happened to.
pub(super) fn mutated(version: Version) -> impl Strategy<Value = Vec<u8>> {
    let change = (any::<prop::sample::Index>(), select(BYTES), 0u8..4);
    (from_client(version), vec(change, 0..4)).prop_map(move |(packet, changes)| {
        let mut bytes = encode(&packet, version);
        let (first, mut body) = {
            let frame = frame(&bytes).expect("it was encoded just now");
            (frame.first, frame.body.into_owned())
        };
        for (at, byte, how) in changes {
            let at = at.index(body.len() + 1);
            match how {
                0 => body.insert(at, byte),
                1 if at < body.len() => drop(body.remove(at)),
                2 if at < body.len() => body[at] ^= 1 << (byte & 7),
                _ if at < body.len() => body[at] = byte,
                _ => {}
            }
        }
        bytes = super::packet(first, &[&body]);
        bytes
    })
}

/// Bytes that mean something somewhere.
const BYTES: &[u8] = &[
    0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x08, 0x09, 0x0B, 0x11, 0x15, 0x16, 0x17, 0x18, 0x19, 0x1C,
    0x1F, 0x21, 0x22, 0x23, 0x26, 0x27, b'#', b'+', b'/', b'$', b'a', 0x80, 0x81, 0x92, 0xC3, 0xFF,
];
