//! Messages for many connections of a shard at once, addressed by what the shard knows of
//! them: topics, tags, ids.

use std::sync::Arc;

use fanwire_hub::{ConnectionId, Reach, Turn};
use fanwire_wire::ws::SharedFrame;
use indexmap::IndexSet;
use tokio::sync::{mpsc, oneshot};

use crate::groups::Group;
use crate::peer::ApiIndex;
use crate::session::{Posted, WebSocketSession};

/// A message for every connection of an API.
#[derive(Debug)]
pub struct Broadcast {
    /// The message.
    pub(crate) frame: SharedFrame,
    /// Told by each shard what became of it.
    pub(crate) done: mpsc::UnboundedSender<Reach>,
}

/// What a shard of the plane can be told.
#[derive(Debug)]
pub enum Notice {
    /// A message has come to those who are subscribed to a topic filter.
    Topic {
        /// Whose connections are meant.
        api: ApiIndex,
        /// The filter.
        filter: Arc<str>,
        /// The message.
        frame: Arc<SharedFrame>,
    },
    /// A message has been posted to many.
    Many {
        /// Whose connections are meant.
        api: ApiIndex,
        /// Those of the shard that are named.
        ids: Vec<ConnectionId>,
        /// Those that are in one of these.
        groups: Arc<[Group]>,
        /// The message.
        frame: Arc<SharedFrame>,
        /// Told what became of it.
        done: oneshot::Sender<Reached>,
    },
}

/// What became of a message for many connections, on one shard.
#[derive(Debug, Default)]
pub struct Reached {
    /// How many have it.
    pub(crate) sent: usize,
    /// Those that were named and are no connections of the API.
    pub(crate) gone: Vec<ConnectionId>,
    /// Those that have too much waiting already.
    pub(crate) full: Vec<ConnectionId>,
}

/// Does what a notice says.
pub(crate) fn act(turn: &mut Turn<'_, WebSocketSession>, notice: Notice) {
    match notice {
        Notice::Topic { api, filter, frame } => {
            let members = members(turn, api, &[Group::Topic(filter)]);
            post_all(turn, api, members, &frame);
        }
        Notice::Many { api, ids, groups, frame, done } => {
            let mut all: IndexSet<ConnectionId> = ids.into_iter().collect();
            all.extend(members(turn, api, &groups));
            // The caller may have stopped waiting.
            let _ = done.send(post_all(turn, api, all, &frame));
        }
    }
}

/// Connections that are in one of the groups, each once.
fn members(
    turn: &mut Turn<'_, WebSocketSession>,
    api: ApiIndex,
    groups: &[Group],
) -> IndexSet<ConnectionId> {
    let known = &turn.shared().groups;
    groups.iter().flat_map(|group| known.members(api, group)).collect()
}

fn post_all(
    turn: &mut Turn<'_, WebSocketSession>,
    api: ApiIndex,
    ids: impl IntoIterator<Item = ConnectionId>,
    frame: &SharedFrame,
) -> Reached {
    let mut reached = Reached::default();
    for id in ids {
        match turn.call(id, |session, cx| session.post_as(api, frame, cx)).flatten() {
            Some(Posted::Accepted) => reached.sent += 1,
            Some(Posted::Full) => reached.full.push(id),
            None => reached.gone.push(id),
        }
    }
    reached
}
