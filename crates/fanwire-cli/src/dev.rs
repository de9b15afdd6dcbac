//! `fanwire dev`: serve an App on loopback and tell what happens.

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use fanwire_app::{App, Loaded};
use fanwire_dynamodb::DynamoDbOptions;
use fanwire_server::{Authority, Observers, ServedSocket, Server, ServerOptions};
use indexmap::IndexMap;
use serde_json::json;
use tokio::sync::Notify;

use crate::args::DevArgs;
use crate::console::{Console, Style};
use crate::hosting::{EXIT_INTERRUPTED, NITRIC, REALTIME, Signals};
use crate::live::{Live, LoadTeller};
use crate::sites::{self, Sites};
use crate::{EXIT_USAGE, banner, data, hosting, inspect, project, ready};

/// How long clients, and then handlers, get to come to an end after Ctrl-C.
const STOP_GRACE: Duration = Duration::from_secs(5);

/// Serves until Ctrl-C.
pub(crate) fn run(args: &DevArgs) -> ExitCode {
    match project::load_project(&args.project) {
        Ok(loaded) => hosting::run(serve(loaded, args)),
        Err(status) => status,
    }
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
    let announced =
        hosting::announce_to_tools(&data::folder(app, args.data.as_deref()), server.address());
    if let Err(error) = &announced {
        console.note(&format!(
            "other commands will not find this server: {error}; give them --url or this one --data"
        ));
    }
    let serving = async {
        let told = be_ready(&console, app, args, &server, authority.as_deref()).await;
        tokio::select! {
            () = live.run(&more_loaded) => {}
            () = crate::services::tell_of_sockets(&server, told, &console, args.json) => {}
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
    let folder = data::folder(app, args.data.as_deref());
    let mut options = hosting::server_options(&folder, args.max_processes);
    options.address = SocketAddr::new(args.host, args.port);
    options.functions.report_sources = !args.no_reload;
    options.functions.inspect = inspected;
    options.tls = authority;
    options.tables = Some(DynamoDbOptions { folder, fresh: args.fresh });
    options.nitric.first_socket_port = args.socket_port;
    options
}

/// Removes what the realtime endpoint and Nitric services have kept, if that is wanted.
fn forget(app: &App, args: &DevArgs) -> io::Result<()> {
    for folder in [REALTIME, NITRIC].into_iter().filter(|_| args.fresh) {
        match std::fs::remove_dir_all(data::folder(app, args.data.as_deref()).join(folder)) {
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
    let sockets = ready::sockets(server).await;
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
        let mut line = ready::described(app, server, address, sockets);
        line["certificateAuthority"] = json!(authority.map(Authority::certificate));
        return console.json(&line);
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
