//! Serving an App that has changed, without losing what is connected.

use std::collections::HashSet;

use fanwire_app::App;
use fanwire_app::serve::access::Access;
use fanwire_app::serve::limits::Limits;
use fanwire_dynamodb::{TableError, TableNote};
use fanwire_functions::FunctionChanges;

use crate::domains::Domains;
use crate::guard::PreparedKeys;
use crate::proxy::TrustedProxies;
use crate::realtime::{RealtimeError, RealtimeHost};
use crate::server::{Server, make_tables};

/// What came of applying a changed App.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applied {
    /// What was done to the tables, and what could not be.
    pub tables: Vec<TableNote>,
    /// The functions that have new processes, or none any more.
    pub functions: FunctionChanges,
}

/// Why a changed App cannot be served. What was served before is served on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApplyError {
    /// Its tables cannot be had.
    #[error(transparent)]
    Tables(#[from] TableError),
    /// Its functions cannot be hosted.
    #[error(transparent)]
    Functions(#[from] fanwire_functions::StartError),
    /// Its realtime endpoint cannot be started.
    #[error(transparent)]
    Realtime(#[from] RealtimeError),
    /// Two of its APIs have one id.
    #[error("two WebSocket APIs have the id `{0}`; give one of them another")]
    SameId(String),
}

/// Settings that hold from now on, whatever the server was started with.
#[derive(Debug, Clone, Default)]
pub struct LiveSettings {
    /// The proxies whose `X-Forwarded-*` headers are believed.
    pub proxies: TrustedProxies,
    /// Names of hosts that stand for one API each.
    pub domains: Domains,
    /// Who may call what. Without effect in a server where everything is open.
    pub access: Access,
    /// What clients are held to. `max_handshakes` stays what the listeners were opened with.
    pub limits: Limits,
}

/// Settings that are ready to hold, with the keys that they name.
#[derive(Debug)]
pub struct PreparedSettings {
    settings: LiveSettings,
    keys: Option<PreparedKeys>,
}

impl Server {
    /// Reads what settings name, so that [`update`](Self::update) cannot fail.
    ///
    /// # Errors
    ///
    /// Where the file of keys cannot be used: why, in words.
    pub fn prepare(&self, settings: LiveSettings) -> Result<PreparedSettings, String> {
        let keys = self.router.guard().prepare(&settings.access)?;
        Ok(PreparedSettings { settings, keys })
    }

    /// Has settings hold from now on.
    pub fn update(&self, PreparedSettings { settings, keys }: PreparedSettings) {
        self.router.guard().update(&settings.access, keys, settings.limits);
        self.router.update(settings.proxies, settings.domains);
    }

    /// Serves a changed App from now on. Connections to an API whose id stays live on, and
    /// those to one that is gone are closed; functions that have changed get new processes,
    /// and finish what they have; tables are made and never removed. The port and what else
    /// the server was started with stay, and so do the realtime endpoint's own.
    ///
    /// # Errors
    ///
    /// [`ApplyError`]; tables that were made by then stay, and nothing else has changed.
    pub async fn apply(&self, app: &App) -> Result<Applied, ApplyError> {
        let mut ids = HashSet::new();
        if let Some(twice) = app.websocket_apis.iter().find(|api| !ids.insert(&api.id)) {
            return Err(ApplyError::SameId(twice.id.clone()));
        }
        // A change is served whole or not at all.
        RealtimeHost::check(app)?;
        // The new code may look for its tables at once, the new routes for their code.
        let tables = make_tables(self.router.tables(), app).await?;
        let realtime = self.router.realtime_host();
        let had_endpoint = self.router.has_realtime();
        if !had_endpoint {
            // Its store may not be there to be had.
            realtime.apply(app, self.clock_ahead()).await?;
        }
        let functions = self.functions().update(&self.hosted(app), self.host_update(app));
        let functions = functions.inspect_err(|_| {
            if !had_endpoint {
                realtime.end();
            }
        })?;
        if had_endpoint {
            realtime.apply(app, self.clock_ahead()).await?;
        }
        match self.nitric() {
            // Its sockets stay, whatever the file says.
            Some(nitric) => nitric.apply(app).await,
            None => {
                self.websocket().update(app.websocket_apis.clone(), &app.region, &app.account_id);
            }
        }
        if had_endpoint != self.router.has_realtime() {
            self.websocket().topics_changed();
        }
        self.router.apply(app);
        Ok(Applied { tables, functions })
    }
}
