//! `fanwire retained`: the messages that whoever subscribes gets first.

use std::process::ExitCode;

use serde_json::Value;

use super::{moment, payload};
use crate::args::RetainedArgs;
use crate::client::{self, CommandError, Server, encoded, output};
use crate::elapsed::ago;
use crate::table::Table;

/// Characters of a payload that a list shows.
const SHOWN: usize = 60;

/// Lists, or deletes one.
pub(crate) fn run(args: &RetainedArgs) -> ExitCode {
    client::run(async {
        let server = Server::find(&args.server)?;
        match &args.delete {
            Some(topic) => delete(&server, topic).await,
            None => list(&server, args).await,
        }
    })
}

async fn list(server: &Server, args: &RetainedArgs) -> Result<ExitCode, CommandError> {
    let found = find(server, args.filter.as_deref().unwrap_or("#")).await?;
    let messages = found["retained"].as_array().map(Vec::as_slice).unwrap_or_default();
    if args.json {
        let text = serde_json::to_string_pretty(messages).map_err(CommandError::broken)?;
        output(&format!("{text}\n"))?;
    } else {
        output(&table(messages))?;
    }
    if found["more"] == true {
        anstream::eprintln!("there are more; a narrower filter shows them");
    }
    Ok(ExitCode::SUCCESS)
}

async fn find(server: &Server, filter: &str) -> Result<Value, CommandError> {
    server.control(&format!("retained?filter={}", encoded(filter))).await
}

fn table(messages: &[Value]) -> String {
    if messages.is_empty() {
        return "nothing is retained\n".to_owned();
    }
    let mut table = Table::new(&["TOPIC", "QOS", "PUBLISHED", "PAYLOAD"]);
    for message in messages {
        table.row([
            message["topic"].as_str().unwrap_or_default().to_owned(),
            message["qos"].to_string(),
            moment(&message["at"]).map_or_else(|| "-".to_owned(), ago),
            first_line(&payload(message)),
        ]);
    }
    table.to_string()
}

/// As much of a payload as a row has room for, without colours, which columns would count.
fn first_line(shown: &str) -> String {
    let plain = anstream::adapter::strip_str(shown).to_string();
    let plain: String = plain.split_whitespace().collect::<Vec<_>>().join(" ");
    if plain.chars().count() <= SHOWN {
        return plain;
    }
    plain.chars().take(SHOWN).chain(['…']).collect()
}

async fn delete(server: &Server, topic: &str) -> Result<ExitCode, CommandError> {
    if topic.contains(['+', '#']) {
        let text = format!("`{topic}` is a filter; expected one topic to delete");
        return Err(CommandError::Usage(text));
    }
    let found = find(server, topic).await?;
    if found["retained"].as_array().is_none_or(Vec::is_empty) {
        return Err(CommandError::Failed(format!("nothing is retained for `{topic}`")));
    }
    // An empty message deletes it, and tells those who subscribe.
    let path = format!("/_fanwire/publish?topic={}&retain=true", encoded(topic));
    server.send("POST", &path, &[], "").await?.expect_success("/_fanwire/publish")?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_shows_the_beginning_of_a_payload() {
        assert_eq!(first_line("{\n  \"a\": 1\n}"), "{ \"a\": 1 }");
        assert_eq!(first_line(&"x".repeat(100)).chars().count(), SHOWN + 1);
    }
}
