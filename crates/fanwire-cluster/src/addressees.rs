//! Subjects that name the nodes which a publication is for, so that NATS takes one message to
//! all of them.
//!
//! Behind what all these subjects begin with they have [`SLOTS`] tokens. A node's token has
//! its place by its number, and is that number where the node is meant. Each node listens to
//! the subjects that have its number in its place, by one subscription: so it hears what is
//! for it, once and in order, whichever nodes are meant besides, and nothing else. Of nodes
//! whose places are the same one is named at a time: then it takes another message.

use crate::NodeId;

/// Tokens that nodes have places in. NATS matches subjects of up to 32 tokens without asking for
/// memory; three come before.
const SLOTS: usize = 28;

/// What is in a place of which no node is meant.
const NOBODY: &str = "-";

/// What comes together: at most one node in each place.
type Places = [Option<NodeId>; SLOTS];

/// The ends of the subjects that together are for each of these nodes, once. One for up to
/// [`SLOTS`] nodes, unless places are the same.
pub(crate) fn subjects_of(nodes: &[NodeId]) -> impl Iterator<Item = String> + use<> {
    let mut messages: Vec<Places> = Vec::new();
    for node in nodes {
        let place = place_of(*node);
        let free = messages.iter_mut().find_map(|places| {
            let there = &mut places[place];
            (there.is_none() || *there == Some(*node)).then_some(there)
        });
        match free {
            Some(there) => *there = Some(*node),
            None => {
                let mut places = [None; SLOTS];
                places[place] = Some(*node);
                messages.push(places);
            }
        }
    }
    messages.into_iter().map(|places| {
        let tokens = places.iter().map(|place| match place {
            Some(node) => node.to_string(),
            None => NOBODY.to_owned(),
        });
        tokens.collect::<Vec<_>>().join(".")
    })
}

/// The end of what a node listens to.
pub(crate) fn filter_of(node: NodeId) -> String {
    let own = place_of(node);
    let tokens = (0..SLOTS).map(|place| if place == own { node.to_string() } else { "*".into() });
    tokens.collect::<Vec<_>>().join(".")
}

fn place_of(node: NodeId) -> usize {
    usize::from(node.0) % SLOTS
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// As NATS matches.
    fn hears(node: NodeId, subject: &str) -> bool {
        let filter = filter_of(node);
        let (filter, subject) = (filter.split('.'), subject.split('.'));
        assert_eq!(filter.clone().count(), subject.clone().count());
        filter.zip(subject).all(|(filter, token)| filter == "*" || filter == token)
    }

    fn subjects(nodes: &[u16]) -> Vec<String> {
        subjects_of(&nodes.iter().map(|node| NodeId(*node)).collect::<Vec<_>>()).collect()
    }

    #[test]
    fn nodes_in_places_of_their_own_take_one_message_and_those_in_one_place_one_each() {
        assert_eq!(subjects(&[]), Vec::<String>::new());
        let all: Vec<u16> = (1..=28).collect();
        assert_eq!(subjects(&all).len(), 1);
        assert_eq!(subjects(&[1, 29, 57, 2, 30]).len(), 3);
        assert_eq!(subjects(&[7, 7]).len(), 1);
    }

    proptest! {
        #[test]
        fn each_node_that_is_meant_hears_it_once_and_no_other_does(
            nodes in proptest::collection::btree_set(1u16..200, 0..60),
            numbers in proptest::collection::btree_set(any::<u16>(), 0..20),
        ) {
            let nodes: BTreeSet<u16> = nodes.union(&numbers).copied().collect();
            let subjects = subjects(&nodes.iter().copied().collect::<Vec<_>>());
            for node in (0..200).chain(numbers) {
                let heard = subjects.iter().filter(|subject| hears(NodeId(node), subject)).count();
                prop_assert_eq!(heard, usize::from(nodes.contains(&node)), "node {}", node);
            }
        }
    }
}
