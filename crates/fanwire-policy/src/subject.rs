//! Who acts: what variables stand for and what conditions ask.

use std::net::IpAddr;

use serde_json::{Map, Value};

/// A connection, or a caller, as policies see it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Subject<'a> {
    /// The MQTT client id. Empty is unknown.
    pub client_id: &'a str,
    /// Where the connection comes from.
    pub source_ip: Option<IpAddr>,
    /// What authentication says it is: an authorizer's `principalId`, a user, a token's
    /// subject.
    pub principal: Option<&'a str>,
    /// The host name that the client connected to, from TLS or the `Host` header.
    pub domain_name: Option<&'a str>,
    /// The thing that goes with the connection. Nothing here registers things: AWS takes
    /// the client id only where a thing of that name is attached.
    pub thing_name: Option<&'a str>,
    /// The client asked for a session that outlives its connection.
    pub persistent: bool,
    /// The topic of the will, where there is one.
    pub will_topic: Option<&'a str>,
    /// The claims of its token.
    pub claims: Option<&'a Map<String, Value>>,
}

/// `${…}` in a pattern.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Variable {
    ClientId,
    SourceIp,
    DomainName,
    ThingName,
    IsAttached,
    Principal,
    Claim(Box<str>),
    /// One that is never defined here, by its name.
    Unknown(Box<str>),
}

/// Which variables a pattern knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// Those of IoT policies.
    Iot,
    /// Those, and the ones of access lists.
    AccessList,
}

// === impl Variable ===

impl Variable {
    /// The variable of a name. As IAM does it, without regard to case; claims have theirs.
    pub(crate) fn of_name(name: &str, dialect: Dialect) -> Self {
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        let own = dialect == Dialect::AccessList;
        match name {
            _ if is("iot:ClientId") => Self::ClientId,
            _ if is("aws:SourceIp") => Self::SourceIp,
            _ if is("iot:DomainName") => Self::DomainName,
            _ if is("iot:Connection.Thing.ThingName") => Self::ThingName,
            _ if is("iot:Connection.Thing.IsAttached") => Self::IsAttached,
            _ if own && is("principal") => Self::Principal,
            _ => match name.strip_prefix("claim:").filter(|claim| own && !claim.is_empty()) {
                Some(claim) => Self::Claim(claim.into()),
                None => Self::Unknown(name.into()),
            },
        }
    }

    /// The name as it is written between the braces.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::ClientId => "iot:ClientId".to_owned(),
            Self::SourceIp => "aws:SourceIp".to_owned(),
            Self::DomainName => "iot:DomainName".to_owned(),
            Self::ThingName => "iot:Connection.Thing.ThingName".to_owned(),
            Self::IsAttached => "iot:Connection.Thing.IsAttached".to_owned(),
            Self::Principal => "principal".to_owned(),
            Self::Claim(name) => format!("claim:{name}"),
            Self::Unknown(name) => name.clone().into(),
        }
    }

    /// What it stands for. An empty text is none, so that `users/${principal}/*` never
    /// comes to `users//*`.
    pub(crate) fn value(&self, subject: &Subject<'_>) -> Option<String> {
        let text = match self {
            Self::ClientId => Some(subject.client_id.to_owned()),
            Self::SourceIp => subject.source_ip.map(|ip| ip.to_canonical().to_string()),
            Self::DomainName => subject.domain_name.map(str::to_owned),
            Self::ThingName => subject.thing_name.map(str::to_owned),
            Self::IsAttached => Some(subject.thing_name.is_some().to_string()),
            Self::Principal => subject.principal.map(str::to_owned),
            Self::Claim(name) => subject.claims.and_then(|claims| claim_text(claims.get(&**name)?)),
            Self::Unknown(_) => None,
        };
        text.filter(|text| !text.is_empty())
    }
}

/// The text of a claim that has one: lists and objects have none.
pub(crate) fn claim_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(yes) => Some(yes.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn variables_stand_for_what_the_subject_has() {
        let claims = json!({ "team": "red", "level": 3, "groups": ["a"], "none": "" });
        let subject = Subject {
            client_id: "c1",
            source_ip: Some("::ffff:10.0.0.1".parse().unwrap()),
            principal: Some("ann"),
            claims: claims.as_object(),
            ..Subject::default()
        };
        let value = |name| Variable::of_name(name, Dialect::AccessList).value(&subject);
        assert_eq!(value("IOT:clientid").as_deref(), Some("c1"));
        assert_eq!(value("aws:SourceIp").as_deref(), Some("10.0.0.1"));
        assert_eq!(value("principal").as_deref(), Some("ann"));
        assert_eq!(value("claim:team").as_deref(), Some("red"));
        assert_eq!(value("claim:level").as_deref(), Some("3"));
        for undefined in ["claim:groups", "claim:none", "claim:Team", "claim:", "other"] {
            assert_eq!(value(undefined), None, "{undefined}");
        }
        assert_eq!(value("iot:Connection.Thing.ThingName"), None);
        assert_eq!(value("iot:Connection.Thing.IsAttached").as_deref(), Some("false"));
    }

    #[test]
    fn iot_policies_know_no_variables_of_access_lists() {
        let subject = Subject { principal: Some("ann"), ..Subject::default() };
        assert_eq!(Variable::of_name("principal", Dialect::Iot).value(&subject), None);
    }
}
