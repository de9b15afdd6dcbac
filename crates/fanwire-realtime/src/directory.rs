//! What the shards have to know of each other: which of them has subscribers for a topic,
//! the groups of shared subscriptions, and the subscribers in this process.
//!
//! It is read when a shard works out where the messages of a topic go, which it then keeps
//! (`broker::route`). Each change is put on a list; a shard looks at its end once a turn
//! and forgets what the change makes wrong, so that publishing takes no lock.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use fanwire_wire::mqtt::QoS;

use crate::mesh::Node;
use crate::tap::{Reach, Tap};
use crate::topic::{Parent, TopicIndex};

/// Changes kept for shards that have not seen them yet. One that misses more forgets all
/// that it knows.
const MAX_CHANGES: usize = 1024;

/// What their filters may take, in bytes.
const MAX_CHANGE_BYTES: usize = 1024 * 1024;

/// The most shards whose interest is told apart; those beyond share the last bit, and get
/// messages that they may have no subscriber for.
const MAX_SHARDS: usize = 64;

/// Names a tap in the directory.
pub(crate) type TapId = u64;

/// Shards, as bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct ShardSet(u64);

/// What all shards share. See the module.
#[derive(Default)]
pub(crate) struct Directory {
    tables: RwLock<Tables>,
    changes: Mutex<Changes>,
    /// How many changes there were. Read without the lock.
    generation: AtomicU64,
    next_tap: AtomicU64,
    /// How many filters of the tables lifecycle events may match. Read without the lock.
    event_filters: AtomicUsize,
    /// Who tells the other nodes of a cluster what this one hears.
    outward: OnceLock<Arc<dyn Outward>>,
}

/// Tells the other nodes of a cluster what this one hears. Called under a lock of its own,
/// so that what it is told of one filter comes in the order in which it happened.
pub(crate) trait Outward: Send + Sync {
    /// Somebody here has begun to listen to a filter, or has ended.
    fn interested(&self, filter: &str, more: bool);

    /// A shared subscription has so many members here.
    fn grouped(&self, group: &str, filter: &str, members: Members);
}

/// How many members of a shared subscription there are at one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Members {
    /// Those that are connected.
    pub(crate) online: u32,
    /// All of them.
    pub(crate) all: u32,
}

/// Where the next message of a shared subscription goes.
#[derive(Debug, Clone)]
pub(crate) enum Choice {
    /// To a session of this node.
    Member(Member),
    /// To another node, which chooses among its own.
    Node(Node),
}

/// A tap, and which messages it is for.
type Tapped = (TapId, Reach, Arc<dyn Tap>);

#[derive(Default)]
struct Tables {
    interests: TopicIndex<Interest>,
    groups: TopicIndex<Vec<Arc<Group>>>,
    group_count: usize,
    taps: TopicIndex<Vec<Tapped>>,
    /// The other nodes that listen to a filter.
    nodes: TopicIndex<Vec<Node>>,
}

/// How many subscriptions each shard has to one filter.
#[derive(Debug, Default)]
struct Interest(Vec<(u8, u32)>);

#[derive(Debug, Default)]
struct Changes {
    recent: VecDeque<Box<str>>,
    /// What they take.
    bytes: usize,
    /// The generation of the first of them.
    first: u64,
}

/// The members of one shared subscription (MQTT 5, 4.8.2): each message goes to one of
/// them.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) name: Box<str>,
    pub(crate) filter: Box<str>,
    members: RwLock<Vec<Member>>,
    /// How many there are on other nodes.
    nodes: RwLock<Vec<(Node, Members)>>,
    next: AtomicUsize,
}

/// A session that takes part in a shared subscription.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) shard: u8,
    pub(crate) client_id: Arc<str>,
    pub(crate) qos: QoS,
    pub(crate) retain_as_published: bool,
    pub(crate) subscription_id: Option<u32>,
    /// Whether it is connected.
    pub(crate) online: Arc<AtomicBool>,
}

/// Where the messages of a topic go beside the sessions of the shard itself.
#[derive(Default, Clone)]
pub(crate) struct Elsewhere {
    pub(crate) shards: ShardSet,
    pub(crate) groups: Vec<Arc<Group>>,
    pub(crate) taps: Vec<(Reach, Arc<dyn Tap>)>,
    /// Other nodes that have subscribers.
    pub(crate) nodes: Vec<Node>,
}

// === impl Directory ===

impl Directory {
    /// Has somebody told from now on what this node hears. Only the first stays.
    pub(crate) fn tell_outward(&self, outward: Arc<dyn Outward>) {
        let _ = self.outward.set(outward);
    }

    /// A shard has one more subscription, not a shared one, to `filter`.
    pub(crate) fn add_interest(&self, filter: &str, shard: u8) {
        if self.write().interests.get_or_default(filter).add(shard) {
            self.count_events(filter, 1);
            self.changed(filter);
            self.interested(filter, true);
        }
    }

    /// A shard has one subscription less to `filter`.
    pub(crate) fn remove_interest(&self, filter: &str, shard: u8) {
        let mut tables = self.write();
        let Some(interest) = tables.interests.get_mut(filter) else { return };
        if interest.remove(shard) {
            if interest.0.is_empty() {
                tables.interests.remove(filter);
            }
            drop(tables);
            self.count_events(filter, -1);
            self.changed(filter);
            self.interested(filter, false);
        }
    }

    /// Another node has begun to listen to a filter.
    pub(crate) fn add_node(&self, filter: &str, node: Node) {
        let mut tables = self.write();
        let nodes = tables.nodes.get_or_default(filter);
        if nodes.contains(&node) {
            return;
        }
        nodes.push(node);
        drop(tables);
        self.count_events(filter, 1);
        self.changed(filter);
    }

    /// Another node listens to a filter no more.
    pub(crate) fn remove_node(&self, filter: &str, node: Node) {
        let mut tables = self.write();
        let Some(nodes) = tables.nodes.get_mut(filter) else { return };
        let before = nodes.len();
        nodes.retain(|known| *known != node);
        let gone = before - nodes.len();
        if nodes.is_empty() {
            tables.nodes.remove(filter);
        }
        drop(tables);
        self.count_events(filter, -gone.cast_signed());
        self.changed(filter);
    }

    /// A shared subscription has so many members on another node: none, where it has gone.
    pub(crate) fn set_members(&self, group: &str, filter: &str, node: Node, members: Members) {
        let mut tables = self.write();
        if members.all > 0 {
            let group = self.group(&mut tables, group, filter);
            drop(tables);
            group.set_members(node, members);
        } else if let Some(known) = tables.groups.get_mut(filter) {
            let before = known.len();
            known.retain(|known| {
                if *known.name == *group {
                    known.set_members(node, members);
                }
                !known.is_empty()
            });
            let gone = before - known.len();
            if known.is_empty() {
                tables.groups.remove(filter);
            }
            tables.group_count -= gone;
            self.count_events(filter, -gone.cast_signed());
            drop(tables);
        }
        self.changed(filter);
    }

    /// A member of a shared subscription has connected, or gone.
    pub(crate) fn presence_changed(&self, group: &str, filter: &str) {
        let Some(outward) = self.outward.get() else { return };
        let tables = self.read();
        let known = tables.groups.get(filter);
        let members = known
            .and_then(|groups| groups.iter().find(|known| *known.name == *group))
            .map_or(Members::default(), |group| group.here());
        // Under the lock: what is told next is as it is next.
        outward.grouped(group, filter, members);
    }

    /// The shared subscription of a name and filter, if anybody takes part in it.
    pub(crate) fn find_group(&self, group: &str, filter: &str) -> Option<Arc<Group>> {
        let tables = self.read();
        tables.groups.get(filter)?.iter().find(|known| *known.name == *group).cloned()
    }

    /// Whether a client may become a member of a shared subscription: it is one already, or
    /// there is room for it, and for its group.
    pub(crate) fn may_join(
        &self,
        group: &str,
        filter: &str,
        client_id: &str,
        max_groups: usize,
        max_members: usize,
    ) -> bool {
        let tables = self.read();
        let groups = tables.groups.get(filter);
        match groups.and_then(|groups| groups.iter().find(|known| *known.name == *group)) {
            Some(known) => known.has_room_for(client_id, max_members),
            None => tables.group_count < max_groups,
        }
    }

    /// Adds a member to a shared subscription, or replaces its options.
    pub(crate) fn join(&self, group: &str, filter: &str, member: Member) {
        let mut tables = self.write();
        let joined = self.group(&mut tables, group, filter);
        drop(tables);
        joined.join(member);
        self.changed(filter);
        self.presence_changed(group, filter);
    }

    fn group(&self, tables: &mut Tables, group: &str, filter: &str) -> Arc<Group> {
        let Tables { groups, group_count, .. } = tables;
        let groups = groups.get_or_default(filter);
        let found = groups.iter().find(|known| *known.name == *group).cloned();
        found.unwrap_or_else(|| {
            let group = Arc::new(Group::new(group, filter));
            groups.push(Arc::clone(&group));
            *group_count += 1;
            self.count_events(filter, 1);
            group
        })
    }

    /// Removes a member from a shared subscription.
    pub(crate) fn leave(&self, group: &str, filter: &str, client_id: &str) {
        let mut tables = self.write();
        let Tables { groups, group_count, .. } = &mut *tables;
        let Some(known) = groups.get_mut(filter) else { return };
        let before = known.len();
        known.retain(|known| *known.name != *group || !known.leave(client_id));
        let gone = before - known.len();
        *group_count -= gone;
        if known.is_empty() {
            groups.remove(filter);
        }
        self.count_events(filter, -gone.cast_signed());
        drop(tables);
        self.changed(filter);
        self.presence_changed(group, filter);
    }

    /// Subscribes somebody in this process.
    pub(crate) fn add_tap(&self, filter: &str, reach: Reach, tap: Arc<dyn Tap>) -> TapId {
        let id = self.next_tap.fetch_add(1, Ordering::Relaxed);
        self.write().taps.get_or_default(filter).push((id, reach, tap));
        self.count_events(filter, 1);
        self.changed(filter);
        if reach == Reach::Everywhere {
            self.interested(filter, true);
        }
        id
    }

    /// Unsubscribes somebody in this process.
    pub(crate) fn remove_tap(&self, filter: &str, id: TapId) {
        let mut tables = self.write();
        let Some(taps) = tables.taps.get_mut(filter) else { return };
        let at = taps.iter().position(|(known, ..)| *known == id);
        let removed = at.map(|at| taps.swap_remove(at));
        if taps.is_empty() {
            tables.taps.remove(filter);
        }
        drop(tables);
        self.count_events(filter, if removed.is_some() { -1 } else { 0 });
        if removed.as_ref().is_some_and(|(_, reach, _)| *reach == Reach::Everywhere) {
            self.interested(filter, false);
        }
        // Not before: a tap may own a subscription, whose end leads here again.
        drop(removed);
        self.changed(filter);
    }

    /// Whether anybody anywhere may be subscribed to lifecycle events. Most are told of to
    /// nobody, and then there is no need to put them into words.
    pub(crate) fn hears_events(&self) -> bool {
        self.event_filters.load(Ordering::Relaxed) > 0
    }

    /// Where the messages of `topic` go beside the sessions of `shard`.
    pub(crate) fn elsewhere(&self, topic: &str, parent: Parent, shard: u8) -> Elsewhere {
        let tables = self.read();
        let mut found = Elsewhere::default();
        tables.interests.matches(topic, parent, |interest| {
            for (other, _) in interest.0.iter().filter(|(other, _)| *other != shard) {
                found.shards.insert(*other);
            }
        });
        tables.groups.matches(topic, parent, |groups| found.groups.extend(groups.iter().cloned()));
        tables.taps.matches(topic, parent, |taps| {
            found.taps.extend(taps.iter().map(|(_, reach, tap)| (*reach, Arc::clone(tap))));
        });
        tables.nodes.matches(topic, parent, |nodes| {
            for node in nodes {
                if !found.nodes.contains(node) {
                    found.nodes.push(*node);
                }
            }
        });
        found
    }

    /// Tells which filters have changed since `seen`, which is moved on. `None` stands for
    /// all of them.
    pub(crate) fn catch_up(&self, seen: &mut u64, mut changed: impl FnMut(Option<&str>)) {
        let generation = self.generation.load(Ordering::Acquire);
        if generation == *seen {
            return;
        }
        let changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        match seen.checked_sub(changes.first).and_then(|missed| usize::try_from(missed).ok()) {
            Some(missed) => {
                changes.recent.iter().skip(missed).for_each(|filter| changed(Some(filter)));
            }
            None => changed(None),
        }
        *seen = changes.first + changes.recent.len() as u64;
    }

    fn interested(&self, filter: &str, more: bool) {
        if let Some(outward) = self.outward.get() {
            outward.interested(filter, more);
        }
    }

    fn count_events(&self, filter: &str, change: isize) {
        if may_match_events(filter) {
            // Two's complement: adding what stands for a negative number subtracts.
            self.event_filters.fetch_add(change.cast_unsigned(), Ordering::Relaxed);
        }
    }

    fn changed(&self, filter: &str) {
        let mut changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        changes.push(filter);
        self.generation.store(changes.first + changes.recent.len() as u64, Ordering::Release);
    }

    fn read(&self) -> RwLockReadGuard<'_, Tables> {
        self.tables.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Tables> {
        self.tables.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Directory").field("generation", &self.generation).finish_non_exhaustive()
    }
}

/// Whether a lifecycle event's topic, `$aws/events/…`, may match a filter. No wildcard stands
/// for its first level (MQTT 5, 4.7.2).
fn may_match_events(filter: &str) -> bool {
    let below = filter.strip_prefix("$aws/");
    below.is_some_and(|below| matches!(below.split('/').next(), Some("events" | "+" | "#")))
}

// === impl Changes ===

impl Changes {
    fn push(&mut self, filter: &str) {
        self.bytes += filter.len();
        self.recent.push_back(filter.into());
        while self.recent.len() > MAX_CHANGES || self.bytes > MAX_CHANGE_BYTES {
            let Some(first) = self.recent.pop_front() else { break };
            self.bytes -= first.len();
            self.first += 1;
        }
    }
}

// === impl Interest ===

impl Interest {
    /// Says whether the shard had none before.
    fn add(&mut self, shard: u8) -> bool {
        match self.0.iter_mut().find(|(known, _)| *known == shard) {
            Some((_, count)) => {
                *count += 1;
                false
            }
            None => {
                if self.0.is_empty() {
                    // Most filters have subscribers on one shard.
                    self.0.reserve_exact(1);
                }
                self.0.push((shard, 1));
                true
            }
        }
    }

    /// Says whether the shard has none any more.
    fn remove(&mut self, shard: u8) -> bool {
        let Some(at) = self.0.iter().position(|(known, _)| *known == shard) else { return false };
        self.0[at].1 -= 1;
        let gone = self.0[at].1 == 0;
        if gone {
            self.0.swap_remove(at);
        }
        gone
    }
}

// === impl Group ===

impl Group {
    fn new(name: &str, filter: &str) -> Self {
        Self {
            name: name.into(),
            filter: filter.into(),
            members: RwLock::default(),
            nodes: RwLock::default(),
            next: AtomicUsize::new(0),
        }
    }

    fn join(&self, member: Member) {
        let mut members = self.members.write().unwrap_or_else(PoisonError::into_inner);
        match members.iter_mut().find(|known| known.client_id == member.client_id) {
            Some(known) => *known = member,
            None => members.push(member),
        }
    }

    fn has_room_for(&self, client_id: &str, max_members: usize) -> bool {
        let members = self.members.read().unwrap_or_else(PoisonError::into_inner);
        members.len() < max_members || members.iter().any(|known| *known.client_id == *client_id)
    }

    /// Says whether nobody is left, here or elsewhere.
    fn leave(&self, client_id: &str) -> bool {
        let mut members = self.members.write().unwrap_or_else(PoisonError::into_inner);
        members.retain(|member| *member.client_id != *client_id);
        drop(members);
        self.is_empty()
    }

    fn is_empty(&self) -> bool {
        let members = self.members.read().unwrap_or_else(PoisonError::into_inner);
        let nodes = self.nodes.read().unwrap_or_else(PoisonError::into_inner);
        members.is_empty() && nodes.is_empty()
    }

    fn set_members(&self, node: Node, members: Members) {
        let mut nodes = self.nodes.write().unwrap_or_else(PoisonError::into_inner);
        nodes.retain(|(known, _)| *known != node);
        if members.all > 0 {
            nodes.push((node, members));
        }
    }

    /// How many members it has on this node.
    fn here(&self) -> Members {
        let members = self.members.read().unwrap_or_else(PoisonError::into_inner);
        let online = members.iter().filter(|member| member.online.load(Ordering::Relaxed)).count();
        let count = |count| u32::try_from(count).unwrap_or(u32::MAX);
        Members { online: count(online), all: count(members.len()) }
    }

    /// Where the message whose turn it is goes: each member, wherever it is, gets as many as
    /// any other that is connected. `none_of` are nodes that have none after all.
    pub(crate) fn choose(&self, none_of: &[Node]) -> Option<Choice> {
        let nodes = self.nodes.read().unwrap_or_else(PoisonError::into_inner);
        let nodes = nodes.iter().filter(|(node, _)| !none_of.contains(node));
        let nodes: Vec<(Node, Members)> = nodes.copied().collect();
        if nodes.is_empty() {
            return self.choose_here().map(Choice::Member);
        }
        let here = self.here();
        let anybody_online = here.online > 0 || nodes.iter().any(|(_, there)| there.online > 0);
        let weight =
            |members: Members| (if anybody_online { members.online } else { members.all }) as usize;
        let all: usize = weight(here) + nodes.iter().map(|(_, it)| weight(*it)).sum::<usize>();
        let turn = self.next.fetch_add(1, Ordering::Relaxed).checked_rem(all)?;
        let Some(mut left) = turn.checked_sub(weight(here)) else {
            return self.member_at(turn, anybody_online).map(Choice::Member);
        };
        for (node, members) in nodes {
            match left.checked_sub(weight(members)) {
                Some(more) => left = more,
                None => return Some(Choice::Node(node)),
            }
        }
        None
    }

    /// One of the members here by its place, among those that are connected or among all.
    fn member_at(&self, at: usize, only_online: bool) -> Option<Member> {
        let members = self.members.read().unwrap_or_else(PoisonError::into_inner);
        let fits = |member: &&Member| !only_online || member.online.load(Ordering::Relaxed);
        members.iter().filter(fits).nth(at).or_else(|| members.first()).cloned()
    }

    /// The member here whose turn it is: the next that is connected, or the next at all where
    /// none is.
    pub(crate) fn choose_here(&self) -> Option<Member> {
        let members = self.members.read().unwrap_or_else(PoisonError::into_inner);
        let count = members.len();
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let in_turn = || (0..count).map(|step| &members[(turn.wrapping_add(step)) % count]);
        let online = in_turn().find(|member| member.online.load(Ordering::Relaxed));
        online.or_else(|| in_turn().next()).cloned()
    }
}

// === impl Elsewhere ===

impl Elsewhere {
    /// Whether nobody else is to have the messages.
    pub(crate) fn is_nowhere(&self) -> bool {
        self.shards.is_empty()
            && self.groups.is_empty()
            && self.taps.is_empty()
            && self.nodes.is_empty()
    }
}

// === impl ShardSet ===

impl ShardSet {
    pub(crate) fn insert(&mut self, shard: u8) {
        self.0 |= 1 << usize::from(shard).min(MAX_SHARDS - 1);
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The shards of the set among `count`, without `own`.
    pub(crate) fn iter(self, count: usize, own: u8) -> impl Iterator<Item = usize> {
        (0..count)
            .filter(move |shard| *shard != usize::from(own))
            .filter(move |shard| self.0 & (1 << (*shard).min(MAX_SHARDS - 1)) != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(client_id: &str, online: bool) -> Member {
        Member {
            shard: 0,
            client_id: client_id.into(),
            qos: QoS::AtMostOnce,
            retain_as_published: false,
            subscription_id: None,
            online: Arc::new(AtomicBool::new(online)),
        }
    }

    #[test]
    fn lifecycle_events_are_heard_while_a_filter_may_match_them() {
        let directory = Directory::default();
        for deaf in ["#", "+/events/#", "$aws/rules/#", "$aws", "$share/aws/events/x"] {
            directory.add_interest(deaf, 0);
        }
        assert!(!directory.hears_events());
        for filter in ["$aws/events/presence/+/c", "$aws/#", "$aws/+/presence/connected/c"] {
            directory.add_interest(filter, 0);
            directory.add_interest(filter, 0);
            directory.add_interest(filter, 1);
            directory.join("g", filter, member("c", true));
            directory.join("g", filter, member("d", true));
            let tap =
                directory.add_tap(filter, Reach::Here, Arc::new(|_: &Arc<crate::Message>| {}));
            for shard in [0, 0, 1] {
                assert!(directory.hears_events(), "{filter}");
                directory.remove_interest(filter, shard);
            }
            assert!(directory.hears_events(), "{filter}: the group and the tap are left");
            directory.leave("g", filter, "c");
            directory.leave("g", filter, "d");
            assert!(directory.hears_events(), "{filter}: the tap is left");
            directory.remove_tap(filter, tap);
            assert!(!directory.hears_events(), "{filter}");
        }
    }

    #[test]
    fn a_shard_hears_of_each_change_once_and_of_too_many_as_all() {
        let directory = Directory::default();
        let mut seen = 0;
        directory.add_interest("a/b", 1);
        directory.add_interest("a/b", 1);
        directory.add_interest("a/#", 0);
        let mut heard = Vec::new();
        directory.catch_up(&mut seen, |filter| heard.push(filter.map(str::to_owned)));
        assert_eq!(heard, [Some("a/b".to_owned()), Some("a/#".to_owned())]);
        directory.catch_up(&mut seen, |_| panic!("nothing has changed"));
        for n in 0..=MAX_CHANGES {
            directory.add_interest(&format!("t/{n}"), 1);
        }
        heard.clear();
        directory.catch_up(&mut seen, |filter| heard.push(filter.map(str::to_owned)));
        assert_eq!(heard, [None]);
        directory.catch_up(&mut seen, |_| panic!("nothing has changed"));
    }

    #[test]
    fn changes_take_no_more_memory_than_they_may_however_long_their_filters_are() {
        let directory = Directory::default();
        let mut seen = 0;
        for n in 0..100 {
            directory.add_interest(&format!("{}/{n}", "a".repeat(60_000)), 1);
        }
        let changes = directory.changes.lock().unwrap();
        assert!(changes.bytes <= MAX_CHANGE_BYTES && changes.recent.len() > 10);
        drop(changes);
        let mut heard = Vec::new();
        directory.catch_up(&mut seen, |filter| heard.push(filter.map(str::to_owned)));
        assert_eq!(heard, [None]);
    }

    #[test]
    fn only_other_shards_with_subscribers_are_elsewhere() {
        let directory = Directory::default();
        directory.add_interest("a/+", 0);
        directory.add_interest("a/b", 2);
        let at = |shard| {
            let found = directory.elsewhere("a/b", Parent::Matches, shard);
            found.shards.iter(4, shard).collect::<Vec<_>>()
        };
        assert_eq!(at(0), [2]);
        assert_eq!(at(1), [0, 2]);
        directory.remove_interest("a/b", 2);
        assert_eq!(at(1), [0]);
    }

    #[test]
    fn a_group_takes_turns_among_its_connected_members() {
        let directory = Directory::default();
        for (name, online) in [("a", true), ("b", false), ("c", true)] {
            directory.join("g", "t", member(name, online));
        }
        let group = &directory.elsewhere("t", Parent::Matches, 0).groups[0];
        let mut chosen: Vec<_> = (0..4).filter_map(|_| group.choose_here()).collect();
        chosen.sort_by(|a, b| a.client_id.cmp(&b.client_id));
        assert!(chosen.iter().all(|member| &*member.client_id != "b"));
        assert!(chosen.iter().any(|member| &*member.client_id == "a"));
        for name in ["a", "c"] {
            directory.leave("g", "t", name);
        }
        assert_eq!(&*group.choose_here().unwrap().client_id, "b");
        directory.leave("g", "t", "b");
        assert!(directory.elsewhere("t", Parent::Matches, 0).groups.is_empty());
    }
}
