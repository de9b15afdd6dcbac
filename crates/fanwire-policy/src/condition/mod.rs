//! Conditions of statements.
//!
//! The operators are IAM's: several values of a key are alternatives, several keys and
//! operators must all hold, and the negated operators hold where the key is missing.
//! The keys are those that the reference names (iot.md section 3).

mod cidr;
mod values;

use serde_json::value::RawValue;

use crate::error::PolicyError;
use crate::members::Members;
use crate::resource::{Place, Resource};
use crate::subject::{Subject, Variable};

use self::values::Values;

/// One operator with one key and its values.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Condition {
    /// Operator and key, as they are written.
    pub(crate) source: Box<str>,
    /// `None`: an operator or a key that is not known here.
    test: Option<Test>,
}

/// What a condition comes to for a subject.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Judgement<'c> {
    Holds,
    Fails,
    /// It uses a variable that is not defined for the subject.
    Undefined(&'c Variable),
    /// It asks what is not known here.
    Unknown,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Test {
    key: Key,
    quantifier: Quantifier,
    /// The operator is the opposite of what the values say.
    negated: bool,
    if_exists: bool,
    values: Values,
}

/// What is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Key {
    /// `PersistentConnect` and `LastWill`, as far as they are so.
    ConnectAttributes,
    /// The ARN of the will's topic.
    LastWillTopic,
    DomainName,
    SourceIp,
    ClientId,
    ThingName,
    IsAttached,
}

/// How many of the values that a key has must do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Quantifier {
    /// One of them: `ForAnyValue:`, and what a bare operator means.
    Any,
    /// Every one, of which there may be none: `ForAllValues:`.
    All,
}

// === impl Condition ===

impl Condition {
    /// Reads a statement's `Condition`.
    pub(crate) fn parse_all(json: &RawValue, path: &str) -> Result<Vec<Self>, PolicyError> {
        let mut conditions = Vec::new();
        for (operator, keys) in Members::parse_any(json, path)?.into_iter() {
            let path = format!("{path}.{operator}");
            for (key, values) in Members::parse_any(keys, &path)?.into_iter() {
                let test = Test::parse(&operator, &key, values, &format!("{path}[{key:?}]"))?;
                conditions.push(Self { source: format!("{operator} {key}").into(), test });
            }
        }
        Ok(conditions)
    }

    /// Whether the operator and the key are known here.
    pub(crate) const fn is_known(&self) -> bool {
        self.test.is_some()
    }

    /// Judges it for a subject.
    pub(crate) fn judge(&self, subject: &Subject<'_>, place: &Place) -> Judgement<'_> {
        let Some(test) = &self.test else { return Judgement::Unknown };
        match test.holds(subject, place) {
            Ok(true) => Judgement::Holds,
            Ok(false) => Judgement::Fails,
            Err(variable) => Judgement::Undefined(variable),
        }
    }
}

// === impl Test ===

impl Test {
    /// `None` where the operator or the key is not known.
    fn parse(
        operator: &str,
        key: &str,
        values: &RawValue,
        path: &str,
    ) -> Result<Option<Self>, PolicyError> {
        let (quantifier, bare) = match operator.split_once(':') {
            Some(("ForAllValues", bare)) => (Quantifier::All, bare),
            Some(("ForAnyValue", bare)) => (Quantifier::Any, bare),
            Some(_) => return Ok(None),
            None => (Quantifier::Any, operator),
        };
        let (bare, if_exists) = match bare.strip_suffix("IfExists") {
            Some(bare) => (bare, true),
            None => (bare, false),
        };
        let (Some(key), Some((values, negated))) =
            (Key::of_name(key), Values::parse(bare, values, path)?)
        else {
            return Ok(None);
        };
        Ok(Some(Self { key, quantifier, negated, if_exists, values }))
    }

    /// # Errors
    ///
    /// With a variable that is not defined for the subject.
    fn holds(&self, subject: &Subject<'_>, place: &Place) -> Result<bool, &Variable> {
        let actual = self.key.values(subject, place);
        if let Values::Missing(missing) = self.values {
            return Ok(actual.is_empty() == missing);
        }
        if let Some(undefined) = self.values.undefined(subject) {
            return Err(undefined);
        }
        let fits = |actual: &String| self.values.fit(actual, subject) != self.negated;
        Ok(match self.quantifier {
            Quantifier::All => actual.iter().all(fits),
            Quantifier::Any if actual.is_empty() => self.if_exists || self.negated,
            Quantifier::Any => actual.iter().any(fits),
        })
    }
}

// === impl Key ===

impl Key {
    fn of_name(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "iot:connectattributes" => Self::ConnectAttributes,
            "iot:lastwilltopic" => Self::LastWillTopic,
            "iot:domainname" => Self::DomainName,
            "aws:sourceip" => Self::SourceIp,
            "iot:clientid" => Self::ClientId,
            "iot:connection.thing.thingname" => Self::ThingName,
            "iot:connection.thing.isattached" => Self::IsAttached,
            _ => return None,
        })
    }

    /// The values that it has for a subject.
    fn values(self, subject: &Subject<'_>, place: &Place) -> Vec<String> {
        let one = |variable: Variable| variable.value(subject).into_iter().collect();
        match self {
            Self::ConnectAttributes => {
                let persistent = subject.persistent.then(|| "PersistentConnect".to_owned());
                let will = subject.will_topic.map(|_| "LastWill".to_owned());
                persistent.into_iter().chain(will).collect()
            }
            Self::LastWillTopic => subject
                .will_topic
                .map(|topic| place.arn(Resource::Topic(topic)))
                .into_iter()
                .collect(),
            Self::DomainName => one(Variable::DomainName),
            Self::SourceIp => one(Variable::SourceIp),
            Self::ClientId => one(Variable::ClientId),
            Self::ThingName => one(Variable::ThingName),
            Self::IsAttached => one(Variable::IsAttached),
        }
    }
}

#[cfg(test)]
mod tests;
