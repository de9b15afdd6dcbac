//! What `dev` and `serve` do alike: a process that hosts a server until a signal ends it.

use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;

use fanwire_dynamodb::DynamoDbOptions;
use fanwire_functions::{CommandLine, HostOptions};
use fanwire_server::{NitricOptions, ServerOptions};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::data::{self, Announced};
use crate::{TYPESCRIPT_ARGUMENT, WATCHDOG_ARGUMENT};

/// The folder in the data folder where retained messages and MQTT sessions are.
pub(crate) const REALTIME: &str = "realtime";

/// The folder in the data folder where what Nitric services store is.
pub(crate) const NITRIC: &str = "nitric";

/// The exit status of a process that was told to stop twice.
pub(crate) const EXIT_INTERRUPTED: u8 = 130;

/// Runs `main` to its end, with as many descriptors as the system lets a process have.
pub(crate) fn run(main: impl Future<Output = ExitCode>) -> ExitCode {
    raise_descriptor_limit();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            anstream::eprintln!("error: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let status = runtime.block_on(main);
    // What still runs on the runtime has had its time.
    runtime.shutdown_background();
    status
}

/// Each connection takes a file descriptor. Systems start programs with leave for few,
/// about a thousand, and let them take as many as the hard limit says.
fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    // Where it is refused, fewer connections fit, and accepting tells.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

/// What a server is started with, whichever command hosts it: its functions, and what it
/// keeps in `folder`.
pub(crate) fn server_options(folder: &Path, max_processes: u32) -> ServerOptions {
    ServerOptions {
        functions: HostOptions {
            max_processes,
            lambda_endpoint: std::env::var("AWS_ENDPOINT_URL_LAMBDA").ok(),
            watchdog: this_program(WATCHDOG_ARGUMENT),
            typescript: this_program(TYPESCRIPT_ARGUMENT),
            ..HostOptions::default()
        },
        realtime_folder: Some(folder.join(REALTIME)),
        tables: Some(DynamoDbOptions { folder: folder.to_owned(), fresh: false }),
        nitric: NitricOptions { folder: Some(folder.join(NITRIC)), ..NitricOptions::default() },
        ..ServerOptions::default()
    }
}

/// This program, as what a hidden argument makes of it.
fn this_program(argument: &str) -> Option<CommandLine> {
    let program = std::env::current_exe().ok()?;
    Some(CommandLine { program, args: vec![argument.to_owned()] })
}

/// Says in the data folder where the server is.
///
/// # Errors
///
/// Where nothing can be written there.
pub(crate) fn announce_to_tools(folder: &Path, address: SocketAddr) -> io::Result<Announced> {
    data::make_folder(folder)?;
    let ip = if address.ip().is_unspecified() { Ipv4Addr::LOCALHOST.into() } else { address.ip() };
    let url = format!("http://{}", SocketAddr::new(ip, address.port()));
    data::announce(folder, address.port(), url)
}

/// The signals that stop a server. They are caught from when this is made.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

// === impl Signals ===

impl Signals {
    /// Catches them from now on.
    ///
    /// # Errors
    ///
    /// Where the system refuses it.
    pub(crate) fn catch() -> io::Result<Self> {
        let terminate = signal(SignalKind::terminate())?;
        Ok(Self { terminate, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for the next one.
    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
