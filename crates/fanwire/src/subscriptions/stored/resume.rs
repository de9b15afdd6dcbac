//! A client that comes back: it gets what it has missed, and each event once, whether it is read
//! from the history or published at this very moment.
//!
//! Its records say that it is being caught up; publishers leave it alone for so long, since
//! what they publish is in the history before they look for subscribers. Then what it was given
//! of late is claimed, for publishers that look only now; its records say that it is caught up,
//! and the history is read once more, for what came meanwhile. What is
//! published around that moment both sides find: whoever writes its *claim* first sends it.

use std::collections::HashSet;
use std::time::Duration;

use fanwire_wire::trpc::Envelope;
use serde_json::{Map, Value, json};

use super::history::Missed;
use super::message::Message;
use super::records::Written;
use super::{delivery, history};
use crate::store::{Condition, Item, Key, Store, StoreError, now};
use crate::subscriptions::{Interest, Sent, TrpcError};
use crate::websocket::SendError;

/// How long publishers leave a client alone that is being caught up. Should the function end
/// before that is done, the client hears what is new again after that time.
const CATCHING_UP: Duration = Duration::from_secs(15);

/// How long after it has come back what a client is sent is claimed first.
const CLAIMED: Duration = Duration::from_secs(60);

/// The field of a record that says since when its client is being caught up.
const BEGUN: &str = "resuming";

/// The field that says since when that is done.
const DONE: &str = "resumed";

/// What a publisher does about a subscriber.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Treatment {
    /// It is sent what is published.
    Send,
    /// It is sent that if nobody has claimed it.
    Claim,
    /// It is being caught up, and will find it in the history.
    Leave,
}

// === impl Treatment ===

impl Treatment {
    /// What to do about the subscriber of a record.
    pub(crate) fn of(fields: &Map<String, Value>) -> Self {
        let since = |name: &str| Some(now() - fields.get(name)?.as_f64()?);
        let within = |age: f64, time: Duration| age < time.as_secs_f64();
        match (since(BEGUN), since(DONE)) {
            (Some(age), _) if within(age, CATCHING_UP) => Self::Leave,
            (Some(age), _) | (None, Some(age)) if within(age, CLAIMED) => Self::Claim,
            _ => Self::Send,
        }
    }
}

/// Notes in the records of a subscription that its client is being caught up.
pub(super) fn begin(written: &mut Written) {
    note(written, |fields| _ = fields.insert(BEGUN.to_owned(), json!(now())));
}

fn note(written: &mut Written, mut change: impl FnMut(&mut Map<String, Value>)) {
    change(&mut written.by_connection.fields);
    written.by_path.iter_mut().for_each(|item| change(&mut item.fields));
}

/// Claims an event for a subscription. False: somebody else has.
///
/// # Errors
///
/// As the store.
pub(crate) async fn claim(
    store: &dyn Store,
    connection: &str,
    subscription: &str,
    event: &str,
) -> Result<bool, StoreError> {
    store.put_if(claim_of(connection, subscription, event), Condition::Absent).await
}

fn claim_of(connection: &str, subscription: &str, event: &str) -> Item {
    let key = Key::new(format!("claim#{connection}#{subscription}"), event);
    Item::new(key, json!({})).lasting(2.0 * CLAIMED.as_secs_f64())
}

// === impl Message ===

impl<C: Send + Sync + 'static> Message<'_, C> {
    /// Sends what a client has missed while it was away, whose records are `written`.
    pub(super) async fn resume(
        &self,
        interest: &Interest,
        last: &str,
        written: Written,
        envelope: &Envelope,
    ) -> Result<(), TrpcError> {
        let store = &*self.stored.store;
        let (connection, subscription) =
            (&self.event.connection.id, &written.by_connection.key.sort);
        let (mut given, mut claims) = (HashSet::new(), Vec::new());
        for Missed { sent, at } in history::missed(store, interest, last).await? {
            if !self.is_there(self.give_event(&sent, envelope).await).await? {
                return Ok(());
            }
            let Some(event) = sent.event_id else { continue };
            // Whoever has written it may look for subscribers only now.
            if now() - at < CLAIMED.as_secs_f64() {
                claims.push(claim_of(connection, subscription, &event));
            }
            given.insert(event);
        }
        if !claims.is_empty() {
            store.put(claims).await?;
        }
        if !self.caught_up(written.clone()).await? {
            return Ok(());
        }
        for Missed { sent, .. } in history::missed(store, interest, last).await? {
            let Some(event) = sent.event_id.as_deref().filter(|id| !given.contains(*id)) else {
                continue;
            };
            let is_ours = claim(store, connection, subscription, event).await?;
            if is_ours && !self.is_there(self.give_event(&sent, envelope).await).await? {
                return Ok(());
            }
        }
        Ok(())
    }

    async fn give_event(&self, sent: &Sent, envelope: &Envelope) -> Result<(), SendError> {
        let transformer = self.stored.subscriptions.transformer();
        self.give(&delivery::response(sent, transformer), envelope).await
    }

    /// Whether a client that was sent something is still there. It is forgotten where it is
    /// not.
    async fn is_there(&self, sent: Result<(), SendError>) -> Result<bool, TrpcError> {
        match sent {
            Err(SendError::Gone { .. }) => {
                self.stored.forget(&self.event.connection.id).await?;
                Ok(false)
            }
            sent => Ok(sent.map(|()| true)?),
        }
    }

    /// Notes that a client has what it missed. False: it does not want it any more.
    async fn caught_up(&self, mut written: Written) -> Result<bool, StoreError> {
        note(&mut written, |fields| {
            fields.shift_remove(BEGUN);
            fields.insert(DONE.to_owned(), json!(now()));
        });
        let lifetime = self.stored.lifetime.as_secs_f64();
        let by_connection = written.by_connection.lasting(lifetime);
        if !self.stored.store.put_if(by_connection, Condition::Present).await? {
            return Ok(false);
        }
        let by_path = written.by_path.into_iter().map(|item| item.lasting(lifetime));
        self.stored.store.put(by_path.collect()).await?;
        Ok(true)
    }
}
