//! The functions: those of `sst.aws.Function`, and those that other components make.

use std::path::{Path, PathBuf};
use std::time::Duration;

use indexmap::IndexMap;

use crate::code::cargo;
use crate::diagnostic::Issue;
use crate::model::{Code, Function, Links};
use crate::reading::Reading;
use crate::rules;
use crate::source::Span;

use super::description::{self, texts};
use super::places::Places;

/// How long a function in AWS may take: its own timeout decides, not Fanwire's.
const REMOTE_TIMEOUT: Duration = Duration::from_secs(900);

/// The folder, in the project's, that binaries are built into.
const BUILT: &str = ".fanwire/build";

/// The functions, and what they are called elsewhere.
pub(super) struct Functions {
    pub(super) functions: IndexMap<String, Function>,
    pub(super) names: Names,
}

/// Which function each of the described ones is: some are another of them.
pub(super) struct Names(IndexMap<String, String>);

impl Names {
    /// The key of the function that a described one is.
    pub(super) fn key(&self, described: &str) -> String {
        let mut key = described;
        // A chain of functions is as long as there are functions at the most.
        for _ in 0..self.0.len() {
            match self.0.get(key) {
                Some(same) => key = same,
                None => break,
            }
        }
        key.to_owned()
    }
}

/// Builds the functions.
pub(super) fn build(
    described: &[description::Function],
    places: &mut Places,
    reading: &mut Reading<'_>,
) -> Functions {
    let same = described.iter().filter_map(|each| Some((each.key.clone(), each.same_as.clone()?)));
    let names = Names(same.collect());
    let mut functions = IndexMap::new();
    for each in described.iter().filter(|each| each.same_as.is_none()) {
        let span = places.span(each.place.as_ref(), reading);
        rules::check_function_key(&each.key, span, &mut reading.issues);
        let function = match &each.arn {
            Some(arn) => remote(arn),
            None => match local(each, span, reading) {
                Some(function) => function,
                None => continue,
            },
        };
        rules::check_full_name(&function.name, &functions, span, &mut reading.issues);
        functions.insert(each.key.clone(), function);
    }
    Functions { functions, names }
}

fn remote(arn: &str) -> Function {
    Function {
        name: arn.rsplit(':').next().unwrap_or(arn).to_owned(),
        code: Code::Lambda { arn: arn.to_owned(), endpoint: None },
        timeout: REMOTE_TIMEOUT,
        memory_mb: 128,
        environment: IndexMap::new(),
        links: Links::Only(Vec::new()),
        concurrency: None,
    }
}

fn local(each: &description::Function, span: Span, reading: &mut Reading<'_>) -> Option<Function> {
    let code = code(each, span, reading)?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a conversion of a number to an integer saturates"
    )]
    let memory_mb = each.memory.unwrap_or(1024.0) as u32;
    let seconds = each.timeout.unwrap_or(20.0);
    let Ok(timeout) = Duration::try_from_secs_f64(seconds) else {
        let issue = Issue::error(span, format!("{seconds} is not a timeout of a function"));
        reading.issues.push(issue.expected("a number of seconds"));
        return None;
    };
    Some(Function {
        name: each.name.clone().unwrap_or_else(|| each.key.clone()),
        code,
        timeout,
        memory_mb,
        environment: texts(&each.environment),
        links: Links::Only(each.links.clone()),
        concurrency: each.concurrency,
    })
}

fn code(each: &description::Function, span: Span, reading: &mut Reading<'_>) -> Option<Code> {
    let handler = each.handler.clone().unwrap_or_default();
    let identifier = each.runtime.clone().unwrap_or_default();
    let root = match &each.bundle {
        Some(bundle) => reading.folder.join(bundle),
        None => reading.folder.clone(),
    };
    if let Some(runtime) = rules::language(&identifier) {
        rules::check_handler(&handler, &each.key, span, &mut reading.issues);
        return Some(Code::Handler { runtime, handler, root, identifier });
    }
    match identifier.as_str() {
        "rust" => rust(each, &handler, span, reading),
        "go" => Some(go(each, &handler, &reading.folder)),
        // The bundle is what Lambda would unpack: it has an executable of this name.
        provided if provided.starts_with("provided") => Some(Code::Command {
            command: vec!["./bootstrap".to_owned()],
            root,
            handler,
            build: None,
        }),
        other => {
            let message =
                format!("the runtime `{other}` of the function `{}` is not known", each.key);
            let expected = "nodejs…, python3…, go, rust or provided.al2023";
            let known = ["nodejs22.x", "python3.12", "go", "rust", "provided.al2023"];
            reading
                .issues
                .push(Issue::error(span, message).expected(expected).nearest(other, known));
            None
        }
    }
}

/// A function in Rust: `path/to/crate`, or `path/to/crate.binary`.
fn rust(
    each: &description::Function,
    handler: &str,
    span: Span,
    reading: &mut Reading<'_>,
) -> Option<Code> {
    let (folder, binary) = match handler.rsplit_once('.') {
        Some((folder, binary)) if !binary.contains('/') && !binary.is_empty() => {
            (folder, Some(binary))
        }
        _ => (handler, None),
    };
    let root = nearest_with("Cargo.toml", &reading.folder.join(folder));
    let binaries = root.as_deref().map(cargo::binaries).unwrap_or_default();
    let wanted = binary.or(binaries.first().map(String::as_str));
    let (Some(root), Some(name)) =
        (root, wanted.filter(|name| binaries.iter().any(|it| it == name)))
    else {
        let message = format!("there is no binary for the function `{}`", each.key);
        let issue = Issue::error(span, message).expected("path/to/crate, or path/to/crate.binary");
        reading
            .issues
            .push(issue.nearest(binary.unwrap_or(handler), binaries.iter().map(String::as_str)));
        return None;
    };
    let target = reading.options.environment.get("CARGO_TARGET_DIR").filter(|it| !it.is_empty());
    let target = target.map_or_else(|| cargo::target_folder(&root), PathBuf::from);
    Some(Code::Command {
        command: vec![target.join("debug").join(name).to_string_lossy().into_owned()],
        build: Some(["cargo", "build", "--bin", name].map(str::to_owned).to_vec()),
        handler: handler.to_owned(),
        root,
    })
}

/// A function in Go: the folder of a program.
fn go(each: &description::Function, handler: &str, folder: &Path) -> Code {
    let source = folder.join(handler);
    let root = nearest_with("go.mod", &source).unwrap_or_else(|| folder.to_owned());
    let binary = folder.join(BUILT).join(&each.key).to_string_lossy().into_owned();
    let source = source.to_string_lossy().into_owned();
    let build = vec!["go".to_owned(), "build".to_owned(), "-o".to_owned(), binary.clone(), source];
    Code::Command { command: vec![binary], root, handler: handler.to_owned(), build: Some(build) }
}

/// The folder at or above another one that has a file.
fn nearest_with(file: &str, folder: &Path) -> Option<PathBuf> {
    folder.ancestors().find(|folder| folder.join(file).is_file()).map(Path::to_owned)
}
