//! The shapes that AWS IoT gives functions, and takes from them: for the Lambda home, and
//! for tests. Nothing here calls anything.
//!
//! What a message of a topic rule looks like depends on its statement, and a payload alone
//! is whatever its publisher says. So no event is taken for more than its function was set
//! up for: with [`SUBSCRIBER_VARIABLE`] everything is a payload, and without it nothing is.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{ConnectRequest, Endpoint, Incoming, Place, Sender, Subscriber};

/// The variable that names the one subscriber which a function is. Its events are payloads
/// alone, as SST's rules select them (`SELECT *`).
pub const SUBSCRIBER_VARIABLE: &str = "FANWIRE_SUBSCRIBER";

/// What `clientid()` is of who did not publish over MQTT.
const NO_CLIENT: &str = "n/a";

/// Why an event cannot be given to anybody.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EventError {
    /// It is none of the shapes of AWS IoT.
    #[error("the event is none of AWS IoT's: {0}")]
    Shape(String),
    /// Its function has no ARN that names a region and an account.
    #[error("`{0}` is no ARN of a function; a policy needs its region and account")]
    Arn(String),
    /// The subscriber that it is for does not exist.
    #[error("the app has no subscriber `{0}`: its topic rule is of another version of the app")]
    NoSubscriber(String),
    /// It may be a payload alone, and nobody said that there are any.
    #[error(
        "the event does not say which subscriber it is for: give its topic rule the statement \
         of `Subscriber::rule_sql`; or, where that is `SELECT *`, set the variable \
         FANWIRE_SUBSCRIBER of its function to the name of the subscriber"
    )]
    WhichSubscriber,
}

/// What an event of [`Subscriber::rule_sql`] holds.
#[derive(Deserialize)]
struct Enveloped {
    fanwire_subscriber: String,
    fanwire_topic: String,
    fanwire_principal: Option<String>,
    fanwire_client_id: Option<String>,
    fanwire_payload: String,
}

/// The event of a custom authorizer (reference: iot.md, section 9.2).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AuthorizerEvent {
    token: Option<String>,
    #[serde(default)]
    signature_verified: bool,
    protocol_data: ProtocolData,
    connection_metadata: Option<ConnectionMetadata>,
}

#[derive(Deserialize)]
struct ProtocolData {
    tls: Option<Tls>,
    http: Option<Http>,
    mqtt: Option<Mqtt>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Tls {
    server_name: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Http {
    #[serde(default)]
    headers: Map<String, Value>,
    query_string: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Mqtt {
    username: Option<String>,
    password: Option<String>,
    client_id: Option<String>,
}

#[derive(Deserialize)]
struct ConnectionMetadata {
    id: String,
}

/// What an event of AWS IoT is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// A custom authorizer is asked about a client: see [`connect_request`].
    Authorizer,
    /// A topic rule has a message: see [`message`].
    Message,
}

/// What an event is, where it is one of AWS IoT's; `named` is the value of
/// [`SUBSCRIBER_VARIABLE`]. To be asked before an event is taken for any other.
pub fn event_kind(event: &Value, named: Option<&str>) -> Option<EventKind> {
    let is_object = |name| event.get(name).is_some_and(Value::is_object);
    if named.is_some() || event.get("fanwire_subscriber").is_some() {
        Some(EventKind::Message)
    } else {
        is_object("protocolData").then_some(EventKind::Authorizer)
    }
}

/// The client that a custom authorizer is asked about.
///
/// # Errors
///
/// [`EventError::Shape`] where it is no such event.
pub fn connect_request(event: &[u8]) -> Result<ConnectRequest, EventError> {
    let shape = |error: String| EventError::Shape(error);
    let event: AuthorizerEvent =
        serde_json::from_slice(event).map_err(|error| shape(error.to_string()))?;
    let ProtocolData { tls, http, mqtt } = event.protocol_data;
    let (username, password, client_id) =
        mqtt.map_or((None, None, None), |mqtt| (mqtt.username, mqtt.password, mqtt.client_id));
    let password = password
        .map(|password| STANDARD.decode(password))
        .transpose()
        .map_err(|error| shape(format!("the password is no base64: {error}")))?;
    let (headers, query) =
        http.map_or((Map::new(), None), |http| (http.headers, http.query_string));
    let text = |value: Value| match value {
        Value::String(text) => text,
        other => other.to_string(),
    };
    Ok(ConnectRequest {
        client_id,
        username,
        password: password.map(Bytes::from),
        signed_token: event.token,
        signature_verified: event.signature_verified,
        query: query.map(|query| query.strip_prefix('?').unwrap_or(&query).to_owned()),
        headers: headers.into_iter().map(|(name, value)| (name, text(value))).collect(),
        server_name: tls.and_then(|tls| tls.server_name),
        connection_id: event.connection_metadata.map(|metadata| metadata.id).unwrap_or_default(),
    })
}

/// Where the resources of policies are, by the ARN of the function that is invoked.
///
/// # Errors
///
/// [`EventError::Arn`] where it does not say so.
pub fn place(invoked_function_arn: &str) -> Result<Place, EventError> {
    let mut parts = invoked_function_arn.split(':');
    let ("arn", Some(partition), Some("lambda"), Some(region), Some(account_id)) =
        (parts.next().unwrap_or_default(), parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(EventError::Arn(invoked_function_arn.to_owned()));
    };
    let (partition, region) = (partition.to_owned(), region.to_owned());
    Ok(Place { partition, region, account_id: account_id.to_owned() })
}

/// The message that a topic rule's event holds, and the subscriber that it is for; `named`
/// is the value of [`SUBSCRIBER_VARIABLE`].
///
/// # Errors
///
/// [`EventError`] where there is no such subscriber, or nobody says which one it is.
pub fn message<'e>(
    endpoint: &'e Endpoint,
    event: &[u8],
    named: Option<&str>,
) -> Result<(&'e Subscriber, Incoming), EventError> {
    match named {
        Some(name) => {
            let payload = Bytes::copy_from_slice(event);
            Ok((find(endpoint, name)?, Incoming { payload, ..Incoming::default() }))
        }
        None => enveloped(endpoint, event),
    }
}

/// What an event of [`Subscriber::rule_sql`] holds.
fn enveloped<'e>(
    endpoint: &'e Endpoint,
    event: &[u8],
) -> Result<(&'e Subscriber, Incoming), EventError> {
    let event: Enveloped =
        serde_json::from_slice(event).map_err(|_| EventError::WhichSubscriber)?;
    let payload = STANDARD
        .decode(event.fanwire_payload)
        .map_err(|error| EventError::Shape(format!("fanwire_payload is no base64: {error}")))?;
    let sender = sender(event.fanwire_principal, event.fanwire_client_id);
    let subscriber = find(endpoint, &event.fanwire_subscriber)?;
    let incoming = Incoming { topic: event.fanwire_topic, payload: payload.into(), sender };
    Ok((subscriber, incoming))
}

fn find<'e>(endpoint: &'e Endpoint, name: &str) -> Result<&'e Subscriber, EventError> {
    let mut subscribers = endpoint.subscribers.iter();
    let found = subscribers.find(|subscriber| subscriber.name == name);
    found.ok_or_else(|| EventError::NoSubscriber(name.to_owned()))
}

/// Who published, where anybody is known.
fn sender(principal: Option<String>, client_id: Option<String>) -> Option<Sender> {
    let client_id = client_id.filter(|id| id != NO_CLIENT).unwrap_or_default();
    let principal = principal.unwrap_or_default();
    let is_known = !(principal.is_empty() && client_id.is_empty());
    is_known.then_some(Sender { principal, client_id })
}

#[cfg(test)]
mod tests;
