//! Which code a function has: a handler of a language that Fanwire brings a
//! bootstrap for, or an executable that speaks the Lambda Runtime API.

use std::path::Path;

use crate::code::Executable;
use crate::diagnostic::Issue;
use crate::model::Code;
use crate::node::Node;
use crate::reading::Reading;
use crate::rules;
use crate::source::Span;

/// The runtime where neither the function nor the provider names one (version 4).
const DEFAULT_RUNTIME: &str = "nodejs20.x";

/// A function as the file describes it.
pub(super) struct Described<'n> {
    pub(super) key: &'n str,
    pub(super) key_span: Span,
    pub(super) node: &'n Node,
    /// The tables of the whole file that hold for it too.
    pub(super) provider: Option<&'n Node>,
    pub(super) package: Option<&'n Node>,
}

/// The function's code. `None` where a fault was reported, or where it is a
/// container image.
pub(super) fn of(described: &Described<'_>, reading: &mut Reading<'_>) -> Option<Code> {
    let Described { key, node, provider, .. } = described;
    let Some((handler_node, handler)) =
        node.get("handler").and_then(|node| Some((node, node.scalar_text()?)))
    else {
        if let Some(image) = node.get("image") {
            let message =
                format!("the function `{key}` is a container image, which Fanwire does not run");
            reading.issues.push(Issue::warning(image.span, message));
        } else if node.get("handler").is_none() {
            let message = format!("the function `{key}` has no handler");
            let issue = Issue::error(described.key_span, message);
            reading.issues.push(issue.expected("handler: path/to/file.function"));
        }
        return None;
    };
    let runtime_node = node.get("runtime").or_else(|| provider.as_ref()?.get("runtime"));
    let identifier =
        runtime_node.and_then(Node::scalar_text).unwrap_or_else(|| DEFAULT_RUNTIME.to_owned());
    if let Some(runtime) = rules::language(&identifier) {
        rules::check_handler(&handler, key, handler_node.span, &mut reading.issues);
        let root = reading.folder.clone();
        return Some(Code::Handler { runtime, handler, root, identifier });
    }
    if identifier.starts_with("provided") || identifier == "rust" {
        return executable(described, handler_node, &handler, reading);
    }
    let place = runtime_node.map_or(described.key_span, |node| node.span);
    reading.issues.push(
        Issue::error(place, format!("the runtime `{identifier}` is not supported yet"))
            .expected("nodejs18.x and later, python3.9 and later, or provided.al2023")
            .nearest(&identifier, ["nodejs20.x", "nodejs22.x", "python3.12", "provided.al2023"]),
    );
    None
}

/// The executable of a function with its own runtime.
fn executable(
    described: &Described<'_>,
    place: &Node,
    handler: &str,
    reading: &mut Reading<'_>,
) -> Option<Code> {
    let packages = [described.node.get("package"), described.package];
    let artifact =
        packages.into_iter().flatten().find_map(|package| package.get("artifact")?.as_str());
    let beside = artifact.and_then(|path| Path::new(path).parent());
    let search = Executable {
        key: described.key,
        root: reading.folder.clone(),
        handler,
        // The `serverless-rust` plugin names a binary of a workspace `package.binary`.
        binaries: &[handler.rsplit(['.', '/']).next().unwrap_or(handler), described.key],
        built: &beside.map(|folder| folder.join("bootstrap")).into_iter().collect::<Vec<_>>(),
    };
    search.find(place.span, reading)
}
