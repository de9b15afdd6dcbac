//! What a session, a message and an entry of a queue look like as bytes.

use std::sync::Arc;

use bytes::Bytes;
use fanwire_wire::mqtt::{
    PacketId, QoS, RetainHandling, SubscribeOptions, UserPropertiesBuf, Version,
};

use super::code::{Corrupt, Reader, Writer};
use crate::message::Properties;
use crate::{Message, Publisher};

/// The version of the form in which records are written. One of a later version is an error
/// rather than a guess.
const FORM: u8 = 1;

/// A session that outlives its connection, without what is on its way to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredSession {
    /// What its client spoke last.
    pub(crate) version: Version,
    /// How many seconds after the end of its connection it ends; `u32::MAX` for never.
    pub(crate) expiry: u32,
    /// When its connection ended, in milliseconds since the epoch. `None`: it has not.
    pub(crate) away_since: Option<u64>,
    /// The principal whose it is; empty where it is nobody's in particular.
    pub(crate) principal: Box<str>,
    /// What it subscribes to.
    pub(crate) subscriptions: Vec<StoredSubscription>,
    /// Its will, where that has been delayed beyond its connection.
    pub(crate) will: Option<Box<StoredWill>>,
}

/// One subscription of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredSubscription {
    /// With `$share/…` where it is shared.
    pub(crate) filter: Arc<str>,
    pub(crate) options: SubscribeOptions,
    pub(crate) id: Option<u32>,
}

/// A will that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredWill {
    /// When it is to be published, in milliseconds since the epoch.
    pub(crate) due: u64,
    pub(crate) message: Message,
}

/// A message for one session, to be stored.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry<'a> {
    pub(crate) message: &'a Arc<Message>,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
    /// The identifiers of the subscriptions that it matched.
    pub(crate) ids: Option<&'a [u32]>,
}

/// Whom a message in transit is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Destination<'a> {
    /// The shard that keeps it next, and how many there are.
    pub(crate) shard: u8,
    pub(crate) shards: usize,
    /// Which session, where it was chosen among those of a shared subscription; else all of
    /// the shard that subscribe to the topic.
    pub(crate) client_id: Option<&'a str>,
}

/// Where an entry has its message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Content {
    Here(Message),
    /// In the table of messages, under this number.
    Shared(u64),
}

/// An entry as it is found again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) content: Content,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
    pub(crate) ids: Option<Box<[u32]>>,
}

/// A message in transit as it is found again. Which shard it is for is in its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Transited {
    pub(super) shards: usize,
    pub(super) client_id: Option<Box<str>>,
    pub(super) found: Found,
}

/// Which step a message of QoS 2 on its way to a client has reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reached {
    pub(super) id: PacketId,
    /// The client has it: what is left is to end the exchange.
    pub(super) received: bool,
}

/// What an entry says of its message.
mod entry_flag {
    pub(super) const RETAIN: u8 = 1 << 2;
    pub(super) const SHARED: u8 = 1 << 3;
    pub(super) const IDS: u8 = 1 << 4;
}

/// What a message has. The lowest two bits are its QoS.
mod message_flag {
    pub(super) const RETAIN: u8 = 1 << 2;
    pub(super) const PUBLISHER: u8 = 1 << 3;
    pub(super) const PROPERTIES: u8 = 1 << 4;
}

/// What the properties of a message have.
mod property_flag {
    pub(super) const UTF8: u8 = 1;
    pub(super) const EXPIRY: u8 = 1 << 1;
    pub(super) const CONTENT_TYPE: u8 = 1 << 2;
    pub(super) const RESPONSE_TOPIC: u8 = 1 << 3;
    pub(super) const CORRELATION_DATA: u8 = 1 << 4;
}

/// What a session has.
mod session_flag {
    pub(super) const AWAY: u8 = 1;
    pub(super) const WILL: u8 = 1 << 1;
}

/// What a subscription has. The lowest two bits are its QoS.
mod subscription_flag {
    pub(super) const NO_LOCAL: u8 = 1 << 2;
    pub(super) const RETAIN_AS_PUBLISHED: u8 = 1 << 3;
    pub(super) const SEND_IF_NEW: u8 = 1 << 4;
    pub(super) const DO_NOT_SEND: u8 = 1 << 5;
    pub(super) const ID: u8 = 1 << 6;
}

// === impl StoredSession ===

impl StoredSession {
    /// When it ends, in milliseconds since the epoch, if its client does not come back and
    /// has gone at `now` at the latest. `None` for never.
    pub(crate) fn ends_at(&self, now: u64) -> Option<u64> {
        let since = self.away_since.unwrap_or(now);
        let expires = self.expiry < u32::MAX;
        expires.then(|| since.saturating_add(u64::from(self.expiry) * 1000))
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut writer = begin();
        writer.byte(
            flag(self.away_since.is_some(), session_flag::AWAY)
                | flag(self.will.is_some(), session_flag::WILL),
        );
        writer.byte(level(self.version));
        writer.number(self.expiry);
        if let Some(since) = self.away_since {
            writer.number(since);
        }
        writer.bytes(self.principal.as_bytes());
        writer.count(self.subscriptions.len());
        for subscription in &self.subscriptions {
            subscription.write(&mut writer);
        }
        if let Some(will) = &self.will {
            writer.number(will.due);
            write_message(&will.message, &mut writer);
        }
        writer.finish()
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Corrupt> {
        let mut reader = open(bytes)?;
        let flags = reader.byte()?;
        let version = version(reader.byte()?)?;
        let expiry = reader.small()?;
        let away_since = optional(flags & session_flag::AWAY, || reader.number())?;
        let principal = reader.text()?.into();
        let subscriptions = (0..reader.count()?)
            .map(|_| StoredSubscription::read(&mut reader))
            .collect::<Result<_, _>>()?;
        let will = optional(flags & session_flag::WILL, || {
            Ok(Box::new(StoredWill { due: reader.number()?, message: read_message(&mut reader)? }))
        })?;
        reader.finish()?;
        Ok(Self { version, expiry, away_since, principal, subscriptions, will })
    }
}

// === impl StoredSubscription ===

impl StoredSubscription {
    fn write(&self, writer: &mut Writer) {
        let options = self.options;
        let handling = match options.retain_handling {
            RetainHandling::Send => 0,
            RetainHandling::SendIfNew => subscription_flag::SEND_IF_NEW,
            RetainHandling::DoNotSend => subscription_flag::DO_NOT_SEND,
        };
        writer.byte(
            options.qos as u8
                | flag(options.no_local, subscription_flag::NO_LOCAL)
                | flag(options.retain_as_published, subscription_flag::RETAIN_AS_PUBLISHED)
                | handling
                | flag(self.id.is_some(), subscription_flag::ID),
        );
        writer.bytes(self.filter.as_bytes());
        if let Some(id) = self.id {
            writer.number(id);
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Corrupt> {
        let flags = reader.byte()?;
        let options = SubscribeOptions {
            qos: qos(flags)?,
            no_local: flags & subscription_flag::NO_LOCAL != 0,
            retain_as_published: flags & subscription_flag::RETAIN_AS_PUBLISHED != 0,
            retain_handling: if flags & subscription_flag::DO_NOT_SEND != 0 {
                RetainHandling::DoNotSend
            } else if flags & subscription_flag::SEND_IF_NEW != 0 {
                RetainHandling::SendIfNew
            } else {
                RetainHandling::Send
            },
        };
        let filter = reader.text()?.into();
        let id = optional(flags & subscription_flag::ID, || reader.small())?;
        Ok(Self { filter, options, id })
    }
}

// === impl Entry ===

impl Entry<'_> {
    /// With the message in place, or the number under which it is stored.
    pub(crate) fn encode(&self, shared: Option<u64>) -> Vec<u8> {
        let mut writer = begin();
        writer.byte(
            self.qos as u8
                | flag(self.retain, entry_flag::RETAIN)
                | flag(shared.is_some(), entry_flag::SHARED)
                | flag(self.ids.is_some(), entry_flag::IDS),
        );
        if let Some(ids) = self.ids {
            writer.count(ids.len());
            ids.iter().for_each(|id| writer.number(*id));
        }
        match shared {
            Some(number) => writer.number(number),
            None => write_message(self.message, &mut writer),
        }
        writer.finish()
    }
}

// === impl Destination ===

impl Destination<'_> {
    /// With the entry that a session gets, as its bytes.
    pub(super) fn encode(&self, entry: &[u8]) -> Vec<u8> {
        let mut writer = begin();
        writer.count(self.shards);
        // No client id is empty.
        writer.bytes(self.client_id.unwrap_or_default().as_bytes());
        writer.bytes(entry);
        writer.finish()
    }
}

// === impl Transited ===

impl Transited {
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Corrupt> {
        let mut reader = open(bytes)?;
        let shards = usize::try_from(reader.number()?).unwrap_or(usize::MAX);
        let client_id = reader.text()?;
        let client_id = (!client_id.is_empty()).then(|| client_id.into());
        let found = Found::decode(reader.bytes()?)?;
        reader.finish()?;
        Ok(Self { shards, client_id, found })
    }
}

// === impl Found ===

impl Found {
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Corrupt> {
        let mut reader = open(bytes)?;
        let flags = reader.byte()?;
        let ids = optional(flags & entry_flag::IDS, || {
            (0..reader.count()?).map(|_| reader.small()).collect::<Result<_, _>>()
        })?;
        let content = if flags & entry_flag::SHARED != 0 {
            Content::Shared(reader.number()?)
        } else {
            Content::Here(read_message(&mut reader)?)
        };
        reader.finish()?;
        Ok(Self { content, qos: qos(flags)?, retain: flags & entry_flag::RETAIN != 0, ids })
    }
}

// === impl Reached ===

impl Reached {
    pub(super) fn encode(self) -> Vec<u8> {
        let mut writer = begin();
        writer.byte(u8::from(self.received));
        writer.number(self.id.get());
        writer.finish()
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Corrupt> {
        let mut reader = open(bytes)?;
        let received = reader.byte()? != 0;
        let id = reader.small()?.try_into().ok().and_then(PacketId::new);
        reader.finish()?;
        Ok(Self { id: id.ok_or(Corrupt("it has no packet id"))?, received })
    }
}

/// A message by itself.
pub(crate) fn encode_message(message: &Message) -> Vec<u8> {
    let mut writer = begin();
    write_message(message, &mut writer);
    writer.finish()
}

/// A message by itself.
pub(crate) fn decode_message(bytes: &[u8]) -> Result<Message, Corrupt> {
    let mut reader = open(bytes)?;
    let message = read_message(&mut reader)?;
    reader.finish()?;
    Ok(message)
}

pub(crate) fn write_message(message: &Message, writer: &mut Writer) {
    writer.byte(
        message.qos as u8
            | flag(message.retain, message_flag::RETAIN)
            | flag(message.publisher.is_some(), message_flag::PUBLISHER)
            | flag(message.properties.is_some(), message_flag::PROPERTIES),
    );
    writer.number(message.published_at);
    writer.bytes(message.topic.as_bytes());
    writer.bytes(&message.payload);
    if let Some(publisher) = &message.publisher {
        writer.bytes(publisher.client_id.as_bytes());
        writer.bytes(publisher.principal.as_bytes());
    }
    if let Some(properties) = &message.properties {
        write_properties(properties, writer);
    }
}

pub(crate) fn read_message(reader: &mut Reader<'_>) -> Result<Message, Corrupt> {
    let flags = reader.byte()?;
    Ok(Message {
        qos: qos(flags)?,
        retain: flags & message_flag::RETAIN != 0,
        published_at: reader.number()?,
        topic: reader.text()?.into(),
        payload: Bytes::copy_from_slice(reader.bytes()?),
        publisher: optional(flags & message_flag::PUBLISHER, || {
            let (client_id, principal) = (reader.text()?.into(), reader.text()?.into());
            Ok(Arc::new(Publisher { client_id, principal }))
        })?,
        properties: optional(flags & message_flag::PROPERTIES, || {
            Ok(Box::new(read_properties(reader)?))
        })?,
        origin: None,
    })
}

fn write_properties(properties: &Properties, writer: &mut Writer) {
    writer.byte(
        flag(properties.utf8_payload, property_flag::UTF8)
            | flag(properties.message_expiry.is_some(), property_flag::EXPIRY)
            | flag(properties.content_type.is_some(), property_flag::CONTENT_TYPE)
            | flag(properties.response_topic.is_some(), property_flag::RESPONSE_TOPIC)
            | flag(properties.correlation_data.is_some(), property_flag::CORRELATION_DATA),
    );
    if let Some(expiry) = properties.message_expiry {
        writer.number(expiry);
    }
    if let Some(text) = &properties.content_type {
        writer.bytes(text.as_bytes());
    }
    if let Some(text) = &properties.response_topic {
        writer.bytes(text.as_bytes());
    }
    if let Some(data) = &properties.correlation_data {
        writer.bytes(data);
    }
    writer.count(properties.user.as_list().iter().count());
    for (name, value) in properties.user.as_list() {
        writer.bytes(name.as_bytes());
        writer.bytes(value.as_bytes());
    }
}

fn read_properties(reader: &mut Reader<'_>) -> Result<Properties, Corrupt> {
    let flags = reader.byte()?;
    Ok(Properties {
        utf8_payload: flags & property_flag::UTF8 != 0,
        message_expiry: optional(flags & property_flag::EXPIRY, || reader.small())?,
        content_type: optional(flags & property_flag::CONTENT_TYPE, || Ok(reader.text()?.into()))?,
        response_topic: optional(flags & property_flag::RESPONSE_TOPIC, || {
            Ok(reader.text()?.into())
        })?,
        correlation_data: optional(flags & property_flag::CORRELATION_DATA, || {
            Ok(Bytes::copy_from_slice(reader.bytes()?))
        })?,
        user: read_user_properties(reader)?,
    })
}

fn read_user_properties(reader: &mut Reader<'_>) -> Result<UserPropertiesBuf, Corrupt> {
    let mut user = UserPropertiesBuf::new();
    for _ in 0..reader.count()? {
        let (name, value) = (reader.text()?, reader.text()?);
        user.push(name, value).map_err(|_| Corrupt("a user property that no packet can have"))?;
    }
    Ok(user)
}

fn begin() -> Writer {
    let mut writer = Writer::default();
    writer.byte(FORM);
    writer
}

fn open(bytes: &[u8]) -> Result<Reader<'_>, Corrupt> {
    let mut reader = Reader::new(bytes);
    match reader.byte()? {
        FORM => Ok(reader),
        _ => Err(Corrupt("it is of a form that this version does not know")),
    }
}

fn flag(set: bool, flag: u8) -> u8 {
    if set { flag } else { 0 }
}

/// Reads what is there only where a flag says so.
fn optional<T>(flag: u8, read: impl FnOnce() -> Result<T, Corrupt>) -> Result<Option<T>, Corrupt> {
    if flag == 0 { Ok(None) } else { read().map(Some) }
}

fn qos(flags: u8) -> Result<QoS, Corrupt> {
    match flags & 0b11 {
        0 => Ok(QoS::AtMostOnce),
        1 => Ok(QoS::AtLeastOnce),
        2 => Ok(QoS::ExactlyOnce),
        _ => Err(Corrupt("its QoS is not one")),
    }
}

fn level(version: Version) -> u8 {
    match version {
        Version::V3_1 => 3,
        Version::V3_1_1 => 4,
        Version::V5 => 5,
    }
}

fn version(level: u8) -> Result<Version, Corrupt> {
    match level {
        3 => Ok(Version::V3_1),
        4 => Ok(Version::V3_1_1),
        5 => Ok(Version::V5),
        _ => Err(Corrupt("its protocol version is not one")),
    }
}
