//! Where clients of a server in production connect: listeners beside its own, each with what
//! it speaks and whether a proxy is in front of it.
//!
//! A server's own address, [`ServerOptions::address`](crate::ServerOptions), is for the App's
//! functions and for commands on the same machine; these are for everybody else. They close as
//! soon as the server begins to send its clients away, while the own one stays for functions.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fanwire_app::App;
use fanwire_app::model::RealtimeListener;
use tokio::net::{TcpListener, UnixListener, UnixStream};

use crate::listener::{self, Sharing};
use crate::port::Port;
use crate::server::StartError;
use crate::tls::Acceptor;

/// Who may connect to a Unix socket: its owner and its group, such as that of a proxy.
const SOCKET_MODE: u32 = 0o660;

/// A listener for clients.
#[derive(Debug, Clone)]
pub struct ListenerOptions {
    /// What is listened on.
    pub at: ListenAt,
    /// Whether TLS is spoken.
    pub tls: ListenerTls,
    /// Whether each connection begins with a PROXY header, which says who is behind it.
    pub proxy_protocol: bool,
}

/// What is listened on.
#[derive(Debug, Clone)]
pub enum ListenAt {
    /// A TCP address.
    Address(SocketAddr),
    /// The path of a Unix socket. One that nobody listens on any more is replaced.
    Unix(PathBuf),
    /// A TCP listener that somebody else has opened, such as systemd.
    OpenTcp(Arc<std::net::TcpListener>),
    /// A Unix listener that somebody else has opened.
    OpenUnix(Arc<std::os::unix::net::UnixListener>),
}

/// Whether TLS is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListenerTls {
    /// No.
    Never,
    /// Yes, and nothing else.
    Always,
}

/// The ports of the realtime endpoint's own, `[[realtime.listen]]`, and which of them are open
/// before the server starts.
#[derive(Debug, Clone, Default)]
pub struct RealtimeListeners {
    open: Vec<(SocketAddr, Arc<std::net::TcpListener>)>,
}

/// A listener that is open.
pub(crate) enum Open {
    Tcp(TcpListener),
    Unix(UnixListener),
}

// === impl ListenerOptions ===

impl ListenerOptions {
    /// Begins to listen at once, where nothing is open yet. Who connects waits in the system's
    /// queue until a server is started with this.
    ///
    /// # Errors
    ///
    /// Where the place is taken, or not ours to have.
    pub fn open(&mut self, sharing: Sharing) -> io::Result<()> {
        if matches!(self.at, ListenAt::OpenTcp(_) | ListenAt::OpenUnix(_)) {
            return Ok(());
        }
        self.at = match Open::bind(&self.at, sharing)? {
            Open::Tcp(open) => ListenAt::OpenTcp(Arc::new(open.into_std()?)),
            Open::Unix(open) => ListenAt::OpenUnix(Arc::new(open.into_std()?)),
        };
        Ok(())
    }
}

// === impl RealtimeListeners ===

impl RealtimeListeners {
    /// Begins to listen at once on those ports of `app` that are not open yet. Who connects
    /// waits in the system's queue until a server is started with this.
    ///
    /// # Errors
    ///
    /// Where one is taken, or not ours to have.
    pub fn open(&mut self, app: &App, sharing: Sharing) -> io::Result<()> {
        for RealtimeListener { address, .. } in addresses(app) {
            if self.find(*address).is_none() {
                let open = listener::listen_with_others(*address, sharing)?.into_std()?;
                self.open.push((*address, Arc::new(open)));
            }
        }
        Ok(())
    }

    /// Listens, with what each port speaks.
    pub(crate) fn ports(
        &self,
        app: &App,
        acceptor: Option<&Acceptor>,
        sharing: Sharing,
    ) -> Result<Vec<(TcpListener, Port)>, StartError> {
        let listen = |model: &RealtimeListener| {
            let address = model.address;
            let port = Port::of_realtime(model, acceptor.cloned());
            let port = port.ok_or(StartError::NoTls { address })?;
            let listener = match self.find(address) {
                Some(open) => open.try_clone().and_then(TcpListener::from_std),
                None => listener::listen_with_others(address, sharing),
            };
            Ok((listener.map_err(|source| StartError::Bind { address, source })?, port))
        };
        addresses(app).map(listen).collect()
    }

    /// Ports of `app` that are not open yet.
    pub(crate) fn wanted(&self, app: &App) -> impl Iterator<Item = SocketAddr> {
        let listed = addresses(app).map(|model| model.address);
        listed.filter(|address| self.find(*address).is_none())
    }

    fn find(&self, address: SocketAddr) -> Option<&std::net::TcpListener> {
        self.open.iter().find(|(open, _)| *open == address).map(|(_, listener)| &**listener)
    }
}

fn addresses(app: &App) -> impl Iterator<Item = &RealtimeListener> {
    app.realtime.iter().flat_map(|realtime| &realtime.listeners)
}

// === impl Open ===

impl Open {
    /// Opens what is to be listened on.
    pub(crate) fn bind(at: &ListenAt, sharing: Sharing) -> io::Result<Self> {
        match at {
            ListenAt::Address(address) => {
                listener::listen_with_others(*address, sharing).map(Self::Tcp)
            }
            ListenAt::Unix(path) => bind_unix(path).map(Self::Unix),
            ListenAt::OpenTcp(open) => {
                let open = open.try_clone()?;
                open.set_nonblocking(true)?;
                TcpListener::from_std(open).map(Self::Tcp)
            }
            ListenAt::OpenUnix(open) => {
                let open = open.try_clone()?;
                open.set_nonblocking(true)?;
                UnixListener::from_std(open).map(Self::Unix)
            }
        }
    }

    /// Where it is, in words.
    pub(crate) fn place(&self) -> String {
        let place = match self {
            Self::Tcp(open) => open.local_addr().map(|address| address.to_string()),
            Self::Unix(open) => open.local_addr().map(|address| {
                address
                    .as_pathname()
                    .map_or_else(|| "unix".to_owned(), |path| format!("unix:{}", path.display()))
            }),
        };
        place.unwrap_or_default()
    }

    /// Its port; 0 where it has none.
    pub(crate) fn port(&self) -> u16 {
        match self {
            Self::Tcp(open) => open.local_addr().map_or(0, |address| address.port()),
            Self::Unix(_) => 0,
        }
    }
}

fn bind_unix(path: &Path) -> io::Result<UnixListener> {
    let is_socket = path.symlink_metadata().is_ok_and(|found| found.file_type().is_socket());
    if is_socket && std::os::unix::net::UnixStream::connect(path).is_err() {
        // Somebody was killed who had listened there.
        std::fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(SOCKET_MODE))?;
    Ok(listener)
}

/// A Unix socket, as what the rest of the server takes sockets for: it reads and writes them,
/// and asks for nothing that only TCP has.
pub(crate) fn as_tcp(stream: UnixStream) -> io::Result<std::net::TcpStream> {
    Ok(OwnedFd::from(stream.into_std()?).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_that_a_killed_server_left_is_replaced_and_one_in_use_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f.sock");
        drop(bind_unix(&path).unwrap());
        assert!(path.exists());
        let open = bind_unix(&path).unwrap();
        let mode = path.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, SOCKET_MODE);
        assert_eq!(bind_unix(&path).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        drop(open);
    }

    #[tokio::test]
    async fn a_file_that_is_no_socket_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("precious");
        std::fs::write(&path, "mine").unwrap();
        assert_eq!(bind_unix(&path).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
    }
}
