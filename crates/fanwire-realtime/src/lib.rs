//! The realtime plane: an MQTT broker for clients of AWS IoT, of SST's `Realtime`, and any
//! other, whose connections and sessions live on a hub.
//!
//! # Brief overview
//!
//! - [`Realtime`] is the handle: it takes connections through their handshake
//!   ([`Realtime::handshake`]), publishes, subscribes taps, and tells of sessions and
//!   retained messages.
//! - `handshake` runs on the runtime: the first packet, the authorizer, the policy.
//! - `session` is one connection on its shard: bytes to packets, and the time.
//! - `broker` is what the connections of a shard share, and the heart of it: sessions,
//!   subscriptions, the ways of messages. It knows no socket and no clock.
//! - `directory` and `retained` are what the shards share; `durable` is what outlives them.
//! - [`mesh`] makes several nodes one broker, over links that somebody else has; `clients` finds
//!   one client on whichever node it is, and `errand` is what nodes ask each other for that.
//! - [`topic`] finds filters for a topic, and topics for a filter.
//! - [`Rules`] calls functions for messages, as topic rules say.
//! - [`Natives`] are authorizers and subscribers of this process, in place of functions.
//! - A [`Tap`] is a subscriber in this process; an [`Observer`] hears what happens.
//!
//! A message's way: socket → `session` → `broker` (policy, route) → the sessions of its
//! shard, by reference where many get the same bytes; other shards by notice; taps.

mod broker;
mod clients;
mod directory;
mod durable;
mod errand;
mod figures;
mod handshake;
mod listing;
pub mod mesh;
mod message;
mod natives;
mod notice;
mod observer;
mod plane;
mod promise;
mod refresh;
mod retained;
mod rules;
mod session;
mod settings;
mod tap;
mod throttle;
pub mod topic;

pub use self::broker::DirectError;
pub use self::durable::LoadError;
pub use self::errand::{ClientError, Unreachable};
pub use self::figures::{DropReason, RealtimeStats};
pub use self::handshake::{
    Arrival, ClientStream, Credentials, HttpArrival, MAX_PEEKED, SignedBy, Signer, TlsArrival,
    Trial,
};
pub use self::listing::{RetainedInfo, SessionInfo, SessionList, SubscriptionInfo};
pub use self::message::{Message, Origin, Properties, Publisher};
pub use self::natives::{
    NativeAuthorizer, NativeFailure, NativeFuture, NativeMessage, NativeRequest, NativeSubscriber,
    Natives, Terms,
};
pub use self::observer::{DisconnectReason, Observer, RealtimeEvent, TracedCall, TracedWork};
pub use self::plane::{PublishError, Realtime, RealtimeParts, StartError, WeakRealtime};
pub use self::rules::{RuleError, RuleStats, Rules};
pub use self::session::MqttSession;
pub use self::settings::SettingsError;
pub use self::tap::{Subscription, Tap};
