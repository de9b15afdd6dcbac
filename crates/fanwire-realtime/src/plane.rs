//! The handle to the plane: what the server, topic rules, bridges and the command line
//! use.

#[cfg(test)]
mod tests;

use std::hash::BuildHasher;
use std::io;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use fanwire_access::Limiter;
use fanwire_app::model;
use fanwire_functions::Functions;
use fanwire_hub::{Busy, Hub, HubOptions};
use fanwire_policy::PolicyPool;
use fanwire_store::{Store, StoreError, StoreFigures, StoreStats};
use foldhash::fast::FixedState;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, oneshot};

use crate::directory::Directory;
use crate::durable::{Durable, LoadError};
use crate::figures::{AllFigures, RealtimeStats};
use crate::handshake::{Keys, MAX_HANDSHAKES, MAX_PASSWORD_CHECKS};
use crate::listing::RetainedInfo;
use crate::mesh::{MEETING_PATIENCE, Mesh, MeshParts, Nodes};
use crate::notice::Notice;
use crate::retained::Retained;
use crate::session::{Keepers, MqttSession, Shard, SharedParts};
use crate::settings::{Settings, SettingsError};
use crate::tap::{Reach, Subscription, Tap};
use crate::{Message, Natives, Observer};

/// A realtime endpoint: an MQTT broker over a hub. Cheap to clone.
#[derive(Clone)]
pub struct Realtime {
    pub(crate) inner: Arc<Inner>,
}

/// A handle that does not keep the endpoint, for what the endpoint itself keeps: its
/// [`Natives`].
#[derive(Clone)]
pub struct WeakRealtime(Weak<Inner>);

pub(crate) struct Inner {
    pub(crate) hub: Hub<MqttSession>,
    pub(crate) settings: ArcSwap<Settings>,
    pub(crate) directory: Arc<Directory>,
    pub(crate) retained: Arc<Retained>,
    figures: Arc<AllFigures>,
    /// What its store has done, where it has one.
    store: Option<StoreFigures>,
    pub(crate) functions: Functions,
    pub(crate) natives: Natives,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) runtime: Handle,
    /// The keys of tokens.
    pub(crate) keys: Keys,
    /// The places of those who are yet to be let in.
    pub(crate) handshakes: Semaphore,
    /// The places of those whose passwords are checked.
    pub(crate) password_checks: Arc<Semaphore>,
    /// What authorizers answered. A std lock: held to compare two policies.
    pub(crate) policies: Mutex<PolicyPool>,
    /// The other nodes.
    pub(crate) mesh: Option<Arc<Mesh>>,
    /// The same, to be asked.
    pub(crate) nodes: Option<Arc<dyn Nodes>>,
    /// What addresses and principals are held to.
    pub(crate) limiter: Arc<Limiter>,
}

/// What the plane needs of its surroundings.
pub struct RealtimeParts {
    /// The options of the hub that its connections live on.
    pub hub: HubOptions,
    /// What runs authorizers and subscribers.
    pub functions: Functions,
    /// What runs in this process instead.
    pub natives: Natives,
    /// Where retained messages and sessions are kept; `None` where they end with the
    /// process.
    pub store: Option<Store>,
    /// The other nodes of a cluster, which keep sessions and retained messages then in the
    /// place of `store`; `None` where this is the only one.
    pub mesh: Option<MeshParts>,
    /// Who is told of what happens.
    pub observer: Arc<dyn Observer>,
    /// Where handshakes and authorizers run.
    pub runtime: Handle,
    /// For ARNs.
    pub region: String,
    /// For ARNs.
    pub account_id: String,
    /// What addresses and principals may ask for.
    pub limiter: Arc<Limiter>,
}

/// Why an endpoint did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The shards' threads or event queues could not be made.
    #[error("cannot start the shards: {0}")]
    Hub(#[from] io::Error),
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What is kept cannot be read.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The model cannot be served.
    #[error(transparent)]
    Settings(#[from] SettingsError),
}

/// Why a message is not published.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// Too much waits already. Nobody's fault; try again later.
    #[error("too much is waiting to be published; try again later")]
    Busy,
    /// The topic is not one that can be published to. Fault of the caller.
    #[error("`{topic}` cannot be published to: {why}")]
    Topic {
        /// The topic.
        topic: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The payload is too long. Fault of the caller.
    #[error(
        "a payload of {size} bytes is over the limit of {limit} (realtime.limits.max_payload_bytes)"
    )]
    TooLarge {
        /// Its length in bytes.
        size: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// The quality of service is not to be had here. Fault of the caller.
    #[error("QoS {qos} is over the limit of {limit} (realtime.limits.max_qos)")]
    QoS {
        /// What was asked for.
        qos: u8,
        /// The limit.
        limit: u8,
    },
    /// What goes with the message cannot be sent. Fault of the caller.
    #[error("{0}")]
    Properties(&'static str),
    /// What it leaves behind could not be kept, so nobody may rely on it.
    #[error("the message could not be kept; see the server's log")]
    NotKept,
}

// === impl Realtime ===

impl Realtime {
    /// Makes an endpoint ready, with what is kept of before. Reads all of the store: call it
    /// where blocking is allowed.
    ///
    /// # Errors
    ///
    /// Where the system refuses a thread or an event queue, or the store cannot be read.
    pub fn start(model: &model::Realtime, parts: RealtimeParts) -> Result<Self, StartError> {
        let settings = Arc::new(Settings::new(model, &parts.region, &parts.account_id)?);
        let directory = Arc::new(Directory::default());
        let retained = Arc::new(Retained::default());
        let shards = parts.hub.shards;
        let nodes = parts.mesh.as_ref().and_then(|mesh| mesh.nodes.clone());
        let mesh = parts.mesh.map(|mesh| Mesh::new(mesh, &directory, &retained, shards));
        let store = parts.store.as_ref().filter(|_| mesh.is_none());
        let durable = store.map(Durable::open).transpose()?;
        let now_ms = parts.hub.clock.epoch_ms();
        let recovered =
            durable.as_ref().map(|durable| durable.load(now_ms, settings.parent())).transpose()?;
        let recovered = recovered.unwrap_or_default();
        for message in &recovered.retained {
            // What was kept was within the limits of then.
            let _ = retained.put(message, usize::MAX, usize::MAX);
        }
        let mut wills = recovered.wills;
        wills.iter_mut().for_each(|will| settings.publish_now(will, now_ms));
        let sessions = Mutex::new(recovered.sessions);
        let figures = Arc::new(AllFigures::new(parts.hub.shards.clamp(1, 256)));
        let keepers: Option<Keepers> = match (&mesh, durable) {
            (Some(mesh), _) => {
                let mesh = Arc::clone(mesh);
                Some(Box::new(move || mesh.keeper()))
            }
            (None, durable) => durable.map(|durable| Box::new(move || durable.keeper()) as _),
        };
        let shared = SharedParts {
            settings: Arc::clone(&settings),
            directory: Arc::clone(&directory),
            retained: Arc::clone(&retained),
            observer: Arc::clone(&parts.observer),
            figures: Arc::clone(&figures),
            keepers,
            mesh: mesh.clone(),
        };
        let hub = Hub::start_with(parts.hub, move |hub: &Hub<MqttSession>, shard| {
            let mut sessions = sessions.lock().unwrap_or_else(PoisonError::into_inner);
            let shards = hub.shards();
            let own = sessions.extract_if(.., |kept| shard_of(&kept.client_id, shards) == shard);
            Shard::new(hub.clone(), shard, &shared, own)
        })?;
        if let Some(mesh) = &mesh {
            let hub = hub.clone();
            mesh.tell_shards(Box::new(move |shard, notice, bytes| {
                hub.notify_anyway(shard, notice.into(), bytes);
            }));
        }
        let inner = Inner {
            hub,
            settings: ArcSwap::new(settings),
            directory,
            retained,
            figures,
            store: parts.store.as_ref().map(Store::figures),
            functions: parts.functions,
            natives: parts.natives,
            observer: parts.observer,
            runtime: parts.runtime,
            keys: Keys::default(),
            handshakes: Semaphore::new(MAX_HANDSHAKES),
            password_checks: Arc::new(Semaphore::new(MAX_PASSWORD_CHECKS)),
            policies: Mutex::default(),
            mesh,
            nodes,
            limiter: parts.limiter,
        };
        let realtime = Self { inner: Arc::new(inner) };
        for message in wills {
            let shard = realtime.shard_of(&message.topic);
            let notice = Notice::Publish { message: Arc::new(message), done: None };
            realtime.inner.hub.notify_anyway(shard, notice.into(), 0);
        }
        Ok(realtime)
    }

    /// Whether settings can be served, as far as that shows before.
    ///
    /// # Errors
    ///
    /// What is wrong with them.
    pub fn check(
        model: &model::Realtime,
        region: &str,
        account_id: &str,
    ) -> Result<(), SettingsError> {
        Settings::new(model, region, account_id).map(|_| ())
    }

    /// Serves a changed model from now on. Connections stay; what their authorizers said
    /// holds until it is asked for again.
    ///
    /// # Errors
    ///
    /// Where the model cannot be served; what was served before is served on.
    pub fn update(
        &self,
        model: &model::Realtime,
        region: &str,
        account_id: &str,
    ) -> Result<(), SettingsError> {
        let settings = Arc::new(Settings::new(model, region, account_id)?);
        let keys_were_at = self.keys_source();
        self.inner.settings.store(Arc::clone(&settings));
        if keys_were_at != self.keys_source() {
            self.inner.keys.forget();
        }
        for shard in 0..self.inner.hub.shards() {
            let notice = Notice::Settings(Arc::clone(&settings));
            self.inner.hub.notify_anyway(shard, notice.into(), 0);
        }
        Ok(())
    }

    /// Publishes a message, as this server does: no policy is asked. Done when what it
    /// leaves in retained messages and sessions is kept.
    ///
    /// # Errors
    ///
    /// [`PublishError`].
    pub async fn publish(&self, mut message: Message) -> Result<(), PublishError> {
        let settings = self.inner.settings.load_full();
        settings.check_publication(&message)?;
        settings.cap_expiry(&mut message);
        if message.published_at == 0 {
            message.published_at = self.inner.hub.clock().epoch_ms();
        }
        if let Some(mesh) = &self.inner.mesh {
            // Else nobody knows where it is to be kept.
            let met = tokio::time::timeout(MEETING_PATIENCE, mesh.met()).await;
            met.map_err(|_| PublishError::NotKept)?;
        }
        let (done, kept) = oneshot::channel();
        let shard = self.shard_of(&message.topic);
        let bytes = message.payload.len() + message.topic.len();
        let notice = Notice::Publish { message: Arc::new(message), done: Some(done) };
        self.inner.hub.notify(shard, notice.into(), bytes).map_err(|Busy| PublishError::Busy)?;
        match kept.await {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => Err(PublishError::NotKept),
        }
    }

    /// Subscribes somebody in this process to a topic filter, until what is returned is
    /// dropped. Retained messages are not delivered: see [`find_retained`](Self::find_retained).
    pub fn subscribe(&self, filter: &str, tap: Arc<dyn Tap>) -> Subscription {
        self.subscribe_with(filter, Reach::Everywhere, tap)
    }

    /// The same, with a say in whose messages are heard.
    pub(crate) fn subscribe_with(
        &self,
        filter: &str,
        reach: Reach,
        tap: Arc<dyn Tap>,
    ) -> Subscription {
        let directory = Arc::clone(&self.inner.directory);
        let id = directory.add_tap(filter, reach, tap);
        if let Some(mesh) = &self.inner.mesh {
            mesh.flush();
        }
        Subscription { directory, filter: filter.into(), id }
    }

    /// The retained message of a topic.
    pub fn retained(&self, topic: &str) -> Option<Arc<Message>> {
        self.inner.retained.get(topic, self.inner.hub.clock().epoch_ms())
    }

    /// The retained messages whose topics match a filter, at most `limit`, by topic.
    pub fn find_retained(&self, filter: &str, limit: usize) -> Vec<Arc<Message>> {
        let parent = self.inner.settings.load().parent();
        self.inner.retained.find(filter, parent, limit, self.inner.hub.clock().epoch_ms())
    }

    /// Facts about retained messages in the order of their topics, from behind `after`, at
    /// most `limit`.
    pub fn list_retained(&self, after: Option<&str>, limit: usize) -> Vec<RetainedInfo> {
        self.inner.retained.list(after, limit, self.inner.hub.clock().epoch_ms())
    }

    /// This node's part among others, for who has the links to them; `None` where this is the
    /// only one.
    pub fn mesh(&self) -> Option<&Arc<Mesh>> {
        self.inner.mesh.as_ref()
    }

    /// A handle that does not keep the endpoint.
    pub fn downgrade(&self) -> WeakRealtime {
        WeakRealtime(Arc::downgrade(&self.inner))
    }

    /// Moves the clock of the connections ahead: what was due in that time happens now.
    pub fn advance_clock(&self, by: Duration) -> Duration {
        self.inner.hub.advance(by);
        self.inner.hub.clock().ahead()
    }

    /// Counters of the connections.
    pub fn connections(&self) -> fanwire_hub::HubStats {
        self.inner.hub.stats()
    }

    /// What the plane has done and holds.
    pub fn stats(&self) -> RealtimeStats {
        let (retained, retained_bytes) = self.inner.retained.size();
        RealtimeStats { retained, retained_bytes, ..self.inner.figures.sum() }
    }

    /// What its store has done and holds; `None` where nothing outlives the process.
    pub fn store_stats(&self) -> Option<StoreStats> {
        self.inner.store.as_ref().map(StoreFigures::stats)
    }

    /// Sends the clients away, one after the other over `window`. Returns at once.
    pub fn drain(&self, window: Duration) {
        self.inner.hub.drain(window);
    }

    /// Says goodbye to all clients, within `grace`.
    pub async fn stop(&self, grace: Duration) {
        let hub = self.inner.hub.clone();
        let stopped = tokio::task::spawn_blocking(move || hub.stop(grace));
        // Where it does not come to an end, the time is up anyway.
        let _ = tokio::time::timeout(grace * 2, stopped).await;
    }

    /// The shard that a client's session lives on, and that the server's own messages to a
    /// topic go in by.
    pub(crate) fn shard_of(&self, key: &str) -> usize {
        shard_of(key, self.inner.hub.shards())
    }
}

/// The shard of a client id, or a topic, among `shards`. The same at every start, so that
/// stored sessions are found again.
pub(crate) fn shard_of(key: &str, shards: usize) -> usize {
    let hash = FixedState::with_seed(0x5eed).hash_one(key.as_bytes());
    usize::try_from(hash % (shards.max(1) as u64)).unwrap_or(0)
}

impl std::fmt::Debug for Realtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Realtime").field("hub", &self.inner.hub).finish_non_exhaustive()
    }
}

// === impl WeakRealtime ===

impl WeakRealtime {
    /// The endpoint, while it is there.
    pub fn upgrade(&self) -> Option<Realtime> {
        Some(Realtime { inner: self.0.upgrade()? })
    }
}

impl std::fmt::Debug for WeakRealtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WeakRealtime")
    }
}
