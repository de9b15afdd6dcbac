//! The link between nodes, over NATS: who is there, what they say to each other, and what
//! outlives them. It knows no plane: what nodes say is bytes, under the name of a channel.
//!
//! # Brief overview
//!
//! - [`Cluster`] is the handle: [`Cluster::join`] connects and takes a [`NodeId`] that
//!   nobody else has; [`Cluster::start`] begins to listen once the planes have registered
//!   what they do.
//! - `membership` is the state machine of leases: clock in, actions out. Its driver is
//!   `lease`. A node that is gone is declared dead by one other, which does what is to be
//!   done for it ([`Cluster::on_recovery`]); a node that was declared dead and is not is
//!   told so ([`Cluster::on_fenced`]) and joins again as another [`Incarnation`].
//! - `link` is what takes messages to another node in order, acknowledged, once
//!   ([`Cluster::send`], [`Cluster::on`]); [`Cluster::request`] asks a node and hears at
//!   once where nobody is there; [`Cluster::publish`] takes a message to several nodes, at most
//!   once: `addressees` has the subjects that name them.
//! - [`Records`] are what outlives a node: small values under keys, in JetStream.
//!
//! # What it is not
//!
//! It orders nothing between different senders, and keeps no message for a node that is
//! not there: what must outlive a node is in [`Records`].
//!
//! # Cancel safety
//!
//! [`Cluster::send`] queues the message before it returns; the future that it gives only
//! tells of the end, and may be dropped. A dropped [`Cluster::request`] may still be
//! answered at its other end.

mod addressees;
mod cluster;
mod death;
mod error;
mod facts;
#[cfg(feature = "fixture")]
pub mod fixture;
#[cfg(fuzzing)]
pub mod fuzzing;
mod home;
mod identity;
mod lease;
mod link;
mod membership;
mod nats;
mod options;
mod publication;
mod records;
mod request;

pub use self::cluster::{Cluster, Event, Events, State};
pub use self::error::{
    JoinError, PublishError, RecordsError, RequestError, SendError, SubscribeError,
};
pub use self::facts::{Facts, PeerFacts};
pub use self::identity::{BootId, Incarnation, NodeId, Peer, Peers};
pub use self::link::Sending;
pub use self::options::{ClusterOptions, Credentials, NatsTls, limits};
pub use self::publication::{Publication, Subscription};
pub use self::records::{Change, Expected, Key, Record, Records, RecordsWatch, Revision, Write};
