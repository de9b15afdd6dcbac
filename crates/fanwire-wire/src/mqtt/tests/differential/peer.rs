//! The other implementation, and our packets in its terms.

use std::num::NonZeroU32;

use bytes::{Bytes, BytesMut};
use mqtt_codec_peer::types::{Protocol, Publish as TheirPublish, QoS as TheirQoS};
use mqtt_codec_peer::{MqttCodec, MqttPacket, v3, v5};
use tokio_util::codec::Decoder;

use super::*;

/// A packet as they have it.
#[derive(Debug, PartialEq)]
pub(super) enum Theirs {
    V3(v3::Packet),
    V5(v5::Packet),
}

/// What they make of a packet, if they accept it.
pub(super) fn their_reading(version: Version, bytes: &[u8]) -> Option<Theirs> {
    let mut codec = match version {
        V5 => MqttCodec::V5(v5::Codec::default()),
        V3_1 | V3_1_1 => MqttCodec::V3(v3::Codec::default()),
    };
    let (packet, _) = codec.decode(&mut BytesMut::from(bytes)).ok()??;
    Some(match packet {
        MqttPacket::V3(packet) => Theirs::V3(packet),
        MqttPacket::V5(packet) => Theirs::V5(normal(packet)),
        MqttPacket::Version(_) => unreachable!("the version was given"),
    })
}

/// Without the difference between what is absent and what is 0.
fn normal(mut packet: v5::Packet) -> v5::Packet {
    if let v5::Packet::Connect(connect) = &mut packet
        && let Some(will) = &mut connect.last_will
    {
        will.is_utf8_payload = will.is_utf8_payload.filter(|utf8| *utf8);
        will.will_delay_interval_sec = will.will_delay_interval_sec.filter(|delay| *delay != 0);
    }
    packet
}

/// One of our packets, as they would have it.
pub(super) fn in_their_terms(packet: &Packet<'_>, version: Version) -> Theirs {
    match version {
        V5 => Theirs::V5(as_v5(packet)),
        V3_1 | V3_1_1 => Theirs::V3(as_v3(packet)),
    }
}

fn qos(qos: QoS) -> TheirQoS {
    TheirQoS::try_from(qos as u8).expect("0 to 2")
}

fn binary(bytes: Option<&[u8]>) -> Option<Bytes> {
    bytes.map(Bytes::copy_from_slice)
}

fn as_v3(packet: &Packet<'_>) -> v3::Packet {
    match *packet {
        Packet::Connect(connect) => v3::Packet::Connect(Box::new(v3::Connect {
            protocol: Protocol(connect.version.level()),
            clean_session: connect.clean_start,
            keep_alive: connect.keep_alive,
            last_will: connect.will.map(|will| v3::LastWill {
                qos: qos(will.qos),
                retain: will.retain,
                topic: will.topic.into(),
                message: Bytes::copy_from_slice(will.payload),
            }),
            client_id: connect.client_id.into(),
            username: connect.username.map(Into::into),
            password: binary(connect.password),
            cert: None,
        })),
        Packet::Publish(it) => v3::Packet::Publish(Box::new(publish(&it, None))),
        Packet::PubAck(ack) => v3::Packet::PublishAck { packet_id: ack.packet_id },
        Packet::PubRec(ack) => v3::Packet::PublishReceived { packet_id: ack.packet_id },
        Packet::PubRel(ack) => v3::Packet::PublishRelease { packet_id: ack.packet_id },
        Packet::PubComp(ack) => v3::Packet::PublishComplete { packet_id: ack.packet_id },
        Packet::Subscribe(it) => v3::Packet::Subscribe {
            packet_id: it.packet_id,
            topic_filters: it.filters().map(|(f, options)| (f.into(), qos(options.qos))).collect(),
        },
        Packet::Unsubscribe(it) => v3::Packet::Unsubscribe {
            packet_id: it.packet_id,
            topic_filters: it.filters().map(Into::into).collect(),
        },
        Packet::PingReq => v3::Packet::PingRequest,
        Packet::Disconnect(_) => v3::Packet::Disconnect,
        Packet::Auth(_) => unreachable!("before MQTT 5 there is no AUTH"),
    }
}

fn publish(it: &Publish<'_>, properties: Option<v5::PublishProperties>) -> TheirPublish {
    TheirPublish {
        dup: it.dup,
        retain: it.retain,
        qos: qos(it.qos),
        topic: it.topic.into(),
        packet_id: it.packet_id,
        payload: Bytes::copy_from_slice(it.payload),
        properties,
    }
}

fn users(properties: UserProperties<'_>) -> v5::UserProperties {
    properties.iter().map(|(name, value)| (name.into(), value.into())).collect()
}

fn as_v5(packet: &Packet<'_>) -> v5::Packet {
    match *packet {
        Packet::Connect(connect) => v5::Packet::Connect(Box::new(connect_v5(&connect))),
        Packet::Publish(it) => {
            v5::Packet::Publish(Box::new(publish(&it, Some(publish_properties(&it)))))
        }
        Packet::PubAck(ack) => v5::Packet::PublishAck(received(&ack)),
        Packet::PubRec(ack) => v5::Packet::PublishReceived(received(&ack)),
        Packet::PubRel(ack) => v5::Packet::PublishRelease(released(&ack)),
        Packet::PubComp(ack) => v5::Packet::PublishComplete(released(&ack)),
        Packet::Subscribe(it) => v5::Packet::Subscribe(v5::Subscribe {
            packet_id: it.packet_id,
            id: it.subscription_id.and_then(NonZeroU32::new),
            user_properties: users(it.user_properties),
            topic_filters: it.filters().map(|(f, options)| (f.into(), wanted(options))).collect(),
        }),
        Packet::Unsubscribe(it) => v5::Packet::Unsubscribe(v5::Unsubscribe {
            packet_id: it.packet_id,
            user_properties: users(it.user_properties),
            topic_filters: it.filters().map(Into::into).collect(),
        }),
        Packet::PingReq => v5::Packet::PingRequest,
        Packet::Disconnect(it) => v5::Packet::Disconnect(v5::Disconnect {
            reason_code: (it.reason as u8).try_into().expect("they know it, too"),
            session_expiry_interval_secs: it.session_expiry,
            server_reference: it.server_reference.map(Into::into),
            reason_string: it.reason_string.map(Into::into),
            user_properties: users(it.user_properties),
        }),
        Packet::Auth(it) => v5::Packet::Auth(v5::Auth {
            reason_code: (it.reason as u8).try_into().expect("they know it, too"),
            auth_method: it.method.map(Into::into),
            auth_data: binary(it.data),
            reason_string: it.reason_string.map(Into::into),
            user_properties: users(it.user_properties),
        }),
    }
}

fn connect_v5(connect: &Connect<'_>) -> v5::Connect {
    let properties = connect.properties;
    v5::Connect {
        clean_start: connect.clean_start,
        keep_alive: connect.keep_alive,
        session_expiry_interval_secs: properties.session_expiry.unwrap_or(0),
        auth_method: properties.authentication_method.map(Into::into),
        auth_data: binary(properties.authentication_data),
        request_problem_info: properties.request_problem_information,
        request_response_info: properties.request_response_information,
        receive_max: properties.receive_maximum,
        topic_alias_max: properties.topic_alias_maximum,
        user_properties: users(properties.user_properties),
        max_packet_size: properties.maximum_packet_size,
        last_will: connect.will.map(|it| will(&it)),
        client_id: connect.client_id.into(),
        username: connect.username.map(Into::into),
        password: binary(connect.password),
        cert: None,
    }
}

fn will(will: &Will<'_>) -> v5::LastWill {
    let properties = will.properties;
    v5::LastWill {
        qos: qos(will.qos),
        retain: will.retain,
        topic: will.topic.into(),
        message: Bytes::copy_from_slice(will.payload),
        will_delay_interval_sec: Some(will.delay).filter(|delay| *delay != 0),
        correlation_data: binary(properties.correlation_data),
        message_expiry_interval: properties.message_expiry.and_then(NonZeroU32::new),
        content_type: properties.content_type.map(Into::into),
        user_properties: users(properties.user_properties),
        is_utf8_payload: properties.utf8_payload.then_some(true),
        response_topic: properties.response_topic.map(Into::into),
    }
}

fn publish_properties(publish: &Publish<'_>) -> v5::PublishProperties {
    let properties = publish.properties;
    v5::PublishProperties {
        topic_alias: publish.topic_alias,
        correlation_data: binary(properties.correlation_data),
        message_expiry_interval: properties.message_expiry.and_then(NonZeroU32::new),
        content_type: properties.content_type.map(Into::into),
        user_properties: users(properties.user_properties),
        is_utf8_payload: properties.utf8_payload,
        response_topic: properties.response_topic.map(Into::into),
        subscription_ids: Vec::new(),
    }
}

fn received(ack: &Ack<'_>) -> v5::PublishAck {
    v5::PublishAck {
        packet_id: ack.packet_id,
        reason_code: (ack.reason as u8).try_into().expect("they know it, too"),
        properties: users(ack.user_properties),
        reason_string: ack.reason_string.map(Into::into),
    }
}

fn released(ack: &Ack<'_>) -> v5::PublishAck2 {
    v5::PublishAck2 {
        packet_id: ack.packet_id,
        reason_code: (ack.reason as u8).try_into().expect("they know it, too"),
        properties: users(ack.user_properties),
        reason_string: ack.reason_string.map(Into::into),
    }
}

fn wanted(options: SubscribeOptions) -> v5::SubscriptionOptions {
    v5::SubscriptionOptions {
        qos: qos(options.qos),
        no_local: options.no_local,
        retain_as_published: options.retain_as_published,
        retain_handling: (options.retain_handling as u8).try_into().expect("0 to 2"),
    }
}
