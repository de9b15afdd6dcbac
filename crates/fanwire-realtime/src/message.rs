//! A message on its way from a publisher to whoever subscribes to its topic.

use std::sync::Arc;

use bytes::Bytes;
use fanwire_wire::mqtt::{MessageProperties, QoS, UserProperties, UserPropertiesBuf};

use crate::mesh::Node;

/// A message that is kept: retained, queued, on its way to another shard, or given to
/// somebody in this process. What only passes through a shard is never made into one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The topic name.
    pub topic: Arc<str>,
    /// The payload.
    pub payload: Bytes,
    /// The quality of service that it was published with.
    pub qos: QoS,
    /// Whether it is, or was, published to be retained.
    pub retain: bool,
    /// What MQTT 5 adds, where there is anything.
    pub properties: Option<Box<Properties>>,
    /// Who published it. `None` where this server did.
    pub publisher: Option<Arc<Publisher>>,
    /// When it was published, in milliseconds since the epoch.
    pub published_at: u64,
    /// Which one of a cluster's it is. `None` for one that has not left the node where it came
    /// in.
    pub origin: Option<Origin>,
}

/// Names a message among all that nodes send each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Origin {
    /// The node where it came in.
    pub(crate) node: Node,
    /// Its number there.
    pub(crate) number: u64,
}

/// What an MQTT 5 message carries beside its payload (MQTT 5, 3.3.2.3).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Properties {
    /// Whether the payload says to be UTF-8 text.
    pub utf8_payload: bool,
    /// How many seconds after its publication it is of use.
    pub message_expiry: Option<u32>,
    /// What the payload is, such as a MIME type.
    pub content_type: Option<Box<str>>,
    /// Where an answer is to go.
    pub response_topic: Option<Box<str>>,
    /// What an answer has to carry, to be known as such.
    pub correlation_data: Option<Bytes>,
    /// Names and values, in order; a name may come more than once.
    pub user: UserPropertiesBuf,
}

/// Who published a message, as the server has verified it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publisher {
    /// The client id; empty for somebody who did not publish over MQTT.
    pub client_id: Arc<str>,
    /// The principal that the authorizer named; empty where nobody was asked.
    pub principal: Box<str>,
}

// === impl Message ===

impl Message {
    /// A message of QoS 0 that is not retained and has no properties.
    pub fn new(topic: impl Into<Arc<str>>, payload: impl Into<Bytes>) -> Self {
        Self {
            topic: topic.into(),
            payload: payload.into(),
            qos: QoS::AtMostOnce,
            retain: false,
            properties: None,
            publisher: None,
            published_at: 0,
            origin: None,
        }
    }

    /// When it is of no more use, in milliseconds since the epoch.
    pub fn expires_at(&self) -> Option<u64> {
        let seconds = self.properties.as_ref()?.message_expiry?;
        Some(self.published_at.saturating_add(u64::from(seconds) * 1000))
    }

    /// What of its expiry interval is left at `now_ms`, rounded down; `Some(None)` where it
    /// has none, `None` where it is past.
    pub(crate) fn expiry_left(&self, now_ms: u64) -> Option<Option<u32>> {
        let Some(at) = self.expires_at() else { return Some(None) };
        let left = at.checked_sub(now_ms).filter(|left| *left > 0)?;
        Some(Some(u32::try_from(left / 1000).unwrap_or(u32::MAX)))
    }

    /// About how much memory it takes, in bytes.
    pub(crate) fn cost(&self) -> usize {
        let properties = self.properties.as_ref().map_or(0, |properties| {
            size_of::<Properties>()
                + properties.user.encoded_len()
                + properties.content_type.as_ref().map_or(0, |text| text.len())
                + properties.response_topic.as_ref().map_or(0, |text| text.len())
                + properties.correlation_data.as_ref().map_or(0, Bytes::len)
        });
        size_of::<Self>() + self.topic.len() + self.payload.len() + properties
    }
}

impl Message {
    /// What of it goes into packets.
    pub(crate) fn view(&self) -> MessageProperties<'_> {
        self.properties.as_ref().map_or_else(MessageProperties::default, |properties| {
            MessageProperties {
                utf8_payload: properties.utf8_payload,
                message_expiry: properties.message_expiry,
                content_type: properties.content_type.as_deref(),
                response_topic: properties.response_topic.as_deref(),
                correlation_data: properties.correlation_data.as_deref(),
                user_properties: properties.user.as_list(),
            }
        })
    }
}

// === impl Publisher ===

/// The user properties that tell who published a message. A publisher's own of these names
/// are taken out, so that nobody can pass for somebody else.
const PUBLISHER_PROPERTIES: [&str; 2] = ["fanwire-principal", "fanwire-client-id"];

impl Publisher {
    /// User properties that tell of this publisher, beside those that it sent.
    pub(crate) fn named(&self, sent: &UserProperties<'_>) -> UserPropertiesBuf {
        let [principal, client_id] = PUBLISHER_PROPERTIES;
        let mut named = without_publisher(sent);
        // What is longer than a property can be has to be left out.
        let _ = named.push(principal, &self.principal);
        // A client has an id; who publishes over HTTP has none to tell of.
        if let Some(id) = self.client() {
            let _ = named.push(client_id, id);
        }
        named
    }

    /// The client id, where it is a client's.
    pub(crate) fn client(&self) -> Option<&str> {
        Some(&*self.client_id).filter(|id| !id.is_empty())
    }
}

/// The user properties that were sent, without any that tell of a publisher.
pub(crate) fn without_publisher(sent: &UserProperties<'_>) -> UserPropertiesBuf {
    let mut honest = UserPropertiesBuf::new();
    for (name, value) in sent.iter().filter(|(name, _)| !names_publisher(name)) {
        // It has come in a packet, or been checked to fit into one.
        let _ = honest.push(name, value);
    }
    honest
}

/// Whether a user property is one of those that tell who published a message.
fn names_publisher(name: &str) -> bool {
    PUBLISHER_PROPERTIES.iter().any(|own| own.eq_ignore_ascii_case(name))
}

// === impl Properties ===

impl Properties {
    /// A copy of what a packet has; `None` where it has nothing.
    pub(crate) fn of(view: &MessageProperties<'_>) -> Option<Box<Self>> {
        let properties = Self {
            utf8_payload: view.utf8_payload,
            message_expiry: view.message_expiry,
            content_type: view.content_type.map(Into::into),
            response_topic: view.response_topic.map(Into::into),
            correlation_data: view.correlation_data.map(Bytes::copy_from_slice),
            user: view.user_properties.into(),
        };
        (properties != Self::default()).then(|| Box::new(properties))
    }
}
