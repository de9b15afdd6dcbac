//! The sockets of a Nitric project: a WebSocket API each, with a path on the server's port
//! and a port of its own where any path will do (reference: nitric.md, section 4).

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock, Weak};

use arc_swap::ArcSwap;
use bytes::Bytes;
use fanwire_app::App;
use fanwire_app::model::WebSocketApi;
use fanwire_nitric::{Gateway, GatewayError};
use fanwire_websocket::{ApiIndex, ManagementError, Plane, Post};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use indexmap::IndexMap;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, watch};

use crate::port::Port;
use crate::router::Router;
use crate::tls::Acceptor;
use crate::{door, listener};

/// The most sockets of a project.
const MAX_SOCKETS: usize = 256;

/// Ports that are tried for one socket, until any will do.
const MAX_TRIED: u16 = 1000;

/// A socket that is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServedSocket {
    /// Its name, which is also the path on the server's port.
    pub name: String,
    /// The id of its API.
    pub api_id: String,
    /// The address of its own port.
    pub address: SocketAddr,
}

/// What sockets are opened with.
pub(crate) struct SocketsParts {
    pub(crate) plane: Plane,
    pub(crate) router: Weak<Router>,
    /// Where the ports are.
    pub(crate) ip: IpAddr,
    pub(crate) tls: Option<Acceptor>,
    pub(crate) stopped: watch::Receiver<bool>,
}

/// The sockets that services have.
pub(crate) struct Sockets {
    first_port: u16,
    parts: OnceLock<SocketsParts>,
    app: ArcSwap<App>,
    /// By name. A socket stays for as long as the server runs.
    open: watch::Sender<IndexMap<String, ServedSocket>>,
    /// Held while sockets or the App change.
    changing: Mutex<()>,
}

// === impl ServedSocket ===

impl ServedSocket {
    /// The URL that clients of this machine connect to.
    pub fn url(&self) -> String {
        let host = match self.address.ip() {
            ip if ip.is_loopback() || ip.is_unspecified() => "localhost".to_owned(),
            ip => ip.to_string(),
        };
        format!("ws://{host}:{}", self.address.port())
    }
}

// === impl Sockets ===

impl Sockets {
    pub(crate) fn new(app: &App, first_port: u16) -> Self {
        Self {
            first_port,
            parts: OnceLock::new(),
            app: ArcSwap::from_pointee(app.clone()),
            open: watch::Sender::default(),
            changing: Mutex::default(),
        }
    }

    pub(crate) fn attach(&self, parts: SocketsParts) {
        // It is done once, by whoever starts the server.
        let _ = self.parts.set(parts);
    }

    /// The sockets, and whenever there are more.
    pub(crate) fn watch(&self) -> watch::Receiver<IndexMap<String, ServedSocket>> {
        self.open.subscribe()
    }

    /// Has the plane serve the APIs of a changed App, and the sockets as before.
    pub(crate) async fn apply(&self, app: &App) {
        let _alone = self.changing.lock().await;
        self.app.store(Arc::new(app.clone()));
        self.update_plane();
    }

    /// How many services the App has.
    pub(crate) fn services(&self) -> usize {
        self.app.load().nitric.as_ref().map_or(0, |nitric| nitric.services.len())
    }

    /// The socket that an API is.
    pub(crate) fn name_of(&self, api_id: &str) -> Option<String> {
        let open = self.open.borrow();
        open.values().find(|socket| socket.api_id == api_id).map(|socket| socket.name.clone())
    }

    fn update_plane(&self) {
        let Some(parts) = self.parts.get() else { return };
        let app = self.app.load();
        let mut apis = app.websocket_apis.clone();
        apis.extend(self.open.borrow().keys().map(|name| app.nitric_socket(name)));
        parts.plane.update(apis, &app.region, &app.account_id);
    }

    async fn try_open(&self, name: &str) -> Result<(), GatewayError> {
        let refused = |text: String| GatewayError::Refused(text);
        if self.open.borrow().contains_key(name) {
            return Ok(());
        }
        let parts = self.parts.get().ok_or_else(|| refused("the server is starting".to_owned()))?;
        let _alone = self.changing.lock().await;
        if self.open.borrow().contains_key(name) {
            return Ok(());
        }
        if self.open.borrow().len() >= MAX_SOCKETS {
            return Err(refused(format!("there are {MAX_SOCKETS} websockets already")));
        }
        let api = self.app.load().nitric_socket(name);
        let (listeners, address) = self.bind(name, parts.ip)?;
        let socket = ServedSocket { name: name.to_owned(), api_id: api.id.clone(), address };
        self.add(socket);
        self.update_plane();
        self.let_in(&api, listeners, parts).map_err(|error| refused(error.to_string()))
    }

    fn add(&self, socket: ServedSocket) {
        self.open.send_modify(|open| {
            open.insert(socket.name.clone(), socket);
        });
    }

    fn let_in(
        &self,
        api: &WebSocketApi,
        listeners: Vec<TcpListener>,
        parts: &SocketsParts,
    ) -> io::Result<()> {
        let Some(router) = parts.router.upgrade() else { return Ok(()) };
        for listener in listeners {
            let number = listener.local_addr()?.port();
            let port = Port::of_socket(&api.id, number, parts.tls.clone());
            let stopped = parts.stopped.clone();
            door::open(listener, Arc::clone(&router), port, stopped.clone(), stopped)?;
        }
        Ok(())
    }

    /// The listeners of a socket's own port: on `::1` beside `127.0.0.1`, as the server's.
    fn bind(&self, name: &str, ip: IpAddr) -> Result<(Vec<TcpListener>, SocketAddr), GatewayError> {
        let wanted = self.app.load().nitric.as_ref().and_then(|n| n.ports.get(name).copied());
        let listeners = match wanted {
            Some(port) => listener::listen_on_both((ip, port).into()),
            None => self.next_free(ip),
        };
        let bound = listeners.and_then(|listeners| {
            let address = listeners.first().map(TcpListener::local_addr);
            Ok((listeners, address.unwrap_or(Err(io::ErrorKind::NotFound.into()))?))
        });
        bound.map_err(|error| {
            let port = wanted.map(|port| format!(" {port} of local.nitric.yaml"));
            let port = port.unwrap_or_default();
            GatewayError::Refused(format!("its port{port} cannot be had: {error}"))
        })
    }

    fn next_free(&self, ip: IpAddr) -> io::Result<Vec<TcpListener>> {
        let first = self.first_port;
        let tried = if first == 0 { 0 } else { MAX_TRIED };
        let tried = first..first.saturating_add(tried);
        let found =
            tried.into_iter().find_map(|port| listener::listen_on_both((ip, port).into()).ok());
        found.map_or_else(|| listener::listen_on_both((ip, 0).into()), Ok)
    }

    /// The API of a socket, as the plane numbers it.
    fn index(&self, name: &str) -> Result<(&Plane, ApiIndex), GatewayError> {
        let no_socket = || GatewayError::NoSocket(name.to_owned());
        let parts = self.parts.get().ok_or_else(no_socket)?;
        let id = self.open.borrow().get(name).map(|socket| socket.api_id.clone());
        let id = id.ok_or_else(no_socket)?;
        let index = parts.plane.apis().iter().find(|(_, api)| api.id == id).map(|(at, _)| at);
        Ok((&parts.plane, index.ok_or_else(no_socket)?))
    }
}

impl Gateway for Sockets {
    fn open<'a>(&'a self, socket: &'a str) -> BoxFuture<'a, Result<(), GatewayError>> {
        self.try_open(socket).boxed()
    }

    fn url(&self, socket: &str) -> Option<String> {
        self.open.borrow().get(socket).map(ServedSocket::url)
    }

    fn send<'a>(
        &'a self,
        socket: &'a str,
        connection: &'a str,
        data: Bytes,
    ) -> BoxFuture<'a, Result<(), GatewayError>> {
        async move {
            let (plane, api) = self.index(socket)?;
            let sent = plane.post(api, connection, Post::Body(&data)).await;
            sent.map_err(|error| refused(&error, connection))
        }
        .boxed()
    }

    fn close<'a>(
        &'a self,
        socket: &'a str,
        connection: &'a str,
    ) -> BoxFuture<'a, Result<(), GatewayError>> {
        async move {
            let (plane, api) = self.index(socket)?;
            let closed = plane.delete(api, connection, None).await;
            closed.map_err(|error| refused(&error, connection))
        }
        .boxed()
    }
}

fn refused(error: &ManagementError, connection: &str) -> GatewayError {
    match error {
        ManagementError::Gone | ManagementError::InvalidId(_) => {
            GatewayError::NoConnection(connection.to_owned())
        }
        other => GatewayError::Refused(other.to_string()),
    }
}
