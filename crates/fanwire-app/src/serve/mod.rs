//! How a server serves, whatever its App is: where it listens, who may call it, what it
//! tells, which nodes it works with. It is in `fanwire.serve.toml` beside the project
//! file, or in the table `[serve]` of a `fanwire.toml`, and is no part of the App: the same
//! App is served in another way on every machine.
//!
//! Each part of the file has a module with its keys, what they become, and how they are read.

pub mod access;
pub mod cluster;
pub mod drain;
pub mod limits;
pub mod listen;
pub mod permission;
pub mod secret;
pub mod telemetry;
pub mod tls;

use std::path::{Path, PathBuf};

use indexmap::{IndexMap, IndexSet};
use serde::Serialize;

use crate::decode::{Key, Kind, Others, Table, check, json_schema};
use crate::diagnostic::{Diagnostic, LoadError};
use crate::node::{Node, toml};
use crate::reading::{LoadOptions, Reading, join};
use crate::variables::{Format, Resolver};

/// The name of the file that is looked for beside a project file.
pub const FILE_NAME: &str = "fanwire.serve.toml";

/// The whole file.
pub(crate) static SERVE: Table = Table {
    name: FILE_NAME,
    doc: "How `fanwire serve` serves an app on this machine.",
    others: Others::Refused,
    keys: &[
        Key::new(
            "listen",
            Kind::OneOrMore(&listen::LISTEN),
            "where clients connect; default: one listener at 0.0.0.0:3001",
        ),
        Key::new(
            "trusted_proxies",
            Kind::TextList,
            "addresses and networks, such as \"10.0.0.0/8\", whose X-Forwarded-For is believed; default: none",
        ),
        Key::new(
            "domains",
            Kind::Tables(&listen::DOMAIN),
            "names of hosts, and the API that each stands for",
        ),
        Key::new("tls", Kind::Table(&tls::TLS), "certificates; default: none"),
        Key::new(
            "access",
            Kind::Table(&access::ACCESS),
            "who may call the APIs of management, of data and of functions",
        ),
        Key::new(
            "limits",
            Kind::Table(&limits::LIMITS),
            "what a client, an address and a principal may ask for",
        ),
        Key::new(
            "drain",
            Kind::Table(&drain::DRAIN),
            "how clients are sent away when the server stops",
        ),
        Key::new(
            "telemetry",
            Kind::Table(&telemetry::TELEMETRY),
            "metrics, health, traces and the log of who called what",
        ),
        Key::new(
            "cluster",
            Kind::Table(&cluster::CLUSTER),
            "the nodes that serve the app together; default: this one alone",
        ),
        Key::new(
            "data",
            Kind::Text,
            "the folder for what outlives the process, relative to the file; `--data` wins; default \".fanwire\" beside the project file",
        ),
    ],
};

/// How a server serves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct Serve {
    /// Where clients connect. Empty: what the command line says, or `0.0.0.0:3001`.
    pub listeners: Vec<listen::Listener>,
    /// Addresses and networks whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<String>,
    /// The APIs that names of hosts stand for.
    pub domains: IndexMap<String, listen::Domain>,
    /// Certificates, where the server has any.
    pub tls: Option<tls::Tls>,
    /// Who may call what.
    pub access: access::Access,
    /// What callers and clients may ask for.
    pub limits: limits::Limits,
    /// How clients are sent away at the end.
    pub drain: drain::Drain,
    /// What the server tells of itself.
    pub telemetry: telemetry::Telemetry,
    /// The nodes that serve together, where there are several.
    pub cluster: Option<cluster::Cluster>,
    /// The folder for what outlives the process.
    pub data: Option<PathBuf>,
    /// The environment variables that its secrets were taken from: they are for the server, and
    /// no function's.
    #[serde(skip)]
    pub variables: IndexSet<String>,
}

/// What is said of serving, and what of it has no effect.
#[derive(Debug, Clone)]
pub struct LoadedServe {
    /// The settings; the defaults where nothing is said.
    pub serve: Serve,
    /// Faults that do not keep the server from serving.
    pub warnings: Vec<Diagnostic>,
    /// Every file that decided what the settings are, as absolute paths.
    pub files: Vec<PathBuf>,
}

/// The JSON Schema of `fanwire.serve.toml`, for editors.
pub fn schema() -> serde_json::Value {
    json_schema(&SERVE, FILE_NAME)
}

/// Loads the settings for serving a project: from `given`, else from `fanwire.serve.toml`
/// beside the project file, else from `[serve]` of a project file that is a `fanwire.toml`.
/// Where there is none of these, the defaults.
///
/// # Errors
///
/// Where the file cannot be used, with as many faults as can be told at once.
pub fn load(
    given: Option<&Path>,
    project: &Path,
    options: &LoadOptions,
) -> Result<LoadedServe, LoadError> {
    let beside = project.with_file_name(FILE_NAME);
    let (path, is_project) = match given {
        Some(path) => (path, false),
        None if beside.is_file() => (beside.as_path(), false),
        None if project.extension().is_some_and(|extension| extension == "toml") => (project, true),
        None => {
            return Ok(LoadedServe {
                serve: Serve::default(),
                warnings: Vec::new(),
                files: vec![beside],
            });
        }
    };
    let text = std::fs::read_to_string(path).map_err(|error| {
        Diagnostic::about_file(path.to_owned(), format!("cannot be read: {error}"))
    })?;
    let mut reading = Reading::new(path, text.clone(), options);
    if given.is_none() && is_project {
        reading.files.push(beside.clone());
    }
    let serve = import(&mut reading, &text, is_project);
    finish(reading, serve)
}

fn import(reading: &mut Reading<'_>, text: &str, is_project: bool) -> Option<Serve> {
    let root = toml::parse(reading.file_id, text, &mut reading.issues);
    if reading.issues.has_errors() {
        return None;
    }
    let tree = {
        let Reading { folder, options, sources, issues, files, variables, .. } = reading;
        let mut resolver = Resolver::new(&root, options, Format::Native, folder, sources, issues);
        // What else is in a project file is read and checked with the App.
        let tree = match is_project {
            true => resolver.resolve_at(&["serve"]),
            false => Some(resolver.resolve_root()),
        };
        files.extend(resolver.included_files());
        *variables = resolver.asked_for(&secret::KEYS);
        tree
    };
    if let (Some(tree), false) = (&tree, is_project) {
        check(tree, &SERVE, &mut reading.issues);
    }
    Some(tree.map(|tree| build(&tree, reading)).unwrap_or_default())
}

/// The settings that a table holds, which has been checked.
fn build(node: &Node, reading: &mut Reading<'_>) -> Serve {
    let text = |key: &str| node.get(key).and_then(Node::scalar_text);
    Serve {
        listeners: listen::build(node.get("listen"), reading),
        trusted_proxies: crate::native::texts(node.get("trusted_proxies")),
        domains: listen::domains(node.get("domains")),
        tls: node.get("tls").map(|node| tls::build(node, reading)),
        access: node.get("access").map(|node| access::build(node, reading)).unwrap_or_default(),
        limits: node.get("limits").map(limits::build).unwrap_or_default(),
        drain: node.get("drain").map(drain::build).unwrap_or_default(),
        telemetry: node
            .get("telemetry")
            .map(|node| telemetry::build(node, reading))
            .unwrap_or_default(),
        cluster: node.get("cluster").map(|node| cluster::build(node, reading)),
        data: text("data").map(|path| join(&reading.folder, &path)),
        variables: std::mem::take(&mut reading.variables),
    }
}

fn finish(reading: Reading<'_>, serve: Option<Serve>) -> Result<LoadedServe, LoadError> {
    let failed = reading.issues.has_errors();
    let files: IndexSet<PathBuf> = reading.files.into_iter().collect();
    let files = files.into_iter().collect();
    let diagnostics = reading.issues.into_diagnostics(&reading.sources);
    match serve {
        Some(serve) if !failed => Ok(LoadedServe { serve, warnings: diagnostics, files }),
        _ => Err(LoadError { diagnostics, files }),
    }
}
