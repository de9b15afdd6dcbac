mod extract;
mod layers;
mod plugins;
pub(crate) mod recording;
mod routes;
mod sync;

use std::sync::Arc;

use futures_util::future::{BoxFuture, ready};
use serde_json::Map;

use self::recording::Recording;
use super::*;
use crate::realtime::{Broker, Publication, PublishError};
use crate::{Home, Result};

/// A broker for apps without topics.
#[derive(Debug)]
struct Silent;

impl Broker for Silent {
    fn publish(&self, _: Publication) -> BoxFuture<'_, Result<(), PublishError>> {
        Box::pin(ready(Err(PublishError::NoEndpoint)))
    }
}

/// An event of connection `a`.
fn event(kind: EventKind, gateway: &Arc<Recording>) -> Event {
    let route_key = match kind {
        EventKind::Connect => "$connect",
        EventKind::Message => "$default",
        EventKind::Disconnect => "$disconnect",
    };
    let connection = ConnectionInfo {
        id: "a".to_owned(),
        api_id: "api".to_owned(),
        stage: "dev".to_owned(),
        domain: "example.com".to_owned(),
        connected_at: 0,
        source_ip: None,
        user_agent: Some("test".to_owned()),
    };
    Event {
        kind,
        route_key: route_key.to_owned(),
        connection: Arc::new(connection),
        request_id: "r1".to_owned(),
        headers: Vec::new(),
        query: Vec::new(),
        body: Body::default(),
        authorizer: Arc::new(Map::new()),
        closed: None,
        home: Home::new(Arc::clone(gateway) as Arc<dyn Gateway>, Arc::new(Silent)),
    }
}

/// A message of connection `a`.
fn message(body: impl Into<Body>, gateway: &Arc<Recording>) -> Event {
    Event { body: body.into(), ..event(EventKind::Message, gateway) }
}

/// What an app replies to an event.
async fn reply<S: Send + Sync + 'static>(app: WebSocket<S>, event: Event) -> Result<Reply> {
    (app.into_endpoint().service)(event).await
}

/// What an app replies to an event, as text.
async fn said<S: Send + Sync + 'static>(app: WebSocket<S>, event: Event) -> String {
    match reply(app, event).await.unwrap().body {
        Some(Body::Text(text)) => text,
        other => panic!("expected text, got {other:?}"),
    }
}
