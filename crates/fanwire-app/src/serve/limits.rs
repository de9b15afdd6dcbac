//! `[limits]`: what a client, an address and a principal may ask for.

use indexmap::IndexMap;
use serde::Serialize;

use crate::decode::{Key, Kind, Others, Table};
use crate::node::Node;

pub(crate) static LIMITS: Table = Table {
    name: "limits",
    doc: "What a client, an address and a principal may ask for.",
    others: Others::Refused,
    keys: &[
        Key::new(
            "max_handshakes",
            Kind::Integer(1, 1_000_000),
            "connections that have not said who they are, at once; default 8192",
        ),
        Key::new(
            "connect_rate",
            Kind::Integer(1, 1_000_000),
            "connections that an address may open in a second, in the long run; with IPv6, each network of 64 bits; default: not limited",
        ),
        Key::new(
            "connect_burst",
            Kind::Integer(1, 1_000_000),
            "connections that it may open at once; default: connect_rate",
        ),
        Key::new(
            "max_connections_per_address",
            Kind::Integer(1, 1_000_000),
            "connections of an address at once; default: not limited",
        ),
        Key::new(
            "max_connections_per_principal",
            Kind::Integer(1, 1_000_000),
            "connections at once of whom an authorizer knows by one name; default: not limited",
        ),
        Key::new(
            "message_rate",
            Kind::Integer(1, 1_000_000),
            "messages that a WebSocket connection may send in a second, in the long run; for MQTT see realtime.limits; default: not limited",
        ),
        Key::new(
            "message_burst",
            Kind::Integer(1, 1_000_000),
            "messages that it may send at once; default: message_rate",
        ),
        Key::new(
            "byte_rate",
            Kind::Size,
            "bytes of messages that a WebSocket connection may send in a second, such as \"64KB\"; default: not limited",
        ),
        Key::new(
            "byte_burst",
            Kind::Size,
            "bytes of messages that it may send at once; default: byte_rate",
        ),
        Key::new(
            "usage_plans",
            Kind::Tables(&USAGE_PLAN),
            "how often API keys may connect, by the names that [access.api_keys] have for it",
        ),
    ],
};

pub(crate) static USAGE_PLAN: Table = Table {
    name: "a usage plan",
    doc: "How often an API key may connect, as in API Gateway.",
    others: Others::Refused,
    keys: &[
        Key::new(
            "rate",
            Kind::Integer(1, 1_000_000),
            "handshakes in a second, in the long run; default: not limited",
        ),
        Key::new("burst", Kind::Integer(1, 1_000_000), "handshakes at once; default: rate"),
        Key::new(
            "quota",
            Kind::Integer(1, 1_000_000_000),
            "handshakes in a period; default: not limited",
        ),
        Key::new(
            "period",
            Kind::Choice(&["DAY", "WEEK", "MONTH"]),
            "the period of the quota, in UTC; default \"DAY\"",
        ),
    ],
};

/// What a client, an address and a principal may ask for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Limits {
    /// Connections that have not said who they are, at once.
    pub max_handshakes: usize,
    /// Connections that an address may open.
    pub connect_rate: Option<Rate>,
    /// Connections of an address at once.
    pub max_connections_per_address: Option<u32>,
    /// Connections of a principal at once.
    pub max_connections_per_principal: Option<u32>,
    /// Messages that a WebSocket connection may send.
    pub message_rate: Option<Rate>,
    /// Bytes of messages that a WebSocket connection may send.
    pub byte_rate: Option<Rate>,
    /// How often API keys may connect.
    pub usage_plans: IndexMap<String, UsagePlan>,
}

/// So much in a second in the long run, and so much at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Rate {
    /// In a second.
    pub per_second: u32,
    /// At once.
    pub burst: u32,
}

/// How often an API key may connect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UsagePlan {
    /// Handshakes.
    pub rate: Option<Rate>,
    /// Handshakes in a period.
    pub quota: Option<u32>,
    /// The quota's period.
    pub period: Period,
}

/// What a quota is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Default)]
#[serde(rename_all = "UPPERCASE")]
pub enum Period {
    /// From midnight to midnight.
    #[default]
    Day,
    /// From Monday on.
    Week,
    /// From the first on.
    Month,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_handshakes: 8192,
            connect_rate: None,
            max_connections_per_address: None,
            max_connections_per_principal: None,
            message_rate: None,
            byte_rate: None,
            usage_plans: IndexMap::new(),
        }
    }
}

/// What the table says.
pub(super) fn build(node: &Node) -> Limits {
    let defaults = Limits::default();
    let plans = node.get("usage_plans").and_then(Node::as_map).into_iter().flatten();
    Limits {
        max_handshakes: count(node, "max_handshakes")
            .map_or(defaults.max_handshakes, |count| count as usize),
        connect_rate: rate(node, "connect_rate", "connect_burst"),
        max_connections_per_address: count(node, "max_connections_per_address"),
        max_connections_per_principal: count(node, "max_connections_per_principal"),
        message_rate: rate(node, "message_rate", "message_burst"),
        byte_rate: rate(node, "byte_rate", "byte_burst"),
        usage_plans: plans.map(|(name, entry)| (name.clone(), plan(&entry.node))).collect(),
    }
}

fn plan(node: &Node) -> UsagePlan {
    UsagePlan {
        rate: rate(node, "rate", "burst"),
        quota: count(node, "quota"),
        period: match node.get("period").and_then(Node::as_str) {
            Some("WEEK") => Period::Week,
            Some("MONTH") => Period::Month,
            _ => Period::Day,
        },
    }
}

/// A rate, which may be a number or a size. Without a burst there is one second's worth.
fn rate(node: &Node, rate: &str, burst: &str) -> Option<Rate> {
    let per_second = count(node, rate)?;
    Some(Rate { per_second, burst: count(node, burst).unwrap_or(per_second) })
}

/// A number of something. What is more than fits is as good as no limit.
fn count(node: &Node, key: &str) -> Option<u32> {
    let count = crate::decode::units::size(node.get(key)?)?;
    Some(u32::try_from(count).unwrap_or(u32::MAX).max(1))
}
