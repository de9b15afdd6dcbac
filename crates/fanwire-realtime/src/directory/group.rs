//! The members of a shared subscription, here and on other nodes, and which of them a message
//! goes to.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use fanwire_wire::mqtt::QoS;

use crate::mesh::Node;

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

// === impl Group ===

impl Group {
    pub(super) fn new(name: &str, filter: &str) -> Self {
        Self {
            name: name.into(),
            filter: filter.into(),
            members: RwLock::default(),
            nodes: RwLock::default(),
            next: AtomicUsize::new(0),
        }
    }

    pub(super) fn join(&self, member: Member) {
        let mut members = self.members.write().unwrap_or_else(PoisonError::into_inner);
        match members.iter_mut().find(|known| known.client_id == member.client_id) {
            Some(known) => *known = member,
            None => members.push(member),
        }
    }

    pub(super) fn has_room_for(&self, client_id: &str, max_members: usize) -> bool {
        let members = self.members.read().unwrap_or_else(PoisonError::into_inner);
        members.len() < max_members || members.iter().any(|known| *known.client_id == *client_id)
    }

    /// Says whether nobody is left, here or elsewhere.
    pub(super) fn leave(&self, client_id: &str) -> bool {
        let mut members = self.members.write().unwrap_or_else(PoisonError::into_inner);
        members.retain(|member| *member.client_id != *client_id);
        drop(members);
        self.is_empty()
    }

    pub(super) fn is_empty(&self) -> bool {
        let members = self.members.read().unwrap_or_else(PoisonError::into_inner);
        let nodes = self.nodes.read().unwrap_or_else(PoisonError::into_inner);
        members.is_empty() && nodes.is_empty()
    }

    pub(super) fn set_members(&self, node: Node, members: Members) {
        let mut nodes = self.nodes.write().unwrap_or_else(PoisonError::into_inner);
        nodes.retain(|(known, _)| *known != node);
        if members.all > 0 {
            nodes.push((node, members));
        }
    }

    /// How many members it has on this node.
    pub(super) fn here(&self) -> Members {
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

    /// The member here whose turn it is. The turns of those that are away are shared out among
    /// those that are connected, if any is.
    pub(crate) fn choose_here(&self) -> Option<Member> {
        let members = self.members.read().unwrap_or_else(PoisonError::into_inner);
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let at = turn.checked_rem(members.len())?;
        let is_online = |member: &&Member| member.online.load(Ordering::Relaxed);
        if is_online(&&members[at]) {
            return Some(members[at].clone());
        }
        let online = members.iter().filter(is_online).count();
        let away_before = members[..at].iter().filter(|member| !is_online(member)).count();
        let away = members.len() - online;
        let of_away = (turn / members.len()).wrapping_mul(away).wrapping_add(away_before);
        let chosen = of_away.checked_rem(online);
        let chosen = chosen.and_then(|nth| members.iter().filter(is_online).nth(nth));
        Some(chosen.unwrap_or(&members[at]).clone())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn group(members: &[(&str, bool)]) -> Group {
        let group = Group::new("g", "t");
        for (client_id, online) in members {
            group.join(Member {
                shard: 0,
                client_id: (*client_id).into(),
                qos: QoS::AtMostOnce,
                retain_as_published: false,
                subscription_id: None,
                online: Arc::new(AtomicBool::new(*online)),
            });
        }
        group
    }

    #[test]
    fn a_group_takes_turns_among_its_connected_members() {
        let group = group(&[("a", true), ("b", false), ("c", true)]);
        let mut chosen: Vec<_> = (0..4).filter_map(|_| group.choose_here()).collect();
        chosen.sort_by(|a, b| a.client_id.cmp(&b.client_id));
        assert!(chosen.iter().all(|member| &*member.client_id != "b"));
        assert!(chosen.iter().any(|member| &*member.client_id == "a"));
        assert!(!group.leave("a"));
        assert!(!group.leave("c"));
        assert_eq!(&*group.choose_here().unwrap().client_id, "b");
        assert!(group.leave("b"), "nobody is left");
        assert!(group.choose_here().is_none());
    }

    #[test]
    fn members_that_are_connected_get_as_many_each_whoever_is_away_between_them() {
        for members in [
            &[("a", true), ("b", false), ("c", false), ("d", true)][..],
            &[("a", false), ("b", true), ("c", true), ("d", true), ("e", false)],
        ] {
            let group = group(members);
            let online = members.iter().filter(|(_, online)| *online);
            let mut got: BTreeMap<&str, usize> = online.map(|(id, _)| (*id, 0)).collect();
            for _ in 0..60 {
                *got.get_mut(&*group.choose_here().unwrap().client_id).unwrap() += 1;
            }
            assert!(got.values().all(|count| *count == 60 / got.len()), "{got:?}");
        }
    }

    #[test]
    fn each_member_gets_as_many_wherever_it_is() {
        let group = group(&[("a", true), ("away", false)]);
        let (two, none) = (Node { id: 2, boot: 1 }, Node { id: 3, boot: 1 });
        group.set_members(two, Members { online: 2, all: 2 });
        group.set_members(none, Members { online: 0, all: 5 });
        let there = (0..30).filter(|_| match group.choose(&[]) {
            Some(Choice::Node(node)) => {
                assert_eq!(node, two, "one whose members are away has none that is connected");
                true
            }
            Some(Choice::Member(member)) => {
                assert_eq!(&*member.client_id, "a");
                false
            }
            None => panic!("there are members"),
        });
        assert_eq!(there.count(), 20);
        assert!(matches!(group.choose(&[two]), Some(Choice::Member(_))));
        group.set_members(two, Members::default());
        group.set_members(none, Members::default());
        assert!(!group.is_empty());
        group.leave("a");
        assert!(group.leave("away"));
    }
}
