//! Facts about sessions and retained messages, for people and APIs.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;

use fanwire_policy::Access;
use fanwire_wire::mqtt::QoS;
use serde::{Deserialize, Serialize};

/// Facts about one session.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionInfo {
    /// What people call the node that has it; `None` where there is only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// Whether it is on its way to another node, and may have arrived there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub moving: bool,
    /// The client id.
    pub client_id: Arc<str>,
    /// The principal of its last connection; empty where nobody was asked.
    pub principal: String,
    /// Whether it is connected.
    pub connected: bool,
    /// The protocol of its last connection.
    pub protocol: String,
    /// Where the client connected from.
    pub peer: Option<SocketAddr>,
    /// When it connected, in milliseconds since the epoch.
    pub connected_at: Option<u64>,
    /// When it was disconnected, in milliseconds since the epoch.
    pub disconnected_at: Option<u64>,
    /// Why it was disconnected last.
    pub disconnect_reason: Option<Cow<'static, str>>,
    /// Its keep-alive in seconds; 0 for none.
    pub keep_alive: u16,
    /// Whether its connection began without a session of before.
    pub clean_start: bool,
    /// How many seconds after the end of its connection the session ends.
    pub session_expiry: u32,
    /// What it subscribes to.
    pub subscriptions: Vec<SubscriptionInfo>,
    /// Messages that wait for it.
    pub queued: usize,
    /// Messages that it has yet to acknowledge.
    pub in_flight: usize,
    /// Messages that were dropped for it.
    pub dropped: u64,
    /// What it may do, while it is connected; `None` where everything.
    #[serde(skip)]
    pub(crate) access: Option<Arc<Access>>,
}

/// The sessions of all nodes, as far as they are known.
#[derive(Debug, Clone, Default, Serialize)]
pub struct SessionList {
    /// By client id.
    pub sessions: Vec<SessionInfo>,
    /// The nodes that did not answer in time, and those that have died and whose sessions
    /// nobody has taken over yet, by what people call them.
    pub missing: Vec<String>,
    /// Whether a node has more sessions than are listed.
    pub more: bool,
}

/// Facts about one subscription.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SubscriptionInfo {
    /// The topic filter, with `$share/…` where it is shared.
    pub filter: Arc<str>,
    /// The quality of service that was granted.
    pub qos: u8,
}

/// Facts about one retained message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RetainedInfo {
    /// The topic.
    pub topic: Arc<str>,
    /// The payload's length in bytes.
    pub payload_size: usize,
    /// The quality of service.
    #[serde(serialize_with = "as_number")]
    pub qos: QoS,
    /// When it was published, in milliseconds since the epoch.
    pub last_modified_time: u64,
}

fn as_number<S: serde::Serializer>(qos: &QoS, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u8(*qos as u8)
}
