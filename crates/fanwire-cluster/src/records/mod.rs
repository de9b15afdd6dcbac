//! Records: small values under keys that outlive the node that wrote them, in JetStream.
//!
//! A bucket is one of NATS's key-value buckets: what `nats kv` shows. Writes go off at once and
//! are confirmed one by one, so that many cost one round trip. What is written with
//! [`Expected::Revision`] or [`Expected::Absent`] is written only where nobody else was
//! faster: that is how nodes agree.

mod key;
mod watch;

use std::time::Duration;

use async_nats::jetstream::consumer::{DeliverPolicy, push};
use async_nats::jetstream::context::{PublishAckFuture, PublishErrorKind};
use async_nats::jetstream::stream;
use async_nats::{HeaderMap, header};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesOrdered;

pub use self::key::Key;
pub use self::watch::{Change, RecordsWatch};
use crate::nats::Nats;
use crate::{JoinError, RecordsError, limits};

const OPERATION: &str = "KV-Operation";

/// The version of a record; grows with every write to its bucket.
pub type Revision = u64;

/// A bucket of records. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Records {
    nats: Nats,
    stream: stream::Stream,
    prefix: String,
}

/// A value under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its key.
    pub key: Key,
    /// Its value.
    pub value: Bytes,
    /// Its version.
    pub revision: Revision,
}

/// What a writer thinks is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// Whatever it is.
    Anything,
    /// Nothing was ever there, or its marker is over too.
    Never,
    /// This version.
    Revision(Revision),
}

/// A change to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// Of which record.
    pub key: Key,
    /// Its new value; `None` deletes it.
    pub value: Option<Bytes>,
    /// What has to be there.
    pub expected: Expected,
    /// How long the value lives, where it ends by itself: a second at the least.
    pub life: Option<Duration>,
}

/// A write that was sent, and is to be confirmed.
pub(crate) struct Written(pub(crate) PublishAckFuture);

// === impl Write ===

impl Write {
    /// Sets a value, whatever was there.
    pub fn put(key: Key, value: impl Into<Bytes>) -> Self {
        Self { key, value: Some(value.into()), expected: Expected::Anything, life: None }
    }

    /// Deletes, whatever was there.
    pub fn delete(key: Key) -> Self {
        Self { key, value: None, expected: Expected::Anything, life: None }
    }
}

// === impl Records ===

impl Records {
    pub(crate) async fn open(nats: Nats, bucket: &str) -> Result<Self, JoinError> {
        let stream = nats.bucket(bucket).await?;
        let prefix = nats.key_prefix(bucket);
        Ok(Self { nats, stream, prefix })
    }

    /// Writes all of these, in this order, and waits until each is confirmed or refused. Where
    /// some are not, the others are all the same. One round trip, or one for each
    /// [`limits::WRITES_AT_ONCE`] of them.
    pub async fn write(&self, writes: Vec<Write>) -> Vec<Result<Revision, RecordsError>> {
        let mut written = Vec::with_capacity(writes.len());
        let mut sent = FuturesOrdered::new();
        for Write { key, value, expected, life } in writes {
            if sent.len() == limits::WRITES_AT_ONCE {
                written.extend(sent.next().await);
            }
            let one = publish(&self.nats, self.subject(&key), value, expected, life).await;
            sent.push_back(async {
                let Written(ack) = one?;
                confirmed(ack).await
            });
        }
        written.extend(sent.collect::<Vec<_>>().await);
        written
    }

    /// As [`write`](Self::write).
    ///
    /// # Errors
    ///
    /// The first, where not all were confirmed.
    pub async fn write_all(&self, writes: Vec<Write>) -> Result<(), RecordsError> {
        self.write(writes).await.into_iter().try_for_each(|written| written.map(drop))
    }

    /// Sets a value, whatever was there.
    ///
    /// # Errors
    ///
    /// Each of [`RecordsError`] but `Conflict`.
    pub async fn put(&self, key: &Key, value: impl Into<Bytes>) -> Result<Revision, RecordsError> {
        self.write_one(key, Some(value.into()), Expected::Anything).await
    }

    /// Sets a value where there is none.
    ///
    /// # Errors
    ///
    /// [`RecordsError::Conflict`] where there is one.
    pub async fn create(
        &self,
        key: &Key,
        value: impl Into<Bytes>,
    ) -> Result<Revision, RecordsError> {
        let value = value.into();
        let written = self.write_one(key, Some(value.clone()), Expected::Never).await;
        if written != Err(RecordsError::Conflict) {
            return written;
        }
        // The marker of a deleted one may be there.
        match self.read(key).await? {
            Some((_, Some(_))) => Err(RecordsError::Conflict),
            Some((revision, None)) => {
                self.write_one(key, Some(value), Expected::Revision(revision)).await
            }
            None => self.write_one(key, Some(value), Expected::Never).await,
        }
    }

    /// Sets a value where this version is there.
    ///
    /// # Errors
    ///
    /// [`RecordsError::Conflict`] where another version is there, or none.
    pub async fn update(
        &self,
        key: &Key,
        value: impl Into<Bytes>,
        expected: Revision,
    ) -> Result<Revision, RecordsError> {
        self.write_one(key, Some(value.into()), Expected::Revision(expected)).await
    }

    /// Deletes a record.
    ///
    /// # Errors
    ///
    /// [`RecordsError::Conflict`] where another version than the expected one is there.
    pub async fn delete(&self, key: &Key, expected: Expected) -> Result<Revision, RecordsError> {
        self.write_one(key, None, expected).await
    }

    async fn write_one(
        &self,
        key: &Key,
        value: Option<Bytes>,
        expected: Expected,
    ) -> Result<Revision, RecordsError> {
        let subject = self.subject(key);
        let Written(ack) = publish(&self.nats, subject, value, expected, None).await?;
        confirmed(ack).await
    }

    /// Reads a record from the server that decides what is in it.
    ///
    /// # Errors
    ///
    /// Where JetStream does not answer.
    pub async fn get(&self, key: &Key) -> Result<Option<Record>, RecordsError> {
        let found = self.read(key).await?;
        Ok(found.and_then(|(revision, value)| {
            Some(Record { key: key.clone(), value: value?, revision })
        }))
    }

    async fn read(&self, key: &Key) -> Result<Option<(Revision, Option<Bytes>)>, RecordsError> {
        use stream::LastRawMessageErrorKind as Kind;
        match self.stream.get_last_raw_message_by_subject(&self.subject(key)).await {
            Ok(message) => {
                let value = is_put(&message.headers).then_some(message.payload);
                Ok(Some((message.sequence, value)))
            }
            Err(error) if error.kind() == Kind::NoMessageFound => Ok(None),
            Err(error) => Err(self.fault(error.to_string())),
        }
    }

    /// Reads all records whose keys begin with the parts of a key and have more; all of the
    /// bucket where there is none. In the order in which they were written last.
    ///
    /// # Errors
    ///
    /// Where JetStream does not answer.
    pub async fn load(&self, prefix: Option<&Key>) -> Result<Vec<Record>, RecordsError> {
        let (pending, mut messages) = self.consume(prefix, DeliverPolicy::LastPerSubject).await?;
        let mut records = Vec::new();
        for _ in 0..pending {
            let next = tokio::time::timeout(limits::REQUEST_TIMEOUT, messages.next()).await;
            let message = next.map_err(|_| RecordsError::Timeout)?;
            let Some(Ok(message)) = message else { return Err(RecordsError::Away) };
            let Some(Change::Put(record)) = self.change(&message) else { continue };
            records.push(record);
        }
        Ok(records)
    }

    /// Tells of all records as [`load`](Self::load) does, and then of every change, for as long
    /// as what is returned is kept.
    ///
    /// # Errors
    ///
    /// Where JetStream does not answer.
    pub async fn watch(&self, prefix: Option<&Key>) -> Result<RecordsWatch, RecordsError> {
        RecordsWatch::begin(self.clone(), prefix.cloned()).await
    }

    /// A consumer of what is under a prefix, and how much of that is there now.
    async fn consume(
        &self,
        prefix: Option<&Key>,
        deliver_policy: DeliverPolicy,
    ) -> Result<(u64, push::Ordered), RecordsError> {
        let filter_subject = match prefix {
            Some(prefix) => format!("{}.>", self.subject(prefix)),
            None => format!("{}>", self.prefix),
        };
        let deliver_subject = self.nats.client.new_inbox();
        let config = push::OrderedConfig {
            deliver_subject,
            filter_subject,
            deliver_policy,
            ..Default::default()
        };
        let consumer = self.stream.create_consumer(config).await;
        let consumer = consumer.map_err(|error| self.fault(error.to_string()))?;
        let pending = consumer.cached_info().num_pending;
        let messages = consumer.messages().await;
        Ok((pending, messages.map_err(|error| self.fault(error.to_string()))?))
    }

    fn change(&self, message: &async_nats::jetstream::Message) -> Option<Change> {
        let key = Key::from_stored(message.subject.strip_prefix(&self.prefix)?);
        let revision = message.info().ok()?.stream_sequence;
        let is_put = message.headers.as_ref().is_none_or(is_put);
        Some(match is_put {
            true => Change::Put(Record { key, value: message.payload.clone(), revision }),
            false => Change::Deleted(key, revision),
        })
    }

    /// When the bucket was made, in nanoseconds since the epoch: it is another after NATS has
    /// lost it.
    async fn made(&self) -> Result<i128, RecordsError> {
        let info = self.stream.get_info().await.map_err(|error| self.fault(error.to_string()))?;
        Ok(info.created.unix_timestamp_nanos())
    }

    fn subject(&self, key: &Key) -> String {
        format!("{}{key}", self.prefix)
    }

    fn fault(&self, cause: String) -> RecordsError {
        let connected = self.nats.client.connection_state();
        if connected == async_nats::connection::State::Connected {
            RecordsError::JetStream(cause)
        } else {
            RecordsError::Away
        }
    }
}

/// Sends a write. `None` deletes: a marker takes the record's place, for a while.
pub(crate) async fn publish(
    nats: &Nats,
    subject: String,
    value: Option<Bytes>,
    expected: Expected,
    life: Option<Duration>,
) -> Result<Written, RecordsError> {
    // What is sent while NATS is away is sent when it is back, when nobody wants it any more.
    if nats.client.connection_state() != async_nats::connection::State::Connected {
        return Err(RecordsError::Away);
    }
    let mut headers = HeaderMap::new();
    match expected {
        Expected::Anything => {}
        Expected::Never => headers.insert(header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, "0"),
        Expected::Revision(revision) => {
            headers.insert(header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, revision.to_string());
        }
    }
    if value.is_none() {
        headers.insert(OPERATION, "PURGE");
        headers.insert(header::NATS_ROLLUP, "sub");
    }
    let life = if value.is_none() { Some(limits::MARKER_LIFE) } else { life };
    if let Some(life) = life {
        headers.insert(header::NATS_MESSAGE_TTL, life.as_secs().max(1).to_string());
    }
    let value = value.unwrap_or_default();
    let bytes = value.len();
    let sent = nats.jetstream.publish_with_headers(subject, headers, value).await;
    sent.map(Written).map_err(|error| fault_of(error.kind(), &error, bytes))
}

/// Waits until a write is confirmed.
pub(crate) async fn confirmed(ack: PublishAckFuture) -> Result<Revision, RecordsError> {
    match ack.await {
        Ok(ack) => Ok(ack.sequence),
        Err(error) => Err(fault_of(error.kind(), &error, 0)),
    }
}

fn fault_of(kind: PublishErrorKind, error: &dyn std::error::Error, bytes: usize) -> RecordsError {
    match kind {
        PublishErrorKind::WrongLastSequence => RecordsError::Conflict,
        PublishErrorKind::TimedOut => RecordsError::Timeout,
        PublishErrorKind::BrokenPipe => RecordsError::Away,
        PublishErrorKind::MaxPayloadExceeded => RecordsError::TooLarge { bytes },
        _ => RecordsError::JetStream(error.to_string()),
    }
}

/// Whether a message sets a value: it has no word of a deletion.
pub(crate) fn is_put(headers: &HeaderMap) -> bool {
    headers.get(OPERATION).is_none_or(|operation| operation.as_str() == "PUT")
        && headers.get(header::NATS_MARKER_REASON).is_none()
}
