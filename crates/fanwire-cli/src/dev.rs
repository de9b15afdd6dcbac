//! `fanwire dev`: serve an App on loopback and tell what happens.

use std::collections::BTreeSet;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use fanwire_app::{App, Loaded};
use fanwire_dynamodb::DynamoDbOptions;
use fanwire_functions::{CommandLine, HostOptions};
use fanwire_server::{Authority, NitricOptions, Observers, ServedSocket, Server, ServerOptions};
use indexmap::IndexMap;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;

use crate::args::DevArgs;
use crate::console::{Console, Style};
use crate::data::Announced;
use crate::live::{Live, LoadTeller};
use crate::sites::{self, Sites};
use crate::{EXIT_USAGE, TYPESCRIPT_ARGUMENT, WATCHDOG_ARGUMENT};
use crate::{banner, data, inspect, project, services};

/// How long clients, and then handlers, get to come to an end after Ctrl-C.
const STOP_GRACE: Duration = Duration::from_secs(5);

/// The folder in the data folder where retained messages and MQTT sessions are.
const REALTIME: &str = "realtime";

/// The folder in the data folder where what Nitric services store is.
const NITRIC: &str = "nitric";

/// The exit status of a process that was told to stop twice.
const EXIT_INTERRUPTED: u8 = 130;

/// Serves until Ctrl-C.
pub(crate) fn run(args: &DevArgs) -> ExitCode {
    raise_descriptor_limit();
    let loaded = match project::load_project(&args.project) {
        Ok(loaded) => loaded,
        Err(status) => return status,
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            anstream::eprintln!("error: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let status = runtime.block_on(serve(loaded, args));
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

async fn serve(loaded: Loaded, args: &DevArgs) -> ExitCode {
    let app = &loaded.app;
    let mut signals = match Signals::catch() {
        Ok(signals) => signals,
        Err(error) => {
            anstream::eprintln!("error: cannot catch signals: {error}");
            return ExitCode::FAILURE;
        }
    };
    let style = Style { json: args.json, verbose: args.verbose };
    let (console, printer) = Console::start(style);
    let console = Arc::new(console);
    let more_loaded = Arc::new(Notify::new());
    let teller = LoadTeller { to: console.clone(), loaded: Arc::clone(&more_loaded) };
    let observers = Observers {
        websocket: console.clone(),
        functions: Arc::new(teller),
        realtime: console.clone(),
        nitric: Some(console.clone()),
        logs: Some(console.journal()),
    };
    let authority = open_authority();
    let inspected = match inspect::ports(app, &args.inspect) {
        Ok(inspected) => inspected,
        Err(error) => {
            anstream::eprintln!("error: {error}");
            return ExitCode::from(EXIT_USAGE);
        }
    };
    if let Err(error) = forget(app, args) {
        anstream::eprintln!("error: cannot begin afresh: {error}");
        return ExitCode::FAILURE;
    }
    let options = options(app, args, authority.clone(), inspected);
    let server = match Server::start(app, options, observers).await {
        Ok(server) => server,
        Err(error) => {
            anstream::eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    // All before anybody is told that the server is ready: no save is missed then, and
    // the other commands find it.
    let sites = Sites::start(args.with_sites, app, &server);
    let live = follow(&loaded, args, &server, &sites, &console);
    let announced = announce_to_tools(app, args, server.address());
    if let Err(error) = &announced {
        console.note(&format!(
            "other commands will not find this server: {error}; give them --url or this one --data"
        ));
    }
    let serving = async {
        let told = be_ready(&console, app, args, &server, authority.as_deref()).await;
        tokio::select! {
            () = live.run(&more_loaded) => {}
            () = services::tell_of_sockets(&server, told, &console, args.json) => {}
        }
    };
    tokio::select! {
        () = signals.next() => {}
        () = serving => {}
    }
    drop(announced);
    console.note("stopping (Ctrl-C again to stop at once)");
    let stop = async { tokio::join!(sites.stop(STOP_GRACE), server.stop(STOP_GRACE)) };
    let status = tokio::select! {
        _ = stop => ExitCode::SUCCESS,
        () = signals.next() => ExitCode::from(EXIT_INTERRUPTED),
    };
    console.finish();
    // The printer ends once everything is printed.
    let _ = tokio::task::spawn_blocking(move || printer.join()).await;
    status
}

/// What the server is started with.
fn options(
    app: &App,
    args: &DevArgs,
    authority: Option<Arc<Authority>>,
    inspected: IndexMap<String, u16>,
) -> ServerOptions {
    ServerOptions {
        address: SocketAddr::new(args.host, args.port),
        functions: HostOptions {
            max_processes: args.max_processes,
            lambda_endpoint: std::env::var("AWS_ENDPOINT_URL_LAMBDA").ok(),
            watchdog: this_program(WATCHDOG_ARGUMENT),
            typescript: this_program(TYPESCRIPT_ARGUMENT),
            report_sources: !args.no_reload,
            inspect: inspected,
            ..HostOptions::default()
        },
        tls: authority,
        realtime_folder: Some(data_folder(app, args).join(REALTIME)),
        tables: Some(DynamoDbOptions { folder: data_folder(app, args), fresh: args.fresh }),
        nitric: NitricOptions {
            folder: Some(data_folder(app, args).join(NITRIC)),
            first_socket_port: args.socket_port,
            ..NitricOptions::default()
        },
        ..ServerOptions::default()
    }
}

/// This program, as what a hidden argument makes of it.
fn this_program(argument: &str) -> Option<CommandLine> {
    let program = std::env::current_exe().ok()?;
    Some(CommandLine { program, args: vec![argument.to_owned()] })
}

/// Removes what the realtime endpoint and Nitric services have kept, if that is wanted.
fn forget(app: &App, args: &DevArgs) -> io::Result<()> {
    for folder in [REALTIME, NITRIC].into_iter().filter(|_| args.fresh) {
        match std::fs::remove_dir_all(data_folder(app, args).join(folder)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Follows the App's files from now on, if that is wanted and can be done.
fn follow<'a>(
    loaded: &Loaded,
    args: &'a DevArgs,
    server: &'a Server,
    sites: &'a Sites,
    console: &'a Console,
) -> Following<'a> {
    if args.no_reload {
        return Following(None);
    }
    let live = Live::new(&args.project, server, sites, console, loaded);
    if let Err(error) = &live {
        console.news(format!("changes of files will not be noticed: {error}"));
    }
    Following(live.ok())
}

/// What happens when files change: something, or nothing.
struct Following<'a>(Option<Live<'a>>);

impl Following<'_> {
    /// Runs for ever.
    async fn run(self, more_loaded: &Notify) {
        if let Some(mut live) = self.0 {
            live.follow(more_loaded).await;
        }
        std::future::pending::<()>().await;
    }
}

/// Where certificates come from. A machine on which none can be kept is served without
/// TLS, which most apps do not need.
fn open_authority() -> Option<Arc<Authority>> {
    match Authority::open() {
        Ok(authority) => Some(Arc::new(authority)),
        Err(error) => {
            anstream::eprintln!("warning: serving without TLS: {error}");
            None
        }
    }
}

/// Tells people and programs that the server is ready, once its services have said what
/// they have. The names of the websockets that were told.
async fn be_ready(
    console: &Console,
    app: &App,
    args: &DevArgs,
    server: &Server,
    authority: Option<&Authority>,
) -> BTreeSet<String> {
    server.nitric_settled().await;
    let sockets = server.nitric_sockets();
    let sockets: Vec<ServedSocket> =
        sockets.map(|sockets| sockets.borrow().values().cloned().collect()).unwrap_or_default();
    announce(console, app, args, server, &sockets, authority);
    for note in server.table_notes() {
        console.news(note.to_string());
    }
    sockets.into_iter().map(|socket| socket.name).collect()
}

fn announce(
    console: &Console,
    app: &App,
    args: &DevArgs,
    server: &Server,
    sockets: &[ServedSocket],
    authority: Option<&Authority>,
) {
    let address = server.address();
    if args.json {
        let host = address.to_string();
        let of_services = sockets.iter().map(|socket| app.nitric_socket(&socket.name));
        let apis = app.websocket_apis.iter().cloned().chain(of_services).map(|api| {
            serde_json::json!({
                "id": api.id,
                "name": api.name,
                "stage": api.stage,
                "url": banner::websocket_url(&host, &api),
                "management": banner::management_url(&host, &api),
            })
        });
        let functions = app
            .functions
            .iter()
            .map(|(key, function)| serde_json::json!({ "key": key, "name": function.name }));
        console.json(&serde_json::json!({
            "type": "ready",
            "port": address.port(),
            "certificateAuthority": authority.map(Authority::certificate),
            "apis": apis.collect::<Vec<_>>(),
            "realtime": app.realtime.as_ref().map(|realtime| serde_json::json!({
                "name": realtime.name,
                "url": banner::realtime_url(&host, realtime),
                "mqtt": format!("mqtt://{host}"),
            })),
            "functions": functions.collect::<Vec<_>>(),
            "sites": app.sites.keys().collect::<Vec<_>>(),
            "nitric": server.nitric_address().map(|address| serde_json::json!({
                "address": address,
                "sockets": sockets.iter().map(services::described).collect::<Vec<_>>(),
                "services": app.nitric.iter().flat_map(|nitric| nitric.services.keys()).collect::<Vec<_>>(),
            })),
            "notServed": app.not_served,
        }));
        return;
    }
    let host = match address {
        address if address.ip().is_loopback() => format!("localhost:{}", address.port()),
        address => address.to_string(),
    };
    console.text(banner::of_server(app, &host, authority.is_some(), sockets));
    if !args.host.is_loopback() {
        console.note("listening beyond this machine: `dev` checks no credentials");
    }
    if let Some(note) = sites::left_out(app, args.with_sites) {
        console.note(&note);
    }
    console.note("ready; Ctrl-C stops");
}

/// Where the App's tables are, and what else is kept between runs.
fn data_folder(app: &App, args: &DevArgs) -> PathBuf {
    args.data.clone().unwrap_or_else(|| app.root.join(data::DEFAULT))
}

/// Says in the data folder where the server is.
fn announce_to_tools(app: &App, args: &DevArgs, address: SocketAddr) -> io::Result<Announced> {
    let folder = data_folder(app, args);
    data::make_folder(&folder)?;
    let ip = if address.ip().is_unspecified() { Ipv4Addr::LOCALHOST.into() } else { address.ip() };
    let url = format!("http://{}", SocketAddr::new(ip, address.port()));
    data::announce(&folder, address.port(), url)
}

/// The signals that stop a server. They are caught from when this is made.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn catch() -> io::Result<Self> {
        let terminate = signal(SignalKind::terminate())?;
        Ok(Self { terminate, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
