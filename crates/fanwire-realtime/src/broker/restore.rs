//! Sessions of before the process began.

use std::sync::Arc;
use std::time::Duration;

use super::Broker;
use super::flow::{Flow, InFlight, Queued, Step};
use super::session::{Away, Key, Presence, Session, Subscription};
use crate::durable::{Flight, RecoveredSession, StoredEntry, StoredSession};

impl Broker {
    /// Takes in a session as it was kept.
    pub(crate) fn restore(&mut self, recovered: RecoveredSession) {
        let RecoveredSession { client_id, session, in_flight, queue, unreleased, last_seq } =
            recovered;
        let flow = flow(in_flight, queue, last_seq);
        self.queued_bytes += flow.queued_bytes + flow.in_flight_bytes();
        let waiting = flow.queue.len() as u64;
        self.figures.queued.add(waiting);
        self.figures.routed.add(waiting);
        let away = self.away(&session);
        let subscriptions: Vec<Subscription> = session
            .subscriptions
            .into_iter()
            .map(|kept| Subscription { filter: kept.filter, options: kept.options, id: kept.id })
            .collect();
        let entry = Session {
            client_id: Arc::clone(&client_id),
            version: session.version,
            expiry: session.expiry,
            subscriptions: subscriptions.clone(),
            flow: Some(Box::new(flow)),
            unreleased,
            replays: None,
            presence: Presence::Away(Box::new(away)),
            outbox: Vec::new(),
            online: None,
            dropped: 0,
            moves_to: None,
            arriving: None,
        };
        // As many as there were, which `max_sessions` bounds far below 2^32.
        let key = Key::try_from(self.sessions.insert(entry)).unwrap_or(Key::MAX);
        self.by_client.insert(client_id, key);
        for subscription in &subscriptions {
            let Subscription { filter, options, id } = subscription;
            self.subscribe_to(key, filter, *options, *id, true);
        }
        self.file_deadlines(key);
    }

    /// A client that was connected is taken to have gone when the process began.
    fn away(&self, session: &StoredSession) -> Away {
        let at = |ms: u64| self.now + Duration::from_millis(ms.saturating_sub(self.now_ms));
        Away {
            since: session.away_since.unwrap_or(self.now_ms),
            reason: None,
            principal: session.principal.clone(),
            ends_at: session.ends_at(self.now_ms).map(at),
            will: session.will.as_ref().map(|will| (at(will.due), Box::new(will.message.clone()))),
        }
    }

    fn file_deadlines(&mut self, key: Key) {
        let Some(Presence::Away(away)) = self.sessions.get(key as usize).map(|s| &s.presence)
        else {
            return;
        };
        let will = away.will.as_ref().map(|(at, _)| *at);
        for at in will.into_iter().chain(away.ends_at) {
            self.deadlines.insert((at, key));
        }
    }
}

fn flow(in_flight: Vec<Flight>, queue: Vec<StoredEntry>, last_seq: u64) -> Flow {
    let mut flow = Flow { next_seq: last_seq, ..Flow::default() };
    for Flight { seq, id, entry } in in_flight {
        let step = if entry.is_some() { Step::Receive } else { Step::Complete };
        let copy = entry.map(|entry| Box::new(Queued::from(entry)));
        flow.in_flight.push_back(InFlight { id, step, waits: false, seq: Some(seq), copy });
        flow.last_id = id.get();
    }
    // They are in the order in which they were sent, which may have been a lap ago.
    flow.lapped = !flow.in_flight.is_empty();
    for entry in queue {
        flow.enqueue(entry.into());
    }
    flow
}

impl From<StoredEntry> for Queued {
    fn from(entry: StoredEntry) -> Self {
        let StoredEntry { seq, message, qos, retain, ids } = entry;
        Self { message, qos, retain, ids, seq: Some(seq) }
    }
}
