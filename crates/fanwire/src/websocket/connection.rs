//! Connections in a handler's hands: its own, and others.

use std::sync::Arc;

use serde::Serialize;

use super::{
    Body, ConnectionInfo, Delivered, Event, FromEvent, Gateway, Group, Recipients, SendError,
};
use crate::{Home, Result};

/// The connection that an event is of: an argument of handlers. Cheap to clone, and good
/// for as long as the connection lives.
///
/// While `connect`'s handler runs, the connection is not there yet: what is sent to it is
/// lost ([`SendError::Gone`]), as on AWS. Tags and topics that it is given then, it begins
/// with.
///
/// ```
/// use fanwire::websocket::{Connection, Text, WebSocket};
///
/// WebSocket::new().message(async |connection: Connection, Text(text): Text| -> fanwire::Result {
///     connection.send("you have said:").await?;
///     connection.send(text).await?;
///     Ok(())
/// });
/// ```
#[derive(Clone, Debug)]
pub struct Connection {
    info: Arc<ConnectionInfo>,
    home: Home,
}

/// Another connection, by its id: [`Connection::to`].
#[derive(Clone, Debug)]
pub struct Peer {
    id: String,
    home: Home,
}

/// Many connections: [`Connection::to_all`], [`to_tag`](Connection::to_tag),
/// [`to_topic`](Connection::to_topic), [`to_many`](Connection::to_many).
#[derive(Clone, Debug)]
pub struct Audience {
    recipients: Recipients,
    home: Home,
}

// === impl Connection ===

impl Connection {
    /// The connection of an event.
    pub fn of(event: &Event) -> Self {
        Self { info: Arc::clone(&event.connection), home: event.home.clone() }
    }

    /// Its id, such as `L0SM9cOFvHcCIhw=`.
    pub fn id(&self) -> &str {
        &self.info.id
    }

    /// What else is known of it.
    pub fn info(&self) -> &ConnectionInfo {
        &self.info
    }

    fn gateway(&self) -> &dyn Gateway {
        &**self.home.gateway()
    }

    /// Sends it a message: text, or bytes where the API takes them.
    pub async fn send(&self, body: impl Into<Body>) -> Result<(), SendError> {
        self.gateway().send(self.id(), body.into()).await
    }

    /// Sends it a message as JSON.
    pub async fn send_json<T: Serialize + ?Sized>(&self, message: &T) -> Result<(), SendError> {
        self.send(serde_json::to_string(message)?).await
    }

    /// Ends it, with a close code (1000, or 3000 to 4999) and at most 123 bytes of reason.
    /// AWS has neither: there it is always 1000.
    pub async fn close(&self, code: u16, reason: &str) -> Result<(), SendError> {
        self.gateway().close(self.id(), code, reason).await
    }

    /// Gives it a tag, by which [`to_tag`](Self::to_tag) finds it. It goes with the
    /// connection. AWS has no tags.
    pub async fn tag(&self, tag: impl Into<String>) -> Result<(), SendError> {
        self.gateway().regroup(self.id(), Group::Tag(tag.into()), true).await
    }

    /// Takes a tag from it.
    pub async fn untag(&self, tag: impl Into<String>) -> Result<(), SendError> {
        self.gateway().regroup(self.id(), Group::Tag(tag.into()), false).await
    }

    /// Subscribes it to a topic filter of the realtime endpoint: it is sent what anybody
    /// publishes there. It goes with the connection. AWS cannot do that.
    pub async fn subscribe(&self, filter: impl Into<String>) -> Result<(), SendError> {
        self.gateway().regroup(self.id(), Group::Topic(filter.into()), true).await
    }

    /// Ends such a subscription.
    pub async fn unsubscribe(&self, filter: impl Into<String>) -> Result<(), SendError> {
        self.gateway().regroup(self.id(), Group::Topic(filter.into()), false).await
    }

    /// Another connection of the API.
    pub fn to(&self, id: impl Into<String>) -> Peer {
        Peer { id: id.into(), home: self.home.clone() }
    }

    /// Other connections, by their ids.
    pub fn to_many<I>(&self, ids: impl IntoIterator<Item = I>) -> Audience
    where
        I: Into<String>,
    {
        self.audience(Recipients::Ids(ids.into_iter().map(Into::into).collect()))
    }

    /// The connections that have a tag. AWS has no tags.
    pub fn to_tag(&self, tag: impl Into<String>) -> Audience {
        self.audience(Recipients::Group(Group::Tag(tag.into())))
    }

    /// The connections that are subscribed to a topic; MQTT clients are not meant. AWS
    /// cannot do that.
    pub fn to_topic(&self, topic: impl Into<String>) -> Audience {
        self.audience(Recipients::Group(Group::Topic(topic.into())))
    }

    /// Every connection of the API, this one included. AWS needs the plugin
    /// [`ConnectionSync`](super::ConnectionSync) for it.
    pub fn to_all(&self) -> Audience {
        self.audience(Recipients::All)
    }

    /// Sends a message to every connection of the API: `to_all().send(body)`.
    pub async fn broadcast(&self, body: impl Into<Body>) -> Result<Delivered, SendError> {
        self.to_all().send(body).await
    }

    fn audience(&self, recipients: Recipients) -> Audience {
        Audience { recipients, home: self.home.clone() }
    }
}

impl<S: Sync> FromEvent<S> for Connection {
    async fn from_event(event: &Event, _: &S) -> Result<Self> {
        Ok(Self::of(event))
    }
}

// === impl Peer ===

impl Peer {
    /// Its id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Sends it a message. [`SendError::is_gone`] says that there is no such connection.
    pub async fn send(&self, body: impl Into<Body>) -> Result<(), SendError> {
        self.home.gateway().send(&self.id, body.into()).await
    }

    /// Sends it a message as JSON.
    pub async fn send_json<T: Serialize + ?Sized>(&self, message: &T) -> Result<(), SendError> {
        self.send(serde_json::to_string(message)?).await
    }

    /// Ends it, as [`Connection::close`] does.
    pub async fn close(&self, code: u16, reason: &str) -> Result<(), SendError> {
        self.home.gateway().close(&self.id, code, reason).await
    }
}

// === impl Audience ===

impl Audience {
    /// Sends them a message. Those that are gone, or do not read what they have, are no
    /// error: the answer counts them.
    pub async fn send(&self, body: impl Into<Body>) -> Result<Delivered, SendError> {
        self.home.gateway().send_to(self.recipients.clone(), body.into()).await
    }

    /// Sends them a message as JSON.
    pub async fn send_json<T: Serialize + ?Sized>(
        &self,
        message: &T,
    ) -> Result<Delivered, SendError> {
        self.send(serde_json::to_string(message)?).await
    }
}
