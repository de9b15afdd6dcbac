//! The app as a complete server: the gateway is in this process, and handlers are called
//! with values.

mod gateway;
mod log;
mod native;
mod options;
mod realtime;
mod subscriptions;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use fanwire_app::App as Model;
use fanwire_app::model::{
    Authorizer, DynamoDb, Integration, Limits, LogSettings, Profile, Route, WebSocketApi,
};
use fanwire_app::selection::RouteSelection;
use fanwire_server::{Server as Gateway, ServerOptions as GatewayOptions};
use indexmap::IndexMap;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::SetOnce;

use self::gateway::OwnGateway;
use self::log::Log;
use self::native::Handlers;
pub use self::options::ServerOptions;
use self::realtime::OwnBroker;
use self::subscriptions::OwnDelivery;
use crate::home::Home;
use crate::realtime::{Broker, NoBroker, Place};
use crate::subscriptions::Publisher;
use crate::{App, Result};

/// The key of the function that is this app, in the model that the gateway serves.
const APP: &str = "app";

/// The stage of the app's one WebSocket API, as API Gateway calls one that has no name.
const STAGE: &str = "$default";

/// What is said where something is to be sent that has no server any more.
const STOPPED: &str = "the server has stopped";

/// The planes, as handlers reach them: held by the server alone. A plane has the handlers, and
/// they have a home, which so must not hold the plane: all of it would stay in memory for as
/// long as the process does.
#[derive(Debug)]
struct Planes {
    websocket: fanwire_websocket::Plane,
    subscriptions: Option<fanwire_subscriptions::Subscriptions>,
}

/// An app that is served by this process.
///
/// ```
/// use fanwire::websocket::{Connection, Text, WebSocket};
/// use fanwire::{App, Server, ServerOptions};
///
/// # async fn example() -> fanwire::Result {
/// let echo = WebSocket::new().message(async |Text(text): Text| text);
/// let options = ServerOptions::default().with_address(([127, 0, 0, 1], 0));
/// let server = Server::start(App::from(echo), options).await?;
/// println!("ws://{}", server.address());
/// server.stop().await;
/// # Ok(())
/// # }
/// ```
pub struct Server {
    gateway: Gateway,
    planes: Arc<Planes>,
    home: Home,
    options: ServerOptions,
}

// === impl Server ===

impl Server {
    /// Binds and starts everything. To be called on a tokio runtime.
    ///
    /// # Errors
    ///
    /// Where the address is taken, or what the app keeps cannot be read.
    pub async fn start(app: App, options: ServerOptions) -> Result<Self> {
        let at_home = Arc::new(SetOnce::new());
        let mut model = model_of(&app, &options)?;
        let mut gateway = GatewayOptions {
            address: options.address,
            hub: options.hub(),
            realtime_folder: options.data.as_ref().map(|folder| folder.join("realtime")),
            ..GatewayOptions::default()
        };
        let authorizer = app.websocket.as_ref().and_then(|app| app.authorizer.clone());
        if let Some(endpoint) = app.websocket {
            model.websocket_apis.push(api_of(&app.name, &endpoint));
            let handlers = Handlers::new(endpoint, Arc::clone(&at_home));
            gateway.websocket_natives.insert(APP.to_owned(), Arc::new(handlers));
        }
        if let Some(endpoint) = app.realtime {
            let endpoint = endpoint.endpoint()?;
            let place = Place {
                partition: "aws".to_owned(),
                region: model.region.clone(),
                account_id: model.account_id.clone(),
            };
            model.realtime = Some(realtime::model_of(&endpoint));
            gateway.realtime_natives = realtime::natives_of(&endpoint, &place, &at_home);
        }
        if let Some(endpoint) = app.subscriptions {
            let endpoint = subscriptions::endpoint_of(endpoint, authorizer, &at_home, &options);
            gateway.subscriptions = Some(endpoint);
        }
        let gateway = Gateway::start(&model, gateway, Log::observers()).await?;
        let planes = Arc::new(Planes {
            websocket: gateway.websocket().clone(),
            subscriptions: gateway.subscriptions().cloned(),
        });
        let connections = OwnGateway::new(&planes);
        let broker: Arc<dyn Broker> = match gateway.realtime() {
            Some(plane) => Arc::new(OwnBroker::new(&plane)),
            None => Arc::new(NoBroker),
        };
        let mut home = Home::new(Arc::new(connections), broker);
        if planes.subscriptions.is_some() {
            home = home.with_publisher(Publisher::new(OwnDelivery(Arc::downgrade(&planes))));
        }
        // It is set here and nowhere else.
        let _ = at_home.set(home.clone());
        Ok(Self { gateway, planes, home, options })
    }

    /// The address that is listened on.
    pub fn address(&self) -> SocketAddr {
        self.gateway.address()
    }

    /// What the app reaches its connections and topics by: for what is not a handler.
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// Moves the clock of all connections ahead, for tests: what is due in that time
    /// happens now, such as authorizers that are asked again.
    pub fn advance_clock(&self, by: Duration) {
        self.gateway.advance_clock(by);
    }

    /// Stops: no new clients, goodbye to those there are, and their disconnect handlers.
    /// Takes no longer than twice [`ServerOptions::grace`]. All that the app holds is then
    /// dropped, but for what the program itself still has.
    pub async fn stop(self) {
        self.gateway.stop(self.options.grace).await;
        // Handlers of those who have just left have reached it until now.
        drop(self.planes);
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("address", &self.address()).finish_non_exhaustive()
    }
}

/// Serves an app until it is told to stop.
pub(crate) async fn run(app: App, options: ServerOptions) -> Result {
    // Caught before anybody can know that there is something to stop.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let server = Server::start(app, options).await?;
    Log.line(format_args!("serving ws://{}; Ctrl-C stops", server.address()));
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    server.stop().await;
    Ok(())
}

/// What the gateway is told of an app: all of it is one function.
fn model_of(app: &App, options: &ServerOptions) -> Result<Model> {
    let root = match &options.data {
        Some(folder) => folder.clone(),
        None => std::env::current_dir()?,
    };
    Ok(Model {
        service: app.name.clone(),
        stage: STAGE.to_owned(),
        region: "us-east-1".to_owned(),
        account_id: "000000000000".to_owned(),
        root,
        file: PathBuf::new(),
        profile: Profile::Open,
        functions: IndexMap::new(),
        websocket_apis: Vec::new(),
        realtime: None,
        tables: IndexMap::new(),
        dynamodb: DynamoDb::default(),
        links: IndexMap::new(),
        sites: IndexMap::new(),
        nitric: None,
        not_served: Vec::new(),
    })
}

/// The app's WebSocket API. Every route leads to the app; the gateway's part is to say which
/// it is, and to send what handlers reply.
fn api_of(name: &str, endpoint: &crate::websocket::Endpoint) -> WebSocketApi {
    let wanted = |key, wanted: bool| wanted.then_some(key);
    // An app that chooses routes in its own way has all messages come as `$default`.
    let custom = endpoint.routes.iter().filter(|_| !endpoint.selects).map(String::as_str);
    let fixed = [
        wanted("$connect", endpoint.has_connect || endpoint.authorizer.is_some()),
        wanted("$disconnect", endpoint.has_disconnect),
        wanted("$default", endpoint.has_default || endpoint.selects),
    ];
    let keys = fixed.into_iter().flatten().chain(custom);
    let has_authorizer = endpoint.authorizer.is_some();
    let route = |key: &str| Route {
        integration: Integration::Function { function: APP.to_owned() },
        route_response: true,
        authorizer: (has_authorizer && key == "$connect").then(|| APP.to_owned()),
    };
    let authorizer = Authorizer { function: APP.to_owned(), identity_source: Vec::new() };
    WebSocketApi {
        connect: fanwire_app::model::ConnectRules::default(),
        id: "fanwireapp".to_owned(),
        name: name.to_owned(),
        stage: STAGE.to_owned(),
        base_path: None,
        route_selection: RouteSelection::default(),
        routes: keys.map(|key| (key.to_owned(), route(key))).collect(),
        authorizers: has_authorizer.then(|| (APP.to_owned(), authorizer)).into_iter().collect(),
        stage_variables: IndexMap::new(),
        topics: Vec::new(),
        logs: LogSettings::default(),
        limits: Limits::of(Profile::Open),
    }
}
