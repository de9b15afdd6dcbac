//! The values of IoT SQL and their conversions (reference: iot.md section 8, types).

mod json;

use std::borrow::Cow;
use std::mem::size_of;

use indexmap::IndexMap;

use crate::decimal::{Decimal, Rounding};
use crate::version::SqlVersion;

pub(crate) use json::{is_json, read};

/// A JSON value, or none: `Undefined`.
#[derive(Debug, Clone, Default)]
pub(crate) enum Value {
    #[default]
    Undefined,
    Null,
    Boolean(bool),
    /// At most 34 digits.
    Int(i128),
    Decimal(Decimal),
    String(String),
    Array(Vec<Value>),
    Object(IndexMap<String, Value>),
}

// === impl Value ===

impl Value {
    /// Borrowed, for where there is nothing.
    pub(crate) const UNDEFINED: &'static Self = &Self::Undefined;

    /// A number's value: since 2016-03-23 a whole one is an Int, however it came to be.
    pub(crate) fn number(decimal: Option<Decimal>, version: SqlVersion) -> Self {
        match (decimal, version) {
            (None, _) => Self::Undefined,
            (Some(decimal), SqlVersion::V2015_10_08) => Self::Decimal(decimal),
            (Some(decimal), _) => decimal.to_int().map_or(Self::Decimal(decimal), Self::Int),
        }
    }

    /// An Int, or the nearest Decimal where it has more than 34 digits.
    pub(crate) fn int(decimal: Option<Decimal>) -> Self {
        match decimal {
            None => Self::Undefined,
            Some(decimal) => decimal.to_int().map_or(Self::Decimal(decimal), Self::Int),
        }
    }

    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::String(text.into())
    }

    pub(crate) fn is_undefined(&self) -> bool {
        matches!(self, Self::Undefined)
    }

    /// The member of an object that has this name.
    pub(crate) fn member(&self, name: &str) -> &Self {
        match self {
            Self::Object(members) => members.get(name).unwrap_or(Self::UNDEFINED),
            _ => Self::UNDEFINED,
        }
    }

    /// To Decimal: numbers, and strings that write one.
    pub(crate) fn to_decimal(&self) -> Option<Decimal> {
        match self {
            Self::Int(int) => Decimal::from_int(*int),
            Self::Decimal(decimal) => Some(*decimal),
            Self::String(text) => number_in(text),
            _ => None,
        }
    }

    /// To Int: as to Decimal, rounded down.
    pub(crate) fn to_int(&self) -> Option<i128> {
        match self {
            Self::Int(int) => Some(*int),
            _ => self.to_decimal()?.rounded(0, Rounding::Down).to_int(),
        }
    }

    /// To Int, where one that is too large or too small for any use is the nearest that
    /// is not: `-2.4E247` as a place in a text is its start.
    pub(crate) fn to_clamped_int(&self) -> Option<i64> {
        let int = self.to_int().or_else(|| Some(self.to_decimal()?.signum() * i128::MAX))?;
        Some(int.clamp(i64::MIN.into(), i64::MAX.into()) as i64)
    }

    /// To Boolean: booleans, and "true" and "false" in any case.
    pub(crate) fn to_boolean(&self) -> Option<bool> {
        match self {
            Self::Boolean(boolean) => Some(*boolean),
            Self::String(text) if text.eq_ignore_ascii_case("true") => Some(true),
            Self::String(text) if text.eq_ignore_ascii_case("false") => Some(false),
            _ => None,
        }
    }

    /// To String: JSON for arrays and objects; nothing for Null and Undefined.
    pub(crate) fn to_text(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Undefined | Self::Null => None,
            Self::String(text) => Some(Cow::Borrowed(text)),
            other => Some(Cow::Owned(other.to_json())),
        }
    }

    /// Whether two values are equal, or `None` where one of them is Undefined. Numbers
    /// are equal by size, objects in any order, and different types never.
    pub(crate) fn equals(&self, other: &Self) -> Option<bool> {
        if self.is_undefined() || other.is_undefined() {
            return None;
        }
        Some(match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Boolean(a), Self::Boolean(b)) => a == b,
            (Self::String(a), Self::String(b)) => a == b,
            (Self::Array(a), Self::Array(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.equals(b) == Some(true))
            }
            (Self::Object(a), Self::Object(b)) => {
                a.len() == b.len()
                    && a.iter().all(|(name, a)| a.equals(other_member(b, name)) == Some(true))
            }
            (Self::Int(_) | Self::Decimal(_), Self::Int(_) | Self::Decimal(_)) => {
                self.to_decimal() == other.to_decimal()
            }
            _ => false,
        })
    }

    /// About how many bytes of memory a copy takes.
    pub(crate) fn weight(&self) -> usize {
        size_of::<Self>()
            + match self {
                Self::String(text) => text.len(),
                Self::Array(items) => items.iter().map(Self::weight).sum(),
                Self::Object(members) => {
                    members.iter().map(|(name, member)| name.len() + member.weight()).sum()
                }
                _ => 0,
            }
    }
}

fn other_member<'v>(members: &'v IndexMap<String, Value>, name: &str) -> &'v Value {
    members.get(name).unwrap_or(Value::UNDEFINED)
}

/// The number that a string writes: `^-?\d+(\.\d+)?((?i)E-?\d+)?$`, so no plus.
fn number_in(text: &str) -> Option<Decimal> {
    if text.contains('+') { None } else { Decimal::parse(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Value {
        read(text.as_bytes(), SqlVersion::V2016_03_23).unwrap()
    }

    #[test]
    fn strings_become_numbers_only_where_they_write_one() {
        for (text, number) in [("0", "0"), ("-1.2", "-1.2"), ("5E-12", "5e-12"), ("007", "7")] {
            assert_eq!(Value::text(text).to_decimal(), Decimal::parse(number));
        }
        for text in ["", " 1", "1 ", "+1", "5E+12", ".5", "5.", "1,5", "NaN", "0x10"] {
            assert_eq!(Value::text(text).to_decimal(), None, "{text}");
        }
        assert_eq!(Value::Boolean(true).to_decimal(), None);
        assert_eq!(json("[1]").to_decimal(), None);
    }

    #[test]
    fn only_true_and_false_are_booleans() {
        assert_eq!(Value::text("TrUe").to_boolean(), Some(true));
        assert_eq!(Value::text("false").to_boolean(), Some(false));
        assert_eq!(Value::text("yes").to_boolean(), None);
        assert_eq!(Value::Int(1).to_boolean(), None);
    }

    #[test]
    fn everything_but_null_and_undefined_is_text() {
        for (value, text) in [
            ("10", "10"),
            ("1.5", "1.5"),
            ("true", "true"),
            (r#""a""#, "a"),
            (r#"["a",1,null]"#, r#"["a",1,null]"#),
            (r#"{"a":[true]}"#, r#"{"a":[true]}"#),
        ] {
            assert_eq!(json(value).to_text().as_deref(), Some(text));
        }
        assert_eq!(Value::Null.to_text(), None);
        assert_eq!(Value::Undefined.to_text(), None);
    }

    #[test]
    fn equality_looks_at_size_and_at_type() {
        for (a, b, equal) in [
            ("1", "1.0", true),
            ("\"1\"", "1", false),
            ("null", "null", true),
            ("null", "0", false),
            ("[1,2]", "[1,2]", true),
            ("[1,2]", "[2,1]", false),
            ("[1]", "[1,2]", false),
            (r#"{"a":1,"b":2}"#, r#"{"b":2,"a":1.0}"#, true),
            (r#"{"a":1}"#, r#"{"b":1}"#, false),
        ] {
            assert_eq!(json(a).equals(&json(b)), Some(equal), "{a} = {b}");
        }
        assert_eq!(Value::Undefined.equals(&Value::Undefined), None);
    }
}
