//! `fanwire.toml` as an App: Fanwire's own project file, which can say everything
//! that the model can.
//!
//! [`keys`] is the table of all keys. The tree is checked against it first, so that
//! what reads the values ([`functions`], [`websocket`], [`realtime`], [`tables`],
//! [`links`], [`sites`], [`nitric`]) need only look at what the keys mean together. [`write`] goes the
//! other way, from an App to a text.

mod functions;
mod keys;
mod links;
mod nitric;
mod realtime;
mod realtime_limits;
mod sites;
mod tables;
mod websocket;
mod write;

use crate::aws_id::account_id;
use crate::decode::{check, json_schema};
use crate::model::{App, Profile};
use crate::node::Node;
use crate::reading::Reading;
use crate::serve::SERVE;
use crate::variables::{Format, Resolver};

pub use self::write::to_toml;

/// The JSON Schema of `fanwire.toml`, for editors.
pub fn schema() -> serde_json::Value {
    json_schema(&keys::FILE, "fanwire.toml")
}

/// Whether a text can be the name of an app, a stage or a region, or what would be.
pub(crate) fn check_name(text: &str) -> Result<(), String> {
    keys::name(text)
}

/// What holds for the whole file.
struct Project<'n> {
    tree: &'n Node,
    name: String,
    stage: String,
    region: String,
    profile: Profile,
}

impl<'n> Project<'n> {
    /// The functions that the file declares, whether or not they are well described.
    fn declared_functions(&self) -> Vec<&'n str> {
        let declared = self.tree.get("functions").and_then(Node::as_map);
        declared.into_iter().flat_map(|map| map.keys().map(String::as_str)).collect()
    }
}

/// Builds the App, or reports why that cannot be.
pub(crate) fn import(reading: &mut Reading<'_>, root: &Node) -> Option<App> {
    let options = reading.options;
    let tree = {
        let Reading { folder, sources, issues, files, .. } = reading;
        let mut resolver = Resolver::new(root, options, Format::Native, folder, sources, issues);
        let tree = resolver.resolve_root();
        files.extend(resolver.included_files());
        tree
    };
    check(&tree, &keys::FILE, &mut reading.issues);
    if let Some(serve) = tree.get("serve") {
        check(serve, &SERVE, &mut reading.issues);
    }
    let text = |key: &str| tree.get(key).and_then(Node::scalar_text);
    let in_file = match text("profile").as_deref() {
        Some("open") => Profile::Open,
        _ => Profile::Aws,
    };
    let given = |option: &Option<String>, key: &str, default: &str| {
        option.clone().or_else(|| text(key)).unwrap_or_else(|| default.to_owned())
    };
    let project = Project {
        tree: &tree,
        name: text("name").unwrap_or_default(),
        stage: given(&options.stage, "stage", "dev"),
        region: given(&options.region, "region", "us-east-1"),
        profile: options.profile.unwrap_or(in_file),
    };
    for (option, value, check) in [
        ("stage", &options.stage, keys::stage as fn(&str) -> _),
        ("region", &options.region, keys::name),
    ] {
        if let Some((value, Err(expected))) = value.as_ref().map(|value| (value, check(value))) {
            reading.bad_option(option, value, &expected);
        }
    }
    let functions = functions::build(&project, reading);
    let websocket_apis = websocket::build(&project, reading);
    let realtime = realtime::build(&project, &websocket_apis, reading);
    let links = links::build(&project, realtime.as_ref(), &mut reading.issues);
    let named = links::Named::of(&links, realtime.as_ref());
    named.check(&project, "functions", &mut reading.issues);
    named.check(&project, "sites", &mut reading.issues);
    let sites = sites::build(&project, reading);
    let nitric = nitric::build(&project, reading);
    let tables = tables::build(&project, &mut reading.issues);
    let in_file = text("dynamodb").and_then(|choice| choice.parse().ok());
    let dynamodb = options.dynamodb.clone().or(in_file).unwrap_or_default();
    let dynamodb = dynamodb.in_region(&project.region);
    Some(App {
        service: project.name,
        stage: project.stage,
        region: project.region,
        account_id: text("account_id").unwrap_or_else(|| account_id(&options.environment)),
        root: reading.folder.clone(),
        file: reading.file.clone(),
        profile: project.profile,
        functions,
        websocket_apis,
        realtime,
        tables,
        dynamodb,
        links,
        sites,
        nitric,
        not_served: Vec::new(),
    })
}

/// The texts of a list.
pub(crate) fn texts(node: Option<&Node>) -> Vec<String> {
    let items = node.and_then(Node::as_list).unwrap_or_default();
    items.iter().filter_map(Node::scalar_text).collect()
}

/// The entries of a table of texts.
fn text_map(node: Option<&Node>) -> indexmap::IndexMap<String, String> {
    let entries = node.and_then(Node::as_map).into_iter().flatten();
    entries.filter_map(|(key, entry)| Some((key.clone(), entry.node.scalar_text()?))).collect()
}
