//! What goes to other nodes of a cluster, and what comes from them.

use std::sync::Arc;
use std::time::Duration;

use fanwire_wire::mqtt::QoS;

use super::deliver::Publication;
use super::keep::Patience;
use super::{Broker, Key};
use crate::Message;
use crate::directory::{Choice, Elsewhere, Group};
use crate::durable::Transit;
use crate::mesh::{Incoming, Item, Node, Sent, Settling, Target};
use crate::notice::{Chosen, Part};
use crate::promise::Promise;
use crate::tap::Reach;

/// How long a message waits for other nodes to keep it. A node that dies is known to have
/// within some seconds, and its sessions live on elsewhere some more after that. Beyond, the
/// publisher's connection ends without an acknowledgement: it sends the message again.
const PUBLISH_PATIENCE: Duration = Duration::from_secs(20);

/// How long a subscription waits for other nodes to know of it. Beyond, it is acknowledged all
/// the same: what a node that is out of reach publishes cannot come anyway.
const SUBSCRIBE_PATIENCE: Duration = Duration::from_secs(2);

impl Broker {
    /// Sends a message to the nodes that listen to its topic.
    pub(super) fn send_to_nodes(&mut self, nodes: &[Node], message: &Arc<Message>) {
        if message.qos == QoS::AtMostOnce {
            self.output.outgoing.casts.push((Arc::clone(message), nodes.to_vec()));
            return;
        }
        let Some(message) = self.named(message) else { return };
        let promise = self.far_promise();
        for node in nodes {
            let item = Item { message: Arc::clone(&message), target: Target::Subscribers };
            let sent = Sent { item, promise: promise.clone(), none_of: Vec::new() };
            self.output.outgoing.sent.push((*node, sent));
        }
    }

    /// Sends a message for a shared subscription to a node that has members of it.
    pub(super) fn send_to_group(
        &mut self,
        group: &Group,
        node: Node,
        message: &Arc<Message>,
        none_of: Vec<Node>,
    ) {
        let promise = self.far_promise();
        self.send_to_group_for(group, node, message, none_of, promise);
    }

    fn send_to_group_for(
        &mut self,
        group: &Group,
        node: Node,
        message: &Arc<Message>,
        none_of: Vec<Node>,
        promise: Option<Arc<Promise>>,
    ) {
        let Some(message) = self.named(message) else { return };
        let (name, filter) = (group.name.clone(), group.filter.clone());
        let target = Target::Member { group: name, filter, firmly: !none_of.is_empty() };
        let item = Item { message, target };
        self.output.outgoing.sent.push((node, Sent { item, promise, none_of }));
    }

    /// A message under a name that all nodes know it by.
    pub(super) fn named(&self, message: &Arc<Message>) -> Option<Arc<Message>> {
        if message.origin.is_some() {
            return Some(Arc::clone(message));
        }
        let origin = Some(self.mesh.as_ref()?.name());
        Some(Arc::new(Message { origin, ..Message::clone(message) }))
    }

    /// The promise that other nodes have a part in, of what is being acted on: one for all that
    /// a client publishes in a turn.
    pub(super) fn far_promise(&mut self) -> Option<Arc<Promise>> {
        let until = self.now + PUBLISH_PATIENCE;
        let publishing = self.publishing;
        let far = self.keep.as_mut()?;
        if let (Some(key), Some((known, ticket, promise))) = (publishing, &far.far.shared)
            && key == *known
        {
            far.far.current = Some(*ticket);
            return Some(Arc::clone(promise));
        }
        if let Some(ticket) = far.far.current
            && let Some((_, known, promise)) = &far.far.shared
            && ticket == *known
        {
            return Some(Arc::clone(promise));
        }
        let (ticket, promise) = far.far_promise(until, Patience::Breaks);
        far.far.current = Some(ticket);
        far.far.shared = Some((publishing.unwrap_or(Key::MAX), ticket, Arc::clone(&promise)));
        Some(promise)
    }

    /// Has the answer to a subscription wait until other nodes know of it.
    pub(super) fn wait_until_known(&mut self) {
        let (Some(mesh), Some(keep)) = (&self.mesh, &mut self.keep) else { return };
        if mesh.is_known() {
            return;
        }
        let until = self.now + SUBSCRIBE_PATIENCE;
        let (ticket, promise) = keep.far_promise(until, Patience::Yields);
        keep.far.current = Some(ticket);
        mesh.once_known(promise);
    }

    /// Tells other nodes what the turn leads to there. After all that the turn has to keep is
    /// on its way to be kept.
    pub(crate) fn tell_other_nodes(&mut self) {
        if let Some(mesh) = &self.mesh {
            mesh.turn_ended(&mut self.output.outgoing);
        }
    }

    /// What other nodes have to do with a turn is settled with it.
    pub(super) fn end_far(&mut self) {
        if let Some(keep) = &mut self.keep
            && self.mesh.is_some()
        {
            keep.far.current = None;
            keep.far.shared = None;
        }
    }

    /// Takes in messages of another node. They go no further than to this one's sessions and
    /// to whoever in this process wants all.
    pub(super) fn take_in(&mut self, incoming: Incoming) {
        let Incoming { items, settling, .. } = incoming;
        let promise = settling.as_ref().map(|settling| &settling.promise);
        self.take_part(Part {
            promises: promise.cloned().into_iter().collect(),
            ..Part::default()
        });
        for (place, Item { message, target }) in items {
            match target {
                Target::Subscribers => self.take_in_message(&message, promise),
                Target::Member { group, filter, firmly } => {
                    let taken = self.take_in_for_member(&group, &filter, &message, firmly, promise);
                    if let (false, Some(settling)) = (taken, &settling) {
                        Settling::hand_back(settling, place);
                    }
                }
                Target::Adopted(_) => self.take_in_for_adopted(&message, promise),
                Target::Session { client_id, entry } => {
                    self.take_in_for_session(&client_id, &message, &entry);
                }
            }
        }
    }

    fn take_in_message(&mut self, message: &Arc<Message>, promise: Option<&Arc<Promise>>) {
        let (_, route) = self.route(&message.topic);
        self.distribute_here(&route, &mut Publication::of(message));
        let Elsewhere { taps, shards, .. } = &route.elsewhere;
        for (_, tap) in taps.iter().filter(|(reach, _)| *reach == Reach::Everywhere) {
            tap.deliver(message);
        }
        for shard in shards.iter(self.shards, self.shard) {
            self.output.forward(shard, message, promise, None::<Transit>);
        }
    }

    /// Takes in what was on its way to a node that died: it is for the sessions of that node,
    /// which live here now. Who lived here before has had it.
    fn take_in_for_adopted(&mut self, message: &Arc<Message>, promise: Option<&Arc<Promise>>) {
        self.deliver_to_adopted(message);
        let (_, route) = self.route(&message.topic);
        for shard in route.elsewhere.shards.iter(self.shards, self.shard) {
            self.output.forward_to_adopted(shard, message, promise);
        }
    }

    /// Gives a message to the sessions of this shard that have come from a node that died.
    pub(super) fn deliver_to_adopted(&mut self, message: &Arc<Message>) {
        self.flush_burst();
        let (_, route) = self.route(&message.topic);
        for target in &route.targets {
            let session = self.sessions.get(target.key as usize);
            let arriving = session.and_then(|session| session.arriving.as_ref());
            if arriving.is_some_and(|arriving| arriving.adopted.is_some()) {
                let publication = Publication { was_waited_for: true, ..Publication::of(message) };
                self.deliver_to_target(target, &mut { publication });
            }
        }
    }

    /// Gives a message to a member of a shared subscription on this node. Says whether there is
    /// one: that is connected, unless anybody will do.
    fn take_in_for_member(
        &mut self,
        group: &str,
        filter: &str,
        message: &Arc<Message>,
        firmly: bool,
        promise: Option<&Arc<Promise>>,
    ) -> bool {
        let group = self.directory.find_group(group, filter);
        let Some(group) = group else { return false };
        let member = group.choose_here();
        let online = |online: &std::sync::atomic::AtomicBool| {
            online.load(std::sync::atomic::Ordering::Relaxed)
        };
        let Some(member) = member.filter(|member| firmly || online(&member.online)) else {
            return false;
        };
        self.deliver_to_member(&group, member, message, false, promise);
        true
    }

    /// The session that was chosen for a shared subscription's message is gone: it has ended,
    /// or lives on another node.
    pub(super) fn choose_another(&mut self, chosen: &Chosen) {
        let Chosen { group, message, .. } = chosen;
        let (name, filter) = (group.name.clone(), group.filter.clone());
        let target = Target::Member { group: name, filter, firmly: false };
        let item = Item { message: Arc::clone(message), target };
        let promise = self.joint_promise();
        self.choose_again(Sent { item, promise, none_of: Vec::new() });
    }

    /// The node that a shared subscription's message was sent to had nobody for it.
    pub(super) fn choose_again(&mut self, sent: Sent) {
        let Sent { item: Item { message, target }, promise, none_of } = sent;
        let Target::Member { group, filter, .. } = target else { return };
        let Some(group) = self.directory.find_group(&group, &filter) else { return };
        // Nodes whose members were all away are asked again where nobody is left who is not.
        let choice = group.choose(&none_of).or_else(|| group.choose(&[]));
        match choice {
            Some(Choice::Member(member)) => {
                self.deliver_to_member(&group, member, &message, false, promise.as_ref());
            }
            Some(Choice::Node(node)) => {
                self.send_to_group_for(&group, node, &message, none_of, promise);
            }
            None => {}
        }
    }

    /// What was sent to a node that died is for its sessions, which live here now.
    pub(super) fn take_over_from_dead(&mut self, sent: Sent) {
        let Sent { item: Item { message, target }, promise, none_of } = sent;
        match target {
            Target::Member { .. } => {
                let item = Item { message, target };
                self.choose_again(Sent { item, promise, none_of });
            }
            Target::Session { client_id, entry } => {
                let promises = promise.into_iter().collect();
                self.take_part(Part { promises, ..Part::default() });
                self.take_in_for_session(&client_id, &message, &entry);
            }
            _ => {
                let promises = promise.clone().into_iter().collect();
                self.take_part(Part { promises, ..Part::default() });
                self.take_in_for_adopted(&message, promise.as_ref());
            }
        }
    }
}
