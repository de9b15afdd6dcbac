//! What the `fanwire` command asks of the realtime endpoint: publish, subscribe, sessions,
//! retained messages.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use fanwire_realtime::topic::{Parent, TopicIndex};
use fanwire_realtime::{Message, Realtime};
use fanwire_wire::mqtt::topic::check_filter;
use http::{Method, Request};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::policy::Question;
use super::{Feed, Refusal, stream};
use crate::iot_data::{DataError, MAX_PAYLOAD, Parameters, message, unreadable};
use crate::query::Query;
use crate::response::Answer;
use crate::router::{CallBody, Router};

/// Subscribers at once; more are turned away.
const MAX_SUBSCRIBERS: usize = 16;

/// Filters of one subscriber at the most.
const MAX_FILTERS: usize = 64;

/// Sessions listed at the most, on each shard.
const MAX_SESSIONS: usize = 10_000;

/// Retained messages shown at the most.
const MAX_RETAINED: usize = 1_000;

/// The places of those who subscribe by the control API.
pub(super) struct Subscribers(Arc<Semaphore>);

impl Default for Subscribers {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MAX_SUBSCRIBERS)))
    }
}

impl Router {
    /// Answers what is about the realtime endpoint.
    pub(super) async fn control_realtime(
        &self,
        path: &[&str],
        request: Request<CallBody>,
    ) -> Result<Answer, Refusal> {
        const OURS: [&str; 5] = ["publish", "subscribe", "sessions", "retained", "policy"];
        if !path.first().is_some_and(|first| OURS.contains(first)) {
            return Err(Refusal::Unknown);
        }
        let endpoint = self.realtime().ok_or_else(DataError::not_served)?;
        let plane = &endpoint.plane;
        let query = Query::new(request.uri().query());
        match (request.method(), path) {
            (&Method::POST, ["publish"]) => self.control_publish(plane, request).await,
            (&Method::GET, ["subscribe"]) => {
                let filters: Vec<String> = query.all("filter").collect();
                self.control_parts().subscribers.listen(plane, &filters)
            }
            (&Method::GET, ["sessions"]) => {
                let list = plane.sessions(MAX_SESSIONS).await.map_err(DataError::from)?;
                Ok(super::json(&list))
            }
            (&Method::GET, ["sessions", id]) => {
                let session = plane.session(id).await.map_err(DataError::from)?;
                Ok(super::json(&session.ok_or_else(|| no_session(id))?))
            }
            (&Method::DELETE, ["sessions", id]) => {
                let given = |name: &str| query.get(name).as_deref() == Some("true");
                let (clean, prevent_will) = (given("clean"), given("prevent_will"));
                match plane.disconnect(id, clean, prevent_will).await.map_err(DataError::from)? {
                    true => Ok(super::json(&json!({ "disconnected": id }))),
                    false => Err(no_session(id).into()),
                }
            }
            (&Method::GET, ["retained"]) => Ok(super::json(&retained(plane, query)?)),
            (&Method::POST, ["policy"]) => {
                let body = self.body(request, MAX_PAYLOAD).await;
                let question = Question::read(&body.map_err(|error| unreadable(&error))?)?;
                Ok(super::json(&question.answer(plane).await?))
            }
            (_, ["publish" | "policy"]) => Err(Refusal::Method("POST")),
            (_, ["subscribe" | "sessions" | "retained"]) => Err(Refusal::Method("GET")),
            (_, ["sessions", _]) => Err(Refusal::Method("GET or DELETE")),
            _ => Err(Refusal::Unknown),
        }
    }

    async fn control_publish(
        &self,
        plane: &Realtime,
        request: Request<CallBody>,
    ) -> Result<Answer, Refusal> {
        let topic = Query::new(request.uri().query()).get("topic");
        let topic = topic.ok_or_else(|| DataError::invalid("expected `topic` in the query"))?;
        let parameters = Parameters::read(request.uri(), request.headers())?;
        let payload = self.body(request, MAX_PAYLOAD).await.map_err(|error| unreadable(&error))?;
        let published = plane.publish(message(topic.clone(), payload, parameters)).await;
        published.map_err(DataError::from)?;
        Ok(super::json(&json!({ "published": topic })))
    }
}

// === impl Subscribers ===

impl Subscribers {
    /// A stream of the messages whose topics one of `filters` matches, each once, one JSON
    /// object a line. A listener that is too slow loses some and is told how many.
    fn listen(&self, plane: &Realtime, filters: &[String]) -> Result<Answer, Refusal> {
        if !(1..=MAX_FILTERS).contains(&filters.len()) {
            let text = format!("expected 1 to {MAX_FILTERS} times `filter` in the query");
            return Err(DataError::invalid(text).into());
        }
        for filter in filters {
            check_filter(filter).map_err(|error| {
                DataError::invalid(format!("`{filter}` is not a topic filter: {error}"))
            })?;
        }
        let place = Arc::clone(&self.0).try_acquire_owned().map_err(|_| Refusal::Busy)?;
        let feed = Feed::default();
        let listening = feed.listen([]).ok_or(Refusal::Busy)?;
        let mut index = TopicIndex::default();
        for (number, filter) in filters.iter().enumerate() {
            *index.get_or_default(filter) = number;
        }
        let index = Arc::new(index);
        let subscribe = |(number, filter): (usize, &String)| {
            let (feed, index) = (feed.clone(), Arc::clone(&index));
            let tap = move |message: &Arc<Message>| {
                if first_match(&index, &message.topic).is_none_or(|first| first == number) {
                    feed.publish(&line(message));
                }
            };
            plane.subscribe(filter, Arc::new(tap))
        };
        let subscriptions: Vec<_> = filters.iter().enumerate().map(subscribe).collect();
        stream(Some(listening.holding((subscriptions, place))))
    }
}

/// The first of a listener's filters that matches: overlapping ones tell of a message once.
fn first_match(index: &TopicIndex<usize>, topic: &str) -> Option<usize> {
    let mut first = None;
    index.matches(topic, Parent::DoesNot, |number| {
        first = Some(first.map_or(*number, |first: usize| first.min(*number)));
    });
    first
}

/// The retained messages that a filter matches.
fn retained(plane: &Realtime, query: Query<'_>) -> Result<Value, DataError> {
    let filter = query.get("filter").unwrap_or_else(|| "#".to_owned());
    check_filter(&filter).map_err(|error| DataError::invalid(format!("`{filter}`: {error}")))?;
    let mut found = plane.find_retained(&filter, MAX_RETAINED + 1);
    let more = found.len() > MAX_RETAINED;
    found.truncate(MAX_RETAINED);
    let messages: Vec<Value> = found.iter().map(|message| described(message)).collect();
    Ok(json!({ "retained": messages, "more": more }))
}

fn line(message: &Message) -> Bytes {
    let mut line = described(message).to_string();
    line.push('\n');
    line.into()
}

/// A message for programs: its payload as `text` where it is, and as `base64` where not.
fn described(message: &Message) -> Value {
    let mut value = json!({
        "type": "message",
        "at": message.published_at,
        "topic": message.topic,
        "qos": message.qos as u8,
        "retain": message.retain,
    });
    match str::from_utf8(&message.payload) {
        Ok(text) => value["text"] = text.into(),
        Err(_) => value["base64"] = STANDARD.encode(&message.payload).into(),
    }
    if let Some(publisher) = &message.publisher {
        if !publisher.client_id.is_empty() {
            value["clientId"] = json!(publisher.client_id);
        }
        value["principal"] = json!(publisher.principal);
    }
    let Some(properties) = &message.properties else { return value };
    let mut set = |name: &str, property: Option<Value>| {
        if let Some(property) = property {
            value[name] = property;
        }
    };
    set("contentType", properties.content_type.as_deref().map(Value::from));
    set("responseTopic", properties.response_topic.as_deref().map(Value::from));
    set("correlationData", properties.correlation_data.as_ref().map(|d| STANDARD.encode(d).into()));
    set("messageExpiry", properties.message_expiry.map(Value::from));
    set(
        "userProperties",
        (!properties.user.is_empty())
            .then(|| json!(properties.user.as_list().iter().collect::<Vec<_>>())),
    );
    value
}

fn no_session(id: &str) -> DataError {
    DataError::gone(format!("no client `{id}` is connected or has a session"))
}

impl From<DataError> for Refusal {
    fn from(error: DataError) -> Self {
        Self::Realtime(error)
    }
}
