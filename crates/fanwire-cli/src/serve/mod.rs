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
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread::JoinHandle;

use fanwire_app::serve::{LoadedServe, Serve};
use fanwire_app::{App, Loaded};
use fanwire_server::{Observers, Server};
use sd_notify::NotifyState;
use tokio::signal::unix::{Signal, SignalKind, signal};

use self::options::OptionsError;
use self::reload::Reloading;

use crate::args::{ProfileArg, ServeArgs};
use crate::console::{Console, Style};
use crate::data::Announced;
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
    match Running::start(&loaded.app, settings.serve, args).await {
        Ok(mut running) => {
            running.until_told_to_stop(&loaded.app, args).await;
            running.leave().await
        }
        Err(NotStarted { why, status }) => {
            if let Some(why) = why {
                anstream::eprintln!("error: {why}");
            }
            status
        }
    }
}

/// A server, and who tells it what to do.
struct Running {
    server: Server,
    console: Arc<Console>,
    printer: JoinHandle<()>,
    signals: Signals,
    hangup: Signal,
    folder: PathBuf,
    /// Stands until the very end: whoever takes this one's place sees by it that it leaves.
    announced: Option<Announced>,
    /// Those that hold now.
    settings: Serve,
}

/// No server was started.
struct NotStarted {
    /// `None` where somebody did not want it any more.
    why: Option<String>,
    status: ExitCode,
}

// === impl NotStarted ===

impl NotStarted {
    /// What was asked for cannot be.
    fn misused(why: &impl ToString) -> Self {
        Self { why: Some(why.to_string()), status: ExitCode::from(EXIT_USAGE) }
    }

    fn failed(why: &impl ToString) -> Self {
        Self { why: Some(why.to_string()), status: ExitCode::FAILURE }
    }
}

// === impl Running ===

impl Running {
    async fn start(app: &App, settings: Serve, args: &ServeArgs) -> Result<Self, NotStarted> {
        refuse_open_broker(app, &settings).map_err(|why| NotStarted::misused(&why))?;
        let uncaught = |error| NotStarted::failed(&format!("cannot catch signals: {error}"));
        let mut signals = Signals::catch().map_err(uncaught)?;
        let hangup = signal(SignalKind::hangup()).map_err(uncaught)?;
        let (console, printer) = Console::start(Style { json: args.json, verbose: args.verbose });
        let console = Arc::new(console);
        let folder = data::folder(app, settings.data.as_deref());
        let options = options::options(app, args, &settings, &folder, &console);
        let mut options = options.map_err(|error| match error {
            // Such as of a disk that is full: that may pass.
            OptionsError::Authority(_) => NotStarted::failed(&error),
            _ => NotStarted::misused(&error),
        })?;
        let place = (folder.as_path(), &settings.drain);
        let waited = tokio::select! {
            waited = succession::await_folders(app, &mut options, place, &console) => waited,
            () = signals.next() => {
                return Err(NotStarted { why: None, status: ExitCode::from(EXIT_INTERRUPTED) });
            }
        };
        waited.map_err(|error| NotStarted::failed(&error))?;
        let observers = observers(&console);
        let server = Server::start(app, options, observers).await;
        let server = server.map_err(|error| NotStarted::failed(&error))?;
        let wanted = settings.telemetry.address.address();
        if let Some(wanted) = wanted.filter(|_| server.telemetry_address().is_none()) {
            let news = format!("{wanted} is taken: nobody is told metrics; say telemetry.address");
            console.news(news);
        }
        let announced = None;
        Ok(Self { server, console, printer, signals, hangup, folder, announced, settings })
    }

    /// Serves, and reads the settings again whenever it is told to.
    async fn until_told_to_stop(&mut self, app: &App, args: &ServeArgs) {
        let Self { server, console, signals, hangup, .. } = self;
        match hosting::announce_to_tools(&self.folder, server.address()) {
            Ok(announced) => self.announced = Some(announced),
            Err(error) => {
                console.news(format!("other commands will not find this server: {error}"));
            }
        }
        // Until the very end: to send clients away takes longer than a watchdog's patience.
        tokio::spawn(service_manager::keep_alive());
        let serving = async {
            let told = be_ready(console, app, args, server).await;
            services::tell_of_sockets(server, told, console, args.json).await;
        };
        let settings = self.settings.clone();
        let mut reloading = Reloading { args, server, console, app: app.clone(), settings };
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
        self.settings = reloading.settings;
    }

    /// Sends everybody away, and ends.
    async fn leave(mut self) -> ExitCode {
        if let Some(announced) = &mut self.announced {
            announced.leave();
        }
        service_manager::tell(NotifyState::Stopping);
        let drain = &self.settings.drain;
        self.console.news(format!("sending clients away over {:?}", drain.window));
        let leaving = async {
            self.server.drain(drain.window).await;
            self.server.stop(drain.grace).await;
        };
        let status = tokio::select! {
            () = leaving => ExitCode::SUCCESS,
            () = self.signals.next() => ExitCode::from(EXIT_INTERRUPTED),
        };
        self.console.finish();
        // The printer ends once everything is printed.
        let _ = tokio::task::spawn_blocking(move || self.printer.join()).await;
        status
    }
}

/// All that is told goes to the console, and from there to whoever asks for logs.
fn observers(console: &Arc<Console>) -> Observers {
    Observers {
        websocket: console.clone(),
        functions: console.clone(),
        realtime: console.clone(),
        nitric: Some(console.clone()),
        logs: Some(console.journal()),
    }
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
