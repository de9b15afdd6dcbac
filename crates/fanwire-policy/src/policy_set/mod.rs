//! All that is said about what somebody may do.

mod pool;

use std::sync::Arc;

use serde_json::value::RawValue;

use crate::access::Access;
use crate::error::PolicyError;
use crate::members::{Members, one_or_many, show, string};
use crate::resource::Place;
use crate::statement::{Effect, Statement};
use crate::subject::Subject;

pub use self::pool::PolicyPool;

/// How much policy documents may say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PolicyLimits {
    /// Documents in a set.
    pub documents: usize,
    /// Characters in a document, white space not counted.
    pub characters: usize,
}

/// Policy documents, parsed and compiled: whom they are for is open still.
///
/// The rules are IAM's (reference: iot.md section 3). All documents are united; what a
/// statement denies is denied; what none allows is denied, too. Patterns are matched
/// with whole ARNs, in which `+` and `#` are characters like others.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PolicySet {
    pub(crate) place: Place,
    pub(crate) source: Source,
    pub(crate) statements: Box<[Statement]>,
}

/// What a set was made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Source {
    /// Policy documents.
    Documents,
    /// Lists of patterns of ours.
    AccessList,
    /// Nothing: everything is allowed.
    Unrestricted,
}

// === impl PolicyLimits ===

impl PolicyLimits {
    /// AWS's for the answer of an authorizer.
    pub const AWS: Self = Self { documents: 10, characters: 2048 };
    /// Enough for anything that is meant, and bounded.
    pub const LAX: Self = Self { documents: 50, characters: 20_480 };
}

// === impl PolicySet ===

impl PolicySet {
    /// A set that allows everything.
    pub fn unrestricted() -> Self {
        let place = Place::new("aws", "", "");
        Self { place, source: Source::Unrestricted, statements: Box::default() }
    }

    /// Parses documents, each an object or a string that holds one, for resources at
    /// `place`.
    ///
    /// # Errors
    ///
    /// With what is wrong and where: `policyDocuments[0].Statement[1].Effect`.
    pub fn parse(
        documents: &[&RawValue],
        place: &Place,
        limits: PolicyLimits,
    ) -> Result<Self, PolicyError> {
        if documents.len() > limits.documents {
            let what = format!("{} documents", documents.len());
            let expected = format!("at most {}", limits.documents);
            return Err(PolicyError::new("policyDocuments", what, expected));
        }
        let mut statements = Vec::new();
        for (index, document) in documents.iter().enumerate() {
            parse_document(document, index, place, limits, &mut statements)?;
        }
        let statements = statements.into();
        Ok(Self { place: place.clone(), source: Source::Documents, statements })
    }

    /// What the set comes to for a subject: its variables are filled in and its
    /// conditions judged, once.
    pub fn bind(self: &Arc<Self>, subject: &Subject<'_>) -> Access {
        Access::new(self, subject)
    }

    /// What is odd, though not wrong, in words for the log: what is not known here and
    /// so never allows.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        for statement in &self.statements {
            let name = self.name_of(statement);
            let effect = match statement.effect {
                Effect::Allow => "it allows nothing",
                Effect::Deny => "it denies as if that held",
            };
            for condition in statement.conditions.iter().filter(|known| !known.is_known()) {
                notes.push(format!(
                    "{name}: the condition {} is not known here; {effect}",
                    condition.source
                ));
            }
            for variable in statement.patterns.iter().filter_map(|p| p.unknown_variable()) {
                notes.push(format!(
                    "{name}: ${{{}}} is never defined here; the statement never applies",
                    variable.name()
                ));
            }
        }
        notes
    }

    /// A statement's name in a message.
    pub(crate) fn name_of(&self, statement: &Statement) -> String {
        let sid = statement.sid.as_deref();
        if self.source == Source::AccessList {
            return format!("`{}` of the access list", sid.unwrap_or_default());
        }
        let mut name = format!("statement {}", statement.index + 1);
        if self.statements.iter().any(|other| other.document > 0) {
            name = format!("{name} of document {}", statement.document + 1);
        }
        match sid {
            Some(sid) if !sid.is_empty() => format!("{name} ({sid})"),
            _ => name,
        }
    }
}

/// Reads one document's statements.
fn parse_document(
    json: &RawValue,
    document: usize,
    place: &Place,
    limits: PolicyLimits,
    statements: &mut Vec<Statement>,
) -> Result<(), PolicyError> {
    let path = format!("policyDocuments[{document}]");
    // A document may come as a string that holds it.
    let text;
    let json = if json.get().starts_with('"') {
        text = string(json, &path, "a policy document")?;
        serde_json::from_str(&text)
            .map_err(|error| PolicyError::new(&path, error.to_string(), "a JSON document"))?
    } else {
        json
    };
    let characters = json.get().chars().filter(|c| !c.is_whitespace()).count();
    if characters > limits.characters {
        let what = format!("{characters} characters, white space not counted");
        return Err(PolicyError::new(&path, what, format!("at most {}", limits.characters)));
    }
    let members = Members::parse(json, &path, &["Version", "Id", "Statement"])?;
    if let Some(version) = members.get("Version")
        && !["\"2012-10-17\"", "\"2008-10-17\""].contains(&version.get())
    {
        return Err(PolicyError::new(&format!("{path}.Version"), show(version), "\"2012-10-17\""));
    }
    let Some(list) = members.get("Statement") else {
        return Err(PolicyError::new(&path, "no Statement", "a Statement, or a list of them"));
    };
    for (index, json) in one_or_many(list).into_iter().enumerate() {
        let path = format!("{path}.Statement[{index}]");
        statements.push(Statement::parse(json, &path, (document, index), place)?);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
