//! `dev --with-sites`: the tools that serve the App's sites while one works on them, such
//! as `npm run dev`, run beside the server for as long as it does.
//!
//! They are services of the functions host (`fanwire_functions::Supervisor`): what they
//! write is in the console by the site's name, and none outlives the server. They watch
//! their files themselves; one is started anew where the project file gives it another
//! command or environment.

use std::time::Duration;

use fanwire_app::App;
use fanwire_app::model::Service;
use fanwire_functions::{Supervisor, stand_in_credentials};
use fanwire_server::Server;
use indexmap::IndexMap;

/// The sites of a served App, if they are wanted.
#[derive(Debug)]
pub(crate) struct Sites(Option<Supervisor>);

// === impl Sites ===

impl Sites {
    /// Starts the sites of an App that is served. Without `wanted`, there are none.
    pub(crate) fn start(wanted: bool, app: &App, server: &Server) -> Self {
        let sites = Self(wanted.then(|| server.functions().supervisor()));
        sites.update(app, server);
        sites
    }

    /// Runs the sites as the App has them now; those that are as they were run on.
    pub(crate) fn update(&self, app: &App, server: &Server) {
        if let Some(supervisor) = &self.0 {
            supervisor.update(&services(app, server));
        }
    }

    /// Asks the sites to end, and ends those that have not after `grace`.
    pub(crate) async fn stop(&self, grace: Duration) {
        if let Some(supervisor) = &self.0 {
            supervisor.stop(grace).await;
        }
    }
}

/// What `--with-sites` would start and does not, for people; none where that is nothing.
pub(crate) fn left_out(app: &App, wanted: bool) -> Option<String> {
    let with_command = app.sites.iter().filter(|(_, site)| site.command.is_some());
    let names: Vec<_> = with_command.map(|(name, _)| name.as_str()).collect();
    let is_told = !wanted && !names.is_empty();
    is_told.then(|| format!("not started: {}; --with-sites starts sites, too", names.join(", ")))
}

fn services(app: &App, server: &Server) -> IndexMap<String, Service> {
    let service = |(name, site): (&String, &fanwire_app::model::Site)| {
        let mut environment: IndexMap<String, String> = IndexMap::new();
        // What a site renders on its server may call AWS, as a function does.
        let has = |name: &str| std::env::var_os(name).is_some();
        let pairs =
            stand_in_credentials(has).map(|(name, value)| (name.to_owned(), value.to_owned()));
        environment.extend(pairs);
        for name in ["AWS_REGION", "AWS_DEFAULT_REGION"] {
            environment.insert(name.to_owned(), app.region.clone());
        }
        environment.extend(server.environment_of(app, &site.environment, &site.links));
        let service = Service {
            command: site.command.clone()?,
            folder: site.path.clone(),
            environment,
            restart_on_change: false,
        };
        Some((name.clone(), service))
    };
    app.sites.iter().filter_map(service).collect()
}
