//! `functions` and what `provider` says for all of them.

use std::time::Duration;

use indexmap::IndexMap;

use crate::cloudformation::Stack;
use crate::decode::check;
use crate::diagnostic::{Issue, Issues};
use crate::model::{Function, Links};
use crate::node::{Map, Node, Value};
use crate::reading::Reading;
use crate::rules;

use super::code::{self, Described};
use super::{Service, keys, merged};

/// Lambda's and the framework's defaults.
const DEFAULT_TIMEOUT_SECONDS: i64 = 6;
const DEFAULT_MEMORY_MB: i64 = 1024;

/// The functions as the file describes them, checked, by key.
pub(super) fn described(tree: &Node, issues: &mut Issues) -> Map {
    let Some(node) = tree.get("functions") else { return Map::new() };
    let mut functions = merged(node, "a table of functions", issues);
    functions.retain(|key, entry| {
        rules::check_function_key(key, entry.key, issues);
        check(&entry.node, &keys::FUNCTION, issues);
        entry.node.as_map().is_some()
    });
    functions
}

/// What Lambda would call the function.
pub(super) fn full_name(service: &Service<'_>, key: &str, node: &Node) -> String {
    let given = node.get("name").and_then(Node::scalar_text);
    given.unwrap_or_else(|| format!("{}-{}-{key}", service.name, service.stage))
}

/// The functions of the App.
pub(super) fn build(
    service: &mut Service<'_>,
    stack: &Stack,
    reading: &mut Reading<'_>,
) -> IndexMap<String, Function> {
    let provider = service.tree.get("provider");
    let integer = |node: &Node, key: &str, default: i64| {
        let given = node.get(key).or_else(|| provider?.get(key));
        u32::try_from(given.and_then(Node::integer).unwrap_or(default)).unwrap_or_default()
    };
    let mut shared = IndexMap::new();
    if let Some(node) = provider.and_then(|provider| provider.get("environment")) {
        add_environment(&mut shared, node, stack, &mut reading.issues);
    }
    let mut functions = IndexMap::new();
    for (key, entry) in service.functions.clone() {
        let node = &entry.node;
        if node.get("url").is_some_and(|url| !url.is_falsy()) {
            service.not_served.add("url", &key);
        }
        let mut environment = shared.clone();
        if let Some(own) = node.get("environment") {
            add_environment(&mut environment, own, stack, &mut reading.issues);
        }
        let package = service.tree.get("package");
        let described = Described { key: &key, key_span: entry.key, node, provider, package };
        let Some(code) = code::of(&described, reading) else {
            if node.get("image").is_some() {
                service.not_served.add("image", &key);
            }
            continue;
        };
        let concurrency = node.get("reservedConcurrency").and_then(Node::integer);
        let function = Function {
            name: full_name(service, &key, node),
            code,
            timeout: Duration::from_secs(integer(node, "timeout", DEFAULT_TIMEOUT_SECONDS).into()),
            memory_mb: integer(node, "memorySize", DEFAULT_MEMORY_MB),
            environment,
            links: Links::All,
            concurrency: concurrency.and_then(|limit| u32::try_from(limit).ok()),
        };
        let place = node.get("name").map_or(entry.key, |name| name.span);
        rules::check_full_name(&function.name, &functions, place, &mut reading.issues);
        functions.insert(key, function);
    }
    functions
}

/// Adds environment variables, later ones over earlier ones. A null or
/// `AWS::NoValue` takes a variable away.
fn add_environment(
    into: &mut IndexMap<String, String>,
    node: &Node,
    stack: &Stack,
    issues: &mut Issues,
) {
    for (name, entry) in node.as_map().into_iter().flatten() {
        let valid = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !valid {
            let message = format!("`{name}` is not a valid name of an environment variable");
            let expected = "letters, digits and underscores, not beginning with a digit";
            issues.push(Issue::error(entry.key, message).expected(expected));
        }
        match &entry.node.value {
            Value::Null => drop(into.shift_remove(name)),
            _ => match stack.text(&entry.node, issues) {
                Some(value) => drop(into.insert(name.clone(), value)),
                None => drop(into.shift_remove(name)),
            },
        }
    }
}
