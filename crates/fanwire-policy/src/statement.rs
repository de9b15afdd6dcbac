//! Statements: an effect on some actions with some resources, perhaps on conditions.

use serde_json::value::RawValue;

use crate::action::{Action, ActionSet};
use crate::condition::{Condition, Judgement};
use crate::error::PolicyError;
use crate::members::{Members, show, string, strings};
use crate::resource::{Place, Resource};
use crate::subject::{Dialect, Subject, Variable};
use crate::targets::Targets;
use crate::template::{Template, Wildcards};

/// A statement of a policy.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Statement {
    /// The document that it is in, and its place there, from zero.
    pub(crate) document: usize,
    pub(crate) index: usize,
    pub(crate) sid: Option<Box<str>>,
    pub(crate) effect: Effect,
    pub(crate) actions: ActionSet,
    /// `NotResource`: every resource but those of the patterns.
    pub(crate) excludes: bool,
    pub(crate) patterns: Box<[Template]>,
    /// What the patterns come to, where no variable is in them.
    pub(crate) fixed: Option<Targets>,
    pub(crate) conditions: Box<[Condition]>,
}

/// What a statement does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Effect {
    Allow,
    Deny,
}

/// What a statement comes to for a subject.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Bound {
    /// It applies, with the targets it was parsed with.
    Fixed,
    /// It applies, with these.
    Resolved(Targets),
    /// It does not apply: this condition, by its index, does not hold.
    Unmet(usize),
    /// It does not apply: this variable is not defined.
    Undefined(Variable),
}

const STATEMENT: [&str; 7] =
    ["Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Condition"];

// === impl Statement ===

impl Statement {
    /// Reads a statement of a document.
    pub(crate) fn parse(
        json: &RawValue,
        path: &str,
        (document, index): (usize, usize),
        place: &Place,
    ) -> Result<Self, PolicyError> {
        let members = Members::parse(json, path, &STATEMENT)?;
        let at = |name: &str| format!("{path}.{name}");
        let sid = members.get("Sid").map(|sid| string(sid, &at("Sid"), "a string")).transpose()?;
        let effect = Effect::parse(members.get("Effect"), &at("Effect"))?;
        let actions = parse_actions(&members, path)?;
        let (sources, excludes) = either(
            &members,
            path,
            ("Resource", "NotResource"),
            "an ARN pattern, or a list of them",
        )?;
        let conditions = match members.get("Condition") {
            Some(json) => Condition::parse_all(json, &at("Condition"))?,
            None => Vec::new(),
        };
        let template = |source: &String| Template::parse(source, Wildcards::Special, Dialect::Iot);
        let patterns = sources.iter().map(template).collect();
        let sid = sid.map(Into::into);
        let conditions = conditions.into();
        let statement = Self {
            document,
            index,
            sid,
            effect,
            actions,
            excludes,
            patterns,
            fixed: None,
            conditions,
        };
        Ok(statement.with_fixed_targets(place))
    }

    /// The statement with its targets made now, where no variable keeps them open.
    pub(crate) fn with_fixed_targets(mut self, place: &Place) -> Self {
        if !self.patterns.iter().any(Template::has_variables) {
            self.fixed = self.targets(&Subject::default(), place).ok();
        }
        self
    }

    /// Whether it says the same for every subject.
    pub(crate) const fn is_fixed(&self) -> bool {
        self.fixed.is_some() && self.conditions.is_empty()
    }

    /// What it comes to for a subject.
    ///
    /// A condition that is not understood keeps an Allow from applying and lets a Deny
    /// apply, so that it can open nothing. An undefined variable keeps either from
    /// applying, as on AWS.
    pub(crate) fn bind(&self, subject: &Subject<'_>, place: &Place) -> Bound {
        for (index, condition) in self.conditions.iter().enumerate() {
            match condition.judge(subject, place) {
                Judgement::Holds => {}
                Judgement::Unknown if self.effect == Effect::Deny => {}
                Judgement::Unknown | Judgement::Fails => return Bound::Unmet(index),
                Judgement::Undefined(variable) => return Bound::Undefined(variable.clone()),
            }
        }
        if self.fixed.is_some() {
            return Bound::Fixed;
        }
        match self.targets(subject, place) {
            Ok(targets) => Bound::Resolved(targets),
            Err(variable) => Bound::Undefined(variable.clone()),
        }
    }

    /// Whether it is about an action on a resource, given what it came to.
    pub(crate) fn covers(&self, bound: &Bound, action: Action, resource: Resource<'_>) -> bool {
        let targets = match bound {
            Bound::Fixed => self.fixed.as_ref(),
            Bound::Resolved(targets) => Some(targets),
            Bound::Unmet(_) | Bound::Undefined(_) => None,
        };
        self.actions.contains(action)
            && targets.is_some_and(|targets| targets.contain(resource) != self.excludes)
    }

    /// What the patterns come to for a subject, whatever the conditions.
    pub(crate) fn targets(
        &self,
        subject: &Subject<'_>,
        place: &Place,
    ) -> Result<Targets, &Variable> {
        // Only what widens access is cut (see `Resolved::brings_mqtt_wildcard`).
        let widens = self.effect == Effect::Allow && !self.excludes;
        let mut targets = Targets::default();
        for pattern in &self.patterns {
            let resolved = pattern.resolve(subject)?;
            targets.add(&resolved.glob, place, widens && resolved.brings_mqtt_wildcard);
        }
        Ok(targets)
    }
}

// === impl Effect ===

impl Effect {
    fn parse(json: Option<&RawValue>, path: &str) -> Result<Self, PolicyError> {
        let expected = "\"Allow\" or \"Deny\"";
        match json.map(RawValue::get) {
            Some("\"Allow\"") => Ok(Self::Allow),
            Some("\"Deny\"") => Ok(Self::Deny),
            _ => Err(PolicyError::new(path, json.map_or("nothing".into(), show), expected)),
        }
    }
}

fn parse_actions(members: &Members<'_>, path: &str) -> Result<ActionSet, PolicyError> {
    let expected = "an action such as \"iot:Publish\", or a list of them";
    let (patterns, excludes) = either(members, path, ("Action", "NotAction"), expected)?;
    let named = patterns
        .iter()
        .map(|pattern| ActionSet::of_pattern(pattern))
        .fold(ActionSet::default(), ActionSet::with);
    Ok(if excludes { named.complement() } else { named })
}

/// The strings of one of two members, of which a statement has exactly one. The flag:
/// it is the second, which excludes.
fn either(
    members: &Members<'_>,
    path: &str,
    (includes, excludes): (&str, &str),
    expected: &str,
) -> Result<(Vec<String>, bool), PolicyError> {
    let read = |json, name| strings(json, &format!("{path}.{name}"), expected);
    match (members.get(includes), members.get(excludes)) {
        (Some(json), None) => Ok((read(json, includes)?, false)),
        (None, Some(json)) => Ok((read(json, excludes)?, true)),
        (found, _) => {
            let what = if found.is_some() { "both" } else { "neither" };
            Err(PolicyError::new(path, what, format!("one of {includes} and {excludes}")))
        }
    }
}
