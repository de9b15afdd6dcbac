//! One call for many connections, and what they are addressed by: an extension of the
//! management API, which AWS has not.

use std::sync::Arc;

use fanwire_hub::{ConnectionId, Hub};
use futures_util::future::join_all;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use crate::Plane;
use crate::errand::{Errand, GroupName, PostKind, Reply};
use crate::groups::{Group, GroupError};
use crate::management::{ManagementError, Post, parse_id};
use crate::nodes::Nodes;
use crate::notice::{Notice, Reached};
use crate::peer::ApiIndex;
use crate::session::{Command, WebSocketSession};

/// Ids that one call may name.
const MAX_IDS: usize = 10_000;

/// Names of one kind in one call.
const MAX_NAMES: usize = 1_000;

/// Whom a message is for: those that are named, those that have one of the tags, and those
/// that are subscribed to one of the topics. Each gets it once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct Recipients {
    /// Connection ids.
    pub ids: Vec<String>,
    /// Tags.
    pub tags: Vec<String>,
    /// Topic names: who is subscribed to a filter that matches is meant.
    pub topics: Vec<String>,
}

/// What became of a message for many.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Delivered {
    /// How many connections it is on its way to.
    pub sent: usize,
    /// Ids that were named and are not, or no longer, connected to the API.
    pub gone: Vec<String>,
    /// Ids of connections that do not get it because they have too much waiting already, or
    /// because their node cannot be reached.
    pub full: Vec<String>,
}

impl Plane {
    /// Sends a message to many connections of an API that allows it, on all nodes.
    ///
    /// # Errors
    ///
    /// `Forbidden`, `TooMany`, `InvalidId`, `TooLarge`, `NotText`, or `Busy` where it is on
    /// its way to nobody.
    pub async fn post_many(
        &self,
        api: ApiIndex,
        recipients: Recipients,
        post: Post<'_>,
    ) -> Result<Delivered, ManagementError> {
        if self.dispatcher.nodes().is_none() {
            return self.post_many_here(api, recipients, post).await;
        }
        recipients.check()?;
        let (here, mut elsewhere) = self.by_node(&recipients)?;
        let in_groups = !recipients.tags.is_empty() || !recipients.topics.is_empty();
        if in_groups {
            for node in self.dispatcher.nodes().map(Nodes::others).unwrap_or_default() {
                elsewhere.entry(node).or_default();
            }
        }
        let mut delivered = self.post_many_here(api, here, post).await?;
        let (api, kind) = (self.api_id(api), PostKind::of(post));
        // One errand a node: who is named and is in a group gets it once.
        let asked = elsewhere.into_iter().map(|(node, ids)| {
            let recipients = Recipients { ids: ids.clone(), ..recipients.clone() };
            let errand = Errand::Many { api: api.clone(), recipients, kind };
            async move { (ids, self.ask(node, &errand, post.bytes()).await) }
        });
        for (ids, reply) in join_all(asked).await {
            match reply {
                Err(ManagementError::Gone) => delivered.gone.extend(ids),
                Err(_) => delivered.full.extend(ids),
                reply => delivered.add(reply),
            }
        }
        Ok(delivered)
    }

    /// Sends a message to many connections of this node.
    pub(crate) async fn post_many_here(
        &self,
        api: ApiIndex,
        recipients: Recipients,
        post: Post<'_>,
    ) -> Result<Delivered, ManagementError> {
        if !self.dispatcher.api(api).model.limits.broadcast {
            return Err(ManagementError::Forbidden);
        }
        recipients.check()?;
        let frame = Arc::new(self.dispatcher.api(api).frame(post)?);
        let groups = self.groups_of(api, &recipients)?;
        let Placed { by_shard, mut gone } = self.placed(recipients.ids)?;
        let mut notices = Vec::new();
        let mut answers = Vec::new();
        for (shard, ids) in by_shard.into_iter().enumerate() {
            if ids.is_empty() && groups.is_empty() {
                continue;
            }
            let (done, answer) = oneshot::channel();
            let (groups, frame) = (Arc::clone(&groups), Arc::clone(&frame));
            notices.push((shard, Notice::Many { api, ids, groups, frame, done }));
            answers.push(answer);
        }
        let sent = self.dispatcher.hub().notify_all(notices, post.bytes().len());
        sent.map_err(|_| ManagementError::Busy)?;
        let mut delivered = Delivered::default();
        for answer in answers {
            // A shard that has stopped has no connections any more.
            let Reached { sent, gone: left, full } = answer.await.unwrap_or_default();
            delivered.sent += sent;
            gone.extend(left.iter().map(ToString::to_string));
            delivered.full.extend(full.iter().map(ToString::to_string));
        }
        delivered.gone = gone;
        Ok(delivered)
    }

    /// Puts a connection into a group.
    ///
    /// # Errors
    ///
    /// `Gone`, `InvalidId`, `Busy`, `Away` or `Group`.
    pub async fn join(
        &self,
        api: ApiIndex,
        connection_id: &str,
        group: Group,
    ) -> Result<(), ManagementError> {
        let id = parse_id(connection_id)?;
        if let Some(node) = self.elsewhere(id)? {
            let (api, id, group) = (self.api_id(api), id.to_string(), GroupName::of(&group));
            return self.ask(node, &Errand::Join { api, id, group }, &[]).await.map(drop);
        }
        self.join_here(api, id, group).await
    }

    pub(crate) async fn join_here(
        &self,
        api: ApiIndex,
        id: ConnectionId,
        group: Group,
    ) -> Result<(), ManagementError> {
        let (done, answer) = oneshot::channel();
        self.command(id, Command::Join { api, group, done })?;
        let joined = answer.await.map_err(|_| ManagementError::Gone)?;
        joined.map_err(ManagementError::Group)
    }

    /// Takes a connection out of a group. Says whether it was in it.
    ///
    /// # Errors
    ///
    /// `Gone`, `InvalidId`, `Busy` or `Away`.
    pub async fn leave(
        &self,
        api: ApiIndex,
        connection_id: &str,
        group: Group,
    ) -> Result<bool, ManagementError> {
        let id = parse_id(connection_id)?;
        if let Some(node) = self.elsewhere(id)? {
            let (api, id, group) = (self.api_id(api), id.to_string(), GroupName::of(&group));
            return match self.ask(node, &Errand::Leave { api, id, group }, &[]).await? {
                Reply::Was(was) => Ok(was),
                _ => Err(ManagementError::Away),
            };
        }
        self.leave_here(api, id, group).await
    }

    pub(crate) async fn leave_here(
        &self,
        api: ApiIndex,
        id: ConnectionId,
        group: Group,
    ) -> Result<bool, ManagementError> {
        let (done, answer) = oneshot::channel();
        self.command(id, Command::Leave { api, group, done })?;
        answer.await.map_err(|_| ManagementError::Gone)
    }

    /// The groups that a connection is in.
    ///
    /// # Errors
    ///
    /// `Gone`, `InvalidId`, `Busy` or `Away`.
    pub async fn groups(
        &self,
        api: ApiIndex,
        connection_id: &str,
    ) -> Result<Vec<Group>, ManagementError> {
        let id = parse_id(connection_id)?;
        if let Some(node) = self.elsewhere(id)? {
            let errand = Errand::Groups { api: self.api_id(api), id: id.to_string() };
            return match self.ask(node, &errand, &[]).await? {
                Reply::Groups(names) => names.iter().map(GroupName::group).collect(),
                _ => Err(ManagementError::Away),
            };
        }
        self.groups_here(api, id).await
    }

    pub(crate) async fn groups_here(
        &self,
        api: ApiIndex,
        id: ConnectionId,
    ) -> Result<Vec<Group>, ManagementError> {
        let (done, answer) = oneshot::channel();
        self.command(id, Command::Groups { api, done })?;
        answer.await.map_err(|_| ManagementError::Gone)
    }

    /// Subscribes to all topics again, where the broker is another one.
    pub fn topics_changed(&self) {
        self.dispatcher.resubscribe();
    }

    /// Messages of topics that were dropped: those that an API may not send, and those for
    /// which a shard had no room. What a slow connection does not get is not among them.
    pub fn dropped_topic_messages(&self) -> u64 {
        self.dispatcher.topics().dropped()
    }

    /// The groups that tags and topics stand for.
    fn groups_of(
        &self,
        api: ApiIndex,
        recipients: &Recipients,
    ) -> Result<Arc<[Group]>, ManagementError> {
        let mut groups = Vec::new();
        for tag in &recipients.tags {
            groups.push(Group::tag(tag)?);
        }
        if !recipients.topics.is_empty() {
            let filters = self.dispatcher.topics().of_api(api);
            let is_meant = |filter: &Arc<str>| {
                recipients.topics.iter().any(|topic| filter_matches(filter, topic))
            };
            groups.extend(filters.into_iter().filter(is_meant).map(Group::Topic));
        }
        Ok(groups.into())
    }

    /// What of the recipients is here, groups with it, and the ids that are on other nodes.
    fn by_node(
        &self,
        recipients: &Recipients,
    ) -> Result<(Recipients, IndexMap<u16, Vec<String>>), ManagementError> {
        let mut here = Recipients { ids: Vec::new(), ..recipients.clone() };
        let mut elsewhere: IndexMap<u16, Vec<String>> = IndexMap::new();
        for id in &recipients.ids {
            match text_elsewhere(self.dispatcher.hub(), id)? {
                Some(node) => elsewhere.entry(node).or_default().push(id.clone()),
                None => here.ids.push(id.clone()),
            }
        }
        Ok((here, elsewhere))
    }

    fn placed(&self, ids: Vec<String>) -> Result<Placed, ManagementError> {
        let hub = self.dispatcher.hub();
        let mut placed = Placed { by_shard: vec![Vec::new(); hub.shards()], gone: Vec::new() };
        for text in ids {
            match parse_id(&text) {
                Ok(id) => {
                    let shard = hub.shard_number(id);
                    match shard.and_then(|shard| placed.by_shard.get_mut(shard)) {
                        Some(ids) => ids.push(id),
                        None => placed.gone.push(text),
                    }
                }
                Err(ManagementError::Gone) => placed.gone.push(text),
                Err(error) => return Err(error),
            }
        }
        Ok(placed)
    }
}

/// The node that an id is of, if it is not this one. What is no id of any is here, where it is
/// found to be gone.
fn text_elsewhere(hub: &Hub<WebSocketSession>, text: &str) -> Result<Option<u16>, ManagementError> {
    match parse_id(text) {
        Ok(id) => Ok((!hub.is_here(id)).then(|| id.node())),
        Err(ManagementError::Gone) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Ids by the shard that they are on, and those that are on none.
struct Placed {
    by_shard: Vec<Vec<ConnectionId>>,
    gone: Vec<String>,
}

// === impl Delivered ===

impl Delivered {
    /// Counts what another node has done. One that did nothing has nobody to name.
    pub(crate) fn add(&mut self, reply: Result<Reply, ManagementError>) {
        if let Ok(Reply::Delivered(Delivered { sent, gone, full })) = reply {
            self.sent += sent;
            self.gone.extend(gone);
            self.full.extend(full);
        }
    }
}

// === impl Recipients ===

impl Recipients {
    /// Whether nobody is meant.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty() && self.tags.is_empty() && self.topics.is_empty()
    }

    fn check(&self) -> Result<(), ManagementError> {
        let lists = [(&self.ids, MAX_IDS), (&self.tags, MAX_NAMES), (&self.topics, MAX_NAMES)];
        match lists.into_iter().find(|(list, limit)| list.len() > *limit) {
            Some((_, limit)) => Err(ManagementError::TooMany { limit }),
            None => Ok(()),
        }
    }
}

/// Whether a topic filter matches a topic name (MQTT 5, 4.7).
fn filter_matches(filter: &str, topic: &str) -> bool {
    if topic.starts_with('$') && filter.starts_with(['+', '#']) {
        return false;
    }
    let mut levels = topic.split('/');
    for wanted in filter.split('/') {
        if wanted == "#" {
            return true;
        }
        match levels.next() {
            Some(level) if wanted == "+" || wanted == level => {}
            _ => return false,
        }
    }
    levels.next().is_none()
}

impl From<GroupError> for ManagementError {
    fn from(error: GroupError) -> Self {
        Self::Group(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_matches_topics_level_by_level() {
        for (filter, topic) in
            [("a/b", "a/b"), ("a/+", "a/b"), ("#", "a/b"), ("a/#", "a/b/c"), ("+/+", "/x")]
        {
            assert!(filter_matches(filter, topic), "{filter} {topic}");
        }
        for (filter, topic) in
            [("a", "a/b"), ("a/+", "a"), ("a/+", "a/b/c"), ("#", "$aws/x"), ("a/b", "a")]
        {
            assert!(!filter_matches(filter, topic), "{filter} {topic}");
        }
    }
}
