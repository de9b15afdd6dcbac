//! From a publisher to the subscribers that a store has.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use fanwire_wire::trpc::{Data, Envelope, Response, Transformer};
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream};

use super::history;
use super::records::{Layout, Range, SUBSCRIPTION, Subscriber, connection_partition};
use super::resume::{self, Treatment};
use crate::store::{Item, Key, Store, StoreError};
use crate::subscriptions::publisher::{Delivery, Publication, PublishError, Report};
use crate::subscriptions::{Audience, FilterInfo, Payload, Sent};
use crate::websocket::{Body, Gateway, Recipients, SendError};

/// How many messages one publication has under way at once, unless said otherwise.
const CONCURRENCY: usize = 64;

/// How long tracked events are kept for those who come back, unless said otherwise.
const HISTORY: Duration = Duration::from_secs(3600);

/// Delivers what is published to the subscribers that a store has, through a gateway.
///
/// ```
/// # use std::sync::Arc;
/// # use fanwire::store::Memory;
/// # use fanwire::subscriptions::{Layout, Publisher, StoredDelivery};
/// # use fanwire::websocket::Gateway;
/// # fn publisher(gateway: Arc<dyn Gateway>) -> Publisher {
/// let store = Arc::new(Memory::new());
/// let delivery = StoredDelivery::new(store, gateway)
///     .with_layout(Layout::AwsTrpcSubscriptions)
///     .with_concurrency(16);
/// Publisher::new(delivery)
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct StoredDelivery {
    store: Arc<dyn Store>,
    gateway: Arc<dyn Gateway>,
    layout: Layout,
    transformer: Transformer,
    concurrency: usize,
    history: Duration,
}

// === impl StoredDelivery ===

impl StoredDelivery {
    /// Delivers to those whom `store` has, through `gateway`.
    pub fn new(store: Arc<dyn Store>, gateway: Arc<dyn Gateway>) -> Self {
        let (layout, transformer) = (Layout::default(), Transformer::default());
        Self { store, gateway, layout, transformer, concurrency: CONCURRENCY, history: HISTORY }
    }

    /// Says how records stand in the store: as they are written.
    #[must_use]
    pub fn with_layout(mut self, layout: Layout) -> Self {
        self.layout = layout;
        self
    }

    /// Says what clients put between values and JSON.
    #[must_use]
    pub fn with_transformer(mut self, transformer: Transformer) -> Self {
        self.transformer = transformer;
        self
    }

    /// Has so many messages under way at once, 64 unless said otherwise.
    #[must_use]
    pub fn with_concurrency(mut self, messages: usize) -> Self {
        self.concurrency = messages.max(1);
        self
    }

    /// Keeps tracked events for so long for those who come back, an hour unless said
    /// otherwise.
    #[must_use]
    pub fn with_history(mut self, kept: Duration) -> Self {
        self.history = kept;
        self
    }

    async fn publish(&self, publication: Publication) -> Result<Report, PublishError> {
        let Publication { path, filters, audience, sent } = publication;
        let kept = history::items(path, &audience, &sent, self.history);
        if !kept.is_empty() {
            self.store.put(kept).await?;
        }
        let response = response(&sent, self.transformer);
        let range = self.layout.range(path, &audience);
        let mut round = Round { report: Report::default(), gone: HashSet::new(), seen: None };
        if self.layout == Layout::AwsTrpcSubscriptions && audience == Audience::Everyone {
            // There, a subscriber has a record for each filter.
            round.seen = Some(HashSet::new());
        }
        let mut after = None;
        loop {
            let Range { partition, prefix } = &range;
            let page = self.store.query(partition, prefix, after).await?;
            let found = page.items.iter().filter_map(|it| self.layout.subscriber(it, &audience));
            let found = round.new_among(found);
            let found = self.unclaimed(found, &sent, &mut round).await?;
            self.post(&response, found, &mut round).await;
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        self.forget(&round.gone, path, filters).await;
        Ok(round.report)
    }

    /// Those of `found` who are not sent an event by others at this moment: those who come
    /// back, while they do.
    async fn unclaimed(
        &self,
        found: Vec<Subscriber>,
        sent: &Sent,
        round: &mut Round,
    ) -> Result<Vec<Subscriber>, StoreError> {
        let is_plain = |it: &Subscriber| it.treatment == Treatment::Send;
        let Some(event) = sent.event_id.as_ref().filter(|_| !found.iter().all(is_plain)) else {
            return Ok(found);
        };
        let mut ours = Vec::with_capacity(found.len());
        for subscriber in found {
            let send = match subscriber.treatment {
                Treatment::Send => true,
                Treatment::Leave => false,
                Treatment::Claim => {
                    let subscription = self.layout.subscription_sort(&subscriber.envelope);
                    let connection = &subscriber.connection;
                    resume::claim(&*self.store, connection, &subscription, event).await?
                }
            };
            match send {
                true => ours.push(subscriber),
                // Whoever has claimed it sends it.
                false => round.report.delivered += 1,
            }
        }
        Ok(ours)
    }

    /// Sends a page of subscribers what they are to get. Those whose ids are the same, such
    /// as 1, get the same bytes: the gateway is given them together.
    async fn post(&self, response: &Response, to: Vec<Subscriber>, round: &mut Round) {
        let mut groups = BTreeMap::<Envelope, Vec<String>>::new();
        for subscriber in to {
            groups.entry(subscriber.envelope).or_default().push(subscriber.connection);
        }
        let (alone, together): (Vec<_>, Vec<_>) =
            groups.into_iter().partition(|(_, connections)| connections.len() == 1);
        let alone = alone.into_iter().flat_map(|(envelope, connections)| {
            let body = response.encode(&envelope);
            connections.into_iter().map(move |connection| (connection, body.clone()))
        });
        let sent: Vec<_> = stream::iter(alone)
            .map(|(connection, body)| async move {
                let sent = self.gateway.send(&connection, Body::Text(body)).await;
                (connection, sent)
            })
            .buffer_unordered(self.concurrency)
            .collect()
            .await;
        sent.into_iter().for_each(|(connection, sent)| round.count(connection, &sent));
        for (envelope, connections) in together {
            let (count, body) = (connections.len(), Body::Text(response.encode(&envelope)));
            match self.gateway.send_to(Recipients::Ids(connections), body).await {
                Ok(given) => {
                    round.report.delivered += given.delivered;
                    round.report.failed += given.failed;
                    round.report.gone += given.gone.len();
                    round.gone.extend(given.gone);
                }
                Err(_) => round.report.failed += count,
            }
        }
    }

    /// Removes what the store has of connections that have ended. Where that fails, the next
    /// publication finds them gone again, or they expire.
    async fn forget(
        &self,
        gone: &HashSet<String>,
        path: &'static str,
        filters: &'static [FilterInfo],
    ) {
        let known = |other: &str| if other == path { filters } else { &[] };
        stream::iter(gone)
            .for_each_concurrent(self.concurrency, |connection| async move {
                let _ = forget(&*self.store, self.layout, connection, &known).await;
            })
            .await;
    }
}

impl Delivery for StoredDelivery {
    fn deliver(&self, publication: Publication) -> BoxFuture<'_, Result<Report, PublishError>> {
        self.publish(publication).boxed()
    }
}

/// What one publication has come to.
struct Round {
    report: Report,
    gone: HashSet<String>,
    /// Who has got it, where records name a subscriber more than once.
    seen: Option<HashSet<(String, Envelope)>>,
}

// === impl Round ===

impl Round {
    /// Those of `found` who have not got it yet and are not gone.
    fn new_among(&mut self, found: impl Iterator<Item = Subscriber>) -> Vec<Subscriber> {
        found
            .filter(|it| match &mut self.seen {
                Some(seen) => seen.insert((it.connection.clone(), it.envelope.clone())),
                None => true,
            })
            .collect()
    }

    fn count(&mut self, connection: String, sent: &Result<(), SendError>) {
        match sent {
            Ok(()) => self.report.delivered += 1,
            Err(SendError::Gone { .. }) => {
                self.report.gone += 1;
                self.gone.insert(connection);
            }
            Err(_) => self.report.failed += 1,
        }
    }
}

/// What subscribers are sent, but for their ids.
pub(super) fn response(sent: &Sent, transformer: Transformer) -> Response {
    let Payload { json, meta } = &sent.data;
    let event_id = sent.event_id.as_deref();
    Response::data(&Data { json: Some(json), meta: meta.as_deref(), event_id }, transformer)
}

/// Removes everything that a store has of a connection. `filters` has those of the procedure
/// at a path.
pub(super) async fn forget(
    store: &dyn Store,
    layout: Layout,
    connection: &str,
    filters: &(dyn Fn(&str) -> &'static [FilterInfo] + Sync),
) -> Result<(), StoreError> {
    let partition = connection_partition(connection);
    let mut after = None;
    loop {
        let page = store.query(&partition, "", after).await?;
        let keys = page.items.iter().flat_map(|item| keys_of(layout, item, filters));
        store.delete(keys.collect()).await?;
        after = page.next;
        if after.is_none() {
            return Ok(());
        }
    }
}

/// The key of a record that is found by its connection, and of those that go with it.
pub(super) fn keys_of(
    layout: Layout,
    item: &Item,
    filters: &(dyn Fn(&str) -> &'static [FilterInfo] + Sync),
) -> Vec<Key> {
    let mut keys = vec![item.key.clone()];
    if item.key.sort.starts_with(SUBSCRIPTION) {
        keys.extend(layout.by_path(item, filters));
    }
    keys
}
