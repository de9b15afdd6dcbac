//! What other threads tell a shard of the broker.

use std::sync::Arc;

use fanwire_wire::mqtt::QoS;
use tokio::sync::oneshot;

use crate::broker::DirectError;
use crate::directory::Group;
use crate::durable::{RecoveredSession, Transit};
use crate::listing::SessionInfo;
use crate::mesh::{Incoming, Node, Sent};
use crate::promise::Promise;
use crate::settings::Settings;
use crate::{Message, Origin};

/// What other threads tell a shard.
#[derive(Debug)]
#[expect(private_interfaces, reason = "a notice is made and read in this crate alone")]
pub enum Notice {
    /// Publish a message that begins its way here.
    Publish {
        /// The message.
        message: Arc<Message>,
        /// Told whether what it leaves behind is kept.
        done: Option<oneshot::Sender<bool>>,
    },
    /// Deliver messages that came in on another shard to the sessions of this one.
    Forwarded(Vec<Arc<Message>>, Part),
    /// Deliver a message to the sessions of this shard that have come from a node that died.
    ForAdopted(Arc<Message>, Part),
    /// Deliver a message to a session that was chosen among those of a shared
    /// subscription.
    Chosen(Chosen, Part),
    /// Send a message to one client, whatever it subscribes to.
    Direct {
        /// The client.
        client_id: Arc<str>,
        /// The message.
        message: Arc<Message>,
        /// Told what came of it; with QoS 1 once it is acknowledged.
        done: oneshot::Sender<Result<(), DirectError>>,
    },
    /// End the connection of a client.
    Disconnect {
        /// The client.
        client_id: Arc<str>,
        /// Whether its session ends too.
        clean_session: bool,
        /// Whether its will is dropped.
        prevent_will: bool,
        /// Told whether it was connected.
        done: oneshot::Sender<bool>,
    },
    /// Tell about a session.
    Session {
        /// The client.
        client_id: Arc<str>,
        /// Where the answer goes.
        done: oneshot::Sender<Option<SessionInfo>>,
    },
    /// Tell about the sessions of the shard.
    Sessions {
        /// How many at the most.
        limit: usize,
        /// Where the answer goes.
        done: oneshot::Sender<Vec<SessionInfo>>,
    },
    /// Deliver messages of another node to the sessions of this one.
    Incoming(Incoming),
    /// Choose another member of a shared subscription: those of the node that a message was
    /// sent to have gone.
    ChooseAgain(Sent),
    /// Deliver what was sent to a node that died to its sessions, which live here now.
    PassedOn(Sent),
    /// A client connects at another node, which asks under a number to have it.
    Claimed {
        /// The client.
        client_id: Arc<str>,
        /// The node.
        from: Node,
        /// The number.
        number: u64,
        /// Whether its session ends.
        clean: bool,
    },
    /// Take in a session.
    Restore {
        /// The session.
        session: Box<RecoveredSession>,
        /// Where it comes from.
        how: Restored,
        /// Kept when it is kept here.
        promise: Arc<Promise>,
    },
    /// The session of a client that went to a node is kept there.
    Arrived {
        /// The client.
        client_id: Arc<str>,
        /// The node.
        at: Node,
    },
    /// All that came for a session where it was before has come.
    Followed {
        /// The client.
        client_id: Arc<str>,
    },
    /// All that was on its way to a node that died, and whose sessions live here now, has come.
    AdoptionEnded(Node),
    /// Let go of the promise when the turn is over, and all that it leads to is told.
    Passing(Arc<Promise>),
    /// Another node has died.
    NodeDied(Node),
    /// Let go of all clients: others look after them. Whoever is done lets go of the promise.
    Fenced(Arc<Promise>),
    /// Other settings hold from now on.
    Settings(Arc<Settings>),
    /// What a shard left to be kept is kept, or cannot be, up to a number that it gave.
    Kept {
        /// The number.
        ticket: u64,
        /// Whether it is kept.
        ok: bool,
    },
}

/// A notice on its way to a shard. Where that has ended, and nobody takes it, what it is part of
/// is not kept.
#[derive(Debug)]
pub struct Handed(Option<Notice>);

/// Where a session comes from.
#[derive(Debug)]
#[expect(private_interfaces, reason = "as of a notice")]
pub enum Restored {
    /// From the node that it lived on.
    Moved {
        /// Messages that it has got, or brings along: what comes of them here comes again.
        got: Vec<Origin>,
        /// Kept when all nodes know what it listens to here.
        known: Arc<Promise>,
    },
    /// From what is kept of a node that died.
    Adopted(Node),
}

/// What the shard that delivers messages of another one has to do with what is kept of them.
#[derive(Debug, Default)]
pub struct Part {
    /// It has a part in what is promised there.
    pub(crate) promises: Vec<Arc<Promise>>,
    /// Those that are kept in its place until it has kept its part.
    pub(crate) transits: Vec<Transit>,
}

/// A message for a session that was chosen among those of a shared subscription.
#[derive(Debug)]
pub struct Chosen {
    /// Where another is chosen if it is gone.
    pub(crate) group: Arc<Group>,
    pub(crate) client_id: Arc<str>,
    pub(crate) message: Arc<Message>,
    /// What the subscription was granted.
    pub(crate) qos: QoS,
    /// Whether it wants the retain flag as it was published.
    pub(crate) retain_as_published: bool,
    pub(crate) subscription_id: Option<u32>,
}

// === impl Notice ===

impl Notice {
    /// What this is part of is not kept.
    pub(crate) fn break_promises(&self) {
        match self {
            Self::Forwarded(_, part) | Self::ForAdopted(_, part) | Self::Chosen(_, part) => {
                part.promises.iter().for_each(|promise| promise.break_it());
            }
            Self::Incoming(Incoming { settling: Some(settling), .. }) => {
                settling.promise.break_it();
            }
            Self::ChooseAgain(sent) | Self::PassedOn(sent) => sent.break_promise(),
            Self::Restore { promise, .. } => promise.break_it(),
            // Whoever waits for the others is told by their end, or waits for it alone.
            _ => {}
        }
    }
}

// === impl Handed ===

impl Handed {
    /// The notice, for the shard that acts on it.
    pub(crate) fn take(mut self) -> Option<Notice> {
        self.0.take()
    }
}

impl From<Notice> for Handed {
    fn from(notice: Notice) -> Self {
        Self(Some(notice))
    }
}

impl Drop for Handed {
    fn drop(&mut self) {
        if let Some(notice) = &self.0 {
            notice.break_promises();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn what_a_notice_is_part_of_is_kept_where_a_shard_takes_it_alone() {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let forwarded = |number| {
            let heard = Arc::clone(&heard);
            let told = move |number, kept| heard.lock().unwrap().push((number, kept));
            let promises = vec![Promise::new(number, Arc::new(told))];
            Handed::from(Notice::Forwarded(Vec::new(), Part { promises, ..Part::default() }))
        };
        drop(forwarded(1).take());
        drop(forwarded(2));
        assert_eq!(*heard.lock().unwrap(), [(1, true), (2, false)]);
    }
}
