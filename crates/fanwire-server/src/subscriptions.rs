//! The subscriptions of an app of this process: procedures for clients of tRPC, at a path of
//! their own.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use fanwire_hub::{Clock, HubOptions};
use fanwire_store::{Store, StoreError, StoreOptions};
use fanwire_subscriptions::{
    Arrival, Observer, Parts, Pending, Procedures, Settings, Subscriptions,
};
use http::{Request, StatusCode};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use tokio::runtime::Handle;

use crate::response::{self, Answer};
use crate::router::{Router, Source};
use crate::upgrade::{out_of_http, switching_protocols};

/// Procedures to serve, and where. A WebSocket handshake at the path is for them, whatever
/// other API the path could mean; browsers of any origin may connect, as with the other
/// planes, and who they are is for the procedures to decide.
#[derive(Clone)]
pub struct SubscriptionsEndpoint {
    /// The path that clients connect to, such as `/trpc`.
    pub path: String,
    /// What is called.
    pub procedures: Arc<dyn Procedures>,
    /// How the plane behaves.
    pub settings: Settings,
    /// The folder where tracked publications are kept for clients that come back. `None`:
    /// they are forgotten at the end of the process, and such clients are told.
    pub folder: Option<PathBuf>,
    /// Who is told of what happens.
    pub observer: Arc<dyn Observer>,
}

/// Why the subscriptions do not start.
#[derive(Debug, thiserror::Error)]
pub enum SubscriptionsError {
    /// Their folder cannot be used.
    #[error("cannot keep what is published to subscriptions: {0}")]
    Store(#[from] StoreError),
    /// They cannot be started.
    #[error(transparent)]
    Start(#[from] fanwire_subscriptions::StartError),
}

/// An endpoint that is served.
pub(crate) struct Endpoint {
    pub(crate) plane: Subscriptions,
    path: String,
}

// === impl SubscriptionsEndpoint ===

impl SubscriptionsEndpoint {
    /// Procedures at a path, with the default settings; nothing outlives the process, and
    /// nobody is told.
    pub fn new(path: impl Into<String>, procedures: Arc<dyn Procedures>) -> Self {
        let (settings, observer) = (Settings::default(), Arc::new(()));
        Self { path: path.into(), procedures, settings, folder: None, observer }
    }
}

impl fmt::Debug for SubscriptionsEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SubscriptionsEndpoint").field("path", &self.path).finish_non_exhaustive()
    }
}

// === impl Endpoint ===

impl Endpoint {
    /// Starts the plane, on a hub of its own by the same options.
    pub(crate) async fn start(
        options: SubscriptionsEndpoint,
        hub: &HubOptions,
    ) -> Result<Self, SubscriptionsError> {
        // Its clock is its own, too: who moves a clock ahead also wakes its connections.
        let hub = HubOptions { clock: Clock::default(), ..hub.clone() };
        let SubscriptionsEndpoint { path, procedures, settings, folder, observer } = options;
        let runtime = Handle::current();
        let start = move || {
            let open = |folder: PathBuf| Store::open(&folder, StoreOptions::default());
            let store = folder.map(open).transpose()?;
            let parts = Parts { procedures, observer, hub, store, runtime };
            Ok::<_, SubscriptionsError>(Subscriptions::start(settings, parts)?)
        };
        // It reads what is kept from the disk. It fails only where it panics, which would be a
        // defect of ours.
        let plane = tokio::task::spawn_blocking(start).await.unwrap_or_else(|error| {
            let error = std::io::Error::other(error);
            Err(fanwire_subscriptions::StartError::Hub(error).into())
        })?;
        Ok(Self { plane, path })
    }

    /// Whether a path is this endpoint's, whatever the slashes.
    pub(crate) fn is_at(&self, path: &str) -> bool {
        let own = self.path.split('/').filter(|segment| !segment.is_empty());
        path.split('/').filter(|segment| !segment.is_empty()).eq(own)
    }

    /// Says goodbye to all clients, within `grace`.
    pub(crate) async fn stop(&self, grace: Duration) {
        self.plane.stop(grace).await;
    }
}

impl Router {
    /// Answers a request to the subscriptions: a handshake, or a mistake.
    pub(crate) fn subscriptions_upgrade(
        &self,
        endpoint: &Endpoint,
        mut request: Request<Incoming>,
        source: &Source,
    ) -> Answer {
        let upgrade = match self.check_upgrade(&request) {
            Ok(upgrade) => upgrade,
            Err(answer) => return *answer,
        };
        let peer = self.client(source, request.headers()).address;
        let on_upgrade = hyper::upgrade::on(&mut request);
        let query = request.uri().query().unwrap_or_default().to_owned();
        let (head, _) = request.into_parts();
        let arrival = Arrival { peer, headers: head.headers, query };
        let Ok(pending) = endpoint.plane.connect(arrival) else {
            let body = response::message("too many connections; connect again later");
            return response::error(StatusCode::TOO_MANY_REQUESTS, "LimitExceededException", body);
        };
        let answer = switching_protocols(&upgrade.accept, pending.headers());
        tokio::spawn(hand_over(on_upgrade, pending));
        answer
    }
}

/// Waits until the 101 is written, then gives the bare socket to its shard.
async fn hand_over(on_upgrade: OnUpgrade, pending: Pending) {
    // Where the client has left there is nobody to be told.
    if let Some((transport, early)) = out_of_http(on_upgrade).await {
        pending.open(transport, early);
    }
}
