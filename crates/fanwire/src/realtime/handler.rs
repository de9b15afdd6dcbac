//! Functions that can be authorizers and subscribers.

use std::future::Future;
use std::sync::Arc;

use super::app::{Authorizer, Call};
use super::message::{Incoming, Source};
use super::{Decode, FromConnect, Grant, Message};
use crate::{Error, Home, Result};

/// What a message that cannot be read is refused with: trying again would not help.
const UNREADABLE: u16 = 422;

/// An async function that can decide about clients: see
/// [`Realtime::authorizer`](super::Realtime::authorizer).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no authorizer",
    note = "an authorizer is an async function of a `String` (the token) or a \
            `ConnectRequest`, and of a `Home` where it needs one; it returns a `Grant` or a \
            `fanwire::Result<Grant>`"
)]
pub trait Authorize<A>: Send + Sync + 'static {
    /// What the homes call.
    #[doc(hidden)]
    fn erase(self) -> Authorizer;
}

/// An async function that can be called for messages: see
/// [`Realtime::subscriber`](super::Realtime::subscriber).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no subscriber of `{S}`",
    note = "a subscriber is an async function of a `Message<Payload>`, or of a \
            `Message<Payload, Topic>` where the filter is typed, and of a `Home` where it \
            needs one; it returns nothing or a `fanwire::Result`"
)]
pub trait Subscribe<P, S, A>: Send + Sync + 'static {
    /// What the homes call for messages of the filter.
    #[doc(hidden)]
    fn erase(self, filter: String) -> Call;
}

/// What an authorizer may return.
pub trait IntoGrant {
    /// The grant, or why there is none.
    ///
    /// # Errors
    ///
    /// What the authorizer failed with.
    fn into_grant(self) -> Result<Grant>;
}

/// What a subscriber may return.
pub trait IntoDone {
    /// Whether the work is done.
    ///
    /// # Errors
    ///
    /// What the subscriber failed with.
    fn into_done(self) -> Result<()>;
}

// === impl IntoGrant ===

impl IntoGrant for Grant {
    fn into_grant(self) -> Result<Grant> {
        Ok(self)
    }
}

impl<E: Into<Error>> IntoGrant for Result<Grant, E> {
    fn into_grant(self) -> Result<Grant> {
        self.map_err(Into::into)
    }
}

// === impl IntoDone ===

impl IntoDone for () {
    fn into_done(self) -> Result<()> {
        Ok(())
    }
}

impl<E: Into<Error>> IntoDone for Result<(), E> {
    fn into_done(self) -> Result<()> {
        self.map_err(Into::into)
    }
}

// === impl Authorize ===

impl<F, C, R> Authorize<(C,)> for F
where
    F: Fn(C) -> R + Send + Sync + 'static,
    C: FromConnect,
    R: Future<Output: IntoGrant> + Send + 'static,
{
    fn erase(self) -> Authorizer {
        let authorizer = Arc::new(self);
        Arc::new(move |request, _| {
            let authorizer = Arc::clone(&authorizer);
            Box::pin(async move { authorizer(C::from_connect(request)?).await.into_grant() })
        })
    }
}

impl<F, C, R> Authorize<(C, Home)> for F
where
    F: Fn(C, Home) -> R + Send + Sync + 'static,
    C: FromConnect,
    R: Future<Output: IntoGrant> + Send + 'static,
{
    fn erase(self) -> Authorizer {
        let authorizer = Arc::new(self);
        Arc::new(move |request, home| {
            let authorizer = Arc::clone(&authorizer);
            Box::pin(async move { authorizer(C::from_connect(request)?, home).await.into_grant() })
        })
    }
}

// === impl Subscribe ===

impl<F, P, S, R> Subscribe<P, S, (P,)> for F
where
    F: Fn(Message<P, S::Topic>) -> R + Send + Sync + 'static,
    P: Decode,
    S: Source<P>,
    R: Future<Output: IntoDone> + Send + 'static,
{
    fn erase(self, filter: String) -> Call {
        let subscriber = Arc::new(self);
        Arc::new(move |incoming, _| {
            let (subscriber, message) = (Arc::clone(&subscriber), read::<P, S>(incoming, &filter));
            Box::pin(async move { subscriber(message?).await.into_done() })
        })
    }
}

impl<F, P, S, R> Subscribe<P, S, (P, Home)> for F
where
    F: Fn(Message<P, S::Topic>, Home) -> R + Send + Sync + 'static,
    P: Decode,
    S: Source<P>,
    R: Future<Output: IntoDone> + Send + 'static,
{
    fn erase(self, filter: String) -> Call {
        let subscriber = Arc::new(self);
        Arc::new(move |incoming, home| {
            let (subscriber, message) = (Arc::clone(&subscriber), read::<P, S>(incoming, &filter));
            Box::pin(async move { subscriber(message?, home).await.into_done() })
        })
    }
}

/// A message as its subscriber takes it.
fn read<P: Decode, S: Source<P>>(incoming: Incoming, filter: &str) -> Result<Message<P, S::Topic>> {
    let Incoming { topic, payload, sender } = incoming;
    // Where nobody said the topic, and only one is possible, it is that.
    let is_known = !topic.is_empty() || filter.contains(['+', '#']);
    let topic = if is_known { topic } else { filter.to_owned() };
    let topic = S::topic(topic).map_err(|error| Error::new(UNREADABLE, error))?;
    let unreadable = |error| {
        let wanted = std::any::type_name::<P>();
        Error::new(UNREADABLE, format!("the payload is no `{wanted}`: {error}"))
    };
    let payload = P::decode(&payload).map_err(unreadable)?;
    Ok(Message { topic, payload, sender })
}
