//! Putting the parts of an App together, and taking them down again.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use fanwire_access::Limiter;
use fanwire_app::App;
use fanwire_app::model::{DynamoDb as DynamoDbSetting, Function, Links, Nitric};
use fanwire_cluster::{Cluster, ClusterOptions, JoinError};
use fanwire_dynamodb::{DynamoDb, DynamoDbOptions, TableError, TableNote};
use fanwire_functions::{Functions, HostOptions, HostUpdate, Redirect};
use fanwire_hub::{Hub, HubOptions, HubStats};
use fanwire_nitric::Observer as NitricObserver;
use fanwire_realtime::{Natives as RealtimeNatives, Realtime};
use fanwire_subscriptions::Subscriptions;
use fanwire_websocket::{Natives as WebSocketNatives, Plane, PlaneParts, WebSocketSession};
use indexmap::IndexMap;
use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::cluster::ClusterHost;
use crate::control::{Control, Feed, Logs, Tap};
use crate::domains::Domains;
use crate::guard::{Guard, GuardError, GuardOptions};
use crate::listener::Sharing;
use crate::listening::{ListenerOptions, Open, RealtimeListeners};
use crate::nitric::{NitricError, NitricHost, NitricOptions, ServedSocket, SocketsParts};
use crate::opening::{acceptors, bind, find_free, listen_on_twin, open_listener, serve_listener};
use crate::port::Port;
use crate::proxy::TrustedProxies;
use crate::realtime::{EndpointTopics, Kept, RealtimeError, RealtimeHost};
use crate::router::Router;
use crate::subscriptions::{SubscriptionsEndpoint, SubscriptionsError};
use crate::telemetry::{AuditError, Check, Telemetry, TelemetryOptions, Telling, TraceError};
use crate::tls::{Authority, Certificates, TlsError};
use crate::{door, dynamodb, endpoints, subscriptions, telemetry};

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
    /// Where the embedded DynamoDB keeps the App's tables. `None`: there is none, even
    /// for an App that wants it.
    pub tables: Option<DynamoDbOptions>,
    /// Authorizers and subscribers of this process, in place of functions that the realtime
    /// endpoint of the App names.
    pub realtime_natives: RealtimeNatives,
    /// Where the realtime endpoint keeps retained messages and sessions. `None`: they end
    /// with the process.
    pub realtime_folder: Option<PathBuf>,
    /// Procedures of this process for clients of tRPC. `None`: there are none.
    pub subscriptions: Option<SubscriptionsEndpoint>,
    /// Where the certificates for clients that speak TLS come from; functions are told to
    /// trust it. Without one the port speaks no TLS.
    pub tls: Option<Arc<Authority>>,
    /// What is presented to clients on a network. `None`: what `tls` makes, if that is there.
    pub certificates: Option<Arc<Certificates>>,
    /// Functions that are Rust in this process, by the keys that routes and authorizers of
    /// WebSocket APIs name.
    pub websocket_natives: WebSocketNatives,
    /// Where clients connect beside `address`.
    pub listeners: Vec<ListenerOptions>,
    /// Listeners that are open already for ports of the realtime endpoint's own.
    pub realtime_listeners: RealtimeListeners,
    /// Who else may listen there, and where the server tells of itself if that is named.
    pub sharing: Sharing,
    /// The proxies whose `X-Forwarded-*` headers are believed.
    pub proxies: TrustedProxies,
    /// Names of hosts that stand for one API each.
    pub domains: Domains,
    /// How a Nitric project is served, where the App is one.
    pub nitric: NitricOptions,
    /// The nodes that serve the App together. `None`: this one alone.
    pub cluster: Option<ClusterOptions>,
    /// Who may call what, and how much of it.
    pub guard: GuardOptions,
    /// What the server tells of itself.
    pub telemetry: TelemetryOptions,
}

impl Default for ServerOptions {
    /// Loopback, port 3001.
    fn default() -> Self {
        Self {
            address: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 3001),
            functions: HostOptions::default(),
            hub: HubOptions::default(),
            tables: None,
            realtime_natives: RealtimeNatives::default(),
            realtime_folder: None,
            subscriptions: None,
            tls: None,
            certificates: None,
            websocket_natives: WebSocketNatives::new(),
            listeners: Vec::new(),
            realtime_listeners: RealtimeListeners::default(),
            sharing: Sharing::default(),
            proxies: TrustedProxies::default(),
            domains: Domains::default(),
            nitric: NitricOptions::default(),
            cluster: None,
            guard: GuardOptions::default(),
            telemetry: TelemetryOptions::default(),
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
    /// Of the realtime endpoint's clients, and of what they are refused.
    pub realtime: Arc<dyn fanwire_realtime::Observer>,
    /// Of what services of a Nitric project want and cannot have.
    /// `None`: nobody.
    pub nitric: Option<Arc<dyn NitricObserver>>,
    /// Where the control API finds the log of this server, if there is one.
    pub logs: Option<Arc<dyn Logs>>,
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
    /// The tables of the App cannot be had.
    #[error(transparent)]
    Tables(#[from] TableError),
    /// The functions host could not start.
    #[error(transparent)]
    Functions(#[from] fanwire_functions::StartError),
    /// The node did not come into its cluster.
    #[error("the cluster: {0}")]
    Cluster(#[from] JoinError),
    /// No certificates can be made.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The realtime endpoint could not start.
    #[error(transparent)]
    Realtime(#[from] RealtimeError),
    /// The Nitric project cannot be served.
    #[error(transparent)]
    Nitric(#[from] NitricError),
    /// Who may call cannot be told.
    #[error(transparent)]
    Guard(#[from] GuardError),
    /// Calls cannot be written down.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// Traces cannot be sent.
    #[error(transparent)]
    Traces(#[from] TraceError),
    /// The subscriptions could not start.
    #[error(transparent)]
    Subscriptions(#[from] SubscriptionsError),
    /// Something that is to be listened on is taken, or not ours.
    #[error("cannot listen on {place}: {source}")]
    Listen {
        /// Where.
        place: String,
        /// The system's answer.
        source: io::Error,
    },
    /// A listener is to speak TLS, and there are no certificates.
    #[error(
        "cannot speak TLS on {place}, because there are no certificates; say in [tls] where they \
        are, or tls = false in [[listen]]"
    )]
    NoCertificates {
        /// Where.
        place: String,
    },
    /// A port of the realtime endpoint's own is to speak TLS, and there are no certificates.
    #[error(
        "cannot speak TLS on {address}, because there are no certificates; leave `tls` out \
        in [[realtime.listen]]"
    )]
    NoTls {
        /// The port's address.
        address: SocketAddr,
    },
}

/// An App that is being served.
pub struct Server {
    address: SocketAddr,
    pub(crate) router: Arc<Router>,
    hub: Hub<WebSocketSession>,
    /// What every function gets, whatever the App says.
    environment: IndexMap<String, String>,
    table_notes: Vec<TableNote>,
    nitric: Option<NitricHost>,
    cluster: Option<ClusterHost>,
    /// Where clients connect beside `address`, in words.
    places: Vec<String>,
    /// Where metrics and health are told.
    telling: Option<Telling>,
    /// Told when no more clients are taken, except at `address`.
    closed: watch::Sender<bool>,
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
        mut options: ServerOptions,
        observers: Observers,
    ) -> Result<Self, StartError> {
        let telemetry = Telemetry::start(&options.telemetry, options.certificates.clone())?;
        let observers = telemetry.counting(observers);
        telemetry.counting_calls(&mut options.guard);
        find_free(&options, app)?;
        let (listener, address) = bind(options.address)?;
        let twin = listen_on_twin(address);
        let sharing = options.sharing;
        let opened = options.listeners.iter().map(|each| open_listener(each, sharing));
        let opened = opened.collect::<Result<Vec<_>, _>>()?;
        let places: Vec<String> = opened.iter().map(Open::place).collect();
        let (own_acceptor, acceptor) = acceptors(&options, address.ip())?;
        let tables = options.tables.map(DynamoDb::new);
        let table_notes = make_tables(tables.as_ref(), app).await?;
        let mut environment = options.functions.environment.clone();
        let guard = Guard::start(&options.guard, &mut environment)?;
        if let Some(authority) = &options.tls {
            environment.extend(authority.environment(|name| std::env::var_os(name))?);
        }
        let host = host_update(app, address, &environment).into_options(options.functions);
        let functions =
            Functions::start(&endpoints::functions(app, address), host, observers.functions)?;
        let hub = Hub::start(options.hub.clone()).map_err(StartError::Hub)?;
        let cluster = match options.cluster {
            Some(options) => {
                let place = places.first().cloned().unwrap_or_else(|| address.to_string());
                Some(ClusterHost::join(options, place, &hub).await?)
            }
            None => None,
        };
        let traffic = Feed::default();
        let mesh = cluster.as_ref().and_then(ClusterHost::mesh);
        let kept = Kept { folder: options.realtime_folder, mesh };
        let (natives, observer) = (options.realtime_natives, observers.realtime);
        let limiter = Arc::clone(guard.limiter());
        let realtime =
            RealtimeHost::new(&options.hub, functions.clone(), natives, observer, limiter, kept);
        realtime.apply(app, Duration::ZERO).await?;
        let nitric = match &app.nitric {
            Some(_) => {
                let observer = observers.nitric;
                Some(NitricHost::start(app, &options.nitric, &functions, observer).await?)
            }
            None => None,
        };
        let mut natives = options.websocket_natives;
        if let Some(nitric) = &nitric {
            natives.insert(Nitric::FUNCTION.to_owned(), Arc::new(nitric.handler()));
        }
        let parts = PlaneParts {
            hub: hub.clone(),
            functions: functions.clone(),
            natives,
            observer: Arc::new(Tap { inner: observers.websocket, traffic: traffic.clone() }),
            runtime: Handle::current(),
            region: app.region.clone(),
            account_id: app.account_id.clone(),
            topics: Some(Box::new(EndpointTopics(Arc::clone(&realtime)))),
            limiter: Arc::clone(guard.limiter()),
            nodes: cluster.as_ref().map(|cluster| Box::new(cluster.nodes()) as _),
        };
        let realtime_ports = options.realtime_listeners.ports(app, acceptor.as_ref(), sharing)?;
        let own = Port::of_server(address.port(), own_acceptor);
        let own = if options.listeners.is_empty() { own } else { own.internal() };
        let ports = std::iter::once(listener).chain(twin).map(|each| (each, own.clone()));
        let plane = Plane::new(app.websocket_apis.clone(), parts);
        let own_plane = plane.clone();
        let control = Control::new(app, observers.logs, traffic);
        let subscriptions = match options.subscriptions {
            Some(endpoint) => Some(subscriptions::Endpoint::start(endpoint, &options.hub).await?),
            None => None,
        };
        let planes = (plane, realtime, subscriptions);
        let router = Router::new(
            app,
            Arc::clone(&guard),
            planes,
            functions,
            tables.clone(),
            (options.proxies, options.domains),
            (control, Arc::clone(&telemetry)),
        );
        let router = Arc::new(router);
        telemetry.attach(Arc::downgrade(&router));
        let (stopped, watching) = watch::channel(false);
        let (closed, closing) = watch::channel(false);
        guard.follow(watching.clone());
        let telling = telemetry::open(&options.telemetry, sharing, &telemetry)?;
        if let Some(cluster) = &cluster {
            cluster.start(router.plane(), router.realtime_host()).await;
            telemetry.follow(cluster.cluster().clone());
        }
        for (listener, port) in ports {
            let (router, stopped) = (Arc::clone(&router), watching.clone());
            door::open(listener, router, port, stopped.clone(), stopped)
                .map_err(|source| StartError::Bind { address, source })?;
        }
        for (listener, port) in realtime_ports {
            let (router, closed) = (Arc::clone(&router), closing.clone());
            door::open(listener, router, port, closed, watching.clone())
                .map_err(|source| StartError::Bind { address, source })?;
        }
        for (open, wanted) in opened.into_iter().zip(&options.listeners) {
            let watching = (closing.clone(), watching.clone());
            serve_listener(open, wanted, &router, acceptor.clone(), watching)?;
        }
        router.open();
        if let Some(nitric) = &nitric {
            nitric.attach(SocketsParts {
                plane: own_plane,
                router: Arc::downgrade(&router),
                ip: address.ip(),
                tls: acceptor,
                stopped: watching.clone(),
            });
            nitric.apply(app).await;
        }
        if let Some(certificates) = options.certificates {
            tokio::spawn(certificates.keep(watching.clone()));
        }
        if let Some(tables) = tables {
            let (clock, now) = (hub.clock().clone(), Arc::clone(router.sweep()));
            tokio::spawn(dynamodb::sweep(tables, clock, now, watching));
        }
        Ok(Self {
            address,
            router,
            hub,
            environment,
            table_notes,
            nitric,
            cluster,
            places,
            telling,
            closed,
            stopped,
        })
    }

    /// What was done to the tables at the start, and what could not be.
    pub fn table_notes(&self) -> &[TableNote] {
        &self.table_notes
    }

    /// Moves the clock of connections and tables ahead: what was due in that time, idle
    /// and old connections to close, items to expire, happens now. Says how far the clock
    /// is ahead in all.
    pub fn advance_clock(&self, by: Duration) -> Duration {
        self.router.advance_clock(by)
    }

    /// How far the clock has been moved ahead.
    pub(crate) fn clock_ahead(&self) -> Duration {
        self.hub.clock().ahead()
    }

    /// What the functions host is told of an App.
    pub(crate) fn host_update(&self, app: &App) -> HostUpdate {
        host_update(app, self.address, &self.environment)
    }

    /// The App's functions as this server hosts them.
    pub(crate) fn hosted(&self, app: &App) -> IndexMap<String, Function> {
        endpoints::functions(app, self.address)
    }

    /// The environment variables of a process of the App's that is no function, such as
    /// what serves a site: what functions get for the server's sake, the links, and its
    /// own, with the server's address where they hold
    /// [`SERVER_ADDRESS`](fanwire_app::model::SERVER_ADDRESS).
    pub fn environment_of(
        &self,
        app: &App,
        own: &IndexMap<String, String>,
        links: &Links,
    ) -> IndexMap<String, String> {
        let mut environment = self.host_update(app).environment;
        environment.extend(endpoints::variables(app, self.address, own, links));
        environment
    }

    /// The address that is listened on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The WebSocket plane, for use from the same process.
    pub fn websocket(&self) -> &Plane {
        self.router.plane()
    }

    /// The realtime plane, for use from the same process, while the App has an endpoint.
    pub fn realtime(&self) -> Option<Realtime> {
        self.router.realtime().map(|endpoint| endpoint.plane.clone())
    }

    /// The subscriptions, for use from the same process, where it has an endpoint for them.
    pub fn subscriptions(&self) -> Option<&Subscriptions> {
        self.router.subscriptions().map(|endpoint| &endpoint.plane)
    }

    /// What clients are held to, and how often they were over it.
    pub fn limiter(&self) -> &Arc<Limiter> {
        self.router.guard().limiter()
    }

    /// The cluster, where the App is served by several nodes.
    pub fn cluster(&self) -> Option<&Cluster> {
        self.cluster.as_ref().map(ClusterHost::cluster)
    }

    /// The functions host, for use from the same process.
    pub fn functions(&self) -> &Functions {
        self.router.functions()
    }

    /// The Nitric project, in an App that is one.
    pub(crate) fn nitric(&self) -> Option<&NitricHost> {
        self.nitric.as_ref()
    }

    /// The sockets that Nitric services have, and whenever there are more. `None` in an App
    /// that is no Nitric project.
    pub fn nitric_sockets(&self) -> Option<watch::Receiver<IndexMap<String, ServedSocket>>> {
        self.nitric().map(|nitric| nitric.sockets().watch())
    }

    /// Where Nitric services call: what their `SERVICE_ADDRESS` is.
    pub fn nitric_address(&self) -> Option<SocketAddr> {
        self.nitric().map(NitricHost::address)
    }

    /// Waits until Nitric services have said which sockets they have, or have ended, or have
    /// taken too long.
    pub async fn nitric_settled(&self) {
        if let Some(nitric) = self.nitric() {
            nitric.settled().await;
        }
    }

    /// Starts Nitric services anew, by their keys.
    pub fn restart_nitric_services<'k>(&self, keys: impl IntoIterator<Item = &'k str>) {
        if let Some(nitric) = self.nitric() {
            nitric.supervisor().restart(keys);
        }
    }

    /// Counters of the connections.
    pub fn connections(&self) -> HubStats {
        self.hub.stats()
    }

    /// Where clients connect beside [`address`](Self::address): an address, or `unix:` and a
    /// path.
    pub fn places(&self) -> &[String] {
        &self.places
    }

    /// Where metrics and health are told, if anywhere but where clients connect.
    pub fn telemetry_address(&self) -> Option<SocketAddr> {
        self.telling.as_ref().map(Telling::address)
    }

    /// Has the server ready only while this is well, too.
    pub fn add_check(&self, check: Arc<dyn Check>) {
        self.router.telemetry().add_check(check);
    }

    /// Whether clients are let in: not any more once they are being sent away.
    pub fn is_open(&self) -> bool {
        !self.router.is_stopping()
    }

    /// Sends the clients away, one after the other over `window`, in the way of their
    /// protocol: WebSockets are closed with 1001, MQTT clients are told that the server shuts
    /// down, tRPC clients are asked to reconnect. Nobody new is let in from now on. Done once
    /// all have left, and when `window` is over at the latest.
    pub async fn drain(&self, window: Duration) {
        self.retire();
        let _ = self.closed.send(true);
        // Who is in a queue is taken in before that, and then sent away like all the others.
        let _ = tokio::time::timeout(CLOSING, self.closed.closed()).await;
        self.router.stop();
        let realtime = self.realtime();
        self.hub.drain(window);
        if let Some(realtime) = &realtime {
            realtime.drain(window);
        }
        let subscriptions = self.subscriptions();
        if let Some(subscriptions) = subscriptions {
            subscriptions.drain(window);
        }
        let left = || {
            let realtime = realtime.as_ref().map_or(0, |plane| plane.connections().connections);
            let subscriptions = subscriptions.map_or(0, |plane| plane.stats().connections);
            self.hub.stats().connections + realtime + subscriptions
        };
        let all_have_left = async {
            while left() > 0 {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        let _ = tokio::time::timeout(window, all_have_left).await;
    }

    /// Stops: no new clients, goodbye to those there are, their `$disconnect` events and
    /// wills, what is in flight, the functions. Takes no longer than twice `grace`, and 20
    /// seconds for processes that do not end, other nodes and traces.
    pub async fn stop(self, grace: Duration) {
        // First: what it took on now it could not do any more.
        self.retire();
        self.router.stop();
        // Before what a successor waits for: it wants this address, too.
        if let Some(telling) = &self.telling {
            telling.close();
        }
        let realtime = self.router.realtime_host();
        let subscriptions = async {
            if let Some(endpoint) = self.router.subscriptions() {
                endpoint.stop(grace).await;
            }
        };
        tokio::join!(self.router.plane().stop(grace), realtime.stop(grace), subscriptions);
        // Only now: `$disconnect` events were for them.
        if let Some(nitric) = self.nitric() {
            nitric.stop(grace).await;
        }
        self.router.functions().shutdown(grace).await;
        if let Some(cluster) = &self.cluster {
            cluster.leave().await;
        }
        self.router.flush_traces().await;
        // Nobody is left to answer, so nobody minds that the receivers are gone.
        let _ = self.stopped.send(true);
    }

    fn retire(&self) {
        if let Some(cluster) = &self.cluster {
            cluster.retire();
        }
    }
}

/// How long listeners may take to close, which they do as soon as they are told.
const CLOSING: Duration = Duration::from_secs(1);

/// How often it is looked whether all clients have left.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What the functions host is told of an App that is served at `address`.
fn host_update(
    app: &App,
    address: SocketAddr,
    environment: &IndexMap<String, String>,
) -> HostUpdate {
    let mut environment = environment.clone();
    environment.extend(endpoints::services(app, address));
    HostUpdate {
        region: app.region.clone(),
        account_id: app.account_id.clone(),
        environment,
        redirect: Some(Redirect { port: address.port(), hosts: endpoints::hosts(app) }),
    }
}

/// Makes the App's tables, if they are ours to make.
pub(crate) async fn make_tables(
    tables: Option<&DynamoDb>,
    app: &App,
) -> Result<Vec<TableNote>, TableError> {
    let Some(tables) = tables.filter(|_| app.dynamodb == DynamoDbSetting::Embedded) else {
        return Ok(Vec::new());
    };
    let (tables, declared) = (tables.clone(), app.tables.clone());
    // It fails only where it panics, which would be a defect of the engine's.
    let made = tokio::task::spawn_blocking(move || tables.ensure(declared.values())).await;
    made.unwrap_or_else(|error| {
        Err(TableError::Refused { table: "*".to_owned(), why: error.to_string() })
    })
}
