//! What is kept of a connection outside of its node: as much as the event of its end needs,
//! so that another node can tell of it.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use fanwire_access::Counted;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::Plane;
use crate::api::{Api, DISCONNECT};
use crate::event::DisconnectCause;
use crate::peer::{ApiIndex, Authorized, Peer, Place};

/// What is kept of a connection. Keys are never given another meaning: nodes of several
/// versions read them.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    api: String,
    id: String,
    connected_at: u64,
    source_ip: IpAddr,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user_agent: Option<Box<str>>,
    domain: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    authorizer: Option<AuthorizerRecord>,
}

#[derive(Debug, Serialize, Deserialize)]
struct AuthorizerRecord {
    context: Box<RawValue>,
    principal: String,
    latency_ms: u64,
}

/// A connection whose node is gone, before its client could say why.
const NODE_GONE: (u16, &str) = (1006, "");

impl Api {
    /// Whether somebody is to hear of the end of its connections.
    pub(crate) fn tells_ends(&self) -> bool {
        self.route(DISCONNECT).is_some()
    }

    /// What is to be kept of a connection.
    pub(crate) fn record_of(&self, peer: &Peer) -> Bytes {
        let authorizer = peer.authorizer.as_ref().map(|authorized| AuthorizerRecord {
            context: authorized.context.clone(),
            principal: authorized.principal.clone(),
            latency_ms: authorized.latency_ms,
        });
        let record = Record {
            api: self.model.id.clone(),
            id: peer.id.to_string(),
            connected_at: peer.connected_at,
            source_ip: peer.source_ip,
            user_agent: peer.user_agent.clone(),
            domain: peer.domain.to_string(),
            authorizer,
        };
        // Texts and numbers only: this cannot fail.
        serde_json::to_vec(&record).unwrap_or_default().into()
    }
}

impl Record {
    fn into_peer(self, api: ApiIndex) -> Option<Peer> {
        let authorizer = self.authorizer.map(|authorizer| {
            let AuthorizerRecord { context, principal, latency_ms } = authorizer;
            Box::new(Authorized { context, principal, latency_ms })
        });
        Some(Peer {
            // What a signature or an API key told is not kept.
            identity: Vec::new(),
            id: self.id.parse().ok()?,
            api,
            connected_at: self.connected_at,
            source_ip: self.source_ip,
            user_agent: self.user_agent,
            domain: self.domain.into(),
            authorizer,
            stay: None,
            // It takes the place of none that are here.
            _place: Place::take(&Arc::default(), 1)?,
            counted: Counted::default(),
        })
    }
}

impl Plane {
    /// Tells of the end of a connection whose node is gone, from what was kept of it. Done when
    /// `$disconnect` is. What cannot be told, because the App has that API no more, is not.
    /// `false` where it is still to be told, because the functions here are shutting down.
    pub async fn tell_end(&self, record: &[u8]) -> bool {
        let Ok(record) = serde_json::from_slice::<Record>(record) else { return true };
        let apis = self.apis();
        let found = apis.iter().find(|(_, model)| model.id == record.api);
        let Some((api, _)) = found else { return true };
        let Some(peer) = record.into_peer(api) else { return true };
        let (code, reason) = NODE_GONE;
        let cause = DisconnectCause { code, reason: reason.into() };
        self.dispatcher.disconnect(&peer, &cause).await
    }
}
