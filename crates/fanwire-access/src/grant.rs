//! What a caller may do, in IAM's terms: an action, and what it is done to.
//!
//! A grant is written as one text, `ACTION RESOURCE`, such as `execute-api:ManageConnections
//! chat/prod`, `iot:Publish orders/*` or `lambda:InvokeFunction resize`; without a resource
//! it holds for all. Both parts may have IAM's wildcards. A resource that begins with `arn:` is
//! held against the ARN, any other against the short names of what is asked for. There is no
//! denying: what nothing allows is denied.

use std::fmt;

use crate::glob;

/// Actions that are asked for, by name, for checks of what is written.
pub const ACTIONS: [&str; 18] = [
    "execute-api:ManageConnections",
    "execute-api:Invoke",
    "iot:Connect",
    "iot:Publish",
    "iot:Receive",
    "iot:Subscribe",
    "iot:RetainPublish",
    "iot:GetRetainedMessage",
    "iot:ListRetainedMessages",
    "iot:GetConnection",
    "iot:DeleteConnection",
    "iot:ListSubscriptions",
    "iot:SendDirectMessage",
    "lambda:InvokeFunction",
    "lambda:InvokeAsync",
    "dynamodb:*",
    "fanwire:Read",
    "fanwire:Control",
];

/// Prefixes of actions that have many names, which are not listed.
const OPEN_ENDED: &str = "dynamodb:";

/// Something that may be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    action: String,
    resource: String,
}

/// All that a caller may do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Grants(Vec<Grant>);

/// What a caller wants to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The action, such as `iot:Publish`.
    pub action: String,
    /// The ARN of what it is done to; `*` where the action is done to nothing in particular.
    pub arn: String,
    /// Its short names, any of which a grant may mean.
    pub names: Vec<String>,
}

/// A grant that can be none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GrantError {
    /// There is no such action, so it would allow nothing.
    #[error("there is no action `{0}` to allow")]
    Action(String),
    /// More than an action and a resource.
    #[error("`{0}` is more than an action and a resource")]
    Parts(String),
    /// MQTT's wildcards are no wildcards of IAM.
    #[error("`#` and `+` are no wildcards in permissions, `*` and `?` are: `{0}`")]
    Wildcard(String),
}

// === impl Grant ===

impl Grant {
    /// Reads `ACTION` or `ACTION RESOURCE`.
    ///
    /// # Errors
    ///
    /// [`GrantError`], where it can never allow anything.
    pub fn parse(text: &str) -> Result<Self, GrantError> {
        let mut parts = text.split_whitespace();
        let action = parts.next().unwrap_or_default().to_owned();
        let resource = parts.next().unwrap_or("*").to_owned();
        if parts.next().is_some() {
            return Err(GrantError::Parts(text.to_owned()));
        }
        let folded = action.to_ascii_lowercase();
        let known = ACTIONS.iter().any(|known| glob::matches(&folded, &known.to_ascii_lowercase()));
        let is_listed_nowhere = || folded.strip_prefix(OPEN_ENDED).is_some_and(|name| !name.is_empty());
        if !known && !is_listed_nowhere() {
            return Err(GrantError::Action(action));
        }
        if folded.starts_with("iot:")
            && resource.split(['/', ':']).any(|level| matches!(level, "#" | "+"))
        {
            return Err(GrantError::Wildcard(resource));
        }
        Ok(Self { action: folded, resource })
    }

    /// Whether it allows what is asked. Actions are compared without case, as IAM does.
    fn allows(&self, question: &Question) -> bool {
        glob::matches(&self.action, &question.action.to_ascii_lowercase())
            && (glob::matches(&self.resource, &question.arn)
                || question.names.iter().any(|name| glob::matches(&self.resource, name)))
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.action, self.resource)
    }
}

// === impl Grants ===

impl Grants {
    /// Everything that these allow.
    pub fn new(grants: impl IntoIterator<Item = Grant>) -> Self {
        Self(grants.into_iter().collect())
    }

    /// Reads several, as [`Grant::parse`] does.
    ///
    /// # Errors
    ///
    /// [`GrantError`], for the first that can never allow anything.
    pub fn parse<'t>(texts: impl IntoIterator<Item = &'t str>) -> Result<Self, GrantError> {
        texts.into_iter().map(Grant::parse).collect::<Result<Vec<_>, _>>().map(Self)
    }

    /// Whether any of them allows what is asked.
    pub fn allow(&self, question: &Question) -> bool {
        self.0.iter().any(|grant| grant.allows(question))
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &Grant> {
        self.0.iter()
    }
}

impl Grant {
    /// The action's pattern, in lower case.
    pub fn action(&self) -> &str {
        &self.action
    }

    /// The resource's pattern.
    pub fn resource(&self) -> &str {
        &self.resource
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(action: &str, arn: &str, names: &[&str]) -> Question {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        Question { action: action.to_owned(), arn: arn.to_owned(), names }
    }

    #[test]
    fn a_grant_is_for_an_action_on_a_resource() {
        let publish = |topic: &str| {
            let arn = format!("arn:aws:iot:eu-west-1:1:topic/{topic}");
            question("iot:Publish", &arn, &[topic])
        };
        let grants = Grants::parse(["iot:Publish orders/*", "lambda:*"]).unwrap();
        assert!(grants.allow(&publish("orders/1/new")));
        assert!(!grants.allow(&publish("others")));
        assert!(!grants.allow(&question("iot:Connect", "arn:x", &["orders/1"])));
        assert!(grants.allow(&question("lambda:InvokeFunction", "arn:x", &["f"])));
        let by_arn = Grants::parse(["iot:publish arn:aws:iot:*:*:topic/orders/?"]).unwrap();
        assert!(by_arn.allow(&publish("orders/1")));
        assert!(!by_arn.allow(&publish("orders/12")));
        assert!(!Grants::default().allow(&publish("a")));
    }

    #[test]
    fn what_can_never_allow_anything_is_refused() {
        for action in ["iot:Publsh", "execute-api", "", "s3:GetObject", "dynamodb:"] {
            assert_eq!(Grant::parse(action), Err(GrantError::Action(action.to_owned())));
        }
        assert!(matches!(Grant::parse("iot:Publish a b"), Err(GrantError::Parts(_))));
        assert!(matches!(Grant::parse("iot:Publish a/#"), Err(GrantError::Wildcard(_))));
        for action in ["*", "iot:*", "dynamodb:PutItem chat", "fanwire:Read", "iot:Pub?ish a#b"] {
            Grant::parse(action).unwrap();
        }
    }
}
