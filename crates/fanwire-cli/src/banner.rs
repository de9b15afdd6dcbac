//! What an App has, as tidy tables: printed by `check`, and by `dev` at its start.

use std::fmt::Write as _;

use anstyle::{Effects, Style};
use fanwire_app::App;
use fanwire_app::model::{
    AccessList, Code, Function, Integration, JwksSource, Profile, Realtime, RealtimeAuthorizer,
    RealtimeProtocol, Route, TopicRule, WebSocketApi,
};

use crate::table::Table;

const BOLD: Style = Style::new().effects(Effects::BOLD);

/// The App as text, without the addresses that only a running server has.
pub(crate) fn of_app(app: &App) -> String {
    title(app) + &contents(app)
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
    if let Some(realtime) = &app.realtime {
        addresses(realtime, host, tls, &mut text);
    }
    line(&mut text, &format!("  Lambda API   http://{host}"));
    text + &contents(app)
}

/// What the App has, whether or not it is served.
fn contents(app: &App) -> String {
    let mut text = String::new();
    for api in &app.websocket_apis {
        text.push_str(&routes(api));
    }
    if let Some(realtime) = &app.realtime {
        text.push_str(&realtime_tables(realtime));
    }
    text.push_str(&functions(app));
    text.push_str(&tables(app));
    text.push_str(&sites(app));
    text.push_str(&not_served(app));
    text
}

/// Where MQTT is spoken: on the server's port, and on ports of its own.
fn addresses(realtime: &Realtime, host: &str, tls: bool, text: &mut String) {
    let too = |scheme: &str| if tls { format!("  ({scheme}:// too)") } else { String::new() };
    let url = realtime_url(host, realtime);
    line(text, &format!("  Realtime     {BOLD}{url}{BOLD:#}{}", too("wss")));
    line(text, &format!("  MQTT         mqtt://{host}{}", too("mqtts")));
    for listener in &realtime.listeners {
        let (scheme, path) = match listener.protocol {
            RealtimeProtocol::Mqtt => ("mqtt", ""),
            RealtimeProtocol::WebSocket => ("ws", realtime.path.as_str()),
        };
        let s = if listener.tls { "s" } else { "" };
        line(text, &format!("  MQTT         {scheme}{s}://{}{path}", listener.address));
    }
}

/// Where clients connect.
pub(crate) fn websocket_url(host: &str, api: &WebSocketApi) -> String {
    format!("ws://{host}/{}", segment(api))
}

/// The first segment of an API's path. SST's APIs are all at one stage, and those after
/// the first are told apart by their mapping keys.
fn segment(api: &WebSocketApi) -> &str {
    match &api.base_path {
        Some(base_path) if api.stage == "$default" => base_path,
        _ => &api.stage,
    }
}

/// Where clients of the realtime endpoint connect.
pub(crate) fn realtime_url(host: &str, realtime: &Realtime) -> String {
    format!("ws://{host}{}", realtime.path)
}

/// The endpoint that SDKs are given.
pub(crate) fn management_url(host: &str, api: &WebSocketApi) -> String {
    format!("http://{host}/{}", segment(api))
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

/// Who may connect to the realtime endpoint, and what is called for messages.
fn realtime_tables(realtime: &Realtime) -> String {
    let mut authorizers = Table::new(&["AUTHORIZER", "FUNCTION", "TOKEN"]);
    for (name, authorizer) in &realtime.authorizers {
        let is_default = realtime.default_authorizer.as_ref() == Some(name);
        let shown = if is_default { format!("{name} (default)") } else { name.clone() };
        authorizers.row([shown, authorizer.function.clone(), token(authorizer)]);
    }
    let mut subscribers = Table::new(&["SUBSCRIBER", "MESSAGES", "FUNCTION", "FAILURES"]);
    for (name, rule) in realtime.rules.iter().filter(|(_, rule)| rule.enabled) {
        let failures = rule.error_function.clone().unwrap_or_else(|| "-".to_owned());
        subscribers.row([name.clone(), messages(rule), rule.function.clone(), failures]);
    }
    let tables = [authorizers, people(realtime), subscribers];
    let shown = tables.iter().filter(|table| !table.is_empty()).map(ToString::to_string);
    let title = format!("\n  {} · realtime at {}\n", realtime.name, realtime.path);
    title + &shown.collect::<Vec<_>>().join("\n")
}

fn token(authorizer: &RealtimeAuthorizer) -> String {
    match &authorizer.token_key {
        None => "-".to_owned(),
        Some(key) if authorizer.public_keys.is_empty() => key.clone(),
        Some(key) => format!("{key} (signed)"),
    }
}

/// What a subscriber's function gets: a filter, or a statement on one line.
fn messages(rule: &TopicRule) -> String {
    match rule.plain_filter() {
        Some(filter) => filter.to_owned(),
        None => rule.sql.split_whitespace().collect::<Vec<_>>().join(" "),
    }
}

/// Those who need no function to be let in.
fn people(realtime: &Realtime) -> Table {
    let mut table = Table::new(&["CLIENT", "PUBLISHES", "SUBSCRIBES"]);
    let mut row = |who: String, access: &AccessList| {
        let patterns = |patterns: &[String]| match patterns {
            [] => "-".to_owned(),
            patterns => list(patterns.iter().map(String::as_str)),
        };
        table.row([who, patterns(&access.publish), patterns(&access.subscribe)]);
    };
    for (name, user) in &realtime.users {
        row(format!("user {name}"), &user.access);
    }
    if let Some(jwt) = &realtime.jwt {
        let keys = match &jwt.jwks {
            JwksSource::Url(url) => url.clone(),
            JwksSource::File(path) => path.display().to_string(),
        };
        row(format!("JWT by {keys}"), &jwt.access);
    }
    if realtime.allow_anonymous {
        row("anyone".to_owned(), &AccessList::unrestricted());
    }
    table
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
        Code::Inline { handler, identifier, .. } => format!("{identifier} {handler} (inline)"),
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

/// The sites, with the folders of their commands from the project's on.
fn sites(app: &App) -> String {
    let mut table = Table::new(&["SITE", "KIND", "COMMAND", "FOLDER"]);
    for (name, site) in &app.sites {
        let folder = site.path.strip_prefix(&app.root).unwrap_or(&site.path).to_string_lossy();
        table.row([
            name.clone(),
            site.kind.clone(),
            site.command.clone().unwrap_or_else(|| "-".to_owned()),
            if folder.is_empty() { ".".to_owned() } else { folder.into_owned() },
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

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn a_realtime_endpoint_shows_who_connects_and_what_is_called() {
        let folder = tempfile::tempdir().unwrap();
        let text = "name = \"chat\"\n[functions.f]\nhandler = \"a.b\"\n[realtime]\n\
            default_authorizer = \"gate\"\nallow_anonymous = true\n\
            listen = [{ address = \"127.0.0.1:8883\", tls = true }]\n\
            [realtime.authorizers.gate]\nfunction = \"f\"\ntoken_key = \"t\"\n\
            [realtime.subscribers.save]\nfilter = \"chat/#\"\nfunction = \"f\"\n";
        std::fs::write(folder.path().join("fanwire.toml"), text).unwrap();
        let app =
            fanwire_app::load(folder.path(), &fanwire_app::LoadOptions::default()).unwrap().app;
        let shown = plain(&of_server(&app, "localhost:3001", true));
        for line in [
            "  Realtime     ws://localhost:3001/mqtt  (wss:// too)\n",
            "  MQTT         mqtt://localhost:3001  (mqtts:// too)\n",
            "  MQTT         mqtts://127.0.0.1:8883\n",
            "  Realtime · realtime at /mqtt\n",
            "  AUTHORIZER      FUNCTION  TOKEN\n  gate (default)  f         t\n",
            "  CLIENT  PUBLISHES  SUBSCRIBES\n  anyone  *          *\n",
            "  SUBSCRIBER  MESSAGES  FUNCTION  FAILURES\n  save        chat/#    f         -\n",
        ] {
            assert!(shown.contains(line), "no {line:?} in\n{shown}");
        }
    }
}
