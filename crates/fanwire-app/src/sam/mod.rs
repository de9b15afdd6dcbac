//! A SAM or CloudFormation template as an App.
//!
//! The template is read as CloudFormation would: files that it includes are put in and loops
//! are written out ([`macros`]), parameters get their values
//! ([`parameters`], with those of `samconfig.toml`, [`config`]), SAM's own types become
//! CloudFormation's ([`expand`]), conditions say which resources exist, and the references
//! between them are resolved by the layer that all importers share
//! ([`cloudformation`](crate::cloudformation)). What is left here is what functions are and
//! where their code is ([`functions`], [`code`]).

mod code;
mod config;
mod expand;
mod functions;
mod keys;
mod macros;
mod parameters;

use indexmap::IndexMap;

use crate::aws_id::account_id;
use crate::cloudformation::realtime::{self, Parts};
use crate::cloudformation::{
    Location, Stack, evaluate_conditions, is_silent, is_table, tables, type_of, websocket,
};
use crate::decode::{check, refuse};
use crate::diagnostic::Issues;
use crate::model::App;
use crate::node::{Map, Node, Value};
use crate::not_served::Kinds;
use crate::reading::Reading;

use self::config::Config;

/// The sections of which a file that has one is a template.
const MARKS: [&str; 3] = ["AWSTemplateFormatVersion", "Transform", "Resources"];

/// The name of a stack whose folder has none that could be one.
const DEFAULT_NAME: &str = "app";

/// The stage of an App without an API.
const DEFAULT_STAGE: &str = "default";

/// The types of functions.
const FUNCTION_TYPES: [&str; 2] = ["AWS::Serverless::Function", "AWS::Lambda::Function"];

/// Types of SAM and Lambda that add nothing to what is served.
const SILENT_TYPES: [&str; 5] = [
    "AWS::CDK::Metadata",
    "AWS::Serverless::Connector",
    "AWS::Lambda::Version",
    "AWS::Lambda::Alias",
    "AWS::Lambda::EventInvokeConfig",
];

/// Whether a file is a template, by its sections.
pub(crate) fn is_template(root: &Node) -> bool {
    MARKS.iter().any(|mark| root.entry(mark).is_some())
}

/// Builds the App, or reports why that cannot be.
pub(crate) fn import(reading: &mut Reading<'_>, root: &Node) -> Option<App> {
    let root = &macros::with_includes(root, reading);
    check(root, &keys::TEMPLATE, &mut reading.issues);
    root.as_map()?;
    let config = Config::read(reading);
    check_options(reading);
    let options = reading.options;
    let name = config.stack_name.clone().unwrap_or_else(|| folder_name(reading));
    let region = options.region.clone().or_else(|| config.region.clone());
    let region = region.unwrap_or_else(|| "us-east-1".to_owned());
    let account_id = account_id(&options.environment);
    let location = Location { region: &region, account_id: &account_id, prefix: &name };
    let mut not_served = Kinds::default();
    let (resources, stack) = stack(root, &config, &location, &mut not_served, reading);
    let mut functions = functions::build(&resources, &stack, &mut not_served, reading);
    let issues = &mut reading.issues;
    let tables = tables::build(&resources, &stack, issues);
    let profile = options.profile.unwrap_or_default();
    let source = websocket::Source {
        resources: &resources,
        stack: &stack,
        functions: &mut functions,
        not_served: &mut not_served,
        profile,
    };
    let websocket_apis = websocket::build(source, issues);
    let mut parts = Parts::new(&stack, profile, &mut functions, &mut not_served, issues);
    parts.resources(&resources);
    let realtime = parts.finish();
    list_others(&resources, &mut not_served);
    let of_api = websocket_apis.first().map(|api| api.stage.clone());
    let of_api = of_api.filter(|stage| !stage.starts_with('$'));
    let stage = options.stage.clone().or(of_api);
    Some(App {
        service: name,
        stage: stage.unwrap_or_else(|| DEFAULT_STAGE.to_owned()),
        dynamodb: options.dynamodb.clone().unwrap_or_default().in_region(&region),
        region,
        account_id,
        root: reading.folder.clone(),
        file: reading.file.clone(),
        profile,
        functions,
        websocket_apis,
        realtime,
        tables,
        links: IndexMap::new(),
        sites: IndexMap::new(),
        nitric: None,
        not_served: not_served.into_list(),
    })
}

/// The resources that exist, with SAM's types as CloudFormation's, and what references to
/// them give.
fn stack(
    root: &Node,
    config: &Config,
    location: &Location<'_>,
    not_served: &mut Kinds,
    reading: &mut Reading<'_>,
) -> (Map, Stack) {
    let issues = &mut reading.issues;
    let mut stack = Stack { region: location.region.to_owned(), ..Stack::default() };
    let pseudo = location.pseudo_parameters(location.prefix);
    stack.parameters.extend(pseudo.into_iter().map(|(name, value)| (name, value.into())));
    let declared = section(root, "Parameters", issues);
    stack.parameters.extend(parameters::values(&declared, config, reading));
    let issues = &mut reading.issues;
    stack.mappings = section(root, "Mappings", issues);
    let root = &macros::written_out(root, &stack, issues);
    stack.conditions = evaluate_conditions(&section(root, "Conditions", issues), &stack);
    let declared = stack.existing(&section(root, "Resources", issues));
    check_conditions(&declared, &stack, issues);
    let resources = expand::resources(root, &declared, not_served, issues);
    for (id, kind) in expand::implicit(&resources) {
        stack.resources.insert(id.clone(), location.resource(kind, &location.name(kind, &id)));
    }
    location.declare(&resources, &mut stack, |_| false);
    expand::add_aliases(&resources, location, &mut stack);
    let ids = resources.iter().filter(|(_, entry)| is_function_type(type_of(&entry.node)));
    stack.functions.extend(ids.map(|(id, _)| (id.clone(), id.clone())));
    (resources, stack)
}

fn is_function_type(kind: &str) -> bool {
    FUNCTION_TYPES.contains(&kind)
}

/// A section of the template, without what is null or no mapping.
fn section(root: &Node, name: &str, issues: &mut Issues) -> Map {
    let Some(node) = root.get(name) else { return Map::new() };
    let Some(map) = node.as_map().filter(|_| node.tag.is_none()) else {
        refuse(node, "a table of names and what they are", issues);
        return Map::new();
    };
    let mut sound = Map::new();
    for (key, entry) in map {
        match &entry.node.value {
            Value::Map(_) if entry.node.tag.is_none() => {
                sound.insert(key.clone(), entry.clone());
            }
            // A condition may be written short: `IsProd: !Equals [...]`.
            _ if name == "Conditions" => drop(sound.insert(key.clone(), entry.clone())),
            Value::Null => {}
            _ => refuse(&entry.node, "a table", issues),
        }
    }
    sound
}

/// Reports conditions of resources that do not exist or cannot be evaluated.
fn check_conditions(resources: &Map, stack: &Stack, issues: &mut Issues) {
    for entry in resources.values() {
        if let Some(condition) = entry.node.get("Condition") {
            stack.condition(condition, issues);
        }
    }
}

/// Lists the resources that nothing here is made of.
fn list_others(resources: &Map, not_served: &mut Kinds) {
    for (id, entry) in resources {
        let kind = type_of(&entry.node);
        let is_served = is_function_type(kind)
            || is_table(&entry.node)
            || realtime::is_part(kind)
            || SILENT_TYPES.contains(&kind)
            || is_silent(kind);
        if !is_served {
            not_served.add(kind, id);
        }
    }
}

/// Reports a stage or a region of the command line that cannot be one.
fn check_options(reading: &mut Reading<'_>) {
    const EXPECTED: &str = "letters, digits, hyphens and underscores";
    let options = reading.options;
    let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    for (option, value) in [("stage", &options.stage), ("region", &options.region)] {
        if let Some(value) = value.as_ref().filter(|it| it.is_empty() || !it.chars().all(valid)) {
            reading.bad_option(option, value, EXPECTED);
        }
    }
}

/// Whether a text can be the name of a stack (CloudFormation, "Stack name").
fn is_stack_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
}

/// The name of the folder that the template is in, as a stack's.
fn folder_name(reading: &Reading<'_>) -> String {
    let folder = reading.folder.file_name().unwrap_or_default().to_string_lossy();
    let name = folder.replace(|c: char| !c.is_ascii_alphanumeric(), "-");
    let name = name.trim_matches('-');
    if is_stack_name(name) {
        name.to_owned()
    } else {
        format!("{DEFAULT_NAME}-{name}").trim_matches('-').to_owned()
    }
}
