//! What the shards have to know of each other: which of them has subscribers for a topic,
//! the groups of shared subscriptions, and the subscribers in this process.
//!
//! It is read when a shard works out where the messages of a topic go, which it then keeps
//! (`broker::route`). Each change is put on a list; a shard looks at its end once a turn
//! and forgets what the change makes wrong, so that publishing takes no lock. `group` has the
//! members of shared subscriptions, and whose turn it is.

mod group;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

pub(crate) use self::group::{Choice, Group, Member, Members};
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

#[derive(Default)]
struct Tables {
    interests: TopicIndex<Interest>,
    groups: TopicIndex<Vec<Arc<Group>>>,
    group_count: usize,
    taps: TopicIndex<Vec<NamedTap>>,
    /// The other nodes that listen to a filter.
    nodes: TopicIndex<Vec<Node>>,
}

/// A subscriber in this process, and whose messages it hears.
type NamedTap = (TapId, Reach, Arc<dyn Tap>);

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
            let before = tables.group_count;
            // Under the lock: whoever finds it empty takes it away.
            self.group(&mut tables, group, filter).set_members(node, members);
            // Ways lead to the group itself, whoever is in it.
            if tables.group_count == before {
                return;
            }
            drop(tables);
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
            if gone == 0 {
                return;
            }
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
        // Under the lock: whoever finds it empty takes it away.
        self.group(&mut tables, group, filter).join(member);
        drop(tables);
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
