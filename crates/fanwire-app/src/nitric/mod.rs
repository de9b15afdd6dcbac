//! `nitric.yaml`: which files of a project are services, and how each is run. What sockets
//! and stores the services have, they say themselves when they run.
//!
//! Both generations are read: `handlers`, a list of patterns, with the language's own way
//! to run a file ([`command`]); and `services` with `start` commands. Beside it,
//! `local.nitric.yaml` gives sockets ports, and `.env` gives services variables, as
//! `nitric start` has it (reference: nitric.md, section 1).

mod command;
mod files;
mod keys;

use std::path::{Path, PathBuf};

use indexmap::IndexMap;

use crate::aws_id::account_id;
use crate::decode::check;
use crate::diagnostic::Issue;
use crate::model::{App, Links, Nitric, Profile, Service, Site};
use crate::node::{Node, yaml};
use crate::not_served::Kinds;
use crate::reading::Reading;
use crate::source::Span;
use crate::variables::dotenv;

use self::command::SERVICE_PATH;

/// The names of the file.
pub(crate) const FILE_NAMES: [&str; 2] = ["nitric.yaml", "nitric.yml"];

/// The file that has the ports of sockets on this machine.
const LOCAL_FILE: &str = "local.nitric.yaml";

/// The file that has variables of services.
const DOTENV_FILE: &str = ".env";

/// The largest file beside the project file that is read, in bytes.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// The most services of a project: each is a process.
const MAX_SERVICES: usize = 64;

/// An entry of `services` or `handlers`.
struct Declared {
    pattern: String,
    place: Span,
    start: Option<String>,
    /// The folder that the pattern starts from.
    folder: PathBuf,
}

/// Builds the App, or reports why that cannot be.
pub(crate) fn import(reading: &mut Reading<'_>, root: &Node) -> Option<App> {
    check(root, &keys::PROJECT, &mut reading.issues);
    root.as_map()?;
    let options = reading.options;
    let environment = dotenv(reading);
    let services = services(root, &environment, reading);
    let ports = ports(reading);
    let mut not_served = Kinds::default();
    if let Some(batch) = root.get("batch-services").and_then(Node::as_list) {
        for entry in batch {
            let pattern = entry.get("match").and_then(Node::scalar_text).unwrap_or_default();
            not_served.add("batch service", &pattern);
        }
    }
    let region = options.region.clone().unwrap_or_else(|| "us-east-1".to_owned());
    Some(App {
        service: root.get("name").and_then(Node::scalar_text).unwrap_or_default(),
        stage: options.stage.clone().unwrap_or_else(|| "dev".to_owned()),
        dynamodb: options.dynamodb.clone().unwrap_or_default().in_region(&region),
        region,
        account_id: account_id(&options.environment),
        root: reading.folder.clone(),
        file: reading.file.clone(),
        profile: options.profile.unwrap_or(Profile::Aws),
        functions: IndexMap::new(),
        websocket_apis: Vec::new(),
        realtime: None,
        tables: IndexMap::new(),
        links: IndexMap::new(),
        sites: sites(root, &environment, reading),
        nitric: Some(Nitric { services, ports }),
        not_served: not_served.into_list(),
    })
}

/// The services, by the paths of their files.
fn services(
    root: &Node,
    environment: &IndexMap<String, String>,
    reading: &mut Reading<'_>,
) -> IndexMap<String, Service> {
    let mut services = IndexMap::new();
    for declared in declared(root, reading) {
        let found = files::matching(&declared.folder, &declared.pattern);
        if found.is_empty() {
            let message = format!("no file is like `{}`", declared.pattern);
            let help = format!("patterns start from {}", declared.folder.display());
            reading.issues.push(Issue::warning(declared.place, message).help(help));
        }
        for file in found {
            if services.len() == MAX_SERVICES {
                let message = format!("there are more than {MAX_SERVICES} services");
                reading.issues.push(Issue::error(declared.place, message));
                return services;
            }
            if let Some(service) = service(&declared, &file, environment, reading) {
                services.insert(key(&declared, &file, reading), service);
            }
        }
    }
    services
}

/// What a service is called: its file's path in the project, without the extension.
fn key(declared: &Declared, file: &Path, reading: &Reading<'_>) -> String {
    let path = declared.folder.join(file).with_extension("");
    path.strip_prefix(&reading.folder).unwrap_or(&path).to_string_lossy().into_owned()
}

fn service(
    declared: &Declared,
    file: &Path,
    environment: &IndexMap<String, String>,
    reading: &mut Reading<'_>,
) -> Option<Service> {
    let Declared { start, folder, place, .. } = declared;
    let command = match start {
        Some(start) => start.clone(),
        None => match command::suggested(folder, file) {
            Ok(command) => command,
            Err(missing) => {
                let message = format!("`{}` cannot be run: {}", file.display(), missing.why);
                reading.issues.push(Issue::error(*place, message).help(missing.help));
                return None;
            }
        },
    };
    if command::lacks_packages(folder, &command) {
        let message = format!("the packages that `{command}` needs are not there");
        let help = format!("`npm install` in {}", folder.display());
        reading.issues.push(Issue::warning(*place, message).help(help));
    }
    let mut environment = environment.clone();
    environment.insert(SERVICE_PATH.to_owned(), file.to_string_lossy().into_owned());
    let restart_on_change = !command::watches(folder, &command);
    Some(Service { command, folder: folder.clone(), environment, restart_on_change })
}

/// All entries of both generations.
fn declared(root: &Node, reading: &mut Reading<'_>) -> Vec<Declared> {
    let mut all = Vec::new();
    for entry in root.get("services").and_then(Node::as_list).unwrap_or_default() {
        let text = |key: &str| entry.get(key).and_then(Node::scalar_text);
        let Some(pattern) = text("match") else { continue };
        let start = entry.get("start");
        if let Some(start) = start
            && !start.scalar_text().is_some_and(|start| start.contains(SERVICE_PATH))
        {
            let message = format!("the command does not say ${SERVICE_PATH}");
            let help = "each service is run by it, so that all would be the same";
            reading.issues.push(Issue::warning(start.span, message).help(help));
        }
        let folder = match text("basedir") {
            Some(folder) => reading.folder.join(folder),
            None => reading.folder.clone(),
        };
        let place = entry.get("match").map_or(entry.span, |node| node.span);
        all.push(Declared { pattern, place, start: text("start"), folder });
    }
    handlers(root, &mut all, reading);
    if all.is_empty() {
        let message = "the project has no services";
        let help = "`services` says which files are, such as services/*.ts";
        reading.issues.push(Issue::warning(Span::whole(reading.file_id), message).help(help));
    }
    all
}

/// The entries of `handlers`.
fn handlers(root: &Node, all: &mut Vec<Declared>, reading: &mut Reading<'_>) {
    let Some(handlers) = root.get("handlers") else { return };
    if handlers.as_list().is_none() {
        let message = "`handlers` is not a list";
        let expected = "a list of patterns, such as functions/*.ts";
        reading.issues.push(Issue::error(handlers.span, message).expected(expected));
    }
    for entry in handlers.as_list().unwrap_or_default() {
        let pattern = entry.as_str().map(str::to_owned);
        let Some(pattern) = pattern.or_else(|| entry.get("match")?.scalar_text()) else {
            let message = format!("{} is no entry of `handlers`", entry.kind());
            let expected = "a pattern, such as functions/*.ts, or `match` with one";
            reading.issues.push(Issue::error(entry.span, message).expected(expected));
            continue;
        };
        let (place, folder) = (entry.span, reading.folder.clone());
        all.push(Declared { pattern, place, start: None, folder });
    }
}

/// The sites, whose own tools serve them.
fn sites(
    root: &Node,
    environment: &IndexMap<String, String>,
    reading: &Reading<'_>,
) -> IndexMap<String, Site> {
    let entries = root.get("websites").and_then(Node::as_list).unwrap_or_default();
    let site = |entry: &Node| {
        let basedir = entry.get("basedir").and_then(Node::scalar_text)?;
        let site = Site {
            kind: "website".to_owned(),
            path: reading.folder.join(&basedir),
            command: entry.at(&["dev", "command"]).and_then(Node::scalar_text),
            environment: environment.clone(),
            links: Links::Only(Vec::new()),
        };
        Some((basedir.trim_start_matches("./").trim_end_matches('/').to_owned(), site))
    };
    entries.iter().filter_map(site).collect()
}

/// The ports that `local.nitric.yaml` gives sockets.
fn ports(reading: &mut Reading<'_>) -> IndexMap<String, u16> {
    let file = reading.folder.join(LOCAL_FILE);
    let Some(text) = beside(&file, reading) else { return IndexMap::new() };
    let id = reading.sources.add(file, text.clone());
    let root = match yaml::parse(id, &text, &mut reading.issues) {
        Ok(root) => root,
        Err(issue) => {
            reading.issues.push(issue);
            return IndexMap::new();
        }
    };
    check(&root, &keys::LOCAL, &mut reading.issues);
    let sockets = root.get("websockets").and_then(Node::as_map);
    let port = |node: &Node| node.get("port")?.integer().and_then(|port| port.try_into().ok());
    let sockets = sockets.into_iter().flatten();
    sockets.filter_map(|(name, entry)| Some((name.clone(), port(&entry.node)?))).collect()
}

/// The variables of `.env`. They win over those of the server's own environment.
fn dotenv(reading: &mut Reading<'_>) -> IndexMap<String, String> {
    let file = reading.folder.join(DOTENV_FILE);
    let text = beside(&file, reading).unwrap_or_default();
    dotenv::parse(&text, &IndexMap::new())
}

/// The text of a file that need not be there.
fn beside(file: &Path, reading: &mut Reading<'_>) -> Option<String> {
    reading.files.push(file.to_owned());
    let is_read = file.metadata().is_ok_and(|found| found.len() <= MAX_FILE_BYTES);
    is_read.then(|| std::fs::read_to_string(file).ok()).flatten()
}
