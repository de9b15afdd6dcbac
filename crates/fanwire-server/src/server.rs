//! Putting the parts of an App together, and taking them down again.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use fanwire_app::App;
use fanwire_functions::{Functions, HostOptions};
use fanwire_hub::{Hub, HubOptions, HubStats};
use fanwire_websocket::{Plane, PlaneParts, WebSocketSession};
use indexmap::IndexMap;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::listener;
use crate::router::Router;
use crate::tls::{Acceptor, Authority, TlsError};

/// Where to listen, and what the parts are started with.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// The address to bind; port 0 takes a free one. `127.0.0.1` takes `::1` with it.
    pub address: SocketAddr,
    /// The functions host's options. Region, account and the endpoints of the
    /// services that the server itself offers are filled in from the App.
    pub functions: HostOptions,
    /// The hub's options.
    pub hub: HubOptions,
    /// Where the certificates for clients that speak TLS come from; functions are told to
    /// trust it. Without one the port speaks no TLS.
    pub tls: Option<Arc<Authority>>,
}

impl Default for ServerOptions {
    /// Loopback, port 3001.
    fn default() -> Self {
        Self {
            address: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 3001),
            functions: HostOptions::default(),
            hub: HubOptions::default(),
            tls: None,
        }
    }
}

/// Who is told of what happens.
#[derive(Clone)]
pub struct Observers {
    /// Of the WebSocket APIs' requests.
    pub websocket: Arc<dyn fanwire_websocket::Observer>,
    /// Of the functions' starts, lines and ends.
    pub functions: Arc<dyn fanwire_functions::Observer>,
}

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address is taken, or not ours to bind.
    #[error("cannot listen on {address}: {source}; choose another address or port")]
    Bind {
        /// What was to be bound.
        address: SocketAddr,
        /// The system's answer.
        source: io::Error,
    },
    /// The shards' threads or event queues could not be made.
    #[error("cannot start the shards: {0}")]
    Hub(#[source] io::Error),
    /// The functions host could not start.
    #[error(transparent)]
    Functions(#[from] fanwire_functions::StartError),
    /// No certificates can be made.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// An App that is being served.
pub struct Server {
    address: SocketAddr,
    router: Arc<Router>,
    hub: Hub<WebSocketSession>,
    stopped: watch::Sender<bool>,
}

// === impl Server ===

impl Server {
    /// Binds and starts everything. To be called on a tokio runtime.
    ///
    /// # Errors
    ///
    /// [`StartError`]; nothing is left running then.
    pub async fn start(
        app: &App,
        options: ServerOptions,
        observers: Observers,
    ) -> Result<Self, StartError> {
        let bind = |source| StartError::Bind { address: options.address, source };
        let listener = listener::listen(options.address).map_err(bind)?;
        let address = listener.local_addr().map_err(bind)?;
        let twin = listen_on_twin(address);
        let mut host = options.functions;
        host.region.clone_from(&app.region);
        host.account_id.clone_from(&app.account_id);
        host.environment.extend(endpoints(app, address));
        let mut acceptor = None;
        if let Some(authority) = &options.tls {
            acceptor = Some(Acceptor::new(authority, address.ip())?);
            host.environment.extend(authority.environment(|name| std::env::var_os(name))?);
        }
        let functions = Functions::start(&app.functions, host, observers.functions)?;
        let hub = Hub::start(options.hub).map_err(StartError::Hub)?;
        let parts = PlaneParts {
            hub: hub.clone(),
            functions: functions.clone(),
            observer: observers.websocket,
            runtime: Handle::current(),
            region: app.region.clone(),
            account_id: app.account_id.clone(),
        };
        let plane = Plane::new(app.websocket_apis.clone(), parts);
        let (region, account_id) = (app.region.clone(), app.account_id.clone());
        let router = Router::new(plane, functions, address.port(), region, account_id);
        let router = Arc::new(router);
        let (stopped, watching) = watch::channel(false);
        for listener in std::iter::once(listener).chain(twin) {
            let (router, acceptor) = (Arc::clone(&router), acceptor.clone());
            tokio::spawn(listener::accept(listener, router, acceptor, watching.clone()));
        }
        Ok(Self { address, router, hub, stopped })
    }

    /// The address that is listened on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The WebSocket plane, for use from the same process.
    pub fn websocket(&self) -> &Plane {
        self.router.plane()
    }

    /// The functions host, for use from the same process.
    pub fn functions(&self) -> &Functions {
        self.router.functions()
    }

    /// Counters of the connections.
    pub fn connections(&self) -> HubStats {
        self.hub.stats()
    }

    /// Stops: no new clients, goodbye to those there are, their `$disconnect` events,
    /// what is in flight, the functions. Takes no longer than twice `grace`.
    pub async fn stop(self, grace: Duration) {
        self.router.stop();
        self.router.plane().stop(grace).await;
        self.router.functions().shutdown(grace).await;
        // Nobody is left to answer, so nobody minds that the receivers are gone.
        let _ = self.stopped.send(true);
    }
}

/// Listens on `::1` beside `127.0.0.1`: to some clients `localhost` is the one, to
/// some the other. A machine without IPv6 has no such address, and needs none.
fn listen_on_twin(address: SocketAddr) -> Option<TcpListener> {
    if address.ip() != IpAddr::V4(Ipv4Addr::LOCALHOST) {
        return None;
    }
    listener::listen((Ipv6Addr::LOCALHOST, address.port()).into()).ok()
}

/// The environment variables by which AWS SDKs in handlers find this server.
fn endpoints(app: &App, address: SocketAddr) -> IndexMap<String, String> {
    let ip = match address.ip() {
        ip if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        ip => ip,
    };
    let server = format!("http://{}", SocketAddr::new(ip, address.port()));
    let mut variables = IndexMap::new();
    if let Some(api) = app.websocket_apis.first() {
        let management = format!("{server}/{}", api.stage);
        variables.insert("AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI".to_owned(), management);
    }
    variables.insert("AWS_ENDPOINT_URL_LAMBDA".to_owned(), server);
    variables
}
