//! The record of a connection: what its client said, and until when it is believed to live.

use std::time::Duration;

use fanwire_wire::trpc::{ConnectionParamsError, connection_params};

use super::Stored;
use super::records::{Layout, SUBSCRIPTION, connection_partition};
use crate::store::{Condition, Item, StoreError, now};
use crate::subscriptions::Said;
use crate::websocket::Event;

/// How long a message waits for the connection parameters that came before it, and are
/// perhaps being written at this moment.
const PARAMS_WAIT: Duration = Duration::from_secs(5);

/// How often it looks.
const PARAMS_LOOK: Duration = Duration::from_millis(50);

/// Writes what a client said in its handshake.
pub(super) async fn connect<C: Send + Sync + 'static>(
    stored: &Stored<C>,
    event: &Event,
) -> Result<(), StoreError> {
    let said = match stored.layout {
        Layout::Fanwire => {
            Said { headers: event.headers.clone(), query: event.query.clone(), params: None }
        }
        Layout::AwsTrpcSubscriptions => Said::default(),
    };
    write(stored, &event.connection.id, &said).await
}

/// What the client of a connection said. Has its records last on.
pub(super) async fn said<C: Send + Sync + 'static>(
    stored: &Stored<C>,
    connection: &str,
) -> Result<Said, StoreError> {
    let Some(item) = stored.store.get(&stored.layout.connection_key(connection)).await? else {
        write(stored, connection, &Said::default()).await?;
        return Ok(Said::default());
    };
    let left = item.expires_at.map_or(f64::INFINITY, |at| at - now());
    if left < stored.lifetime.as_secs_f64() * 0.75 {
        refresh(stored, connection).await?;
    }
    Ok(Layout::said(&item))
}

/// The same, once the client has said its connection parameters, if it announced some.
pub(super) async fn said_whole<C: Send + Sync + 'static>(
    stored: &Stored<C>,
    connection: &str,
) -> Result<Said, StoreError> {
    let until = tokio::time::Instant::now() + PARAMS_WAIT;
    loop {
        let said = said(stored, connection).await?;
        let complete = !said.announces_params() || said.params.is_some();
        if complete || tokio::time::Instant::now() >= until {
            return Ok(said);
        }
        tokio::time::sleep(PARAMS_LOOK).await;
    }
}

/// Writes the connection parameters that a message has.
pub(super) async fn take_params<C: Send + Sync + 'static>(
    stored: &Stored<C>,
    connection: &str,
    text: &str,
) -> Result<Result<(), ConnectionParamsError>, StoreError> {
    let params = match connection_params(text) {
        Ok(params) => params.unwrap_or_default(),
        Err(error) => return Ok(Err(error)),
    };
    let said = said(stored, connection).await?;
    write(stored, connection, &Said { params: Some(params), ..said }).await.map(Ok)
}

async fn write<C: Send + Sync + 'static>(
    stored: &Stored<C>,
    connection: &str,
    said: &Said,
) -> Result<(), StoreError> {
    let item = stored.layout.connection(connection, said);
    stored.store.put(vec![item.lasting(stored.lifetime.as_secs_f64())]).await
}

/// Has all records of a connection last on. One that is being removed stays so.
async fn refresh<C: Send + Sync + 'static>(
    stored: &Stored<C>,
    connection: &str,
) -> Result<(), StoreError> {
    let lifetime = stored.lifetime.as_secs_f64();
    let partition = connection_partition(connection);
    let mut after = None;
    loop {
        let page = stored.store.query(&partition, "", after).await?;
        for item in page.items {
            let subscription = item.key.sort.starts_with(SUBSCRIPTION);
            let found = if subscription { by_path(stored, &item) } else { Vec::new() };
            let there = stored.store.put_if(item.lasting(lifetime), Condition::Present).await?;
            if there && !found.is_empty() {
                let found = found.into_iter().map(|item| item.lasting(lifetime));
                stored.store.put(found.collect()).await?;
            }
        }
        after = page.next;
        if after.is_none() {
            return Ok(());
        }
    }
}

/// The records by which publishers find the subscription of a record.
fn by_path<C: Send + Sync + 'static>(stored: &Stored<C>, item: &Item) -> Vec<Item> {
    let keys = stored.layout.by_path(item, |path| stored.subscriptions.filters(path));
    let fields = stored.layout.by_path_fields(item);
    keys.into_iter().map(|key| Item { key, fields: fields.clone(), expires_at: None }).collect()
}
