//! The command line of what talks with a running server.

use std::convert::Infallible;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args as ClapArgs, Subcommand};
use fanwire_app::serve::secret::Secret;

/// Which running server is meant.
#[derive(Debug, ClapArgs)]
pub(crate) struct ServerArgs {
    /// The server's address [default: the `fanwire dev` of this folder or one above, or
    /// else http://localhost:3001].
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,

    /// The data folder of the `fanwire dev` that is meant.
    #[arg(long, value_name = "DIR", conflicts_with = "url")]
    pub(crate) data: Option<PathBuf>,

    /// The token that the server asks for, one of its `[access.tokens]` [default:
    /// FANWIRE_TOKEN, which other users of this machine do not see].
    #[arg(long, value_name = "TOKEN", value_parser = secret)]
    pub(crate) access_token: Option<Secret>,
}

fn secret(text: &str) -> Result<Secret, Infallible> {
    Ok(Secret::new(text))
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ClockArgs {
    #[command(subcommand)]
    pub(crate) command: ClockCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ClockCommand {
    /// Move the clock of connections and tables ahead: what is due in that time happens
    /// now. Idle connections close after 10 minutes, all after 2 hours, items expire.
    #[command(after_help = "\
Examples:
  fanwire clock advance 10m       idle connections are closed
  fanwire clock advance 2h        all connections are closed, as API Gateway does

The clock never goes back; it is the machine's again when `fanwire dev` is started again.
Handlers see the machine's time: `Date.now()` does not move.")]
    Advance {
        /// How far, such as 90s, 10m, 2h or 7d.
        #[arg(value_name = "TIME", value_parser = duration)]
        by: Duration,
        /// Print the answer as JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        server: ServerArgs,
    },
}

#[derive(Debug, ClapArgs)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  fanwire connections                        who is connected
  fanwire connections --watch                who comes and goes
  fanwire connections show OraEE1ROEFRb3js=
  fanwire connections send OraEE1ROEFRb3js= '{\"hello\":\"you\"}'
  echo hello | fanwire connections send OraEE1ROEFRb3js= -
  fanwire connections close OraEE1ROEFRb3js= --code 4000 --reason 'try later'
  fanwire connections --json | jq -r '.[].connectionId'

Exit status: 0, 1 where the connection is gone, 2 for a wrong command line, 3 where no
server answers."
)]
pub(crate) struct ConnectionsArgs {
    #[command(subcommand)]
    pub(crate) command: Option<ConnectionsCommand>,

    #[command(flatten)]
    pub(crate) list: ListArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConnectionsCommand {
    /// List the connections.
    List(ListArgs),
    /// Show one connection.
    Show {
        /// Its id.
        id: String,
        /// Print it as JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Send a message to one connection.
    Send {
        /// Its id.
        id: String,
        /// The message; `-` reads it from standard input, as it is.
        text: String,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Close one connection.
    Close {
        /// Its id.
        id: String,
        /// The close code that its client gets [default: 1000].
        #[arg(long, value_parser = clap::value_parser!(u16).range(1000..5000))]
        code: Option<u16>,
        /// The reason that its client gets.
        #[arg(long)]
        reason: Option<String>,
        #[command(flatten)]
        server: ServerArgs,
    },
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ListArgs {
    /// Go on and print who comes and goes.
    #[arg(long, short)]
    pub(crate) watch: bool,

    /// Print JSON: one array; with --watch, one object a line.
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  fanwire invoke hello
  fanwire invoke hello --event '{\"name\":\"Ada\"}'
  fanwire invoke hello --event event.json
  jq .event event.json | fanwire invoke hello --event -
  fanwire invoke hello --json | jq .statusCode

The function is named by its key in the project file, its full name or its ARN. What
it logs is printed to standard error, its result to standard output.

Exit status: 0, 1 where the function failed, 2 for a wrong command line, 3 where no
server answers.")]
pub(crate) struct InvokeArgs {
    /// The function.
    #[arg(value_name = "FUNCTION")]
    pub(crate) function: String,

    /// The event: a file, `-` for standard input, or JSON.
    #[arg(long, short, default_value = "{}", value_name = "FILE|-|JSON")]
    pub(crate) event: String,

    /// Do not wait for the result.
    #[arg(long = "async")]
    pub(crate) asynchronous: bool,

    /// Print the result as it came, and no logs.
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  fanwire send                                        the only API of the running dev
  fanwire send ws://localhost:3001/dev
  fanwire send wss://chat.example.org/prod -H 'Authorization: Bearer abc'
  fanwire send ws://localhost:3001/dev --subprotocol graphql-ws
  echo '{\"action\":\"ping\"}' | fanwire send --wait 1
  fanwire send --wait 3 --timeout 10s <messages.ndjson

On a terminal: type a message and press Enter; the arrow keys go back in the history;
Ctrl-D closes the connection. Otherwise each line of standard input is sent as a
message, and what is received is printed as it is, one message a line.

Exit status: 0, 1 where the handshake was refused, the connection broke or fewer
messages came than --wait says, 2 for a wrong command line, 3 where no server answers.")]
pub(crate) struct SendArgs {
    /// Where to connect: ws://…, wss://…, or the http(s) address of the same
    /// [default: the only API of the running `fanwire dev`].
    #[arg(value_name = "URL")]
    pub(crate) url: Option<String>,

    /// A header of the handshake.
    #[arg(long = "header", short = 'H', value_name = "NAME: VALUE", value_parser = header)]
    pub(crate) headers: Vec<(String, String)>,

    /// A subprotocol to offer; may be given several times.
    #[arg(long = "subprotocol", value_name = "NAME", value_parser = header_value)]
    pub(crate) subprotocols: Vec<String>,

    /// The web page to claim to come from.
    #[arg(long, value_name = "URL", value_parser = header_value)]
    pub(crate) origin: Option<String>,

    /// Without a terminal: messages to wait for before the connection is closed
    /// [default: those that come until a second passes without any].
    #[arg(long, value_name = "N")]
    pub(crate) wait: Option<usize>,

    /// Without a terminal: how long to wait for messages once the input has ended
    /// [default: 30s with --wait].
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) timeout: Option<Duration>,

    /// Take any certificate.
    #[arg(long)]
    pub(crate) insecure: bool,

    /// The data folder of the `fanwire dev` that is meant where no URL is given.
    #[arg(long, value_name = "DIR", conflicts_with = "url")]
    pub(crate) data: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  fanwire logs                          the last 100 records
  fanwire logs -f                       those to come, too
  fanwire logs --errors -n 1000
  fanwire logs -f --function say --grep timeout
  fanwire logs --connection OraEE1ROEFRb3js= --since 10m
  fanwire logs --json | jq -r 'select(.type == \"line\") | .text'

With --route, --connection or --errors, lines of a handler are shown with the request
that they belong to, once it is done.")]
pub(crate) struct LogsArgs {
    /// Only of this function.
    #[arg(long, value_name = "KEY")]
    pub(crate) function: Option<String>,

    /// Only requests of this route, and what their handlers wrote.
    #[arg(long, value_name = "KEY")]
    pub(crate) route: Option<String>,

    /// Only requests of this connection, and what their handlers wrote.
    #[arg(long, value_name = "ID")]
    pub(crate) connection: Option<String>,

    /// Only what failed, and what its handler wrote.
    #[arg(long)]
    pub(crate) errors: bool,

    /// Only records that have this text in them, whatever its case.
    #[arg(long, value_name = "TEXT")]
    pub(crate) grep: Option<String>,

    /// Only what happened less than this long ago, such as 90s, 10m or 2h.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) since: Option<Duration>,

    /// How many of the last records to look through [default: 100; all with --since].
    #[arg(long, short = 'n', value_name = "N")]
    pub(crate) backlog: Option<usize>,

    /// Go on with those to come.
    #[arg(long, short)]
    pub(crate) follow: bool,

    /// Print one JSON object a line.
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  fanwire record chat.ndjson
  fanwire record chat.ndjson --for 30s
  fanwire replay --check chat.ndjson       run it again as a test

Everything that passes the WebSocket APIs of the running dev is written until Ctrl-C:
handshakes, messages, events, results and closes, one JSON object a line.

Values of the headers Authorization, Cookie, X-Api-Key and Sec-WebSocket-Key are left
out, in events too, unless --with-secrets is given. Query strings, messages and results
are written as they are: look before you share a recording.")]
pub(crate) struct RecordArgs {
    /// The file to write; `-` for standard output.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    /// Stop after this long.
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    pub(crate) length: Option<Duration>,

    /// Write the values of secret headers too.
    #[arg(long)]
    pub(crate) with_secrets: bool,

    /// Replace a file that is there.
    #[arg(long, short)]
    pub(crate) force: bool,

    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  fanwire replay chat.ndjson                  every recorded event, against today's code
  fanwire replay chat.ndjson --event 3        the third one only
  fanwire replay chat.ndjson --function say
  fanwire replay --check chat.ndjson          the whole session, as a test
  fanwire replay --check chat.ndjson examples/chat --ignore sentAt

Without --check the events go to the functions of the running dev, and each result is
compared with the recorded one. With --check a server is started for the app in PATH,
with an empty data folder, and the recorded clients connect and send again; each step
waits for what was seen before it in the recording. What they receive and what the
functions answer must be the same, apart from ids of connections and requests, times,
UUIDs, addresses, and keys given with --ignore.

Exit status: 0, 1 where there are differences, 2 for a wrong command line or recording,
3 where no server answers.")]
pub(crate) struct ReplayArgs {
    /// The recording.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    /// With --check: the project file, or its folder.
    #[arg(value_name = "PATH", requires = "check", conflicts_with = "url")]
    pub(crate) path: Option<PathBuf>,

    /// Run the recorded session again as a test.
    #[arg(long)]
    pub(crate) check: bool,

    /// Only the event with this number.
    #[arg(long, value_name = "N", conflicts_with = "check")]
    pub(crate) event: Option<usize>,

    /// Only events of this function.
    #[arg(long, value_name = "KEY", conflicts_with = "check")]
    pub(crate) function: Option<String>,

    /// A JSON key whose values are not compared; may be given several times.
    #[arg(long = "ignore", value_name = "KEY")]
    pub(crate) ignored: Vec<String>,

    /// With --check: a header for every handshake, in place of one that was left out
    /// of the recording.
    #[arg(long = "header", short = 'H', value_name = "NAME: VALUE", value_parser = header, requires = "check")]
    pub(crate) headers: Vec<(String, String)>,

    /// With --check: how long to wait for what was recorded.
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "10s")]
    pub(crate) timeout: Duration,

    /// Print each difference as a JSON object on a line, and nothing else.
    #[arg(long)]
    pub(crate) json: bool,

    /// With --check: the stage to serve [default: the recording's].
    #[arg(long, short, value_name = "NAME", requires = "check", conflicts_with = "url")]
    pub(crate) stage: Option<String>,

    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("expected `NAME: VALUE`")?;
    let name = name.trim();
    if http::HeaderName::from_bytes(name.as_bytes()).is_err() {
        return Err(format!("`{name}` is no header name"));
    }
    Ok((name.to_owned(), header_value(value)?))
}

fn header_value(text: &str) -> Result<String, String> {
    match http::HeaderValue::from_str(text.trim()) {
        Ok(_) => Ok(text.trim().to_owned()),
        Err(_) => Err("this cannot stand in a header".to_owned()),
    }
}

/// Reads `90s`, `10m`, `2h`, `500ms`, or a bare number of seconds.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let seconds = match unit {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        _ => return Err("expected a time such as 500ms, 90s, 10m or 2h".to_owned()),
    };
    let number: f64 =
        number.parse().map_err(|_| "expected a time such as 90s or 10m".to_owned())?;
    Duration::try_from_secs_f64(number * seconds).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        assert_eq!(duration("90"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("1.5m"), Ok(Duration::from_secs(90)));
        for text in ["", "s", "10 minutes", "-1s", "1e9h"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn headers_that_would_end_the_line_are_refused() {
        assert_eq!(header("A: b:c "), Ok(("A".to_owned(), "b:c".to_owned())));
        for text in ["A", "A b: c", "A: b\r\nX: y", ": v"] {
            assert!(header(text).is_err(), "{text:?}");
        }
    }
}
