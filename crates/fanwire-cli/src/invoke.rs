//! `fanwire invoke`: one event for a function of the running `dev`.

use std::io::Read as _;
use std::path::Path;
use std::process::ExitCode;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use serde::de::IgnoredAny;

use crate::args::InvokeArgs;
use crate::client::{self, CommandError, Server, encoded, output};
use crate::pretty;

/// What became of an event.
#[derive(Debug)]
pub(crate) struct Invoked {
    /// The result, or the error where the function failed.
    pub(crate) payload: String,
    pub(crate) failed: bool,
    pub(crate) logs: String,
    request_id: Option<String>,
}

/// Invokes a function.
pub(crate) fn run(args: &InvokeArgs) -> ExitCode {
    client::run(async {
        let event = event(&args.event)?;
        let server = Server::find(&args.server)?;
        let invoked = invoke(&server, &args.function, &event, args.asynchronous).await?;
        if args.asynchronous {
            let id = invoked.request_id.unwrap_or_default();
            output(&format!("accepted as {id}; `fanwire logs -f` shows what comes of it\n"))?;
            return Ok(ExitCode::SUCCESS);
        }
        if args.json {
            output(&format!("{}\n", invoked.payload))?;
        } else {
            anstream::eprint!("{}", invoked.logs);
            output(&format!("{}\n", pretty::json_or_text(&invoked.payload)))?;
        }
        Ok(if invoked.failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    })
}

/// Gives `function` an event through the Invoke API.
pub(crate) async fn invoke(
    server: &Server,
    function: &str,
    event: &str,
    asynchronous: bool,
) -> Result<Invoked, CommandError> {
    let path = format!("/2015-03-31/functions/{}/invocations", encoded(function));
    let kind = if asynchronous { "Event" } else { "RequestResponse" };
    let headers = [("x-amz-invocation-type", kind), ("x-amz-log-type", "Tail")];
    let answer = server.send("POST", &path, &headers, event.to_owned()).await?;
    if answer.status == StatusCode::NOT_FOUND {
        return Err(unknown_function(server, function).await?);
    }
    let answer = answer.expect_success(&path)?;
    let logs = answer.header("x-amz-log-result").and_then(|logs| STANDARD.decode(logs).ok());
    Ok(Invoked {
        payload: String::from_utf8_lossy(&answer.body).into_owned(),
        failed: answer.header("x-amz-function-error").is_some(),
        logs: logs.map(|logs| String::from_utf8_lossy(&logs).into_owned()).unwrap_or_default(),
        request_id: answer.header("x-amzn-requestid").map(str::to_owned),
    })
}

/// Says which functions there are instead.
async fn unknown_function(server: &Server, function: &str) -> Result<CommandError, CommandError> {
    let app = server.app().await?;
    let functions = app["functions"].as_array().map(Vec::as_slice).unwrap_or_default();
    let keys: Vec<&str> = functions.iter().filter_map(|each| each["key"].as_str()).collect();
    let names = functions.iter().filter_map(|each| each["name"].as_str());
    let nearest = fanwire_app::nearest(function, keys.iter().copied().chain(names));
    let remedy = match (nearest, keys.as_slice()) {
        (Some(nearest), _) => format!("did you mean `{nearest}`?"),
        (None, []) => "the app has no functions".to_owned(),
        (None, keys) => format!("there are: {}", keys.join(", ")),
    };
    Ok(CommandError::Usage(format!("there is no function `{function}`; {remedy}")))
}

/// The event that the command line means: standard input, JSON, or a file.
fn event(given: &str) -> Result<String, CommandError> {
    let (text, from) = if given == "-" {
        let mut text = String::new();
        let read = std::io::stdin().read_to_string(&mut text);
        read.map_err(|source| CommandError::File { path: "standard input".into(), source })?;
        (text, "standard input".to_owned())
    } else if serde_json::from_str::<IgnoredAny>(given).is_ok() {
        return Ok(given.to_owned());
    } else if given.trim_start().starts_with(['{', '[', '"']) {
        (given.to_owned(), "the event".to_owned())
    } else {
        let path = Path::new(given);
        let text = std::fs::read_to_string(path)
            .map_err(|source| CommandError::File { path: path.to_owned(), source })?;
        (text, given.to_owned())
    };
    match serde_json::from_str::<IgnoredAny>(&text) {
        Ok(_) => Ok(text),
        Err(error) => Err(CommandError::Usage(format!("{from} is not JSON: {error}"))),
    }
}
