//! What an app has besides its events.

use std::ops::{Deref, DerefMut};

use super::super::Event;
use super::FromEvent;
use crate::Result;

/// The app's state, or a part of it: an argument of handlers. An app that has no such state
/// does not compile.
///
/// ```
/// use fanwire::websocket::{State, WebSocket};
/// use std::sync::Arc;
///
/// struct Rooms { names: Vec<String> }
///
/// WebSocket::with_state(Arc::new(Rooms { names: vec!["lobby".into()] }))
///     .message(async |State(rooms): State<Arc<Rooms>>| rooms.names.join(", "));
/// ```
///
/// ```compile_fail,E0277
/// use fanwire::websocket::{State, WebSocket};
///
/// WebSocket::new().message(async |State(name): State<String>| name);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct State<T>(pub T);

/// A part of an app's state that is taken out of the whole. Every type is a part of itself.
///
/// ```
/// use fanwire::websocket::{FromRef, State, WebSocket};
///
/// #[derive(Clone)]
/// struct App { greeting: String }
///
/// #[derive(Clone)]
/// struct Greeting(String);
///
/// impl FromRef<App> for Greeting {
///     fn from_ref(app: &App) -> Self {
///         Self(app.greeting.clone())
///     }
/// }
///
/// WebSocket::with_state(App { greeting: "hello".into() })
///     .message(async |State(greeting): State<Greeting>| greeting.0);
/// ```
pub trait FromRef<S> {
    /// Takes it out.
    fn from_ref(state: &S) -> Self;
}

impl<T: Clone> FromRef<T> for T {
    fn from_ref(state: &T) -> Self {
        state.clone()
    }
}

impl<S: Sync, T: FromRef<S>> FromEvent<S> for State<T> {
    async fn from_event(_: &Event, state: &S) -> Result<Self> {
        Ok(Self(T::from_ref(state)))
    }
}

impl<T> Deref for State<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for State<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}
