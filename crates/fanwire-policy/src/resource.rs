//! What an action is done to, as policies name it: by ARN.

use std::fmt;

/// Where the resources are: what stands before the resource in each of their ARNs.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Place {
    /// `arn:PARTITION:iot:REGION:ACCOUNT:`
    arn: Box<str>,
}

/// What an action is done to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Resource<'a> {
    /// A client, by its id: `client/ID`.
    Client(&'a str),
    /// A topic name: `topic/NAME`.
    Topic(&'a str),
    /// A topic filter as the client wrote it: `topicfilter/FILTER`.
    TopicFilter(&'a str),
    /// A thing, by its name: `thing/NAME`.
    Thing(&'a str),
    /// `*`, for an action on nothing in particular, such as listing.
    Every,
}

/// The kinds of resources, each with its own ARN prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(crate) enum Kind {
    Client,
    Topic,
    TopicFilter,
    Thing,
    Every,
}

/// Some of the kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct KindSet(u8);

// === impl Place ===

impl Place {
    /// The place of a partition (such as `aws`), a region and an account.
    pub fn new(partition: &str, region: &str, account_id: &str) -> Self {
        Self { arn: format!("arn:{partition}:iot:{region}:{account_id}:").into() }
    }

    /// The ARN of a resource here.
    pub fn arn(&self, resource: Resource<'_>) -> String {
        let (kind, name) = resource.split();
        self.prefix(kind) + name
    }

    /// What ARNs here start with, up to the resource.
    pub(crate) fn start(&self) -> &str {
        &self.arn
    }

    /// What the ARN of each resource of a kind starts with. What follows is its name.
    pub(crate) fn prefix(&self, kind: Kind) -> String {
        match kind {
            Kind::Client => format!("{}client/", self.arn),
            Kind::Topic => format!("{}topic/", self.arn),
            Kind::TopicFilter => format!("{}topicfilter/", self.arn),
            Kind::Thing => format!("{}thing/", self.arn),
            Kind::Every => "*".to_owned(),
        }
    }
}

// === impl Resource ===

impl<'a> Resource<'a> {
    /// The kind and what follows the kind's prefix in the ARN.
    pub(crate) const fn split(self) -> (Kind, &'a str) {
        match self {
            Self::Client(id) => (Kind::Client, id),
            Self::Topic(name) => (Kind::Topic, name),
            Self::TopicFilter(filter) => (Kind::TopicFilter, filter),
            Self::Thing(name) => (Kind::Thing, name),
            Self::Every => (Kind::Every, ""),
        }
    }
}

/// The end of the ARN, from the kind on: `topic/chat/room1`.
impl fmt::Display for Resource<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client(id) => write!(f, "client/{id}"),
            Self::Topic(name) => write!(f, "topic/{name}"),
            Self::TopicFilter(filter) => write!(f, "topicfilter/{filter}"),
            Self::Thing(name) => write!(f, "thing/{name}"),
            Self::Every => f.write_str("*"),
        }
    }
}

// === impl Kind ===

impl Kind {
    pub(crate) const ALL: [Self; 5] =
        [Self::Client, Self::Topic, Self::TopicFilter, Self::Thing, Self::Every];
}

// === impl KindSet ===

impl KindSet {
    pub(crate) const fn of(kind: Kind) -> Self {
        Self(1 << kind as u8)
    }

    pub(crate) const fn contains(self, kind: Kind) -> bool {
        self.0 & (1 << kind as u8) != 0
    }

    pub(crate) const fn insert(&mut self, kind: Kind) {
        self.0 |= 1 << kind as u8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arns_are_those_of_aws() {
        let place = Place::new("aws", "us-east-1", "123456789012");
        let arn = |resource| place.arn(resource);
        assert_eq!(arn(Resource::Client("c")), "arn:aws:iot:us-east-1:123456789012:client/c");
        assert_eq!(arn(Resource::Topic("a/b")), "arn:aws:iot:us-east-1:123456789012:topic/a/b");
        let shared = Resource::TopicFilter("$share/g/a/+");
        assert_eq!(arn(shared), "arn:aws:iot:us-east-1:123456789012:topicfilter/$share/g/a/+");
        assert_eq!(arn(Resource::Every), "*");
    }
}
