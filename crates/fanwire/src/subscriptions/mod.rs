//! Typed procedures that clients call and subscribe to, as tRPC has them.
//!
//! What `aws-trpc-subscriptions` is to TypeScript, and more: a [`Router`] of procedures, of
//! which those that clients subscribe to are declared with their filters
//! ([`subscription!`](crate::subscription)); a [`Publisher`] for any process; and two ways
//! to serve them, from functions ([`Stored`]) or from a server. Clients are those of tRPC,
//! v10 and v11, unmodified.
//!
//! ```
//! use std::sync::Arc;
//! use fanwire::store::Memory;
//! use fanwire::subscriptions::Router;
//! use fanwire::websocket::Gateway;
//! use serde::{Deserialize, Serialize};
//! use ts_rs::TS;
//!
//! struct AppContext { user_id: String }
//!
//! #[derive(Deserialize, Serialize, TS)]
//! struct Watch { name: String }
//!
//! fanwire::subscription! {
//!     struct MySubscription("mySubscription"): (AppContext, Watch) -> String;
//!     filter UserIdAndName("userIdAndName") { ctx.user_id: String, input.name: String }
//! }
//!
//! # async fn app(gateway: Arc<dyn Gateway>) -> Result<(), fanwire::subscriptions::PublishError> {
//! // What `$connect`, `$disconnect` and `$default` call.
//! let subscriptions = Router::new()
//!     .subscription(MySubscription)
//!     .context(|opening| async move { Ok(AppContext { user_id: opening.require("userId")? }) })
//!     .stored(Memory::new());
//!
//! // What any process publishes with.
//! let publisher = subscriptions.publisher(gateway);
//! let name1 = UserIdAndName { user_id: "user1".into(), name: "name1".into() };
//! publisher.publish_to(&name1, &"hi".to_owned()).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Beyond the original
//!
//! - Publishing to `name1` does not reach `name10`, whatever the order of fields; all pages of
//!   subscribers are read; each gets it once.
//! - Errors reach clients as tRPC's; queries and mutations work over the socket, too.
//! - [`Tracked`] events: a client that comes back gets what it has missed, or is told that
//!   it cannot ([`ErrorCode::PreconditionFailed`]).
//! - [`Router::stream`], where a server lives.
//! - Types for clients in TypeScript: [`Subscriptions::typescript`].

mod endpoint;
mod error;
mod filter;
mod macros;
mod opening;
mod procedure;
mod publisher;
mod router;
mod service;
mod stored;
mod subscription;
mod typescript;

#[cfg(feature = "server")]
pub use fanwire_subscriptions::{KeepAlive, Probe};
pub use fanwire_wire::trpc::{ProcedureType, Transformer};

#[cfg(feature = "server")]
pub(crate) use self::endpoint::AnyProcedures;
pub use self::endpoint::Endpoint;
#[cfg(feature = "lambda")]
pub(crate) use self::endpoint::{Function, MakePublisher};
pub use self::error::{ErrorCode, TrpcError};
#[doc(hidden)]
pub use self::filter::Sources;
#[cfg(feature = "server")]
pub(crate) use self::filter::encode_key;
pub use self::filter::{
    Audience, Filter, FilterField, FilterInfo, FilterSide, FilterValue, Leading, LeadingOf, Scalar,
    Target,
};
pub use self::opening::{Opening, Said};
pub use self::procedure::{Answer, Call, Interest, Payload, Sent};
pub use self::publisher::{Delivery, Publication, PublishError, Publisher, Report};
pub use self::router::{CallInfo, Router};
pub use self::service::Subscriptions;
pub use self::stored::{Layout, Stored, StoredDelivery};
pub use self::subscription::{Output, Subscription, Tracked, tracked};
