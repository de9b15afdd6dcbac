//! What is known of a connection's client for as long as it is connected.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use fanwire_access::Counted;
use fanwire_hub::ConnectionId;
use serde_json::value::RawValue;

use crate::nodes::Stay;

/// The client of one connection: what every event about it tells.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) id: ConnectionId,
    /// Which of the plane's APIs it is connected to.
    pub(crate) api: ApiIndex,
    /// Milliseconds since the epoch.
    pub(crate) connected_at: u64,
    pub(crate) source_ip: IpAddr,
    pub(crate) user_agent: Option<Box<str>>,
    /// The host, with its port, that the client connected to. Shared between the
    /// connections of an API, since they mostly name the same.
    pub(crate) domain: Arc<str>,
    /// What the authorizer said.
    pub(crate) authorizer: Option<Box<Authorized>>,
    /// What `requestContext.identity` has beside the address and the user agent.
    pub(crate) identity: Vec<(&'static str, String)>,
    /// Where the connection is kept for other nodes: the stay under which it was.
    pub(crate) stay: Option<Stay>,
    /// Its place among the connections that its API allows.
    pub(crate) _place: Place,
    /// Its place among those of its address and its principal.
    pub(crate) counted: Counted,
}

/// One of the connections that an API allows, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Place(Arc<AtomicUsize>);

impl Place {
    /// Takes a place, unless `limit` are taken.
    pub(crate) fn take(taken: &Arc<AtomicUsize>, limit: usize) -> Option<Self> {
        let more = |count: usize| (count < limit).then_some(count + 1);
        taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(Self(Arc::clone(taken)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The number of an API in its plane; also its audience in the hub.
pub type ApiIndex = u16;

/// An authorizer's answer, kept for the connection's life.
#[derive(Debug)]
pub(crate) struct Authorized {
    /// `requestContext.authorizer` as JSON: the context with every value a string,
    /// `principalId` and `integrationLatency`.
    pub(crate) context: Box<RawValue>,
    /// For access logs.
    pub(crate) principal: String,
    /// How long the authorizer took, in milliseconds.
    pub(crate) latency_ms: u64,
}
