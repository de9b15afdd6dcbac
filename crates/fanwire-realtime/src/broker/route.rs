//! Where the messages of a topic go, worked out once and kept until something changes.

use std::collections::HashMap;
use std::sync::Arc;

use fanwire_policy::{Action, Resource};
use fanwire_wire::mqtt::{QoS, SubscribeOptions};

use super::session::{Key, Live};
use super::{Broker, Session};
use crate::directory::{Directory, Elsewhere};
use crate::topic::{Parent, TopicIndex};

/// Topics whose ways are kept. Beyond, all are forgotten and worked out anew.
const MAX_ROUTES: usize = 65_536;

/// What topics and their ways may take together, in bytes. Beyond, all are forgotten too;
/// only one that takes more than this alone is kept by itself.
const MAX_ROUTE_BYTES: usize = 32 * 1024 * 1024;

/// A change of one wildcard filter is compared with the topics that are kept up to this
/// many of them; beyond, all are forgotten, which costs less.
const MAX_COMPARED: usize = 512;

/// Receivers of a topic from which on topic aliases are left out of what they get: bytes that
/// all share cost less than shorter ones of each.
const CROWD: usize = 16;

/// One session's subscription to a filter of the index.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subscriber {
    pub(crate) key: Key,
    pub(crate) options: SubscribeOptions,
    pub(crate) id: Option<u32>,
}

/// Where the messages of one topic go.
#[derive(Default)]
pub(crate) struct Route {
    /// Sessions of this shard, each once.
    pub(crate) targets: Vec<Target>,
    /// How many targets take the same bytes as all others of their form do.
    pub(crate) plain: usize,
    pub(crate) elsewhere: Elsewhere,
}

/// A session that the messages of a topic go to.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) key: Key,
    /// The most that its subscriptions were granted.
    pub(crate) qos: QoS,
    pub(crate) no_local: bool,
    pub(crate) retain_as_published: bool,
    pub(crate) ids: Option<Box<[u32]>>,
    /// Whether a message of QoS 0 has the same bytes for it as for all others of its form.
    pub(crate) plain: bool,
}

/// The ways that are known, by topic. A topic whose way is forgotten keeps its place, so
/// that the same topic stays the same pointer.
#[derive(Default)]
pub(crate) struct Routes {
    known: HashMap<Arc<str>, Option<Arc<Route>>, foldhash::fast::RandomState>,
    /// Topics whose ways have been worked out since all were forgotten: each that has one,
    /// and some whose way was forgotten since.
    worked_out: Vec<Arc<str>>,
    /// About how much memory topics and ways take, in bytes.
    bytes: usize,
}

// === impl Routes ===

impl Routes {
    /// What is known of a topic.
    pub(crate) fn get(&self, topic: &str) -> Option<(&Arc<str>, Option<&Arc<Route>>)> {
        self.known.get_key_value(topic).map(|(topic, route)| (topic, route.as_ref()))
    }

    pub(crate) fn set(&mut self, topic: &Arc<str>, route: Arc<Route>) {
        let cost = topic.len() + route.cost();
        if self.known.len() >= MAX_ROUTES || self.bytes + cost > MAX_ROUTE_BYTES {
            *self = Self::default();
        } else if self.worked_out.len() >= 2 * MAX_ROUTES {
            self.forget_all();
        }
        match self.known.insert(Arc::clone(topic), Some(route)) {
            Some(Some(before)) => self.bytes -= before.cost() + topic.len(),
            Some(None) => {
                self.bytes -= topic.len();
                self.worked_out.push(Arc::clone(topic));
            }
            None => self.worked_out.push(Arc::clone(topic)),
        }
        self.bytes += cost;
    }

    /// Forgets the ways that a change of `filter`, or of any filter, makes wrong.
    pub(crate) fn forget(&mut self, filter: Option<&str>, parent: Parent) {
        match filter {
            Some(filter) if !filter.contains(['+', '#']) => self.forget_one(filter),
            Some(filter) if self.worked_out.len() <= MAX_COMPARED => {
                let mut index = TopicIndex::<()>::default();
                index.get_or_default(filter);
                let mut wrong = Vec::new();
                for topic in &self.worked_out {
                    index.matches(topic, parent, |()| wrong.push(Arc::clone(topic)));
                }
                wrong.iter().for_each(|topic| self.forget_one(topic));
            }
            _ => self.forget_all(),
        }
    }

    /// Forgets all ways. It takes as long as working them out did, however often it is asked
    /// for: only what has been worked out since the last time is looked at.
    pub(crate) fn forget_all(&mut self) {
        for topic in std::mem::take(&mut self.worked_out) {
            self.forget_one(&topic);
        }
    }

    fn forget_one(&mut self, topic: &str) {
        if let Some(route) = self.known.get_mut(topic).and_then(Option::take) {
            self.bytes -= route.cost();
        }
    }
}

// === impl Route ===

impl Route {
    /// About how much memory it takes, in bytes.
    fn cost(&self) -> usize {
        let ids = self.targets.iter().filter_map(|target| target.ids.as_ref());
        let Elsewhere { groups, taps, nodes, .. } = &self.elsewhere;
        size_of::<Self>()
            + self.targets.len() * size_of::<Target>()
            + ids.map(|ids| size_of_val(&**ids)).sum::<usize>()
            + groups.len() * size_of::<usize>()
            + taps.len() * 3 * size_of::<usize>()
            + nodes.len() * size_of::<crate::mesh::Node>()
    }
}

impl Broker {
    /// The way of a topic, and the topic as it is kept.
    pub(super) fn route(&mut self, topic: &str) -> (Arc<str>, Arc<Route>) {
        let kept = match self.routes.get(topic) {
            Some((topic, Some(route))) => return (Arc::clone(topic), Arc::clone(route)),
            Some((topic, None)) => Arc::clone(topic),
            None => Arc::from(topic),
        };
        let route = Arc::new(self.work_out(topic));
        self.routes.set(&kept, Arc::clone(&route));
        (kept, route)
    }

    /// Forgets the ways that lead to a session, or away from it.
    pub(super) fn forget_routes_of(&mut self, key: Key) {
        let Some(session) = self.sessions.get(key as usize) else { return };
        let parent = self.settings.parent();
        for subscription in &session.subscriptions {
            self.routes.forget(Some(&subscription.filter), parent);
        }
    }

    fn work_out(&self, topic: &str) -> Route {
        let parent = self.settings.parent();
        let mut found: Vec<Subscriber> = Vec::new();
        let mut filters = 0;
        self.index.matches(topic, parent, |subscribers| {
            filters += 1;
            found.extend_from_slice(subscribers);
        });
        if filters > 1 {
            found.sort_by_key(|subscriber| subscriber.key);
        }
        let mut targets: Vec<Target> = Vec::with_capacity(found.len());
        for subscriber in &found {
            match targets.last_mut().filter(|last| last.key == subscriber.key) {
                Some(target) => target.join(subscriber),
                None => targets.push(Target::of(subscriber)),
            }
        }
        let crowded = targets.len() >= CROWD;
        targets.retain_mut(|target| {
            let session = self.sessions.get(target.key as usize);
            session.is_some_and(|session| target.fit(session, topic, crowded))
        });
        let plain = targets.iter().filter(|target| target.plain).count();
        let elsewhere = Directory::elsewhere(&self.directory, topic, parent, self.shard);
        Route { targets, plain, elsewhere }
    }
}

// === impl Target ===

impl Target {
    fn of(subscriber: &Subscriber) -> Self {
        let SubscribeOptions { qos, no_local, retain_as_published, .. } = subscriber.options;
        let ids = subscriber.id.map(|id| Box::from([id]));
        Self { key: subscriber.key, qos, no_local, retain_as_published, ids, plain: false }
    }

    /// Overlapping subscriptions of one session make one delivery, with the most that any
    /// of them was granted and the identifiers of all (MQTT 5, 3.3.4).
    fn join(&mut self, other: &Subscriber) {
        self.qos = self.qos.max(other.options.qos);
        self.no_local &= other.options.no_local;
        self.retain_as_published |= other.options.retain_as_published;
        if let Some(id) = other.id {
            let mut ids = self.ids.take().map(Vec::from).unwrap_or_default();
            ids.push(id);
            self.ids = Some(ids.into());
        }
    }

    /// Settles what depends on the session as it is. Says whether it gets messages of the
    /// topic at all: what its policy does not let it receive is silently left out
    /// (reference: iot.md, section 3).
    fn fit(&mut self, session: &Session, topic: &str, crowded: bool) -> bool {
        let Some(live) = session.live() else { return session.persists() };
        self.plain = !self.no_local
            && !self.retain_as_published
            && self.ids.is_none()
            && live.takes_shared_bytes(crowded);
        live.may_receive(topic)
    }
}

// === impl Live ===

impl Live {
    /// Whether nothing of this connection changes what packets look like, as one of a crowd
    /// or not.
    fn takes_shared_bytes(&self, crowded: bool) -> bool {
        (crowded || self.aliases.outbound_maximum == 0) && self.max_packet == u32::MAX
    }

    /// Whether its policy lets it receive messages of a topic.
    pub(crate) fn may_receive(&self, topic: &str) -> bool {
        let access = self.access.as_ref();
        access.is_none_or(|access| access.allows(Action::Receive, Resource::Topic(topic)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(routes: &mut Routes, topic: &str, targets: usize) {
        let target = |key| Target {
            key,
            qos: QoS::AtMostOnce,
            no_local: false,
            retain_as_published: false,
            ids: None,
            plain: true,
        };
        let targets = (0..targets as Key).map(target).collect();
        routes.set(&Arc::from(topic), Arc::new(Route { targets, ..Route::default() }));
    }

    #[test]
    fn ways_take_no_more_memory_than_they_may_however_long_they_and_their_topics_are() {
        let mut routes = Routes::default();
        let long = "a".repeat(60_000);
        let mut most = 0;
        for at in 0..2_000 {
            set(&mut routes, &format!("{long}{at}"), 10);
            set(&mut routes, &at.to_string(), 10_000);
            assert!(routes.bytes <= MAX_ROUTE_BYTES);
            most = most.max(routes.known.len());
        }
        assert!(most > 100, "{most}");
    }

    #[test]
    fn what_is_forgotten_and_worked_out_again_is_counted_once() {
        let mut routes = Routes::default();
        for _ in 0..3 {
            set(&mut routes, "a", 3);
            set(&mut routes, "b", 1);
            routes.forget(Some("a"), Parent::Matches);
            routes.forget(Some("+"), Parent::Matches);
            set(&mut routes, "b", 2);
            set(&mut routes, "b", 1);
            routes.forget_all();
            assert_eq!(routes.bytes, 2);
            assert!(routes.worked_out.is_empty());
        }
        // A topic that is forgotten and worked out again and again leaves no trail.
        for _ in 0..3 * MAX_ROUTES {
            set(&mut routes, "a", 1);
            routes.forget(Some("a"), Parent::Matches);
        }
        assert!(routes.worked_out.len() <= 2 * MAX_ROUTES);
    }
}
