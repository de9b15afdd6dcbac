//! What would have allowed what was denied.

use super::access_list_key;
use crate::access::Access;
use crate::action::{Action, ActionSet};
use crate::glob::{Glob, GlobBuilder};
use crate::policy_set::{PolicySet, Source};
use crate::resource::Resource;
use crate::statement::{Bound, Effect, Statement};

/// Hints in a decision.
const HINTS: usize = 3;

/// Patterns named in a hint.
const PATTERNS: usize = 3;

/// What to do about a statement that denies.
pub(super) fn narrow(set: &PolicySet, statement: &Statement) -> String {
    let patterns = patterns(set, statement);
    let what = if statement.excludes { "everything except " } else { "" };
    format!("it denies {what}{patterns}, whatever else allows: narrow it or take it out")
}

/// What comes nearest to allowing an action: the likely mistakes first, then what the
/// statements that are about the action allow.
pub(super) fn nearest(access: &Access, action: Action, resource: Resource<'_>) -> Vec<String> {
    let question = Question { set: access.set(), action, resource };
    let mut mistakes = Vec::new();
    let mut others = Vec::new();
    for (statement, bound) in access.statements() {
        if statement.effect != Effect::Allow {
            continue;
        }
        match question.mistake(statement, bound) {
            Some(mistake) => mistakes.push(mistake),
            None => others.extend(question.what_is_allowed(statement, bound)),
        }
    }
    mistakes.append(&mut others);
    mistakes.truncate(HINTS);
    if mistakes.is_empty() {
        mistakes.push(question.what_to_add());
    }
    mistakes
}

/// What was asked, of which policies.
struct Question<'a> {
    set: &'a PolicySet,
    action: Action,
    resource: Resource<'a>,
}

// === impl Question ===

impl Question<'_> {
    /// What keeps a statement from allowing it, where that looks like a mistake.
    fn mistake(&self, statement: &Statement, bound: &Bound) -> Option<String> {
        let name = self.set.name_of(statement);
        if !statement.actions.contains(self.action) {
            let bare = Statement { actions: ActionSet::of([self.action]), ..statement.clone() };
            return bare
                .covers(bound, self.action, self.resource)
                .then(|| self.add_action(statement));
        }
        match bound {
            Bound::Unmet(index) => {
                let condition = statement.conditions.get(*index)?;
                let why = if condition.is_known() { "does not hold" } else { "is not known here" };
                self.would_fit(statement).then(|| {
                    format!("{name} would allow it, but its condition {} {why}", condition.source)
                })
            }
            Bound::Undefined(variable) => self.would_fit(statement).then(|| {
                format!("{name} would allow it, but ${{{}}} is not defined here", variable.name())
            }),
            Bound::Fixed | Bound::Resolved(_) => {
                let mistake = |source| self.mistake_in(&name, source);
                statement.patterns.iter().find_map(|pattern| mistake(pattern.source()))
            }
        }
    }

    /// The mistake in a pattern, if it is one of the usual ones.
    fn mistake_in(&self, name: &str, source: &str) -> Option<String> {
        let arn = self.set.place.arn(self.resource);
        let own = self.set.source == Source::AccessList;
        let full = if own { self.set.place.arn(self.with_name(source)) } else { source.to_owned() };
        let fits = |pattern: &str, arn: &str| loose(pattern).matches(arn);
        let starred = full.replace(['+', '#'], "*");
        if starred != full && fits(&starred, &arn) {
            let written = if own { source } else { self.short(source) };
            return Some(format!(
                "{name} says {written}, but in a policy `+` and `#` are characters, not wildcards: a topic or \
                 filter is matched as text; write {}",
                written.replace(['+', '#'], "*")
            ));
        }
        if own {
            return None;
        }
        if let Some(other) = self.other_kind()
            && fits(source, &self.set.place.arn(other))
        {
            return Some(format!(
                "{name} says {}, but {} is judged on {}",
                self.short(source),
                self.action,
                self.resource
            ));
        }
        if fits(&format!("*:{source}"), &arn) || fits(&format!("*/{source}"), &arn) {
            return Some(format!("{name} says {source}, which is no ARN: write {arn}"));
        }
        let mut sections = source.splitn(6, ':');
        let elsewhere = sections.nth(5)?;
        let (here, _) = arn.rsplit_once(&self.resource.to_string())?;
        fits(&format!("{here}{elsewhere}"), &arn)
            .then(|| format!("{name} is for another place ({source}); what is here is {here}…"))
    }

    fn add_action(&self, statement: &Statement) -> String {
        let name = self.set.name_of(statement);
        if self.set.source == Source::AccessList {
            return self.what_to_add();
        }
        let actions: Vec<_> = statement.actions.iter().map(Action::name).collect();
        format!(
            "{name} allows {} on {}; add {}",
            actions.join(", "),
            patterns(self.set, statement),
            self.action
        )
    }

    /// What a statement that is about the action does allow.
    fn what_is_allowed(&self, statement: &Statement, bound: &Bound) -> Option<String> {
        let applies = matches!(bound, Bound::Fixed | Bound::Resolved(_));
        (applies && statement.actions.contains(self.action)).then(|| {
            let name = self.set.name_of(statement);
            let only = if statement.excludes { "on all but" } else { "only on" };
            format!("{name} allows {} {only} {}", self.action, patterns(self.set, statement))
        })
    }

    fn what_to_add(&self) -> String {
        if self.set.source == Source::AccessList {
            return match access_list_key(self.action) {
                Some("retain") => "set `retain = true` in the access list".to_owned(),
                Some(key) => format!("add a pattern for it to `{key}` in the access list"),
                None => "access lists do not give this away".to_owned(),
            };
        }
        let arn = self.set.place.arn(self.resource);
        format!("add a statement that allows {} on {arn}", self.action)
    }

    /// Whether a statement's patterns fit, whatever its variables stand for.
    fn would_fit(&self, statement: &Statement) -> bool {
        let arn = self.set.place.arn(self.resource);
        let fits = statement.patterns.iter().any(|pattern| {
            let source = pattern.source();
            let own = self.set.source == Source::AccessList;
            loose(&if own { self.set.place.arn(self.with_name(source)) } else { source.to_owned() })
                .matches(&arn)
        });
        fits != statement.excludes
    }

    /// The resource's kind with another name.
    fn with_name<'n>(&self, name: &'n str) -> Resource<'n> {
        match self.resource {
            Resource::Client(_) => Resource::Client(name),
            Resource::Topic(_) => Resource::Topic(name),
            Resource::TopicFilter(_) => Resource::TopicFilter(name),
            Resource::Thing(_) => Resource::Thing(name),
            Resource::Every => Resource::Every,
        }
    }

    /// Topics and topic filters are mistaken for one another.
    fn other_kind(&self) -> Option<Resource<'_>> {
        match self.resource {
            Resource::Topic(name) => Some(Resource::TopicFilter(name)),
            Resource::TopicFilter(name) => Some(Resource::Topic(name)),
            Resource::Client(_) | Resource::Thing(_) | Resource::Every => None,
        }
    }

    fn short<'s>(&self, source: &'s str) -> &'s str {
        source.strip_prefix(self.set.place.start()).unwrap_or(source)
    }
}

/// A pattern in which every variable fits anything.
fn loose(source: &str) -> Glob {
    let mut builder = GlobBuilder::default();
    let mut rest = source;
    while let Some((before, variable)) = rest.split_once("${") {
        builder.pattern(before);
        builder.run();
        rest = variable.split_once('}').map_or("", |(_, after)| after);
    }
    builder.pattern(rest);
    builder.build()
}

/// A statement's patterns, the first few, without what they all start with.
fn patterns(set: &PolicySet, statement: &Statement) -> String {
    let start = set.place.start();
    let mut shown: Vec<&str> = statement
        .patterns
        .iter()
        .take(PATTERNS)
        .map(|pattern| pattern.source().strip_prefix(start).unwrap_or(pattern.source()))
        .collect();
    if shown.is_empty() {
        return "nothing: its list is empty".to_owned();
    }
    if statement.patterns.len() > PATTERNS {
        shown.push("…");
    }
    shown.join(", ")
}
