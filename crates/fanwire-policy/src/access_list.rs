//! Access lists: a few patterns instead of policy documents, for static users and
//! tokens. They come to the same statements, so that one evaluator decides.

use crate::action::{Action, ActionSet};
use crate::error::PolicyError;
use crate::policy_set::{PolicySet, Source};
use crate::resource::{Kind, Place};
use crate::statement::{Effect, Statement};
use crate::subject::Dialect;
use crate::template::{Template, Wildcards};

/// What a user or a token's bearer may do.
///
/// The patterns are those of IoT policies, without what an ARN has before the name: `*`
/// is any run of characters, `/` included, `?` is one, `+` and `#` are characters. The
/// variables are `${iot:ClientId}`, `${aws:SourceIp}`, `${principal}` and
/// `${claim:NAME}`; an entry with one that is not defined gives nothing, and nor does a
/// topic filter reached by a `+` or `#` that a variable brings.
#[derive(Debug, Clone, Copy, Default)]
pub struct AccessList<'a> {
    /// Client ids it may connect with. None: any.
    pub connect: Option<&'a [String]>,
    /// Topics it may publish to.
    pub publish: &'a [String],
    /// Topic filters it may subscribe to, matched as text.
    pub subscribe: &'a [String],
    /// Topics whose messages it may be delivered. None: those that fit `subscribe`.
    pub receive: Option<&'a [String]>,
    /// Whether it may retain what it may publish.
    pub retain: bool,
}

// === impl PolicySet ===

impl PolicySet {
    /// What an access list comes to.
    ///
    /// # Errors
    ///
    /// With a pattern whose variable does not exist, as in `subscribe[1]`.
    pub fn from_access_list(list: &AccessList<'_>, place: &Place) -> Result<Self, PolicyError> {
        let any = [String::from("*")];
        let retain = if list.retain { list.publish } else { &[] };
        let entries: [(&str, Action, Kind, &[String]); 5] = [
            ("connect", Action::Connect, Kind::Client, list.connect.unwrap_or(&any)),
            ("publish", Action::Publish, Kind::Topic, list.publish),
            ("retain", Action::RetainPublish, Kind::Topic, retain),
            ("subscribe", Action::Subscribe, Kind::TopicFilter, list.subscribe),
            ("receive", Action::Receive, Kind::Topic, list.receive.unwrap_or(list.subscribe)),
        ];
        let mut statements = Vec::new();
        for (key, action, kind, patterns) in entries {
            // A statement for each, so that an undefined variable takes only its own.
            for (index, pattern) in patterns.iter().enumerate() {
                let pattern = template(pattern, &format!("{key}[{index}]"))?;
                let statement = Statement {
                    document: 0,
                    index: statements.len(),
                    sid: Some(key.into()),
                    effect: Effect::Allow,
                    actions: ActionSet::of([action]),
                    excludes: false,
                    patterns: [pattern.behind(&place.prefix(kind))].into(),
                    fixed: None,
                    conditions: Box::default(),
                };
                statements.push(statement.with_fixed_targets(place));
            }
        }
        let statements = statements.into();
        Ok(Self { place: place.clone(), source: Source::AccessList, statements })
    }
}

fn template(pattern: &str, path: &str) -> Result<Template, PolicyError> {
    let template = Template::parse(pattern, Wildcards::Special, Dialect::AccessList);
    match template.unknown_variable() {
        Some(variable) => {
            let what = format!("the variable ${{{}}}", variable.name());
            let expected = "${iot:ClientId}, ${aws:SourceIp}, ${principal} or ${claim:NAME}";
            Err(PolicyError::new(path, what, expected))
        }
        None => Ok(template),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::access::Access;
    use crate::resource::Resource;
    use crate::subject::Subject;

    fn access(list: &AccessList<'_>, subject: &Subject<'_>) -> Access {
        let place = Place::new("aws", "us-east-1", "123456789012");
        Arc::new(PolicySet::from_access_list(list, &place).unwrap()).bind(subject)
    }

    fn texts<const N: usize>(texts: [&str; N]) -> [String; N] {
        texts.map(str::to_owned)
    }

    #[test]
    fn a_list_gives_what_it_names() {
        let (publish, subscribe) = (texts(["chat/*"]), texts(["chat/*", "news"]));
        let list = AccessList { publish: &publish, subscribe: &subscribe, ..Default::default() };
        let access = access(&list, &Subject::default());
        assert!(access.allows(Action::Connect, Resource::Client("any")));
        assert!(access.allows(Action::Publish, Resource::Topic("chat/a")));
        assert!(!access.allows(Action::Publish, Resource::Topic("news")));
        assert!(!access.allows(Action::RetainPublish, Resource::Topic("chat/a")));
        assert!(access.allows(Action::Subscribe, Resource::TopicFilter("chat/#")));
        assert!(!access.allows(Action::Subscribe, Resource::TopicFilter("#")));
        assert!(access.allows(Action::Receive, Resource::Topic("news")));
        assert!(!access.allows(Action::Receive, Resource::Topic("other")));
    }

    #[test]
    fn what_is_said_for_itself_counts() {
        let (publish, subscribe, receive) = (texts(["a"]), texts(["*"]), texts(["b"]));
        let connect = texts(["${principal}-*"]);
        let list = AccessList {
            connect: Some(&connect),
            publish: &publish,
            subscribe: &subscribe,
            receive: Some(&receive),
            retain: true,
        };
        let ann = Subject { principal: Some("ann"), ..Subject::default() };
        let access = access(&list, &ann);
        assert!(access.allows(Action::Connect, Resource::Client("ann-1")));
        assert!(!access.allows(Action::Connect, Resource::Client("bob-1")));
        assert!(access.allows(Action::RetainPublish, Resource::Topic("a")));
        assert!(!access.allows(Action::RetainPublish, Resource::Topic("b")));
        assert!(access.allows(Action::Receive, Resource::Topic("b")));
        assert!(!access.allows(Action::Receive, Resource::Topic("a")));
    }

    #[test]
    fn an_undefined_variable_takes_only_its_own_entry() {
        let publish = texts(["team/${claim:team}/*", "own/${principal}", "all"]);
        let list = AccessList { publish: &publish, ..Default::default() };
        let nobody = access(&list, &Subject::default());
        assert!(nobody.allows(Action::Publish, Resource::Topic("all")));
        assert!(!nobody.allows(Action::Publish, Resource::Topic("team//a")));
        assert!(!nobody.allows(Action::Publish, Resource::Topic("own/")));
        let claims = json!({ "team": "red" });
        let subject = Subject { claims: claims.as_object(), ..Subject::default() };
        let member = access(&list, &subject);
        assert!(member.allows(Action::Publish, Resource::Topic("team/red/a")));
        assert!(!member.allows(Action::Publish, Resource::Topic("team/blue/a")));
    }

    #[test]
    fn a_principal_is_text_and_reaches_no_filters() {
        let subscribe = texts(["users/${principal}/*"]);
        let list = AccessList { subscribe: &subscribe, ..Default::default() };
        for principal in ["*", "+", "#"] {
            let subject = Subject { principal: Some(principal), ..Subject::default() };
            let access = access(&list, &subject);
            let filter = format!("users/{principal}/a");
            for (filter, allowed) in [("users/bob/a", false), (&filter, principal == "*")] {
                let filter = Resource::TopicFilter(filter);
                assert_eq!(access.allows(Action::Subscribe, filter), allowed, "{principal}");
            }
        }
    }

    #[test]
    fn a_variable_that_does_not_exist_is_refused() {
        let subscribe = texts(["a", "users/${user}/*"]);
        let list = AccessList { subscribe: &subscribe, ..Default::default() };
        let place = Place::new("aws", "us-east-1", "123456789012");
        let error = PolicySet::from_access_list(&list, &place).unwrap_err();
        assert_eq!(error.path, "subscribe[1]");
        assert_eq!(error.what, "the variable ${user}");
    }
}
