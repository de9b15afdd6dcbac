//! WebSocket apps, as API Gateway, lawcket and Nitric have them.

mod event;
mod gateway;
mod reply;

pub use self::event::{Body, ConnectionInfo, Event, EventKind};
pub use self::gateway::{Delivered, Gateway, Group, Recipients, SendError};
pub use self::reply::Reply;
