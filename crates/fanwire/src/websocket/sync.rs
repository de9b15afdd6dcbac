//! The connections of an API in a store, as lawcket's `@lawcket/dynamo` keeps them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde_json::{Map, Value, json};

use super::{Body, Delivered, Event, Gateway, Group, Plugin, Recipients, SendError};
use crate::Result;
use crate::store::{Condition, Item, Key, Store, StoreError, now};

/// How long an item is kept that is never refreshed. Connections on AWS last two hours.
const EXPIRES_AFTER: Duration = Duration::from_secs(4 * 60 * 60);

/// A plugin that keeps an item for each connection: written when it is made, refreshed by
/// what its client sends, removed when it ends (reference: lawcket.md, section 3).
///
/// An item has `connectionId`, `domainName`, `stage`, and the fields that are added here:
/// fixed, or computed for each connection from its handshake, which lawcket cannot do.
///
/// With it, [`Connection::broadcast`](super::Connection::broadcast) and tags work on AWS
/// too, where the gateway has neither: messages go to the ids in the store, one call for
/// each, and those that are gone are removed.
///
/// ```
/// use fanwire::websocket::{Connection, ConnectionSync, Text, WebSocket};
/// use fanwire::store::Memory;
///
/// WebSocket::new()
///     .message(async |connection: Connection, Text(text): Text| -> fanwire::Result {
///         connection.broadcast(text).await?;
///         Ok(())
///     })
///     .plugin(
///         ConnectionSync::new(Memory::new())
///             .field("channel", "#general")
///             .computed("browser", |event| event.connection.user_agent.clone()),
///     );
/// ```
#[derive(Clone)]
pub struct ConnectionSync {
    store: Arc<dyn Store>,
    name: String,
    expires_after: Duration,
    fields: Vec<(String, Field)>,
}

/// What a field of an item is.
#[derive(Clone)]
enum Field {
    Fixed(Value),
    Computed(Arc<dyn Fn(&Event) -> Value + Send + Sync>),
}

/// Where the items of one API are.
#[derive(Clone, Debug)]
struct Table {
    store: Arc<dyn Store>,
    partition: String,
    expires_after: Duration,
}

/// A gateway that does by the store what it cannot do itself.
#[derive(Debug)]
struct SyncedGateway {
    inner: Arc<dyn Gateway>,
    table: Table,
}

// === impl ConnectionSync ===

impl ConnectionSync {
    /// Keeps connections in `store`, in a partition for each API and stage that is called
    /// `connections#API#STAGE`.
    pub fn new(store: impl Store) -> Self {
        let (store, name) = (Arc::new(store), "connections".to_owned());
        Self { store, name, expires_after: EXPIRES_AFTER, fields: Vec::new() }
    }

    /// What partitions are called before the API and the stage, if not `connections`.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// How long an item is kept that is not refreshed, if not four hours.
    #[must_use]
    pub fn expires_after(mut self, time: Duration) -> Self {
        self.expires_after = time;
        self
    }

    /// Adds a field that is the same in all items.
    #[must_use]
    pub fn field(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.fields.push((name.into(), Field::Fixed(value.into())));
        self
    }

    /// Adds a field that is made from the event of the handshake. `Null`, or `None`, leaves
    /// it out.
    #[must_use]
    pub fn computed<V: Into<Value>>(
        mut self,
        name: impl Into<String>,
        value: impl Fn(&Event) -> V + Send + Sync + 'static,
    ) -> Self {
        let value = Arc::new(move |event: &Event| value(event).into());
        self.fields.push((name.into(), Field::Computed(value)));
        self
    }

    fn table(&self, event: &Event) -> Table {
        let (api, stage) = (&event.connection.api_id, &event.connection.stage);
        let partition = format!("{}#{api}#{stage}", self.name);
        Table { store: Arc::clone(&self.store), partition, expires_after: self.expires_after }
    }

    /// The fields of a connection's item. Those that are always there win.
    fn fields_of(&self, event: &Event) -> Map<String, Value> {
        let mut fields = Map::new();
        for (name, field) in &self.fields {
            let value = match field {
                Field::Fixed(value) => value.clone(),
                Field::Computed(value) => value(event),
            };
            if !value.is_null() {
                fields.insert(name.clone(), value);
            }
        }
        let connection = &event.connection;
        fields.insert("connectionId".to_owned(), json!(connection.id));
        fields.insert("domainName".to_owned(), json!(connection.domain));
        fields.insert("stage".to_owned(), json!(connection.stage));
        fields
    }
}

impl fmt::Debug for ConnectionSync {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields: Vec<_> = self.fields.iter().map(|(name, _)| name).collect();
        f.debug_struct("ConnectionSync")
            .field("store", &self.store)
            .field("name", &self.name)
            .field("fields", &fields)
            .finish_non_exhaustive()
    }
}

impl Plugin for ConnectionSync {
    async fn connect(&self, event: &Event) -> Result {
        let (table, fields) = (self.table(event), self.fields_of(event));
        let item = table.item(&table.partition, &event.connection.id, fields);
        Ok(table.store.put(vec![item]).await?)
    }

    /// Refreshes the item once half its time is over: not at each message of a young
    /// connection, and never on AWS, where connections do not last that long.
    async fn message(&self, event: &Event) -> Result {
        let made = event.connection.connected_at as f64 / 1000.0;
        if now() < made + self.expires_after.as_secs_f64() / 2.0 {
            return Ok(());
        }
        let table = self.table(event);
        let key = Key::new(&table.partition, &event.connection.id);
        if let Some(item) = table.store.get(&key).await? {
            let item = table.item(&table.partition, &event.connection.id, item.fields);
            // A connection that has ended meanwhile stays forgotten.
            table.store.put_if(item, Condition::Present).await?;
        }
        Ok(())
    }

    async fn close(&self, event: &Event) -> Result {
        let table = self.table(event);
        let key = Key::new(&table.partition, &event.connection.id);
        Ok(table.store.delete(vec![key]).await?)
    }

    async fn refused(&self, event: &Event) -> Result {
        self.close(event).await
    }

    fn gateway(&self, event: &Event) -> Option<Arc<dyn Gateway>> {
        let inner = Arc::clone(event.home.gateway());
        Some(Arc::new(SyncedGateway { inner, table: self.table(event) }))
    }
}

// === impl Table ===

impl Table {
    fn item(&self, partition: &str, id: &str, fields: Map<String, Value>) -> Item {
        let item = Item { key: Key::new(partition, id), fields, expires_at: None };
        item.lasting(self.expires_after.as_secs_f64())
    }

    /// The partition with an item for each connection that has a tag. Such an item goes when
    /// the tag is taken away, when the connection is found to be gone, or in time.
    fn tagged(&self, tag: &str) -> String {
        format!("{}#tag#{tag}", self.partition)
    }
}

// === impl SyncedGateway ===

impl SyncedGateway {
    /// Sends a message to all connections in a partition, page by page, and forgets those
    /// that are gone.
    async fn send_to_stored(&self, partition: &str, body: Body) -> Result<Delivered, SendError> {
        let store = &self.table.store;
        let mut all = Delivered::default();
        let mut after = None;
        loop {
            let page = store.query(partition, "", after).await.map_err(|error| stored(&error))?;
            let ids = page.items.into_iter().map(|item| item.key.sort).collect();
            let sent = self.inner.send_to(Recipients::Ids(ids), body.clone()).await?;
            all.delivered += sent.delivered;
            all.failed += sent.failed;
            let gone = sent.gone.iter().map(|id| Key::new(partition, id)).collect::<Vec<_>>();
            if !gone.is_empty() {
                store.delete(gone).await.map_err(|error| stored(&error))?;
            }
            all.gone.extend(sent.gone);
            after = page.next;
            if after.is_none() {
                return Ok(all);
            }
        }
    }

    async fn send_to(&self, to: Recipients, body: Body) -> Result<Delivered, SendError> {
        let partition = match &to {
            Recipients::All => self.table.partition.clone(),
            Recipients::Group(Group::Tag(tag)) => self.table.tagged(tag),
            _ => return self.inner.send_to(to, body).await,
        };
        match self.inner.send_to(to, body.clone()).await {
            Err(SendError::Unsupported(_)) => self.send_to_stored(&partition, body).await,
            done => done,
        }
    }

    async fn regroup(&self, id: &str, group: Group, member: bool) -> Result<(), SendError> {
        let Group::Tag(tag) = &group else {
            return self.inner.regroup(id, group, member).await;
        };
        let (store, partition) = (&self.table.store, self.table.tagged(tag));
        let stored_tag = if member {
            store.put(vec![self.table.item(&partition, id, Map::new())]).await
        } else {
            store.delete(vec![Key::new(&partition, id)]).await
        };
        stored_tag.map_err(|error| stored(&error))?;
        // A gateway may have tags and yet not send to them, so both know.
        match self.inner.regroup(id, group, member).await {
            Err(SendError::Unsupported(_)) => Ok(()),
            done => done,
        }
    }
}

fn stored(error: &StoreError) -> SendError {
    SendError::Failed(format!("the connections could not be read: {error}"))
}

impl Gateway for SyncedGateway {
    fn send<'a>(&'a self, to: &'a str, body: Body) -> BoxFuture<'a, Result<(), SendError>> {
        self.inner.send(to, body)
    }

    fn send_to(&self, to: Recipients, body: Body) -> BoxFuture<'_, Result<Delivered, SendError>> {
        Box::pin(self.send_to(to, body))
    }

    fn close<'a>(
        &'a self,
        id: &'a str,
        code: u16,
        reason: &'a str,
    ) -> BoxFuture<'a, Result<(), SendError>> {
        self.inner.close(id, code, reason)
    }

    fn regroup<'a>(
        &'a self,
        id: &'a str,
        group: Group,
        member: bool,
    ) -> BoxFuture<'a, Result<(), SendError>> {
        Box::pin(self.regroup(id, group, member))
    }
}
