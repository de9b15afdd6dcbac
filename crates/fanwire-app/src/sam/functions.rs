//! `AWS::Serverless::Function` and `AWS::Lambda::Function`.

use std::time::Duration;

use indexmap::IndexMap;

use crate::cloudformation::{Stack, type_of};
use crate::decode::check;
use crate::diagnostic::{Issue, Issues};
use crate::model::{Function, Links};
use crate::node::{Entry, Map, Node, Value};
use crate::not_served::Kinds;
use crate::reading::Reading;
use crate::rules;

use super::code::{self, Described};
use super::{is_function_type, keys};

/// Lambda's defaults.
const DEFAULT_TIMEOUT_SECONDS: u64 = 3;
const DEFAULT_MEMORY_MB: u32 = 128;

/// What a reference to a value in AWS begins with, in the midst of a text.
const DYNAMIC_REFERENCE: &str = "{{resolve:";

/// The functions of the App, by logical id.
pub(super) fn build(
    resources: &Map,
    stack: &Stack,
    not_served: &mut Kinds,
    reading: &mut Reading<'_>,
) -> IndexMap<String, Function> {
    let mut functions = IndexMap::new();
    for (id, entry) in resources {
        if !is_function_type(type_of(&entry.node)) {
            continue;
        }
        rules::check_function_key(id, entry.key, &mut reading.issues);
        if let Some(function) = function(id, entry, stack, not_served, reading) {
            let place = entry.key;
            rules::check_full_name(&function.name, &functions, place, &mut reading.issues);
            functions.insert(id.clone(), function);
        }
    }
    functions
}

fn function(
    id: &str,
    entry: &Entry,
    stack: &Stack,
    not_served: &mut Kinds,
    reading: &mut Reading<'_>,
) -> Option<Function> {
    let kind = type_of(&entry.node);
    let empty = Node::new(Value::Map(Map::new()), entry.key);
    let written = entry.node.get("Properties").unwrap_or(&empty);
    let properties = stack.resolved(written);
    let is_sam = kind == "AWS::Serverless::Function";
    let table = if is_sam { &keys::SERVERLESS_FUNCTION } else { &keys::LAMBDA_FUNCTION };
    let mut faults = Issues::default();
    check(&properties, table, &mut faults);
    let is_sound = !faults.has_errors();
    reading.issues.append(faults);
    if !is_sound {
        return None;
    }
    if properties.get("Layers").is_some() {
        not_served.add("Layers", id);
    }
    let environment = environment(written, stack, &mut reading.issues);
    let metadata = entry.node.get("Metadata");
    let described = Described { id, place: entry.key, properties: &properties, metadata, is_sam };
    let code = code::of(&described, not_served, reading)?;
    let integer = |key: &str| properties.get(key).and_then(Node::integer);
    let number = |key: &str| integer(key).and_then(|value| u32::try_from(value).ok());
    let timeout = number("Timeout").map_or(DEFAULT_TIMEOUT_SECONDS, u64::from);
    let name = stack.resources.get(id).map(|function| function.reference.clone());
    Some(Function {
        name: name.unwrap_or_else(|| id.to_owned()),
        code,
        timeout: Duration::from_secs(timeout),
        memory_mb: number("MemorySize").unwrap_or(DEFAULT_MEMORY_MB),
        environment,
        links: Links::All,
        concurrency: number("ReservedConcurrentExecutions"),
    })
}

/// The environment variables. They are read as they are written, so that what is told of a
/// value, such as that it is in AWS, is told of those that functions get.
fn environment(properties: &Node, stack: &Stack, issues: &mut Issues) -> IndexMap<String, String> {
    let mut variables = IndexMap::new();
    let chosen = |node: &Node, key: &str, issues: &mut Issues| {
        let node = stack.chosen(node.get(key)?, issues)?;
        (node.value != Value::Null).then_some(node)
    };
    let described = chosen(properties, "Environment", issues)
        .and_then(|node| chosen(&node, "Variables", issues));
    let Some(described) = described else { return variables };
    let Some(map) = described.as_map().filter(|_| described.tag.is_none()) else {
        crate::decode::refuse(&described, "a table of names and values", issues);
        return variables;
    };
    for (name, entry) in map {
        let Some(value) = stack.text(&entry.node, issues) else { continue };
        if value.contains(DYNAMIC_REFERENCE) {
            let message = format!(
                "the value of `{name}` is in AWS, which Fanwire does not call; the reference stands for it"
            );
            issues.push(Issue::warning(entry.node.span, message));
        }
        variables.insert(name.clone(), value);
    }
    variables
}
