//! The realtime endpoint of the App: started with the server or when the App gets one,
//! stopped when it has none any more.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use fanwire_access::Limiter;
use fanwire_app::App;
use fanwire_app::model::{self, Durability as DurabilitySetting};
use fanwire_functions::Functions;
use fanwire_hub::{Clock, HubOptions};
use fanwire_realtime::mesh::MeshParts;
use fanwire_realtime::{
    Message, Natives, Observer, Realtime, RealtimeParts, RuleError, Rules, SettingsError,
};
use fanwire_store::{Durability, Store, StoreError, StoreOptions};
use fanwire_websocket::{Deliver, TopicSource, TopicSubscription};
use tokio::runtime::Handle;

use crate::jwks::KeyFetcher;

/// How long clients get to hear goodbye where the App has no endpoint any more.
const GOODBYE: Duration = Duration::from_secs(1);

/// How often the disk is made to write, so that a power cut takes no more than that.
const SYNC_EVERY: Duration = Duration::from_millis(100);

/// An endpoint that is served.
pub(crate) struct Endpoint {
    pub(crate) plane: Realtime,
    /// The topic rules, which end before the plane does.
    rules: Arc<Rules>,
    /// What fetches the keys of tokens.
    keys: Arc<KeyFetcher>,
    /// The path of MQTT over WebSocket.
    pub(crate) path: String,
}

/// What an endpoint is started with, and the one that is served now.
pub(crate) struct RealtimeHost {
    hub: HubOptions,
    functions: Functions,
    natives: Natives,
    observer: Arc<dyn Observer>,
    limiter: Arc<Limiter>,
    /// The folder where retained messages and sessions are kept, if they are.
    folder: Option<PathBuf>,
    /// The other nodes.
    mesh: Option<MeshParts>,
    now: ArcSwapOption<Endpoint>,
    stopped: AtomicBool,
}

/// Where what an endpoint has to remember is.
pub(crate) struct Kept {
    /// The folder, if anything is to survive the process.
    pub(crate) folder: Option<PathBuf>,
    /// The other nodes, which have it in the folder's place.
    pub(crate) mesh: Option<MeshParts>,
}

/// Why an endpoint does not start.
#[derive(Debug, thiserror::Error)]
pub enum RealtimeError {
    /// Its folder cannot be used.
    #[error("cannot keep the realtime endpoint's sessions: {0}")]
    Store(#[from] StoreError),
    /// It cannot be started.
    #[error("cannot start the realtime endpoint: {0}")]
    Start(#[from] fanwire_realtime::StartError),
    /// What it is set to cannot be served.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// One of its topic rules cannot be followed.
    #[error(transparent)]
    Rule(#[from] RuleError),
}

// === impl Endpoint ===

impl Endpoint {
    /// What became of the messages of each topic rule.
    pub(crate) fn rule_stats(&self) -> Vec<(String, fanwire_realtime::RuleStats)> {
        self.rules.stats()
    }
}

// === impl RealtimeHost ===

impl RealtimeHost {
    /// Starts nothing yet. The endpoint lives on a hub of its own, by the same options.
    pub(crate) fn new(
        hub: &HubOptions,
        functions: Functions,
        natives: Natives,
        observer: Arc<dyn Observer>,
        limiter: Arc<Limiter>,
        kept: Kept,
    ) -> Arc<Self> {
        let Kept { folder, mesh } = kept;
        // Its clock is its own, too: who moves a clock ahead also wakes its connections.
        let hub = HubOptions { clock: Clock::default(), ..hub.clone() };
        let (now, stopped) = (ArcSwapOption::empty(), AtomicBool::new(false));
        Arc::new(Self { hub, functions, natives, observer, limiter, folder, mesh, now, stopped })
    }

    /// The endpoint that is served now, if there is one.
    pub(crate) fn endpoint(&self) -> Option<Arc<Endpoint>> {
        self.now.load_full()
    }

    /// Who is told of what happens there.
    pub(crate) fn observer(&self) -> &dyn Observer {
        &*self.observer
    }

    /// Whether there is one.
    pub(crate) fn is_served(&self) -> bool {
        self.now.load().is_some()
    }

    /// Whether the endpoint of an App can be served, as far as that shows before.
    ///
    /// # Errors
    ///
    /// [`RealtimeError`].
    pub(crate) fn check(app: &App) -> Result<(), RealtimeError> {
        let Some(model) = &app.realtime else { return Ok(()) };
        Rules::check(model)?;
        Ok(Realtime::check(model, &app.region, &app.account_id)?)
    }

    /// Whether the server stops: that there is no endpoint does not mean that the App has none.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    /// Serves what the App says from now on: starts, changes or stops the endpoint. A new
    /// one has its clock `ahead` of the machine's.
    ///
    /// # Errors
    ///
    /// [`RealtimeError`]; what was served before is served on.
    pub(crate) async fn apply(
        self: &Arc<Self>,
        app: &App,
        ahead: Duration,
    ) -> Result<(), RealtimeError> {
        let Some(model) = &app.realtime else {
            self.end();
            return Ok(());
        };
        Self::check(app)?;
        let (plane, rules, keys) = match self.endpoint() {
            Some(endpoint) => {
                endpoint.plane.update(model, &app.region, &app.account_id)?;
                endpoint.rules.update(model)?;
                let (rules, keys) = (Arc::clone(&endpoint.rules), Arc::clone(&endpoint.keys));
                (endpoint.plane.clone(), rules, keys)
            }
            None => {
                let (host, whole, own) = (Arc::clone(self), app.clone(), model.clone());
                // It reads what is kept from the disk.
                let starting = tokio::task::spawn_blocking(move || host.start(&whole, &own));
                // It fails only where it panics, which would be a defect of ours.
                let failed = |error| fanwire_realtime::StartError::Hub(io::Error::other(error));
                let plane = starting.await.map_err(failed)??;
                if !ahead.is_zero() {
                    plane.advance_clock(ahead);
                }
                let rules = Rules::start(&plane, model, &app.account_id)?;
                let keys = KeyFetcher::start(plane.clone());
                (plane, Arc::new(rules), Arc::new(keys))
            }
        };
        self.now.store(Some(Arc::new(Endpoint { plane, rules, keys, path: model.path.clone() })));
        Ok(())
    }

    fn start(&self, app: &App, model: &model::Realtime) -> Result<Realtime, RealtimeError> {
        let store = self.folder.as_deref().map(|folder| open_store(folder, model));
        let parts = RealtimeParts {
            hub: self.hub.clone(),
            functions: self.functions.clone(),
            natives: self.natives.clone(),
            store: store.transpose()?.flatten(),
            mesh: self.mesh.clone(),
            observer: Arc::clone(&self.observer),
            runtime: Handle::current(),
            region: app.region.clone(),
            account_id: app.account_id.clone(),
            limiter: Arc::clone(&self.limiter),
        };
        Ok(Realtime::start(model, parts)?)
    }

    /// Serves no endpoint any more.
    pub(crate) fn end(&self) {
        if let Some(endpoint) = self.now.swap(None) {
            tokio::spawn(async move { endpoint.plane.stop(GOODBYE).await });
        }
    }

    /// Moves the connections' clock ahead.
    pub(crate) fn advance_clock(&self, by: Duration) {
        if let Some(endpoint) = self.endpoint() {
            endpoint.plane.advance_clock(by);
        }
    }

    /// Says goodbye to all clients and has rules finish, within `grace`.
    pub(crate) async fn stop(&self, grace: Duration) {
        // Before it is gone.
        self.stopped.store(true, Ordering::Release);
        if let Some(endpoint) = self.now.swap(None) {
            let deadline = tokio::time::Instant::now() + grace;
            // Half of the time for the clients, so that rules have the other half. What takes
            // longer is dropped with the process.
            let _ = tokio::time::timeout_at(deadline, endpoint.plane.stop(grace / 2)).await;
            let _ = tokio::time::timeout_at(deadline, endpoint.rules.finish()).await;
        }
    }
}

/// What connections of WebSocket APIs can be subscribed to: the topics of whichever
/// endpoint is served.
pub(crate) struct EndpointTopics(pub(crate) Arc<RealtimeHost>);

impl TopicSource for EndpointTopics {
    fn subscribe(&self, filter: &str, deliver: Deliver) -> Option<TopicSubscription> {
        let tap = move |message: &Arc<Message>| deliver(&message.payload);
        Some(Box::new(self.0.endpoint()?.plane.subscribe(filter, Arc::new(tap))))
    }
}

/// Opens the store that a model asks for; `None` where nothing is to survive the process.
fn open_store(folder: &Path, model: &model::Realtime) -> Result<Option<Store>, StoreError> {
    let durability = match model.durability {
        DurabilitySetting::Memory => return Ok(None),
        DurabilitySetting::Written => Durability::Power { every: SYNC_EVERY },
        DurabilitySetting::Synced => Durability::Always,
    };
    let options = StoreOptions {
        durability,
        max_disk_bytes: model.limits.max_disk_bytes as u64,
        ..StoreOptions::default()
    };
    Store::open(folder, options).map(Some)
}
