//! Building a WebSocket app.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use serde_json::Value;
use tower::util::BoxCloneSyncService;
use tower::{Layer, ServiceExt};

use super::endpoint::{Call, Endpoint};
use super::plugin::{AnyPlugin, Plugin};
use super::service::{Routes, Select, Service, by_action};
use super::{Allow, Event, Handler, IntoAllow, IntoReply, Reply};
use crate::error::BoxError;
use crate::{Error, Result};

/// A WebSocket app: handlers for what happens to connections, as API Gateway, lawcket and
/// Nitric have them.
///
/// ```
/// use fanwire::websocket::{Connection, Json, State, WebSocket};
/// use fanwire::Result;
///
/// #[derive(serde::Deserialize)]
/// struct Say { room: String, text: String }
///
/// /// Messages such as `{"action": "say", "room": "lobby", "text": "hello"}`.
/// async fn say(connection: Connection, Json(say): Json<Say>) -> Result {
///     connection.to_tag(say.room).send(say.text).await?;
///     Ok(())
/// }
///
/// let app = WebSocket::new()
///     .route("say", say)
///     .route("join", async |connection: Connection, Json(say): Json<Say>| connection.tag(say.room).await)
///     .message(async || r#"{"error": "say or join?"}"#);
/// ```
///
/// A message goes to the route that API Gateway has chosen for it; where it comes as
/// `$default`, to the one that its `action` names. So an app has all its routes behind a
/// gateway that declares `$default` alone. A message that no route wants is answered with
/// API Gateway's `Forbidden` frame.
#[must_use = "an app does nothing until it is run"]
pub struct WebSocket<S = ()> {
    state: Arc<S>,
    keys: Vec<String>,
    routes: Routes,
    select: Option<Select>,
    plugins: Vec<Arc<dyn AnyPlugin>>,
    layers: Vec<Wrap>,
    authorizer: Option<Call<Allow>>,
}

/// All that an app does with events, as the layers around it see it.
#[derive(Clone)]
pub struct AppService(BoxCloneSyncService<Event, Reply, Error>);

/// What a layer does.
type Wrap = Box<dyn FnOnce(AppService) -> AppService + Send>;

// === impl WebSocket ===

impl WebSocket {
    /// An app without state.
    pub fn new() -> Self {
        Self::with_state(())
    }
}

impl Default for WebSocket {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> fmt::Debug for WebSocket<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocket").field("routes", &self.keys).finish_non_exhaustive()
    }
}

impl<S: Send + Sync + 'static> WebSocket<S> {
    /// An app whose handlers have `state`, or parts of it, as [`State`](super::State).
    pub fn with_state(state: S) -> Self {
        Self {
            state: Arc::new(state),
            keys: Vec::new(),
            routes: Routes::default(),
            select: None,
            plugins: Vec::new(),
            layers: Vec::new(),
            authorizer: None,
        }
    }

    /// What a client that wants to connect is given to (`$connect`). It is connected once
    /// the handler has returned, and refused where that is an error or a status that is not
    /// 200 to 299. Without a handler, all may connect.
    pub fn connect<H, A>(mut self, handler: H) -> Self
    where
        H: Handler<S, A>,
        H::Output: IntoReply,
    {
        self.routes.connect = Some(self.replying(handler));
        self
    }

    /// What the end of a connection is given to (`$disconnect`). AWS does not promise that
    /// it comes, and takes no answer.
    pub fn disconnect<H, A>(mut self, handler: H) -> Self
    where
        H: Handler<S, A>,
        H::Output: IntoReply,
    {
        self.routes.disconnect = Some(self.replying(handler));
        self
    }

    /// What messages of a route are given to. The last handler of a key is the one.
    pub fn route<H, A>(mut self, key: impl Into<String>, handler: H) -> Self
    where
        H: Handler<S, A>,
        H::Output: IntoReply,
    {
        let (key, handler) = (key.into(), self.replying(handler));
        if self.routes.custom.insert(key.clone(), handler).is_none() {
            self.keys.push(key);
        }
        self
    }

    /// What messages of no other route are given to (`$default`).
    pub fn message<H, A>(mut self, handler: H) -> Self
    where
        H: Handler<S, A>,
        H::Output: IntoReply,
    {
        self.routes.default = Some(self.replying(handler));
        self
    }

    /// What decides who may connect, before `connect`. Its arguments are those of a handler
    /// of `connect`; what it says of the client, handlers have as
    /// [`Principal`](super::Principal) and [`Authorized`](super::Authorized).
    pub fn authorizer<H, A>(mut self, authorizer: H) -> Self
    where
        H: Handler<S, A>,
        H::Output: IntoAllow,
    {
        let state = Arc::clone(&self.state);
        self.authorizer = Some(Arc::new(move |event| {
            let decision = authorizer.call(event, Arc::clone(&state));
            Box::pin(async move { decision.await?.into_allow() })
        }));
        self
    }

    /// How a message that comes as `$default` names its route, if not by its `action`. It
    /// is asked of messages that are JSON.
    ///
    /// ```
    /// use fanwire::websocket::WebSocket;
    ///
    /// // As `$request.body.data.kind` in serverless.yml.
    /// WebSocket::new()
    ///     .select(|message| Some(message["data"]["kind"].as_str()?.to_owned()))
    ///     .route("ping", async || "pong");
    /// ```
    pub fn select(
        mut self,
        select: impl Fn(&Value) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.select = Some(Arc::new(select));
        self
    }

    /// Adds a plugin: see [`Plugin`].
    pub fn plugin(mut self, plugin: impl Plugin) -> Self {
        self.plugins.push(Arc::new(plugin));
        self
    }

    /// Puts a `tower` layer around everything that the app does with events, its plugins
    /// included. A layer is around those that were added before it. It sees the route that
    /// was chosen as the event's `route_key`.
    ///
    /// ```
    /// use fanwire::websocket::WebSocket;
    /// use tower::util::MapRequestLayer;
    ///
    /// WebSocket::new().message(async || "hello").layer(MapRequestLayer::new(
    ///     |event: fanwire::websocket::Event| { println!("{}", event.route_key); event },
    /// ));
    /// ```
    pub fn layer<L>(mut self, layer: L) -> Self
    where
        L: Layer<AppService> + Send + 'static,
        L::Service: tower::Service<Event, Response = Reply> + Clone + Send + Sync + 'static,
        <L::Service as tower::Service<Event>>::Error: Into<BoxError>,
        <L::Service as tower::Service<Event>>::Future: Send + 'static,
    {
        self.layers.push(Box::new(move |inner| {
            let service = layer.layer(inner).map_err(|error| Error::from_box(error.into()));
            AppService(BoxCloneSyncService::new(service))
        }));
        self
    }

    fn replying<H, A>(&self, handler: H) -> Call<Reply>
    where
        H: Handler<S, A>,
        H::Output: IntoReply,
    {
        let state = Arc::clone(&self.state);
        Arc::new(move |event| {
            let output = handler.call(event, Arc::clone(&state));
            Box::pin(async move { output.await?.into_reply() })
        })
    }
}

impl<S> WebSocket<S> {
    /// The app as homes take it.
    pub(crate) fn into_endpoint(self) -> Endpoint {
        let Self { state: _, keys, routes, select, plugins, layers, authorizer } = self;
        let watched = !plugins.is_empty() || !layers.is_empty();
        Endpoint {
            has_connect: routes.connect.is_some() || watched,
            has_disconnect: routes.disconnect.is_some() || watched,
            has_default: routes.default.is_some(),
            selects: select.is_some(),
            routes: keys,
            authorizer,
            service: wrapped(
                routes,
                select.unwrap_or_else(|| Arc::new(by_action)),
                plugins,
                layers,
            ),
        }
    }
}

/// Chooses the route of an event, and gives it through the layers to the app.
fn wrapped(
    routes: Routes,
    select: Select,
    plugins: Vec<Arc<dyn AnyPlugin>>,
    layers: Vec<Wrap>,
) -> Call<Reply> {
    let service = Arc::new(Service { routes, plugins });
    let app = Arc::clone(&service);
    let layered = (!layers.is_empty()).then(|| {
        let innermost = tower::service_fn(move |event| {
            let app = Arc::clone(&app);
            async move { app.call(event).await }
        });
        let innermost = AppService(BoxCloneSyncService::new(innermost));
        layers.into_iter().fold(innermost, |inner, wrap| wrap(inner))
    });
    Arc::new(move |mut event: Event| {
        if let Some(key) = service.routes.choose(&select, &event) {
            event.route_key = key;
        }
        match &layered {
            Some(layered) => Box::pin(layered.clone().oneshot(event)),
            None => {
                let service = Arc::clone(&service);
                Box::pin(async move { service.call(event).await })
            }
        }
    })
}

// === impl AppService ===

impl fmt::Debug for AppService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AppService")
    }
}

impl tower::Service<Event> for AppService {
    type Response = Reply;
    type Error = Error;
    type Future = BoxFuture<'static, Result<Reply>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<()>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, event: Event) -> Self::Future {
        self.0.call(event)
    }
}
