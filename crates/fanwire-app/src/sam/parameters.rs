//! `Parameters`: what `--param` gives, else `samconfig.toml`, else their defaults.

use indexmap::IndexMap;

use crate::cloudformation::Parameter;
use crate::decode::check;
use crate::diagnostic::{Issue, Issues};
use crate::node::{Entry, Map, Node};
use crate::reading::Reading;
use crate::source::Span;

use super::config::Config;
use super::keys;

/// What the type of a parameter begins with whose value is the name of one in AWS.
const SSM: &str = "AWS::SSM::Parameter::Value<";

/// The values of the declared parameters.
pub(super) fn values(
    declared: &Map,
    config: &Config,
    reading: &mut Reading<'_>,
) -> IndexMap<String, Parameter> {
    let given = &reading.options.params;
    for name in given.keys().filter(|name| !declared.contains_key(*name)) {
        unknown(name, Span::whole(reading.file_id), declared, &mut reading.issues);
    }
    for (name, (_, place)) in &config.overrides {
        if !declared.contains_key(name) {
            unknown(name, *place, declared, &mut reading.issues);
        }
    }
    let mut values = IndexMap::new();
    for (name, entry) in declared {
        check(&entry.node, &keys::PARAMETER, &mut reading.issues);
        let value = given.get(name).or_else(|| config.overrides.get(name).map(|(value, _)| value));
        let value = value.cloned();
        values.insert(name.clone(), parameter(name, entry, value, &mut reading.issues));
    }
    values
}

fn unknown(name: &str, place: Span, declared: &Map, issues: &mut Issues) {
    let message = format!("the template has no parameter `{name}`");
    let issue = Issue::warning(place, message).expected("one of `Parameters`");
    issues.push(issue.nearest(name, declared.keys().map(String::as_str)));
}

fn parameter(name: &str, entry: &Entry, given: Option<String>, issues: &mut Issues) -> Parameter {
    let node = &entry.node;
    let kind = node.get("Type").and_then(Node::scalar_text).unwrap_or_default();
    let is_given = given.is_some();
    let value = given.or_else(|| default(node));
    let Some(value) = value else {
        let message = format!("the parameter `{name}` has no value");
        let help = format!(
            "give it one: --param {name}=VALUE, parameter_overrides in samconfig.toml, or a \
             Default"
        );
        return Parameter::Missing(Issue::error(entry.key, message).help(help));
    };
    if kind.starts_with(SSM) && !is_given {
        let message = format!(
            "the value of the parameter `{name}` is in AWS, which Fanwire does not call; a \
             placeholder stands for it"
        );
        let help = format!("--param {name}=VALUE");
        let issue = Issue::warning(entry.key, message).help(help);
        return Parameter::Placeholder(format!("ssm:{value}"), issue);
    }
    check_value(name, &value, entry, &kind, issues);
    if kind == "CommaDelimitedList" || kind.contains("List<") {
        let items = value.split(',').map(|item| item.trim().to_owned());
        return Parameter::List(items.collect());
    }
    Parameter::Text(value)
}

/// The default; a list in YAML is one, too.
fn default(node: &Node) -> Option<String> {
    let default = node.get("Default")?;
    default.scalar_text().or_else(|| {
        let items = default.as_list()?.iter().map(Node::scalar_text);
        Some(items.collect::<Option<Vec<_>>>()?.join(","))
    })
}

/// What CloudFormation would refuse about a value.
fn check_value(name: &str, value: &str, entry: &Entry, kind: &str, issues: &mut Issues) {
    let node = &entry.node;
    let mut refuse = |message: String, expected: String, near: Vec<&str>| {
        let issue = Issue::error(entry.key, message).expected(expected);
        issues.push(issue.nearest(value, near));
    };
    if let Some(allowed) = node.get("AllowedValues").and_then(Node::as_list) {
        let allowed: Vec<String> = allowed.iter().filter_map(Node::scalar_text).collect();
        if !allowed.iter().any(|allowed| allowed == value) {
            let message = format!("`{value}` is not a value that the parameter `{name}` allows");
            let near = allowed.iter().map(String::as_str).collect();
            refuse(message, format!("one of {}", allowed.join(", ")), near);
        }
    }
    if kind == "Number" && value.trim().parse::<f64>().is_err() {
        let message = format!("`{value}`, the value of the parameter `{name}`, is not a number");
        refuse(message, "a number".to_owned(), Vec::new());
    }
    let length = i64::try_from(value.chars().count()).unwrap_or(i64::MAX);
    let bound = |key: &str| node.get(key).and_then(Node::integer);
    if bound("MinLength").is_some_and(|least| length < least)
        || bound("MaxLength").is_some_and(|most| length > most)
    {
        let message = format!("the value of the parameter `{name}` has {length} characters");
        let (least, most) = (bound("MinLength").unwrap_or(0), bound("MaxLength"));
        let most = most.map_or("4096".to_owned(), |most| most.to_string());
        refuse(message, format!("from {least} to {most}"), Vec::new());
    }
}
