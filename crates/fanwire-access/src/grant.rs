//! What a caller may do: the permissions of its key or token, held against a question. There
//! is no denying: what nothing allows is denied.

use fanwire_app::serve::permission::Permission;

use crate::glob;

/// All that a caller may do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Grants(Vec<Permission>);

/// What a caller wants to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The action, such as `iot:Publish`.
    pub action: String,
    /// The ARN of what it is done to; `*` where it is done to nothing in particular.
    pub arn: String,
    /// Its short names, any of which a permission may mean.
    pub names: Vec<String>,
}

// === impl Grants ===

impl Grants {
    /// Everything that these allow.
    pub fn new(permissions: impl IntoIterator<Item = Permission>) -> Self {
        Self(permissions.into_iter().collect())
    }

    /// Whether any of them allows what is asked. Actions are compared without case, as IAM
    /// does.
    pub fn allow(&self, question: &Question) -> bool {
        let action = question.action.to_ascii_lowercase();
        self.0.iter().any(|Permission { action: pattern, resource }| {
            glob::matches(&pattern.to_ascii_lowercase(), &action)
                && (glob::matches(resource, &question.arn)
                    || question.names.iter().any(|name| glob::matches(resource, name)))
        })
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &Permission> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(action: &str, arn: &str, names: &[&str]) -> Question {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        Question { action: action.to_owned(), arn: arn.to_owned(), names }
    }

    fn grants(texts: &[&str]) -> Grants {
        Grants::new(texts.iter().map(|text| Permission::parse(text).unwrap()))
    }

    #[test]
    fn a_grant_is_for_an_action_on_a_resource() {
        let publish = |topic: &str| {
            let arn = format!("arn:aws:iot:eu-west-1:1:topic/{topic}");
            question("iot:Publish", &arn, &[topic])
        };
        let some = grants(&["iot:Publish orders/*", "lambda:*"]);
        assert!(some.allow(&publish("orders/1/new")));
        assert!(!some.allow(&publish("others")));
        assert!(!some.allow(&question("iot:Connect", "arn:x", &["orders/1"])));
        assert!(some.allow(&question("lambda:InvokeFunction", "arn:x", &["f"])));
        let by_arn = grants(&["iot:Publish arn:aws:iot:*:*:topic/orders/?"]);
        assert!(by_arn.allow(&publish("orders/1")));
        assert!(!by_arn.allow(&publish("orders/12")));
        assert!(!Grants::default().allow(&publish("a")));
    }
}
