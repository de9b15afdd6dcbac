//! Checks a tree against a table: unknown keys, missing keys, wrong kinds.

use crate::diagnostic::{Issue, Issues, nearest};
use crate::node::{Node, Value};

use super::units::{DURATION_FORM, SIZE_FORM, duration, is_none, size};
use super::{Key, Kind, Others, Table};

/// Reports everything about the shape of `node` that `table` does not allow.
pub(crate) fn check(node: &Node, table: &'static Table, issues: &mut Issues) {
    let Some(map) = node.as_map().filter(|_| node.tag.is_none()) else {
        return refuse(node, table.name, issues);
    };
    for (name, entry) in map {
        match table.keys.iter().find(|key| key.name == name) {
            Some(key) => check_value(name, &entry.node, key, issues),
            None => unknown(name, entry.key, table, issues),
        }
    }
    for key in table.keys.iter().filter(|key| key.required) {
        if node.get(key.name).is_none() {
            // Point at the mapping's own first line, not at all its lines.
            let place = map.values().next().map_or(node.span, |entry| entry.key);
            let message = format!("the key `{}` is missing from {}", key.name, table.name);
            issues.push(
                Issue::error(place, message).expected(format!("`{}`: {}", key.name, key.doc)),
            );
        }
    }
}

/// Reports a key that a table does not have.
fn unknown(name: &str, place: crate::source::Span, table: &Table, issues: &mut Issues) {
    let names = || table.keys.iter().map(|key| key.name);
    let message = format!("unknown key `{name}` in {}", table.name);
    match table.others {
        Others::Ignored => {}
        Others::Warned if nearest(name, names()).is_none() => {
            issues.push(Issue::warning(place, format!("{message}; it has no effect here")));
        }
        Others::Refused | Others::Warned => {
            let known: Vec<_> = table
                .keys
                .iter()
                .filter(|key| !matches!(key.kind, Kind::Ignored))
                .map(|key| key.name)
                .collect();
            let expected = format!("one of {}", known.join(", "));
            issues.push(Issue::error(place, message).expected(expected).nearest(name, names()));
        }
    }
}

/// Reports a value that is not of the key's kind. Null counts as left out.
fn check_value(name: &str, node: &Node, key: &'static Key, issues: &mut Issues) {
    if node.value == Value::Null {
        return;
    }
    if matches!(node.value, Value::Unresolved(_)) && !matches!(key.kind, Kind::Ignored) {
        return refuse(node, "", issues);
    }
    match key.kind {
        Kind::Any | Kind::Ignored => {}
        Kind::Table(table) => check(node, table, issues),
        Kind::BooleanOrTable(table) if node.as_map().is_some() => check(node, table, issues),
        Kind::BooleanOrTable(_) => {
            require(node, node.boolean().is_some(), "a boolean or a table", issues);
        }
        Kind::Tables(table) => entries(node, issues, |node, issues| check(node, table, issues)),
        Kind::TextOrTables(table) => entries(node, issues, |node, issues| {
            if node.as_map().is_some() {
                check(node, table, issues);
            } else {
                require(node, node.as_str().is_some(), "text or a table", issues);
            }
        }),
        Kind::ListOf(table) => match node.as_list() {
            Some(list) => list.iter().for_each(|node| check(node, table, issues)),
            None => refuse(node, &format!("a list, each item of it {}", table.name), issues),
        },
        Kind::OneOrMore(table) => match node.as_list() {
            Some(list) => list.iter().for_each(|node| check(node, table, issues)),
            None => check(node, table, issues),
        },
        Kind::TextList => match node.as_list() {
            Some(list) => list.iter().for_each(|item| text(item, issues)),
            None => refuse(node, "a list of texts", issues),
        },
        Kind::OneOrMoreTexts => match node.as_list() {
            Some(list) => list.iter().for_each(|item| text(item, issues)),
            None => require(node, node.scalar_text().is_some(), "text or a list of texts", issues),
        },
        Kind::TextMap => entries(node, issues, text),
        Kind::ValueMaps => entries(node, issues, |node, issues| entries(node, issues, resolved)),
        Kind::ReferenceMap => {
            if node.as_map().is_none() {
                refuse(node, "a table of names and values", issues);
            }
        }
        Kind::Text => text(node, issues),
        Kind::TextOrBoolean => text(node, issues),
        Kind::Reference => {
            let given =
                node.scalar_text().is_some() || node.tag.is_some() || node.as_map().is_some();
            require(node, given, "text or a CloudFormation function", issues);
        }
        Kind::Checked(fault) => match node.scalar_text() {
            None => refuse(node, "text", issues),
            Some(text) => {
                if let Err(expected) = fault(&text) {
                    let message = format!("`{text}` is not a valid value of `{name}`");
                    issues.push(Issue::error(node.span, message).expected(expected));
                }
            }
        },
        Kind::Choice(words) => choice(name, node, words, "", issues),
        Kind::ChoiceOrTextList(words) => match node.as_list() {
            Some(list) => list.iter().for_each(|item| text(item, issues)),
            None => choice(name, node, words, ", or a list of texts", issues),
        },
        Kind::ChoiceMap(words) => match node.as_map() {
            Some(map) => {
                map.iter().for_each(|(name, entry)| choice(name, &entry.node, words, "", issues));
            }
            None => refuse(node, "a table of names and values", issues),
        },
        Kind::Boolean => require(node, node.boolean().is_some(), "a boolean", issues),
        Kind::Integer(least, most) => {
            let within = node.integer().is_some_and(|value| (least..=most).contains(&value));
            require(node, within, &format!("an integer from {least} to {most}"), issues);
        }
        Kind::IntegerOrNone(least, most) => {
            let within = node.integer().is_some_and(|value| (least..=most).contains(&value));
            let expected = format!("an integer from {least} to {most}, or \"none\"");
            require(node, within || is_none(node), &expected, issues);
        }
        Kind::Duration => require(node, duration(node).is_some(), DURATION_FORM, issues),
        Kind::DurationOrNone => {
            let given = is_none(node) || duration(node).is_some();
            require(node, given, &format!("{DURATION_FORM}, or \"none\""), issues);
        }
        Kind::Size => require(node, size(node).is_some(), SIZE_FORM, issues),
        Kind::SizeOrNone => {
            let given = is_none(node) || size(node).is_some();
            require(node, given, &format!("{SIZE_FORM}, or \"none\""), issues);
        }
    }
}

fn entries(node: &Node, issues: &mut Issues, each: impl Fn(&Node, &mut Issues)) {
    match node.as_map() {
        Some(map) => map.values().for_each(|entry| each(&entry.node, issues)),
        None => refuse(node, "a table of names and values", issues),
    }
}

/// Requires one of some words, or what `else_expected` adds to them.
fn choice(name: &str, node: &Node, words: &[&str], else_expected: &str, issues: &mut Issues) {
    let expected = format!("one of {}{else_expected}", words.join(", "));
    match node.scalar_text() {
        Some(text) if words.contains(&text.as_str()) => {}
        Some(text) => {
            let message = format!("`{text}` is not a valid value of `{name}`");
            let issue = Issue::error(node.span, message).expected(expected);
            issues.push(issue.nearest(&text, words.iter().copied()));
        }
        None => refuse(node, &expected, issues),
    }
}

/// Requires that there is a value, whatever it is.
fn resolved(node: &Node, issues: &mut Issues) {
    match &node.value {
        Value::Unresolved(_) => refuse(node, "", issues),
        Value::List(items) => items.iter().for_each(|item| resolved(item, issues)),
        Value::Map(map) => map.values().for_each(|entry| resolved(&entry.node, issues)),
        _ => {}
    }
}

fn text(node: &Node, issues: &mut Issues) {
    require(node, node.scalar_text().is_some(), "text", issues);
}

fn require(node: &Node, fulfilled: bool, expected: &str, issues: &mut Issues) {
    if !fulfilled {
        refuse(node, expected, issues);
    }
}

/// Reports a value of the wrong kind; an unresolved variable says itself what is
/// wrong with it.
pub(crate) fn refuse(node: &Node, expected: &str, issues: &mut Issues) {
    issues.push(match &node.value {
        Value::Unresolved(issue) => (**issue).clone(),
        _ => {
            let shown = match node.scalar_text().filter(|_| node.tag.is_none()) {
                Some(text) => format!("`{text}`"),
                None if node.tag.is_some() => "a CloudFormation function".to_owned(),
                None => node.kind().to_owned(),
            };
            Issue::error(node.span, format!("{shown} is not allowed here")).expected(expected)
        }
    });
}
