//! Messages, and what they carry beside their payloads.

use std::time::Duration;

use bytes::Bytes;
use fanwire_wire::mqtt::topic::check_name;
use fanwire_wire::mqtt::{Publish, UserPropertiesBuf};
use serde::de::DeserializeOwned;

/// The longest text or correlation data of a property, in bytes (MQTT 5, 1.5.4 and 1.5.6).
const MAX_FIELD: usize = 65_535;

/// A message that has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its topic.
    pub topic: String,
    /// What it carries.
    pub payload: Bytes,
    /// The quality of service that it came with, 0 to 2.
    pub qos: u8,
    /// Whether the broker had kept it.
    pub retained: bool,
    /// Whether it may have come before. With QoS 2 it has not come to this client.
    pub duplicate: bool,
    /// What it carries beside its payload.
    pub properties: MessageProperties,
}

/// What a message carries beside its payload, from whoever publishes it to those who read it
/// (MQTT 5, 3.3.2.3). MQTT 3.1.1 has none of it.
///
/// ```
/// use fanwire::client::MessageProperties;
///
/// let question = MessageProperties {
///     response_topic: Some("answers/7".to_owned()),
///     correlation_data: Some("question 1".into()),
///     ..MessageProperties::default()
/// };
/// # let _ = question;
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MessageProperties {
    /// Whether the payload is said to be UTF-8. Brokers may check it.
    pub utf8_payload: bool,
    /// For how long the message is worth delivering, in whole seconds; of one that has come:
    /// for how long it still is.
    pub expiry: Option<Duration>,
    /// What the payload is, such as a media type.
    pub content_type: Option<String>,
    /// The topic that an answer is expected on: no wildcards.
    pub response_topic: Option<String>,
    /// What an answer is to bring back.
    pub correlation_data: Option<Bytes>,
    /// The applications' own, in order. Names may repeat.
    pub user_properties: Vec<(String, String)>,
}

/// Properties that packets can carry.
#[derive(Clone, Debug, Default)]
pub(super) struct CheckedProperties {
    properties: MessageProperties,
    user_properties: UserPropertiesBuf,
}

// === impl Message ===

impl Message {
    pub(super) fn new(publish: &Publish<'_>) -> Self {
        let properties = &publish.properties;
        Self {
            topic: publish.topic.to_owned(),
            payload: Bytes::copy_from_slice(publish.payload),
            qos: publish.qos as u8,
            retained: publish.retain,
            duplicate: publish.dup,
            properties: MessageProperties {
                utf8_payload: properties.utf8_payload,
                expiry: properties.message_expiry.map(|s| Duration::from_secs(s.into())),
                content_type: properties.content_type.map(str::to_owned),
                response_topic: properties.response_topic.map(str::to_owned),
                correlation_data: properties.correlation_data.map(Bytes::copy_from_slice),
                user_properties: properties
                    .user_properties
                    .iter()
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .collect(),
            },
        }
    }

    /// What it carries, as JSON.
    ///
    /// # Errors
    ///
    /// Where it is not, or of another type.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(&self.payload)
    }
}

// === impl CheckedProperties ===

impl CheckedProperties {
    /// # Errors
    ///
    /// What no packet can carry, in words.
    pub(super) fn new(properties: MessageProperties) -> Result<Self, String> {
        let mut user_properties = UserPropertiesBuf::new();
        for (name, value) in &properties.user_properties {
            user_properties.push(name, value).map_err(|error| error.to_string())?;
        }
        if let Some(topic) = &properties.response_topic {
            check_name(topic).map_err(|error| format!("the response topic is none: {error}"))?;
        }
        let is_text = |text: &String| text.len() <= MAX_FIELD && !text.contains('\0');
        if !properties.content_type.as_ref().is_none_or(is_text) {
            return Err("a content type has no U+0000 and at most 65,535 bytes".to_owned());
        }
        if properties.correlation_data.as_ref().is_some_and(|data| data.len() > MAX_FIELD) {
            return Err("correlation data has at most 65,535 bytes".to_owned());
        }
        Ok(Self { properties, user_properties })
    }

    /// As packets take them.
    pub(super) fn as_wire(&self) -> fanwire_wire::mqtt::MessageProperties<'_> {
        let properties = &self.properties;
        fanwire_wire::mqtt::MessageProperties {
            utf8_payload: properties.utf8_payload,
            message_expiry: properties.expiry.map(seconds),
            content_type: properties.content_type.as_deref(),
            response_topic: properties.response_topic.as_deref(),
            correlation_data: properties.correlation_data.as_deref(),
            user_properties: self.user_properties.as_list(),
        }
    }
}

/// A time as MQTT has it: whole seconds, as many as there can be.
pub(super) fn seconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_packet_can_carry_is_refused() {
        let none = MessageProperties::default;
        let long = "x".repeat(MAX_FIELD + 1);
        for wrong in [
            MessageProperties { response_topic: Some("a/#".to_owned()), ..none() },
            MessageProperties { content_type: Some("a\0".to_owned()), ..none() },
            MessageProperties { content_type: Some(long.clone()), ..none() },
            MessageProperties { correlation_data: Some(long.clone().into()), ..none() },
            MessageProperties { user_properties: vec![("a".to_owned(), long)], ..none() },
        ] {
            CheckedProperties::new(wrong).unwrap_err();
        }
        assert!(CheckedProperties::new(none()).unwrap().as_wire().is_empty());
    }
}
