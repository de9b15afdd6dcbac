//! From the gateway's events to the app's, and back: values all the way.

use std::fmt;
use std::sync::Arc;

use fanwire_websocket::{
    EventType, Native, NativeBody, NativeError, NativeEvent, NativeGrant, NativeReply, NativeResult,
};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::SetOnce;

use crate::Error;
use crate::home::Home;
use crate::websocket::{Body, ConnectionInfo, Endpoint, Event, EventKind};

/// The handlers of an app, as the gateway calls them.
pub(super) struct Handlers {
    endpoint: Endpoint,
    /// What handlers reach the rest by. It is there once the server has started, which the
    /// first clients may have to wait for.
    home: Arc<SetOnce<Home>>,
}

// === impl Handlers ===

impl Handlers {
    pub(super) fn new(endpoint: Endpoint, home: Arc<SetOnce<Home>>) -> Self {
        Self { endpoint, home }
    }
}

impl Native for Handlers {
    fn handle(&self, event: NativeEvent<'_>) -> BoxFuture<'static, NativeResult<NativeReply>> {
        let (service, home) = (Arc::clone(&self.endpoint.service), Arc::clone(&self.home));
        let event = event_of(event);
        async move {
            let event = event(home.wait().await.clone());
            let reply = service(event).await.map_err(|error| failed(&error))?;
            let body = reply.body.map(|body| match body {
                Body::Text(text) => NativeBody::Text(text),
                Body::Binary(bytes) => NativeBody::Binary(bytes),
            });
            Ok(NativeReply { status: reply.status, headers: reply.headers, body })
        }
        .boxed()
    }

    fn authorize(&self, event: NativeEvent<'_>) -> BoxFuture<'static, NativeResult<NativeGrant>> {
        let (authorizer, home) = (self.endpoint.authorizer.clone(), Arc::clone(&self.home));
        let event = event_of(event);
        async move {
            let Some(authorizer) = authorizer else {
                // It is only asked where the model says that there is one.
                return Err(NativeError::new(500, "no authorizer"));
            };
            let event = event(home.wait().await.clone());
            let allow = authorizer(event).await.map_err(|error| failed(&error))?;
            Ok(NativeGrant { principal: allow.principal, context: allow.context })
        }
        .boxed()
    }
}

impl fmt::Debug for Handlers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Handlers").field(&self.endpoint).finish()
    }
}

fn failed(error: &Error) -> NativeError {
    NativeError::new(error.status(), error.to_string())
}

/// The event as the app sees it, but for the home.
fn event_of(event: NativeEvent<'_>) -> impl FnOnce(Home) -> Event + Send + 'static {
    let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    let client = event.client;
    let headers = client.map(|client| client.headers().map(owned).collect()).unwrap_or_default();
    let query = client.map(|client| client.query().map(owned).collect()).unwrap_or_default();
    let connection = ConnectionInfo {
        id: event.connection.to_string(),
        api_id: event.api_id.to_owned(),
        stage: event.stage.to_owned(),
        domain: event.domain.to_owned(),
        connected_at: event.connected_at,
        source_ip: Some(event.source_ip),
        user_agent: event.user_agent.map(str::to_owned),
    };
    // The gateway has written it, as an object.
    let authorizer = event.authorizer.and_then(|context| serde_json::from_str(context.get()).ok());
    let kind = match event.kind {
        EventType::Connect => EventKind::Connect,
        EventType::Message => EventKind::Message,
        EventType::Disconnect => EventKind::Disconnect,
    };
    let body = match event.body {
        NativeBody::Text(text) => Body::Text(text),
        NativeBody::Binary(bytes) => Body::Binary(bytes),
    };
    let (route_key, request_id) = (event.route_key.to_owned(), event.request_id.to_owned());
    let closed = event.closed.map(|(code, reason)| (code, reason.to_owned()));
    move |home| Event {
        kind,
        route_key,
        connection: Arc::new(connection),
        request_id,
        headers,
        query,
        body,
        authorizer: Arc::new(authorizer.unwrap_or_default()),
        closed,
        home,
    }
}
