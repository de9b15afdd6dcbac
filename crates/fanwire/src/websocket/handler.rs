//! Async functions as handlers.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::{Event, FromEvent};
use crate::Result;

/// An async function, or closure, whose arguments are all made from the event: up to eight
/// [extractors](super::extract). Nobody implements it.
///
/// ```
/// use fanwire::websocket::{Connection, Text, WebSocket};
///
/// async fn echo(connection: Connection, Text(text): Text) -> fanwire::Result {
///     Ok(connection.send(text).await?)
/// }
///
/// WebSocket::new().route("echo", echo).message(async |Text(text): Text| text.to_uppercase());
/// ```
///
/// What handlers share is the app's [`State`](super::State). A closure that captures
/// something of its own has an async block in the place of `async` before it:
///
/// ```
/// use fanwire::websocket::{Connection, WebSocket};
///
/// let limit = 10;
/// WebSocket::new().message(move |connection: Connection| async move {
///     format!("{} may send {limit} messages", connection.id())
/// });
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no handler of an app whose state is `{S}`",
    note = "a handler is an async function with up to eight arguments that implement `FromEvent<{S}>`; its future is `Send`",
    note = "for `State<T>`, the app's state has to be `T` or `T` has to implement `FromRef` of it: `WebSocket::with_state(state)`"
)]
pub trait Handler<S, Arguments>: Send + Sync + 'static {
    /// What it returns.
    type Output: 'static;

    /// Makes its arguments and calls it.
    fn call(&self, event: Event, state: Arc<S>) -> BoxFuture<'static, Result<Self::Output>>;
}

macro_rules! handlers {
    ($($argument:ident)*) => {
        impl<F, Fut, S, $($argument,)*> Handler<S, ($($argument,)*)> for F
        where
            F: Fn($($argument),*) -> Fut + Clone + Send + Sync + 'static,
            Fut: Future<Output: 'static> + Send + 'static,
            S: Send + Sync + 'static,
            $($argument: FromEvent<S> + Send + 'static,)*
        {
            type Output = Fut::Output;

            #[allow(non_snake_case, unused_variables, reason = "named by their types; none of none")]
            fn call(&self, event: Event, state: Arc<S>) -> BoxFuture<'static, Result<Fut::Output>> {
                let handler = self.clone();
                Box::pin(async move {
                    $(let $argument = $argument::from_event(&event, &state).await?;)*
                    Ok(handler($($argument),*).await)
                })
            }
        }
    };
}

handlers!();
handlers!(A);
handlers!(A B);
handlers!(A B C);
handlers!(A B C D);
handlers!(A B C D E);
handlers!(A B C D E G);
handlers!(A B C D E G H);
handlers!(A B C D E G H I);
