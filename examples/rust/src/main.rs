//! Passes messages from one connection to another, and tells the sender when the
//! other one has gone.

use aws_sdk_apigatewaymanagement::Client;
use aws_sdk_apigatewaymanagement::operation::post_to_connection::PostToConnectionError;
use aws_sdk_apigatewaymanagement::primitives::Blob;
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use serde::Deserialize;
use serde_json::{Value, json};

/// The parts of API Gateway's event that this app looks at.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    request_context: RequestContext,
    body: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RequestContext {
    route_key: String,
    connection_id: String,
}

/// What a client sends: `{"action": "relay", "to": "…=", "text": "hello"}`.
#[derive(Deserialize)]
struct Relay {
    to: String,
    text: String,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    // No endpoint: the SDK takes it from AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI.
    let api = Client::new(&aws_config::load_from_env().await);
    run(service_fn(|event: LambdaEvent<Event>| handle(&api, event.payload))).await
}

async fn handle(api: &Client, event: Event) -> Result<Value, Error> {
    let body = match event.request_context.route_key.as_str() {
        "relay" => relay(api, &event).await?,
        _ => json!({ "you": event.request_context.connection_id }),
    };
    Ok(json!({ "statusCode": 200, "body": body.to_string() }))
}

async fn relay(api: &Client, event: &Event) -> Result<Value, Error> {
    let from = &event.request_context.connection_id;
    let Relay { to, text } = serde_json::from_str(event.body.as_deref().unwrap_or_default())?;
    let data = json!({ "from": from, "text": text }).to_string();
    let sent = api.post_to_connection().connection_id(&to).data(Blob::new(data)).send().await;
    match sent.map_err(|error| error.into_service_error()) {
        Ok(_) => Ok(json!({ "delivered": to })),
        Err(PostToConnectionError::GoneException(_)) => Ok(json!({ "gone": to })),
        Err(other) => Err(other.into()),
    }
}
