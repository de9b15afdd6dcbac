//! What API Gateway, Lambda and DynamoDB accept, whichever file says it: the rules
//! that both importers apply, with the same messages.

pub(crate) mod realtime;
pub(crate) mod table;

use indexmap::IndexMap;

use crate::decode::refuse;
use crate::diagnostic::{Issue, Issues};
use crate::model::{Function, IdentitySource, Runtime};
use crate::node::Node;
use crate::selection::{RouteSelection, RouteSelectionError};
use crate::source::Span;

/// The keys of routes that API Gateway itself selects.
const PREDEFINED_ROUTES: [&str; 3] = ["$connect", "$disconnect", "$default"];

/// Lambda's longest function name, which a key of ours becomes a part of.
const MAX_FUNCTION_KEY: usize = 140;

/// Whether a text is an `http://` or `https://` URL.
pub(crate) fn is_http_url(text: &str) -> bool {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    rest.is_some_and(|rest| !rest.is_empty()) && !text.contains(char::is_whitespace)
}

/// Reports a function's key that cannot be a part of a function's name.
pub(crate) fn check_function_key(key: &str, place: Span, issues: &mut Issues) {
    let valid = key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    if !valid || key.is_empty() || key.len() > MAX_FUNCTION_KEY {
        let message = format!("`{key}` is not a valid name of a function");
        let expected = "letters, digits, hyphens and underscores";
        issues.push(Issue::error(place, message).expected(expected));
    }
}

/// Reports a full name that another function has: the Invoke API could reach only
/// one of them.
pub(crate) fn check_full_name(
    name: &str,
    known: &IndexMap<String, Function>,
    place: Span,
    issues: &mut Issues,
) {
    if let Some((key, _)) = known.iter().find(|(_, function)| function.name == name) {
        let message = format!("the function `{key}` has the full name `{name}` too");
        issues.push(Issue::error(place, message).expected("a name of its own for each function"));
    }
}

/// Reports a name that is not one of the file's functions.
pub(crate) fn check_function_exists(
    name: &str,
    known: &[&str],
    message: String,
    place: Span,
    issues: &mut Issues,
) {
    check_name_exists("function", name, known, message, place, issues);
}

/// Reports a name that is not one of the file's things of a kind, such as `link`.
pub(crate) fn check_name_exists(
    what: &str,
    name: &str,
    known: &[&str],
    message: String,
    place: Span,
    issues: &mut Issues,
) {
    if !known.contains(&name) {
        let expected = match known {
            [] => format!("a {what}, of which the file has none"),
            known => format!("one of {}", known.join(", ")),
        };
        let issue = Issue::error(place, message).expected(expected);
        issues.push(issue.nearest(name, known.iter().copied()));
    }
}

/// Reports a route key that API Gateway refuses ("The provided route key is not
/// formatted properly").
pub(crate) fn check_route_key(key: &str, place: Span, issues: &mut Issues) {
    if key.is_empty() || (key.starts_with('$') && !PREDEFINED_ROUTES.contains(&key)) {
        issues.push(
            Issue::error(place, format!("`{key}` is not a valid route key"))
                .expected("$connect, $disconnect, $default, or a key that does not begin with $")
                .nearest(key, PREDEFINED_ROUTES),
        );
    }
}

/// Reports an authorizer on a route that cannot have one.
pub(crate) fn check_authorizer_route(route: &str, authorizer: Span, issues: &mut Issues) {
    if route != "$connect" {
        let message = format!("the route `{route}` cannot have an authorizer");
        let expected = "an authorizer on $connect alone, as in API Gateway";
        issues.push(Issue::error(authorizer, message).expected(expected));
    }
}

/// Says that signatures are not looked at everywhere.
pub(crate) fn note_signatures(place: Span, issues: &mut Issues) {
    let message =
        "signatures are asked for by `fanwire serve` alone; `fanwire dev` lets everybody in";
    issues.push(Issue::warning(place, message));
}

/// A route selection expression; the default one where the node has none or a
/// malformed one, which is reported.
pub(crate) fn route_selection(node: Option<&Node>, issues: &mut Issues) -> RouteSelection {
    let Some((node, text)) = node.and_then(|node| Some((node, node.scalar_text()?))) else {
        return RouteSelection::default();
    };
    text.parse().unwrap_or_else(|error: RouteSelectionError| {
        let message = format!("`{text}` is not a route selection expression: {}", error.fault);
        let expected = "a form such as $request.body.action or ${request.body.a}/${request.body.b}";
        issues.push(Issue::error(node.span, message).expected(expected));
        RouteSelection::default()
    })
}

/// Parses identity sources and reports the malformed ones.
pub(crate) fn identity_sources(items: &[Node], issues: &mut Issues) -> Vec<IdentitySource> {
    let mut sources = Vec::new();
    for item in items {
        let Some(text) = item.scalar_text().filter(|_| item.tag.is_none()) else {
            refuse(item, "an identity source, such as route.request.header.Auth", issues);
            continue;
        };
        match text.parse() {
            Ok(source) => sources.push(source),
            Err(_) => {
                let message = format!("`{text}` is not an identity source");
                let expected = "route.request.header.NAME, route.request.querystring.NAME, \
                    stageVariables.NAME or context.NAME";
                issues.push(Issue::error(item.span, message).expected(expected));
            }
        }
    }
    sources
}

/// The language of a runtime identifier such as `nodejs20.x`, where Fanwire brings a
/// bootstrap for it.
pub(crate) fn language(identifier: &str) -> Option<Runtime> {
    if identifier.starts_with("nodejs") {
        Some(Runtime::Node)
    } else if identifier.starts_with("python") {
        Some(Runtime::Python)
    } else {
        None
    }
}

/// Reports a handler of code that stands in the project file, which is not in the one file
/// that is made of it. Returns whether it is.
pub(crate) fn check_inline_handler(handler: &str, place: Span, issues: &mut Issues) -> bool {
    let valid = handler.strip_prefix("index.").is_some_and(|name| !name.is_empty());
    if !valid {
        let message = format!("`{handler}` is not in the file `index`, which inline code is");
        issues.push(Issue::error(place, message).expected("index.NAME"));
    }
    valid
}

/// Reports a handler that is not `path/to/file.function`.
pub(crate) fn check_handler(handler: &str, function: &str, place: Span, issues: &mut Issues) {
    let valid = handler
        .rsplit_once('.')
        .is_some_and(|(file, name)| !file.is_empty() && !name.is_empty() && !name.contains('/'));
    if !valid {
        let message = format!("`{handler}` is not a handler of the function `{function}`");
        let expected = "the file and the function in it: path/to/file.function";
        issues.push(Issue::error(place, message).expected(expected));
    }
}
