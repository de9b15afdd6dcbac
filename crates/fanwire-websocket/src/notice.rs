//! Messages for many connections of a shard at once, addressed by what the shard knows of
//! them: topics, tags, ids.

use std::sync::Arc;

use fanwire_hub::{Audience, ConnectionId, Reach, Turn};
use fanwire_wire::ws::SharedFrame;
use indexmap::IndexSet;
use tokio::sync::{mpsc, oneshot};

use crate::dispatch::Dispatcher;
use crate::groups::Group;
use crate::peer::ApiIndex;
use crate::session::{Command, Posted, WebSocketSession};

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
    /// A connection that is expected is in groups from its first moment.
    Begin {
        /// The connection.
        newcomer: Newcomer,
        /// The groups.
        groups: Box<[Group]>,
    },
    /// It does not come.
    Forget(Newcomer),
}

/// A connection that is expected.
#[derive(Debug)]
pub struct Newcomer {
    /// Who counts those that are subscribed to topics.
    pub(crate) dispatcher: Dispatcher,
    pub(crate) id: ConnectionId,
    pub(crate) api: ApiIndex,
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
        Notice::Begin { newcomer: Newcomer { dispatcher, id, api }, groups } => {
            for group in &groups {
                // More than it can be in do not come with a connection.
                let _ = dispatcher.join(&mut turn.shared().groups, id, api, group);
            }
        }
        Notice::Forget(Newcomer { dispatcher, id, api }) => {
            dispatcher.leave_all(&mut turn.shared().groups, id, api);
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
    frame: &Arc<SharedFrame>,
) -> Reached {
    let mut reached = Reached::default();
    for id in ids {
        let posted = turn.call(id, |session, cx| session.post_as(api, frame, cx));
        match posted.unwrap_or_else(|| post_early(turn, api, id, frame)) {
            Some(Posted::Accepted) => reached.sent += 1,
            Some(Posted::Full) => reached.full.push(id),
            None => reached.gone.push(id),
        }
    }
    reached
}

/// Keeps a message for a connection that is not here yet, but whose client may know already
/// that it is connected, and have told whoever posts. `None` where this is none of them.
fn post_early(
    turn: &mut Turn<'_, WebSocketSession>,
    api: ApiIndex,
    id: ConnectionId,
    frame: &Arc<SharedFrame>,
) -> Option<Posted> {
    turn.expected(id).filter(|audience| *audience == Audience(api))?;
    let kept = turn.keep(id, Command::Early(Arc::clone(frame)));
    Some(if kept { Posted::Accepted } else { Posted::Full })
}
