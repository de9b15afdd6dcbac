//! `iot` events, and the topic rules and authorizers among the resources, as the
//! realtime endpoint.

use indexmap::IndexMap;

use crate::cloudformation::Stack;
use crate::cloudformation::realtime::{Parts, sql_version};
use crate::decode::check;
use crate::model::{Function, Realtime, TopicRule};
use crate::node::{Entry, Map, Node};
use crate::reading::Reading;
use crate::rules::realtime as checks;

use super::{Service, keys, stack};

/// The realtime endpoint, where the file has a topic rule or an authorizer. Adds a
/// function for each that is in AWS.
pub(super) fn build(
    service: &mut Service<'_>,
    stack: &Stack,
    resources: &Map,
    functions: &mut IndexMap<String, Function>,
    reading: &mut Reading<'_>,
) -> Option<Realtime> {
    let profile = reading.options.profile.unwrap_or_default();
    let (not_served, issues) = (&mut service.not_served, &mut reading.issues);
    let mut parts = Parts::new(stack, profile, functions, not_served, issues);
    for (key, entry) in &service.functions {
        events(&mut parts, key, entry);
    }
    parts.resources(resources);
    parts.finish()
}

/// The `iot` events of a function.
fn events(parts: &mut Parts<'_>, function: &str, entry: &Entry) {
    let events = entry.node.get("events").and_then(Node::as_list).unwrap_or_default();
    let events = events.iter().filter_map(|event| event.get("iot"));
    for (at, event) in events.filter(|event| !event.is_falsy()).enumerate() {
        if !parts.functions.contains_key(function) {
            // On a container image, which is told already.
            parts.not_served.add("iot", function);
            continue;
        }
        check(event, &keys::IOT_EVENT, parts.issues);
        let text = |key: &str| event.get(key).and_then(Node::scalar_text);
        let (Some(sql), Some(place)) = (text("sql"), event.get("sql")) else { continue };
        let rule = TopicRule {
            sql: sql.replace(['\r', '\n'], ""),
            sql_version: sql_version(text("sqlVersion").as_deref()),
            enabled: event.get("enabled").and_then(Node::boolean).unwrap_or(true),
            ..TopicRule::of_filter("", function.to_owned())
        };
        // The framework's logical id, which AWS makes a name of.
        let name = text("name")
            .unwrap_or_else(|| format!("{}IotTopicRule{}", stack::normalized(function), at + 1));
        checks::check_sql(&rule.sql, place.span, parts.issues);
        parts.add_rule(name, rule, event.get("name").unwrap_or(event));
    }
}
