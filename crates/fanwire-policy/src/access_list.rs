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
    pub clients: Option<&'a [String]>,
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
            ("clients", Action::Connect, Kind::Client, list.clients.unwrap_or(&any)),
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
