//! `fanwire subscribe`: the messages of topics, as they come.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use anstyle::{AnsiColor, Effects, Style};
use jiff::tz::TimeZone;
use serde_json::Value;

use super::{moment, payload};
use crate::args::SubscribeArgs;
use crate::client::{self, CommandError, JsonLines, Server, encoded, output};

const DIM: Style = Style::new().effects(Effects::DIMMED);
const BOLD: Style = Style::new().effects(Effects::BOLD);
const YELLOW: Style = AnsiColor::Yellow.on_default();

/// Prints messages until enough have come, the time is up, or Ctrl-C.
pub(crate) fn run(args: &SubscribeArgs) -> ExitCode {
    client::run(async {
        let server = Server::find(&args.server)?;
        let filters: Vec<String> =
            args.filters.iter().map(|filter| format!("filter={}", encoded(filter))).collect();
        let mut messages = server.listen(&format!("subscribe?{}", filters.join("&"))).await?;
        // Whoever waits for it may publish now.
        anstream::eprintln!("{DIM}subscribed to {}{DIM:#}", args.filters.join(", "));
        let wanted = args.count.unwrap_or(usize::MAX);
        let mut seen = 0;
        let printing = print(&mut messages, args.json, wanted, &mut seen);
        let patience = args.timeout.unwrap_or(Duration::MAX);
        match tokio::time::timeout(patience, printing).await {
            Ok(printed) => printed?,
            Err(_) if args.count.is_some() => {
                let text = format!("{seen} of {wanted} messages came within {patience:?}");
                return Err(CommandError::Failed(text));
            }
            Err(_) => {}
        }
        Ok(ExitCode::SUCCESS)
    })
}

async fn print(
    messages: &mut JsonLines,
    as_json: bool,
    wanted: usize,
    seen: &mut usize,
) -> Result<(), CommandError> {
    while *seen < wanted {
        let Some(message) = messages.next().await? else { return Err(CommandError::Ended) };
        if message["type"] == "message" {
            *seen += 1;
        }
        output(&if as_json { format!("{message}\n") } else { described(&message) })?;
    }
    Ok(())
}

/// A message for people: a line about it, and its payload below.
fn described(message: &Value) -> String {
    if let Some(count) = message["records"].as_u64() {
        return format!("{YELLOW}{count} messages were dropped: this is too slow{YELLOW:#}\n");
    }
    let text = |key: &str| message[key].as_str().filter(|text| !text.is_empty());
    let mut line = String::new();
    if let Some(at) = moment(&message["at"]) {
        let at = at.to_zoned(TimeZone::system()).strftime("%H:%M:%S%.3f");
        // Writing to a String cannot fail, here and below.
        let _ = write!(line, "{DIM}{at}{DIM:#} ");
    }
    let topic = text("topic").unwrap_or_default();
    let _ = write!(line, "{BOLD}{}{BOLD:#} {DIM}", crate::pretty::json_or_text(topic));
    let _ = write!(line, "qos {}", message["qos"]);
    if message["retain"] == true {
        line.push_str(" retain");
    }
    if let Some(client) = text("clientId") {
        let _ = write!(line, " from {client}");
    }
    if let Some(principal) = text("principal") {
        let _ = write!(line, " ({principal})");
    }
    let named = [
        ("contentType", "type"),
        ("responseTopic", "answer to"),
        ("correlationData", "correlation"),
    ];
    for (key, name) in named {
        if let Some(value) = text(key) {
            let _ = write!(line, " {name} {value}");
        }
    }
    for property in message["userProperties"].as_array().into_iter().flatten() {
        let part = |at: usize| property[at].as_str().unwrap_or_default();
        let _ = write!(line, " {}={}", part(0), part(1));
    }
    format!("{line}{DIM:#}\n{}\n", payload(message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_message_is_shown_with_what_it_says_of_itself() {
        let message = json!({
            "type": "message", "topic": "a/b", "qos": 1, "retain": true, "text": "{\"x\":1}",
            "clientId": "c", "principal": "p", "contentType": "t", "userProperties": [["k", "v"]],
        });
        let shown = anstream::adapter::strip_str(&described(&message)).to_string();
        assert_eq!(shown, "a/b qos 1 retain from c (p) type t k=v\n{\"x\": 1}\n");
        let binary = json!({ "topic": "a", "qos": 0, "base64": "AP8=" });
        let shown = anstream::adapter::strip_str(&described(&binary)).to_string();
        assert_eq!(shown, "a qos 0\n(2 bytes) AP8=\n");
    }
}
