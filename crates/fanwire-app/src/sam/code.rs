//! Where a function's code is: a folder beside the template, the template itself, or not
//! on this machine.

use std::path::{Path, PathBuf};

use crate::code::Executable;
use crate::diagnostic::Issue;
use crate::model::{Code, Runtime};
use crate::node::Node;
use crate::not_served::Kinds;
use crate::reading::{Reading, relative};
use crate::rules;
use crate::source::Span;

/// The folder that `sam build` puts what it builds in.
const BUILD_FOLDER: &str = ".aws-sam/build";

/// A function as the template describes it.
pub(super) struct Described<'n> {
    pub(super) id: &'n str,
    /// The place of its logical id.
    pub(super) place: Span,
    /// Its properties without functions.
    pub(super) properties: &'n Node,
    pub(super) metadata: Option<&'n Node>,
    pub(super) is_sam: bool,
}

impl Described<'_> {
    fn text(&self, key: &str) -> Option<String> {
        self.properties.get(key).and_then(Node::scalar_text)
    }

    fn place_of(&self, key: &str) -> Span {
        self.properties.get(key).map_or(self.place, |node| node.span)
    }

    /// The code itself, where the template has it.
    fn inline(&self) -> Option<String> {
        let node = match self.is_sam {
            true => self.properties.get("InlineCode"),
            false => self.properties.at(&["Code", "ZipFile"]),
        };
        node.and_then(Node::scalar_text)
    }

    fn metadata(&self, path: &[&str]) -> Option<&Node> {
        self.metadata.and_then(|metadata| metadata.at(path))
    }
}

/// The function's code. `None` where it is not run here, which is listed, or where a fault
/// was reported.
pub(super) fn of(
    described: &Described<'_>,
    not_served: &mut Kinds,
    reading: &mut Reading<'_>,
) -> Option<Code> {
    let Described { id, place, .. } = described;
    let is_image = described.text("PackageType").as_deref() == Some("Image")
        || described.metadata(&["Dockerfile"]).is_some();
    if is_image {
        not_served.add("PackageType: Image", id);
        return None;
    }
    let Some(identifier) = described.text("Runtime") else {
        let message = format!("the function `{id}` has no Runtime");
        let expected = "Runtime: nodejs22.x, python3.13, provided.al2023, …";
        reading.issues.push(Issue::error(*place, message).expected(expected));
        return None;
    };
    let language = rules::language(&identifier);
    if let (Some(runtime), Some(source)) = (language, described.inline()) {
        return inline(described, runtime, source, identifier, reading);
    }
    let root = folder(described, not_served, reading)?;
    let own = identifier.starts_with("provided") || identifier == "go1.x";
    let handler = described.text("Handler");
    match (language, handler) {
        (Some(runtime), Some(handler)) => {
            let place = described.place_of("Handler");
            rules::check_handler(&handler, id, place, &mut reading.issues);
            let handler = of_entry_point(described, &root, runtime, handler);
            Some(Code::Handler { runtime, handler, root, identifier })
        }
        (Some(_), None) => {
            let message = format!("the function `{id}` has no Handler");
            let issue = Issue::error(*place, message);
            reading.issues.push(issue.expected("Handler: path/to/file.function"));
            None
        }
        (None, handler) if own => {
            executable(described, root, &handler.unwrap_or_else(|| "bootstrap".to_owned()), reading)
        }
        (None, _) => {
            let message = format!("the runtime `{identifier}` is not supported yet");
            let issue = Issue::warning(described.place_of("Runtime"), message);
            let issue =
                issue.expected("nodejs18.x and later, python3.9 and later, or provided.al2023");
            let known = ["nodejs22.x", "nodejs20.x", "python3.13", "provided.al2023"];
            reading.issues.push(issue.nearest(&identifier, known));
            not_served.add(&format!("Runtime: {identifier}"), id);
            None
        }
    }
}

/// Code that the template has itself: CloudFormation makes a file `index` of it.
fn inline(
    described: &Described<'_>,
    runtime: Runtime,
    source: String,
    identifier: String,
    reading: &mut Reading<'_>,
) -> Option<Code> {
    let handler = described.text("Handler").unwrap_or_else(|| "index.handler".to_owned());
    let place = described.place_of("Handler");
    if !rules::check_inline_handler(&handler, place, &mut reading.issues) {
        return None;
    }
    let root = reading.folder.join(Code::inline_folder(described.id));
    Some(Code::Inline { runtime, source, handler, root, identifier })
}

/// The folder of the code: `CodeUri`, or a local `Code`.
fn folder(
    described: &Described<'_>,
    not_served: &mut Kinds,
    reading: &mut Reading<'_>,
) -> Option<PathBuf> {
    let base = reading.folder.clone();
    // What the CDK writes beside a template of its own.
    if let Some(asset) = described.metadata(&["aws:asset:path"]).and_then(Node::as_str) {
        let folder = base.join(asset);
        if folder.is_dir() {
            return Some(folder);
        }
    }
    let key = if described.is_sam { "CodeUri" } else { "Code" };
    let node = described.properties.get(key);
    match node.map(|node| (node, node.scalar_text())) {
        None => Some(base),
        Some((node, Some(path))) if !path.starts_with("s3://") => {
            let folder = clean(&base.join(&path));
            if folder.is_dir() {
                return Some(folder);
            }
            let message = if folder.exists() {
                format!("`{path}` is not a folder")
            } else {
                format!("there is no folder `{path}`")
            };
            let issue =
                Issue::error(node.span, message).expected("the folder of the function's code");
            let names = subfolders(&base);
            reading.issues.push(issue.nearest(
                path.trim_end_matches('/').trim_start_matches("./"),
                names.iter().map(String::as_str),
            ));
            None
        }
        Some(_) => {
            not_served.add("code that is in S3", described.id);
            None
        }
    }
}

/// A path without `.` and doubled slashes.
fn clean(path: &Path) -> PathBuf {
    path.components().collect()
}

fn subfolders(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| entry.path().is_dir());
    folders.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

/// The handler where its file is. esbuild puts what it makes of an entry point at the top
/// of what is deployed, and that is where the handler says it is.
fn of_entry_point(
    described: &Described<'_>,
    root: &Path,
    runtime: Runtime,
    handler: String,
) -> String {
    const EXTENSIONS: [&str; 7] = ["js", "mjs", "cjs", "ts", "mts", "cts", "tsx"];
    let Some((module, name)) = handler.rsplit_once('.') else { return handler };
    let is_there =
        |module: &str| EXTENSIONS.iter().any(|end| root.join(format!("{module}.{end}")).is_file());
    if runtime != Runtime::Node || is_there(module) {
        return handler;
    }
    let entries = described.metadata(&["BuildProperties", "EntryPoints"]).and_then(Node::as_list);
    let stems = entries.unwrap_or_default().iter().filter_map(|entry| {
        let path = clean(Path::new(entry.as_str()?)).with_extension("");
        Some(path.to_string_lossy().into_owned())
    });
    let ending = format!("/{module}");
    let mut found = stems.filter(|stem| stem.ends_with(&ending) && is_there(stem));
    found.next().map_or_else(|| handler.clone(), |stem| format!("{stem}.{name}"))
}

/// The executable of a function with its own runtime, and what builds it.
fn executable(
    described: &Described<'_>,
    root: PathBuf,
    handler: &str,
    reading: &mut Reading<'_>,
) -> Option<Code> {
    let method = described.metadata(&["BuildMethod"]).and_then(Node::scalar_text);
    let artifacts = reading.folder.join(BUILD_FOLDER).join(described.id);
    let artifacts = relative(&root, &artifacts);
    let built = |build: Vec<String>, root: PathBuf| {
        let command = vec![artifacts.join("bootstrap").to_string_lossy().into_owned()];
        Some(Code::Command { command, root, handler: handler.to_owned(), build: Some(build) })
    };
    let folder = artifacts.to_string_lossy().into_owned();
    match method.as_deref() {
        Some("makefile") => {
            // What SAM's own builder runs, for a Makefile that puts things there.
            let script = "mkdir -p \"$1\" && exec make ARTIFACTS_DIR=\"$1\" \"build-$2\"";
            let build = ["sh", "-c", script, "sh", &folder, described.id];
            built(build.map(str::to_owned).to_vec(), root)
        }
        Some("go1.x") => {
            let program = format!("{folder}/bootstrap");
            let build = ["go", "build", "-o", &program, "."];
            built(build.map(str::to_owned).to_vec(), root)
        }
        _ => {
            let binary = described.metadata(&["BuildProperties", "Binary"]);
            let binary = binary.and_then(Node::scalar_text);
            let names: Vec<&str> = binary.as_deref().into_iter().chain([described.id]).collect();
            let own = [artifacts.join("bootstrap")];
            // What is built by cargo is built again whenever it changes.
            let built = if method.is_some() { &[][..] } else { &own };
            let place = described.place_of("Handler");
            let search = Executable { key: described.id, root, handler, binaries: &names, built };
            search.find(place, reading)
        }
    }
}
