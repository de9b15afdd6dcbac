//! Barriers: when a session has moved, its old node forgets it only once nothing can come for
//! it any more that others sent before they knew where it is.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, PoisonError};

use super::Node;
use super::frame::Frame;
use super::state::Mesh;
use crate::notice::Notice;
use crate::plane::shard_of;
use crate::promise::Promise;

/// Barriers that others have not passed.
#[derive(Debug, Default)]
pub(super) struct Barriers {
    open: HashMap<u64, (BTreeSet<Node>, Arc<Promise>)>,
    last: u64,
}

impl Mesh {
    /// The session of a client that went to a node is kept there: it ends here once whatever
    /// others had sent for it has come, and gone through all shards.
    pub(super) fn arrived(self: &Arc<Self>, at: Node, client_id: Arc<str>) {
        let shard = shard_of(&client_id, self.shards);
        self.once_all_has_come(move |mesh| {
            mesh.tell(shard, Notice::Arrived { client_id: Arc::clone(&client_id), at }, 0);
        });
    }

    /// Tells the node that a session went to that no more of what came for it here follows: once
    /// the turn is over, behind all that does.
    pub(crate) fn nothing_follows(self: &Arc<Self>, to: Node, client_id: &str) -> Arc<Promise> {
        let (mesh, client_id) = (Arc::clone(self), Arc::<str>::from(client_id));
        let told = move |_, _| {
            let frame = Frame::Followed { client_id: Arc::clone(&client_id) };
            mesh.links.send(to, frame.encode());
        };
        Promise::new(0, Arc::new(told))
    }

    /// Nothing more comes of what others had for a session that has come here.
    pub(super) fn followed(&self, client_id: Arc<str>) {
        let shard = shard_of(&client_id, self.shards);
        self.tell(shard, Notice::Followed { client_id }, 0);
    }

    /// The sessions of a node that died live here, and others know it: what is held for them
    /// is let go once whatever was on its way to that node has come.
    pub(super) fn end_adoption(self: &Arc<Self>, dead: Node) {
        self.once_all_has_come(move |mesh| {
            for shard in 0..mesh.shards {
                mesh.tell(shard, Notice::AdoptionEnded(dead), 0);
            }
        });
    }

    /// Acts once all that others have sent so far has come, and has gone through all shards:
    /// what they are at may be for other nodes' sessions that are here now, and is handed
    /// from one to another.
    fn once_all_has_come(self: &Arc<Self>, act: impl Fn(&Self) + Send + Sync + 'static) {
        let mesh = Arc::clone(self);
        let handed_on = Promise::new(0, Arc::new(move |_, _| act(&mesh)));
        let mesh = Arc::clone(self);
        let all_here = Promise::new(0, Arc::new(move |_, _| mesh.have_shards_pass(&handed_on)));
        let mesh = Arc::clone(self);
        // Each promise is held by the one before, until that has had the shards take it.
        let all_there = Promise::new(0, Arc::new(move |_, _| mesh.have_shards_pass(&all_here)));
        self.have_nodes_pass(all_there);
    }

    /// Holds a promise until all others have sent what they had for this node.
    pub(super) fn have_nodes_pass(&self, promise: Arc<Promise>) {
        let (living, _) = self.peers();
        let mut barriers = self.barriers();
        barriers.last += 1;
        let number = barriers.last;
        barriers.open.insert(number, (living.iter().copied().collect(), promise));
        for node in living {
            self.links.send(node, Frame::Barrier { number }.encode());
        }
        drop(barriers);
        self.end_passed(|_| {});
    }

    /// Has every shard end its turn before it lets go of a promise.
    fn have_shards_pass(&self, promise: &Arc<Promise>) {
        for shard in 0..self.shards {
            self.tell(shard, Notice::Passing(Arc::clone(promise)), 0);
        }
    }

    /// Another node asks for all that is on its way to it.
    pub(super) fn pass(self: &Arc<Self>, from: Node, number: u64) {
        let mesh = Arc::clone(self);
        let told = move |_, _| mesh.links.send(from, Frame::Passed { number }.encode());
        self.have_shards_pass(&Promise::new(0, Arc::new(told)));
    }

    /// Another node has sent all that was on its way here.
    pub(super) fn passed(&self, from: Node, number: u64) {
        self.end_passed(|open| {
            if let Some((nodes, _)) = open.get_mut(&number) {
                nodes.remove(&from);
            }
        });
    }

    /// Nothing comes from a node any more.
    pub(super) fn passed_all(&self, gone: Node) {
        self.end_passed(|open| {
            for (nodes, _) in open.values_mut() {
                nodes.remove(&gone);
            }
        });
    }

    fn end_passed(&self, change: impl FnOnce(&mut HashMap<u64, (BTreeSet<Node>, Arc<Promise>)>)) {
        let mut barriers = self.barriers();
        change(&mut barriers.open);
        let passed = barriers.open.extract_if(|_, (nodes, _)| nodes.is_empty());
        let passed: Vec<_> = passed.collect();
        drop(barriers);
        // Told without the lock: what follows may lead here again.
        drop(passed);
    }

    fn barriers(&self) -> std::sync::MutexGuard<'_, Barriers> {
        self.barriers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
