//! What nodes are called: a number that is in every id they give out, and one more for each
//! time they came into the cluster, so that a node that was taken for dead and one that
//! has its number now are told apart.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The number of a node. Two nodes that are in the cluster never have the same one; a
/// number that has become free is given out again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct NodeId(pub u16);

/// One stay of a node in the cluster. Random, so that no two are ever the same.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BootId(pub u64);

/// A node during one stay in the cluster: what messages are addressed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Incarnation {
    /// The node's number.
    pub node: NodeId,
    /// Which stay.
    pub boot: BootId,
}

/// A node, as it introduces itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// Its number and stay.
    #[serde(flatten)]
    pub incarnation: Incarnation,
    /// What people call it, such as its host's name.
    pub name: String,
    /// Where clients reach it, such as `10.0.0.5:3001`.
    pub address: String,
    /// The version of Fanwire that it runs.
    pub version: String,
}

/// The other nodes that are in the cluster now.
pub type Peers = BTreeMap<NodeId, Peer>;

// === impl BootId ===

impl BootId {
    /// A new one.
    ///
    /// # Errors
    ///
    /// Where the system has no random numbers.
    pub fn generate() -> Result<Self, getrandom::Error> {
        getrandom::u64().map(Self)
    }
}

impl fmt::Display for BootId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for BootId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BootId({self})")
    }
}

impl FromStr for BootId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u64::from_str_radix(text, 16).map(Self)
    }
}

// JSON numbers are not exact in every reader: a boot id is text there.
impl Serialize for BootId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for BootId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.node, self.boot)
    }
}

impl FromStr for Incarnation {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (node, boot) = text.split_once('.').ok_or(())?;
        let node = NodeId(node.parse().map_err(|_| ())?);
        Ok(Self { node, boot: boot.parse().map_err(|_| ())? })
    }
}
