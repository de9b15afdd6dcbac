//! `fanwire serve`: serve an App in production.
//!
//! The App is the one that `dev` serves, with the limits of the profile `open` where its file
//! does not say. How it is served is said apart from it, in `fanwire.serve.toml`: see
//! [`fanwire_app::serve`].

mod cluster;
mod options;
mod reload;
mod service_manager;
mod settings;
mod succession;

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::sync::Arc;

use fanwire_app::serve::{LoadedServe, Serve};
use fanwire_app::{App, Loaded};
use fanwire_server::{Observers, Server};
use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};

use self::reload::Reloading;

use crate::args::{ProfileArg, ServeArgs};
use crate::console::{Console, Style};
use crate::hosting::{EXIT_INTERRUPTED, Signals};
use crate::{EXIT_USAGE, data, hosting, project, ready, services};

/// What settings call a broker that lets anybody in.
const MQTT: &str = "mqtt";

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
    if let Err(why) = refuse_open_broker(app, &settings) {
        anstream::eprintln!("error: {why}");
        return ExitCode::from(EXIT_USAGE);
    }
    let mut signals = match Signals::catch() {
        Ok(signals) => signals,
        Err(error) => {
            anstream::eprintln!("error: cannot catch signals: {error}");
            return ExitCode::FAILURE;
        }
    };
    let mut hangup = match signal(SignalKind::hangup()) {
        Ok(hangup) => hangup,
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
    let mut options = match options::options(app, args, &settings, &folder, &console) {
        Ok(options) => options,
        Err(error) => {
            anstream::eprintln!("error: {error}");
            return ExitCode::from(EXIT_USAGE);
        }
    };
    let place = (folder.as_path(), &settings.drain);
    let waited = tokio::select! {
        waited = succession::await_folders(app, &mut options, place, &console) => waited,
        () = signals.next() => return ExitCode::from(EXIT_INTERRUPTED),
    };
    if let Err(error) = waited {
        anstream::eprintln!("error: {error}");
        return ExitCode::FAILURE;
    }
    let server = match Server::start(app, options, observers).await {
        Ok(server) => server,
        Err(error) => {
            anstream::eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    if let (Some(wanted), None) = (settings.telemetry.address.address(), server.telemetry_address())
    {
        console.news(format!("{wanted} is taken: nobody is told metrics; say telemetry.address"));
    }
    let mut announced = hosting::announce_to_tools(&folder, server.address());
    if let Err(error) = &announced {
        console.news(format!("other commands will not find this server: {error}"));
    }
    // Until the very end: to send clients away takes longer than a watchdog's patience.
    tokio::spawn(service_manager::keep_alive());
    let serving = async {
        let told = be_ready(&console, app, args, &server).await;
        services::tell_of_sockets(&server, told, &console, args.json).await;
    };
    let mut reloading = Reloading {
        args,
        server: &server,
        console: &console,
        app: app.clone(),
        settings: settings.clone(),
    };
    let reloads = async {
        loop {
            hangup.recv().await;
            reloading.read_again().await;
        }
    };
    tokio::select! {
        () = signals.next() => {}
        () = serving => {}
        () = reloads => {}
    }
    let settings = reloading.settings;
    if let Ok(announced) = &mut announced {
        announced.leave();
    }
    service_manager::tell(NotifyState::Stopping);
    let drain = &settings.drain;
    console.news(format!("sending clients away over {:?}", drain.window));
    let leaving = async {
        server.drain(drain.window).await;
        server.stop(drain.grace).await;
    };
    let status = tokio::select! {
        () = leaving => ExitCode::SUCCESS,
        () = signals.next() => ExitCode::from(EXIT_INTERRUPTED),
    };
    console.finish();
    // The printer ends once everything is printed.
    let _ = tokio::task::spawn_blocking(move || printer.join()).await;
    status
}

/// A broker that lets anybody in has to be named: what is open by mistake on a network is found
/// within hours.
fn refuse_open_broker(app: &App, settings: &Serve) -> Result<(), String> {
    let is_open = app.realtime.as_ref().is_some_and(|realtime| realtime.allow_anonymous);
    if !is_open || settings.access.allow_anonymous.iter().any(|name| name == MQTT) {
        return Ok(());
    }
    Err("the app lets anybody publish and subscribe (realtime.allow_anonymous). If that is meant, \
         say so in fanwire.serve.toml:\n\n    [access]\n    allow_anonymous = [\"mqtt\"]\n\n\
         or else give the app an authorizer, users or tokens"
        .to_owned())
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
    let places = server.places();
    if args.json {
        let address = places.iter().find_map(|place| place.parse().ok());
        let address = address.unwrap_or_else(|| server.address());
        let mut described = ready::described(app, server, address, &sockets);
        described["listeners"] = places.into();
        described["telemetry"] = server.telemetry_address().map(|at| at.to_string()).into();
        console.json(&described);
    } else {
        console.news(format!("serving {} on {}", app.service, places.join(", ")));
    }
    service_manager::tell(NotifyState::Ready);
    for note in server.table_notes() {
        console.news(note.to_string());
    }
    sockets.into_iter().map(|socket| socket.name).collect()
}
