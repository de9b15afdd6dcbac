//! What MQTT and AWS IoT accept as topic filters, names of topic rules, statements and
//! patterns, whichever file says it.

use crate::diagnostic::{Issue, Issues, nearest};
use crate::source::Span;

/// The longest text in a packet, in bytes (MQTT 3.1.1, 1.5.3).
const MAX_FILTER_BYTES: usize = 65_535;

/// The longest name of a topic rule (AWS IoT, `CreateTopicRule`).
const MAX_RULE_NAME: usize = 128;

/// The variables of policies that patterns may hold.
const PATTERN_VARIABLES: [&str; 3] = ["iot:ClientId", "aws:SourceIp", "principal"];

/// What stands for the characters that mean something in patterns.
const ESCAPES: [&str; 3] = ["*", "?", "$"];

/// Reports a filter that no topic could match, or that cannot stand in a statement.
pub(crate) fn check_filter(filter: &str, place: Span, issues: &mut Issues) {
    let Some(expected) = fault_of_filter(filter) else { return };
    let issue = Issue::error(place, format!("`{filter}` is not a topic filter"));
    issues.push(issue.expected(expected));
}

/// Whether a text is a topic filter.
pub(crate) fn is_filter(filter: &str) -> bool {
    fault_of_filter(filter).is_none()
}

/// What is wrong with a filter (MQTT 3.1.1, 4.7).
fn fault_of_filter(filter: &str) -> Option<&'static str> {
    if filter.is_empty() || filter.len() > MAX_FILTER_BYTES {
        return Some("1 to 65535 bytes, such as chat/+/messages or chat/#");
    }
    // IoT SQL knows no way to write a quote inside of quotes.
    if filter.contains(['\0', '\'']) {
        return Some("no quotes and no U+0000");
    }
    if filter.starts_with("$share/") {
        return Some("a filter alone: a function gets each message once anyway");
    }
    let levels = filter.split('/').count();
    filter.split('/').enumerate().find_map(|(at, level)| match level {
        "#" if at + 1 < levels => Some("`#` as the last level alone"),
        "#" | "+" => None,
        level if level.contains('#') => Some("`#` as a whole level: chat/#"),
        level if level.contains('+') => Some("`+` as a whole level: chat/+/messages"),
        _ => None,
    })
}

/// Reports a name that a topic rule cannot have.
pub(crate) fn check_rule_name(name: &str, place: Span, issues: &mut Issues) {
    let valid = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !valid || name.is_empty() || name.len() > MAX_RULE_NAME {
        let issue = Issue::error(place, format!("`{name}` is not a valid name of a topic rule"));
        issues.push(issue.expected("letters, digits and underscores, at most 128"));
    }
}

/// Reports what is no statement at all. Whoever compiles it tells the rest.
pub(crate) fn check_sql(sql: &str, place: Span, issues: &mut Issues) {
    let word: String = sql.trim_start().chars().take_while(|c| c.is_ascii_alphabetic()).collect();
    if !word.eq_ignore_ascii_case("select") {
        let issue = Issue::error(place, "this is not a statement of IoT SQL");
        issues.push(issue.expected("SELECT … FROM 'FILTER', or a plain `filter`"));
    }
}

/// What a public key begins with; the second is that of PKCS #1.
const KEY_HEADINGS: [&str; 2] = ["-----BEGIN PUBLIC KEY-----", "-----BEGIN RSA PUBLIC KEY-----"];

/// What a public key looks like, for messages.
pub(crate) const PUBLIC_KEY: &str = "a PEM text that begins with -----BEGIN PUBLIC KEY-----";

/// Whether a text is a public key, or what is wrong with it.
pub(crate) fn check_public_key(pem: &str) -> Result<(), &'static str> {
    if pem.contains("PRIVATE KEY-----") {
        Err("is a private key, which only its owner should have")
    } else if KEY_HEADINGS.iter().any(|heading| pem.contains(heading)) {
        Ok(())
    } else {
        Err("is not a public key")
    }
}

/// Reports a pattern that holds a variable which does not exist; those of tokens exist
/// where `claims` do.
pub(crate) fn check_pattern(pattern: &str, claims: bool, place: Span, issues: &mut Issues) {
    let mut rest = pattern;
    while let Some((_, after)) = rest.split_once("${") {
        let Some((name, after)) = after.split_once('}') else {
            let issue = Issue::error(place, format!("a variable in `{pattern}` is not closed"));
            issues.push(issue.expected("`}` after its name"));
            return;
        };
        rest = after;
        let is_claim = name.strip_prefix("claim:").is_some_and(|claim| !claim.is_empty());
        if !(PATTERN_VARIABLES.contains(&name) || ESCAPES.contains(&name) || is_claim && claims) {
            unknown_variable(name, claims, place, issues);
        }
    }
}

fn unknown_variable(name: &str, claims: bool, place: Span, issues: &mut Issues) {
    let claim = if claims { ", ${claim:NAME}" } else { "" };
    let expected = format!("${{iot:ClientId}}, ${{aws:SourceIp}}, ${{principal}}{claim}");
    let issue = Issue::error(place, format!("a pattern knows no variable `{name}`"));
    let issue = issue.expected(expected);
    let near = nearest(name, PATTERN_VARIABLES);
    issues.push(match near {
        Some(near) => issue.help(format!("did you mean `${{{near}}}`?")),
        None if name.starts_with("claim:") && !claims => {
            issue.help("only the bearer of a JWT has claims: [realtime.jwt]")
        }
        None => issue,
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_those_of_the_standard() {
        for filter in ["a", "/", "a/+/b", "+", "#", "a/#", "+/+/#", "$aws/events/#", "a//b"] {
            assert_eq!(fault_of_filter(filter), None, "{filter}");
        }
        for filter in ["", "a#", "a/#/b", "#/a", "a+", "a/b+/c", "a\0", "it's", "$share/g/a"] {
            assert!(fault_of_filter(filter).is_some(), "{filter}");
        }
        assert!(fault_of_filter(&"a".repeat(65_536)).is_some());
    }
}
