//! Opening what a server listens on, with what does its handshakes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use fanwire_app::App;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::listener::Sharing;
use crate::listening::{ListenAt, ListenerOptions, Open};
use crate::port::Port;
use crate::router::Router;
use crate::tls::{Acceptor, TlsError};
use crate::{ServerOptions, StartError, door, gate, listener};

/// What does handshakes at the server's own address, and at all others. Where clients have
/// listeners of their own, the former is for functions, which trust this machine's authority
/// and have no certificates, whatever clients have to have; and the latter shows clients
/// nothing of that authority's.
pub(crate) fn acceptors(
    options: &ServerOptions,
    ip: IpAddr,
) -> Result<(Option<Acceptor>, Option<Acceptor>), TlsError> {
    let local = options.tls.as_deref();
    let own = local.map(|authority| Acceptor::new(authority, ip)).transpose()?;
    let certificates = options.certificates.as_ref();
    if options.listeners.is_empty() {
        let presented = certificates.map(|found| found.acceptor(local, ip)).transpose()?;
        let acceptor = presented.or(own);
        return Ok((acceptor.clone(), acceptor));
    }
    Ok((own, certificates.map(|found| found.acceptor(None, ip)).transpose()?))
}

/// Whether all places are free that a server is to have for itself and its successor.
pub(crate) fn find_free(options: &ServerOptions, app: &App) -> Result<(), StartError> {
    let of_clients = options.listeners.iter().filter_map(|listener| match listener.at {
        ListenAt::Address(address) => Some(address),
        _ => None,
    });
    let telemetry = &options.telemetry;
    let of_telemetry = telemetry.address.filter(|_| !telemetry.may_do_without);
    let of_realtime = options.realtime_listeners.wanted(app);
    for address in of_clients.chain(of_telemetry).chain(of_realtime) {
        listener::find_free(address, options.sharing)
            .map_err(|source| StartError::Listen { place: address.to_string(), source })?;
    }
    Ok(())
}

/// Opens what clients connect to.
pub(crate) fn open_listener(
    options: &ListenerOptions,
    sharing: Sharing,
) -> Result<Open, StartError> {
    Open::bind(&options.at, sharing).map_err(|source| {
        let place = match &options.at {
            ListenAt::Address(address) => address.to_string(),
            ListenAt::Unix(path) => path.display().to_string(),
            ListenAt::OpenTcp(_) | ListenAt::OpenUnix(_) => "what was opened for it".to_owned(),
        };
        StartError::Listen { place, source }
    })
}

/// Serves who comes to an open listener until the first of two channels says that it is
/// closed, and on until the second says that all is over.
pub(crate) fn serve_listener(
    open: Open,
    options: &ListenerOptions,
    router: &Arc<Router>,
    acceptor: Option<Acceptor>,
    (closed, stopped): (watch::Receiver<bool>, watch::Receiver<bool>),
) -> Result<(), StartError> {
    let place = open.place();
    let port = Port::of_listener(open.port(), options.tls, acceptor);
    let port = port.ok_or_else(|| StartError::NoCertificates { place: place.clone() })?;
    let router = Arc::clone(router);
    match open {
        Open::Tcp(listener) if !options.proxy_protocol => {
            door::open(listener, router, port, closed, stopped)
                .map_err(|source| StartError::Listen { place, source })?;
        }
        open => {
            let has_proxy = options.proxy_protocol;
            tokio::spawn(gate::open(open, has_proxy, router, port, closed, stopped));
        }
    }
    Ok(())
}

/// Listens on an address; says which it is, where any port would do.
pub(crate) fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let failed = |source| StartError::Bind { address, source };
    let listener = listener::listen(address).map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

/// Listens on `::1` beside `127.0.0.1`: to some clients `localhost` is the one, to
/// some the other. A machine without IPv6 has no such address, and needs none.
pub(crate) fn listen_on_twin(address: SocketAddr) -> Option<TcpListener> {
    if address.ip() != IpAddr::V4(Ipv4Addr::LOCALHOST) {
        return None;
    }
    listener::listen((Ipv6Addr::LOCALHOST, address.port()).into()).ok()
}
