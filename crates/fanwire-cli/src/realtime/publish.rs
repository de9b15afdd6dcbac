//! `fanwire publish`: a message to a topic of the running `dev`.

use std::process::ExitCode;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::argument_or_input;
use crate::args::PublishArgs;
use crate::client::{self, CommandError, Server, encoded};

/// Publishes.
pub(crate) fn run(args: &PublishArgs) -> ExitCode {
    client::run(async {
        let payload = argument_or_input(&args.payload)?;
        let server = Server::find(&args.server)?;
        publish(&server, args, payload).await
    })
}

async fn publish(
    server: &Server,
    args: &PublishArgs,
    payload: Vec<u8>,
) -> Result<ExitCode, CommandError> {
    let path = path(args);
    let properties = args.properties.iter().map(|(name, value)| json!({ name: value }));
    let properties = Value::from_iter(properties).to_string();
    let mut headers = Vec::new();
    let encoded_properties = STANDARD.encode(properties);
    if !args.properties.is_empty() {
        headers.push(("x-amz-mqtt5-user-properties", encoded_properties.as_str()));
    }
    let correlation_data = args.correlation_data.as_ref().map(|text| STANDARD.encode(text));
    if let Some(data) = &correlation_data {
        headers.push(("x-amz-mqtt5-correlation-data", data.as_str()));
    }
    server.send("POST", &path, &headers, payload).await?.expect_success("/_fanwire/publish")?;
    Ok(ExitCode::SUCCESS)
}

fn path(args: &PublishArgs) -> String {
    let mut path = format!("/_fanwire/publish?topic={}&qos={}", encoded(&args.topic), args.qos);
    if args.retain {
        path.push_str("&retain=true");
    }
    let texts = [("contentType", &args.content_type), ("responseTopic", &args.response_topic)];
    for (name, text) in texts {
        if let Some(text) = text {
            path.push_str(&format!("&{name}={}", encoded(text)));
        }
    }
    if let Some(expiry) = args.expiry {
        path.push_str(&format!("&messageExpiry={}", expiry.as_secs()));
    }
    path
}
