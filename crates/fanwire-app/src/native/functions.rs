//! `[functions.NAME]`

use std::path::Path;
use std::time::Duration;

use indexmap::IndexMap;

use crate::decode::units::duration;
use crate::diagnostic::Issue;
use crate::model::{Code, Function};
use crate::node::{Entry, Node};
use crate::reading::{Reading, join};
use crate::rules;

use super::{Project, links, text_map, texts};

/// What holds where a function says nothing.
pub(super) const DEFAULT_RUNTIME: &str = "nodejs20.x";
pub(super) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(6);
pub(super) const DEFAULT_MEMORY_MB: u32 = 1024;

/// Lambda's longest timeout.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(900);

/// The keys that say what a function is, each with those that may stand beside it.
const CODE_KEYS: [(&str, &[&str]); 4] = [
    ("handler", &["runtime", "root", "code"]),
    ("command", &["handler", "build", "root"]),
    ("arn", &["endpoint"]),
    ("url", &[]),
];

/// The functions of the App.
pub(super) fn build(
    project: &Project<'_>,
    reading: &mut Reading<'_>,
) -> IndexMap<String, Function> {
    let shared = text_map(project.tree.get("environment"));
    let described = project.tree.get("functions").and_then(Node::as_map);
    let mut functions = IndexMap::new();
    for (key, entry) in described.into_iter().flatten() {
        let node = &entry.node;
        rules::check_function_key(key, entry.key, &mut reading.issues);
        let Some(code) = code(key, entry, project, reading) else { continue };
        let timeout = node.get("timeout").and_then(duration).unwrap_or(DEFAULT_TIMEOUT);
        if !(Duration::from_millis(1)..=LONGEST_TIMEOUT).contains(&timeout) {
            let place = node.get("timeout").map_or(entry.key, |node| node.span);
            let issue = Issue::error(place, format!("{timeout:?} is not a timeout of a function"));
            reading.issues.push(issue.expected("from 1 ms to 15 minutes"));
        }
        let number = |key: &str| u32::try_from(node.get(key)?.integer()?).ok();
        let mut environment = shared.clone();
        environment.extend(text_map(node.get("environment")));
        let function = Function {
            name: node
                .get("name")
                .and_then(Node::scalar_text)
                .unwrap_or_else(|| format!("{}-{}-{key}", project.name, project.stage)),
            code,
            timeout,
            memory_mb: number("memory").unwrap_or(DEFAULT_MEMORY_MB),
            environment,
            links: links::given(node),
            concurrency: number("concurrency"),
        };
        let place = node.get("name").map_or(entry.key, |name| name.span);
        rules::check_full_name(&function.name, &functions, place, &mut reading.issues);
        functions.insert(key.clone(), function);
    }
    functions
}

/// What the function is: exactly one of the forms, and only the keys of that form.
fn code(
    key: &str,
    entry: &Entry,
    project: &Project<'_>,
    reading: &mut Reading<'_>,
) -> Option<Code> {
    let node = &entry.node;
    node.as_map()?;
    let given = |key: &str| node.get(key).is_some();
    // A handler beside a command belongs to the command.
    let forms = CODE_KEYS
        .iter()
        .filter(|(form, _)| given(form) && !(*form == "handler" && given("command")));
    let forms: Vec<_> = forms.collect();
    let [(form, allowed)] = forms.as_slice() else {
        let message = match forms.len() {
            0 => format!("the function `{key}` has no code"),
            _ => format!("the function `{key}` has several kinds of code"),
        };
        let issue = Issue::error(entry.key, message);
        reading.issues.push(issue.expected("one of handler, command, arn and url"));
        return None;
    };
    for other in ["handler", "runtime", "build", "root", "endpoint", "code"] {
        if let Some(entry) =
            node.entry(other).filter(|_| other != *form && !allowed.contains(&other))
        {
            let message = format!("`{other}` has no meaning beside `{form}`");
            reading.issues.push(Issue::error(entry.key, message));
        }
    }
    let text = |key: &str| node.get(key).and_then(Node::scalar_text);
    let root = match text("root") {
        Some(root) => join(&reading.folder, &root),
        None => reading.folder.clone(),
    };
    match *form {
        "handler" => handler(key, text("handler")?, &root, node, project, reading),
        "command" => {
            let command = texts(node.get("command"));
            if command.first().is_none_or(String::is_empty) {
                let place = node.get("command").map_or(entry.key, |node| node.span);
                let issue = Issue::error(place, "the command is empty");
                reading.issues.push(issue.expected("a program and its arguments"));
            }
            let build = node.get("build").map(|build| texts(Some(build)));
            let build = build.filter(|build| !build.is_empty());
            Some(Code::Command {
                command,
                root,
                handler: text("handler").unwrap_or_default(),
                build,
            })
        }
        "arn" => Some(Code::Lambda { arn: text("arn")?, endpoint: text("endpoint") }),
        _ => Some(Code::Http { url: text("url")? }),
    }
}

fn handler(
    key: &str,
    handler: String,
    root: &Path,
    node: &Node,
    project: &Project<'_>,
    reading: &mut Reading<'_>,
) -> Option<Code> {
    let place = node.get("handler").map_or(node.span, |node| node.span);
    rules::check_handler(&handler, key, place, &mut reading.issues);
    let runtime_node = node.get("runtime").or_else(|| project.tree.get("runtime"));
    let identifier = runtime_node.and_then(Node::scalar_text);
    let identifier = identifier.unwrap_or_else(|| DEFAULT_RUNTIME.to_owned());
    match rules::language(&identifier) {
        Some(runtime) => Some(match node.get("code").and_then(Node::scalar_text) {
            Some(source) => {
                rules::check_inline_handler(&handler, place, &mut reading.issues);
                let root = reading.folder.join(Code::inline_folder(key));
                Code::Inline { runtime, source, handler, root, identifier }
            }
            None => Code::Handler { runtime, handler, root: root.to_owned(), identifier },
        }),
        None => {
            let place = runtime_node.map_or(place, |node| node.span);
            let message = format!("the runtime `{identifier}` is not supported with a handler");
            let expected =
                "nodejs18.x and later, or python3.9 and later; an executable has a `command`";
            reading.issues.push(Issue::error(place, message).expected(expected));
            None
        }
    }
}
