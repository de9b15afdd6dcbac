use super::*;
use crate::BootId;

const LEASE: Duration = Duration::from_secs(6);
const BEAT: Duration = Duration::from_secs(1);

/// The store and the nodes that use it, on a clock that is moved by hand.
struct World {
    now: Instant,
    revision: Revision,
    store: BTreeMap<NodeId, (Revision, Lease)>,
    nodes: BTreeMap<u16, Node>,
    /// NATS is away for everybody.
    away: bool,
}

struct Node {
    membership: Membership,
    done: Vec<Action>,
    /// Runs, and is not merely stopped.
    runs: bool,
    /// Reaches the store.
    reaches: bool,
    /// So many of its renewals, and of its claims, are done without its hearing of it.
    unanswered: (usize, usize),
}

impl World {
    fn new(nodes: &[u16]) -> Self {
        let now = Instant::now();
        let mut world =
            Self { now, revision: 0, store: BTreeMap::new(), nodes: BTreeMap::new(), away: false };
        for node in nodes {
            world.join(*node, u64::from(*node));
        }
        world
    }

    fn join(&mut self, node: u16, boot: u64) {
        let own = lease(node, boot);
        self.revision += 1;
        assert!(self.store.insert(NodeId(node), (self.revision, own.clone())).is_none());
        let mut membership = Membership::new(own, self.revision, self.now);
        let mut done = Vec::new();
        for (id, (revision, lease)) in &self.store {
            done.extend(membership.observed(*id, *revision, Some(lease.clone()), self.now));
        }
        let (runs, reaches, unanswered) = (true, true, (0, 0));
        self.nodes.insert(node, Node { membership, done, runs, reaches, unanswered });
        self.spread(NodeId(node));
    }

    /// Those that reach the store see how a record is.
    fn spread(&mut self, id: NodeId) {
        let found = self.store.get(&id).cloned();
        let revision = found.as_ref().map_or(self.revision, |(revision, _)| *revision);
        let lease = found.map(|(_, lease)| lease);
        for node in self.nodes.values_mut().filter(|node| node.runs && node.reaches) {
            let actions = node.membership.observed(id, revision, lease.clone(), self.now);
            node.done.extend(actions);
        }
    }

    fn write(&mut self, id: NodeId, expected: Revision, lease: Option<Lease>) -> Option<Revision> {
        if self.store.get(&id).map_or(0, |(revision, _)| *revision) != expected {
            return None;
        }
        self.revision += 1;
        match lease {
            Some(lease) => self.store.insert(id, (self.revision, lease)),
            None => self.store.remove(&id),
        };
        self.spread(id);
        Some(self.revision)
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.now += BEAT / 4;
            let turn: Vec<_> = self.nodes.iter().filter(|(_, n)| n.runs).map(|(k, _)| *k).collect();
            for node in turn {
                let now = self.now;
                let actions = self.nodes.get_mut(&node).unwrap().membership.tick(now);
                for action in actions {
                    self.act(node, action);
                }
            }
        }
    }

    fn act(&mut self, node: u16, action: Action) {
        let now = self.now;
        let reaches = self.nodes[&node].reaches && !self.away;
        let (renewals, claims) = self.nodes[&node].unanswered;
        let more = match action {
            Action::Renew(_) if !reaches => {
                self.member(node).renewal_failed(now);
                Vec::new()
            }
            Action::Claim(lease, _) if !reaches => {
                self.member(node).claim_failed(lease.peer.incarnation.node, now);
                Vec::new()
            }
            // It waits for that longer than a lease.
            Action::Renew(expected) if renewals > 0 => {
                self.node(node).unanswered.0 -= 1;
                let own = self.member(node).own().clone();
                self.write(NodeId(node), expected, Some(own));
                Vec::new()
            }
            Action::Claim(lease, expected) if claims > 0 => {
                self.node(node).unanswered.1 -= 1;
                let dead = lease.peer.incarnation.node;
                self.write(dead, expected, Some(lease));
                self.member(node).claim_failed(dead, now);
                Vec::new()
            }
            Action::Renew(expected) => {
                let own = self.member(node).own().clone();
                match self.write(NodeId(node), expected, Some(own)) {
                    Some(revision) => {
                        self.member(node).renewed(revision, now);
                        Vec::new()
                    }
                    None => self.member(node).renewal_refused(),
                }
            }
            Action::Look => {
                let found = self.store.get(&NodeId(node)).cloned();
                self.member(node).looked(found, now)
            }
            Action::Claim(lease, expected) => {
                let dead = lease.peer.incarnation.node;
                match self.write(dead, expected, Some(lease)) {
                    Some(revision) => self.member(node).claimed(dead, revision, now),
                    None => {
                        self.member(node).claim_failed(dead, now);
                        Vec::new()
                    }
                }
            }
            told => {
                self.nodes.get_mut(&node).unwrap().done.push(told);
                Vec::new()
            }
        };
        for action in more {
            self.act(node, action);
        }
    }

    fn member(&mut self, node: u16) -> &mut Membership {
        &mut self.nodes.get_mut(&node).unwrap().membership
    }

    fn node(&mut self, node: u16) -> &mut Node {
        self.nodes.get_mut(&node).unwrap()
    }

    fn count(&self, node: u16, is: impl Fn(&Action) -> bool) -> usize {
        self.nodes[&node].done.iter().filter(|action| is(action)).count()
    }

    fn recoveries(&self) -> Vec<(u16, Revision)> {
        let of = |(node, each): (&u16, &Node)| {
            let node = *node;
            let found = each.done.iter().filter_map(move |action| match action {
                Action::Recover(_, revision) => Some((node, *revision)),
                _ => None,
            });
            found.collect::<Vec<_>>()
        };
        self.nodes.iter().flat_map(of).collect()
    }
}

fn lease(node: u16, boot: u64) -> Lease {
    let incarnation = Incarnation { node: NodeId(node), boot: BootId(boot) };
    let (name, address) = (format!("n{node}"), String::new());
    let peer = Peer { incarnation, name, address, version: String::new() };
    Lease { peer, lease_ms: 6_000, dead_by: None }
}

fn is_dead(action: &Action) -> bool {
    matches!(action, Action::Dead(..))
}

#[test]
fn a_node_that_stops_is_declared_dead_by_one_and_told_to_all() {
    let mut world = World::new(&[1, 2, 3]);
    world.pass(LEASE * 2);
    assert!(world.recoveries().is_empty());
    world.node(2).runs = false;
    world.pass(LEASE - BEAT);
    assert!(world.recoveries().is_empty(), "before a lease is over, nothing is decided");
    world.pass(BEAT * 3);
    assert_eq!(world.recoveries().len(), 1);
    for survivor in [1, 3] {
        assert_eq!(world.count(survivor, is_dead), 1, "{survivor}");
        assert_eq!(world.member(survivor).peers().count(), 1);
    }
}

#[test]
fn a_node_that_was_declared_dead_and_is_not_finds_out_and_was_not_safe_meanwhile() {
    let mut world = World::new(&[1, 2]);
    world.pass(LEASE);
    world.node(2).reaches = false;
    let mut claimed_at = None;
    for _ in 0..60 {
        world.pass(BEAT / 4);
        if claimed_at.is_none() && !world.recoveries().is_empty() {
            claimed_at = Some(world.now);
            assert!(world.member(2).safe_until() < world.now);
        }
    }
    assert!(claimed_at.is_some());
    world.node(2).reaches = true;
    world.pass(BEAT * 2);
    assert_eq!(world.count(2, |action| *action == Action::Fenced), 1);
    world.pass(LEASE * 2);
    assert_eq!(world.recoveries().len(), 1, "who is fenced claims nobody");
}

#[test]
fn nobody_is_declared_dead_because_nats_was_away() {
    let mut world = World::new(&[1, 2, 3]);
    world.pass(LEASE);
    world.away = true;
    world.pass(LEASE * 10);
    assert!(world.member(1).safe_until() < world.now, "nobody vouches for anything meanwhile");
    world.away = false;
    world.pass(LEASE * 2);
    assert!(world.recoveries().is_empty());
    assert_eq!(world.count(1, |action| *action == Action::Fenced), 0);
    assert!(world.member(1).safe_until() > world.now);
}

#[test]
fn a_node_that_died_while_nats_was_away_is_found_a_lease_after_it_is_back() {
    let mut world = World::new(&[1, 2]);
    world.pass(LEASE);
    world.away = true;
    world.node(2).runs = false;
    world.pass(LEASE * 3);
    world.away = false;
    world.pass(LEASE - BEAT);
    assert!(world.recoveries().is_empty());
    world.pass(BEAT * 3);
    assert_eq!(world.recoveries().len(), 1);
}

#[test]
fn whoever_was_stopped_itself_gives_the_others_a_whole_lease() {
    let mut world = World::new(&[1, 2]);
    world.pass(LEASE);
    world.node(1).runs = false;
    // Node 2 is alone and declares 1 dead; what 1 thinks of 2 then must not be older.
    world.node(2).reaches = false;
    world.pass(LEASE * 2);
    world.node(1).runs = true;
    world.node(2).reaches = true;
    world.pass(BEAT * 2);
    assert!(world.recoveries().iter().all(|(by, _)| *by != 1));
}

#[test]
fn where_the_claimant_dies_too_another_goes_on_with_both() {
    let mut world = World::new(&[1, 2, 3]);
    world.pass(LEASE);
    world.node(3).runs = false;
    world.pass(LEASE + BEAT * 2);
    let [(claimant, _)] = world.recoveries()[..] else { panic!("{:?}", world.recoveries()) };
    world.node(claimant).runs = false;
    world.pass(LEASE + BEAT * 3);
    let last = if claimant == 1 { 2 } else { 1 };
    let of_last = world.recoveries().into_iter().filter(|(by, _)| *by == last).count();
    assert_eq!(of_last, 2, "its own and the one it had taken over");
}

#[test]
fn a_restarted_node_that_is_alone_does_what_its_former_self_left() {
    let mut world = World::new(&[1]);
    world.pass(LEASE);
    world.node(1).runs = false;
    world.join(2, 22);
    world.pass(LEASE + BEAT * 2);
    assert_eq!(world.recoveries().len(), 1);
    let (_, revision) = world.recoveries()[0];
    assert!(world.write(NodeId(1), revision, None).is_some());
    assert_eq!(world.count(2, |action| matches!(action, Action::Recovered(_))), 1);
}

#[test]
fn a_node_that_leaves_is_not_dead() {
    let mut world = World::new(&[1, 2]);
    world.pass(LEASE);
    let revision = world.member(2).leave();
    assert!(world.write(NodeId(2), revision, None).is_some());
    world.pass(LEASE * 2);
    assert_eq!(world.count(1, |action| matches!(action, Action::Left(_))), 1);
    assert_eq!(world.count(1, is_dead), 0);
}

#[test]
fn a_node_that_resigns_is_declared_dead_by_one_at_once() {
    let mut world = World::new(&[1, 2, 3]);
    world.pass(LEASE);
    let (revision, last) = world.member(2).resign();
    assert!(world.write(NodeId(2), revision, Some(last)).is_some());
    world.pass(BEAT);
    assert_eq!(world.recoveries().len(), 1);
    assert_eq!([1, 3].map(|node| world.count(node, is_dead)), [1, 1]);
}

#[test]
fn a_writing_that_came_late_is_no_fence() {
    let mut world = World::new(&[1, 2]);
    world.pass(BEAT);
    let now = world.now;
    // The writing is taken for lost, and arrives.
    let own = world.member(1).own().clone();
    let expected = world.store[&NodeId(1)].0;
    world.write(NodeId(1), expected, Some(own)).unwrap();
    world.member(1).renewal_failed(now);
    world.pass(LEASE * 2);
    assert_eq!(world.count(1, |action| *action == Action::Fenced), 0);
    assert!(world.member(1).safe_until() > world.now);
}

#[test]
fn a_renewal_that_is_done_and_not_answered_costs_no_lease() {
    let mut world = World::new(&[1, 2]);
    world.pass(LEASE);
    world.node(1).unanswered = (1, 0);
    for _ in 0..20 {
        world.pass(BEAT);
        assert!(world.member(1).safe_until() > world.now);
    }
    assert_eq!(world.node(1).unanswered, (0, 0));
    assert!(world.recoveries().is_empty());
}

#[test]
fn an_answer_to_a_renewal_that_comes_after_that_to_a_later_one_changes_nothing() {
    let mut world = World::new(&[1]);
    world.pass(LEASE);
    let (sent, expected) = (world.now, world.store[&NodeId(1)].0);
    let own = world.member(1).own().clone();
    let first = world.write(NodeId(1), expected, Some(own.clone())).unwrap();
    let second = world.write(NodeId(1), first, Some(own)).unwrap();
    world.member(1).renewed(second, sent + BEAT);
    let safe_until = world.member(1).safe_until();
    world.member(1).renewed(first, sent);
    assert_eq!(world.member(1).safe_until(), safe_until);
    world.pass(LEASE * 2);
    assert_eq!(world.count(1, |action| *action == Action::Fenced), 0);
}

#[test]
fn a_node_whose_claim_is_done_and_not_answered_is_recovered_once_it_is_seen() {
    let mut world = World::new(&[1, 2, 3]);
    world.pass(LEASE);
    world.node(3).runs = false;
    world.pass(LEASE);
    for node in [1, 2] {
        world.node(node).unanswered = (0, 1);
    }
    world.pass(LEASE);
    assert_eq!(world.recoveries().len(), 1);
    assert_eq!(world.count(1, is_dead) + world.count(2, is_dead), 2);
}

#[test]
fn a_claim_that_is_answered_before_it_is_seen_is_recovered_once() {
    let mut world = World::new(&[1, 2]);
    world.pass(LEASE);
    let now = world.now;
    let mut claimed = world.store[&NodeId(2)].clone();
    claimed.0 = world.revision + 1;
    claimed.1.dead_by = Some(world.member(1).own().peer.incarnation);
    let answered = world.member(1).claimed(NodeId(2), claimed.0, now);
    assert!(answered.iter().any(|action| matches!(action, Action::Recover(..))));
    let seen = world.member(1).observed(NodeId(2), claimed.0, Some(claimed.1), now);
    assert_eq!(seen, []);
}

#[test]
fn a_node_that_is_about_to_leave_claims_nobody_and_leaves_what_it_has_claimed_to_others() {
    let mut world = World::new(&[1, 2, 3]);
    world.pass(LEASE);
    world.member(1).retire();
    world.node(3).runs = false;
    world.pass(LEASE * 2);
    let [(2, _)] = world.recoveries()[..] else { panic!("{:?}", world.recoveries()) };
    world.join(4, 4);
    world.member(2).retire();
    // It has not done what it has claimed, and leaves in order.
    let revision = world.member(2).leave();
    assert!(world.write(NodeId(2), revision, None).is_some());
    world.pass(LEASE * 2);
    let of_last = world.recoveries().into_iter().filter(|(by, _)| *by == 4).count();
    assert_eq!(of_last, 1);
}
