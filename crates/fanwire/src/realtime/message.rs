//! What subscribers get, and how payloads are read and written.

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Filter, Topic};

/// A message as a subscriber gets it: `P` is what it carries, `T` its topic, which is the
/// name where the subscriber's filter is only a text.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Message<P, T = String> {
    /// The topic that it was published to. Under a rule that selects the payload alone
    /// (SST's `SELECT *`) a name is only known where the filter has no wildcards, and empty
    /// otherwise: see
    /// [`Subscriber::rule_sql`](super::Subscriber::rule_sql).
    pub topic: T,
    /// What it carries.
    pub payload: P,
    /// Who published it, as the broker has verified it. `None` where that is not known,
    /// or was no client.
    pub sender: Option<Sender>,
}

/// The client that published a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sender {
    /// The principal that its authorizer named; empty where nobody was asked.
    pub principal: String,
    /// Its client id; empty where it published over HTTP.
    pub client_id: String,
}

/// A message as it comes, before anything of it is read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Incoming {
    /// The topic; empty where that is not known.
    pub topic: String,
    /// What it carries.
    pub payload: Bytes,
    /// Who published it, where that is known.
    pub sender: Option<Sender>,
}

/// Payloads that are bytes of any kind, and not JSON.
///
/// ```
/// fanwire::topic! {
///     pub struct Frame { camera: u32 } = "cameras/{camera}": fanwire::realtime::Raw
/// }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Raw(pub Bytes);

/// What can be read from a payload: JSON, for every type that can be deserialised, and
/// bytes for [`Raw`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be read from a message",
    note = "derive `serde::Deserialize` for it, or take `fanwire::realtime::Raw`"
)]
pub trait Decode: Sized + Send + 'static {
    /// Reads a payload.
    ///
    /// # Errors
    ///
    /// Where it is none of these.
    fn decode(payload: &Bytes) -> Result<Self, serde_json::Error>;
}

/// What can be written as a payload: see [`Decode`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be written as a message",
    note = "derive `serde::Serialize` for it, or take `fanwire::realtime::Raw`"
)]
pub trait Encode {
    /// Writes a payload.
    ///
    /// # Errors
    ///
    /// Where JSON cannot hold it.
    fn encode(&self) -> Result<Bytes, serde_json::Error>;
}

/// What messages of a [`Topic`] carry.
pub trait Payload: Encode + Decode {}

impl<P: Encode + Decode> Payload for P {}

impl<P: DeserializeOwned + Send + 'static> Decode for P {
    fn decode(payload: &Bytes) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(payload)
    }
}

impl<P: Serialize> Encode for P {
    fn encode(&self) -> Result<Bytes, serde_json::Error> {
        serde_json::to_vec(self).map(Bytes::from)
    }
}

impl Decode for Raw {
    fn decode(payload: &Bytes) -> Result<Self, serde_json::Error> {
        Ok(Self(payload.clone()))
    }
}

impl Encode for Raw {
    fn encode(&self) -> Result<Bytes, serde_json::Error> {
        Ok(self.0.clone())
    }
}

/// What messages can be taken from: a typed [`Filter`], whose messages carry what its topic
/// says, or the text of a filter, whose messages carry whatever their subscriber takes.
#[diagnostic::on_unimplemented(
    message = "messages of `{Self}` do not carry `{P}`",
    note = "a subscriber of a typed filter takes `Message<Payload, Topic>` as its `topic!` says"
)]
pub trait Source<P> {
    /// What names the topic of a message.
    type Topic: Send + 'static;

    /// What a subscriber that is given no name is called by.
    #[doc(hidden)]
    fn label(&self) -> String;

    /// The filter.
    #[doc(hidden)]
    fn into_filter(self) -> Result<String, super::TopicError>;

    /// Reads the name of a topic.
    #[doc(hidden)]
    fn topic(name: String) -> Result<Self::Topic, super::TopicError>;
}

impl<T: Topic> Source<T::Payload> for Filter<T> {
    type Topic = T;

    fn label(&self) -> String {
        T::NAME.to_owned()
    }

    fn into_filter(self) -> Result<String, super::TopicError> {
        self.into_text()
    }

    fn topic(name: String) -> Result<T, super::TopicError> {
        T::parse(&name)
    }
}

/// The text of a filter, such as `chat/#`.
impl<P> Source<P> for &str {
    type Topic = String;

    fn label(&self) -> String {
        (*self).to_owned()
    }

    fn into_filter(self) -> Result<String, super::TopicError> {
        Ok(self.to_owned())
    }

    fn topic(name: String) -> Result<String, super::TopicError> {
        Ok(name)
    }
}

/// The text of a filter, such as `format!("{app}/{stage}/chat/#")`.
impl<P> Source<P> for String {
    type Topic = String;

    fn label(&self) -> String {
        self.clone()
    }

    fn into_filter(self) -> Result<String, super::TopicError> {
        Ok(self)
    }

    fn topic(name: String) -> Result<String, super::TopicError> {
        Ok(name)
    }
}
