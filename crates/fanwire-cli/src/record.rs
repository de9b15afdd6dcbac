//! `fanwire record`: what passes the WebSocket APIs of the running `dev`, in a file.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};

use crate::args::RecordArgs;
use crate::client::{self, CommandError, Server};

/// The form of recordings that this program writes and reads.
pub(crate) const VERSION: u64 = 1;

/// What stands in a recording for what was left out of it.
pub(crate) const REDACTED: &str = "[redacted]";

/// Headers whose values are left out.
pub(crate) const SECRET_HEADERS: [&str; 4] =
    ["authorization", "cookie", "x-api-key", "sec-websocket-key"];

/// Records until Ctrl-C, or for the time that is asked for.
pub(crate) fn run(args: &RecordArgs) -> ExitCode {
    client::run(async {
        let server = Server::find(&args.server)?;
        let app = server.app().await?;
        let mut traffic = server.listen("traffic").await?;
        // One listener for the whole of it: one made anew after each line would miss a
        // Ctrl-C that comes while a line is written.
        let mut interrupt = signal(SignalKind::interrupt()).map_err(CommandError::Signals)?;
        let mut file = Recording::create(args)?;
        file.write(&heading(&app))?;
        anstream::eprintln!("recording {} to {}; Ctrl-C ends", server.address, args.file.display());
        let end = tokio::time::sleep(args.length.unwrap_or(Duration::MAX));
        let mut end = std::pin::pin!(end);
        loop {
            tokio::select! {
                line = traffic.next() => match line? {
                    Some(mut line) => {
                        if !args.with_secrets {
                            redact(&mut line);
                        }
                        file.write(&line)?;
                    }
                    None => {
                        anstream::eprintln!("the server has ended");
                        break;
                    }
                },
                _ = interrupt.recv() => break,
                () = &mut end => break,
            }
        }
        anstream::eprintln!("{}", file.summary());
        Ok(ExitCode::SUCCESS)
    })
}

/// A file that is being recorded to.
struct Recording<'a> {
    path: &'a Path,
    writer: BufWriter<Box<dyn Write>>,
    /// How many records of each type there are.
    counts: BTreeMap<String, u64>,
}

impl<'a> Recording<'a> {
    fn create(args: &'a RecordArgs) -> Result<Self, CommandError> {
        let path = args.file.as_path();
        let writer: Box<dyn Write> = if path == Path::new("-") {
            Box::new(io::stdout())
        } else {
            Box::new(create(path, args.force)?)
        };
        Ok(Self { path, writer: BufWriter::new(writer), counts: BTreeMap::new() })
    }

    /// Writes a line, at once: a recording that is cut off is whole up to there.
    fn write(&mut self, line: &Value) -> Result<(), CommandError> {
        let written = writeln!(self.writer, "{line}").and_then(|()| self.writer.flush());
        written.map_err(|source| CommandError::File { path: self.path.to_owned(), source })?;
        let kind = line["type"].as_str().unwrap_or_default().to_owned();
        *self.counts.entry(kind).or_default() += 1;
        Ok(())
    }

    fn summary(&self) -> String {
        let count = |kind: &str| self.counts.get(kind).copied().unwrap_or_default();
        let mut text = format!(
            "recorded {} connections, {} messages in, {} events, {} messages out",
            count("connect"),
            count("frame-in"),
            count("event"),
            count("frame-out") + count("broadcast"),
        );
        if count("dropped") > 0 {
            text.push_str("\nwarning: some were lost, because the disk was too slow for them");
        }
        text
    }
}

fn create(path: &Path, replace: bool) -> Result<File, CommandError> {
    let mut options = OpenOptions::new();
    // What clients send is for its owner's eyes.
    options.write(true).mode(0o600);
    let options =
        if replace { options.create(true).truncate(true) } else { options.create_new(true) };
    options.open(path).map_err(|source| match source.kind() {
        ErrorKind::AlreadyExists => {
            CommandError::Usage(format!("{} is there already; --force replaces it", path.display()))
        }
        _ => CommandError::File { path: path.to_owned(), source },
    })
}

fn heading(app: &Value) -> Value {
    json!({
        "type": "recording",
        "version": VERSION,
        "recordedAt": jiff::Timestamp::now().to_string(),
        "app": app,
    })
}

/// Takes the values of secret headers out of a record, wherever in it they stand.
fn redact(value: &mut Value) {
    match value {
        // `headers` of a handshake: pairs.
        Value::Array(items) => match items.as_mut_slice() {
            [Value::String(name), secret @ Value::String(_)] if is_secret(name) => {
                *secret = REDACTED.into();
            }
            items => items.iter_mut().for_each(redact),
        },
        // `headers` and `multiValueHeaders` of an event.
        Value::Object(map) => {
            for (name, value) in map {
                match value {
                    // The gateway itself shows some with nothing in them.
                    Value::String(secret) if secret.is_empty() => {}
                    Value::String(secret) if is_secret(name) => REDACTED.clone_into(secret),
                    Value::Array(secrets) if is_secret(name) => {
                        secrets.iter_mut().for_each(|secret| *secret = REDACTED.into());
                    }
                    value => redact(value),
                }
            }
        }
        _ => {}
    }
}

fn is_secret(name: &str) -> bool {
    SECRET_HEADERS.iter().any(|secret| secret.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_headers_lose_their_values_in_handshakes_and_events() {
        let mut line = json!({
            "headers": [["Cookie", "a=b"], ["X-Other", "kept"]],
            "event": {
                "headers": { "Authorization": "Bearer x", "Host": "kept" },
                "multiValueHeaders": { "x-api-key": ["k1", "k2"] },
            },
        });
        redact(&mut line);
        let text = line.to_string();
        for secret in ["a=b", "Bearer", "k1", "k2"] {
            assert!(!text.contains(secret), "{text}");
        }
        assert_eq!(text.matches("kept").count(), 2);
        assert_eq!(text.matches(REDACTED).count(), 4);
    }
}
