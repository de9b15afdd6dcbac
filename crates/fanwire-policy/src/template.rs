//! Patterns as policies write them: wildcards, variables and escapes.

use crate::glob::{Glob, GlobBuilder};
use crate::subject::{Dialect, Subject, Variable};

/// A pattern whose variables are not filled in yet.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Template {
    /// As it is written, for explanations.
    source: Box<str>,
    parts: Box<[Part]>,
}

/// Whether `*` and `?` are special in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wildcards {
    Special,
    Literal,
}

/// A template with its variables filled in.
#[derive(Debug)]
pub(crate) struct Resolved {
    pub(crate) glob: Glob,
    /// A variable brought in a `+` or `#`, which a client may have chosen to reach into
    /// what belongs to others: `users/${iot:ClientId}/inbox` for a client named `+`.
    pub(crate) brings_mqtt_wildcard: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Part {
    Run,
    One,
    Text(Box<str>),
    Variable(Variable),
}

// === impl Template ===

impl Template {
    /// Reads a pattern. `${*}`, `${?}` and `${$}` are those characters; a `${` that
    /// nothing closes is text.
    pub(crate) fn parse(source: &str, wildcards: Wildcards, dialect: Dialect) -> Self {
        let special: &[char] = match wildcards {
            Wildcards::Special => &['*', '?', '$'],
            Wildcards::Literal => &['$'],
        };
        let mut parts = Vec::new();
        let mut text = String::new();
        let mut rest = source;
        while let Some(at) = rest.find(special) {
            text.push_str(&rest[..at]);
            rest = &rest[at..];
            let (part, after) = next_part(rest, dialect);
            rest = after;
            match part {
                Part::Text(more) => text.push_str(&more),
                part => {
                    flush(&mut text, &mut parts);
                    parts.push(part);
                }
            }
        }
        text.push_str(rest);
        flush(&mut text, &mut parts);
        Self { source: source.into(), parts: parts.into() }
    }

    /// The template with `prefix`, in which nothing is special, before it. Its source
    /// stays what was written.
    pub(crate) fn behind(self, prefix: &str) -> Self {
        let prefix = Part::Text(prefix.into());
        let parts = std::iter::once(prefix).chain(self.parts).collect();
        Self { source: self.source, parts }
    }

    /// As it was written.
    pub(crate) fn source(&self) -> &str {
        &self.source
    }

    /// Whether it has variables.
    pub(crate) fn has_variables(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Variable(_)))
    }

    /// The variable in it that is never defined here, if there is one.
    pub(crate) fn unknown_variable(&self) -> Option<&Variable> {
        self.variables().find(|variable| matches!(variable, Variable::Unknown(_)))
    }

    /// The first variable in it that is not defined for a subject.
    pub(crate) fn undefined(&self, subject: &Subject<'_>) -> Option<&Variable> {
        self.variables().find(|variable| variable.value(subject).is_none())
    }

    /// A template without wildcards, its variables filled in.
    ///
    /// # Errors
    ///
    /// With the first variable that is not defined for the subject.
    pub(crate) fn text(&self, subject: &Subject<'_>) -> Result<String, &Variable> {
        self.parts
            .iter()
            .map(|part| match part {
                Part::Run => Ok("*".to_owned()),
                Part::One => Ok("?".to_owned()),
                Part::Text(text) => Ok(text.clone().into()),
                Part::Variable(variable) => variable.value(subject).ok_or(variable),
            })
            .collect()
    }

    fn variables(&self) -> impl Iterator<Item = &Variable> {
        self.parts.iter().filter_map(|part| match part {
            Part::Variable(variable) => Some(variable),
            Part::Run | Part::One | Part::Text(_) => None,
        })
    }

    /// Fills in the variables. What they stand for is text: a `*` in a client id is no
    /// wildcard.
    ///
    /// # Errors
    ///
    /// With the first variable that is not defined for the subject.
    pub(crate) fn resolve(&self, subject: &Subject<'_>) -> Result<Resolved, &Variable> {
        let mut builder = GlobBuilder::default();
        let mut brings_mqtt_wildcard = false;
        for part in &self.parts {
            match part {
                Part::Run => builder.run(),
                Part::One => builder.one(),
                Part::Text(text) => builder.text(text),
                Part::Variable(variable) => {
                    let value = variable.value(subject).ok_or(variable)?;
                    brings_mqtt_wildcard |= value.contains(['+', '#']);
                    builder.text(&value);
                }
            }
        }
        Ok(Resolved { glob: builder.build(), brings_mqtt_wildcard })
    }
}

/// The part that `rest`, which starts with a special character, starts with, and what
/// comes after it.
fn next_part(rest: &str, dialect: Dialect) -> (Part, &str) {
    let text = |text: &str| Part::Text(text.into());
    if let Some(after) = rest.strip_prefix('*') {
        return (Part::Run, after);
    }
    if let Some(after) = rest.strip_prefix('?') {
        return (Part::One, after);
    }
    match rest.strip_prefix("${").and_then(|inner| inner.split_once('}')) {
        Some((escaped @ ("*" | "?" | "$"), after)) => (text(escaped), after),
        Some((name, after)) => (Part::Variable(Variable::of_name(name, dialect)), after),
        None => {
            let mut chars = rest.chars();
            let first = chars.next().unwrap_or_default();
            (text(first.encode_utf8(&mut [0; 4])), chars.as_str())
        }
    }
}

fn flush(text: &mut String, parts: &mut Vec<Part>) {
    if !text.is_empty() {
        parts.push(Part::Text(std::mem::take(text).into()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, client_id: &str, text: &str) -> bool {
        let template = Template::parse(pattern, Wildcards::Special, Dialect::Iot);
        let subject = Subject { client_id, ..Subject::default() };
        template.resolve(&subject).unwrap().glob.matches(text)
    }

    #[test]
    fn a_variable_is_replaced_by_text() {
        assert!(matches("client/${iot:ClientId}", "c1", "client/c1"));
        assert!(matches("a/${iot:ClientId}/*", "c1", "a/c1/b/c"));
        assert!(!matches("a/${iot:ClientId}/*", "c1", "a/c2/b"));
        assert!(!matches("a/${iot:ClientId}", "*", "a/anything"));
        assert!(matches("a/${iot:ClientId}", "*", "a/*"));
    }

    #[test]
    fn escapes_are_the_characters_themselves() {
        assert!(matches("a${*}b${?}c${$}", "", "a*b?c$"));
        assert!(!matches("a${*}b", "", "axb"));
        assert!(!matches("a${?}b", "", "axb"));
        assert!(matches("${$}{iot:ClientId}", "c1", "${iot:ClientId}"));
        assert!(matches("price$/${open", "c1", "price$/${open"));
        assert!(matches("$share/g/*", "c1", "$share/g/a"));
    }

    #[test]
    fn an_undefined_variable_is_named() {
        let pattern = "thing/${iot:Connection.Thing.Attributes[room]}";
        let template = Template::parse(pattern, Wildcards::Special, Dialect::Iot);
        let undefined = template.resolve(&Subject::default()).unwrap_err();
        assert_eq!(undefined.name(), "iot:Connection.Thing.Attributes[room]");
    }

    #[test]
    fn literal_wildcards_are_characters() {
        let template = Template::parse("a*${iot:ClientId}?", Wildcards::Literal, Dialect::Iot);
        let subject = Subject { client_id: "c", ..Subject::default() };
        let glob = template.resolve(&subject).unwrap().glob;
        assert!(glob.matches("a*c?"));
        assert!(!glob.matches("abcd"));
    }
}
