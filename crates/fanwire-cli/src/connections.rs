//! `fanwire connections`: who is connected to the running `dev`.

use std::io::Read as _;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Value, json};

use crate::args::{ConnectionsArgs, ConnectionsCommand, ListArgs, ServerArgs};
use crate::client::{self, CommandError, Server, encoded, output};
use crate::table::Table;
use crate::{elapsed, pretty};

/// How often a connection is looked for that has just been accepted: it is there once
/// its client has the answer.
const LOOKS: u32 = 10;

/// How long to wait between looks.
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

/// Lists, shows, sends to or closes connections.
pub(crate) fn run(args: ConnectionsArgs) -> ExitCode {
    client::run(async move {
        match args.command.unwrap_or(ConnectionsCommand::List(args.list)) {
            ConnectionsCommand::List(args) => list(&args).await,
            ConnectionsCommand::Show { id, json, server } => show(&id, json, &server).await,
            ConnectionsCommand::Send { id, text, server } => send(&id, text, &server).await,
            ConnectionsCommand::Close { id, code, reason, server } => {
                close(&id, code, reason.as_deref(), &server).await
            }
        }
    })
}

async fn list(args: &ListArgs) -> Result<ExitCode, CommandError> {
    let server = Server::find(&args.server)?;
    // From before the list is made, so that nobody is missed in between.
    let mut news = if args.watch { Some(server.listen("logs?backlog=0").await?) } else { None };
    let mut found = server.control("connections").await?;
    let connections = found["connections"].take();
    let connections = connections.as_array().map(Vec::as_slice).unwrap_or_default();
    match (args.json, &news) {
        (true, None) => {
            let text = serde_json::to_string_pretty(connections).map_err(CommandError::broken)?;
            output(&format!("{text}\n"))?;
        }
        (true, Some(_)) => {
            for connection in connections {
                output(&format!("{}\n", came(connection)))?;
            }
        }
        (false, _) => {
            output(&table(connections))?;
            output(&dropped(&found))?;
        }
    }
    while let Some(stream) = &mut news {
        let Some(record) = stream.next().await? else { return Err(CommandError::Ended) };
        if let Some(text) = news_of(&server, &record, args.json).await? {
            output(&text)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What is said where connections did not get messages of topics that they are subscribed to.
fn dropped(found: &Value) -> String {
    match found["droppedTopicMessages"].as_u64() {
        None | Some(0) => String::new(),
        Some(1) => "1 message of topics was dropped; the log says why\n".to_owned(),
        Some(count) => format!("{count} messages of topics were dropped; the log says why\n"),
    }
}

/// What a record of the log says about who comes and goes, as a line.
async fn news_of(
    server: &Server,
    record: &Value,
    as_json: bool,
) -> Result<Option<String>, CommandError> {
    let id = record["connectionId"].as_str().unwrap_or_default();
    let accepted = record["status"].as_u64().is_some_and(|status| (200..300).contains(&status));
    match record["eventType"].as_str() {
        Some("CONNECT") if accepted => {
            let Some(connection) = wait_for(server, id).await? else { return Ok(None) };
            if as_json {
                return Ok(Some(format!("{}\n", came(&connection))));
            }
            let text = |key: &str| connection[key].as_str().unwrap_or("-").to_owned();
            let who = [text("api"), text("sourceIp"), text("userAgent"), text("principalId")];
            Ok(Some(format!("+ {id}  {}\n", who.join("  "))))
        }
        Some("DISCONNECT") => {
            let (code, reason) = (&record["disconnectStatusCode"], &record["disconnectReason"]);
            if as_json {
                let gone = json!({
                    "type": "disconnected", "connectionId": id, "code": code, "reason": reason,
                });
                return Ok(Some(format!("{gone}\n")));
            }
            let reason = reason.as_str().unwrap_or_default();
            Ok(Some(format!("{}\n", format!("- {id}  {code} {reason}").trim_end())))
        }
        _ => Ok(None),
    }
}

fn came(connection: &Value) -> Value {
    let mut line = json!({ "type": "connected" });
    if let (Some(line), Some(connection)) = (line.as_object_mut(), connection.as_object()) {
        line.extend(connection.clone());
    }
    line
}

/// The connection, once it is there. `None` where it has gone again.
async fn wait_for(server: &Server, id: &str) -> Result<Option<Value>, CommandError> {
    for _ in 0..LOOKS {
        match find(server, id).await {
            Ok(connection) => return Ok(Some(connection)),
            Err(CommandError::Refused { .. }) => tokio::time::sleep(BETWEEN_LOOKS).await,
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

async fn find(server: &Server, id: &str) -> Result<Value, CommandError> {
    server.control(&format!("connections/{}", encoded(id))).await
}

fn table(connections: &[Value]) -> String {
    if connections.is_empty() {
        return "nobody is connected\n".to_owned();
    }
    let text = |connection: &Value, key: &str| connection[key].as_str().unwrap_or("-").to_owned();
    let apis = connections.iter().map(|each| &each["api"]);
    // A column that says the same in every row says nothing.
    let several = apis.clone().any(|api| *api != connections[0]["api"]);
    let principals = connections.iter().any(|each| each["principalId"].is_string());
    let mut heading = vec!["CONNECTION", "CONNECTED", "ACTIVE", "FROM"];
    heading.extend(several.then_some("API"));
    heading.extend(principals.then_some("PRINCIPAL"));
    heading.push("USER AGENT");
    let mut table = Table::new(&heading);
    for connection in connections {
        let mut row = vec![
            text(connection, "connectionId"),
            ago(&text(connection, "connectedAt")),
            ago(&text(connection, "lastActiveAt")),
            text(connection, "sourceIp"),
        ];
        row.extend(several.then(|| text(connection, "api")));
        row.extend(principals.then(|| text(connection, "principalId")));
        row.push(text(connection, "userAgent"));
        table.row(row);
    }
    table.to_string()
}

/// How long ago a time in ISO 8601 was.
fn ago(time: &str) -> String {
    time.parse().map_or_else(|_| time.to_owned(), elapsed::ago)
}

async fn show(id: &str, as_json: bool, server: &ServerArgs) -> Result<ExitCode, CommandError> {
    let connection = find(&Server::find(server)?, id).await?;
    if as_json {
        output(&format!("{connection}\n"))?;
        return Ok(ExitCode::SUCCESS);
    }
    for (key, value) in connection.as_object().into_iter().flatten() {
        let value = value.as_str().unwrap_or("-");
        output(&format!("  {key:<13} {}\n", pretty::json_or_text(value)))?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn send(id: &str, text: String, server: &ServerArgs) -> Result<ExitCode, CommandError> {
    let body = if text == "-" {
        let mut body = Vec::new();
        let read = std::io::stdin().read_to_end(&mut body);
        read.map_err(|source| CommandError::File { path: "standard input".into(), source })?;
        body
    } else {
        text.into_bytes()
    };
    let server = Server::find(server)?;
    let path = management_path(&server, id).await?;
    server.send("POST", &path, &[], body).await?.expect_success(&path)?;
    Ok(ExitCode::SUCCESS)
}

async fn close(
    id: &str,
    code: Option<u16>,
    reason: Option<&str>,
    server: &ServerArgs,
) -> Result<ExitCode, CommandError> {
    let server = Server::find(server)?;
    let mut path = management_path(&server, id).await?;
    // A reason needs a code to go with.
    if code.is_some() || reason.is_some() {
        path = format!("{path}?code={}", code.unwrap_or(1000));
    }
    if let Some(reason) = reason {
        path = format!("{path}&reason={}", encoded(reason));
    }
    server.send("DELETE", &path, &[], "").await?.expect_success(&path)?;
    Ok(ExitCode::SUCCESS)
}

/// Where the management API of a connection's own API knows it.
async fn management_path(server: &Server, id: &str) -> Result<String, CommandError> {
    let connection = find(server, id).await?;
    let app = server.app().await?;
    let apis = app["apis"].as_array().map(Vec::as_slice).unwrap_or_default();
    let api = apis.iter().find(|api| api["name"] == connection["api"]);
    let stage = api.and_then(|api| api["stage"].as_str()).unwrap_or_default();
    Ok(format!("/{}/@connections/{}", encoded(stage), encoded(id)))
}
