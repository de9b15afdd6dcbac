//! Regular expressions. AWS has Java's; these are those of the `regex` crate, which take
//! linear time and so know no look-around and no back-references. An expression that is
//! written out is compiled with the statement; one that comes from a message is compiled
//! for it, with smaller limits.

use std::borrow::Cow;

use regex::{Captures, Regex, RegexBuilder};

use super::{Body, Call, Function, Literal};
use crate::error::EvaluateError;
use crate::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("regexp_matches", 2..=2, Body::Metered(matches)).with_literal(1, Literal::Regex),
    Function::new("regexp_replace", 3..=3, Body::Metered(replace)).with_literal(1, Literal::Regex),
    Function::new("regexp_substr", 2..=2, Body::Metered(substring)).with_literal(1, Literal::Regex),
];

/// The most memory that a compiled expression takes, in bytes.
const MAX_COMPILED: usize = 1024 * 1024;

/// The same of one that comes from a message.
const MAX_COMPILED_FOR_A_MESSAGE: usize = 64 * 1024;

/// What a byte of text counts as that an expression from a message is matched against: a
/// few letters may say a lot of states.
const WORK_OF_A_MESSAGE: usize = 64;

/// Compiles an expression of a statement, or says what is wrong with it.
pub(crate) fn compile(pattern: &str) -> Result<Regex, String> {
    build(pattern, MAX_COMPILED).map_err(|error| match error {
        regex::Error::Syntax(text) => {
            let why = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
            format!("expected a regular expression without look-around and back-references: {why}")
        }
        _ => "expected a smaller regular expression".to_owned(),
    })
}

fn build(pattern: &str, size: usize) -> Result<Regex, regex::Error> {
    RegexBuilder::new(pattern).size_limit(size).dfa_size_limit(size).nest_limit(50).build()
}

type TextAndRegex<'c> = (Cow<'c, str>, Cow<'c, Regex>);

/// The text and the expression. `None` where one of them is none.
fn arguments<'c>(call: &'c mut Call<'_, '_>) -> Result<Option<TextAndRegex<'c>>, EvaluateError> {
    let length = call.text(0).map_or(0, |text| text.len());
    let regex = match call.regex {
        Some(regex) => {
            call.evaluation.spend(length)?;
            Cow::Borrowed(regex)
        }
        None => {
            let Some(pattern) = call.text(1).map(Cow::into_owned) else { return Ok(None) };
            let work = length.saturating_mul(WORK_OF_A_MESSAGE);
            call.evaluation.spend(work.saturating_add(MAX_COMPILED_FOR_A_MESSAGE))?;
            match build(&pattern, MAX_COMPILED_FOR_A_MESSAGE) {
                Ok(regex) => Cow::Owned(regex),
                Err(_) => return Ok(None),
            }
        }
    };
    Ok(call.text(0).map(|text| (text, regex)))
}

fn matches(call: &mut Call<'_, '_>) -> Result<Option<Value>, EvaluateError> {
    Ok(arguments(call)?.map(|(text, regex)| Value::Boolean(regex.is_match(&text))))
}

/// The first match.
fn substring(call: &mut Call<'_, '_>) -> Result<Option<Value>, EvaluateError> {
    let Some((text, regex)) = arguments(call)? else { return Ok(None) };
    Ok(regex.find(&text).map(|found| Value::text(found.as_str())))
}

fn replace(call: &mut Call<'_, '_>) -> Result<Option<Value>, EvaluateError> {
    let Some(replacement) = call.text(2).map(Cow::into_owned) else { return Ok(None) };
    let Some((text, regex)) = arguments(call)? else { return Ok(None) };
    let mut made = String::new();
    let mut at = 0;
    for captures in regex.captures_iter(&text) {
        let Some(found) = captures.get(0) else { continue };
        made.push_str(&text[at..found.start()]);
        if expand(&replacement, &captures, &mut made).is_none() {
            return Ok(None);
        }
        at = found.end();
        if made.len() > crate::MAX_RESULT_BYTES {
            return Err(EvaluateError::TooLong);
        }
    }
    made.push_str(&text[at..]);
    Ok(Some(Value::String(made)))
}

/// Writes a replacement as Java reads it: `$1` and `${name}` are groups, of `$12` as many
/// digits as there are groups for, and a backslash takes the meaning of what follows.
/// `None` where a group is not there.
fn expand(replacement: &str, captures: &Captures<'_>, out: &mut String) -> Option<()> {
    let mut rest = replacement;
    while let Some(at) = rest.find(['$', '\\']) {
        out.push_str(&rest[..at]);
        let (mark, after) = rest[at..].split_at(1);
        if mark == "\\" {
            let escaped = after.chars().next()?;
            out.push(escaped);
            rest = &after[escaped.len_utf8()..];
            continue;
        }
        let group = if let Some(named) = after.strip_prefix('{') {
            let (name, behind) = named.split_once('}')?;
            rest = behind;
            captures.name(name).map_or("", |group| group.as_str())
        } else {
            let digits = after.bytes().take_while(u8::is_ascii_digit).count();
            let length = (1..=digits.min(3)).rev().find(|&length| {
                after[..length].parse::<usize>().is_ok_and(|number| number < captures.len())
            })?;
            rest = &after[length..];
            captures.get(after[..length].parse().ok()?).map_or("", |group| group.as_str())
        };
        out.push_str(group);
        if out.len() > crate::MAX_RESULT_BYTES {
            break;
        }
    }
    out.push_str(rest);
    Some(())
}

#[cfg(test)]
mod tests {
    use crate::testing::{all, refusal, select, value_in};
    use crate::version::SqlVersion;

    #[test]
    fn matches_finds_anywhere() {
        all(&[
            ("regexp_matches('aaaa', 'a{2,}')", "true"),
            ("regexp_matches('aaaa', 'b')", "false"),
            ("regexp_matches(123, '^\\d+$')", "true"),
            ("regexp_matches(null, 'a')", "undefined"),
        ]);
    }

    #[test]
    fn substr_is_the_first_match() {
        all(&[
            ("regexp_substr('hihihello', 'hi')", "\"hi\""),
            ("regexp_substr('hihihello', '(hi)*')", "\"hihi\""),
            ("regexp_substr('abc', 'x')", "undefined"),
        ]);
    }

    #[test]
    fn replace_knows_groups_as_java_does() {
        all(&[
            ("regexp_replace('abcd', 'bc', 'x')", "\"axd\""),
            ("regexp_replace('abcd', 'b(.*)d', '$1')", "\"ac\""),
            ("regexp_replace('ab', '(a)(b)', '$2$10')", "\"ba0\""),
            ("regexp_replace('ab', '(a)', '$1x')", "\"axb\""),
            ("regexp_replace('ab', '(?<n>a)', '${n}${n}')", "\"aab\""),
            ("regexp_replace('ab', 'a', '\\$')", "\"$b\""),
            ("regexp_replace('ab', 'a', '$3')", "undefined"),
            ("regexp_replace('ab', 'a', '$')", "undefined"),
            ("regexp_replace('aXa', 'X?', '-')", "\"-a-a-\""),
        ]);
    }

    #[test]
    fn a_literal_that_is_no_regular_expression_is_refused_with_its_place() {
        let refused = refusal("SELECT a FROM 'a' WHERE regexp_matches(a, '(?=x)')");
        assert!(refused.contains("column 43") && refused.contains("look-around"), "{refused}");
        let refused = refusal("SELECT a FROM 'a' WHERE regexp_matches(a, '((a{100}){100}){100}')");
        assert!(refused.contains("smaller"), "{refused}");
    }

    #[test]
    fn an_expression_of_a_message_is_undefined_where_it_is_none() {
        let of =
            |payload: &str| value_in("regexp_matches('abc', p)", payload, SqlVersion::default());
        assert_eq!(of(r#"{"p":"b"}"#), "true");
        assert_eq!(of(r#"{"p":"^\\w+\\s?.$"}"#), "true");
        for pattern in ["(", "(?=x)", "((a{100}){100}){100}"] {
            assert_eq!(of(&format!(r#"{{"p":"{pattern}"}}"#)), "undefined");
        }
    }

    #[test]
    fn a_hostile_expression_and_text_end_soon() {
        let sql = "SELECT regexp_replace(t, p, '$0$0$0$0$0$0$0$0$0$0') AS r FROM 'a'";
        for (length, fault) in [(200_000, "longer than"), (500_000, "units of work")] {
            let payload = format!(r#"{{"t":"{}","p":"(a?){{1,20}}b?"}}"#, "a".repeat(length));
            let result = select(sql, &payload);
            assert!(result.contains(fault), "{}", result.get(..60).unwrap_or(&result));
        }
    }
}
