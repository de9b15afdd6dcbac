//! Publishing, and the retained messages.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use fanwire_policy::{Action, Resource};
use fanwire_realtime::{
    Arrival, Message, Properties, PublishError, Publisher, RealtimeEvent, TlsArrival, Trial,
};
use fanwire_wire::mqtt::{QoS, UserPropertiesBuf};
use http::{Method, Request};
use serde_json::json;

use super::error::trace_id;
use super::{DataError, Parameters, encode_user_properties, http_arrival, ok, rest_of};
use crate::query::Query;
use crate::realtime::Endpoint;
use crate::response::Answer;
use crate::router::{BodyError, CallBody, Router, Source};

/// The most bytes read of a payload; whether they are too many is the endpoint's to say.
pub(crate) const MAX_PAYLOAD: usize = 32 * 1024 * 1024;

/// Retained messages listed at once, at the most.
const MAX_RESULTS: usize = 200;

impl Router {
    /// `POST /topics/{topic}`. `publisher` is who an authorizer says it is; nobody verifies
    /// with which keys of an account a request is signed, so that others are not named.
    pub(super) async fn publish_to_topic(
        &self,
        endpoint: &Endpoint,
        request: Request<CallBody>,
        publisher: Option<Publisher>,
    ) -> Result<Answer, DataError> {
        let topic = topic_of(request.uri().path())?;
        let parameters = Parameters::read(request.uri(), request.headers())?;
        let payload = self.body(request, MAX_PAYLOAD).await.map_err(|error| unreadable(&error))?;
        let mut message = message(topic, payload, parameters);
        message.publisher = publisher.map(Arc::new);
        endpoint.plane.publish(message).await?;
        Ok(ok(&json!({ "message": "OK", "traceId": trace_id() })))
    }
}

impl Router {
    /// Publishes what a request's custom authorizer lets it publish; there is nothing else
    /// that it could be let (reference: iot.md, section 1).
    pub(super) async fn publish_as_judged(
        &self,
        endpoint: &Endpoint,
        request: Request<CallBody>,
        source: &Source,
    ) -> Result<Answer, DataError> {
        if request.method() != Method::POST || !is_topic(request.uri().path()) {
            let text = "a custom authorizer can allow publishing alone: POST /topics/{topic}";
            return Err(DataError::forbidden(text));
        }
        let topic = topic_of(request.uri().path())?;
        let parameters = Parameters::read(request.uri(), request.headers())?;
        let client = self.client(source, request.headers());
        let tls = client.tls.then(TlsArrival::default);
        let http = Some(http_arrival(&request));
        let arrival = Arrival { peer: client.address, tls, http };
        let observer = self.realtime_host().observer();
        // The log says why; somebody out there learns nothing of the policies.
        let judged = endpoint.plane.authorize_request(&arrival).await.map_err(|why| {
            let source_ip = client.address.ip();
            observer.observe(&RealtimeEvent::Refused { client_id: "", source_ip, why: &why });
            DataError::unauthorized("Unauthorized")
        })?;
        if let Some(judged) = &judged {
            self.check_allowed(judged, Action::Publish, &topic)?;
            if parameters.retain {
                self.check_allowed(judged, Action::RetainPublish, &topic)?;
            }
        }
        let publisher = judged
            .map(|judged| Publisher { client_id: "".into(), principal: judged.principal.into() });
        self.publish_to_topic(endpoint, request, publisher).await
    }

    fn check_allowed(&self, judged: &Trial, action: Action, topic: &str) -> Result<(), DataError> {
        let decision = judged.explain(action, Resource::Topic(topic));
        if decision.allowed {
            return Ok(());
        }
        let (principal, explanation) = (&*judged.principal, &*decision.to_string());
        let event = RealtimeEvent::Denied { client_id: "", principal, explanation };
        self.realtime_host().observer().observe(&event);
        Err(DataError::forbidden("Forbidden"))
    }
}

/// Whether a path is that of a topic.
fn is_topic(path: &str) -> bool {
    path.split('/').find(|segment| !segment.is_empty()) == Some("topics")
}

/// The topic behind the first segment of a path.
fn topic_of(path: &str) -> Result<String, DataError> {
    rest_of(path)?.ok_or_else(|| DataError::invalid("expected a topic in the path"))
}

/// The message that is published with these parameters.
pub(crate) fn message(topic: String, payload: Bytes, parameters: Parameters) -> Message {
    let text = |text: String| text.into_boxed_str();
    let mut user = UserPropertiesBuf::new();
    for (name, value) in &parameters.user_properties {
        // They were checked when the parameters were read.
        let _ = user.push(name, value);
    }
    let properties = Properties {
        utf8_payload: parameters.utf8_payload,
        message_expiry: parameters.message_expiry,
        content_type: parameters.content_type.map(text),
        response_topic: parameters.response_topic.map(text),
        correlation_data: parameters.correlation_data.map(Bytes::from),
        user,
    };
    let mut message = Message::new(topic, payload);
    message.qos = match parameters.qos {
        0 => QoS::AtMostOnce,
        1 => QoS::AtLeastOnce,
        _ => QoS::ExactlyOnce,
    };
    message.retain = parameters.retain;
    message.properties = (properties != Properties::default()).then(|| Box::new(properties));
    message
}

/// `GET /retainedMessage/{topic}`.
pub(super) fn get_retained(endpoint: &Endpoint, path: &str) -> Result<Answer, DataError> {
    let topic = topic_of(path)?;
    let message = endpoint.plane.retained(&topic);
    let message = message
        .ok_or_else(|| DataError::not_found(format!("no message is retained for `{topic}`")))?;
    let mut body = json!({
        "topic": topic,
        "payload": STANDARD.encode(&message.payload),
        "qos": message.qos as u8,
        "lastModifiedTime": message.published_at,
    });
    if let Some(properties) = message.properties.as_ref().filter(|each| !each.user.is_empty()) {
        let user = properties.user.as_list().iter();
        body["userProperties"] = encode_user_properties(user).into();
    }
    Ok(ok(&body))
}

/// `GET /retainedMessage`.
pub(super) fn list_retained(
    endpoint: &Endpoint,
    request: &Request<CallBody>,
) -> Result<Answer, DataError> {
    let query = Query::new(request.uri().query());
    let limit = max_results(query, MAX_RESULTS)?;
    let after = query.get("nextToken").filter(|token| !token.is_empty());
    let after = after.map(|token| after_of(&token)).transpose()?;
    // One more than is shown tells whether there is more.
    let mut found = endpoint.plane.list_retained(after.as_deref(), limit + 1);
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more).map(|last| URL_SAFE_NO_PAD.encode(&*last.topic));
    Ok(ok(&page("retainedTopics", &found, next)))
}

/// A list's answer, with the token of its next page where there is one.
pub(super) fn page(
    name: &str,
    list: &impl serde::Serialize,
    next: Option<String>,
) -> serde_json::Value {
    let mut body = json!({ name: list });
    if let Some(next) = next {
        body["nextToken"] = next.into();
    }
    body
}

/// The `maxResults` of a list.
pub(super) fn max_results(query: Query<'_>, default: usize) -> Result<usize, DataError> {
    let Some(text) = query.get("maxResults") else { return Ok(default) };
    let number = text.parse().ok().filter(|number| (1..=MAX_RESULTS).contains(number));
    number.ok_or_else(|| {
        DataError::invalid(format!("`{text}` is not a value of maxResults; expected 1 to 200"))
    })
}

/// The topic that a page begins after.
fn after_of(token: &str) -> Result<String, DataError> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok();
    let topic = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    topic.ok_or_else(|| DataError::invalid("nextToken is not one that was given out"))
}

pub(crate) fn unreadable(error: &BodyError) -> DataError {
    match error {
        BodyError::TooLarge { .. } => DataError::too_large(error.to_string()),
        BodyError::TimedOut | BodyError::Broken => DataError::invalid(error.to_string()),
    }
}

impl From<PublishError> for DataError {
    fn from(error: PublishError) -> Self {
        let text = error.to_string();
        match error {
            PublishError::Busy => Self::busy(text),
            PublishError::Topic { .. } | PublishError::QoS { .. } | PublishError::Properties(_) => {
                Self::invalid(text)
            }
            PublishError::TooLarge { .. } => Self::too_large(text),
            _ => Self::internal(text),
        }
    }
}
