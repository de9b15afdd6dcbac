//! IAM policies, as far as an authorizer's answer needs them: does this document
//! allow that action on that resource?
//!
//! The rules are IAM's: an explicit deny wins, no matching allow denies. `Action`,
//! `Resource` and `Statement` may each be one or a list; `*` matches any text and
//! `?` one character. Conditions are not evaluated: a statement that has one never
//! allows, and denies as if its condition held, so that what is not understood
//! cannot open anything.

use serde::Deserialize;

/// A policy document of an authorizer's answer.
#[derive(Debug, Deserialize)]
pub(crate) struct Policy {
    #[serde(rename = "Statement")]
    statements: OneOrMany<Statement>,
}

/// What a policy says about one action on one resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    Allow,
    /// A statement denies it.
    ExplicitDeny,
    /// No statement allows it.
    ImplicitDeny,
}

#[derive(Debug, Deserialize)]
struct Statement {
    #[serde(rename = "Effect")]
    effect: Effect,
    #[serde(rename = "Action")]
    action: Option<OneOrMany<String>>,
    #[serde(rename = "NotAction")]
    not_action: Option<OneOrMany<String>>,
    #[serde(rename = "Resource")]
    resource: Option<OneOrMany<String>>,
    #[serde(rename = "NotResource")]
    not_resource: Option<OneOrMany<String>>,
    #[serde(rename = "Condition")]
    condition: Option<serde_json::Map<String, serde_json::Value>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
enum Effect {
    Allow,
    Deny,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum OneOrMany<T> {
    One(T),
    Many(Vec<T>),
}

// === impl Policy ===

impl Policy {
    /// Decides as IAM would. Actions are matched without case, resources with it.
    pub(crate) fn decide(&self, action: &str, resource: &str) -> Decision {
        let mut decision = Decision::ImplicitDeny;
        for statement in self.statements.as_slice() {
            if !statement.covers(action, resource) {
                continue;
            }
            let conditional = statement.condition.as_ref().is_some_and(|map| !map.is_empty());
            match statement.effect {
                Effect::Deny => return Decision::ExplicitDeny,
                Effect::Allow if !conditional => decision = Decision::Allow,
                Effect::Allow => {}
            }
        }
        decision
    }
}

impl Statement {
    fn covers(&self, action: &str, resource: &str) -> bool {
        let action = action.to_ascii_lowercase();
        let named = |pattern: &String| matches(&pattern.to_ascii_lowercase(), &action);
        let action = match (&self.action, &self.not_action) {
            (Some(action), _) => action.as_slice().iter().any(named),
            (None, Some(others)) => !others.as_slice().iter().any(named),
            (None, None) => false,
        };
        let named = |pattern: &String| matches(pattern, resource);
        let resource = match (&self.resource, &self.not_resource) {
            (Some(resource), _) => resource.as_slice().iter().any(named),
            (None, Some(others)) => !others.as_slice().iter().any(named),
            (None, None) => false,
        };
        action && resource
    }
}

impl<T> OneOrMany<T> {
    fn as_slice(&self) -> &[T] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }
}

/// The sections of an ARN: `arn:partition:service:region:account:resource`.
const ARN_SECTIONS: usize = 6;

/// Whether an action or resource pattern covers `text`.
fn matches(pattern: &str, text: &str) -> bool {
    // In an ARN a wildcard stays within its section, and the last section takes the
    // rest: `arn:aws:execute-api:*:*:api/*` covers every region and account.
    if pattern.starts_with("arn:") && text.starts_with("arn:") {
        let pattern: Vec<_> = pattern.splitn(ARN_SECTIONS, ':').collect();
        let text: Vec<_> = text.splitn(ARN_SECTIONS, ':').collect();
        if pattern.len() == text.len() {
            return pattern
                .iter()
                .zip(&text)
                .all(|(pattern, text)| wildcard(pattern.as_bytes(), text.as_bytes()));
        }
    }
    // A pattern with fewer sections, such as `arn:*`, ends in a wildcard for the rest.
    wildcard(pattern.as_bytes(), text.as_bytes())
}

/// Glob matching with `*` and `?`, in time linear in practice: only the last `*` is
/// ever tried again.
fn wildcard(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                retry = Some((p + 1, t));
                p += 1;
            }
            Some(&byte) if byte == b'?' || byte == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match retry {
                Some((after_star, from)) => {
                    retry = Some((after_star, from + 1));
                    p = after_star;
                    t = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const CONNECT: &str = "arn:aws:execute-api:us-east-1:123456789012:abcdef123/prod/$connect";

    fn decide(statements: &serde_json::Value) -> Decision {
        let policy = json!({ "Version": "2012-10-17 ", "Statement": statements });
        let policy: Policy = serde_json::from_value(policy).unwrap();
        policy.decide("execute-api:Invoke", CONNECT)
    }

    fn allow(resource: &str) -> Decision {
        decide(&json!({ "Action": "execute-api:Invoke", "Effect": "Allow", "Resource": resource }))
    }

    #[test]
    fn resources_match_as_iam_matches_them() {
        for resource in [
            CONNECT,
            "*",
            "arn:*",
            "arn:aws:execute-api:us-east-1:123456789012:abcdef123/*",
            "arn:aws:execute-api:us-east-1:123456789012:abcdef123/prod/*",
            "arn:aws:execute-api:*:*:abcdef???/prod/$connect",
            "arn:aws:execute-api:*:*:*",
        ] {
            assert_eq!(allow(resource), Decision::Allow, "{resource}");
        }
        for resource in [
            // Policy classes made for REST APIs say stage/METHOD/path.
            "arn:aws:execute-api:us-east-1:123456789012:abcdef123/prod/*/*",
            "arn:aws:execute-api:us-east-1:123456789012:abcdef123/dev/*",
            "arn:aws:execute-api:us-east-1:123456789012:ABCDEF123/*",
            "arn:aws:execute-api:us-east-1",
            "",
        ] {
            assert_eq!(allow(resource), Decision::ImplicitDeny, "{resource}");
        }
    }

    #[test]
    fn an_explicit_deny_wins_wherever_it_stands() {
        let allow = json!({ "Action": ["execute-api:*"], "Effect": "Allow", "Resource": ["*"] });
        let deny = json!({ "Action": "EXECUTE-API:invoke", "Effect": "Deny", "Resource": CONNECT });
        assert_eq!(decide(&json!([allow, deny])), Decision::ExplicitDeny);
        assert_eq!(decide(&json!([deny, allow])), Decision::ExplicitDeny);
        assert_eq!(decide(&json!([allow])), Decision::Allow);
        assert_eq!(decide(&json!([])), Decision::ImplicitDeny);
    }

    #[test]
    fn another_services_action_allows_nothing() {
        let other = json!({ "Action": "s3:GetObject", "Effect": "Allow", "Resource": "*" });
        assert_eq!(decide(&json!([other])), Decision::ImplicitDeny);
        let not = json!({ "NotAction": "execute-api:*", "Effect": "Allow", "Resource": "*" });
        assert_eq!(decide(&json!([not])), Decision::ImplicitDeny);
    }

    #[test]
    fn a_condition_never_opens_and_never_lifts_a_deny() {
        let condition = json!({ "IpAddress": { "aws:SourceIp": "10.0.0.0/8" } });
        for (effect, decision) in
            [("Allow", Decision::ImplicitDeny), ("Deny", Decision::ExplicitDeny)]
        {
            let statement =
                json!({ "Action": "*", "Effect": effect, "Resource": "*", "Condition": condition });
            assert_eq!(decide(&json!([statement])), decision);
        }
    }

    #[test]
    fn many_stars_do_not_take_long() {
        let pattern = "*a".repeat(200);
        assert!(!wildcard(pattern.as_bytes(), "a".repeat(199).as_bytes()));
    }
}
