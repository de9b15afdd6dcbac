//! The app's realtime endpoint as a function: AWS IoT's custom authorizer, and the action
//! of topic rules.

use lambda_runtime::Diagnostic;
use serde_json::{Value, json};

use super::answer::diagnostic;
use super::{Function, log};
use crate::realtime::Endpoint;
use crate::realtime::lambda::{
    EventKind, SUBSCRIBER_VARIABLE, connect_request, event_kind, message, place,
};
use crate::{Error, Result};

/// Errors from this status on are the function's, and Lambda tries again. Others are about
/// the client, which is refused, or the message, which is given up.
const FIRST_OF_OURS: u16 = 500;

impl Function {
    /// What an event is to the app's realtime endpoint; `None` where it is none of AWS
    /// IoT's, or there is no endpoint. To be asked before all others: a function that is a
    /// subscriber takes whatever clients publish, and nothing of that for an event of
    /// another kind.
    pub(super) fn realtime_kind(&self, event: &Value) -> Option<(&Endpoint, EventKind)> {
        let endpoint = self.parts.realtime.as_ref()?;
        Some((endpoint, event_kind(event, subscriber().as_deref())?))
    }

    /// Answers an event of AWS IoT.
    pub(super) async fn realtime(
        &self,
        endpoint: &Endpoint,
        kind: EventKind,
        event: Value,
        arn: &str,
    ) -> Result<Value, Diagnostic> {
        let answered = match kind {
            EventKind::Authorizer => self.authorize_client(endpoint, event, arn).await,
            EventKind::Message => self.take(endpoint, event).await,
        };
        answered.or_else(|error| {
            log(&error);
            match kind {
                _ if error.status() >= FIRST_OF_OURS => Err(diagnostic(&error)),
                EventKind::Authorizer => Ok(json!({ "isAuthenticated": false })),
                EventKind::Message => Ok(Value::Null),
            }
        })
    }

    async fn authorize_client(
        &self,
        endpoint: &Endpoint,
        event: Value,
        arn: &str,
    ) -> Result<Value> {
        let Some(authorizer) = &endpoint.authorizer else {
            return Err(Error::new(500, "the event asks an authorizer, and the app has none"));
        };
        let (request, place) = (connect_request(event)?, place(arn)?);
        let grant = authorizer(request.clone(), self.surroundings.home()).await?;
        Ok(serde_json::to_value(grant.answer(&request, &place)?)?)
    }

    async fn take(&self, endpoint: &Endpoint, event: Value) -> Result<Value> {
        let (subscriber, message) = message(endpoint, event, subscriber().as_deref())?;
        (subscriber.call)(message, self.surroundings.home()).await?;
        Ok(Value::Null)
    }
}

/// The subscriber that the function is, where it is only one.
fn subscriber() -> Option<String> {
    std::env::var(SUBSCRIBER_VARIABLE).ok().filter(|name| !name.is_empty())
}
