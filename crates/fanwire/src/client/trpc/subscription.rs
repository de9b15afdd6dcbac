//! Subscriptions, as their readers have them.

use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::Stream;
use serde::de::DeserializeOwned;

use super::call::{Call, Happened, decoded};
use super::error::CallError;

/// An event of a subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event<T> {
    /// The id of a tracked event: what `subscribe_after` takes.
    pub id: Option<String>,
    /// What has happened.
    pub data: T,
}

/// The events of a subscription, in their order, over any number of connections. A tracked
/// event comes once. Dropped, it stops the subscription.
///
/// It ends when the server ends it, after an error, or with the client. Data that is not of
/// the expected type is an error of that event alone: the next ones come.
#[must_use = "a subscription that is dropped is stopped"]
pub struct Subscription<T> {
    call: Call,
    /// What came while its beginning was waited for.
    first: Option<Happened>,
    data: PhantomData<fn() -> T>,
}

// === impl Subscription ===

impl<T: DeserializeOwned> Subscription<T> {
    /// The subscription, once it has begun. Servers of v10 may send an event before they say
    /// that it has.
    pub(super) async fn begin(mut call: Call) -> Result<Self, CallError> {
        let first = match call.next().await {
            Some(Ok(Happened::Started)) | None => None,
            Some(Ok(data)) => Some(data),
            Some(Err(error)) => return Err(error),
        };
        Ok(Self { call, first, data: PhantomData })
    }

    /// The next event. `None`: it is over.
    ///
    /// Cancel safe: no event is lost.
    pub async fn next(&mut self) -> Option<Result<Event<T>, CallError>> {
        std::future::poll_fn(|context| self.poll_event(context)).await
    }

    fn poll_event(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Event<T>, CallError>>> {
        loop {
            let happened = match self.first.take() {
                Some(first) => Some(first),
                None => ready!(self.call.events.poll_recv(context)),
            };
            return Poll::Ready(match happened {
                Some(Happened::Started) => continue,
                Some(Happened::Data { event_id, json }) => {
                    let data = decoded(json.as_deref());
                    Some(data.map(|data| Event { id: event_id, data }))
                }
                None => self.call.end().map(Err),
            });
        }
    }
}

impl<T: DeserializeOwned> Stream for Subscription<T> {
    type Item = Result<Event<T>, CallError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_event(context)
    }
}

impl<T> fmt::Debug for Subscription<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").finish_non_exhaustive()
    }
}
