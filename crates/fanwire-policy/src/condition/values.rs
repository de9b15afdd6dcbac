//! What conditions compare with.

use std::net::IpAddr;

use serde_json::value::RawValue;

use super::cidr::Cidr;
use crate::error::PolicyError;
use crate::members::{one_or_many, show};
use crate::subject::{Dialect, Subject, Variable};
use crate::template::{Template, Wildcards};

/// The values of a condition: each an alternative.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Values {
    /// Texts or patterns.
    Text(Box<[Template]>),
    TextIgnoringCase(Box<[Template]>),
    /// Patterns for the six sections of an ARN, each for its own.
    Arn(Box<[Box<[Template]>]>),
    Bool(Box<[bool]>),
    Ip(Box<[Cidr]>),
    /// `Null`: whether the key is missing.
    Missing(bool),
}

/// The negated operators, and what they negate.
const NEGATED: [(&str, &str); 6] = [
    ("StringNotEquals", "StringEquals"),
    ("StringNotEqualsIgnoreCase", "StringEqualsIgnoreCase"),
    ("StringNotLike", "StringLike"),
    ("ArnNotEquals", "ArnEquals"),
    ("ArnNotLike", "ArnLike"),
    ("NotIpAddress", "IpAddress"),
];

/// The sections of an ARN: `arn:partition:service:region:account:resource`.
const ARN_SECTIONS: usize = 6;

// === impl Values ===

impl Values {
    /// Reads the values of an operator that has lost its affixes. The flag: it is a
    /// negated one. `None`: there is no such operator.
    pub(super) fn parse(
        operator: &str,
        json: &RawValue,
        path: &str,
    ) -> Result<Option<(Self, bool)>, PolicyError> {
        let opposite = NEGATED.iter().find(|(name, _)| *name == operator);
        let negated = opposite.is_some();
        let values = match opposite.map_or(operator, |(_, positive)| positive) {
            "StringEquals" => Self::Text(templates(json, path, Wildcards::Literal)?),
            "StringLike" => Self::Text(templates(json, path, Wildcards::Special)?),
            "StringEqualsIgnoreCase" => {
                Self::TextIgnoringCase(templates(json, path, Wildcards::Literal)?)
            }
            // IAM makes no difference between these two.
            "ArnEquals" | "ArnLike" => {
                Self::Arn(texts(json, path)?.iter().map(|arn| sections(arn)).collect())
            }
            "Bool" => Self::Bool(bools(json, path)?),
            "IpAddress" => Self::Ip(cidrs(json, path)?),
            "Null" => match *bools(json, path)? {
                [missing] => Self::Missing(missing),
                _ => return Err(PolicyError::new(path, show(json), "true or false")),
            },
            _ => return Ok(None),
        };
        Ok(Some((values, negated)))
    }

    /// A variable in them that is not defined for the subject.
    pub(super) fn undefined(&self, subject: &Subject<'_>) -> Option<&Variable> {
        let undefined = |template: &'_ Template| template.undefined(subject).is_some();
        let template = match self {
            Self::Text(templates) | Self::TextIgnoringCase(templates) => {
                templates.iter().find(|template| undefined(template))
            }
            Self::Arn(arns) => arns.iter().flatten().find(|template| undefined(template)),
            Self::Bool(_) | Self::Ip(_) | Self::Missing(_) => None,
        };
        template?.undefined(subject)
    }

    /// Whether one of them is what the key's value is.
    pub(super) fn fit(&self, actual: &str, subject: &Subject<'_>) -> bool {
        let fits = |template: &Template, actual: &str| {
            template.resolve(subject).is_ok_and(|resolved| resolved.glob.matches(actual))
        };
        match self {
            Self::Text(templates) => templates.iter().any(|template| fits(template, actual)),
            Self::TextIgnoringCase(templates) => {
                let actual = actual.to_lowercase();
                templates.iter().any(|template| {
                    template.text(subject).is_ok_and(|text| text.to_lowercase() == actual)
                })
            }
            Self::Arn(arns) => {
                let actual: Vec<&str> = actual.splitn(ARN_SECTIONS, ':').collect();
                arns.iter().any(|arn| {
                    arn.len() == actual.len()
                        && arn.iter().zip(&actual).all(|(section, actual)| fits(section, actual))
                })
            }
            Self::Bool(values) => values.iter().any(|value| actual == value.to_string()),
            Self::Ip(ranges) => actual
                .parse::<IpAddr>()
                .is_ok_and(|address| ranges.iter().any(|range| range.contains(address))),
            Self::Missing(_) => false,
        }
    }
}

/// The values as texts: JSON's booleans and numbers count as what they look like.
fn texts(json: &RawValue, path: &str) -> Result<Vec<String>, PolicyError> {
    one_or_many(json)
        .into_iter()
        .map(|value| match value.get().as_bytes().first() {
            Some(b'{' | b'[' | b'n') | None => {
                Err(PolicyError::new(path, show(value), "a string, or a list of strings"))
            }
            Some(b'"') => serde_json::from_str(value.get())
                .map_err(|error| PolicyError::new(path, error.to_string(), "a string")),
            Some(_) => Ok(value.get().to_owned()),
        })
        .collect()
}

fn templates(
    json: &RawValue,
    path: &str,
    wildcards: Wildcards,
) -> Result<Box<[Template]>, PolicyError> {
    let template = |text: &String| Template::parse(text, wildcards, Dialect::Iot);
    Ok(texts(json, path)?.iter().map(template).collect())
}

/// The sections of an ARN pattern. The colon in `${iot:ClientId}` parts none.
fn sections(arn: &str) -> Box<[Template]> {
    let template = |text: &str| Template::parse(text, Wildcards::Special, Dialect::Iot);
    let mut sections = Vec::new();
    let mut start = 0;
    let mut in_variable = false;
    for (at, c) in arn.char_indices() {
        match c {
            '{' if arn[..at].ends_with('$') => in_variable = true,
            '}' => in_variable = false,
            ':' if !in_variable && sections.len() < ARN_SECTIONS - 1 => {
                sections.push(template(&arn[start..at]));
                start = at + 1;
            }
            _ => {}
        }
    }
    sections.push(template(&arn[start..]));
    sections.into()
}

fn bools(json: &RawValue, path: &str) -> Result<Box<[bool]>, PolicyError> {
    let bool = |text: &String| {
        let text = text.to_ascii_lowercase();
        text.parse().map_err(|_| PolicyError::new(path, format!("{text:?}"), "true or false"))
    };
    texts(json, path)?.iter().map(bool).collect()
}

fn cidrs(json: &RawValue, path: &str) -> Result<Box<[Cidr]>, PolicyError> {
    let expected = "an address, or a range such as 203.0.113.0/24";
    let cidr = |text: &String| {
        Cidr::parse(text).ok_or_else(|| PolicyError::new(path, format!("{text:?}"), expected))
    };
    texts(json, path)?.iter().map(cidr).collect()
}
