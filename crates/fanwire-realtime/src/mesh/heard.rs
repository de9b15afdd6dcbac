//! What nodes listen to: this one, as the others are told of it, and the others, as it is told.

use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use super::Node;
use super::frame::{Frame, Interest};
use super::state::Mesh;
use crate::directory::{Members, Outward};
use crate::promise::Promise;

/// What a node has said that it listens to.
#[derive(Debug, Default)]
pub(super) struct Heard {
    filters: HashSet<Box<str>>,
    groups: HashSet<(Box<str>, Box<str>)>,
}

impl Mesh {
    /// Whether all others know what this node listens to.
    pub(crate) fn is_known(&self) -> bool {
        let state = self.state();
        state.own.is_told() && state.living().all(|peer| state.has_taken(peer, state.own.version))
    }

    /// Keeps a promise once all others know what this node listens to now.
    pub(crate) fn once_known(&self, promise: Arc<Promise>) {
        let mut state = self.state();
        let version = state.own.version + u64::from(!state.own.is_told());
        state.waiting.push((version, promise));
        drop(state);
        self.let_go();
    }

    /// Tells the others what has changed of what this node listens to.
    pub(crate) fn flush(&self) {
        let mut state = self.state();
        self.untold.store(false, Ordering::Release);
        if state.own.is_told() {
            return;
        }
        let frame = Frame::Interest(state.own.tell()).encode();
        for peer in state.living() {
            self.links.send(peer, frame.clone());
        }
        drop(state);
        self.let_go();
    }

    /// Takes in what another node listens to.
    pub(super) fn hear(&self, from: Node, interest: Interest) {
        let version = interest.version;
        let mut all = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let heard = all.entry(from).or_default();
        let mut less = interest.less;
        if interest.whole {
            let now: HashSet<&Box<str>> = interest.more.iter().collect();
            less = heard.filters.iter().filter(|known| !now.contains(known)).cloned().collect();
            let now: HashSet<_> =
                interest.groups.iter().map(|(group, filter, _)| (group, filter)).collect();
            let gone =
                heard.groups.iter().filter(|(group, filter)| !now.contains(&(group, filter)));
            let gone: Vec<_> = gone.cloned().collect();
            for (group, filter) in gone {
                self.directory.set_members(&group, &filter, from, Members::default());
                heard.groups.remove(&(group, filter));
            }
        }
        for filter in less {
            if heard.filters.remove(&filter) {
                self.directory.remove_node(&filter, from);
            }
        }
        for filter in interest.more {
            self.directory.add_node(&filter, from);
            heard.filters.insert(filter);
        }
        for (group, filter, members) in interest.groups {
            self.directory.set_members(&group, &filter, from, members);
            match members.all {
                0 => heard.groups.remove(&(group, filter)),
                _ => heard.groups.insert((group, filter)),
            };
        }
        drop(all);
        self.meeting.go_on(Some(from));
        self.links.send(from, Frame::Taken { version }.encode());
    }

    /// Forgets what a node listened to.
    pub(super) fn forget(&self, node: Node) {
        let mut all = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(heard) = all.remove(&node) else { return };
        for filter in &heard.filters {
            self.directory.remove_node(filter, node);
        }
        for (group, filter) in &heard.groups {
            self.directory.set_members(group, filter, node, Members::default());
        }
    }

    pub(super) fn taken(&self, from: Node, version: u64) {
        if let Some(peer) = self.state().peers.get_mut(&from) {
            peer.taken = peer.taken.max(version);
        }
        self.let_go();
    }

    /// Lets go of the promises that wait for nobody any more.
    pub(super) fn let_go(&self) {
        let mut state = self.state();
        let taken = state.taken_by_all();
        let waiting = std::mem::take(&mut state.waiting);
        let (done, waiting) = waiting.into_iter().partition(|(version, _)| *version <= taken);
        state.waiting = waiting;
        drop(state);
        // Told without the lock: a shard may be told at once.
        drop::<Vec<_>>(done);
    }
}

impl Outward for Mesh {
    fn interested(&self, filter: &str, more: bool) {
        self.state().own.interested(filter, more);
        self.untold.store(true, Ordering::Release);
    }

    fn grouped(&self, group: &str, filter: &str, members: Members) {
        self.state().own.grouped(group, filter, members);
        self.untold.store(true, Ordering::Release);
    }
}
