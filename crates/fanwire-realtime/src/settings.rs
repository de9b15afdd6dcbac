//! What a realtime endpoint is set to: its model, and what follows from it.

use fanwire_app::model::{self, RealtimeLimits};
use fanwire_policy::{Place, PublicKeyError, SigningKeys};
use fanwire_wire::mqtt::{QoS, topic as mqtt_topic};

use indexmap::IndexMap;

use crate::plane::PublishError;
use crate::topic::Parent;

/// The longest time an MQTT session expiry interval can give; it means "for ever"
/// (MQTT 5, 3.1.2.11.2).
pub(crate) const NEVER: u32 = u32::MAX;

/// What an endpoint is set to. Replaced as a whole when the App changes.
#[derive(Debug)]
pub struct Settings {
    pub(crate) model: model::Realtime,
    /// Where the resources of policies are.
    pub(crate) place: Place,
    pub(crate) authorizers: IndexMap<String, Authorizer>,
}

/// A custom authorizer, ready to be asked.
#[derive(Debug)]
pub(crate) struct Authorizer {
    /// The key of its function.
    pub(crate) function: String,
    pub(crate) token_key: Option<String>,
    /// What tokens are signed with; `None` where they are not.
    pub(crate) keys: Option<SigningKeys>,
}

/// What an endpoint cannot be set to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// A public key of an authorizer cannot be used.
    #[error("realtime.authorizers.{authorizer}.public_keys: {source}")]
    PublicKey {
        /// The authorizer.
        authorizer: String,
        /// What is wrong with it.
        source: PublicKeyError,
    },
}

// === impl Settings ===

impl Settings {
    pub(crate) fn new(
        model: &model::Realtime,
        region: &str,
        account_id: &str,
    ) -> Result<Self, SettingsError> {
        let mut authorizers = IndexMap::new();
        for (name, authorizer) in &model.authorizers {
            let signed = !authorizer.public_keys.is_empty();
            let keys = signed.then(|| SigningKeys::parse(&authorizer.public_keys)).transpose();
            let keys = keys
                .map_err(|source| SettingsError::PublicKey { authorizer: name.clone(), source })?;
            let (function, token_key) = (authorizer.function.clone(), authorizer.token_key.clone());
            authorizers.insert(name.clone(), Authorizer { function, token_key, keys });
        }
        let place = Place::new("aws", region, account_id);
        Ok(Self { model: model.clone(), place, authorizers })
    }

    pub(crate) fn default_authorizer(&self) -> Option<&Authorizer> {
        self.authorizers.get(self.model.default_authorizer.as_ref()?)
    }

    /// What is said of an authorizer that does not exist.
    pub(crate) fn no_such(&self, name: &str) -> String {
        let known: Vec<&str> = self.authorizers.keys().map(String::as_str).collect();
        format!("there is no authorizer `{name}`; there are: {}", known.join(", "))
    }

    pub(crate) fn limits(&self) -> &RealtimeLimits {
        &self.model.limits
    }

    /// Whether `a/#` takes messages of `a`.
    pub(crate) fn parent(&self) -> Parent {
        if self.limits().parent_match { Parent::Matches } else { Parent::DoesNot }
    }

    pub(crate) fn max_qos(&self) -> QoS {
        match self.limits().max_qos {
            0 => QoS::AtMostOnce,
            1 => QoS::AtLeastOnce,
            _ => QoS::ExactlyOnce,
        }
    }

    /// Whether a topic name, or a filter without its `$share/…`, is within the limits of
    /// length and levels (reference: iot.md, section 4).
    pub(crate) fn fits(&self, topic: &str) -> Result<(), &'static str> {
        let limits = self.limits();
        // What stands before a Basic Ingest topic does not count.
        let counted = match topic.strip_prefix("$aws/rules/") {
            Some(rest) => rest.split_once('/').map_or("", |(_, topic)| topic),
            None => topic,
        };
        if counted.len() > limits.max_topic_bytes {
            return Err("it is longer than realtime.limits.max_topic_bytes");
        }
        let slashes = counted.bytes().filter(|byte| *byte == b'/').count();
        if slashes >= limits.max_topic_levels {
            return Err("it has more levels than realtime.limits.max_topic_levels");
        }
        Ok(())
    }

    /// Checks what somebody on this side wants to publish.
    pub(crate) fn check_publication(&self, topic: &str, size: usize) -> Result<(), PublishError> {
        let wrong = |why| PublishError::Topic { topic: topic.to_owned(), why };
        if mqtt_topic::check_name(topic).is_err() {
            return Err(wrong("it is empty, too long, or has a wildcard or U+0000 in it"));
        }
        let reserved = !self.limits().dollar_topics && mqtt_topic::is_reserved(topic);
        if reserved && !topic.starts_with("$aws/rules/") {
            return Err(wrong("topics that begin with `$` are reserved"));
        }
        self.fits(topic).map_err(wrong)?;
        let limit = self.limits().max_payload_bytes;
        if size > limit {
            return Err(PublishError::TooLarge { size, limit });
        }
        Ok(())
    }
}
