//! The engine behind the API: its file, and the service that answers requests.
//!
//! dynoxide answers HTTP on a listener of its own, and what it checks there (request
//! shapes, credentials, checksums) is half of its fidelity. So it has one, on a thread
//! of its own, because it waits for SQLite; the server's one port passes requests on.

use std::fs::{self, File};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use dynoxide::Database;
use rustix::fs::{FlockOperation, flock};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// The database's file in the data folder.
const FILE: &str = "dynamodb.sqlite";
/// Held while a process has the file open: two engines would not see each other's
/// tables.
const LOCK: &str = "dynamodb.lock";

/// Why the tables of an App cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The data folder or a file in it cannot be used.
    #[error("cannot use {}: {source}", path.display())]
    Folder {
        /// The folder or file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// Another process has the tables open.
    #[error(
        "the tables in {} are in use by another process; stop it, or give this one a folder of its own with `--data`",
        folder.display()
    )]
    InUse {
        /// The data folder.
        folder: PathBuf,
    },
    /// The file is not a database, or a damaged one.
    #[error("cannot open {}: {why}; `--fresh` begins with empty tables", path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// The engine's answer.
        why: String,
    },
    /// The service that answers requests could not be started.
    #[error("cannot start the DynamoDB service: {0}")]
    Service(#[source] io::Error),
}

/// An open database and the service over it. Dropped, both end.
pub(crate) struct Engine {
    database: Database,
    address: SocketAddr,
    service: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
    /// Locked as long as it is open.
    _lock: File,
}

impl Engine {
    /// Opens the database in `folder`, which is made where it is missing. With `fresh`
    /// everything that was in it is gone.
    pub(crate) fn open(folder: &Path, fresh: bool) -> Result<Self, OpenError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| OpenError::Folder { path, source }
        };
        fs::create_dir_all(folder).map_err(failed(folder))?;
        let lock_path = folder.join(LOCK);
        let lock = File::create(&lock_path).map_err(failed(&lock_path))?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                return Err(OpenError::InUse { folder: folder.to_owned() });
            }
            Err(error) => return Err(failed(&lock_path)(error.into())),
        }
        let path = folder.join(FILE);
        if fresh {
            // The write-ahead log and its index belong to the file.
            for suffix in ["", "-wal", "-shm"] {
                remove(&folder.join(format!("{FILE}{suffix}")))?;
            }
        }
        let database = Database::new(&path.to_string_lossy())
            .map_err(|error| OpenError::Database { path, why: error.to_string() })?;
        let (address, service) = serve(database.clone()).map_err(OpenError::Service)?;
        Ok(Self { database, address, service: Some(service), _lock: lock })
    }

    pub(crate) fn database(&self) -> &Database {
        &self.database
    }

    /// Where the service answers.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.service.take() {
            // The service may have ended already.
            let _ = stop.send(());
            let _ = thread.join();
        }
    }
}

/// Whether another process, or this one, has the tables of a folder open right now.
pub fn is_in_use(folder: &Path) -> bool {
    let Ok(lock) = File::open(folder.join(LOCK)) else { return false };
    flock(&lock, FlockOperation::NonBlockingLockShared) == Err(rustix::io::Errno::WOULDBLOCK)
}

fn remove(path: &Path) -> Result<(), OpenError> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(OpenError::Folder { path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}

type Service = (oneshot::Sender<()>, JoinHandle<()>);

/// Starts the service on a thread of its own.
fn serve(database: Database) -> io::Result<(SocketAddr, Service)> {
    let listener = std::net::TcpListener::bind((private_address(), 0))?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (stop, stopped) = oneshot::channel::<()>();
    let thread = std::thread::Builder::new().name("dynamodb".to_owned()).spawn(move || {
        runtime.block_on(async move {
            let Ok(listener) = TcpListener::from_std(listener) else { return };
            let service = dynoxide::server::serve_with_shutdown(listener, database, async {
                // Either way the engine is being dropped.
                let _ = stopped.await;
            });
            // Its connections are the proxy's own, so there is nobody else to tell.
            let _ = service.await;
        });
        // A connection that is kept alive must not hold the thread.
        runtime.shutdown_background();
    })?;
    Ok((address, (stop, thread)))
}

/// An address of this machine that a page in a browser cannot guess: dynoxide lets every
/// web page in, which the server's own port does not. Linux has all of 127.0.0.0/8.
fn private_address() -> IpAddr {
    let mut random = [0; 3];
    if cfg!(target_os = "linux") && getrandom::fill(&mut random).is_ok() {
        let [a, b, c] = random;
        // 127.0.0.0 and the last address of the block are not for hosts.
        return Ipv4Addr::new(127, a, b, c.clamp(1, 254)).into();
    }
    Ipv4Addr::LOCALHOST.into()
}
