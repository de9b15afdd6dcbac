//! What a caller may do, as it is written: `ACTION RESOURCE`, in IAM's terms.

use std::fmt;

use serde::Serialize;

use crate::diagnostic::Issue;
use crate::node::Node;
use crate::reading::Reading;

/// Actions that are asked for.
const ACTIONS: [&str; 17] = [
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
    "fanwire:Read",
    "fanwire:Control",
];

/// The service whose actions are too many to list.
const OPEN_ENDED: &str = "dynamodb:";

/// Something that may be done: an action on a resource. Both may have IAM's wildcards, `*`
/// and `?`. A resource that begins with `arn:` is an ARN; any other is a short name: `API/STAGE`,
/// a topic, a client id, a function, a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Permission {
    /// The action, such as `iot:Publish`.
    pub action: String,
    /// What it may be done to; `*` is anything.
    pub resource: String,
}

// === impl Permission ===

impl Permission {
    /// Reads `ACTION` or `ACTION RESOURCE`.
    ///
    /// # Errors
    ///
    /// Where it can never allow anything: why, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts = text.split_whitespace();
        let action = parts.next().unwrap_or_default();
        let resource = parts.next().unwrap_or("*");
        if parts.next().is_some() {
            return Err(format!("`{text}` is more than an action and a resource"));
        }
        if !is_known(action) {
            return Err(format!("there is no action `{action}` to allow"));
        }
        // MQTT's wildcards would only ever match themselves.
        if action.starts_with("iot:") && resource.split('/').any(|level| matches!(level, "#" | "+"))
        {
            let text = "`#` and `+` are no wildcards of permissions, `*` and `?` are";
            return Err(format!("{text}: `{resource}`"));
        }
        Ok(Self { action: action.to_owned(), resource: resource.to_owned() })
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.action, self.resource)
    }
}

/// Whether there is an action that `pattern` fits. A wildcard stands for the end of a name.
fn is_known(pattern: &str) -> bool {
    if pattern.strip_prefix(OPEN_ENDED).is_some_and(|name| !name.is_empty()) {
        return true;
    }
    match pattern.find(['*', '?']) {
        Some(at) => {
            let start = &pattern[..at];
            ACTIONS.iter().any(|action| action.starts_with(start)) || OPEN_ENDED.starts_with(start)
        }
        None => ACTIONS.contains(&pattern),
    }
}

/// The permissions that a table's key `allow` lists.
pub(super) fn read(table: &Node, reading: &mut Reading<'_>) -> Vec<Permission> {
    let items = table.get("allow").and_then(Node::as_list).unwrap_or_default();
    let mut permissions = Vec::with_capacity(items.len());
    for item in items {
        let text = item.scalar_text().unwrap_or_default();
        match Permission::parse(&text) {
            Ok(permission) => permissions.push(permission),
            Err(why) => {
                let action = text.split_whitespace().next().unwrap_or_default().to_owned();
                let expected = "an action and a resource, such as \"iot:Publish orders/*\"";
                let issue = Issue::error(item.span, why).expected(expected);
                reading.issues.push(issue.nearest(&action, ACTIONS));
            }
        }
    }
    permissions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_never_allow_anything_is_refused() {
        for text in
            ["iot:Publsh", "execute-api", "", "s3:GetObject", "dynamodb:", "iot:Publish a b"]
        {
            Permission::parse(text).unwrap_err();
        }
        assert!(Permission::parse("iot:Publish a/#").unwrap_err().contains("wildcards"));
        for text in ["*", "iot:*", "dynamodb:PutItem chat", "dynamodb:*", "d*", "iot:Pub?ish a#b"] {
            Permission::parse(text).unwrap();
        }
        let permission = Permission::parse("fanwire:Read").unwrap();
        assert_eq!(permission.to_string(), "fanwire:Read *");
    }
}
