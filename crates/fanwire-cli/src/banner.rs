//! What an App has, as tidy tables: printed by `check`, and by `dev` at its start.

use std::fmt::Write as _;

use anstyle::{Effects, Style};
use fanwire_app::App;
use fanwire_app::model::{Code, Function, Integration, Profile, Route, WebSocketApi};

use crate::table::Table;

const BOLD: Style = Style::new().effects(Effects::BOLD);

/// The App as text, without the addresses that only a running server has.
pub(crate) fn of_app(app: &App) -> String {
    let mut text = title(app);
    for api in &app.websocket_apis {
        text.push_str(&routes(api));
    }
    text.push_str(&functions(app));
    text.push_str(&tables(app));
    text.push_str(&not_served(app));
    text
}

/// The App as text, served at `host`, such as `localhost:3001`, and over TLS where `tls`.
pub(crate) fn of_server(app: &App, host: &str, tls: bool) -> String {
    let mut text = title(app);
    let too = if tls { "  (wss:// too)" } else { "" };
    for api in &app.websocket_apis {
        let url = websocket_url(host, api);
        line(&mut text, &format!("  WebSocket    {BOLD}{url}{BOLD:#}{too}"));
        line(&mut text, &format!("  Management   {}/@connections", management_url(host, api)));
    }
    line(&mut text, &format!("  Lambda API   http://{host}"));
    for api in &app.websocket_apis {
        text.push_str(&routes(api));
    }
    text.push_str(&functions(app));
    text.push_str(&tables(app));
    text.push_str(&not_served(app));
    text
}

/// Where clients connect.
pub(crate) fn websocket_url(host: &str, api: &WebSocketApi) -> String {
    format!("ws://{host}/{}", api.stage)
}

/// The endpoint that SDKs are given.
pub(crate) fn management_url(host: &str, api: &WebSocketApi) -> String {
    format!("http://{host}/{}", api.stage)
}

fn title(app: &App) -> String {
    let profile = match app.profile {
        Profile::Aws => "aws",
        Profile::Open => "open",
    };
    let file = app.file.file_name().unwrap_or(app.file.as_os_str()).to_string_lossy();
    format!(
        "\n  {BOLD}{}{BOLD:#}  {file} · stage {} · region {} · profile {profile}\n\n",
        app.service, app.stage, app.region
    )
}

fn routes(api: &WebSocketApi) -> String {
    let mut table = Table::new(&["ROUTE", "INTEGRATION", "RESPONSE", "AUTHORIZER"]);
    for (key, route) in &api.routes {
        let response = if route.route_response { "yes" } else { "-" };
        table.row([key.clone(), integration(route), response.to_owned(), authorizer(api, route)]);
    }
    let title = format!("\n  {} · routes by {}\n", api.name, api.route_selection);
    title + &table.to_string()
}

fn integration(route: &Route) -> String {
    match &route.integration {
        Integration::Function { function } => function.clone(),
        Integration::Http(http) => format!("{} {}", http.method, http.url),
        Integration::Mock(mock) => format!("mock {}", mock.status),
    }
}

fn authorizer(api: &WebSocketApi, route: &Route) -> String {
    let Some(name) = &route.authorizer else { return "-".to_owned() };
    let Some(authorizer) = api.authorizers.get(name) else { return name.clone() };
    let sources: Vec<_> = authorizer.identity_source.iter().map(ToString::to_string).collect();
    if sources.is_empty() { name.clone() } else { format!("{name} ({})", sources.join(", ")) }
}

fn functions(app: &App) -> String {
    let mut table = Table::new(&["FUNCTION", "NAME", "CODE", "TIMEOUT", "MEMORY"]);
    for (key, function) in &app.functions {
        table.row([
            key.clone(),
            function.name.clone(),
            code(function),
            format!("{} s", function.timeout.as_secs_f64()),
            format!("{} MB", function.memory_mb),
        ]);
    }
    if table.is_empty() { String::new() } else { format!("\n{table}") }
}

fn code(function: &Function) -> String {
    match &function.code {
        Code::Handler { handler, identifier, .. } => format!("{identifier} {handler}"),
        Code::Command { command, .. } => command.join(" "),
        Code::Lambda { arn, .. } => arn.clone(),
        Code::Http { url } => url.clone(),
    }
}

fn tables(app: &App) -> String {
    let mut table = Table::new(&["TABLE", "NAME", "KEY", "INDEXES", "EXPIRY"]);
    for (key, described) in &app.tables {
        let local = described.local_indexes.iter().map(|index| (index, "local: "));
        let global = described.global_indexes.iter().map(|index| (index, ""));
        let indexes: Vec<_> = global
            .chain(local)
            .map(|(index, kind)| format!("{} ({kind}{})", index.name, list(index.key.attributes())))
            .collect();
        table.row([
            key.clone(),
            described.name.clone(),
            list(described.key.attributes()),
            if indexes.is_empty() { "-".to_owned() } else { indexes.join(", ") },
            described.ttl_attribute.clone().unwrap_or_else(|| "-".to_owned()),
        ]);
    }
    if table.is_empty() { String::new() } else { format!("\n{table}") }
}

fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.collect::<Vec<_>>().join(", ")
}

fn not_served(app: &App) -> String {
    let mut text = String::new();
    for entry in &app.not_served {
        let by = entry.used_by.join(", ");
        let first = if text.is_empty() { "\n" } else { "" };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{first}  not served: {} ({by})", entry.kind);
    }
    text
}

fn line(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}
