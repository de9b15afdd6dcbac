//! What differs between two versions of an App, in words for people.

use std::fmt::Display;

use indexmap::IndexMap;
use serde::Serialize;
use serde_json::Value;

use super::{App, Realtime, WebSocketApi};

/// The parts of an App that are told entry by entry; the others are told by name.
const APP_ENTRIES: [&str; 7] =
    ["functions", "websocket_apis", "realtime", "tables", "links", "sites", "nitric"];

/// The same of a WebSocket API, whose limits are told one by one.
const API_ENTRIES: [&str; 3] = ["routes", "authorizers", "limits"];

/// The same of the realtime endpoint. Its profile is the App's, which tells of itself.
const REALTIME_ENTRIES: [&str; 5] = ["authorizers", "users", "rules", "limits", "profile"];

impl App {
    /// What a newer version of the App has that this one does not, and the other way
    /// round: one short text a thing, such as ``function `send` changed: timeout`` or
    /// ``route `say` added``. Empty where the two are equal. Values are not told: they
    /// may be secrets.
    pub fn changes(&self, new: &Self) -> Vec<String> {
        let mut changes = Vec::new();
        for field in differing(self, new).filter(|field| !APP_ENTRIES.contains(&field.as_str())) {
            changes.push(format!("{} changed", words(&field)));
        }
        entries("function", "", &self.functions, &new.functions, &mut changes);
        entries("table", "", &self.tables, &new.tables, &mut changes);
        entries("site", "", &self.sites, &new.sites, &mut changes);
        nitric(self, new, &mut changes);
        links(self, new, &mut changes);
        apis(self, new, &mut changes);
        match (&self.realtime, &new.realtime) {
            (Some(old), Some(new)) => realtime(old, new, &mut changes),
            (Some(_), None) => changes.push("realtime endpoint removed".to_owned()),
            (None, Some(_)) => changes.push("realtime endpoint added".to_owned()),
            (None, None) => {}
        }
        changes
    }
}

/// What a Nitric project has.
fn nitric(old: &App, new: &App, changes: &mut Vec<String>) {
    let (old, new) =
        (old.nitric.clone().unwrap_or_default(), new.nitric.clone().unwrap_or_default());
    entries("service", "", &old.services, &new.services, changes);
    if old.ports != new.ports {
        changes
            .push("ports of websockets changed: they hold when the server is restarted".to_owned());
    }
}

/// The WebSocket APIs, which their names tell apart.
fn apis(old: &App, new: &App, changes: &mut Vec<String>) {
    fn by_name(app: &App) -> IndexMap<&str, &WebSocketApi> {
        app.websocket_apis.iter().map(|api| (api.name.as_str(), api)).collect()
    }
    let (old, new) = (by_name(old), by_name(new));
    // Where there is one API, there is no need to name it.
    let is_only = old.len() <= 1 && new.len() <= 1;
    for (name, old) in &old {
        match new.get(name) {
            Some(new) => api(old, new, is_only, changes),
            None => changes.push(format!("WebSocket API `{name}` removed")),
        }
    }
    let added = new.keys().filter(|name| !old.contains_key(*name));
    changes.extend(added.map(|name| format!("WebSocket API `{name}` added")));
}

fn api(old: &WebSocketApi, new: &WebSocketApi, is_only: bool, changes: &mut Vec<String>) {
    let of = if is_only { String::new() } else { format!(" of `{}`", old.name) };
    for field in differing(old, new).filter(|field| !API_ENTRIES.contains(&field.as_str())) {
        changes.push(format!("{}{of} changed", words(&field)));
    }
    entries("route", &of, &old.routes, &new.routes, changes);
    entries("authorizer", &of, &old.authorizers, &new.authorizers, changes);
    limits(&of, &old.limits, &new.limits, changes);
}

fn realtime(old: &Realtime, new: &Realtime, changes: &mut Vec<String>) {
    const OF: &str = " of the realtime endpoint";
    for field in differing(old, new).filter(|field| !REALTIME_ENTRIES.contains(&field.as_str())) {
        changes.push(format!("{}{OF} changed", words(&field)));
    }
    entries("authorizer", OF, &old.authorizers, &new.authorizers, changes);
    entries("user", OF, &old.users, &new.users, changes);
    entries("subscriber", "", &old.rules, &new.rules, changes);
    limits(OF, &old.limits, &new.limits, changes);
}

fn limits<T: Serialize>(of: &str, old: &T, new: &T, changes: &mut Vec<String>) {
    let limits: Vec<_> = differing(old, new).collect();
    if !limits.is_empty() {
        changes.push(format!("limits{of} changed: {}", limits.join(", ")));
    }
}

/// The links, whose properties any name may have.
fn links(old: &App, new: &App, changes: &mut Vec<String>) {
    let names =
        old.links.keys().chain(new.links.keys().filter(|name| !old.links.contains_key(*name)));
    for name in names {
        let what = match (old.links.get(name), new.links.get(name)) {
            (Some(old), Some(new)) if old == new => continue,
            (Some(_), Some(_)) => "changed",
            (Some(_), None) => "removed",
            (None, _) => "added",
        };
        changes.push(format!("link `{name}` {what}"));
    }
}

/// The entries of a table that are new, gone or other than before.
fn entries<T: PartialEq + Serialize>(
    what: &str,
    of: impl Display,
    old: &IndexMap<String, T>,
    new: &IndexMap<String, T>,
    changes: &mut Vec<String>,
) {
    for (key, old) in old {
        match new.get(key) {
            Some(new) if old == new => {}
            Some(new) => {
                let fields: Vec<_> = differing(old, new).map(|field| words(&field)).collect();
                changes.push(format!("{what} `{key}`{of} changed: {}", fields.join(", ")));
            }
            None => changes.push(format!("{what} `{key}`{of} removed")),
        }
    }
    let added = new.keys().filter(|key| !old.contains_key(*key));
    changes.extend(added.map(|key| format!("{what} `{key}`{of} added")));
}

/// The names of the fields that two values of one type do not have in common. They are
/// read from what serde makes of the values, so that none can be forgotten.
fn differing<T: Serialize>(old: &T, new: &T) -> impl Iterator<Item = String> + use<T> {
    let fields = |value: &T| match serde_json::to_value(value) {
        Ok(Value::Object(fields)) => fields,
        // Everything in a model is a structure with plain keys.
        _ => serde_json::Map::new(),
    };
    let (old, new) = (fields(old), fields(new));
    old.into_iter().filter(move |(name, value)| new.get(name) != Some(value)).map(|(name, _)| name)
}

/// A field's name as people read it.
fn words(field: &str) -> String {
    match field {
        "id" => "API id".to_owned(),
        "dynamodb" => "DynamoDB".to_owned(),
        "jwt" => "JWT".to_owned(),
        "listeners" => "ports".to_owned(),
        "sql" => "SQL".to_owned(),
        "sql_version" => "SQL version".to_owned(),
        "memory_mb" => "memory".to_owned(),
        "not_served" => "what is not served".to_owned(),
        other => other.replace('_', " "),
    }
}
