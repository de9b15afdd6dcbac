//! What connections can be addressed by besides their ids: tags that a backend has given
//! them, and topics of the realtime endpoint that they are subscribed to. AWS has neither.
//!
//! A shard knows the groups of its own connections, so that a message to a group is one
//! notice a shard and nothing is locked.

use std::collections::HashMap;
use std::sync::Arc;

use fanwire_hub::ConnectionId;
use fanwire_wire::mqtt::topic;
use indexmap::IndexSet;

use crate::peer::ApiIndex;

/// The longest name of a group, in bytes: that of a topic filter on IoT Core.
const MAX_NAME_BYTES: usize = 256;

/// Groups that one connection may be in.
const MAX_GROUPS: usize = 100;

/// A set of connections of one API.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Group {
    /// Those that a backend has given this tag.
    Tag(Arc<str>),
    /// Those that are subscribed to this topic filter.
    Topic(Arc<str>),
}

/// Why a connection is not put into a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GroupError {
    /// The name cannot be one of that kind.
    #[error("{0}")]
    Name(&'static str),
    /// The connection is in too many already.
    #[error("a connection can have {MAX_GROUPS} tags and topics")]
    TooMany,
}

/// The groups of a shard's connections.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    members: HashMap<(ApiIndex, Group), IndexSet<ConnectionId>>,
    of: HashMap<ConnectionId, Membership>,
}

#[derive(Debug)]
struct Membership {
    api: ApiIndex,
    groups: Vec<Group>,
}

// === impl Group ===

impl Group {
    /// The group of a tag: any text that is not empty and not too long.
    ///
    /// # Errors
    ///
    /// [`GroupError::Name`].
    pub fn tag(name: &str) -> Result<Self, GroupError> {
        if name.is_empty() || name.len() > MAX_NAME_BYTES {
            return Err(GroupError::Name("a tag has 1 to 256 bytes"));
        }
        Ok(Self::Tag(name.into()))
    }

    /// The group of a topic filter.
    ///
    /// # Errors
    ///
    /// [`GroupError::Name`].
    pub fn topic(filter: &str) -> Result<Self, GroupError> {
        topic::check_filter(filter).map_err(|error| GroupError::Name(error.what()))?;
        if filter.len() > MAX_NAME_BYTES {
            return Err(GroupError::Name("a topic filter of more than 256 bytes"));
        }
        if filter.starts_with("$share/") {
            return Err(GroupError::Name(
                "a shared subscription, which connections have no part in",
            ));
        }
        Ok(Self::Topic(filter.into()))
    }

    /// The tag or the topic filter.
    pub fn name(&self) -> &str {
        match self {
            Self::Tag(name) | Self::Topic(name) => name,
        }
    }
}

// === impl Groups ===

impl Groups {
    /// Puts a connection into a group. Says whether it was not in it.
    ///
    /// # Errors
    ///
    /// [`GroupError::TooMany`].
    pub(crate) fn join(
        &mut self,
        id: ConnectionId,
        api: ApiIndex,
        group: &Group,
    ) -> Result<bool, GroupError> {
        let membership =
            self.of.entry(id).or_insert_with(|| Membership { api, groups: Vec::new() });
        if membership.groups.contains(group) {
            return Ok(false);
        }
        if membership.groups.len() >= MAX_GROUPS {
            return Err(GroupError::TooMany);
        }
        membership.groups.push(group.clone());
        self.members.entry((api, group.clone())).or_default().insert(id);
        Ok(true)
    }

    /// Takes a connection out of a group. Says whether it was in it.
    pub(crate) fn leave(&mut self, id: ConnectionId, group: &Group) -> bool {
        let Some(membership) = self.of.get_mut(&id) else { return false };
        let Some(at) = membership.groups.iter().position(|each| each == group) else {
            return false;
        };
        membership.groups.swap_remove(at);
        let api = membership.api;
        if membership.groups.is_empty() {
            self.of.remove(&id);
        }
        self.remove_member(id, api, group);
        true
    }

    /// Takes a connection that is gone out of all groups; says which they were.
    pub(crate) fn leave_all(&mut self, id: ConnectionId) -> Vec<Group> {
        let Some(Membership { api, groups }) = self.of.remove(&id) else { return Vec::new() };
        for group in &groups {
            self.remove_member(id, api, group);
        }
        groups
    }

    fn remove_member(&mut self, id: ConnectionId, api: ApiIndex, group: &Group) {
        let key = (api, group.clone());
        if let Some(members) = self.members.get_mut(&key) {
            members.swap_remove(&id);
            if members.is_empty() {
                self.members.remove(&key);
            }
        }
    }

    /// The groups that a connection is in, in the order it came into them.
    pub(crate) fn of(&self, id: ConnectionId) -> &[Group] {
        self.of.get(&id).map_or(&[], |membership| &membership.groups)
    }

    /// The connections in a group.
    pub(crate) fn members(
        &self,
        api: ApiIndex,
        group: &Group,
    ) -> impl Iterator<Item = ConnectionId> {
        self.members.get(&(api, group.clone())).into_iter().flatten().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> ConnectionId {
        text.parse().unwrap()
    }

    #[test]
    fn a_connection_that_is_gone_is_in_no_group() {
        let (a, b) = (id("AAAAAAAAAAAAAAA="), id("BBBBBBBBBBBBBBA="));
        let (room, news) = (Group::tag("room").unwrap(), Group::topic("news/#").unwrap());
        let mut groups = Groups::default();
        assert_eq!(groups.join(a, 0, &room), Ok(true));
        assert_eq!(groups.join(a, 0, &room), Ok(false));
        groups.join(a, 0, &news).unwrap();
        groups.join(b, 0, &room).unwrap();
        assert_eq!(groups.of(a), [room.clone(), news.clone()]);
        assert_eq!(groups.members(0, &room).collect::<Vec<_>>(), [a, b]);
        assert_eq!(groups.members(1, &room).count(), 0, "tags are an API's own");
        assert_eq!(groups.leave_all(a), [room.clone(), news]);
        assert_eq!(groups.members(0, &room).collect::<Vec<_>>(), [b]);
        assert!(groups.leave(b, &room));
        assert!(!groups.leave(b, &room));
        assert!(groups.members.is_empty() && groups.of.is_empty());
    }

    #[test]
    fn groups_of_a_connection_are_bounded_and_their_names_checked() {
        let a = id("AAAAAAAAAAAAAAA=");
        let mut groups = Groups::default();
        for number in 0..MAX_GROUPS {
            groups.join(a, 0, &Group::tag(&number.to_string()).unwrap()).unwrap();
        }
        assert_eq!(groups.join(a, 0, &Group::tag("x").unwrap()), Err(GroupError::TooMany));
        for filter in ["", "a#", "$share/g/a", &"x".repeat(257)] {
            assert!(Group::topic(filter).is_err(), "{filter}");
        }
        assert!(Group::tag("").is_err());
    }
}
