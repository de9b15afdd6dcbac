//! The events of AWS IoT: custom authorizers and topic rules.

use lambda_runtime::Diagnostic;
use serde_json::{Value, json};

use super::answer::diagnostic;
use super::log;
use crate::realtime::Endpoint;
use crate::realtime::lambda::{
    EventError, EventKind, SUBSCRIBER_VARIABLE, connect_request, event_kind, message, place,
};
use crate::{Error, Home, Result};

/// A realtime endpoint as a function.
#[derive(Debug)]
pub(super) struct Function {
    endpoint: Endpoint,
    home: Home,
    /// The one subscriber that the function is, if its environment says so.
    subscriber: Option<String>,
}

// === impl Function ===

impl Function {
    pub(super) fn new(endpoint: Endpoint, home: Home) -> Self {
        let subscriber = std::env::var(SUBSCRIBER_VARIABLE).ok().filter(|name| !name.is_empty());
        Self { endpoint, home, subscriber }
    }

    /// What an event is, where it is one of this endpoint's.
    pub(super) fn kind_of(&self, event: &Value) -> Option<EventKind> {
        event_kind(event, self.subscriber.as_deref())
    }

    /// The result of an event.
    pub(super) async fn answer(
        &self,
        kind: EventKind,
        event: &[u8],
        function_arn: &str,
    ) -> Result<Value, Diagnostic> {
        let result = match kind {
            EventKind::Authorizer => self.authorize(event, function_arn).await,
            EventKind::Message => self.deliver(event).await,
        };
        result.map_err(|error| {
            log(&error);
            diagnostic(&error)
        })
    }

    async fn authorize(&self, event: &[u8], function_arn: &str) -> Result<Value> {
        let Some(authorizer) = &self.endpoint.authorizer else {
            return Err(Error::new(500, "the event asks an authorizer, and the endpoint has none"));
        };
        let request = connect_request(event)?;
        match authorizer(request.clone(), self.home.clone()).await {
            // The client is refused, and the function has not failed.
            Err(error) if error.status() < 500 => {
                log(&error);
                Ok(json!({ "isAuthenticated": false }))
            }
            grant => {
                let answer = grant?.answer(&request, &place(function_arn)?)?;
                Ok(serde_json::to_value(answer)?)
            }
        }
    }

    /// Gives a message to its subscriber. One that is to blame itself is not given again, as
    /// the rule would do after a failure.
    async fn deliver(&self, event: &[u8]) -> Result<Value> {
        let given = message(&self.endpoint, event, self.subscriber.as_deref());
        let (subscriber, incoming) = given.map_err(|error: EventError| Error::from(error))?;
        match (subscriber.call)(incoming, self.home.clone()).await {
            Err(error) if error.status() < 500 => {
                log(&error);
                Ok(Value::Null)
            }
            other => other.map(|()| Value::Null),
        }
    }
}
