//! What clients subscribe to, as a type.

use serde::Serialize;
use serde::de::DeserializeOwned;
use ts_rs::TS;

use super::{FilterInfo, Scalar};

/// A procedure that clients subscribe to. [`subscription!`](crate::subscription) makes them.
pub trait Subscription: Copy + Send + Sync + 'static {
    /// Its whole path, such as `room.messages`.
    const PATH: &'static str;
    /// Its filters.
    const FILTERS: &'static [FilterInfo];
    /// The context that it is called with.
    type Context: Send + Sync + 'static;
    /// What clients say when they subscribe.
    type Input: DeserializeOwned + TS + Send + Sync + 'static;
    /// What subscribers are sent: a value, or [`Tracked`] ones.
    type Output: Output;

    /// The values of a subscriber, for each filter.
    fn keys(ctx: &Self::Context, input: &Self::Input) -> Vec<Vec<Scalar>>;
}

/// What a subscriber is sent: any value that can be serialized, or a [`Tracked`] one.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be sent to clients",
    label = "expected a type that derives `serde::Serialize` and `ts_rs::TS`, or `Tracked` of one"
)]
pub trait Output: Send + Sync {
    /// What the client's code gets as `data`.
    type Data: Serialize + TS + 'static;
    /// Whether it has an id.
    const TRACKED: bool;

    /// What the client's code gets.
    fn data(&self) -> &Self::Data;

    /// The id by which a client says that it has had it.
    fn event_id(&self) -> Option<&str>;
}

/// An event with an id: a client whose connection was lost says the id of the last one that
/// it had, and gets those that came after. `tracked()` in tRPC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tracked<T> {
    /// The id: not empty, and another one for each event of a procedure.
    pub id: String,
    /// The event.
    pub data: T,
}

/// An event with an id.
///
/// ```
/// use fanwire::subscriptions::{Output, tracked};
///
/// let event = tracked("17", "hello");
/// assert_eq!((event.event_id(), *event.data()), (Some("17"), "hello"));
/// ```
pub fn tracked<T>(id: impl Into<String>, data: T) -> Tracked<T> {
    Tracked { id: id.into(), data }
}

// === impl Output ===

impl<T: Serialize + TS + Send + Sync + 'static> Output for T {
    type Data = T;
    const TRACKED: bool = false;

    fn data(&self) -> &T {
        self
    }

    fn event_id(&self) -> Option<&str> {
        None
    }
}

impl<T: Serialize + TS + Send + Sync + 'static> Output for Tracked<T> {
    type Data = T;
    const TRACKED: bool = true;

    fn data(&self) -> &T {
        &self.data
    }

    fn event_id(&self) -> Option<&str> {
        Some(&self.id)
    }
}
