//! What a realtime endpoint is set to: its model, and what follows from it.

use std::collections::HashMap;
use std::sync::Arc;

use fanwire_app::model::{self, RealtimeLimits};
use fanwire_policy::{
    AccessList, JwtRules, Place, PolicyError, PolicySet, PublicKeyError, SigningKeys, UserError,
    Users,
};
use fanwire_wire::mqtt::{MessageProperties, QoS, topic as mqtt_topic};

use indexmap::IndexMap;

use crate::Message;
use crate::message::Properties;
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
    /// `None` where there are none.
    pub(crate) users: Option<StaticUsers>,
    pub(crate) jwt: Option<TokenRules>,
}

/// The App's own users.
#[derive(Debug)]
pub(crate) struct StaticUsers {
    pub(crate) hashes: Arc<Users>,
    /// What each may do.
    pub(crate) access: HashMap<String, Arc<PolicySet>, foldhash::fast::RandomState>,
}

/// Which tokens are good, and what their bearers may do.
#[derive(Debug)]
pub(crate) struct TokenRules {
    pub(crate) rules: JwtRules,
    pub(crate) access: Arc<PolicySet>,
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
    /// A user's password hash cannot be used.
    #[error("realtime.users: {0}")]
    User(#[from] UserError),
    /// What somebody may do cannot be understood.
    #[error("{key}.{source}")]
    Access {
        /// The table that it is in, such as `realtime.users.ada`.
        key: String,
        /// What is wrong with it.
        source: PolicyError,
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
        let users =
            (!model.users.is_empty()).then(|| StaticUsers::new(model, &place)).transpose()?;
        let jwt = model.jwt.as_ref().map(|jwt| TokenRules::new(jwt, &place)).transpose()?;
        Ok(Self { model: model.clone(), place, authorizers, users, jwt })
    }

    /// Whether who a client is, and what it may do, is known without asking a function, a
    /// password's hash or a key.
    pub(crate) fn asks_nobody(&self) -> bool {
        self.authorizers.is_empty() && self.users.is_none() && self.jwt.is_none()
    }

    pub(crate) fn default_authorizer(&self) -> Option<&Authorizer> {
        self.authorizers.get(self.model.default_authorizer.as_ref()?)
    }

    /// What is said of an authorizer that does not exist.
    pub(crate) fn no_such(&self, name: &str) -> String {
        let known: Vec<&str> = self.authorizers.keys().map(String::as_str).collect();
        format!("there is no authorizer `{name}`; there are: {}", known.join(", "))
    }

    /// What is said to a client that gives nothing that is asked for here.
    pub(crate) fn who_is_let_in(&self) -> String {
        let mut ways = Vec::new();
        if !self.authorizers.is_empty() {
            ways.push("an authorizer's name (x-amz-customauthorizer-name)");
        }
        if self.users.is_some() {
            ways.push("the name and password of a user");
        }
        if self.jwt.is_some() {
            ways.push("a JWT as its password");
        }
        let set = "set realtime.default_authorizer, or realtime.allow_anonymous = true";
        if ways.is_empty() {
            return format!("nobody is let in here; {set}");
        }
        format!("the client gave none of these: {}; {set}", ways.join(", "))
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

    /// Whether what MQTT 5 adds to a client's message is within the limits of length
    /// (reference: iot.md, section 4).
    pub(crate) fn has_room_for(&self, properties: &MessageProperties<'_>) -> bool {
        let limits = self.limits();
        let user = properties.user_properties.iter();
        properties.content_type.is_none_or(|text| text.len() <= limits.max_content_type_bytes)
            && properties
                .correlation_data
                .is_none_or(|data| data.len() <= limits.max_correlation_data_bytes)
            && user.map(|(name, value)| name.len() + value.len()).sum::<usize>()
                <= limits.max_user_properties_bytes
    }

    /// Checks what somebody on this side wants to publish.
    pub(crate) fn check_publication(&self, message: &Message) -> Result<(), PublishError> {
        let topic = &*message.topic;
        let wrong = |why| PublishError::Topic { topic: topic.to_owned(), why };
        if mqtt_topic::check_name(topic).is_err() {
            return Err(wrong("it is empty, too long, or has a wildcard or U+0000 in it"));
        }
        let reserved = !self.limits().dollar_topics && topic.starts_with('$');
        if reserved && !topic.starts_with("$aws/rules/") {
            return Err(wrong("topics that begin with `$` are reserved"));
        }
        self.fits(topic).map_err(wrong)?;
        let (size, limit) = (message.payload.len(), self.limits().max_payload_bytes);
        if size > limit {
            return Err(PublishError::TooLarge { size, limit });
        }
        let (qos, limit) = (message.qos as u8, self.limits().max_qos);
        if qos > limit {
            return Err(PublishError::QoS { qos, limit });
        }
        message.properties.as_ref().map_or(Ok(()), |properties| self.check_properties(properties))
    }

    fn check_properties(&self, properties: &Properties) -> Result<(), PublishError> {
        let limits = self.limits();
        let wrong = |what| Err(PublishError::Properties(what));
        let Properties { content_type, response_topic, correlation_data, user, .. } = properties;
        if content_type.as_ref().is_some_and(|text| text.len() > limits.max_content_type_bytes) {
            return wrong("the content type is over realtime.limits.max_content_type_bytes");
        }
        let longest = limits.max_correlation_data_bytes;
        if correlation_data.as_ref().is_some_and(|data| data.len() > longest) {
            return wrong(
                "the correlation data is over realtime.limits.max_correlation_data_bytes",
            );
        }
        if user.encoded_len() > limits.max_user_properties_bytes {
            return wrong("the user properties are over realtime.limits.max_user_properties_bytes");
        }
        if response_topic.as_ref().is_some_and(|topic| mqtt_topic::check_name(topic).is_err()) {
            return wrong("the response topic is no topic name");
        }
        // No text of MQTT can hold it (MQTT 5, 1.5.4).
        if content_type.as_ref().is_some_and(|text| text.contains('\0')) {
            return wrong("the content type has U+0000 in it");
        }
        Ok(())
    }

    /// Has a message that was made long ago, a will, be one that is published now.
    pub(crate) fn publish_now(&self, message: &mut Message, now_ms: u64) {
        message.published_at = now_ms;
        self.cap_expiry(message);
    }

    /// Shortens a message's expiry interval to the longest there is.
    pub(crate) fn cap_expiry(&self, message: &mut Message) {
        let expiry = message.properties.as_mut().and_then(|each| each.message_expiry.as_mut());
        if let (Some(expiry), Some(max)) = (expiry, self.limits().message_expiry_max) {
            *expiry = (*expiry).min(u32::try_from(max.as_secs()).unwrap_or(u32::MAX));
        }
    }
}

// === impl StaticUsers ===

impl StaticUsers {
    fn new(model: &model::Realtime, place: &Place) -> Result<Self, SettingsError> {
        let hashes = model.users.iter().map(|(name, user)| (&**name, &*user.password));
        let hashes = Arc::new(Users::new(hashes)?);
        let mut access = HashMap::default();
        for (name, user) in &model.users {
            let key = || format!("realtime.users.{name}");
            access.insert(name.clone(), policies(&user.access, key, place)?);
        }
        Ok(Self { hashes, access })
    }
}

// === impl TokenRules ===

impl TokenRules {
    fn new(jwt: &model::RealtimeJwt, place: &Place) -> Result<Self, SettingsError> {
        let rules = JwtRules {
            issuer: jwt.issuer.clone(),
            audience: jwt.audience.clone(),
            principal_claim: jwt.principal_claim.clone(),
        };
        let access = policies(&jwt.access, || "realtime.jwt".to_owned(), place)?;
        Ok(Self { rules, access })
    }
}

/// What an access list comes to.
fn policies(
    list: &model::AccessList,
    key: impl Fn() -> String,
    place: &Place,
) -> Result<Arc<PolicySet>, SettingsError> {
    let list = AccessList {
        connect: Some(&list.connect),
        publish: &list.publish,
        subscribe: &list.subscribe,
        receive: Some(&list.receive),
        retain: list.retain,
    };
    let set = PolicySet::from_access_list(&list, place);
    set.map(Arc::new).map_err(|source| SettingsError::Access { key: key(), source })
}

#[cfg(test)]
mod tests {
    use fanwire_app::model::{AccessList, Profile, Realtime, RealtimeUser};

    use super::*;

    fn error_of_user(password: &str, publish: &str) -> String {
        let mut model = Realtime::new(Profile::Aws);
        let mut access = AccessList::unrestricted();
        access.publish = vec![publish.to_owned()];
        let password = password.to_owned();
        model.users.insert("ada".to_owned(), RealtimeUser { password, access });
        Settings::new(&model, "us-east-1", "000000000000").unwrap_err().to_string()
    }

    #[test]
    fn what_is_wrong_with_a_user_is_said_by_its_key() {
        let hash = fanwire_policy::hash_password(b"x", &[0; 16]);
        let error = error_of_user(&hash, "${who}");
        assert!(error.starts_with("realtime.users.ada.publish[0]: the variable ${who}"), "{error}");
        let error = error_of_user("secret", "*");
        assert!(error.starts_with("realtime.users: user \"ada\": the password"), "{error}");
    }

    fn refused(message: &Message) -> String {
        let model = model::Realtime::new(Profile::Aws);
        let settings = Settings::new(&model, "r", "0").unwrap();
        settings
            .check_publication(message)
            .map_or_else(|error| error.to_string(), |()| String::new())
    }

    #[test]
    fn what_the_server_publishes_keeps_to_the_limits_of_clients() {
        assert_eq!(refused(&Message::new("a/b", "x")), "");
        assert_eq!(refused(&Message::new("$aws/rules/r/a", "x")), "");
        for topic in ["", "a/#", "$aws/events/x", "1/2/3/4/5/6/7/8/9"] {
            assert_ne!(refused(&Message::new(topic, "x")), "", "{topic}");
        }
        let mut message = Message::new("a", vec![0; 128 * 1024 + 1]);
        assert!(refused(&message).contains("max_payload_bytes"));
        message = Message::new("a", "x");
        message.qos = QoS::ExactlyOnce;
        assert!(refused(&message).contains("max_qos"));
    }

    #[test]
    fn properties_that_no_packet_can_have_are_refused() {
        let with = |change: fn(&mut Properties)| {
            let mut message = Message::new("a", "x");
            change(message.properties.get_or_insert_default());
            refused(&message)
        };
        assert_eq!(with(|properties| properties.utf8_payload = true), "");
        assert_ne!(with(|properties| properties.response_topic = Some("a/#".into())), "");
        assert_ne!(with(|properties| properties.content_type = Some("a\0".into())), "");
        assert_ne!(with(|properties| properties.content_type = Some("a".repeat(257).into())), "");
    }
}
