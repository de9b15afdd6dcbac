//! The bucket of leases: a record for each node that is in the cluster, or that something is
//! still to be done for.

use std::pin::Pin;

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::consumer::{DeliverPolicy, push};
use async_nats::jetstream::stream::{self, LastRawMessageErrorKind};
use futures_util::{Stream, StreamExt};

use crate::membership::Lease;
use crate::nats::Nats;
use crate::records::{self, Expected, Written};
use crate::{JoinError, NodeId, RecordsError, Revision};

const NAME: &str = "nodes";

/// The bucket of leases.
#[derive(Clone)]
pub(crate) struct Bucket {
    nats: Nats,
    stream: stream::Stream,
    prefix: String,
}

/// A record as it was seen.
pub(crate) struct Observed {
    pub(crate) node: NodeId,
    pub(crate) revision: Revision,
    pub(crate) lease: Option<Lease>,
    /// Whether nothing older is still to come.
    pub(crate) is_current: bool,
}

/// What is seen of the bucket. Ends where it cannot go on.
pub(crate) type Watch = Pin<Box<dyn Stream<Item = Observed> + Send>>;

// === impl Bucket ===

impl Bucket {
    pub(crate) async fn open(nats: &Nats) -> Result<Self, JoinError> {
        let stream = nats.bucket(NAME).await?;
        Ok(Self { nats: nats.clone(), stream, prefix: nats.key_prefix(NAME) })
    }

    /// Makes the bucket again, and all others, where NATS has lost them.
    pub(crate) async fn reopen(&mut self) -> Result<(), JoinError> {
        self.nats.make_buckets_again().await?;
        self.stream = self.nats.bucket(NAME).await?;
        Ok(())
    }

    /// Writes a node's record where it still has a revision; 0 means that there is none.
    pub(crate) async fn write(
        &self,
        node: NodeId,
        lease: Option<&Lease>,
        expected: Revision,
    ) -> Result<Revision, RecordsError> {
        let subject = format!("{}{node}", self.prefix);
        // A lease is made of numbers and texts only, so there is JSON for it.
        let value = lease.map(|lease| serde_json::to_vec(lease).unwrap_or_default().into());
        let expected = Expected::Revision(expected);
        let written = records::publish(&self.nats, subject, value, expected, None);
        let Written(ack) = written.await?;
        records::confirmed(ack).await
    }

    /// Reads a node's record, from the server that decides.
    pub(crate) async fn read(&self, node: NodeId) -> Result<Found, RecordsError> {
        let subject = format!("{}{node}", self.prefix);
        match self.stream.get_last_raw_message_by_subject(&subject).await {
            Ok(message) => {
                let lease = records::is_put(&message.headers)
                    .then(|| serde_json::from_slice(&message.payload).ok())
                    .flatten();
                Ok(Found { revision: message.sequence, lease })
            }
            Err(error) if is_nothing(&error.kind()) => Ok(Found { revision: 0, lease: None }),
            Err(error) => Err(RecordsError::JetStream(error.to_string())),
        }
    }

    /// All records as they are, and then as they change.
    pub(crate) async fn watch(&self) -> Result<Watch, RecordsError> {
        let fault = |error: String| RecordsError::JetStream(error);
        let config = push::OrderedConfig {
            deliver_subject: self.nats.client.new_inbox(),
            filter_subject: format!("{}>", self.prefix),
            deliver_policy: DeliverPolicy::LastPerSubject,
            ..Default::default()
        };
        let consumer = self.stream.create_consumer(config).await;
        let consumer = consumer.map_err(|error| fault(error.to_string()))?;
        let messages = consumer.messages().await.map_err(|error| fault(error.to_string()))?;
        let prefix = self.prefix.clone();
        // What ends with an error is begun again by whoever watches.
        let good = messages.take_while(|message| std::future::ready(message.is_ok()));
        Ok(Box::pin(good.filter_map(move |message| {
            std::future::ready(message.ok().and_then(|message| observed(&prefix, &message)))
        })))
    }
}

/// A record, as the bucket has it for certain.
pub(crate) struct Found {
    /// 0 where there is none, and never was.
    pub(crate) revision: Revision,
    pub(crate) lease: Option<Lease>,
}

/// Whether there is no record for certain: JetStream says so, or that there is no bucket.
fn is_nothing(kind: &LastRawMessageErrorKind) -> bool {
    match kind {
        LastRawMessageErrorKind::NoMessageFound => true,
        LastRawMessageErrorKind::JetStream(error) => {
            error.error_code() == ErrorCode::STREAM_NOT_FOUND
        }
        _ => false,
    }
}

fn observed(prefix: &str, message: &async_nats::jetstream::Message) -> Option<Observed> {
    let node = NodeId(message.subject.strip_prefix(prefix)?.parse().ok()?);
    let info = message.info().ok()?;
    let (revision, is_current) = (info.stream_sequence, info.pending == 0);
    let is_put = message.headers.as_ref().is_none_or(records::is_put);
    let lease = is_put.then(|| serde_json::from_slice(&message.payload).ok()).flatten();
    Some(Observed { node, revision, lease, is_current })
}
