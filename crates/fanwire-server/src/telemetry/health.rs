//! Whether the server is alive, and whether it is ready for clients.

use std::sync::Arc;

use fanwire_cluster::{Cluster, State};
use http::StatusCode;
use serde::Serialize;

use crate::response::{self, Answer};
use crate::router::Router;

/// Something that has to be well for the server to be ready: a part of the server that has a
/// state of its own, such as its membership of a cluster.
pub trait Check: Send + Sync + 'static {
    /// What it is about, in one word: a key of what `/readyz` answers.
    fn name(&self) -> &'static str;

    /// Whether it is well.
    fn check(&self) -> Health;
}

/// How something is. What is wrong is told to whoever asks, so there is no secret in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// Well.
    Well,
    /// Not well, though clients are better off here than nowhere: the server stays ready, and
    /// says what is wrong.
    Degraded(String),
    /// So that clients had better go elsewhere.
    Failed(String),
}

/// What has to be well, and whether it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Readiness {
    pub(crate) ready: bool,
    /// Whether something is wrong that clients may notice.
    pub(crate) degraded: bool,
    pub(crate) checks: Vec<Checked>,
}

/// One thing that has to be well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Checked {
    pub(crate) name: &'static str,
    pub(crate) ok: bool,
    /// What is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) why: Option<String>,
}

// === impl Readiness ===

impl Readiness {
    /// Looks at all there is.
    pub(super) fn of(router: &Router, more: &[Arc<dyn Check>]) -> Self {
        let clients = match (router.is_open(), router.is_stopping()) {
            (_, true) => Health::Failed("the server is sending its clients away".to_owned()),
            // In a cluster it has to meet the other nodes first.
            (false, false) => Health::Failed("the server is yet to take clients".to_owned()),
            (true, false) => Health::Well,
        };
        let own = [("clients", clients), ("store", store(router))];
        let more = more.iter().map(|check| (check.name(), check.check()));
        let all: Vec<_> = own.into_iter().chain(more).collect();
        Self {
            ready: !all.iter().any(|(_, health)| matches!(health, Health::Failed(_))),
            degraded: all.iter().any(|(_, health)| *health != Health::Well),
            checks: all.into_iter().map(|(name, health)| Checked::of(name, health)).collect(),
        }
    }

    /// What `/readyz` answers.
    pub(crate) fn into_answer(self) -> Answer {
        let status = if self.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        // Text and booleans: this cannot fail.
        response::json(status, serde_json::to_vec(&self).unwrap_or_default())
    }
}

// === impl Checked ===

impl Checked {
    fn of(name: &'static str, health: Health) -> Self {
        match health {
            Health::Well => Self { name, ok: true, why: None },
            Health::Degraded(why) | Health::Failed(why) => Self { name, ok: false, why: Some(why) },
        }
    }
}

/// Whether what the realtime endpoint is to keep can be written.
fn store(router: &Router) -> Health {
    let stats = router.realtime().and_then(|endpoint| endpoint.plane.store_stats());
    match stats.and_then(|stats| stats.failed) {
        Some(error) => Health::Failed(format!("nothing can be kept any more: {error}")),
        None => Health::Well,
    }
}

/// Whether the node is in its cluster.
pub(super) struct InCluster(pub(super) Cluster);

impl Check for InCluster {
    fn name(&self) -> &'static str {
        "cluster"
    }

    fn check(&self) -> Health {
        match *self.0.state().borrow() {
            State::Joined => Health::Well,
            State::Away => {
                let why = "NATS is not reached: what needs other nodes waits or fails";
                Health::Degraded(why.to_owned())
            }
            State::Out => Health::Failed("the node is not in its cluster".to_owned()),
        }
    }
}

/// What `/healthz` answers: who answers is alive.
pub(crate) fn alive() -> Answer {
    response::json(StatusCode::OK, r#"{"alive":true}"#)
}
