//! `[functions.NAME]`, and what holds for all of them.

use indexmap::IndexMap;

use crate::model::{App, Code, Function};
use crate::native::functions::{DEFAULT_MEMORY_MB, DEFAULT_RUNTIME, DEFAULT_TIMEOUT};

use super::document::{Document, Literal};
use super::{folder, given_links};

/// What all functions have in common, which the file says once.
pub(super) struct Shared {
    runtime: String,
    environment: IndexMap<String, String>,
}

impl Shared {
    pub(super) fn of(app: &App) -> Self {
        let handlers = app.functions.values().filter_map(|function| function.code.handler());
        let mut runtimes = handlers.map(|handler| handler.identifier);
        let first = runtimes.next();
        let is_shared = runtimes.all(|other| Some(other) == first);
        let runtime = first.filter(|_| is_shared).unwrap_or(DEFAULT_RUNTIME);
        Self { runtime: runtime.to_owned(), environment: environment(app) }
    }

    pub(super) fn write(&self, document: &mut Document) {
        if self.runtime != DEFAULT_RUNTIME {
            document.set("runtime", &self.runtime);
        }
        document.texts(&["environment"], &self.environment);
    }
}

/// The variables that all functions have, where there are several functions.
fn environment(app: &App) -> IndexMap<String, String> {
    let mut functions = app.functions.values();
    let Some(first) = functions.next().filter(|_| app.functions.len() > 1) else {
        return IndexMap::new();
    };
    let mut environment = first.environment.clone();
    for other in functions {
        environment.retain(|name, value| other.environment.get(name) == Some(value));
    }
    environment
}

pub(super) fn write(app: &App, shared: &Shared, document: &mut Document) {
    for (key, function) in &app.functions {
        document.heading(&["functions", key]);
        code(app, function, shared, document);
        if function.name != format!("{}-{}-{key}", app.service, app.stage) {
            document.set("name", &function.name);
        }
        if function.timeout != DEFAULT_TIMEOUT {
            document.set("timeout", function.timeout);
        }
        if function.memory_mb != DEFAULT_MEMORY_MB {
            document.set("memory", function.memory_mb);
        }
        document.set_some("concurrency", function.concurrency);
        given_links(&function.links, document);
        let own = function.environment.iter();
        let own = own.filter(|(name, _)| !shared.environment.contains_key(*name));
        let own = own.map(|(name, value)| (name.clone(), value.clone())).collect();
        document.texts(&["functions", key, "environment"], &own);
    }
}

fn code(app: &App, function: &Function, shared: &Shared, document: &mut Document) {
    match &function.code {
        Code::Handler { handler, root, identifier, .. } => {
            document.set("handler", handler);
            if *identifier != shared.runtime {
                document.set("runtime", identifier);
            }
            document.set_some("root", folder(app, root));
        }
        Code::Inline { source, handler, identifier, .. } => {
            document.set("handler", handler);
            if *identifier != shared.runtime {
                document.set("runtime", identifier);
            }
            document.set("code", source);
        }
        Code::Command { command, root, handler, build } => {
            document.set("command", Literal::texts(command));
            document.set_some("build", build.as_ref().map(Literal::texts));
            if !handler.is_empty() {
                document.set("handler", handler);
            }
            document.set_some("root", folder(app, root));
        }
        Code::Lambda { arn, endpoint } => {
            document.set("arn", arn);
            document.set_some("endpoint", endpoint.as_ref());
        }
        Code::Http { url } => document.set("url", url),
    }
}
