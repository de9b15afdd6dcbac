//! Topics, as AWS IoT and SST's `Realtime` have them.
//!
//! # Brief overview
//!
//! - [`Realtime`] is an endpoint: an authorizer, which answers with a [`Grant`], and
//!   subscribers, which get [`Message`]s.
//! - [`topic!`](crate::topic) declares typed [`Topic`]s: their names, their parameters, and
//!   what their messages carry. A [`Filter`] takes all of them, or some.
//! - [`Home::publish`](crate::Home::publish) and [`Publisher`] publish, through the
//!   [`Broker`] of this process, Fanwire's or AWS IoT.

mod app;
mod broker;
mod connect;
mod grant;
mod handler;
pub mod lambda;
mod message;
mod principal;
mod publisher;
mod scope;
mod topic;

pub use self::app::{
    Authorizer, Call, Endpoint, Realtime, RealtimeError, SignedTokens, Subscriber,
};
#[cfg(feature = "server")]
pub(crate) use self::broker::NoBroker;
pub use self::broker::{Broker, Publication, PublishError};
pub use self::connect::{ConnectRequest, FromConnect};
pub use self::grant::{Answer, Grant, GrantError, Pattern, Place};
pub use self::handler::{Authorize, IntoDone, IntoGrant, Subscribe};
pub use self::message::{Decode, Encode, Incoming, Message, Payload, Raw, Sender, Source};
pub use self::publisher::{Publish, Publisher};
pub use self::scope::Scope;
pub use self::topic::{Any, Filter, Selects, Topic, TopicError};

#[doc(hidden)]
pub use self::topic::expansion;
