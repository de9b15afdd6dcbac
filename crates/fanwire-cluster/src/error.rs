//! What can go wrong with other nodes, and what to do about it.

use crate::Incarnation;

/// Why a node did not come into the cluster.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// The settings cannot be used.
    #[error("the cluster's settings: {0}")]
    Settings(String),
    /// The seed of an NKey is none.
    #[error(
        "the seed in `nkey_file` is none: {0}; expected that of a user, as `nk -gen user` prints it: \
         SU, and 56 letters and digits"
    )]
    Seed(String),
    /// The file with the credentials cannot be read.
    #[error("the credentials for NATS in {path}: {cause}")]
    Credentials {
        /// The file.
        path: String,
        /// What is wrong with it.
        cause: std::io::Error,
    },
    /// NATS is not reached, or does not let this node in.
    #[error(
        "NATS at {servers}: {cause}; is it running there, and does this node come with what it \
         wants? It comes with {credentials}"
    )]
    Connect {
        /// The servers, without what is secret in their URLs.
        servers: String,
        /// The settings that say who this node is to NATS.
        credentials: &'static str,
        /// What NATS, or the network, said.
        cause: String,
    },
    /// The server is too old.
    #[error("nats-server {found} is too old: {needed} or newer is needed")]
    Version {
        /// The version that is there.
        found: String,
        /// The version that is needed.
        needed: &'static str,
    },
    /// The server has no JetStream for this node.
    #[error(
        "NATS has no JetStream for this node: start nats-server with `-js`, or enable it for the account ({0})"
    )]
    NoJetStream(String),
    /// The server takes messages that are too short.
    #[error(
        "NATS takes messages of {found} bytes at the most, and {needed} are needed, which is its \
         default: raise `max_payload` in the configuration of nats-server"
    )]
    MaxPayload {
        /// How many bytes it takes.
        found: usize,
        /// How many are needed.
        needed: usize,
    },
    /// JetStream does not make or show a bucket as it is needed.
    #[error("JetStream's bucket {bucket}: {cause}")]
    Bucket {
        /// The bucket.
        bucket: String,
        /// What is wrong.
        cause: String,
    },
    /// No number is free.
    #[error("no number is free for this node: every one that was tried is taken")]
    NoNumber,
    /// The system gives no thread.
    #[error("the system gives no thread: {0}")]
    Thread(#[from] std::io::Error),
    /// The system has no random numbers.
    #[error("the system has no random numbers: {0}")]
    Random(#[from] getrandom::Error),
}

/// Why a message did not go to a peer, or it is not known that it did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The peer was declared dead. Whether it got the message before is not known.
    #[error("node {0} is gone")]
    PeerDead(Incarnation),
    /// Too much waits for the peer; nothing was queued. Try again later.
    #[error("too much is waiting for node {0}")]
    WindowFull(Incarnation),
    /// The message is over what NATS takes; nothing was queued.
    #[error(
        "a message of {bytes} bytes is over the {limit} that NATS takes; raise its `max_payload`"
    )]
    TooLarge {
        /// The message's bytes.
        bytes: usize,
        /// How many NATS takes.
        limit: usize,
    },
    /// This node was declared dead itself, or has left.
    #[error("this node is not in the cluster")]
    NotJoined,
}

/// Why a request has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// No node of that number listens.
    #[error("nobody has that number")]
    Gone,
    /// The node did not answer in time. What was asked may have been done.
    #[error("the node did not answer in time")]
    Timeout,
    /// NATS is not reached.
    #[error("NATS is away")]
    Away,
    /// The request, or its answer, is over what NATS takes.
    #[error("the message is over the {limit} bytes that NATS takes; raise its `max_payload`")]
    TooLarge {
        /// How many NATS takes.
        limit: usize,
    },
}

/// Why a message was not published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// NATS is not reached; the message is dropped.
    #[error("NATS is away")]
    Away,
    /// More is being published than NATS takes; the message is dropped.
    #[error("too much is being published")]
    Busy,
    /// The message is over what NATS takes.
    #[error("the message is over the {limit} bytes that NATS takes; raise its `max_payload`")]
    TooLarge {
        /// How many NATS takes.
        limit: usize,
    },
}

/// Why there is no subscription.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot subscribe to {subject}: {cause}")]
pub struct SubscribeError {
    /// The subject.
    pub subject: String,
    /// What NATS said.
    pub cause: String,
}

/// Why records were not read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordsError {
    /// The record is not as the writer thought: somebody else was there first.
    #[error("another has written meanwhile")]
    Conflict,
    /// NATS is not reached. What was written may be there or not.
    #[error("NATS is away")]
    Away,
    /// JetStream did not confirm in time. What was written may be there or not.
    #[error("JetStream did not answer in time")]
    Timeout,
    /// The value is over what NATS takes.
    #[error("a record of {bytes} bytes is over what NATS takes; raise its `max_payload`")]
    TooLarge {
        /// The record's bytes.
        bytes: usize,
    },
    /// JetStream refuses, or has no such bucket.
    #[error("JetStream: {0}")]
    JetStream(String),
}
