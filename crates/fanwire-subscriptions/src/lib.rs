//! The subscriptions plane: tRPC over WebSockets, v10 and v11, whose subscriptions live on a
//! hub.
//!
//! An app brings [`Procedures`]: a function that makes a context for each connection, and one
//! that answers calls. What it answers a subscription with is an [`Interest`], by which the
//! plane finds it when something is published, or a stream of its own.
//!
//! # Brief overview
//!
//! - [`Subscriptions`] is the handle: it takes connections ([`Subscriptions::connect`]),
//!   publishes ([`Subscriptions::publish`]) and stops.
//! - [`Procedures`] is what it calls, on the runtime; [`Settings`] is what bounds it; an
//!   [`Observer`] hears what happens.
//! - `session` is one connection on its shard: frames, the closing handshake, the time. `calls`
//!   is what its messages lead to, and `task` what is done about them on the runtime.
//! - `index` finds the subscribers of a shard; `delivery` sends them what is published.
//! - `history` is what was published lately, in memory and in a store.
//!
//! ```
//! use std::sync::Arc;
//!
//! use fanwire_hub::HubOptions;
//! use fanwire_subscriptions::*;
//! use futures_util::future::{BoxFuture, FutureExt as _, ready};
//!
//! /// One procedure, `room.messages`, whose input is the name of a room.
//! struct Chat;
//!
//! impl Procedures for Chat {
//!     fn context(&self, _: Opening) -> BoxFuture<'static, Result<Context, CallError>> {
//!         ready(Ok(Arc::new(()) as Context)).boxed()
//!     }
//!
//!     fn call(&self, _: Context, call: Call) -> BoxFuture<'static, Result<Answer, CallError>> {
//!         let room = call.input.as_ref().map_or("", |input| input.get());
//!         let keys = vec![(0, room.as_bytes().to_vec())];
//!         let interest = Interest { path: call.path.clone(), keys, after: call.last_event_id };
//!         ready(match (call.kind, &*call.path) {
//!             (ProcedureType::Subscription, "room.messages") => Ok(Answer::Subscribed(interest)),
//!             (kind, path) => Err(CallError::no_such_procedure(kind, path)),
//!         })
//!         .boxed()
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let parts = Parts::new(Arc::new(Chat), HubOptions { shards: 1, ..HubOptions::default() });
//! let chat = Subscriptions::start(Settings::default(), parts)?;
//! let published = chat
//!     .publish(Publication {
//!         path: "room.messages".into(),
//!         filter: Some((0, br#""hall""#.to_vec())),
//!         data: Payload::new("hello")?,
//!         tracking: Tracking::Numbered,
//!     })
//!     .await?;
//! // Nobody is there yet, but whoever comes back gets it.
//! assert_eq!(published.delivered, 0);
//! assert!(published.event_id.is_some());
//! # chat.stop(std::time::Duration::from_secs(1)).await;
//! # Ok(())
//! # }
//! ```
//!
//! # What is promised of tracked publications
//!
//! Every subscriber gets them in their order. A client that comes
//! back with the id of the last one that it had gets those that it missed, once each, and then
//! what is published from then on; or, where they are not all kept any more, an error with
//! `PRECONDITION_FAILED`, never less than all in silence. With a [store](Parts::store) a
//! publication is kept before it is sent to anybody and before whoever published it is told;
//! ids hold beyond the end of the process then, and without one clients of an earlier process
//! are told.

mod calls;
mod delivery;
mod history;
mod index;
mod observer;
mod plane;
mod procedures;
mod publication;
mod session;
mod settings;
mod task;

pub use fanwire_wire::trpc::{ConnectionParams, ErrorCode, ProcedureType, Transformer};

pub use self::delivery::Notice;
pub use self::history::LoadError;
pub use self::observer::{Observer, SubscriptionsEvent};
pub use self::plane::{Arrival, Parts, Pending, StartError, Stats, Subscriptions};
pub use self::procedures::{
    Answer, Call, CallError, Context, EventStream, Interest, Opening, Procedures, StreamEvent,
};
pub use self::publication::{Payload, Publication, PublishError, Published, Tracking};
pub use self::session::{Command, TrpcSession};
pub use self::settings::{HistoryLimits, KeepAlive, Limits, Probe, Settings};
