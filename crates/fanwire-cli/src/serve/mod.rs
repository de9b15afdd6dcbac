//! `fanwire serve`: serve an App in production.
//!
//! The App is the one that `dev` serves, with the limits of the profile `open` where its file
//! does not say. How it is served is said apart from it, in `fanwire.serve.toml`: see
//! [`fanwire_app::serve`].

mod cluster;
mod settings;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use fanwire_app::serve::{LoadedServe, Serve};
use fanwire_app::{App, Loaded};
use fanwire_server::{Observers, Server, ServerOptions};

use crate::args::{ListenArg, ProfileArg, ServeArgs};
use crate::console::{Console, Style};
use crate::hosting::{EXIT_INTERRUPTED, Signals};
use crate::{data, hosting, project, ready, services};

/// Where clients connect if nobody says.
const DEFAULT_LISTEN: &str = "0.0.0.0:3001";

/// Serves until a signal.
pub(crate) fn run(mut args: ServeArgs) -> ExitCode {
    args.project.profile.get_or_insert(ProfileArg::Open);
    let loaded = match project::load_project(&args.project) {
        Ok(loaded) => loaded,
        Err(status) => return status,
    };
    match settings::load_or_explain(&args, &loaded.app) {
        Ok(settings) => hosting::run(serve(loaded, settings, &args)),
        Err(status) => status,
    }
}

async fn serve(loaded: Loaded, settings: LoadedServe, args: &ServeArgs) -> ExitCode {
    let (app, settings) = (&loaded.app, settings.serve);
    let mut signals = match Signals::catch() {
        Ok(signals) => signals,
        Err(error) => {
            anstream::eprintln!("error: cannot catch signals: {error}");
            return ExitCode::FAILURE;
        }
    };
    let (console, printer) = Console::start(Style { json: args.json, verbose: args.verbose });
    let console = Arc::new(console);
    let observers = Observers {
        websocket: console.clone(),
        functions: console.clone(),
        realtime: console.clone(),
        nitric: Some(console.clone()),
        logs: Some(console.journal()),
    };
    let folder = data::folder(app, settings.data.as_deref());
    let server = match Server::start(app, options(app, args, &settings, &folder), observers).await {
        Ok(server) => server,
        Err(error) => {
            anstream::eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    let announced = hosting::announce_to_tools(&folder, server.address());
    if let Err(error) = &announced {
        console.news(format!("other commands will not find this server: {error}"));
    }
    let serving = async {
        let told = be_ready(&console, app, args, &server).await;
        services::tell_of_sockets(&server, told, &console, args.json).await;
    };
    tokio::select! {
        () = signals.next() => {}
        () = serving => {}
    }
    drop(announced);
    console.news("stopping".to_owned());
    let status = tokio::select! {
        () = server.stop(settings.drain.grace) => ExitCode::SUCCESS,
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
    args: &ServeArgs,
    settings: &Serve,
    folder: &std::path::Path,
) -> ServerOptions {
    let mut options = hosting::server_options(folder, args.max_processes);
    options.address = address(args, settings);
    options.nitric.first_socket_port = args.socket_port;
    options.cluster = settings.cluster.as_ref().map(|cluster| cluster::options(app, cluster));
    options
}

fn address(args: &ServeArgs, settings: &Serve) -> SocketAddr {
    use fanwire_app::serve::listen::ListenAt;
    let typed = args.listen.iter().find_map(|listen| match listen {
        ListenArg::Address(address) => Some(*address),
        ListenArg::Unix(_) => None,
    });
    let filed = settings.listeners.iter().find_map(|listener| match &listener.at {
        ListenAt::Address(address) => Some(*address),
        ListenAt::Unix(_) => None,
    });
    typed.or(filed).or_else(|| DEFAULT_LISTEN.parse().ok()).unwrap_or(([0, 0, 0, 0], 3001).into())
}

/// Tells people and programs that the server is ready. The names of the websockets of
/// services that were told.
async fn be_ready(
    console: &Console,
    app: &App,
    args: &ServeArgs,
    server: &Server,
) -> BTreeSet<String> {
    let sockets = ready::sockets(server).await;
    if args.json {
        console.json(&ready::described(app, server, server.address(), &sockets));
    } else {
        console.news(format!("serving {} on {}", app.service, server.address()));
    }
    for note in server.table_notes() {
        console.news(note.to_string());
    }
    sockets.into_iter().map(|socket| socket.name).collect()
}
