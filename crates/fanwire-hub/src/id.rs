//! Connection ids: sixteen characters that look like API Gateway's and say where
//! the connection lives.
//!
//! An id is eleven bytes in URL-safe base64: a 48-bit location (node, shard, slot)
//! and a 40-bit random tag. Any node can tell from an id alone which node and shard
//! to ask; the tag makes an id unguessable and tells a slot's present connection
//! from those that had it before. The location is masked with bits drawn from the
//! tag, so that ids look random, as clients expect.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use mio::Token;

/// Names one connection, from before its handshake is answered until it is gone.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConnectionId {
    pub(crate) node: u16,
    pub(crate) shard: u8,
    /// 24 bits.
    pub(crate) slot: u32,
    /// 40 bits.
    pub(crate) tag: u64,
}

/// Text that is not a connection id of this hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a connection id: expected 16 characters of URL-safe base64 ending in `=`")]
pub struct InvalidConnectionId;

/// The most slots one shard can name.
pub(crate) const MAX_SLOTS: u32 = 1 << 24;

const TAG_BITS: u32 = 40;

// === impl ConnectionId ===

impl ConnectionId {
    /// An id for a place, with a tag from the system's secure random source.
    pub(crate) fn generate(node: u16, shard: u8, slot: u32) -> Result<Self, getrandom::Error> {
        let tag = without_hyphen(getrandom::u64()? >> (u64::BITS - TAG_BITS));
        Ok(Self { node, shard, slot, tag })
    }

    /// The number of the node that the connection is on.
    pub fn node(&self) -> u16 {
        self.node
    }

    /// The number of the shard that the connection is on.
    pub fn shard(&self) -> usize {
        usize::from(self.shard)
    }

    /// What the connection's readiness is told by, on its shard.
    pub(crate) fn token(self) -> Token {
        Token(self.slot as usize)
    }

    fn to_bytes(self) -> [u8; 11] {
        let location =
            u64::from(self.node) << 32 | u64::from(self.shard) << 24 | u64::from(self.slot);
        let mut bytes = [0; 11];
        bytes[..5].copy_from_slice(&self.tag.to_be_bytes()[3..]);
        bytes[5..].copy_from_slice(&(location ^ mask(self.tag)).to_be_bytes()[2..]);
        bytes
    }

    fn from_bytes(bytes: [u8; 11]) -> Self {
        let [t0, t1, t2, t3, t4, l0, l1, l2, l3, l4, l5] = bytes;
        let tag = u64::from_be_bytes([0, 0, 0, t0, t1, t2, t3, t4]);
        let location = u64::from_be_bytes([0, 0, l0, l1, l2, l3, l4, l5]) ^ mask(tag);
        let [_, _, n0, n1, shard, s0, s1, s2] = location.to_be_bytes();
        Self {
            node: u16::from_be_bytes([n0, n1]),
            shard,
            slot: u32::from_be_bytes([0, s0, s1, s2]),
            tag,
        }
    }
}

/// A tag whose id does not begin with a hyphen: command lines would take such an id for an
/// option, ours and the AWS CLI's.
fn without_hyphen(tag: u64) -> u64 {
    const HYPHEN: u64 = 62;
    const FIRST_CHARACTER: u32 = TAG_BITS - 6;
    if tag >> FIRST_CHARACTER == HYPHEN { tag ^ (1 << (TAG_BITS - 1)) } else { tag }
}

/// 48 bits that depend on every bit of the tag (the finalizer of SplitMix64).
fn mask(tag: u64) -> u64 {
    let mut z = tag.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ (z >> 31)) >> 16
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; 16];
        // Eleven bytes are always sixteen characters with their padding.
        let written = URL_SAFE.encode_slice(self.to_bytes(), &mut text).unwrap_or(0);
        f.write_str(str::from_utf8(&text[..written]).unwrap_or_default())
    }
}

impl fmt::Debug for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self} (node {}, shard {}, slot {})", self.node, self.shard, self.slot)
    }
}

impl FromStr for ConnectionId {
    type Err = InvalidConnectionId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = URL_SAFE.decode(text).map_err(|_| InvalidConnectionId)?;
        Ok(Self::from_bytes(bytes.try_into().map_err(|_| InvalidConnectionId)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_id_survives_its_text_and_looks_like_api_gateways(
            node: u16, shard: u8, slot in 0..MAX_SLOTS, tag in 0..1u64 << TAG_BITS,
        ) {
            let id = ConnectionId { node, shard, slot, tag };
            let text = id.to_string();
            prop_assert_eq!(text.len(), 16);
            prop_assert!(text.ends_with('='));
            prop_assert!(!text.contains(['/', '+']));
            prop_assert_eq!(text.parse::<ConnectionId>(), Ok(id));
        }

        #[test]
        fn arbitrary_text_is_refused_or_an_id(text in ".{0,20}") {
            if let Ok(id) = text.parse::<ConnectionId>() {
                prop_assert_eq!(id.to_string(), text);
            }
        }
    }

    #[test]
    fn no_id_looks_like_an_option_of_a_command_line() {
        for first in 0..64 {
            let tag = without_hyphen(first << 34 | 0x3_1415_9265);
            let text = ConnectionId { node: 0, shard: 0, slot: 0, tag }.to_string();
            assert!(!text.starts_with('-'), "{text}");
        }
    }
}
