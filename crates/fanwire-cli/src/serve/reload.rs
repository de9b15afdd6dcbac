//! SIGHUP: the project file and the settings are read again, and what they say now holds.
//!
//! Connections stay. What a process is started with, such as its listeners, stays too, and it
//! is told which of that would need a restart. Files that cannot be used change nothing.

use std::sync::Arc;

use fanwire_app::App;
use fanwire_app::serve::Serve;
use fanwire_server::{Applied, Domains, LiveSettings, Server, TrustedProxies};
use sd_notify::NotifyState;

use super::{service_manager, settings};
use crate::args::ServeArgs;
use crate::console::Console;
use crate::project;

/// What is served, and what it is told by.
pub(super) struct Reloading<'s> {
    pub(super) args: &'s ServeArgs,
    pub(super) server: &'s Server,
    pub(super) console: &'s Arc<Console>,
    /// The App as it is served now.
    pub(super) app: App,
    /// The settings that hold now.
    pub(super) settings: Serve,
}

// === impl Reloading ===

impl Reloading<'_> {
    /// Reads everything again, and tells what has come of it.
    pub(super) async fn read_again(&mut self) {
        service_manager::tell_reloading();
        if let Err(why) = self.try_again().await {
            self.console.news(format!("{why}\nthe app is served on as it was"));
        }
        service_manager::tell(NotifyState::Ready);
    }

    async fn try_again(&mut self) -> Result<(), String> {
        let loaded = project::load(&self.args.project).map_err(|error| error.to_string())?;
        let app = loaded.app;
        let read = settings::load(self.args, &app).map_err(|error| error.to_string())?;
        let settings = read.serve;
        super::refuse_open_broker(&app, &settings)?;
        let live = LiveSettings {
            proxies: TrustedProxies::of(settings.trusted_proxies.iter().map(String::as_str))
                .map_err(|error| format!("trusted_proxies: {error}"))?,
            domains: Domains::of(&settings.domains, &app).map_err(|error| error.to_string())?,
            access: settings.access.clone(),
            limits: settings.limits.clone(),
        };
        let live = self.server.prepare(live)?;
        let changes = self.app.changes(&app);
        let applied = self.server.apply(&app).await.map_err(|error| error.to_string())?;
        self.server.update(live);
        self.load_code_again(&app, &applied);
        for warning in loaded.warnings.iter().chain(&read.warnings) {
            self.console.news(warning.to_string());
        }
        for note in applied.tables {
            self.console.news(note.to_string());
        }
        let stay = self.unchanged_until_restart(&settings);
        let what = if changes.is_empty() { "read again".to_owned() } else { changes.join("; ") };
        self.console.news(format!("the app and its settings: {what}"));
        if !stay.is_empty() {
            self.console.news(format!("only a restart changes: {}", stay.join(", ")));
        }
        self.app = app;
        let Serve { trusted_proxies, domains, access, mut limits, drain, .. } = settings;
        limits.max_handshakes = self.settings.limits.max_handshakes;
        self.settings =
            Serve { trusted_proxies, domains, access, limits, drain, ..self.settings.clone() };
        Ok(())
    }

    /// Has functions whose settings are the same run the code that is there now: a deployment
    /// puts other files into the same place. Processes that have an event end after it.
    fn load_code_again(&self, app: &App, applied: &Applied) {
        let fresh = [&applied.functions.added, &applied.functions.changed];
        let is_fresh = |key: &str| fresh.iter().any(|keys| keys.iter().any(|each| each == key));
        let others = app.functions.keys().map(String::as_str).filter(|key| !is_fresh(key));
        self.server.functions().reload(others);
    }

    /// What says something else than when the server was started, and is not looked at again.
    fn unchanged_until_restart(&self, new: &Serve) -> Vec<&'static str> {
        let old = &self.settings;
        // All are named, so that a new setting does not compile until it is decided about.
        let Serve {
            listeners,
            tls,
            limits,
            telemetry,
            cluster,
            data,
            trusted_proxies: _,
            domains: _,
            access: _,
            drain: _,
            variables: _,
        } = new;
        let sections = [
            ("[[listen]]", old.listeners != *listeners),
            ("[tls]", old.tls != *tls),
            ("limits.max_handshakes", old.limits.max_handshakes != limits.max_handshakes),
            ("[telemetry]", old.telemetry != *telemetry),
            ("[cluster]", old.cluster != *cluster),
            ("data", old.data != *data),
        ];
        sections.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect()
    }
}
