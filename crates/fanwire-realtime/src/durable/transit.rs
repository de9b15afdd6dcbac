//! Messages that were on their way from one shard to another when the process ended.

use std::ops::ControlFlow;
use std::sync::Arc;

use fanwire_wire::mqtt::QoS;
use fanwire_wire::mqtt::topic::SharedFilter;

use super::{
    Durable, Entry, Keeper, LoadError, Recovered, RecoveredSession, StoredEntry,
    StoredSubscription, Transit,
};
use crate::plane::shard_of;
use crate::topic::{Parent, TopicMap};

/// A message in transit.
#[derive(Debug)]
pub(super) struct InTransit {
    pub(super) transit: Transit,
    /// How many shards there were.
    pub(super) shards: usize,
    /// The session that it is for; `None` for all of the shard that subscribe to its topic.
    pub(super) client_id: Option<Box<str>>,
    /// As the session that it is for gets it.
    pub(super) qos: QoS,
    pub(super) retain: bool,
    pub(super) ids: Option<Box<[u32]>>,
}

/// All of them, in their order.
#[derive(Debug, Default)]
pub(super) struct Transits(Vec<InTransit>);

/// A session that gets one, and how.
#[derive(Debug)]
struct Receiver {
    /// Its place among the sessions.
    at: usize,
    qos: QoS,
    retain: bool,
    ids: Option<Box<[u32]>>,
}

// === impl Transits ===

impl Transits {
    pub(super) fn add(&mut self, message: InTransit) {
        self.0.push(message);
    }

    /// Puts each into the queues that it was for, as its shard would have done: each in one
    /// commit, so that it is in all of them or in transit still.
    pub(super) fn complete(
        self,
        durable: &Durable,
        recovered: &mut Recovered,
        now_ms: u64,
        parent: Parent,
    ) -> Result<(), LoadError> {
        if self.0.is_empty() {
            return Ok(());
        }
        let receivers = self.receivers(&recovered.sessions, parent);
        let mut keeper = durable.keeper();
        for (InTransit { transit, .. }, receivers) in self.0.iter().zip(receivers) {
            if transit.message.expiry_left(now_ms).is_some() {
                for receiver in receivers {
                    let session = &mut recovered.sessions[receiver.at];
                    receiver.enqueue(session, transit, &mut keeper);
                }
            } else {
                recovered.expired += 1;
            }
            keeper.take_over(transit);
            // Nothing else is going on yet: once all is written there is room.
            while keeper.commit(|_| {}).is_err() {
                durable.0.store.flush()?;
            }
        }
        Ok(durable.0.store.flush()?)
    }

    /// Who gets each of them.
    fn receivers(&self, sessions: &[RecoveredSession], parent: Parent) -> Vec<Vec<Receiver>> {
        let mut receivers: Vec<Vec<Receiver>> = Vec::new();
        let mut topics = TopicMap::<Vec<usize>>::new();
        for (index, message) in self.0.iter().enumerate() {
            receivers.push(message.chosen(sessions).into_iter().collect());
            if message.client_id.is_none() {
                let topic = &message.transit.message.topic;
                let mut same = topics.remove(topic).unwrap_or_default();
                same.push(index);
                topics.insert(Arc::clone(topic), same);
            }
        }
        for (at, session) in sessions.iter().enumerate() {
            let subscriptions = session.session.subscriptions.iter();
            for subscription in subscriptions.filter(|it| SharedFilter::parse(&it.filter).is_none())
            {
                topics.find(&subscription.filter, parent, |_, indices| {
                    for index in indices {
                        if self.0[*index].is_on_the_shard_of(session) {
                            self.0[*index].add_to(&mut receivers[*index], at, subscription);
                        }
                    }
                    ControlFlow::Continue(())
                });
            }
        }
        receivers
    }
}

// === impl InTransit ===

impl InTransit {
    /// The session that it is for, where it is for a single one that is still there.
    fn chosen(&self, sessions: &[RecoveredSession]) -> Option<Receiver> {
        let client_id = self.client_id.as_deref()?;
        let at = sessions.binary_search_by(|session| (*session.client_id).cmp(client_id)).ok()?;
        Some(Receiver { at, qos: self.qos, retain: self.retain, ids: self.ids.clone() })
    }

    fn is_on_the_shard_of(&self, session: &RecoveredSession) -> bool {
        shard_of(&session.client_id, self.shards) == usize::from(self.transit.shard)
    }

    /// Adds a subscription that it matches. Those of one session make one delivery, as they
    /// do on its shard.
    fn add_to(&self, receivers: &mut Vec<Receiver>, at: usize, subscription: &StoredSubscription) {
        let message = &self.transit.message;
        if receivers.last().is_none_or(|last| last.at != at) {
            receivers.push(Receiver { at, qos: QoS::AtMostOnce, retain: false, ids: None });
        }
        let Some(receiver) = receivers.last_mut() else { return };
        receiver.qos = receiver.qos.max(subscription.options.qos.min(message.qos));
        receiver.retain |= subscription.options.retain_as_published && message.retain;
        if let Some(id) = subscription.id {
            let mut ids = receiver.ids.take().map(Vec::from).unwrap_or_default();
            ids.push(id);
            receiver.ids = Some(ids.into());
        }
    }
}

// === impl Receiver ===

impl Receiver {
    fn enqueue(self, session: &mut RecoveredSession, transit: &Transit, keeper: &mut Keeper) {
        let Self { qos, retain, ids, .. } = self;
        if qos == QoS::AtMostOnce {
            return;
        }
        session.last_seq += 1;
        let (seq, message) = (session.last_seq, Arc::clone(&transit.message));
        let entry = Entry { message: &message, qos, retain, ids: ids.as_deref() };
        keeper.enqueue(&session.client_id, seq, &entry);
        session.queue.push(StoredEntry { seq, message, qos, retain, ids });
    }
}
