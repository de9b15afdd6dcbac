//! `[realtime.limits]`

use std::time::Duration;

use crate::decode::units::{duration, is_none, size};
use crate::diagnostic::{Issue, Issues};
use crate::model::{Denied, RealtimeLimits};
use crate::node::Node;

use super::keys;

/// The longest keep-alive that a packet can say, in seconds.
const MAX_KEEP_ALIVE: u64 = 65_535;

/// The limits that the file gives, over the profile's.
pub(super) fn read(
    node: Option<&Node>,
    profile: RealtimeLimits,
    issues: &mut Issues,
) -> RealtimeLimits {
    let mut limits = profile;
    let Some(node) = node else { return limits };
    flags(node, &mut limits);
    counts(node, &mut limits);
    sizes(node, &mut limits);
    times(node, &mut limits);
    check_keep_alive(node, &limits, issues);
    if limits.max_payload_bytes > limits.max_packet_bytes {
        let place = ["max_payload_bytes", "max_packet_bytes"].iter().find_map(|key| node.get(key));
        let message = "max_payload_bytes is more than max_packet_bytes, which a packet may have";
        let issue = Issue::error(place.unwrap_or(node).span, message);
        issues.push(issue.expected("room for a message's topic and properties beside its payload"));
    }
    limits
}

fn flags(node: &Node, limits: &mut RealtimeLimits) {
    let flag = |key: &str, limit: &mut bool| {
        *limit = node.get(key).and_then(Node::boolean).unwrap_or(*limit);
    };
    flag("strict_authorizer", &mut limits.strict_authorizer);
    flag("qos2_downgrade", &mut limits.qos2_downgrade);
    flag("parent_match", &mut limits.parent_match);
    flag("retained_on_wildcards", &mut limits.retained_on_wildcards);
    flag("shared_subscriptions", &mut limits.shared_subscriptions);
    flag("subscription_identifiers", &mut limits.subscription_identifiers);
    flag("dollar_topics", &mut limits.dollar_topics);
    flag("resume_across_versions", &mut limits.resume_across_versions);
    flag("lifecycle_events", &mut limits.lifecycle_events);
    flag("publisher_properties", &mut limits.publisher_properties);
    let denied = |key: &str, limit: &mut Denied| {
        let word = node.get(key).and_then(Node::scalar_text);
        match keys::DENIED.iter().position(|known| Some(*known) == word.as_deref()) {
            Some(0) => *limit = Denied::ByVersion,
            Some(1) => *limit = Denied::Close,
            Some(2) => *limit = Denied::Acknowledge,
            Some(_) => *limit = Denied::Conceal,
            None => {}
        }
    };
    denied("denied_subscribe", &mut limits.denied_subscribe);
    denied("denied_publish", &mut limits.denied_publish);
}

fn counts(node: &Node, limits: &mut RealtimeLimits) {
    fn count<N: TryFrom<i64>>(node: &Node, key: &str, limit: &mut N) {
        let given = node.get(key).and_then(Node::integer);
        if let Some(given) = given.and_then(|given| N::try_from(given).ok()) {
            *limit = given;
        }
    }
    count(node, "max_connections", &mut limits.max_connections);
    count(node, "max_client_id_bytes", &mut limits.max_client_id_bytes);
    count(node, "max_qos", &mut limits.max_qos);
    count(node, "max_topic_levels", &mut limits.max_topic_levels);
    count(node, "max_topic_bytes", &mut limits.max_topic_bytes);
    count(node, "max_subscriptions", &mut limits.max_subscriptions);
    count(node, "max_subscriptions_per_request", &mut limits.max_subscriptions_per_request);
    count(node, "max_shared_groups", &mut limits.max_shared_groups);
    count(node, "max_shared_members", &mut limits.max_shared_members);
    count(node, "receive_maximum", &mut limits.receive_maximum);
    count(node, "max_in_flight", &mut limits.max_in_flight);
    count(node, "topic_alias_maximum", &mut limits.topic_alias_maximum);
    count(node, "max_content_type_bytes", &mut limits.max_content_type_bytes);
    count(node, "max_sessions", &mut limits.max_sessions);
    count(node, "max_queued_messages", &mut limits.max_queued_messages);
    count(node, "max_retained_messages", &mut limits.max_retained_messages);
    count(node, "max_rule_events", &mut limits.max_rule_events);
    if let Some(node) = node.get("publishes_per_second") {
        let given = node.integer().and_then(|given| u32::try_from(given).ok());
        limits.publishes_per_second =
            if is_none(node) { None } else { given.or(limits.publishes_per_second) };
    }
}

fn sizes(node: &Node, limits: &mut RealtimeLimits) {
    let bytes = |key: &str, limit: &mut usize| {
        *limit = node.get(key).and_then(size).unwrap_or(*limit);
    };
    bytes("max_packet_bytes", &mut limits.max_packet_bytes);
    bytes("max_payload_bytes", &mut limits.max_payload_bytes);
    bytes("min_client_packet_bytes", &mut limits.min_client_packet_bytes);
    bytes("max_user_properties_bytes", &mut limits.max_user_properties_bytes);
    bytes("max_correlation_data_bytes", &mut limits.max_correlation_data_bytes);
    bytes("max_queued_bytes", &mut limits.max_queued_bytes);
    bytes("max_queued_bytes_total", &mut limits.max_queued_bytes_total);
    bytes("max_retained_bytes", &mut limits.max_retained_bytes);
    bytes("max_disk_bytes", &mut limits.max_disk_bytes);
    bytes("max_outbound_bytes", &mut limits.max_outbound_bytes);
    bytes("max_rule_bytes", &mut limits.max_rule_bytes);
    if let Some(node) = node.get("bytes_per_second") {
        limits.bytes_per_second =
            if is_none(node) { None } else { size(node).or(limits.bytes_per_second) };
    }
}

fn times(node: &Node, limits: &mut RealtimeLimits) {
    let time = |key: &str, limit: &mut Duration| {
        *limit = node.get(key).and_then(duration).unwrap_or(*limit);
    };
    let bound = |key: &str, limit: &mut Option<Duration>| {
        if let Some(node) = node.get(key) {
            *limit = if is_none(node) { None } else { duration(node).or(*limit) };
        }
    };
    time("connect_timeout", &mut limits.connect_timeout);
    time("authorizer_timeout", &mut limits.authorizer_timeout);
    bound("max_lifetime", &mut limits.max_lifetime);
    time("keep_alive_min", &mut limits.keep_alive_min);
    time("keep_alive_max", &mut limits.keep_alive_max);
    bound("keep_alive_default", &mut limits.keep_alive_default);
    bound("message_expiry_max", &mut limits.message_expiry_max);
    bound("session_expiry_default_v3", &mut limits.session_expiry_default_v3);
    bound("session_expiry_max", &mut limits.session_expiry_max);
}

/// Keep-alives are whole seconds of sixteen bits, and the shortest is not longer than
/// the longest.
fn check_keep_alive(node: &Node, limits: &RealtimeLimits, issues: &mut Issues) {
    for (key, value) in [
        ("keep_alive_min", Some(limits.keep_alive_min)),
        ("keep_alive_max", Some(limits.keep_alive_max)),
        ("keep_alive_default", limits.keep_alive_default),
    ] {
        let (Some(node), Some(value)) = (node.get(key), value) else { continue };
        if value.subsec_nanos() != 0 || value.as_secs() > MAX_KEEP_ALIVE {
            let issue = Issue::error(node.span, format!("{value:?} is not a keep-alive"));
            issues.push(issue.expected(format!("whole seconds, at most {MAX_KEEP_ALIVE}")));
        }
    }
    if limits.keep_alive_min > limits.keep_alive_max {
        let place = ["keep_alive_min", "keep_alive_max"].iter().find_map(|key| node.get(key));
        let (least, most) = (limits.keep_alive_min, limits.keep_alive_max);
        let message = format!("keep_alive_min, {least:?}, is more than keep_alive_max, {most:?}");
        issues.push(Issue::error(place.unwrap_or(node).span, message));
    }
}
