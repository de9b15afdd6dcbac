//! What a client is subscribed to.

use std::collections::{BTreeMap, BTreeSet};

use fanwire_wire::mqtt::QoS;

use super::output::Token;
use super::topic;

/// The highest id of a subscription (MQTT 5, 2.2.2.2).
const MAX_ID: u32 = 268_435_455;

/// The subscriptions of a client, by their filters.
#[derive(Debug, Default)]
pub(super) struct Filters {
    known: BTreeMap<String, Filter>,
    /// Those that the broker is to forget, of which it has not been told.
    dropped: BTreeSet<String>,
    last_id: u32,
}

/// A subscription, as the broker has it or is to have it.
#[derive(Debug)]
struct Filter {
    id: u32,
    qos: QoS,
    /// Whether the broker has said that it has it.
    confirmed: bool,
    /// Whether it may have it.
    sent: bool,
    waiting: Vec<Token>,
}

// === impl Filters ===

impl Filters {
    /// With ids that follow this one.
    pub(super) fn after(last_id: u32) -> Self {
        Self { last_id: last_id % MAX_ID, ..Self::default() }
    }

    /// Somebody waits for a subscription. Its id.
    pub(super) fn add(&mut self, name: &str, qos: QoS, token: Token) -> u32 {
        self.dropped.remove(name);
        if !self.known.contains_key(name) {
            // One a second lasts eight years.
            self.last_id = self.last_id % MAX_ID + 1;
            let id = self.last_id;
            let new = Filter { id, qos, confirmed: false, sent: false, waiting: Vec::new() };
            self.known.insert(name.to_owned(), new);
        }
        self.known.get_mut(name).map_or(0, |known| {
            known.qos = known.qos.max(qos);
            known.waiting.push(token);
            known.id
        })
    }

    /// Nobody wants it any more. Whether the broker may have it.
    pub(super) fn remove(&mut self, name: &str) -> bool {
        self.known.remove(name).is_some_and(|known| known.sent)
    }

    /// The broker is to be told, when it can be, that it may forget one.
    pub(super) fn forget_later(&mut self, name: &str) {
        self.dropped.insert(name.to_owned());
    }

    /// There is a connection: what the broker is to forget, and what it is to be told (again).
    pub(super) fn tell_all(&mut self, session_present: bool) -> (Vec<String>, Vec<String>) {
        let dropped = std::mem::take(&mut self.dropped);
        let forget = if session_present { dropped.into_iter().collect() } else { Vec::new() };
        let unknown = self.known.iter().filter(|(_, filter)| {
            !session_present || !filter.confirmed || !filter.waiting.is_empty()
        });
        (forget, unknown.map(|(name, _)| name.clone()).collect())
    }

    /// One is told to the broker: its id, and with which QoS.
    pub(super) fn tell(&mut self, name: &str) -> Option<(u32, QoS)> {
        let filter = self.known.get_mut(name)?;
        filter.sent = true;
        Some((filter.id, filter.qos))
    }

    /// The broker has answered. Who has waited for it; nobody where it was given back since.
    pub(super) fn answered(&mut self, name: &str, refused: bool) -> Vec<Token> {
        let Some(filter) = self.known.get_mut(name) else { return Vec::new() };
        let waiting = std::mem::take(&mut filter.waiting);
        filter.confirmed = !refused;
        if refused {
            self.known.remove(name);
        }
        waiting
    }

    /// Those of these ids that are known.
    pub(super) fn with_ids(&self, ids: &BTreeSet<u32>) -> Vec<u32> {
        self.known.values().map(|filter| filter.id).filter(|id| ids.contains(id)).collect()
    }

    /// Those that a topic is for.
    pub(super) fn matching(&self, name: &str) -> Vec<u32> {
        let matching = self.known.iter().filter(|(filter, _)| topic::matches(filter, name));
        matching.map(|(_, filter)| filter.id).collect()
    }

    /// Everybody who waits.
    pub(super) fn tokens(&self) -> impl Iterator<Item = Token> {
        self.known.values().flat_map(|filter| &filter.waiting).copied()
    }
}
