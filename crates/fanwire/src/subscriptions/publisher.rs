//! Publishing, from any process.

use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::stored::StoredDelivery;
use super::{Audience, FilterInfo, Output, Sent, Subscription, Target, TrpcError};
use crate::store::{Store, StoreError};
use crate::websocket::Gateway;

/// Publishes to procedures that clients subscribe to. What is published has to be what the
/// procedure sends, and whom it is for one of its filters: all else does not compile.
///
/// Cheap to clone.
///
/// ```
/// # use std::sync::Arc;
/// # use fanwire::store::Store;
/// # use fanwire::subscriptions::{Filter, PublishError, Publisher};
/// # use fanwire::websocket::Gateway;
/// # use serde::{Deserialize, Serialize};
/// # use ts_rs::TS;
/// # struct AppContext { user_id: String }
/// # #[derive(Deserialize, Serialize, TS)]
/// # struct Watch { name: String }
/// fanwire::subscription! {
///     struct MySubscription("mySubscription"): (AppContext, Watch) -> String;
///     filter UserIdAndName("userIdAndName") { ctx.user_id: String, input.name: String }
/// }
///
/// async fn greet(store: impl Store, gateway: Arc<dyn Gateway>) -> Result<(), PublishError> {
///     let publisher = Publisher::stored(store, gateway);
///     let hi = "hi".to_owned();
///
///     publisher.publish(MySubscription, &hi).await?;
///     let bob = UserIdAndName { user_id: "user1".into(), name: "Bob".into() };
///     publisher.publish_to(&bob, &hi).await?;
///     let report = publisher.publish_to(&UserIdAndName::leading(("user1".into(),)), &hi).await?;
///     println!("{} got it, {} are gone", report.delivered, report.gone);
///     Ok(())
/// }
/// ```
#[derive(Clone)]
pub struct Publisher {
    delivery: Arc<dyn Delivery>,
}

/// How what is published gets to subscribers: through a store and a gateway, or the hub of
/// this process.
pub trait Delivery: Send + Sync + 'static {
    /// Delivers to all subscribers of the audience that there are now, once to each.
    fn deliver(&self, publication: Publication) -> BoxFuture<'_, Result<Report, PublishError>>;
}

/// Something to be published.
#[derive(Clone, Debug)]
pub struct Publication {
    /// The path of the procedure.
    pub path: &'static str,
    /// Its filters.
    pub filters: &'static [FilterInfo],
    /// Which of its subscribers it is for.
    pub audience: Audience,
    /// What they are sent.
    pub sent: Sent,
}

/// What became of something that was published.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// How many subscriptions it was given to.
    pub delivered: usize,
    /// How many were of connections that have ended. They are forgotten.
    pub gone: usize,
    /// How many did not get it for another reason.
    pub failed: usize,
}

/// Why something was not published, or not to all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// It has no JSON. Fault of the caller.
    #[error("it cannot be written as JSON: {0}")]
    NoJson(String),
    /// The id of a tracked event is empty or over 1,000 bytes. Fault of the caller.
    #[error("`{0}` is no event id: 1 to 1,000 bytes are")]
    EventId(String),
    /// The store failed; what was found of the subscribers until then got it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What delivers it failed.
    #[error("it could not be delivered: {0}")]
    Failed(String),
}

// === impl Publisher ===

impl Publisher {
    /// A publisher that delivers so.
    pub fn new(delivery: impl Delivery) -> Self {
        Self { delivery: Arc::new(delivery) }
    }

    /// A publisher for subscribers that are in a store, behind a gateway. See
    /// [`StoredDelivery`] for its options.
    pub fn stored(store: impl Store, gateway: Arc<dyn Gateway>) -> Self {
        Self::new(StoredDelivery::new(Arc::new(store), gateway))
    }

    /// Publishes to every subscriber of a procedure.
    ///
    /// # Errors
    ///
    /// When the subscribers cannot be found, or `output` cannot be written as JSON. That some
    /// could not be reached is no error but a matter of the report.
    pub async fn publish<S: Subscription>(
        &self,
        _: S,
        output: &S::Output,
    ) -> Result<Report, PublishError> {
        self.send::<S>(Audience::Everyone, output).await
    }

    /// Publishes to the subscribers with the values of a filter, or with those of its first
    /// fields ([`Filter::leading`](super::Filter::leading)).
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish).
    pub async fn publish_to<T: Target>(
        &self,
        target: &T,
        output: &<T::Subscription as Subscription>::Output,
    ) -> Result<Report, PublishError> {
        self.send::<T::Subscription>(target.audience(), output).await
    }

    async fn send<S: Subscription>(
        &self,
        audience: Audience,
        output: &S::Output,
    ) -> Result<Report, PublishError> {
        let no_json = |error: TrpcError| PublishError::NoJson(error.to_string());
        let sent = Sent::of(output).map_err(no_json)?;
        if let Some(id) = sent.event_id.as_ref()
            && (id.is_empty() || id.len() > MAX_EVENT_ID_BYTES)
        {
            return Err(PublishError::EventId(id.clone()));
        }
        debug_assert_eq!(sent.event_id.is_some(), S::Output::TRACKED);
        let publication = Publication { path: S::PATH, filters: S::FILTERS, audience, sent };
        self.delivery.deliver(publication).await
    }
}

/// The longest id of an event: it is a sort key in stores.
const MAX_EVENT_ID_BYTES: usize = 1000;

impl fmt::Debug for Publisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Publisher")
    }
}

// === impl Report ===

impl std::ops::AddAssign for Report {
    fn add_assign(&mut self, other: Self) {
        self.delivered += other.delivered;
        self.gone += other.gone;
        self.failed += other.failed;
    }
}
