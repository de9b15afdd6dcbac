//! `[websocket]`, or `[[websocket]]` for several.

use crate::model::{
    AccessLog, App, ConnectRules, ExecutionLogLevel, Integration, JwksSource, Limits, LogSettings,
    Route, WebSocketApi,
};
use crate::selection::RouteSelection;

use super::document::{Document, Literal};
use super::{limits, path};

pub(super) fn write(app: &App, document: &mut Document) {
    for api in &app.websocket_apis {
        if app.websocket_apis.len() > 1 {
            document.item(&["websocket"]);
        } else {
            document.heading(&["websocket"]);
        }
        self::api(app, api, document);
    }
}

fn api(app: &App, api: &WebSocketApi, document: &mut Document) {
    if api.name != format!("{}-{}-websockets", api.stage, app.service) {
        document.set("name", &api.name);
    }
    document.set("id", &api.id);
    if api.stage != app.stage {
        document.set("stage", &api.stage);
    }
    document.set_some("base_path", api.base_path.as_ref());
    if api.route_selection != RouteSelection::default() {
        document.set("route_selection", api.route_selection.as_str());
    }
    if !api.topics.is_empty() {
        document.set("topics", Literal::texts(&api.topics));
    }
    if !api.connect.allowed_origins.is_empty() {
        document.set("allowed_origins", Literal::texts(&api.connect.allowed_origins));
    }
    if !api.routes.is_empty() {
        document.heading(&["websocket", "routes"]);
        for (key, route) in &api.routes {
            let asked = if key == "$connect" { asked(&api.connect) } else { Vec::new() };
            document.set(key, self::route(route, asked));
        }
    }
    for (name, authorizer) in &api.authorizers {
        document.heading(&["websocket", "authorizers", name]);
        document.set("function", &authorizer.function);
        if !authorizer.identity_source.is_empty() {
            let sources = authorizer.identity_source.iter().map(ToString::to_string);
            document.set("identity_source", Literal::texts(sources));
        }
    }
    for (name, jwt) in &api.connect.jwt_authorizers {
        document.heading(&["websocket", "authorizers", name]);
        match &jwt.jwks {
            JwksSource::Url(url) => document.set("jwks", url),
            JwksSource::File(path) => document.set("jwks", super::path(app, path)),
        }
        document.set_some("issuer", jwt.issuer.as_ref());
        if !jwt.audience.is_empty() {
            document.set("audience", Literal::texts(&jwt.audience));
        }
        document.set("identity_source", Literal::texts([&jwt.identity_source]));
    }
    document.texts(&["websocket", "stage_variables"], &api.stage_variables);
    logs(app, &api.logs, document);
    limits(&["websocket", "limits"], &api.limits, &Limits::of(app.profile), document);
}

/// What `$connect` asks for beside a function that decides.
fn asked(connect: &ConnectRules) -> Vec<(&'static str, Literal)> {
    let mut asked = Vec::new();
    if connect.iam {
        asked.push(("authorizer", "AWS_IAM".into()));
    }
    asked.extend(connect.jwt.as_ref().map(|jwt| ("authorizer", jwt.into())));
    if connect.api_key {
        asked.push(("api_key", true.into()));
    }
    asked
}

/// A route: the function's name, where that is all.
fn route(route: &Route, asked: Vec<(&str, Literal)>) -> Literal {
    let mut entries: Vec<(&str, Literal)> = Vec::new();
    match &route.integration {
        Integration::Function { function } => {
            if !route.route_response && route.authorizer.is_none() && asked.is_empty() {
                return function.into();
            }
            entries.push(("function", function.into()));
        }
        Integration::Http(http) => {
            let mut backend = vec![("url", Literal::from(&http.url))];
            if http.method != "POST" {
                backend.push(("method", (&http.method).into()));
            }
            if !http.request_parameters.is_empty() {
                let parameters = http.request_parameters.iter();
                let parameters = parameters.map(|(name, value)| (name.clone(), value.into()));
                backend.push(("request_parameters", Literal::Table(parameters.collect())));
            }
            backend.extend(http.timeout.map(|timeout| ("timeout", timeout.into())));
            entries.push(("http", table(backend)));
        }
        Integration::Mock(mock) => {
            let mut answer = Vec::new();
            if mock.status != 200 {
                answer.push(("status", u32::from(mock.status).into()));
            }
            if !mock.body.is_empty() {
                answer.push(("body", (&mock.body).into()));
            }
            entries.push(("mock", table(answer)));
        }
    }
    if route.route_response {
        entries.push(("response", true.into()));
    }
    entries.extend(route.authorizer.as_ref().map(|name| ("authorizer", name.into())));
    entries.extend(asked);
    table(entries)
}

fn table(entries: Vec<(&str, Literal)>) -> Literal {
    let entries = entries.into_iter().map(|(key, value)| (key.to_owned(), value));
    Literal::Table(entries.collect())
}

fn logs(app: &App, logs: &LogSettings, document: &mut Document) {
    if *logs == LogSettings::default() {
        return;
    }
    document.heading(&["websocket", "logs"]);
    if let Some(access) = &logs.access {
        match access.format.as_str() {
            AccessLog::DEFAULT_FORMAT => document.set("access", true),
            format => document.set("access", format),
        }
        document.set_some("access_file", access.file.as_ref().map(|file| path(app, file)));
    }
    match logs.execution {
        ExecutionLogLevel::Off => {}
        ExecutionLogLevel::Error => document.set("execution", "error"),
        ExecutionLogLevel::Info => document.set("execution", "info"),
    }
    if logs.full_execution_data {
        document.set("full_execution_data", true);
    }
}
