//! What a realtime endpoint is set to: its model, and what follows from it.

use std::collections::HashMap;
use std::sync::Arc;

use fanwire_app::model::{self, RealtimeLimits};
use fanwire_policy::{
    AccessList, JwtRules, Place, PolicyError, PolicySet, PublicKeyError, SigningKeys, UserError,
    Users,
};
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

    /// Checks what somebody on this side wants to publish.
    pub(crate) fn check_publication(&self, topic: &str, size: usize) -> Result<(), PublishError> {
        let wrong = |why| PublishError::Topic { topic: topic.to_owned(), why };
        if mqtt_topic::check_name(topic).is_err() {
            return Err(wrong("it is empty, too long, or has a wildcard or U+0000 in it"));
        }
        let reserved = !self.limits().dollar_topics && topic.starts_with('$');
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
}
