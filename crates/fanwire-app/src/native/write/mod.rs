//! An App as a `fanwire.toml`: what [`import`](super::import) makes of the text is the same
//! App. What the file's defaults say already is left out; names and ids that other files
//! derive are written, so that they stay what they are.

mod document;
mod functions;
mod realtime;
mod tables;
mod websocket;

use std::path::Path;

use indexmap::IndexMap;

use crate::aws_id::DEFAULT_ACCOUNT_ID;
use crate::model::{App, DynamoDb, Links, Profile};
use crate::reading::relative;

use self::document::{Document, Literal};

/// The App as a `fanwire.toml` for the App's folder.
pub fn to_toml(app: &App) -> String {
    let mut document = Document::default();
    let file = app.file.file_name().unwrap_or_default().to_string_lossy();
    document.comment(&format!("What {file} says, as Fanwire's own project file."));
    not_served(app, &mut document);
    document.space();
    document.set("name", &app.service);
    document.set("stage", &app.stage);
    document.set("region", &app.region);
    if app.account_id != DEFAULT_ACCOUNT_ID {
        document.set("account_id", &app.account_id);
    }
    if app.profile == Profile::Open {
        document.set("profile", "open");
    }
    if let DynamoDb::Elsewhere { endpoint } = &app.dynamodb {
        document.set("dynamodb", endpoint);
    }
    let shared = functions::Shared::of(app);
    shared.write(&mut document);
    websocket::write(app, &mut document);
    if let Some(realtime) = &app.realtime {
        realtime::write(realtime, app, &mut document);
    }
    functions::write(app, &shared, &mut document);
    tables::write(app, &mut document);
    links(app, &mut document);
    sites(app, &mut document);
    nitric(app, &mut document);
    document.finish()
}

/// What the other file has and this one cannot.
fn not_served(app: &App, document: &mut Document) {
    if app.not_served.is_empty() {
        return;
    }
    document.comment("\nNot served by Fanwire, and so not in here:");
    for entry in &app.not_served {
        document.comment(&format!("  {}: {}", entry.kind, entry.used_by.join(", ")));
    }
}

fn links(app: &App, document: &mut Document) {
    for (name, value) in &app.links {
        document.heading(&["links", name]);
        for (property, value) in value.as_object().into_iter().flatten() {
            document.set_some(property, Literal::json(value));
        }
    }
}

fn sites(app: &App, document: &mut Document) {
    for (name, site) in &app.sites {
        document.heading(&["sites", name]);
        document.set("kind", &site.kind);
        document.set_some("path", folder(app, &site.path));
        document.set_some("command", site.command.as_ref());
        given_links(&site.links, document);
        document.texts(&["sites", name, "environment"], &site.environment);
    }
}

fn nitric(app: &App, document: &mut Document) {
    let Some(nitric) = &app.nitric else { return };
    if nitric.services.is_empty() && nitric.ports.is_empty() {
        document.heading(&["nitric"]);
    }
    for (name, service) in &nitric.services {
        document.heading(&["nitric", "services", name]);
        document.set("command", &service.command);
        document.set_some("path", folder(app, &service.folder));
        if !service.restart_on_change {
            document.set("restart_on_change", false);
        }
        document.texts(&["nitric", "services", name, "environment"], &service.environment);
    }
    for (name, port) in &nitric.ports {
        document.heading(&["nitric", "sockets", name]);
        document.set("port", u32::from(*port));
    }
}

/// Which links a function or a site is given.
fn given_links(links: &Links, document: &mut Document) {
    if let Links::Only(names) = links {
        document.set("links", Literal::texts(names));
    }
}

/// A folder as the file says it, where it is not the file's own.
fn folder(app: &App, folder: &Path) -> Option<String> {
    (folder != app.root).then(|| path(app, folder))
}

/// A path as the file says it.
fn path(app: &App, path: &Path) -> String {
    relative(&app.root, path).to_string_lossy().into_owned()
}

/// The limits that are other than the profile's, by the names that they have in the model
/// and in the file.
fn limits<T: serde::Serialize>(path: &[&str], limits: &T, profile: &T, document: &mut Document) {
    let fields = |limits: &T| match serde_json::to_value(limits) {
        Ok(serde_json::Value::Object(fields)) => fields,
        // Limits are structures with plain keys.
        _ => serde_json::Map::new(),
    };
    let usual = fields(profile);
    let others = fields(limits).into_iter().filter(|(name, limit)| usual.get(name) != Some(limit));
    let others: IndexMap<String, Literal> =
        others.map(|(name, limit)| (name, limit_literal(&limit))).collect();
    if !others.is_empty() {
        document.heading(path);
        for (name, limit) in others {
            document.set(&name, limit);
        }
    }
}

/// A limit as serde has it: a time is an object, and one that is lifted null.
fn limit_literal(value: &serde_json::Value) -> Literal {
    let part = |name: &str| value.get(name).and_then(serde_json::Value::as_u64);
    match (part("secs"), part("nanos").and_then(|nanos| u32::try_from(nanos).ok())) {
        (Some(seconds), Some(nanos)) => std::time::Duration::new(seconds, nanos).into(),
        _ => Literal::json(value).unwrap_or_else(|| "none".into()),
    }
}
