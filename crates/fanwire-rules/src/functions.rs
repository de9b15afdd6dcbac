//! The functions of IoT SQL (reference: iot.md section 8, functions people use). Each
//! says how many arguments it takes and since which version it is there; a wrong type is
//! no error, it makes the result Undefined.

mod hash;
mod json;
mod math;
mod message;
mod regexp;
mod string;
mod time;

use std::borrow::Cow;
use std::fmt;
use std::ops::RangeInclusive;

use regex::Regex;

use crate::decimal::Decimal;
use crate::error::EvaluateError;
use crate::evaluate::Evaluation;
use crate::value::Value;
use crate::version::SqlVersion;

pub(crate) use regexp::compile;
pub(crate) use time::{read_pattern_fault, written_pattern_fault};

/// A function.
pub(crate) struct Function {
    /// In lower case; it may be written in any.
    pub(crate) name: &'static str,
    /// How many arguments it takes.
    pub(crate) takes: RangeInclusive<usize>,
    /// The first version that has it.
    pub(crate) since: SqlVersion,
    /// An argument that is checked when the statement is read, if it is written out.
    pub(crate) literal: Option<(usize, Literal)>,
    body: Body,
}

/// What a literal argument is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Literal {
    Regex,
    /// A pattern by which a time is written.
    TimeWritten,
    /// A pattern by which a time is read.
    TimeRead,
    /// One of these, and written out.
    OneOf(&'static [&'static str]),
}

#[derive(Clone, Copy)]
enum Body {
    /// `None` is Undefined.
    Plain(fn(&Call<'_, '_>) -> Option<Value>),
    /// Makes more than it is given, so it counts its work before it does it.
    Metered(fn(&mut Call<'_, '_>) -> Result<Option<Value>, EvaluateError>),
}

/// A call of a function.
pub(crate) struct Call<'c, 'm> {
    pub(crate) arguments: &'c [Cow<'c, Value>],
    /// The regular expression, where it is written out.
    pub(crate) regex: Option<&'c Regex>,
    pub(crate) evaluation: &'c mut Evaluation<'m>,
}

/// Functions that reach outside of a rule, none of which is served.
const EXTERNAL: [&str; 6] = [
    "aws_lambda",
    "get_dynamodb",
    "get_registry_data",
    "get_secret",
    "get_thing_shadow",
    "machinelearning_predict",
];

/// All functions, a list for each subject.
const FUNCTIONS: [&[Function]; 7] = [
    hash::FUNCTIONS,
    json::FUNCTIONS,
    math::FUNCTIONS,
    message::FUNCTIONS,
    regexp::FUNCTIONS,
    string::FUNCTIONS,
    time::FUNCTIONS,
];

/// The function with this name, in lower case.
pub(crate) fn find(name: &str) -> Option<&'static Function> {
    FUNCTIONS.into_iter().flatten().find(|function| function.name == name)
}

/// What is wrong with a name that no function has, and what would be right.
pub(crate) fn unknown(written: &str, name: &str) -> (String, String) {
    if EXTERNAL.contains(&name) {
        let expected = "what is served needs nothing but the message; \
                        call the service from the rule's function instead";
        return (format!("`{written}` is not served"), expected.to_owned());
    }
    if name == "md2" {
        return (format!("`{written}` is not served"), "`sha256` is, and so is `md5`".to_owned());
    }
    let names = || FUNCTIONS.into_iter().flatten().map(|function| function.name);
    let near = names()
        .chain(["cast", "encode"])
        .map(|other| (distance(name, other), other))
        .min()
        .filter(|&(distance, _)| distance <= (name.len() / 3).max(1));
    let expected = match near {
        Some((_, near)) => format!("did you mean `{near}`?"),
        None => "docs/topic-rules.md lists the functions".to_owned(),
    };
    (format!("there is no function `{written}`"), expected)
}

/// How many characters have to change to make one name of the other.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let changed = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

// === impl Function ===

impl Function {
    const fn new(name: &'static str, takes: RangeInclusive<usize>, body: Body) -> Self {
        Self { name, takes, since: SqlVersion::V2015_10_08, literal: None, body }
    }

    const fn since_2016(mut self) -> Self {
        self.since = SqlVersion::V2016_03_23;
        self
    }

    const fn with_literal(mut self, index: usize, literal: Literal) -> Self {
        self.literal = Some((index, literal));
        self
    }

    pub(crate) fn call(&self, mut call: Call<'_, '_>) -> Result<Value, EvaluateError> {
        let value = match self.body {
            Body::Plain(body) => body(&call),
            Body::Metered(body) => body(&mut call)?,
        };
        Ok(value.unwrap_or_default())
    }

    /// How many arguments it takes, in words.
    pub(crate) fn arity(&self) -> String {
        match (*self.takes.start(), *self.takes.end()) {
            (0, 0) => "it takes none".to_owned(),
            (least, usize::MAX) => format!("it takes {least} or more"),
            (least, most) if least == most => format!("it takes {most}"),
            (least, most) => format!("it takes {least} to {most}"),
        }
    }
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

// === impl Call ===

impl Call<'_, '_> {
    /// An argument; Undefined where there is none.
    fn value(&self, index: usize) -> &Value {
        self.arguments.get(index).map_or(Value::UNDEFINED, |argument| &**argument)
    }

    /// An argument by the conversion to String.
    fn text(&self, index: usize) -> Option<Cow<'_, str>> {
        self.value(index).to_text()
    }

    /// An argument by the conversion to Decimal.
    fn decimal(&self, index: usize) -> Option<Decimal> {
        self.value(index).to_decimal()
    }

    /// An argument by the conversion to Int, rounded down.
    fn int(&self, index: usize) -> Option<i64> {
        self.value(index).to_clamped_int()
    }

    fn version(&self) -> SqlVersion {
        self.evaluation.version
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_lower_case_and_there_once() {
        let mut names: Vec<_> = FUNCTIONS.into_iter().flatten().map(|f| f.name).collect();
        assert!(names.iter().all(|name| *name == name.to_ascii_lowercase()));
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn the_documentation_lists_every_function() {
        let page = include_str!("../../../docs/topic-rules.md");
        for function in FUNCTIONS.into_iter().flatten() {
            assert!(page.contains(&format!("`{}(", function.name)), "{}", function.name);
        }
    }
}
