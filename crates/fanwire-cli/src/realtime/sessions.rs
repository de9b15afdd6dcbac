//! `fanwire sessions`: the clients of the realtime endpoint, connected or not.

use std::process::ExitCode;

use serde_json::Value;

use super::moment;
use crate::args::{ServerArgs, SessionListArgs, SessionsArgs, SessionsCommand};
use crate::client::{self, CommandError, Server, encoded, output};
use crate::elapsed::ago;
use crate::table::Table;

/// What the expiry of a session says that never ends (MQTT 5, 3.1.2.11.2).
const NEVER: u64 = u32::MAX as u64;

/// Lists, shows or disconnects.
pub(crate) fn run(args: SessionsArgs) -> ExitCode {
    client::run(async move {
        match args.command.unwrap_or(SessionsCommand::List(args.list)) {
            SessionsCommand::List(args) => list(&args).await,
            SessionsCommand::Show { client, json, server } => show(&client, json, &server).await,
            SessionsCommand::Disconnect { client, clean, no_will, server } => {
                disconnect(&client, clean, no_will, &server).await
            }
        }
    })
}

async fn list(args: &SessionListArgs) -> Result<ExitCode, CommandError> {
    let found = Server::find(&args.server)?.control("sessions").await?;
    let sessions = found["sessions"].as_array().map(Vec::as_slice).unwrap_or_default();
    if args.json {
        let text = serde_json::to_string_pretty(sessions).map_err(CommandError::broken)?;
        output(&format!("{text}\n"))?;
    } else {
        output(&table(sessions))?;
    }
    anstream::eprint!("{}", left_out(&found));
    Ok(ExitCode::SUCCESS)
}

fn table(sessions: &[Value]) -> String {
    if sessions.is_empty() {
        return "no client is connected or has a session\n".to_owned();
    }
    let several = sessions.iter().any(|session| session["node"].is_string());
    let mut heading = vec!["CLIENT", "PRINCIPAL", "STATE", "PROTOCOL", "FROM"];
    if several {
        heading.push("NODE");
    }
    heading.extend(["SUBSCRIPTIONS", "WAITING"]);
    let mut table = Table::new(&heading);
    for session in sessions {
        let subscriptions = session["subscriptions"].as_array().map_or(0, Vec::len);
        let waiting = count(session, "queued") + count(session, "inFlight");
        let mut cells = vec![
            text(session, "clientId"),
            text(session, "principal"),
            state(session),
            text(session, "protocol"),
            text(session, "peer"),
        ];
        if several {
            cells.push(text(session, "node"));
        }
        cells.extend([subscriptions.to_string(), waiting.to_string()]);
        table.row(cells);
    }
    table.to_string()
}

/// Whose sessions are not listed, a line each.
fn left_out(found: &Value) -> String {
    let missing = found["missing"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let mut said = String::new();
    for node in missing {
        said.push_str(&format!("the sessions of {node} are missing: it does not answer\n"));
    }
    if found["more"].as_bool() == Some(true) {
        said.push_str("there are more sessions than are listed\n");
    }
    said
}

/// Since when it is connected, or away.
fn state(session: &Value) -> String {
    let (word, since) = match session["connected"].as_bool() {
        Some(true) => ("connected", &session["connectedAt"]),
        _ => ("away", &session["disconnectedAt"]),
    };
    moment(since).map_or_else(|| word.to_owned(), |since| format!("{word} {}", ago(since)))
}

fn text(session: &Value, key: &str) -> String {
    session[key].as_str().filter(|text| !text.is_empty()).unwrap_or("-").to_owned()
}

fn count(session: &Value, key: &str) -> u64 {
    session[key].as_u64().unwrap_or(0)
}

async fn show(id: &str, as_json: bool, server: &ServerArgs) -> Result<ExitCode, CommandError> {
    let session = Server::find(server)?.control(&format!("sessions/{}", encoded(id))).await?;
    if as_json {
        output(&format!("{session}\n"))?;
        return Ok(ExitCode::SUCCESS);
    }
    output(&described(&session))?;
    Ok(ExitCode::SUCCESS)
}

/// A session for people: a line a fact, and a line a subscription.
fn described(session: &Value) -> String {
    let expiry = match count(session, "sessionExpiry") {
        0 => "with its connection".to_owned(),
        NEVER => "never".to_owned(),
        seconds => format!("{seconds} s after its connection"),
    };
    let keep_alive = match count(session, "keepAlive") {
        0 => "none".to_owned(),
        seconds => format!("{seconds} s"),
    };
    let facts = [
        ("client", text(session, "clientId")),
        ("principal", text(session, "principal")),
        ("state", state(session)),
        ("ended by", text(session, "disconnectReason")),
        ("protocol", text(session, "protocol")),
        ("from", text(session, "peer")),
        ("node", text(session, "node")),
        ("keep-alive", keep_alive),
        ("ends", expiry),
        ("waiting", count(session, "queued").to_string()),
        ("in flight", count(session, "inFlight").to_string()),
        ("dropped", count(session, "dropped").to_string()),
    ];
    let mut shown = String::new();
    for (name, value) in facts.iter().filter(|(_, value)| value != "-") {
        shown.push_str(&format!("  {name:<12} {value}\n"));
    }
    for subscription in session["subscriptions"].as_array().into_iter().flatten() {
        let filter = text(subscription, "filter");
        shown.push_str(&format!("  {:<12} {filter} (qos {})\n", "subscribes", subscription["qos"]));
    }
    shown
}

async fn disconnect(
    id: &str,
    clean: bool,
    no_will: bool,
    server: &ServerArgs,
) -> Result<ExitCode, CommandError> {
    let server = Server::find(server)?;
    let path = format!("/_fanwire/sessions/{}?clean={clean}&prevent_will={no_will}", encoded(id));
    server.send("DELETE", &path, &[], "").await?.expect_success(&path)?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_session_is_shown_by_its_facts() {
        let session = json!({
            "clientId": "c", "principal": "", "connected": false, "protocol": "MQTT 5",
            "disconnectReason": "CONNECTION_LOST", "keepAlive": 60, "sessionExpiry": 4294967295u32,
            "queued": 2, "inFlight": 1, "subscriptions": [{ "filter": "a/#", "qos": 1 }],
        });
        let shown = described(&session);
        for line in ["state        away", "ends         never", "subscribes   a/# (qos 1)"] {
            assert!(shown.contains(line), "{shown}");
        }
        assert!(!shown.contains("principal"));
        assert!(!shown.contains("  node"));
        let listed = anstream::adapter::strip_str(&table(&[session])).to_string();
        assert!(
            listed.ends_with("  c       -          away   MQTT 5    -     1              3\n"),
            "{listed}"
        );
    }

    #[test]
    fn sessions_of_several_nodes_say_which_and_whose_are_missing_is_said() {
        let session = json!({ "clientId": "c", "connected": false, "node": "eu-1" });
        assert!(described(&session).contains("node         eu-1\n"));
        let listed = anstream::adapter::strip_str(&table(&[session])).to_string();
        assert!(listed.contains("NODE  SUBSCRIPTIONS"), "{listed}");
        assert!(listed.contains("  eu-1  "), "{listed}");
        let found = json!({ "sessions": [], "missing": ["eu-2", "eu-3"], "more": true });
        let lines = [
            "the sessions of eu-2 are missing: it does not answer",
            "the sessions of eu-3 are missing: it does not answer",
            "there are more sessions than are listed",
        ];
        assert_eq!(left_out(&found).lines().collect::<Vec<_>>(), lines);
        assert_eq!(left_out(&json!({ "sessions": [], "missing": [], "more": false })), "");
    }
}
