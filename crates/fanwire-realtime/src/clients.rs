//! One client, on whichever node it is: what is known of it, its end, messages to it alone;
//! and the list of all.
//!
//! Whoever is asked looks among its own clients first, and asks all other nodes at once where
//! it has none of that name: an answer is one message away, and that there is none too.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;

use fanwire_hub::Busy;
use tokio::sync::oneshot;

use crate::errand::{ClientError, Errand, Reply};
use crate::listing::{SessionInfo, SessionList};
use crate::mesh::Node;
use crate::notice::Notice;
use crate::{DirectError, Message, PublishError, Realtime};

/// How long another node has for its answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// How much longer than a client's time another node has to tell what came of it.
const ON_THE_WAY: Duration = Duration::from_secs(1);

impl Realtime {
    /// Sends a message to one client that is connected, whatever it subscribes to (reference:
    /// iot.md, section 7, SendDirectMessage). With QoS 1 done when the client has acknowledged
    /// it, for which it has `patience`. Taps and topic rules do not see it.
    ///
    /// # Errors
    ///
    /// [`DirectError`].
    pub async fn send_direct(
        &self,
        client_id: &str,
        message: Message,
        patience: Duration,
    ) -> Result<(), DirectError> {
        match self.send_direct_here(client_id, message.clone(), patience).await {
            Err(DirectError::Away) => {}
            settled => return settled,
        }
        let patience_ms = u64::try_from(patience.as_millis()).unwrap_or(u64::MAX);
        let errand = Errand::Direct { client_id: client_id.to_owned(), patience_ms };
        let patience = patience.saturating_add(ON_THE_WAY);
        let sent = self.ask_others(&errand, Some(&message), patience, |_, reply| match reply {
            Reply::Delivered => Some(Ok(())),
            Reply::Refused(refusal) => refusal.into_error().map(Err),
            _ => None,
        });
        sent.await.unwrap_or_else(|unheard| {
            self.all_heard(&unheard)?;
            Err(DirectError::Away)
        })
    }

    pub(crate) async fn send_direct_here(
        &self,
        client_id: &str,
        message: Message,
        patience: Duration,
    ) -> Result<(), DirectError> {
        self.inner.settings.load().check_publication(&message)?;
        let (done, outcome) = oneshot::channel();
        let shard = self.shard_of(client_id);
        let bytes = message.payload.len() + message.topic.len();
        let (client_id, message) = (client_id.into(), Arc::new(message));
        let notice = Notice::Direct { client_id, message, done };
        self.inner.hub.notify(shard, notice.into(), bytes).map_err(|Busy| PublishError::Busy)?;
        match tokio::time::timeout(patience, outcome).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) | Err(_) => Err(DirectError::Unconfirmed),
        }
    }

    /// Ends the connection of a client (reference: iot.md, section 7, DeleteConnection).
    /// Says whether it was connected.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn disconnect(
        &self,
        client_id: &str,
        clean_session: bool,
        prevent_will: bool,
    ) -> Result<bool, ClientError> {
        if self.disconnect_here(client_id, clean_session, prevent_will).await? {
            return Ok(true);
        }
        let client_id = client_id.to_owned();
        let errand = Errand::Disconnect { client_id, clean_session, prevent_will };
        let ended = self.ask_others(&errand, None, PATIENCE, |_, reply| {
            matches!(reply, Reply::Disconnected(true)).then_some(())
        });
        match ended.await {
            Ok(()) => Ok(true),
            Err(unheard) => Ok(self.all_heard(&unheard).map(|()| false)?),
        }
    }

    pub(crate) async fn disconnect_here(
        &self,
        client_id: &str,
        clean_session: bool,
        prevent_will: bool,
    ) -> Result<bool, Busy> {
        let (done, answer) = oneshot::channel();
        let client_id: Arc<str> = client_id.into();
        let shard = self.shard_of(&client_id);
        let notice = Notice::Disconnect { client_id, clean_session, prevent_will, done };
        self.inner.hub.notify(shard, notice.into(), 0)?;
        Ok(answer.await.unwrap_or(false))
    }

    /// Facts about the session of a client, connected or not.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn session(&self, client_id: &str) -> Result<Option<SessionInfo>, ClientError> {
        let here = self.session_here(client_id).await?;
        let mut found = here.map(|session| self.found(self.own_node(), session));
        if found.as_ref().is_some_and(|session| !session.moving) {
            return Ok(found);
        }
        let errand = Errand::Session { client_id: client_id.to_owned() };
        let asked = self.ask_others(&errand, None, PATIENCE, |node, reply| {
            let Reply::Session(Some(session)) = reply else { return None };
            let session = self.found(Some(node), *session);
            if session.moving {
                found.get_or_insert(session);
                return None;
            }
            Some(session)
        });
        match asked.await {
            Ok(session) => Ok(Some(session)),
            // Where it goes, it has not arrived yet.
            Err(_) if found.is_some() => Ok(found),
            Err(unheard) => Ok(self.all_heard(&unheard).map(|()| None)?),
        }
    }

    pub(crate) async fn session_here(&self, client_id: &str) -> Result<Option<SessionInfo>, Busy> {
        let (done, answer) = oneshot::channel();
        let client_id: Arc<str> = client_id.into();
        let shard = self.shard_of(&client_id);
        self.inner.hub.notify(shard, Notice::Session { client_id, done }.into(), 0)?;
        Ok(answer.await.ok().flatten())
    }

    /// Facts about the sessions of all nodes by client id, of each shard of this node at most
    /// `limit`; and whose are missing.
    ///
    /// # Errors
    ///
    /// [`Busy`] where too much waits for a shard of this node.
    pub async fn sessions(&self, limit: usize) -> Result<SessionList, Busy> {
        let mut list = SessionList::default();
        let mut take = |node: Option<Node>, sessions: Vec<SessionInfo>, more: bool| {
            list.sessions.extend(sessions.into_iter().map(|session| self.found(node, session)));
            list.more |= more;
        };
        let mut others = Vec::new();
        let asked = self.ask_others(&Errand::Sessions, None, PATIENCE, |node, reply| {
            if let Reply::Sessions { sessions, more } = reply {
                others.push((node, sessions, more));
            }
            None::<()>
        });
        let (here, asked) = tokio::join!(self.sessions_here(limit), asked);
        let (sessions, more) = here?;
        take(self.own_node(), sessions, more);
        others.into_iter().for_each(|(node, sessions, more)| take(Some(node), sessions, more));
        let unheard = asked.err().unwrap_or_default();
        list.missing = unheard.iter().filter_map(|node| self.name_of(*node)).collect();
        list.settle();
        Ok(list)
    }

    /// At most `limit` a shard, and whether there are more.
    pub(crate) async fn sessions_here(
        &self,
        limit: usize,
    ) -> Result<(Vec<SessionInfo>, bool), Busy> {
        let mut answers = Vec::with_capacity(self.inner.hub.shards());
        for shard in 0..self.inner.hub.shards() {
            let (done, answer) = oneshot::channel();
            // One more than is shown tells whether there is more.
            let notice = Notice::Sessions { limit: limit.saturating_add(1), done };
            self.inner.hub.notify(shard, notice.into(), 0)?;
            answers.push(answer);
        }
        let (mut sessions, mut more) = (Vec::new(), false);
        for answer in answers {
            let mut some = answer.await.unwrap_or_default();
            more |= some.len() > limit;
            some.truncate(limit);
            sessions.extend(some);
        }
        sessions.sort_by(|a, b| a.client_id.cmp(&b.client_id));
        Ok((sessions, more))
    }

    fn own_node(&self) -> Option<Node> {
        self.inner.mesh.as_ref().map(|mesh| mesh.node())
    }

    /// A session, with the name of the node that has it.
    fn found(&self, node: Option<Node>, session: SessionInfo) -> SessionInfo {
        SessionInfo { node: node.and_then(|node| self.name_of(node)), ..session }
    }
}

// === impl SessionList ===

impl SessionList {
    /// Puts the sessions in order, each once: one that moves is on two nodes for a while.
    fn settle(&mut self) {
        let rank = |session: &SessionInfo| Reverse((session.connected, !session.moving));
        let order = |a: &SessionInfo, b: &SessionInfo| {
            a.client_id.cmp(&b.client_id).then_with(|| rank(a).cmp(&rank(b)))
        };
        self.sessions.sort_by(order);
        self.sessions.dedup_by(|later, first| later.client_id == first.client_id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_that_moves_is_listed_once_where_it_goes() {
        let session = |id: &str, node: &str, moving: bool| -> SessionInfo {
            serde_json::from_value(serde_json::json!({
                "clientId": id, "principal": "", "connected": false, "protocol": "MQTT 5",
                "keepAlive": 0, "cleanStart": true, "sessionExpiry": 0, "subscriptions": [],
                "queued": 0, "inFlight": 0, "dropped": 0, "node": node, "moving": moving,
            }))
            .unwrap()
        };
        let sessions =
            vec![session("b", "1", true), session("a", "1", false), session("b", "2", false)];
        let mut list = SessionList { sessions, ..SessionList::default() };
        list.settle();
        let places = list.sessions.iter();
        let places: Vec<_> =
            places.map(|one| (&*one.client_id, one.node.as_deref().unwrap())).collect();
        assert_eq!(places, [("a", "1"), ("b", "2")]);
    }
}
