//! The app as a function: under AWS Lambda, or under `fanwire dev` and `fanwire serve`. What
//! it is given are events of AWS's services, told apart by their shapes.

mod answer;
mod broker;
mod event;
mod gateway;
mod http;
mod realtime;
mod sign;
mod surroundings;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io::Write as _;
use std::sync::Arc;

use lambda_runtime::{Diagnostic, LambdaEvent, Runtime, service_fn};
use serde_json::Value;
use serde_json::value::RawValue;

use self::answer::{diagnostic, policy, proxy_result};
use self::event::ApiEvent;
pub(crate) use self::surroundings::Surroundings;
use crate::realtime::Realtime;
use crate::subscriptions::Function as Stored;
use crate::websocket::{Allow, Call, Endpoint, Event, EventKind, Reply};
use crate::{App, Error, Result};

/// A function: an app, and where it is.
#[derive(Debug)]
struct Function {
    /// What takes the events of a WebSocket API.
    connections: Option<Connections>,
    realtime: Option<realtime::Function>,
    surroundings: Surroundings,
}

/// What takes the events of a WebSocket API: routes, or procedures.
#[derive(Clone)]
struct Connections {
    service: Call<Reply>,
    authorizer: Option<Call<Allow>>,
}

/// What an event is, by its shape.
#[derive(Debug)]
enum Kind {
    /// Something happened to a connection of a WebSocket API.
    WebSocket,
    /// A WebSocket API asks who a client is, on behalf of this resource.
    WebSocketAuthorizer { method_arn: String },
    /// None of the above.
    Unknown,
}

/// Takes events from the Runtime API, one at a time, until the process is ended.
///
/// # Errors
///
/// Where the Runtime API cannot be reached.
pub(crate) async fn run(app: App) -> Result<()> {
    let function = Arc::new(Function::new(app, Surroundings::from_env())?);
    let runtime = Runtime::new(service_fn(|event: LambdaEvent<Box<RawValue>>| {
        let function = Arc::clone(&function);
        async move { function.answer(&event.payload, &event.context.invoked_function_arn).await }
    }));
    runtime.run().await.map_err(|error| Error::new(500, error))
}

// === impl Kind ===

impl Kind {
    fn of(event: &Value) -> Self {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let of_websocket = event["requestContext"]["connectionId"].is_string();
        match (event["type"].as_str(), text(&event["methodArn"])) {
            (Some("REQUEST"), Some(method_arn)) if of_websocket => {
                Self::WebSocketAuthorizer { method_arn }
            }
            _ if of_websocket => Self::WebSocket,
            _ => Self::Unknown,
        }
    }
}

// === impl Connections ===

impl Connections {
    /// What an app has for them. Where that is both, `serves` says which of them this
    /// function is.
    fn of(
        websocket: Option<Endpoint>,
        stored: Option<Stored>,
        serves: Option<&str>,
    ) -> Result<Option<Self>> {
        let routes =
            websocket.map(|Endpoint { service, authorizer, .. }| Self { service, authorizer });
        let procedures = stored.map(|stored| Self { service: stored.handle, authorizer: None });
        match (routes, procedures, serves) {
            (Some(routes), Some(_), Some("websocket")) => Ok(Some(routes)),
            (Some(_), Some(procedures), Some("subscriptions")) => Ok(Some(procedures)),
            (Some(_), Some(_), _) => Err(Error::new(
                500,
                "the app has routes and procedures, and a function has one API: set \
                 FANWIRE_SERVES to `websocket` or `subscriptions`, which are then functions of \
                 their own",
            )),
            (routes, procedures, _) => Ok(routes.or(procedures)),
        }
    }
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections")
            .field("has_authorizer", &self.authorizer.is_some())
            .finish_non_exhaustive()
    }
}

// === impl Function ===

impl Function {
    fn new(app: App, surroundings: Surroundings) -> Result<Self> {
        let endpoint = app.realtime.map(Realtime::endpoint).transpose()?;
        let stored = app.subscriptions.map(Stored::of).transpose()?;
        let publisher = stored.as_ref().map(|stored| Arc::clone(&stored.publisher));
        let surroundings = surroundings.with_publisher(publisher);
        let home = surroundings.home();
        let realtime = endpoint.map(|endpoint| realtime::Function::new(endpoint, home));
        let connections = Connections::of(app.websocket, stored, surroundings.serves())?;
        Ok(Self { connections, realtime, surroundings })
    }

    /// The result of an event that the function with this ARN is given.
    async fn answer(&self, json: &RawValue, function_arn: &str) -> Result<Value, Diagnostic> {
        let malformed = |error| unexpected(&format!("the event is malformed: {error}"));
        let event: Value = serde_json::from_str(json.get()).map_err(malformed)?;
        if let Some(realtime) = &self.realtime
            && let Some(kind) = realtime.kind_of(&event)
        {
            return realtime.answer(kind, json.get().as_bytes(), function_arn).await;
        }
        match Kind::of(&event) {
            Kind::WebSocket => self.websocket(event).await,
            Kind::WebSocketAuthorizer { method_arn } => self.authorize(event, &method_arn).await,
            Kind::Unknown => Err(unexpected("the event is of no kind that this app takes")),
        }
    }

    async fn websocket(&self, event: Value) -> Result<Value, Diagnostic> {
        let Some(connections) = &self.connections else {
            return Err(unexpected("the event is of a WebSocket API, and the app has no routes"));
        };
        let event = self.read(event)?;
        let kind = event.kind;
        match (connections.service)(event).await {
            Ok(reply) => Ok(proxy_result(&reply)),
            Err(error) => {
                log(&error);
                // What an app has refused on purpose is its answer, and no failure of the
                // function. Messages have no status: they get API Gateway's error frame.
                if kind == EventKind::Connect && error.status() != 500 {
                    return Ok(serde_json::json!({ "statusCode": error.status() }));
                }
                Err(diagnostic(&error))
            }
        }
    }

    async fn authorize(&self, event: Value, method_arn: &str) -> Result<Value, Diagnostic> {
        let authorizer = self.connections.as_ref().and_then(|app| app.authorizer.as_ref());
        let Some(authorizer) = authorizer else {
            return Err(unexpected("the event asks an authorizer, and the app has none"));
        };
        let decision = authorizer(self.read(event)?).await;
        if let Err(error) = &decision {
            log(error);
        }
        policy(decision, method_arn)
    }

    fn read(&self, event: Value) -> Result<Event, Diagnostic> {
        let event: Result<ApiEvent, _> = serde_json::from_value(event);
        let event =
            event.map_err(|error| unexpected(&format!("the event is malformed: {error}")))?;
        let event = event.into_event(&self.surroundings);
        event.map_err(|error| unexpected(&format!("the event's body is malformed: {error}")))
    }
}

/// An event that is not this app's.
fn unexpected(what: &str) -> Diagnostic {
    Diagnostic { error_type: "fanwire::UnexpectedEvent".to_owned(), error_message: what.to_owned() }
}

/// Writes an error to the function's log; the answer goes to those who may not read it.
fn log(error: &Error) {
    // A log that cannot be written has nowhere to say so.
    let _ = writeln!(std::io::stderr(), "{}: {error}", error.kind());
}
