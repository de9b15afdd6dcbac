//! What accompanies all handlers of an app.

use std::fmt::Debug;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::{Event, Gateway};
use crate::Result;

/// What runs beside the handlers of an app, as lawcket's plugins do: concurrently with the
/// handler of the event, and with the other plugins. Where one of them returns an error, so
/// does the whole: a handshake is refused, a message answered with an error. All are
/// awaited, so none is cut off by another's error (reference: lawcket.md, section 1).
///
/// What has to run before a handler, or in its place, is a [layer](super::WebSocket::layer).
///
/// ```
/// use fanwire::websocket::{Event, Plugin, WebSocket};
/// use fanwire::Result;
///
/// #[derive(Debug)]
/// struct Tell;
///
/// impl Plugin for Tell {
///     async fn connect(&self, event: &Event) -> Result {
///         println!("{} comes from {:?}", event.connection.id, event.connection.source_ip);
///         Ok(())
///     }
///
///     async fn close(&self, event: &Event) -> Result {
///         println!("{} went", event.connection.id);
///         Ok(())
///     }
/// }
///
/// WebSocket::new().plugin(Tell);
/// ```
pub trait Plugin: Debug + Send + Sync + 'static {
    /// A client wants to connect.
    fn connect(&self, event: &Event) -> impl Future<Output = Result> + Send {
        let _ = event;
        async { Ok(()) }
    }

    /// A client has sent a message.
    fn message(&self, event: &Event) -> impl Future<Output = Result> + Send {
        let _ = event;
        async { Ok(()) }
    }

    /// A connection has ended.
    fn close(&self, event: &Event) -> impl Future<Output = Result> + Send {
        let _ = event;
        async { Ok(()) }
    }

    /// A client that [`connect`](Self::connect) was told of was refused after all, by the
    /// handler or by another plugin: there will be no [`close`](Self::close).
    fn refused(&self, event: &Event) -> impl Future<Output = Result> + Send {
        let _ = event;
        async { Ok(()) }
    }

    /// What handlers and plugins of this event shall reach connections by, if not the
    /// event's own gateway.
    fn gateway(&self, event: &Event) -> Option<Arc<dyn Gateway>> {
        let _ = event;
        None
    }
}

/// A [`Plugin`] whose type is gone.
pub(super) trait AnyPlugin: Send + Sync {
    fn run<'a>(&'a self, hook: Hook, event: &'a Event) -> BoxFuture<'a, Result>;
    fn gateway(&self, event: &Event) -> Option<Arc<dyn Gateway>>;
}

/// Which of its functions is called.
#[derive(Clone, Copy, Debug)]
pub(super) enum Hook {
    Connect,
    Message,
    Close,
    Refused,
}

impl<P: Plugin> AnyPlugin for P {
    fn run<'a>(&'a self, hook: Hook, event: &'a Event) -> BoxFuture<'a, Result> {
        match hook {
            Hook::Connect => Box::pin(self.connect(event)),
            Hook::Message => Box::pin(self.message(event)),
            Hook::Close => Box::pin(self.close(event)),
            Hook::Refused => Box::pin(self.refused(event)),
        }
    }

    fn gateway(&self, event: &Event) -> Option<Arc<dyn Gateway>> {
        Plugin::gateway(self, event)
    }
}
