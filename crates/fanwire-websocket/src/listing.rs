//! All connections of the plane, for people: AWS has no call that lists them.

use fanwire_hub::{Audience, ConnectionId};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

use crate::errand::{Errand, Reply};
use crate::management::{ManagementError, parse_id};
use crate::session::{Command, Inspection};
use crate::{Plane, timestamp};

/// Connections that another node lists: their list is one message, of at most a megabyte.
const MAX_LISTED_OF_A_NODE: usize = 2_000;

/// A live connection, as it is listed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ListedConnection {
    /// The name of its API.
    pub api: String,
    /// Its id.
    pub connection_id: String,
    /// When it was made, in ISO 8601.
    pub connected_at: String,
    /// When it last sent or got a message, likewise.
    pub last_active_at: String,
    /// Where its client connected from.
    pub source_ip: String,
    /// What its client calls itself.
    pub user_agent: Option<String>,
    /// Whom the authorizer took it for.
    pub principal_id: Option<String>,
}

impl Plane {
    /// The connections of all APIs on all nodes, oldest first: `limit` of each node at the
    /// most. Those of a node that cannot be reached are missing.
    ///
    /// # Errors
    ///
    /// `Busy`.
    pub async fn list(&self, limit: usize) -> Result<Vec<ListedConnection>, ManagementError> {
        let others = self.ask_all(&Errand::List { limit: limit.min(MAX_LISTED_OF_A_NODE) }, &[]);
        let (here, others) = tokio::join!(self.list_here(limit), others);
        let mut all = here?;
        for (_, reply) in others {
            if let Ok(Reply::Listed(listed)) = reply {
                all.extend(listed);
            }
        }
        all.sort_by(|a, b| {
            let key = |listed: &'_ ListedConnection| {
                (listed.connected_at.clone(), listed.connection_id.clone())
            };
            key(a).cmp(&key(b))
        });
        Ok(all)
    }

    /// The connections of all APIs on this node.
    pub(crate) async fn list_here(
        &self,
        limit: usize,
    ) -> Result<Vec<ListedConnection>, ManagementError> {
        let (sender, mut listed) = mpsc::channel(limit.max(1));
        for (api, _) in self.apis().iter() {
            let sender = sender.clone();
            let make = move || Command::List(sender.clone());
            let asked = self.dispatcher.hub().each(Audience(api), limit, make);
            asked.map_err(|_| ManagementError::Busy)?;
        }
        // The shards hold the other ends until they have asked everyone.
        drop(sender);
        let mut found = Vec::new();
        while let Some(inspection) = listed.recv().await {
            found.push(inspection);
        }
        found.sort_by_key(|inspection| {
            (inspection.peer.connected_at, inspection.peer.id.to_string())
        });
        Ok(found.iter().map(|inspection| self.listed(inspection)).collect())
    }

    /// A connection of whichever API.
    ///
    /// # Errors
    ///
    /// `Gone`, `InvalidId`, `Busy` or `Away`.
    pub async fn find(&self, connection_id: &str) -> Result<ListedConnection, ManagementError> {
        let id = parse_id(connection_id)?;
        if let Some(node) = self.elsewhere(id)? {
            let errand = Errand::Find { id: id.to_string() };
            return match self.ask(node, &errand, &[]).await? {
                Reply::Listed(mut listed) => listed.pop().ok_or(ManagementError::Gone),
                _ => Err(ManagementError::Away),
            };
        }
        self.find_here(id).await
    }

    pub(crate) async fn find_here(
        &self,
        id: ConnectionId,
    ) -> Result<ListedConnection, ManagementError> {
        for (api, _) in self.apis().iter() {
            let (done, answer) = oneshot::channel();
            let command = Command::Inspect { api, done };
            self.dispatcher.hub().command(id, command, 0).map_err(|_| ManagementError::Busy)?;
            if let Ok(inspection) = answer.await {
                return Ok(self.listed(&inspection));
            }
        }
        Err(ManagementError::Gone)
    }

    fn listed(&self, inspection: &Inspection) -> ListedConnection {
        let peer = &inspection.peer;
        ListedConnection {
            api: self.dispatcher.api(peer.api).model.name.clone(),
            connection_id: peer.id.to_string(),
            connected_at: timestamp::iso8601(peer.connected_at),
            last_active_at: timestamp::iso8601(peer.connected_at + inspection.active_after_ms),
            source_ip: peer.source_ip.to_string(),
            user_agent: peer.user_agent.as_deref().map(str::to_owned),
            principal_id: peer.authorizer.as_ref().map(|authorized| authorized.principal.clone()),
        }
    }
}
