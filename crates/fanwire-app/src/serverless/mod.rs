//! `serverless.yml` as an App (Serverless Framework 3 and 4).
//!
//! The file is read in four steps: variables are replaced, the shape is checked
//! against [`keys`], the CloudFormation stack that the framework would generate is
//! modelled as far as references need it ([`stack`]), and the functions
//! ([`functions`]), their code ([`code`]), their routes ([`websocket`]), the realtime
//! endpoint ([`realtime`]) and the tables are built.

mod code;
mod functions;
mod keys;
mod realtime;
mod stack;
mod websocket;

use indexmap::IndexMap;

use crate::aws_id::account_id;
use crate::cloudformation::{Location, tables};
use crate::decode::check;
use crate::diagnostic::{Issue, Issues};
use crate::model::App;
use crate::node::{Entry, Map, Node, Value};
use crate::not_served::Kinds;
use crate::reading::Reading;
use crate::variables::{Format, Resolver, dotenv};

/// The resolved file and what follows from all of it.
struct Service<'n> {
    tree: &'n Node,
    name: String,
    stage: String,
    region: String,
    account_id: String,
    /// The functions as the file describes them, by key.
    functions: Map,
    not_served: Kinds,
}

impl Service<'_> {
    /// Where the stack is whose resources begin with `prefix`.
    fn location<'a>(&'a self, prefix: &'a str) -> Location<'a> {
        Location { region: &self.region, account_id: &self.account_id, prefix }
    }
}

/// Builds the App, or reports why that cannot be.
pub(crate) fn import(reading: &mut Reading<'_>, root: &Node) -> Option<App> {
    let resolved = resolve(reading, root);
    let issues = &mut reading.issues;
    check(&resolved.tree, &keys::SERVICE, issues);
    resolved.tree.as_map()?;
    check_names(reading, &resolved);
    let Resolved { tree, stage, region, account_id } = resolved;
    let issues = &mut reading.issues;
    let name = service_name(&tree, issues).unwrap_or_default();
    let functions = functions::described(&tree, issues);
    let mut service = Service {
        tree: &tree,
        name,
        stage,
        region,
        account_id,
        functions,
        not_served: Kinds::default(),
    };
    let resources = stack::resources(&service, issues);
    let stack = stack::build(&mut service, &resources);
    let resources = stack.existing(&resources);
    let tables = tables::build(&resources, &stack, issues);
    let mut functions = functions::build(&mut service, &stack, reading);
    let api = websocket::build(&mut service, &stack, &resources, &mut functions, reading);
    let realtime = realtime::build(&mut service, &stack, &resources, &mut functions, reading);
    let options = reading.options;
    let dynamodb = options.dynamodb.clone().unwrap_or_default().in_region(&service.region);
    Some(App {
        service: service.name,
        stage: service.stage,
        region: service.region,
        account_id: service.account_id,
        root: reading.folder.clone(),
        file: reading.file.clone(),
        profile: options.profile.unwrap_or_default(),
        functions,
        websocket_apis: api.into_iter().collect(),
        realtime,
        tables,
        dynamodb,
        links: IndexMap::new(),
        sites: IndexMap::new(),
        nitric: None,
        not_served: service.not_served.into_list(),
    })
}

/// The file with its variables replaced.
struct Resolved {
    tree: Node,
    stage: String,
    region: String,
    account_id: String,
}

fn resolve(reading: &mut Reading<'_>, root: &Node) -> Resolved {
    let Reading { options, folder, sources, issues, files, .. } = reading;
    let mut resolver = Resolver::new(root, options, Format::Serverless, folder, sources, issues);
    let use_dotenv = resolver.resolve_at(&["useDotenv"]).and_then(|node| node.boolean());
    let stage = resolver.stage();
    if use_dotenv == Some(true) {
        let candidates = [format!(".env.{stage}"), ".env".to_owned()].map(|name| folder.join(name));
        let text = candidates.iter().find_map(|path| std::fs::read_to_string(path).ok());
        files.extend(candidates);
        let variables = dotenv::parse(&text.unwrap_or_default(), resolver.environment());
        resolver.add_environment(variables);
    }
    let stage = resolver.stage();
    let region = resolver.region();
    let account_id = account_id(resolver.environment());
    let mut tree = resolver.resolve_root();
    files.extend(resolver.included_files());
    expand_provider(&mut tree);
    Resolved { tree, stage, region, account_id }
}

/// Turns `provider: aws` into `provider: {name: aws}`, as the framework does.
fn expand_provider(tree: &mut Node) {
    let Value::Map(map) = &mut tree.value else { return };
    if let Some(provider) = map.get_mut("provider")
        && provider.node.as_str().is_some()
    {
        let name = Entry { key: provider.key, node: provider.node.clone() };
        provider.node.value = Value::Map(Map::from([("name".to_owned(), name)]));
    }
}

/// `service: name`, or the old form `service: {name: name}`.
fn service_name(tree: &Node, issues: &mut Issues) -> Option<String> {
    let node = tree.get("service")?;
    let node = node.get("name").unwrap_or(node);
    let Some(name) = node.scalar_text() else {
        crate::decode::refuse(node, "the service's name", issues);
        return None;
    };
    let valid = name.len() > 1
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    if !valid {
        let message = format!("`{name}` is not a valid name of a service");
        let expected = "a letter, then letters, digits and hyphens";
        issues.push(Issue::error(node.span, message).expected(expected));
    }
    Some(name)
}

/// The stage's and the region's own rules, wherever they were given.
fn check_names(reading: &mut Reading<'_>, resolved: &Resolved) {
    const EXPECTED: &str = "letters, digits and hyphens";
    let Resolved { tree, stage, region, .. } = resolved;
    let options = reading.options;
    for (key, value, option) in
        [("stage", stage, &options.stage), ("region", region, &options.region)]
    {
        let valid =
            !value.is_empty() && value.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        let node = tree.at(&["provider", key]).filter(|_| option.is_none());
        match node {
            _ if valid => {}
            Some(node) => {
                let message = format!("`{value}` is not a valid {key}");
                reading.issues.push(Issue::error(node.span, message).expected(EXPECTED));
            }
            None => reading.bad_option(key, value, EXPECTED),
        }
    }
}

/// A mapping, or the mappings of a list put together: `functions` and `resources`
/// may be split over several files that way. Null entries are left out.
fn merged(node: &Node, what: &str, issues: &mut Issues) -> Map {
    let mut all = Map::new();
    let parts = node.as_list().unwrap_or(std::slice::from_ref(node));
    for part in parts {
        match &part.value {
            Value::Map(map) if part.tag.is_none() => merge(&mut all, map),
            Value::Null => {}
            _ => crate::decode::refuse(part, what, issues),
        }
    }
    all
}

/// Adds entries; tables that both have are put together.
fn merge(into: &mut Map, from: &Map) {
    for (key, entry) in from {
        match into.get_mut(key) {
            Some(Entry { node: Node { value: Value::Map(known), .. }, .. })
                if entry.node.as_map().is_some() =>
            {
                if let Some(more) = entry.node.as_map() {
                    merge(known, more);
                }
            }
            _ => drop(into.insert(key.clone(), entry.clone())),
        }
    }
}
