//! A Nitric project: its services' processes, the port that they call, and the sockets that
//! they have. This is where `fanwire-nitric`, which knows no WebSocket, and the WebSocket
//! plane, which knows no Nitric, are put together.
//!
//! A socket becomes a WebSocket API when a service first names it (`sockets`). Events of
//! such an API go to a function of this process (`handler`), and from there to the service.

mod handler;
mod sockets;

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener as StdListener};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fanwire_app::App;
use fanwire_app::model::Service;
use fanwire_functions::{Functions, ServiceState, Supervisor};
use fanwire_nitric::{Activity, Nitric, NitricParts, Observer};
use fanwire_store::{Store, StoreError, StoreOptions};
use tokio::net::TcpListener;
use tokio::time::timeout;

pub(crate) use self::handler::SocketHandler;
pub use self::sockets::ServedSocket;
pub(crate) use self::sockets::{Sockets, SocketsParts};
use crate::listener;

/// The port that services call, if it is free: what their SDK calls that is told nothing.
const SERVICE_PORT: u16 = 50051;

/// The port of the first socket, if it is free.
const FIRST_SOCKET_PORT: u16 = 4001;

/// How long services may take until they have said what they have.
const SETTLED_WITHIN: Duration = Duration::from_secs(20);

/// How long nothing must have been said for services to have said all.
const QUIET: Duration = Duration::from_millis(300);

/// How Nitric projects are served.
#[derive(Debug, Clone)]
pub struct NitricOptions {
    /// The folder where collections and key-value stores are kept. `None`: they end with
    /// the process.
    pub folder: Option<PathBuf>,
    /// The port, on loopback, that services call. Where it is taken a free one is, and
    /// services are told which. 50051.
    pub service_port: u16,
    /// The port of the first socket; the others get the next ones, and taken ones are
    /// passed over. 0 stands for free ones. 4001.
    pub first_socket_port: u16,
    /// Whether services are started. Else somebody else does. True.
    pub start_services: bool,
}

impl Default for NitricOptions {
    fn default() -> Self {
        Self {
            folder: None,
            service_port: SERVICE_PORT,
            first_socket_port: FIRST_SOCKET_PORT,
            start_services: true,
        }
    }
}

/// Why a Nitric project cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum NitricError {
    /// Its folder cannot be used.
    #[error("cannot keep what Nitric services store: {0}")]
    Store(#[from] StoreError),
    /// What is kept cannot be read.
    #[error(transparent)]
    Start(#[from] fanwire_nitric::StartError),
    /// There is no port for services.
    #[error("cannot listen on {address} for Nitric services: {source}")]
    Bind {
        /// What was to be bound.
        address: SocketAddr,
        /// The system's answer.
        source: io::Error,
    },
}

/// A Nitric project that is served.
pub(crate) struct NitricHost {
    nitric: Nitric,
    sockets: Arc<Sockets>,
    supervisor: Supervisor,
    /// Where services call.
    address: SocketAddr,
    start_services: bool,
    /// The ports that services are given for HTTP apps of theirs, which stay the same.
    http_ports: Mutex<HashMap<String, u16>>,
}

/// Who is told of troubles where nobody wants to be.
struct Nobody;

impl Observer for Nobody {
    fn trouble(&self, _: &str) {}
}

// === impl NitricHost ===

impl NitricHost {
    /// Makes all ready but the processes, and takes calls.
    pub(crate) async fn start(
        app: &App,
        options: &NitricOptions,
        functions: &Functions,
        observer: Option<Arc<dyn Observer>>,
    ) -> Result<Self, NitricError> {
        let observer = observer.unwrap_or_else(|| Arc::new(Nobody));
        let listener = bind(options.service_port)?;
        let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, options.service_port));
        let address = listener.local_addr();
        let address = address.map_err(|source| NitricError::Bind { address: loopback, source })?;
        let sockets = Arc::new(Sockets::new(app, options.first_socket_port));
        let (gateway, folder) = (Arc::clone(&sockets), options.folder.clone());
        // It reads what is kept from the disk.
        let starting = tokio::task::spawn_blocking(move || {
            let store = folder.map(|folder| Store::open(&folder, StoreOptions::default()));
            let store = store.transpose()?;
            Ok::<_, NitricError>(Nitric::start(NitricParts { gateway, observer, store })?)
        });
        let nitric = starting
            .await
            .map_err(|panic| NitricError::Bind { address, source: io::Error::other(panic) })??;
        let serving = nitric.clone();
        tokio::spawn(async move { serving.serve(listener).await });
        Ok(Self {
            nitric,
            sockets,
            supervisor: functions.supervisor(),
            address,
            start_services: options.start_services,
            http_ports: Mutex::default(),
        })
    }

    /// What the routes of sockets lead to.
    pub(crate) fn handler(&self) -> SocketHandler {
        SocketHandler::new(self.nitric.clone(), Arc::clone(&self.sockets))
    }

    /// Where sockets are opened. Until this is called they are not.
    pub(crate) fn attach(&self, parts: SocketsParts) {
        self.sockets.attach(parts);
    }

    pub(crate) fn sockets(&self) -> &Sockets {
        &self.sockets
    }

    pub(crate) fn supervisor(&self) -> &Supervisor {
        &self.supervisor
    }

    /// Where services call.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Runs the services of an App from now on, and has sockets be as it says.
    pub(crate) async fn apply(&self, app: &App) {
        self.sockets.apply(app).await;
        let declared = app.nitric.iter().flat_map(|nitric| &nitric.services);
        let services = declared.filter(|_| self.start_services);
        let told = |(key, service): (&String, &Service)| (key.clone(), self.told(key, service));
        self.supervisor.update(&services.map(told).collect());
    }

    /// A service with what it has to know (reference: nitric.md, section 1).
    fn told(&self, key: &str, service: &Service) -> Service {
        let http_port = self.http_port(key).to_string();
        let variables = [
            ("SERVICE_ADDRESS", self.address.to_string()),
            ("NITRIC_ENVIRONMENT", "run".to_owned()),
            ("NITRIC_SERVICE_PORT", self.address.port().to_string()),
            ("NITRIC_SERVICE_HOST", self.address.ip().to_string()),
            ("NITRIC_HTTP_PROXY_PORT", http_port),
            ("NITRIC_STACK", "local".to_owned()),
        ];
        let mut service = service.clone();
        // What a developer sets is theirs, but for where the server is.
        for (name, value) in variables {
            service.environment.insert(name.to_owned(), value);
        }
        service
    }

    /// A port that was free when the service was first told of it.
    fn http_port(&self, key: &str) -> u16 {
        let mut ports = self.http_ports.lock().unwrap_or_else(PoisonError::into_inner);
        *ports.entry(key.to_owned()).or_insert_with(|| {
            let listener = StdListener::bind((Ipv4Addr::LOCALHOST, 0));
            let address = listener.and_then(|listener| listener.local_addr());
            address.map_or(0, |address| address.port())
        })
    }

    /// Waits until services have said what they have, or will not do so any more.
    pub(crate) async fn settled(&self) {
        let settling = async {
            let (mut states, mut activity) = (self.supervisor.states(), self.nitric.activity());
            loop {
                let awaited = self.awaited(&states.borrow_and_update());
                let Activity { connections, announcements } = *activity.borrow_and_update();
                if awaited == 0 && connections == 0 {
                    return;
                }
                // A service has one connection.
                let have_spoken = announcements > 0 && connections >= awaited;
                let quiet = async {
                    match have_spoken {
                        true => tokio::time::sleep(QUIET).await,
                        false => std::future::pending().await,
                    }
                };
                tokio::select! {
                    _ = states.changed() => {}
                    _ = activity.changed() => {}
                    () = quiet => return,
                }
            }
        };
        let _ = timeout(SETTLED_WITHIN, settling).await;
    }

    /// How many services run, or are yet to be started.
    fn awaited(&self, states: &BTreeMap<String, ServiceState>) -> usize {
        let services = if self.start_services { self.sockets.services() } else { 0 };
        let has_ended = |state: &&ServiceState| **state != ServiceState::Running;
        services.saturating_sub(states.values().filter(has_ended).count())
    }

    /// Ends the services, which have up to `grace` for it.
    pub(crate) async fn stop(&self, grace: Duration) {
        self.nitric.stop();
        self.supervisor.stop(grace).await;
    }
}

/// Listens on a port of loopback, or on a free one where it is taken.
fn bind(port: u16) -> Result<TcpListener, NitricError> {
    let address = |port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
    let bound = listener::listen(address(port)).or_else(|_| listener::listen(address(0)));
    bound.map_err(|source| NitricError::Bind { address: address(port), source })
}
